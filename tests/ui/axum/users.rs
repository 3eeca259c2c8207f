//! Handlers that would give one user the response of another.

use axum::{Extension, Json};
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use redis_cached::redis_cached;

#[derive(Clone)]
struct User {
    id: u64,
}

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = StatusCode;
    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<User, StatusCode> {
        Ok(User { id: 1 })
    }
}

#[redis_cached(response, key = "{id}")]
async fn forgotten(Path(id): Path<u64>, user: User) -> String {
    format!("{id} {}", user.id)
}

#[redis_cached]
async fn forgotten_of_json(Path(id): Path<u64>, headers: HeaderMap) -> Json<u64> {
    Json(id + headers.len() as u64)
}

#[redis_cached(response, key = "{headers.len()}:{id}")]
async fn a_part_of_the_headers(Path(id): Path<u64>, headers: HeaderMap) -> String {
    format!("{id} {headers:?}")
}

#[redis_cached(response, key = "{parts.uri.path()}")]
async fn parts(parts: Parts) -> String {
    format!("{parts:?}")
}

type Shared = Extension<HeaderMap>;

#[redis_cached(response, key = "{shared.0.len()}")]
async fn an_alias(shared: Shared) -> String {
    format!("{shared:?}")
}

struct Own(HeaderMap);

impl<S: Sync> FromRequestParts<S> for Own {
    type Rejection = StatusCode;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Own, StatusCode> {
        Ok(Own(parts.headers.clone()))
    }
}

#[redis_cached(response, key = "{headers.len()}")]
async fn within_a_pattern(Own(headers): Own) -> String {
    format!("{headers:?}")
}

#[redis_cached(response, key = "{user.id}")]
async fn a_part_of_the_user(user: User) -> String {
    user.id.to_string()
}

#[redis_cached(key = "{id}:{user.0.id % 2}")]
async fn a_part_within_an_extension(Path(id): Path<u64>, user: Extension<User>) -> Json<u64> {
    Json(id + user.0.id)
}

#[redis_cached(response, group = "{format!(\"{}\", user.id)}", key = "{id}")]
async fn a_part_in_a_macro(Path(id): Path<u64>, Extension(user): Extension<User>) -> String {
    format!("{id} {}", user.id)
}

#[derive(Clone)]
struct Names(String, String);

impl Names {
    fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::ops::Deref for Names {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

#[redis_cached(response, key = "{names.0}")]
async fn a_field_of_what_is_in_a_pattern(Extension(names): Extension<Names>) -> String {
    names.1
}

#[redis_cached(response, key = "{names.0.0}")]
async fn a_field_of_a_field(names: Extension<Names>) -> String {
    names.0.1
}

#[redis_cached(response, key = "{names.as_str()}")]
async fn a_method_of_its_own(Extension(names): Extension<Names>) -> String {
    names.1
}

#[redis_cached(response, key = "{*names}")]
async fn a_dereference_of_its_own(Extension(names): Extension<Names>) -> String {
    names.1
}

// Nothing tells that these are handlers but what they are used for.
#[redis_cached(key = "{headers.len()}")]
async fn of_no_known_return_type(headers: HeaderMap) -> String {
    format!("{headers:?}")
}

type Answer = Result<Json<u64>, StatusCode>;

#[redis_cached(key = "{shared.0.len()}:{id}", returns = result)]
async fn of_an_aliased_return_type(shared: Shared, Path(id): Path<u64>) -> Answer {
    Ok(Json(shared.len() as u64 + id))
}

#[redis_cached(key = "{headers.len()}")]
async fn of_a_pattern(Own(headers): Own) -> String {
    format!("{headers:?}")
}

#[redis_cached(key = "{user.id}:{id}")]
async fn of_a_part_of_the_user(user: User, Path(id): Path<u64>) -> String {
    format!("{id} {}", user.id)
}

struct CookieJar(Vec<String>);

#[redis_cached(key = "{jar.0.len()}")]
async fn of_all_cookies(jar: CookieJar) -> String {
    jar.0.concat()
}

fn main() {}
