//! What a client asks of the cache by `Cache-Control` in its request, for functions that let clients do so.

use std::future::Future;

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::lists::directive;
use super::rules::Rules;
use super::serve::Forwarded;
use crate::engine::Verb;
use crate::poll::outlined::nested;

/// What a call does if the client's wish counts: `no-cache` runs the body, and stores what it returns.
pub fn asked_verb(verb: Verb, headers: &HeaderMap) -> Verb {
    if asks(headers, b"no-cache") { Verb::Refresh } else { verb }
}

/// Returns true if the client's `no-store` counts. A refresh that the program asks for is stored.
pub fn asks_not_to_store(headers: &HeaderMap, verb: Verb) -> bool {
    verb == Verb::Call && asks(headers, b"no-store")
}

/// The response of a body that runs without the cache.
pub async fn unstored_response<F, Fut>(rules: &'static Rules, body: F) -> Response
where
    F: FnOnce() -> Fut,
    Fut: Future<Output: IntoResponse>,
{
    let mut response = nested(body).await.into_response();
    rules.tell_forwarded(response.headers_mut(), Forwarded::Request, None);
    response
}

/// Returns true if the request has this directive. What is malformed asks for nothing.
fn asks(headers: &HeaderMap, wanted: &[u8]) -> bool {
    directive(headers, wanted).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use axum::http::header::CACHE_CONTROL;

    #[test]
    fn directives_are_members_of_a_list() {
        for (value, no_cache, no_store) in [
            (&b""[..], false, false),
            (b"no-cache", true, false),
            (b"max-age=0, No-Cache", true, false),
            (b"no-store,no-cache", true, true),
            (b"  no-store  ", false, true),
            (b"no-cache=x", true, false),
            (b"max-age=0", false, false),
            (b"not-no-store", false, false),
            (b"no store", false, false),
            (b"\xe9, no-store", false, true),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(CACHE_CONTROL, HeaderValue::from_static("max-stale"));
            headers.append(CACHE_CONTROL, HeaderValue::from_bytes(value).expect("a value"));
            let asked = (asks(&headers, b"no-cache"), asks(&headers, b"no-store"));
            assert_eq!(asked, (no_cache, no_store), "{}", String::from_utf8_lossy(value));
        }
    }
}
