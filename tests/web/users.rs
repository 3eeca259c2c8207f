//! Two users of one handler do not get each other's response, however the handler learns of them.
//!
//! `tests/ui/axum/users.rs` has the ways that do not compile.

use axum::extract::{FromRequestParts, Path, State};
use axum::http::{HeaderMap, StatusCode, request};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router, routing};
use redis_cached::redis_cached;
use serde::Serialize;
use test_support::Server;

use crate::{App, apps, get_with};

/// The user of a request, found by an extractor.
#[derive(Clone, Debug, Serialize)]
struct User {
    name: String,
}

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = StatusCode;
    async fn from_request_parts(parts: &mut request::Parts, _: &S) -> Result<User, StatusCode> {
        let name = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
        name.map(|name| User { name: name.to_owned() }).ok_or(StatusCode::UNAUTHORIZED)
    }
}

#[redis_cached(prefix = "users", cache = app.cache, skip(app))]
async fn json_by_extractor(State(app): State<App>, user: User) -> Json<String> {
    app.run();
    Json(user.name)
}

#[redis_cached(prefix = "users", cache = app.cache, skip(app))]
async fn json_by_extension(
    State(app): State<App>,
    Extension(user): Extension<User>,
) -> Result<Json<String>, StatusCode> {
    app.run();
    Ok(Json(user.name))
}

#[redis_cached(response, prefix = "users", cache = app.cache, skip(app))]
async fn response_by_extractor(State(app): State<App>, User { name }: User) -> String {
    app.run();
    format!("\"{name}\"")
}

#[redis_cached(response, prefix = "users", cache = app.cache, skip(app))]
async fn response_of_anybody(State(app): State<App>, user: Option<User>) -> Response {
    app.run();
    user.map_or(StatusCode::NO_CONTENT.into_response(), |user| format!("\"{}\"", user.name).into_response())
}

#[redis_cached(response, prefix = "users", cache = app.cache, skip(app), key = "of:{user}")]
async fn response_by_template(State(app): State<App>, user: User) -> String {
    app.run();
    format!("\"{}\"", user.name)
}

#[redis_cached(response, prefix = "users", cache = app.cache, skip(app), vary(authorization))]
async fn response_by_header(State(app): State<App>, headers: HeaderMap) -> String {
    app.run();
    format!("{:?}", headers["authorization"])
}

/// The body reads a header that its key does not tell, and so does not get it.
#[redis_cached(response, prefix = "users", cache = app.cache, skip(app), vary(accept))]
async fn response_by_a_header_out_of_the_key(State(app): State<App>, headers: HeaderMap) -> Result<String, StatusCode> {
    app.run();
    headers.get("authorization").map(|user| format!("{user:?}")).ok_or(StatusCode::UNAUTHORIZED)
}

/// The body says that its response is for one user.
#[redis_cached(response, prefix = "users", cache = app.cache, skip(app, user))]
async fn private_response(State(app): State<App>, user: User) -> Response {
    app.run();
    ([("cache-control", "private")], format!("\"{}\"", user.name)).into_response()
}

/// The response names the header on which it depends.
#[redis_cached(response, prefix = "users", cache = app.cache, skip(app, headers))]
async fn response_that_varies(State(app): State<App>, headers: HeaderMap) -> Response {
    app.run();
    ([("vary", "authorization")], format!("{:?}", headers["authorization"])).into_response()
}

#[redis_cached(response, prefix = "users", cache = app.cache, skip(app), group = "user:{user.name}")]
async fn response_in_a_group(State(app): State<App>, user: User, Path(_which): Path<String>) -> String {
    app.run();
    format!("\"{}\"", user.name)
}

#[tokio::test]
async fn users_do_not_get_each_others_responses() {
    let server = Server::start();
    for app in apps(&server) {
        let router = Router::new()
            .route("/1", routing::get(json_by_extractor))
            .route("/2", routing::get(json_by_extension))
            .route("/3", routing::get(response_by_extractor))
            .route("/4", routing::get(response_by_template))
            .route("/5", routing::get(response_by_header))
            .route("/6", routing::get(private_response))
            .route("/7", routing::get(response_that_varies))
            .route("/in/{which}", routing::get(response_in_a_group))
            .layer(axum::middleware::from_fn(
                async |user: User, mut request: axum::extract::Request, next: axum::middleware::Next| {
                    request.extensions_mut().insert(user);
                    next.run(request).await
                },
            ))
            .with_state(app.clone());
        for uri in ["/1", "/2", "/3", "/4", "/5", "/6", "/7", "/in/x"] {
            let (before, mut seen) = (app.runs(), Vec::new());
            for _ in 0..2 {
                for user in ["ada", "bob"] {
                    let answer = get_with(&router, uri, &[("authorization", user)]).await;
                    assert_eq!((answer.status, answer.text()), (200, format!("\"{user}\"").as_str()), "{uri}");
                    seen.push(answer);
                }
            }
            let is_stored = !["/6", "/7"].contains(&uri);
            assert_eq!(app.runs(), before + if is_stored { 2 } else { 4 }, "{uri}");
        }
    }
}

#[tokio::test]
async fn what_the_key_does_not_tell_does_not_reach_the_body() {
    let server = Server::start();
    for app in apps(&server) {
        let router =
            Router::new().route("/", routing::get(response_by_a_header_out_of_the_key)).with_state(app.clone());
        for user in ["ada", "bob"] {
            assert_eq!(get_with(&router, "/", &[("authorization", user)]).await.status, 401);
        }
    }
}

#[tokio::test]
async fn nobody_is_a_user_too() {
    let server = Server::start();
    for app in apps(&server) {
        for name in [Some("ada"), None, Some("bob"), Some("ada"), None] {
            let user = name.map(|name| User { name: name.to_owned() });
            let response = response_of_anybody(State(app.clone()), user).await;
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            assert_eq!(body, name.map_or(String::new(), |name| format!("\"{name}\"")));
        }
        assert_eq!(app.runs(), 3);
    }
}

#[redis_cached(response, prefix = "users", cache = app.cache, skip(app, user), key = "{user.name.len()}",
    tags = ["length:{user.name.len()}"])]
async fn response_of_a_part(State(app): State<App>, user: User) -> String {
    app.run();
    user.name.len().to_string()
}

/// The rest of a parameter is left out by its name alone.
#[tokio::test]
async fn a_part_of_a_user_is_shared_if_the_user_is_skipped() {
    let server = Server::start();
    for app in apps(&server) {
        for (name, runs) in [("ada", 1), ("bob", 1), ("carol", 2)] {
            response_of_a_part(State(app.clone()), User { name: name.to_owned() }).await;
            assert_eq!(app.runs(), runs);
        }
    }
}

#[redis_cached(prefix = "users", key = "headers:{headers.len()}", cache = app.cache, skip(app))]
async fn number_of_headers(app: &App, headers: &HeaderMap) -> usize {
    app.run();
    headers.len()
}

#[tokio::test]
async fn a_function_that_is_no_handler_takes_headers_by_reference() {
    let server = Server::start();
    for app in apps(&server) {
        let headers = HeaderMap::new();
        for _ in 0..2 {
            assert_eq!(number_of_headers(&app, &headers).await, 0);
        }
        assert_eq!(app.runs(), 1);
    }
}
