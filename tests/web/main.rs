//! Handlers of axum under the attribute.

mod bypass;
#[cfg(feature = "lz4")]
mod compressed;
mod conditional;
mod lifetimes;
mod response;
mod sharing;
mod streams;
mod users;
mod vary;
mod wrappers;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderName, Request};
use redis_cached::Cache;
use test_support::{Gate, Server, caches};
use tower::ServiceExt;

/// The state of each application here.
#[derive(Clone)]
struct App {
    cache: Cache,
    runs: Arc<AtomicUsize>,
    gate: Arc<Gate>,
}

impl App {
    fn new(cache: Cache) -> App {
        App { cache, runs: Arc::default(), gate: Arc::new(Gate::closed()) }
    }

    /// Counts a run of a body.
    fn run(&self) -> usize {
        self.runs.fetch_add(1, SeqCst) + 1
    }

    fn runs(&self) -> usize {
        self.runs.load(SeqCst)
    }
}

/// An application for each of a cache in memory and one on a server.
fn apps(server: &Server) -> [App; 2] {
    caches(server).map(App::new)
}

/// A response, read to its end.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The value of a header; "" if it is missing.
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

async fn get(router: &Router, uri: &str) -> Answer {
    get_with(router, uri, &[]).await
}

async fn get_with(router: &Router, uri: &str, headers: &[(&'static str, &str)]) -> Answer {
    let mut request = Request::get(uri).body(Body::empty()).unwrap();
    for (name, value) in headers {
        request.headers_mut().append(HeaderName::from_static(name), value.parse().unwrap());
    }
    send(router, request).await
}
