//! The same under other names, which the compiler sees through.

use std::convert::Infallible;

use axum::Json;
use axum::extract::{Path, Request as Incoming};
use axum::http::HeaderMap;
use redis_cached::redis_cached;

type Headers = HeaderMap;

#[redis_cached(response, key = "{headers.len()}:{id}")]
async fn headers(Path(id): Path<u64>, headers: Headers) -> String {
    format!("{id} {headers:?}")
}

#[redis_cached(key = "{request.uri().path()}")]
async fn request(request: Incoming) -> Json<String> {
    Json(request.uri().to_string())
}

#[redis_cached(response)]
async fn whole(headers: Headers) -> String {
    format!("{headers:?}")
}

#[redis_cached(response, key = "{headers.is_ok()}")]
async fn within_a_result(headers: Result<Headers, Infallible>) -> String {
    format!("{headers:?}")
}

fn main() {}
