//! `response`: the status, the headers and the body of a handler's response are stored.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Json, Router, debug_handler, routing};
use proptest::prelude::*;
use redis_cached::redis_cached;
use serde::{Deserialize, Serialize};
use test_support::{Monitor, Server};

use crate::streams::Frames;
use crate::{App, apps, get, send};

#[derive(Serialize, Deserialize)]
struct User {
    id: u64,
}

#[debug_handler]
#[redis_cached(response, prefix = "resp", cache = app.cache, skip(app))]
async fn page(State(app): State<App>, Path(id): Path<u64>) -> impl IntoResponse {
    app.run();
    ([("x-model", "one"), ("content-type", "text/plain")], format!("page {id}"))
}

/// Every shape of a response that the tests need, by its number.
#[redis_cached(response, prefix = "resp", cache = app.cache, skip(app))]
#[debug_handler(state = App)]
async fn shape(State(app): State<App>, Path(which): Path<u64>) -> Result<Response, (StatusCode, String)> {
    app.run();
    Ok(match which {
        0 => Json(User { id: 7 }).into_response(),
        1 => (StatusCode::NON_AUTHORITATIVE_INFORMATION, Html("<p>203</p>")).into_response(),
        2 => StatusCode::NO_CONTENT.into_response(),
        3 => Redirect::permanent("/elsewhere").into_response(),
        4 => (StatusCode::MOVED_PERMANENTLY, [("location", "/elsewhere")]).into_response(),
        5 => ([("etag", "W/\"mine\""), ("cache-control", "max-age=5")], "own").into_response(),
        6 => ([("x-multi", "1")], [("age", "40")], "aged").into_response(),
        7 => Frames::of(&["one ", "two"]).into_response(),
        10 => return Err((StatusCode::BAD_REQUEST, "wrong".into())),
        11 => return Err((StatusCode::INTERNAL_SERVER_ERROR, "broken".into())),
        12 => ([("set-cookie", "session=1")], "cookie").into_response(),
        13 => ([("vary", "cookie")], "varies").into_response(),
        14 => ([("cache-control", "private, max-age=60")], "private").into_response(),
        15 => ([("cache-control", "no-store")], "no-store").into_response(),
        16 => ([("cache-control", "no-cache")], "no-cache").into_response(),
        17 => ([("content-type", "text/event-stream")], "data: 1\n\n").into_response(),
        18 => Redirect::to("/see-other").into_response(),
        19 => (StatusCode::PARTIAL_CONTENT, "part").into_response(),
        20 => StatusCode::NOT_FOUND.into_response(),
        22 => ([("expires", "0")], "expired").into_response(),
        23 => ([("expires", "Sun, 06 Nov 1994 08:49:37 GMT"), ("cache-control", "public")], "expired").into_response(),
        24 => ([("pragma", "no-cache")], "pragma").into_response(),
        25 => ([("cache-control", "max-age=0, must-revalidate")], "stale").into_response(),
        26 => ([("expires", "Fri, 06 Nov 2093 08:49:37 GMT")], "expires").into_response(),
        27 => {
            ([("expires", "0"), ("pragma", "no-cache"), ("cache-control", "max-age=60")], "overruled").into_response()
        }
        _ => StatusCode::IM_A_TEAPOT.into_response(),
    })
}

fn router(app: &App) -> Router {
    Router::new()
        .route("/page/{id}", routing::get(page))
        .route("/shape/{which}", routing::get(shape))
        .with_state(app.clone())
}

#[tokio::test]
async fn a_hit_is_the_response_again() {
    let server = Server::start();
    for app in apps(&server) {
        let router = router(&app);
        let first = get(&router, "/page/1").await;
        assert_eq!((first.status, first.text()), (200, "page 1"));
        assert_eq!((first.header("x-model"), first.header("content-type")), ("one", "text/plain"));
        // XXH3 with 128 bits of the body.
        assert_eq!(first.header("etag").len(), 34, "{first:?}");
        assert_eq!(first.header("cache-control"), "no-cache");
        assert!(!first.headers.contains_key("age") && !first.headers.contains_key("cache-status"));
        let mut second = get(&router, "/page/1").await;
        assert_eq!(second.headers.remove("age"), Some(HeaderValue::from(0)));
        assert_eq!((second.status, &second.headers, &second.body), (first.status, &first.headers, &first.body));
        assert_eq!(app.runs(), 1);
        assert_ne!(get(&router, "/page/2").await.header("etag"), first.header("etag"));
    }
}

#[tokio::test]
async fn these_are_stored() {
    let server = Server::start();
    for app in apps(&server) {
        let router = router(&app);
        for (which, status) in
            [(0, 200), (1, 203), (2, 204), (3, 308), (4, 301), (5, 200), (6, 200), (7, 200), (26, 200), (27, 200)]
        {
            let uri = format!("/shape/{which}");
            let before = app.runs();
            let first = get(&router, &uri).await;
            assert_eq!(first.status, status);
            let second = get(&router, &uri).await;
            assert_eq!(app.runs(), before + 1, "{which}");
            assert_eq!((second.status, &second.body), (status, &first.body));
            for (name, value) in first.headers.iter().filter(|(name, _)| *name != "age") {
                assert_eq!(second.headers.get(name), Some(value), "{which}");
            }
        }
        let own = get(&router, "/shape/5").await;
        assert_eq!((own.header("etag"), own.header("cache-control")), ("W/\"mine\"", "max-age=5"));
        assert_eq!(get(&router, "/shape/6").await.header("age"), "40", "what it had already");
        assert_eq!(get(&router, "/shape/7").await.text(), "one two");
        assert!(!get(&router, "/shape/2").await.headers.contains_key("etag"));
    }
}

/// What is not stored goes on as it came, with no header added.
#[tokio::test]
async fn these_are_not_stored() {
    let server = Server::start();
    for app in apps(&server) {
        let router = router(&app);
        for (which, status) in [
            (10, 400),
            (11, 500),
            (12, 200),
            (13, 200),
            (14, 200),
            (15, 200),
            (16, 200),
            (17, 200),
            (18, 303),
            (19, 206),
            (20, 404),
            (21, 418),
            (22, 200),
            (23, 200),
            (24, 200),
            (25, 200),
        ] {
            let uri = format!("/shape/{which}");
            let before = app.runs();
            let fresh = shape_uncached(State(app.clone()), Path(which)).await.into_response();
            for _ in 0..2 {
                let answer = get(&router, &uri).await;
                assert_eq!(answer.status, status);
                let mut headers = answer.headers.clone();
                headers.remove("content-length");
                assert_eq!(&headers, fresh.headers(), "{which}");
            }
            assert_eq!(app.runs(), before + 3, "{which}");
            let stored = shape_entry(State(app.clone()), Path(which)).get().await.unwrap();
            assert!(stored.is_none(), "{which}");
        }
    }
}

#[tokio::test]
async fn the_siblings_work_on_pages() {
    let server = Server::start();
    for app in apps(&server) {
        let router = router(&app);
        let entry = || page_entry(State(app.clone()), Path(1));
        get(&router, "/page/1").await;
        let stored = entry().get().await.unwrap().unwrap();
        assert_eq!((stored.status(), &stored.body()[..]), (StatusCode::OK, &b"page 1"[..]));
        assert_eq!(stored.headers()["x-model"], "one");
        assert!(!stored.headers().contains_key("cache-control"));
        assert!(entry().invalidate().await.unwrap());
        get(&router, "/page/1").await;
        assert_eq!(app.runs(), 2);
        page_refresh(State(app.clone()), Path(1)).await;
        assert_eq!(app.runs(), 3);
        get(&router, "/page/1").await;
        assert_eq!(app.runs(), 3);
        let fresh = page_uncached(State(app.clone()), Path(1)).await.into_response();
        assert!(!fresh.headers().contains_key("etag"), "the body alone");
        assert_eq!(page_clear(State(app.clone())).await.unwrap(), 1);
        entry().put(&stored).await.unwrap();
        let direct: Response = page(State(app.clone()), Path(1)).await;
        assert_eq!((direct.headers()["x-model"].as_bytes(), app.runs()), (&b"one"[..], 4));
    }
}

#[tokio::test]
async fn a_hit_is_one_command() {
    // A function of its own: what a call sends depends on what the calls before it found.
    #[redis_cached(response, prefix = "resp", name = "hit", cache = app.cache, skip(app))]
    async fn hit(State(app): State<App>) -> &'static str {
        app.run();
        "hit"
    }
    let server = Server::start();
    let [_, app] = apps(&server);
    let router = Router::new().route("/", routing::get(hit)).with_state(app);
    get(&router, "/").await;
    let mut monitor = Monitor::of(server.port());
    for _ in 0..3 {
        get(&router, "/").await;
    }
    let mut commands = monitor.commands();
    // They verify now and then that the server is a master, and its clock.
    commands.retain(|command| !["ROLE", "TIME"].contains(&command[0].as_str()));
    assert_eq!(commands, vec![vec!["GET".to_owned(), "resp:hit".to_owned()]; 3]);
}

/// axum answers `HEAD` by the handler of `GET`, and removes the body.
#[tokio::test]
async fn head_is_answered_from_the_same_entry() {
    let server = Server::start();
    for app in apps(&server) {
        let router = router(&app);
        for _ in 0..2 {
            let answer = send(&router, Request::head("/page/1").body(Body::empty()).unwrap()).await;
            assert_eq!((answer.status, answer.body.len(), answer.header("content-length")), (200, 0, "6"));
        }
        assert_eq!(get(&router, "/page/1").await.text(), "page 1");
        assert_eq!(app.runs(), 1);
    }
}

#[tokio::test]
async fn headers_of_one_connection_or_message_are_not_stored() {
    #[redis_cached(response, prefix = "resp", cache = app.cache, skip(app))]
    async fn hops(State(app): State<App>) -> impl IntoResponse {
        app.run();
        let headers = [
            ("connection", "x-hop, close"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("content-length", "3"),
            ("transfer-encoding", "chunked"),
            ("x-kept", "1"),
        ];
        (headers, "abc")
    }
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/", routing::get(hops)).with_state(app.clone());
        for _ in 0..2 {
            let answer = get(&router, "/").await;
            let mut names: Vec<_> = answer.headers.keys().map(HeaderName::as_str).collect();
            names.retain(|name| *name != "age" && *name != "content-length");
            names.sort_unstable();
            assert_eq!(names, ["cache-control", "content-type", "etag", "x-kept"]);
        }
        assert_eq!(app.runs(), 1);
    }
}

#[tokio::test]
async fn a_policy_for_clients() {
    #[redis_cached(response, prefix = "resp", cache = app.cache, skip(app), client = "max-age=30, public")]
    async fn policy(State(app): State<App>, Path(own): Path<bool>) -> Response {
        if own { ([("cache-control", "max-age=1")], "own").into_response() } else { "default".into_response() }
    }
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/{own}", routing::get(policy)).with_state(app);
        for _ in 0..2 {
            assert_eq!(get(&router, "/false").await.header("cache-control"), "max-age=30, public");
            assert_eq!(get(&router, "/true").await.header("cache-control"), "max-age=1");
        }
    }
}

#[tokio::test]
async fn cache_if_decides_by_the_page() {
    #[redis_cached(response, prefix = "resp", cache = app.cache, skip(app), cache_if = |page| page.body().len() > 3)]
    async fn chosen(State(app): State<App>, Path(text): Path<String>) -> String {
        app.run();
        text
    }
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/{text}", routing::get(chosen)).with_state(app.clone());
        for (uri, runs) in [("/abc", 1), ("/abc", 2), ("/abcd", 3), ("/abcd", 3)] {
            get(&router, uri).await;
            assert_eq!(app.runs(), runs, "{uri}");
        }
    }
}

#[cfg(feature = "local")]
#[tokio::test]
async fn a_page_is_kept_in_the_process() {
    #[redis_cached(response, prefix = "resp", cache = app.cache, skip(app), local = 10, cache_status = on)]
    async fn kept(State(app): State<App>) -> &'static str {
        app.run();
        "kept"
    }
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/", routing::get(kept)).with_state(app.clone());
        assert_eq!(get(&router, "/").await.header("cache-status"), "redis-cached; fwd=miss");
        for _ in 0..3 {
            let answer = get(&router, "/").await;
            assert!(answer.header("cache-status").starts_with("redis-cached; hit"), "{answer:?}");
            assert_eq!((answer.text(), answer.header("age")), ("kept", "0"));
        }
        assert_eq!(app.runs(), 1);
    }
}

/// A response by its parts.
#[derive(Clone, Debug)]
struct Parts {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

#[redis_cached(response, prefix = "resp", cache = app.cache, key = "{number}", skip(app, parts))]
async fn built(app: &App, number: u64, parts: &Parts) -> Response {
    app.run();
    let mut response = Response::new(Body::from(parts.body.clone()));
    *response.status_mut() = StatusCode::from_u16(parts.status).unwrap();
    for (name, value) in &parts.headers {
        let name: HeaderName = name.parse().unwrap();
        response.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
    }
    response
}

#[test]
fn stored_and_fresh_responses_are_equal_but_for_the_added_headers() {
    let parts = (
        prop::sample::select(vec![200u16, 203, 204, 301, 308]),
        prop::collection::vec(("(x-[a-c]|content-type|link|last-modified|content-encoding)", "[ -~]{0,12}"), 0..6),
        prop::collection::vec(any::<u8>(), 0..100),
    );
    let server = Server::start();
    let apps = apps(&server);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let number = std::cell::Cell::new(0);
    let mut runner = proptest::test_runner::TestRunner::default();
    let strategy = parts.prop_map(|(status, headers, body)| Parts {
        status,
        headers: headers.into_iter().map(|(name, value)| (name, value.trim().to_owned())).collect(),
        body,
    });
    let outcome = runner.run(&strategy, |parts| {
        number.set(number.get() + 1);
        for app in &apps {
            let read = |response: Response| {
                let (head, body) = response.into_parts();
                let body = runtime.block_on(axum::body::to_bytes(body, usize::MAX)).unwrap();
                let mut headers = head.headers;
                ["age", "etag", "cache-control"].iter().for_each(|name| drop(headers.remove(*name)));
                (head.status, headers, body)
            };
            let before = app.runs();
            let fresh = read(runtime.block_on(built_uncached(app, number.get(), &parts)));
            let first = read(runtime.block_on(built(app, number.get(), &parts)));
            let second = read(runtime.block_on(built(app, number.get(), &parts)));
            prop_assert_eq!(app.runs(), before + 2);
            prop_assert_eq!(&first, &fresh);
            prop_assert_eq!(&second, &fresh);
            let values = |headers: &HeaderMap| headers.get_all("x-a").iter().cloned().collect::<Vec<_>>();
            prop_assert_eq!(values(&second.1), values(&fresh.1));
        }
        Ok(())
    });
    outcome.unwrap();
}
