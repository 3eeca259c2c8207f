//! `conditional`: a client that has the response already gets `304 Not Modified`.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware, routing};
use redis_cached::axum::conditional;
use redis_cached::redis_cached;
use test_support::Server;

use crate::{App, apps, get, get_with, send};

#[redis_cached(response, prefix = "cond", cache = app.cache, skip(app))]
async fn page(State(app): State<App>, Path(id): Path<u64>) -> Response {
    app.run();
    ([("content-language", "en"), ("x-kept", "1")], format!("page {id}")).into_response()
}

fn router(app: &App) -> Router {
    Router::new()
        .route("/page/{id}", routing::get(page).post(|| async { ([("etag", "\"a\"")], "posted") }))
        .route("/own", routing::get(|| async { ([("etag", "W/\"a,b\"")], "own") }))
        .route("/none", routing::get(|| async { "no tag" }))
        .route("/failed", routing::get(|| async { (StatusCode::NOT_FOUND, [("etag", "\"a\"")], "no such page") }))
        .layer(middleware::from_fn(conditional))
        .with_state(app.clone())
}

#[tokio::test]
async fn the_second_load_is_a_304() {
    let server = Server::start();
    for app in apps(&server) {
        let router = router(&app);
        let first = get(&router, "/page/1").await;
        let tag = first.header("etag");
        for known in [
            tag.to_owned(),
            format!("W/{tag}"),
            format!("\"other\", {tag}"),
            format!("\"other\" ,W/{tag}, \"another\""),
            "*".to_owned(),
        ] {
            let answer = get_with(&router, "/page/1", &[("if-none-match", &known)]).await;
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{known}");
            assert_eq!((answer.header("etag"), answer.header("cache-control")), (tag, "no-cache"));
            assert_eq!((answer.header("x-kept"), answer.header("age")), ("1", "0"));
            for name in ["content-type", "content-length", "content-language"] {
                assert!(!answer.headers.contains_key(name), "{name}");
            }
        }
        let twice = get_with(&router, "/page/1", &[("if-none-match", "\"other\""), ("if-none-match", tag)]).await;
        assert_eq!(twice.status, 304, "two lines are one list");
        for known in ["\"other\"", "", "W/\"\"", tag.trim_matches('"')] {
            let answer = get_with(&router, "/page/1", &[("if-none-match", known)]).await;
            assert_eq!((answer.status, answer.text()), (200, "page 1"), "{known}");
        }
        assert_eq!(app.runs(), 1);
    }
}

#[tokio::test]
async fn head_too_but_no_other_method() {
    let server = Server::start();
    for app in apps(&server) {
        let router = router(&app);
        let tag = get(&router, "/page/1").await.header("etag").to_owned();
        let ask = |method: &str, tag: &str| {
            Request::builder().method(method).uri("/page/1").header("if-none-match", tag).body(Body::empty()).unwrap()
        };
        assert_eq!(send(&router, ask("HEAD", &tag)).await.status, 304);
        assert_eq!(send(&router, ask("POST", "\"a\"")).await.text(), "posted");
    }
}

#[tokio::test]
async fn any_response_with_a_tag() {
    let server = Server::start();
    let [app, _] = apps(&server);
    let router = router(&app);
    assert_eq!(get_with(&router, "/own", &[("if-none-match", "\"a\", \"a,b\"")]).await.status, 304);
    assert_eq!(get_with(&router, "/own", &[("if-none-match", "\"a\", \"b\"")]).await.status, 200);
    assert_eq!(get_with(&router, "/none", &[("if-none-match", "*")]).await.status, 200);
    assert_eq!(get_with(&router, "/failed", &[("if-none-match", "\"a\"")]).await.status, 404);
}
