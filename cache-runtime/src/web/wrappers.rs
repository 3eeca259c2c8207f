//! The responses of axum that wrap a value.

use axum::Json;
use axum::response::Html;

use crate::plan::wraps::Wraps;

impl<T> Wraps for Json<T> {
    type Inner = T;
    fn inner(&self) -> &T {
        &self.0
    }
    fn wrap(inner: T) -> Self {
        Json(inner)
    }
}

impl<T> Wraps for Html<T> {
    type Inner = T;
    fn inner(&self) -> &T {
        &self.0
    }
    fn wrap(inner: T) -> Self {
        Html(inner)
    }
}
