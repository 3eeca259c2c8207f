//! How long responses are stored, what they tell about it, and old ones.

use std::sync::atomic::{AtomicU16, Ordering::SeqCst};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use redis_cached::redis_cached;
use test_support::{Server, expired, in_time};

use crate::{App, apps, get};

#[redis_cached(response, prefix = "life", cache = app.cache, skip(app), ttl = 60, cache_status = on)]
async fn aged(State(app): State<App>, Path(id): Path<u64>) -> Response {
    app.run();
    match id {
        0 => (StatusCode::NOT_FOUND, "none").into_response(),
        1 => (StatusCode::BAD_GATEWAY, [("cache-status", "upstream; hit")], "failed").into_response(),
        id => id.to_string().into_response(),
    }
}

#[tokio::test]
async fn age_and_cache_status() {
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/{id}", routing::get(aged)).with_state(app.clone());
        let first = get(&router, "/7").await;
        assert_eq!(first.header("cache-status"), "redis-cached; fwd=miss");
        assert!(!first.headers.contains_key("age"));
        let second = get(&router, "/7").await;
        let ttl = second.header("cache-status").strip_prefix("redis-cached; hit; ttl=").unwrap();
        assert!((50..=60).contains(&ttl.parse::<u64>().unwrap()), "{ttl}");
        assert_eq!(second.header("age"), "0");
        in_time("it ages", async || get(&router, "/7").await.header("age") == "1").await;
        let none = get(&router, "/0").await;
        assert_eq!(none.header("cache-status"), "redis-cached; fwd=miss; detail=\"its status is not stored\"");
        let failed = get(&router, "/1").await;
        let all: Vec<_> = failed.headers.get_all("cache-status").iter().collect();
        assert_eq!(all, ["upstream; hit", "redis-cached; fwd=miss"]);
    }
}

/// What the process keeps tells the same as what the server has.
#[cfg(feature = "local")]
#[tokio::test]
async fn kept_pages_tell_their_times() {
    #[redis_cached(
        response, prefix = "life", cache = app.cache, skip(app), ttl = 60, cache_status = on, local = 10
    )]
    async fn kept(State(app): State<App>, Path(id): Path<u64>) -> String {
        app.run();
        id.to_string()
    }
    #[redis_cached(
        response, prefix = "life", cache = app.cache, skip(app), ttl = "100ms", stale_while_revalidate = "1h",
        cache_status = on, local = 10
    )]
    async fn past(State(app): State<App>) -> String {
        app.run().to_string()
    }
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new()
            .route("/kept/{id}", routing::get(kept))
            .route("/past", routing::get(past))
            .with_state(app.clone());
        get(&router, "/kept/7").await;
        in_time("the page is kept, and ages", async || {
            let before = app.cache.stats().local_hits;
            let answer = get(&router, "/kept/7").await;
            let status = answer.header("cache-status").to_owned();
            let ttl = status.strip_prefix("redis-cached; hit; ttl=").expect(&status).parse::<u64>().unwrap();
            assert!((30..=60).contains(&ttl), "{status}");
            app.cache.stats().local_hits > before && answer.header("age") == "1"
        })
        .await;
        get(&router, "/past").await;
        in_time("it is past its lifetime", async || {
            get(&router, "/past").await.header("cache-status") == "redis-cached; hit; ttl=-1"
        })
        .await;
    }
}

#[tokio::test]
async fn a_missing_page_has_a_lifetime_of_its_own() {
    #[redis_cached(response, prefix = "life", cache = app.cache, skip(app), ttl = "1h", none_ttl = "30s")]
    async fn missing(State(app): State<App>, Path(status): Path<u16>) -> StatusCode {
        app.run();
        StatusCode::from_u16(status).unwrap()
    }
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/{status}", routing::get(missing)).with_state(app.clone());
        for (status, seconds) in [(404u16, 0..=30u64), (410, 0..=30), (200, 3000..=3600)] {
            let before = app.runs();
            for _ in 0..2 {
                assert_eq!(get(&router, &format!("/{status}")).await.status, status);
            }
            assert_eq!(app.runs(), before + 1, "{status}");
            let ttl = missing_entry(State(app.clone()), Path(status)).ttl().await.unwrap().unwrap();
            assert!(seconds.contains(&ttl.as_secs()), "{status}: {ttl:?}");
        }
        for _ in 0..2 {
            get(&router, "/403").await;
        }
        assert_eq!(app.runs(), 5);
    }
}

#[tokio::test]
async fn a_closure_decides_by_the_page() {
    #[redis_cached(response, prefix = "life", cache = app.cache, skip(app), none_ttl = 5, ttl = |page| page.body().len() as u64)]
    async fn chosen(State(app): State<App>, Path(len): Path<usize>) -> Response {
        app.run();
        if len == 9 { StatusCode::GONE.into_response() } else { "x".repeat(len).into_response() }
    }
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/{len}", routing::get(chosen)).with_state(app.clone());
        for (len, most) in [(100, 100), (9, 5)] {
            get(&router, &format!("/{len}")).await;
            let ttl = chosen_entry(State(app.clone()), Path(len)).ttl().await.unwrap().unwrap();
            assert!(ttl.as_secs() <= most && ttl.as_secs() + 4 >= most, "{ttl:?}");
        }
        get(&router, "/0").await;
        assert!(chosen_entry(State(app.clone()), Path(0)).get().await.unwrap().is_none());
    }
}

/// The status of the next responses.
static STATUS: [AtomicU16; 2] = [const { AtomicU16::new(200) }; 2];

#[redis_cached(response, prefix = "life", cache = app.cache, skip(app), ttl = "30ms", stale_if_error = "1h", cache_status = on)]
async fn flaky(State(app): State<App>, Path(which): Path<usize>) -> Response {
    let run = app.run();
    (StatusCode::from_u16(STATUS[which].load(SeqCst)).unwrap(), run.to_string()).into_response()
}

#[tokio::test]
async fn where_the_server_fails_the_old_page_is_served() {
    let server = Server::start();
    for (which, app) in apps(&server).into_iter().enumerate() {
        let router = Router::new().route("/{which}", routing::get(flaky)).with_state(app.clone());
        let (uri, entry) = (format!("/{which}"), || flaky_entry(State(app.clone()), Path(which)));
        STATUS[which].store(503, SeqCst);
        assert_eq!(get(&router, &uri).await.status, 503, "there is no old page");
        STATUS[which].store(200, SeqCst);
        let stored = get(&router, &uri).await;
        expired(entry()).await;
        STATUS[which].store(500, SeqCst);
        let old = get(&router, &uri).await;
        assert_eq!((old.status, &old.body), (200, &stored.body));
        assert!(old.header("cache-status").starts_with("redis-cached; hit; ttl=-"), "{old:?}");
        // A client's mistake is no failure of the server, and what was there before is out of date.
        STATUS[which].store(403, SeqCst);
        in_time("the pause is over", async || get(&router, &uri).await.status == 403).await;
        STATUS[which].store(500, SeqCst);
        assert_eq!(get(&router, &uri).await.status, 500, "the old page is gone");
    }
}

#[tokio::test]
async fn an_old_page_is_refreshed_in_the_background() {
    #[redis_cached(response, prefix = "life", cache = app.cache, skip(app), ttl = "30ms", stale_while_revalidate = "1h")]
    async fn old(State(app): State<App>, Path(id): Path<u64>) -> Response {
        let run = app.run();
        if run == 2 { StatusCode::BAD_GATEWAY.into_response() } else { format!("{id} {run}").into_response() }
    }
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/{id}", routing::get(old)).with_state(app.clone());
        assert_eq!(get(&router, "/7").await.text(), "7 1");
        expired(old_entry(State(app.clone()), Path(7))).await;
        assert_eq!(get(&router, "/7").await.text(), "7 1", "old, but at once");
        in_time("the refresh runs, and fails", async || app.runs() == 2).await;
        assert_eq!(get(&router, "/7").await.text(), "7 1", "a refresh that fails changes nothing");
        in_time("the next refresh is stored", async || get(&router, "/7").await.text() != "7 1").await;
    }
}
