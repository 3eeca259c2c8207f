//! A response in the cache.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, HeaderName, HeaderValue,
    TRAILER,
};
use axum::http::{HeaderMap, StatusCode, response};
use axum::response::Response;
use bytes::Bytes;

use super::unstored::Unstored;
use crate::hash::hash_128;
#[cfg(feature = "local")]
use crate::plan::local::{LocalFns, Times, local_fns};

/// A stored HTTP response: the status, the headers and the body.
///
/// It is the type of the values of functions with `response`: closures of the attribute see it, and entries return it. Among
/// its headers are all that the handler set, apart from those of one connection or one message (`Connection`, `Date`,
/// `Content-Length` and the like), and an `ETag`. It lacks what a hit adds: `Age`, and `Cache-Control` if the
/// handler set none.
#[derive(Clone, Debug)]
pub struct Page {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) origin: Origin,
}

/// The way by which a page came to a call.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// The body of the call made it.
    Computed,
    /// It was stored, or shared between calls.
    Stored {
        /// In milliseconds of the store's clock; 0 if the page was shared without being stored.
        filled_at: u64,
        fresh_until: u64,
    },
    /// The response must not be stored, and goes on as it came. The body of the page is empty.
    Passing(Arc<Mutex<Option<Response>>>, Unstored),
}

impl Page {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// A response that was read to its end, and may be stored.
    pub(super) fn new(parts: response::Parts, body: Bytes) -> Page {
        let response::Parts { status, mut headers, .. } = parts;
        remove_hop_by_hop(&mut headers);
        let has_representation = matches!(status, StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION);
        if has_representation
            && !headers.contains_key(ETAG)
            && let Ok(tag) = HeaderValue::try_from(format!("\"{:032x}\"", representation(&headers, &body)))
        {
            headers.insert(ETAG, tag);
        }
        Page { status, headers, body, origin: Origin::Computed }
    }

    /// A response that must not be stored.
    pub(super) fn passing(response: Response, why: Unstored) -> Page {
        Page {
            status: response.status(),
            headers: response.headers().clone(),
            body: Bytes::new(),
            origin: Origin::Passing(Arc::new(Mutex::new(Some(response))), why),
        }
    }

    /// The same page, as the store has it.
    #[cfg(feature = "local")]
    fn stored(&self, (filled_at, fresh_until): Times) -> Page {
        let origin = match &self.origin {
            Origin::Computed | Origin::Stored { .. } => Origin::Stored { filled_at, fresh_until },
            passing => passing.clone(),
        };
        Page { origin, ..self.clone() }
    }

    pub(super) fn is_passing(&self) -> bool {
        self.unstored().is_some()
    }

    /// Why the response must not be stored; `None` if it may be.
    pub(super) fn unstored(&self) -> Option<Unstored> {
        match self.origin {
            Origin::Passing(_, why) => Some(why),
            Origin::Computed | Origin::Stored { .. } => None,
        }
    }

    /// The response that must not be stored, once.
    pub(super) fn take_passing(&self) -> Option<Response> {
        match &self.origin {
            Origin::Passing(response, _) => response.lock().unwrap_or_else(PoisonError::into_inner).take(),
            Origin::Computed | Origin::Stored { .. } => None,
        }
    }
}

/// How pages are kept: with the times that the store has, which their headers tell.
#[cfg(feature = "local")]
pub fn local_pages() -> LocalFns<Page> {
    LocalFns { kept: |page, times| Arc::new(page.stored(times)), ..local_fns() }
}

/// A hash of what makes a representation: two that differ in it have different tags (RFC 9110, section 8.8.1).
fn representation(headers: &HeaderMap, body: &[u8]) -> u128 {
    let mut parts = hash_128(body).to_le_bytes().to_vec();
    for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
        for value in headers.get_all(&name) {
            parts.extend_from_slice(name.as_str().as_bytes());
            parts.extend_from_slice(&(value.len() as u64).to_le_bytes());
            parts.extend_from_slice(value.as_bytes());
        }
    }
    hash_128(&parts)
}

/// Removes the headers that belong to one connection or one message (RFC 9110, section 7.6.1).
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [CONNECTION, CONTENT_LENGTH, DATE, TRAILER] {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"] {
        headers.remove(name);
    }
}
