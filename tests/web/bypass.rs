//! `client_may_bypass`: a client can ask for a new response.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use redis_cached::redis_cached;
use test_support::{Server, expired};

use crate::{Answer, App, apps, get, get_with};

#[redis_cached(response, prefix = "bypass", cache = app.cache, skip(app), client_may_bypass = on, cache_status = on)]
async fn page(State(app): State<App>, headers: HeaderMap, Path(id): Path<u64>) -> Response {
    format!("{id}: {} with {} headers", app.run(), headers.len()).into_response()
}

#[redis_cached(response, prefix = "bypass", cache = app.cache, skip(app), vary(accept), cache_status = on)]
async fn closed(State(app): State<App>, headers: HeaderMap, Path(id): Path<u64>) -> Response {
    format!("{id}: {} with {} headers", app.run(), headers.len()).into_response()
}

fn router(app: &App) -> Router {
    let routes = Router::new().route("/page/{id}", routing::get(page)).route("/closed/{id}", routing::get(closed));
    routes.with_state(app.clone())
}

async fn asking(router: &Router, uri: &str, policy: &str) -> Answer {
    get_with(router, uri, &[("cache-control", policy), ("accept-language", "de")]).await
}

const HIT: &str = "redis-cached; hit; ttl=";

#[tokio::test]
async fn no_cache_computes_and_stores_anew() {
    let server = Server::start();
    for app in apps(&server) {
        let router = router(&app);
        assert_eq!(get(&router, "/page/1").await.header("cache-status"), "redis-cached; fwd=miss");
        let anew = asking(&router, "/page/1", "max-age=0, No-Cache").await;
        assert_eq!((anew.text(), anew.header("cache-status")), ("1: 2 with 0 headers", "redis-cached; fwd=request"));
        assert!(!anew.headers.contains_key("age"));
        let hit = get(&router, "/page/1").await;
        assert_eq!(hit.text(), "1: 2 with 0 headers", "it was stored");
        assert!(hit.header("cache-status").starts_with(HIT), "{hit:?}");
        assert_eq!(asking(&router, "/page/2", "no-cache").await.text(), "2: 3 with 0 headers", "there was nothing");
        assert_eq!((get(&router, "/page/2").await.text(), app.runs()), ("2: 3 with 0 headers", 3));
    }
}

#[tokio::test]
async fn no_store_computes_and_stores_nothing() {
    let server = Server::start();
    for app in apps(&server) {
        let router = router(&app);
        get(&router, "/page/1").await;
        for (policy, run) in [("no-store", 2), ("no-cache, no-store", 3)] {
            let beside = asking(&router, "/page/1", policy).await;
            assert_eq!(beside.text(), format!("1: {run} with 0 headers"));
            assert_eq!(beside.header("cache-status"), "redis-cached; fwd=request");
            assert!(!beside.headers.contains_key("etag"), "it goes on as it came");
        }
        assert_eq!(get(&router, "/page/1").await.text(), "1: 1 with 0 headers", "the old one stays");
        asking(&router, "/page/2", "no-store").await;
        assert!(page_entry(State(app.clone()), Path(2)).get().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn other_requests_are_served_from_the_cache() {
    let server = Server::start();
    for app in apps(&server) {
        let router = router(&app);
        for policy in ["max-age=0", "only-if-cached", "no-cachet", "", "x=no-store"] {
            assert_eq!(asking(&router, "/page/1", policy).await.text(), "1: 1 with 0 headers", "{policy}");
        }
        let answer = get_with(&router, "/page/1", &[("pragma", "no-cache")]).await;
        assert_eq!((answer.text(), app.runs()), ("1: 1 with 0 headers", 1));
    }
}

#[tokio::test]
async fn without_it_clients_ask_in_vain() {
    let server = Server::start();
    for app in apps(&server) {
        let router = router(&app);
        for policy in ["no-cache", "no-store", "no-cache, no-store"] {
            assert_eq!(asking(&router, "/closed/1", policy).await.text(), "1: 1 with 0 headers", "{policy}");
        }
        assert_eq!(app.runs(), 1);
    }
}

/// The headers of the request are in the key, or seen by the body, as without it.
#[tokio::test]
async fn with_headers_in_the_key_or_skipped() {
    #[redis_cached(response, prefix = "bypass", cache = app.cache, skip(app), client_may_bypass = on, vary(accept_language))]
    async fn varied(State(app): State<App>, headers: HeaderMap) -> Response {
        format!("{} {:?}", app.run(), headers.keys().map(|name| name.as_str()).collect::<Vec<_>>()).into_response()
    }
    #[redis_cached(response, prefix = "bypass", cache = app.cache, skip(app, headers), client_may_bypass = on)]
    async fn seen(State(app): State<App>, headers: HeaderMap) -> Response {
        format!("{} {}", app.run(), headers.len()).into_response()
    }
    let server = Server::start();
    for app in apps(&server) {
        let routes = Router::new().route("/varied", routing::get(varied)).route("/seen", routing::get(seen));
        let router = routes.with_state(app.clone());
        assert_eq!(asking(&router, "/varied", "no-cache").await.text(), "1 [\"accept-language\"]");
        assert_eq!(asking(&router, "/varied", "").await.text(), "1 [\"accept-language\"]");
        assert_eq!(get(&router, "/varied").await.text(), "2 []");
        assert_eq!(asking(&router, "/seen", "no-store").await.text(), "3 2");
        assert_eq!(asking(&router, "/seen", "no-cache").await.text(), "4 2");
        assert_eq!(get(&router, "/seen").await.text(), "4 2");
    }
}

/// What the program asks for is stored, whatever the client says.
#[tokio::test]
async fn a_refresh_stores() {
    let server = Server::start();
    for app in apps(&server) {
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", "no-store".parse().unwrap());
        page_refresh(State(app.clone()), headers, Path(1)).await;
        assert_eq!(get(&router(&app), "/page/1").await.text(), "1: 1 with 0 headers");
    }
}

#[tokio::test]
async fn with_refreshes_in_the_background() {
    #[redis_cached(response, prefix = "bypass", cache = app.cache, skip(app), client_may_bypass = on, ttl = "30ms", stale_while_revalidate = "1h")]
    async fn old(State(app): State<App>, _headers: HeaderMap) -> Response {
        app.run().to_string().into_response()
    }
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/", routing::get(old)).with_state(app.clone());
        assert_eq!(get(&router, "/").await.text(), "1");
        expired(old_entry(State(app.clone()))).await;
        assert_eq!(asking(&router, "/", "no-cache").await.text(), "2", "not the old one");
        assert_eq!(asking(&router, "/", "no-store").await.text(), "3");
    }
}

#[cfg(feature = "local")]
#[tokio::test]
async fn in_front_of_the_local_tier() {
    #[redis_cached(response, prefix = "bypass", cache = app.cache, skip(app), client_may_bypass = on, local = 10)]
    async fn kept(State(app): State<App>, _headers: HeaderMap) -> Response {
        app.run().to_string().into_response()
    }
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/", routing::get(kept)).with_state(app.clone());
        test_support::in_time("it is kept", async || {
            let before = app.cache.stats().local_hits;
            assert_eq!(get(&router, "/").await.text(), "1");
            app.cache.stats().local_hits > before
        })
        .await;
        assert_eq!(asking(&router, "/", "no-store").await.text(), "2");
        assert_eq!(get(&router, "/").await.text(), "1");
        assert_eq!(asking(&router, "/", "no-cache").await.text(), "3");
        assert_eq!(get(&router, "/").await.text(), "3");
    }
}
