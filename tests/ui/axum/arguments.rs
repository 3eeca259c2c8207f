//! Misuse of the arguments about responses.

use redis_cached::redis_cached;

#[redis_cached(response = on)]
async fn with_a_value() -> String {
    String::new()
}

#[redis_cached(client = "max-age=30", max_body = 10, cache_status = on)]
async fn without_response() -> String {
    String::new()
}

#[redis_cached(response)]
fn plain() -> String {
    String::new()
}

#[redis_cached(response, codec = bincode, returns = value, share_errors = off, siblings = off)]
async fn without_effect() -> String {
    String::new()
}

#[redis_cached(response, client = "", max_body = "1 MB", cache_status = yes)]
async fn values() -> String {
    String::new()
}

#[redis_cached(response, client = "max-age=30\n")]
async fn two_lines() -> String {
    String::new()
}

#[redis_cached(response, vary(accept))]
async fn vary_without_headers(id: u64) -> String {
    id.to_string()
}

#[redis_cached(response, client_may_bypass = on)]
async fn bypass_without_headers(id: u64) -> String {
    id.to_string()
}

#[redis_cached(response, client_may_bypass, skip(headers))]
async fn bypass_alone(headers: axum::http::HeaderMap) -> String {
    headers.len().to_string()
}

#[redis_cached(client_may_bypass = on)]
async fn bypass_without_response() -> String {
    String::new()
}

#[redis_cached(response, vary(), skip(headers))]
async fn vary_of_nothing(headers: axum::http::HeaderMap) -> String {
    headers.len().to_string()
}

#[redis_cached(response, vary("accept language", accept, "Accept", 7))]
async fn names(headers: axum::http::HeaderMap) -> String {
    headers.len().to_string()
}

#[redis_cached(response, vary(accept), key = "{headers.len()}")]
async fn vary_beside_a_placeholder(headers: axum::http::HeaderMap) -> String {
    headers.len().to_string()
}

#[redis_cached(response, ttl = "soon")]
async fn one_error_alone() -> impl axum::response::IntoResponse {
    "none about the type"
}

fn main() {}
