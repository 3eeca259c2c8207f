//! `Json<T>` and `Html<T>` as return types: what is in them is stored.

use std::collections::HashMap;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing;
use axum::{Extension, Json, Router, debug_handler};
use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};
use test_support::{Server, caches, expired, in_time};

use crate::{App, apps, get};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    lang: String,
}

#[derive(Serialize, Deserialize)]
struct Lang {
    lang: String,
}

#[derive(Clone, Serialize)]
struct Tenant(String);

#[redis_cached(prefix = "wrap", cache = app.cache, skip(app))]
async fn json(State(app): State<App>, Path(id): Path<u64>, Query(query): Query<Lang>) -> Json<User> {
    app.run();
    Json(User { id, lang: query.lang })
}

#[debug_handler]
#[redis_cached(prefix = "wrap", cache = app.cache, skip(app))]
async fn below(State(app): State<App>, Path(id): Path<u64>) -> Result<Json<User>, StatusCode> {
    if app.run() == 1 { Err(StatusCode::BAD_GATEWAY) } else { Ok(Json(User { id, lang: String::new() })) }
}

#[redis_cached(prefix = "wrap", cache = app.cache, skip(app))]
#[debug_handler(state = App)]
async fn above(State(app): State<App>, Extension(Tenant(tenant)): Extension<Tenant>) -> Html<String> {
    app.run();
    Html(format!("<p>{tenant}</p>"))
}

#[redis_cached(prefix = "wrap", cache = cache, none_ttl = 60, skip(cache))]
async fn optional(cache: &Cache, id: u64) -> Option<Json<User>> {
    (id > 0).then(|| Json(User { id, lang: String::new() }))
}

#[redis_cached(prefix = "wrap", cache = cache, skip(cache))]
async fn optional_result(cache: &Cache, id: u64) -> Result<Option<Json<User>>, StatusCode> {
    Ok((id > 0).then(|| Json(User { id, lang: String::new() })))
}

#[redis_cached(prefix = "wrap", cache = app.cache, skip(app), ttl = "30ms", stale_while_revalidate = "1h")]
async fn stale(State(app): State<App>, Path(id): Path<u64>) -> Json<u64> {
    Json(id + app.run() as u64)
}

#[tokio::test]
async fn a_handler_is_cached_by_path_and_query() {
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/user/{id}", routing::get(json)).with_state(app.clone());
        for (uri, lang, runs) in [
            ("/user/1?lang=de", "de", 1),
            ("/user/1?lang=de", "de", 1),
            ("/user/1?lang=en", "en", 2),
            ("/user/1?lang=de", "de", 2),
        ] {
            let answer = get(&router, uri).await;
            assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
            assert_eq!(answer.text(), format!("{{\"id\":1,\"lang\":\"{lang}\"}}"));
            assert_eq!(app.runs(), runs, "{uri}");
        }
        assert_eq!(get(&router, "/user/x?lang=de").await.status, 400, "the extractor's rejection");
        assert_eq!(app.runs(), 2);
    }
}

#[tokio::test]
async fn an_error_is_not_stored_and_the_router_sees_the_same_handler() {
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new()
            .route("/below/{id}", routing::get(below))
            .route("/above", routing::get(above))
            .layer(Extension(Tenant("blue".into())))
            .with_state(app.clone());
        assert_eq!(get(&router, "/below/7").await.status, 502);
        assert_eq!(get(&router, "/below/7").await.text(), "{\"id\":7,\"lang\":\"\"}");
        assert_eq!(get(&router, "/below/7").await.status, 200);
        assert_eq!(app.runs(), 2);
        for _ in 0..2 {
            let answer = get(&router, "/above").await;
            assert_eq!(answer.text(), "<p>blue</p>");
            assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
            assert_eq!(app.runs(), 3);
        }
    }
}

/// Entries are those of a function that returns the value itself.
#[tokio::test]
async fn a_wrapper_and_its_value_share_entries() {
    #[redis_cached(prefix = "wrap", name = "shared", cache = cache, skip(cache))]
    async fn wrapped(cache: &Cache, id: u64) -> Json<User> {
        Json(User { id, lang: "wrapped".into() })
    }
    #[redis_cached(prefix = "wrap", name = "shared", cache = cache, skip(cache))]
    async fn plain(cache: &Cache, id: u64) -> User {
        User { id, lang: "plain".into() }
    }
    #[redis_cached(prefix = "wrap", name = "shared", cache = cache, skip(cache))]
    async fn perhaps(cache: &Cache, id: u64) -> Result<Option<Json<User>>, String> {
        Ok(Some(Json(User { id, lang: "perhaps".into() })))
    }
    #[redis_cached(prefix = "wrap", name = "shared", cache = cache, skip(cache), batch(id in ids))]
    async fn many(cache: &Cache, ids: &[u64]) -> HashMap<u64, Json<User>> {
        ids.iter().map(|id| (*id, Json(User { id: *id, lang: "many".into() }))).collect()
    }
    let server = Server::start();
    for cache in caches(&server) {
        assert_eq!(wrapped(&cache, 1).await.lang, "wrapped");
        assert_eq!(plain(&cache, 1).await.lang, "wrapped");
        assert_eq!(plain(&cache, 2).await.lang, "plain");
        assert_eq!(wrapped(&cache, 2).await.lang, "plain");
        assert_eq!(perhaps(&cache, 2).await.unwrap().unwrap().lang, "plain");
        assert_eq!(many(&cache, &[1, 2, 3]).await[&3].lang, "many");
        assert_eq!(wrapped(&cache, 3).await.lang, "many");
        assert_eq!(wrapped_entry(&cache, 3).get().await.unwrap().unwrap().lang, "many");
        wrapped_entry(&cache, 3).put(&Json(User { id: 3, lang: "put".into() })).await.unwrap();
        assert_eq!(plain(&cache, 3).await.lang, "put");
        plain_entry(&cache, 3).invalidate().await.unwrap();
        assert_eq!(wrapped_entry(&cache, 3).get().await.unwrap().map(|user| user.0), None);
        assert_eq!(wrapped_refresh(&cache, 2).await.lang, "wrapped");
        assert_eq!(plain(&cache, 2).await.lang, "wrapped");
    }
}

#[tokio::test]
async fn none_is_none() {
    let server = Server::start();
    for cache in caches(&server) {
        assert!(optional(&cache, 0).await.is_none());
        assert!(matches!(optional_entry(&cache, 0).get().await, Ok(Some(None))));
        assert_eq!(optional(&cache, 1).await.unwrap().id, 1);
        assert_eq!(optional(&cache, 1).await.unwrap().id, 1);
        assert!(optional_result(&cache, 0).await.unwrap().is_none());
        assert!(matches!(optional_result_entry(&cache, 0).get().await, Ok(None)), "not stored without `none_ttl`");
        assert_eq!(optional_result(&cache, 1).await.unwrap().unwrap().id, 1);
    }
}

/// `Path` is not `Clone`; a refresh keeps what is in it.
#[tokio::test]
async fn a_handler_is_refreshed_in_the_background() {
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/stale/{id}", routing::get(stale)).with_state(app.clone());
        assert_eq!(get(&router, "/stale/10").await.text(), "11");
        expired(stale_entry(State(app.clone()), Path(10))).await;
        assert_eq!(get(&router, "/stale/10").await.text(), "11", "old, but at once");
        in_time("the refresh runs", async || app.runs() == 2).await;
        in_time("it is stored", async || get(&router, "/stale/10").await.text() != "11").await;
    }
}

#[cfg(feature = "local")]
#[tokio::test]
async fn a_wrapper_is_kept_in_the_process() {
    #[redis_cached(prefix = "wrap", cache = cache, skip(cache), local = 10)]
    async fn kept(cache: &Cache, id: u64) -> Json<User> {
        Json(User { id, lang: String::new() })
    }
    let server = Server::start();
    for cache in caches(&server) {
        for _ in 0..3 {
            assert_eq!(kept(&cache, 1).await.id, 1);
        }
    }
}
