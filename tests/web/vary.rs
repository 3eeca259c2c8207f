//! `vary`: headers of the request that are part of the key.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use redis_cached::redis_cached;
use test_support::{Server, expired, in_time};

use crate::{App, apps, get, get_with};

#[redis_cached(response, prefix = "vary", cache = app.cache, skip(app), vary(accept_language, "X-Tenant"))]
async fn page(State(app): State<App>, headers: HeaderMap, Path(id): Path<u64>) -> Response {
    app.run();
    let text = |name| headers.get(name).map_or("none", |value| value.to_str().unwrap_or("no text"));
    let said = format!("{id} {} {} {}", text("accept-language"), text("x-tenant"), text("authorization"));
    ([("vary", "Accept-Language")], said).into_response()
}

#[tokio::test]
async fn the_named_headers_tell_entries_apart() {
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/{id}", routing::get(page)).with_state(app.clone());
        let runs = [
            (vec![("accept-language", "de")], "1 de none none"),
            (vec![("accept-language", "en")], "1 en none none"),
            (vec![], "1 none none none"),
            (vec![("accept-language", "")], "1  none none"),
            (vec![("x-tenant", "de")], "1 none de none"),
            (vec![("accept-language", "de"), ("accept-language", "en")], "1 de none none"),
            (vec![("accept-language", "de, en")], "1 de, en none none"),
            (vec![("accept-language", "de:"), ("x-tenant", "x")], "1 de: x none"),
            (vec![("accept-language", "de"), ("x-tenant", ":x")], "1 de :x none"),
        ];
        for (at, (headers, expected)) in runs.iter().enumerate() {
            for _ in 0..2 {
                let answer = get_with(&router, "/1", headers).await;
                assert_eq!(answer.text(), *expected);
                let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
                assert_eq!(vary, ["Accept-Language", "x-tenant"], "other caches are told");
                assert_eq!(app.runs(), at + 1, "{headers:?}");
            }
        }
    }
}

/// A tag is that of one representation, of which the body is a part (RFC 9110, section 8.8.1).
#[tokio::test]
async fn representations_with_one_body_have_different_tags() {
    #[redis_cached(response, prefix = "vary", cache = app.cache, skip(app), vary(accept, accept_language))]
    async fn empty(State(app): State<App>, headers: HeaderMap) -> Response {
        app.run();
        let asked = |name| headers.get(name).map_or("none", |value| value.to_str().unwrap()).to_owned();
        ([("content-type", asked("accept")), ("content-language", asked("accept-language"))], "[]").into_response()
    }
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/", routing::get(empty)).with_state(app.clone());
        let mut tags = std::collections::BTreeSet::new();
        for (accept, language) in [("text/plain", "de"), ("application/json", "de"), ("text/plain", "en")] {
            let tag = get_with(&router, "/", &[("accept", accept), ("accept-language", language)]).await;
            tags.insert(tag.header("etag").to_owned());
        }
        assert_eq!(tags.len(), 3, "{tags:?}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_tell_entries_apart() {
    let server = Server::start();
    for app in apps(&server) {
        let headers = |bytes: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("accept-language", axum::http::HeaderValue::from_bytes(bytes).unwrap());
            headers
        };
        for bytes in [&b"\xe9"[..], b"\xe8", "\u{fffd}".as_bytes()] {
            page(State(app.clone()), headers(bytes), Path(1)).await;
        }
        assert_eq!(app.runs(), 3);
        assert!(page_entry(State(app.clone()), headers(b"\xe8"), Path(1)).get().await.unwrap().is_some());
    }
}

/// What is not in the key cannot reach the body.
#[tokio::test]
async fn the_body_sees_no_other_header() {
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/{id}", routing::get(page)).with_state(app.clone());
        for user in ["ada", "bob"] {
            let answer = get_with(&router, "/1", &[("authorization", user), ("accept-language", "de")]).await;
            assert_eq!(answer.text(), "1 de none none");
        }
        assert_eq!(app.runs(), 1);
    }
}

#[tokio::test]
async fn nor_does_a_refresh_in_the_background() {
    #[redis_cached(response, prefix = "vary", cache = app.cache, skip(app), vary(accept), ttl = "30ms", stale_while_revalidate = "1h")]
    async fn old(State(app): State<App>, headers: HeaderMap) -> Response {
        let run = app.run();
        format!("{run} {:?} {:?}", headers.get("accept"), headers.get("authorization")).into_response()
    }
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/", routing::get(old)).with_state(app.clone());
        let ask = async || get_with(&router, "/", &[("accept", "text/html"), ("authorization", "ada")]).await;
        assert_eq!(ask().await.text(), "1 Some(\"text/html\") None");
        let mut headers = HeaderMap::new();
        headers.insert("accept", "text/html".parse().unwrap());
        expired(old_entry(State(app.clone()), headers)).await;
        ask().await;
        in_time("the refresh runs", async || app.runs() > 1).await;
        in_time("it is stored", async || {
            let text = ask().await.text().to_owned();
            assert!(text.ends_with(" Some(\"text/html\") None"), "{text}");
            !text.starts_with('1')
        })
        .await;
    }
}

#[tokio::test]
async fn with_a_template() {
    #[redis_cached(response, prefix = "vary", cache = app.cache, skip(app), key = "{id}", vary(accept))]
    async fn keyed(State(app): State<App>, Path(id): Path<u64>, headers: HeaderMap) -> Response {
        format!("{id} {:?} {}", headers.get("accept"), app.run()).into_response()
    }
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new().route("/{id}", routing::get(keyed)).with_state(app.clone());
        for (accept, runs) in [("a", 1), ("b", 2), ("a", 1)] {
            let answer = get_with(&router, "/7", &[("accept", accept)]).await;
            assert_eq!(answer.text(), format!("7 Some(\"{accept}\") {runs}"));
        }
        assert_eq!(get(&router, "/7").await.text(), "7 None 3");
    }
}
