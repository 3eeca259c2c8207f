//! `compress` with `response`: pages are compressed in the store, and their clients see nothing of it.

use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::{Router, routing};
use redis_cached::redis_cached;
use test_support::Server;

use crate::{App, apps, get};

#[redis_cached(response, prefix = "z", name = "page", compress = lz4, cache = app.cache, skip(app))]
async fn page(State(app): State<App>, Path(encoding): Path<String>) -> impl IntoResponse {
    app.run();
    let body = format!("<p>{encoding}</p>").repeat(1_000);
    let kind = [("content-type", "text/html")];
    match encoding.as_str() {
        "none" => (kind, body).into_response(),
        // The body only claims to be compressed: it is not touched.
        encoding => (kind, [("content-encoding", encoding)], body).into_response(),
    }
}

#[tokio::test]
async fn a_hit_is_the_same_and_the_times_are_its_own() {
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/{encoding}", routing::get(page)).with_state(app.clone());
        for (runs, encoding) in (1..).zip(["none", "gzip"]) {
            let first = get(&router, &format!("/{encoding}")).await;
            assert_eq!(first.text(), format!("<p>{encoding}</p>").repeat(1_000));
            for _ in 0..2 {
                let mut hit = get(&router, &format!("/{encoding}")).await;
                let age: u64 = hit.header("age").parse().unwrap();
                assert!(age < 60, "{age}");
                hit.headers.remove("age");
                assert_eq!((hit.status, &hit.headers, &hit.body), (first.status, &first.headers, &first.body));
            }
            assert_eq!(app.runs(), runs);
        }
    }
    let [_, app] = apps(&server);
    let stored = |encoding: &str| -> Vec<u8> {
        let entry = page_entry(State(app.clone()), Path(encoding.to_owned()));
        redis::cmd("GET").arg(entry.key().unwrap()).query(&mut server.connection()).unwrap()
    };
    let (compressed, own) = (stored("none"), stored("gzip"));
    assert!(compressed[102] & 4 != 0 && compressed.len() < 1_000, "{}", compressed.len());
    assert!(own[102] & 4 == 0 && own.len() > 11_000, "{}", own.len());
}
