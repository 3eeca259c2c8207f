//! What the compiler says about types of handlers.

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use redis_cached::redis_cached;
use serde::Serialize;

struct Neither;

#[derive(Serialize)]
struct Written;

struct Filter;

#[redis_cached]
async fn value() -> Json<Neither> {
    Json(Neither)
}

#[redis_cached]
async fn not_read() -> Result<Json<Vec<Written>>, StatusCode> {
    Ok(Json(vec![Written]))
}

#[redis_cached]
async fn with_a_status() -> (StatusCode, Json<u64>) {
    (StatusCode::OK, Json(1))
}

#[redis_cached]
async fn any_response() -> impl IntoResponse {
    "text"
}

#[redis_cached]
async fn a_response() -> Response {
    Response::new(Body::empty())
}

#[redis_cached(response)]
async fn no_response() -> Neither {
    Neither
}

#[redis_cached(response)]
async fn query(Query(filter): Query<Filter>) -> String {
    drop(filter);
    String::new()
}

#[redis_cached(response)]
async fn user(Extension(user): Extension<Neither>, Path(id): Path<u64>) -> String {
    drop(user);
    id.to_string()
}

#[redis_cached(response, stale_while_revalidate = "30s", skip(neither))]
async fn refreshed(neither: Path<Neither>) -> String {
    drop(neither);
    String::new()
}

fn main() {}
