//! Answers to clients that have the response already.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, TRAILER,
    TRANSFER_ENCODING,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body::Frame;

/// A middleware that answers `304 Not Modified` where the client has the response already: its `If-None-Match` names
/// the response's `ETag`.
///
/// ```
/// use axum::{Router, middleware, routing::get};
/// # async fn weather() {}
///
/// let app: Router = Router::new()
///     .route("/weather/{city}", get(weather))
///     .layer(middleware::from_fn(redis_cached::axum::conditional));
/// ```
///
/// It serves any response with an `ETag` and a status of success, whether a cached function made it or not. Functions with
/// `response` give their responses an `ETag`, and `Cache-Control: no-cache`, with which browsers ask again each time. Methods
/// other than `GET` and `HEAD` pass.
pub async fn conditional(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_read || !request.headers().contains_key(IF_NONE_MATCH) {
        return next.run(request).await;
    }
    let known: HeaderMap =
        request.headers().get_all(IF_NONE_MATCH).iter().map(|value| (IF_NONE_MATCH, value.clone())).collect();
    let response = next.run(request).await;
    if response.status().is_success() && is_known(&response, &known) { not_modified(response) } else { response }
}

/// Returns true if the client knows the tag of the response.
fn is_known(response: &Response, known: &HeaderMap) -> bool {
    let Some(tag) = response.headers().get(ETAG).map(|tag| opaque(tag.as_bytes())) else { return false };
    known.get_all(IF_NONE_MATCH).iter().any(|list| names(list.as_bytes(), tag))
}

/// The tag without its mark of a weak one: this comparison takes weak and strong tags alike (RFC 9110, section 13.1.2).
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// Returns true if a list of tags names `tag`, or is `*`. A comma may be a part of a tag.
fn names(list: &[u8], tag: &[u8]) -> bool {
    if list.trim_ascii() == b"*" {
        return true;
    }
    let mut rest = list;
    loop {
        let start = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','));
        rest = opaque(start.map_or(&[], |start| &rest[start..]));
        // A list that is malformed from here on names nothing more.
        let [b'"', inner @ ..] = rest else { return false };
        let Some(end) = inner.iter().position(|byte| *byte == b'"') else { return false };
        let (one, after) = rest.split_at(end + 2);
        if one == tag {
            return true;
        }
        rest = after;
    }
}

/// The same response without its content, and without the headers that describe it.
fn not_modified(response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    let of_content =
        [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, TRAILER, TRANSFER_ENCODING];
    for name in of_content {
        parts.headers.remove(name);
    }
    Response::from_parts(parts, Body::new(Nothing))
}

/// No content, of a length that is not told: axum would give an empty body a `Content-Length` of 0, which would be wrong for
/// the response that the client has.
struct Nothing;

impl HttpBody for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_weak_tags_and_stars() {
        for (list, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            (" \"b\" , W/\"a\"", true),
            ("\"b\",\"a\"", true),
            (",, \"a\"", true),
            ("*", true),
            (" * ", true),
            ("\"b\"", false),
            ("\"a,\"", false),
            ("\"b, \"a\"", false),
            ("a", false),
            ("\"a", false),
            ("", false),
            ("*, \"b\"", false),
            ("w/\"a\"", false),
        ] {
            assert_eq!(names(list.as_bytes(), b"\"a\""), expected, "{list}");
        }
        assert!(names(b"\"x\", \"a,b\"", b"\"a,b\""), "a comma may be a part of a tag");
    }
}
