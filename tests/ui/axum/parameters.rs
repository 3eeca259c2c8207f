//! Handlers that take more of a request than a key can tell.

use axum::{Extension, Json};
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request};
use axum::http::HeaderMap;
use axum::response::{Html, Response};
use redis_cached::redis_cached;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Filter {
    text: String,
}

#[redis_cached(response)]
async fn request(request: Request) -> String {
    request.uri().to_string()
}

#[redis_cached(response, key = "{request.uri().path()}")]
async fn a_part_of_the_request(request: Request) -> String {
    request.uri().to_string()
}

#[redis_cached]
async fn bytes(body: Bytes) -> Json<usize> {
    Json(body.len())
}

#[redis_cached(response)]
async fn text(Path(id): Path<u64>, body: String) -> String {
    format!("{id} {body}")
}

#[redis_cached]
async fn body(body: Body) -> Result<Html<String>, String> {
    drop(body);
    Err(String::new())
}

#[redis_cached(response)]
async fn json(Json(filter): Json<Filter>) -> Response {
    Response::new(filter.text.into())
}

#[redis_cached]
async fn optional_json(filter: Option<Json<Filter>>) -> Json<bool> {
    Json(filter.is_some())
}

#[redis_cached(response, key = "{id}:{headers.len()}")]
async fn within_a_tuple((Path(id), headers): (Path<u64>, HeaderMap)) -> String {
    format!("{id} {headers:?}")
}

#[redis_cached(key = "{headers.0.len()}")]
async fn within_an_extension(headers: Extension<HeaderMap>) -> Json<usize> {
    Json(headers.0.len())
}

fn main() {}
