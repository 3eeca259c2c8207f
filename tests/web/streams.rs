//! Bodies that stream: what is not stored goes on as it came.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Request};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use http_body::Frame;
use redis_cached::redis_cached;
use test_support::Server;
use tower::ServiceExt;

use crate::{App, apps, get};

/// A body of given frames, without a length in front.
pub(crate) struct Frames(VecDeque<Result<Frame<Bytes>, &'static str>>);

impl Frames {
    pub(crate) fn of(chunks: &[&'static str]) -> Body {
        Body::new(Frames(chunks.iter().map(|chunk| Ok(Frame::data(Bytes::from_static(chunk.as_bytes())))).collect()))
    }

    fn sized(len: usize, chunk: usize) -> VecDeque<Result<Frame<Bytes>, &'static str>> {
        let bytes: Bytes = (0..len).map(|at| at as u8).collect();
        (0..len).step_by(chunk).map(|at| Ok(Frame::data(bytes.slice(at..(at + chunk).min(len))))).collect()
    }
}

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(self.0.pop_front())
    }
}

#[redis_cached(response, prefix = "stream", cache = app.cache, skip(app))]
async fn streamed(State(app): State<App>, Path(len): Path<usize>) -> Response {
    app.run();
    Body::new(Frames(Frames::sized(len, 60_000))).into_response()
}

#[redis_cached(response, prefix = "stream", cache = app.cache, skip(app), max_body = 4)]
async fn small(State(app): State<App>, Path(which): Path<String>) -> Response {
    app.run();
    match which.as_str() {
        "four" => "1234".into_response(),
        "five" => "12345".into_response(),
        "trailers" => {
            let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("1"))]);
            let frames = [Ok(Frame::data("123".into())), Ok(Frame::trailers(trailers))];
            Body::new(Frames(frames.into())).into_response()
        }
        _ => Body::new(Frames([Ok(Frame::data("123".into())), Err("broken")].into())).into_response(),
    }
}

#[tokio::test]
async fn a_body_above_a_mebibyte_is_not_stored() {
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/{len}", routing::get(streamed)).with_state(app.clone());
        for (len, runs) in [(1 << 20, 1), ((1 << 20) + 1, 2), (3_000_000, 2)] {
            let before = app.runs();
            for _ in 0..2 {
                let answer = get(&router, &format!("/{len}")).await;
                assert_eq!(answer.body.len(), len);
                assert!(answer.body.iter().enumerate().all(|(at, byte)| *byte == at as u8), "{len}");
            }
            assert_eq!(app.runs(), before + runs, "{len}");
        }
    }
}

#[tokio::test]
async fn the_longest_body_can_be_chosen() {
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/{which}", routing::get(small)).with_state(app.clone());
        for (uri, runs) in [("/four", 1), ("/four", 1), ("/five", 2), ("/five", 3)] {
            let answer = get(&router, uri).await;
            assert_eq!(answer.body.len(), if uri == "/four" { 4 } else { 5 });
            assert_eq!(app.runs(), runs, "{uri}");
        }
    }
}

#[tokio::test]
async fn trailers_and_errors_reach_the_client() {
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/{which}", routing::get(small)).with_state(app.clone());
        for _ in 0..2 {
            for (uri, expected) in [("/trailers", "123, 1 trailer"), ("/broken", "123, an error")] {
                let request = Request::get(uri).body(Body::empty()).unwrap();
                let mut body = router.clone().oneshot(request).await.unwrap().into_body();
                let mut seen = String::new();
                while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                    match frame.map(Frame::into_data) {
                        Ok(Ok(data)) => seen.push_str(std::str::from_utf8(&data).unwrap()),
                        Ok(Err(frame)) => seen.push_str(&format!(", {} trailer", frame.trailers_ref().unwrap().len())),
                        Err(_) => seen.push_str(", an error"),
                    }
                }
                assert_eq!(seen, expected);
            }
        }
        assert_eq!(app.runs(), 4, "neither is stored");
    }
}
