//! What a response from the cache has in addition to the stored headers.

use std::num::IntErrorKind;

use axum::body::Body;
use axum::http::header::{AGE, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, VARY};
use axum::response::Response;
use bytes::Bytes;

use super::page::{Origin, Page};
use super::rules::{Answer, Rules};
use super::unstored::Unstored;
use crate::engine::Verb;

/// Why a body ran.
#[derive(Clone, Copy)]
pub(super) enum Forwarded {
    /// There was no response to serve.
    Miss,
    /// The request asked for a new one.
    Request,
}

impl Forwarded {
    pub(super) fn by(verb: Verb) -> Forwarded {
        match verb {
            Verb::Call => Forwarded::Miss,
            Verb::Refresh => Forwarded::Request,
        }
    }
}

/// RFC 9211.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

impl Rules {
    /// The response to the client. `now` is the store's time at which the call began, and `has_run` is true if the call ran
    /// the body, for the reason that is given.
    pub(super) fn respond(&self, answer: Answer, now: u64, has_run: bool, why: Forwarded) -> Response {
        let (mut response, unstored) = match answer {
            Answer::Page(page) => match page.take_passing() {
                Some(response) => (response, page.unstored()),
                None => return self.serve(page, now, has_run.then_some(why)),
            },
            Answer::Failed(response) => (*response, None),
        };
        self.tell_forwarded(response.headers_mut(), why, unstored);
        response
    }

    /// The response of a page. `ran` says why the call ran the body, if it did.
    pub(super) fn serve(&self, page: Page, now: u64, ran: Option<Forwarded>) -> Response {
        let Page { status, mut headers, body, origin } = page;
        if !headers.contains_key(CACHE_CONTROL)
            && let Ok(client) = HeaderValue::from_maybe_shared(Bytes::from_static(self.client.as_bytes()))
        {
            headers.insert(CACHE_CONTROL, client);
        }
        self.add_vary(&mut headers);
        match origin {
            Origin::Stored { filled_at, fresh_until } => {
                add_age(&mut headers, age(filled_at, now));
                self.tell(&mut headers, || hit(fresh_until, now));
            }
            Origin::Computed | Origin::Passing(..) => {
                self.tell_forwarded(&mut headers, ran.unwrap_or(Forwarded::Miss), None);
            }
        }
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    /// Names the headers of the request that are in the key, for other caches. The handler may have named some.
    fn add_vary(&self, headers: &mut HeaderMap) {
        for name in self.vary {
            let is_named = headers
                .get_all(VARY)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .any(|value| value.split(',').any(|known| known.trim().eq_ignore_ascii_case(name)));
            if !is_named && let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from_static(name.as_bytes())) {
                headers.append(VARY, value);
            }
        }
    }

    /// Says that the body made the response, and why that is not stored.
    pub(super) fn tell_forwarded(&self, headers: &mut HeaderMap, why: Forwarded, unstored: Option<Unstored>) {
        let why = match why {
            Forwarded::Miss => "miss",
            Forwarded::Request => "request",
        };
        self.tell(headers, || match unstored {
            Some(unstored) => format!("redis-cached; fwd={why}; detail=\"{}\"", unstored.reason()),
            None => format!("redis-cached; fwd={why}"),
        });
    }

    /// Appends what this cache did to what others said.
    fn tell(&self, headers: &mut HeaderMap, status: impl FnOnce() -> String) {
        if self.cache_status
            && let Ok(status) = HeaderValue::try_from(status())
        {
            headers.append(CACHE_STATUS, status);
        }
    }
}

/// In seconds. A page that was shared before it was stored has none.
fn age(filled_at: u64, now: u64) -> u64 {
    if filled_at == 0 { 0 } else { now.saturating_sub(filled_at) / 1000 }
}

/// A response that the handler got from elsewhere has an age already.
fn add_age(headers: &mut HeaderMap, age: u64) {
    let before = headers.get(AGE).and_then(|value| seconds(value.to_str().ok()?.trim())).unwrap_or(0);
    headers.insert(AGE, HeaderValue::from(age.saturating_add(before)));
}

/// A number that is too large counts as 2³¹ (RFC 9111, section 1.2.2).
fn seconds(digits: &str) -> Option<u64> {
    match digits.parse::<u64>() {
        Ok(seconds) => Some(seconds),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => Some(1 << 31),
        Err(_) => None,
    }
}

/// How long the page stays fresh, in seconds; the number is negative for one that is stale.
fn hit(fresh_until: u64, now: u64) -> String {
    match fresh_until {
        // It was shared before it was stored, or it never expires.
        0 | u64::MAX => "redis-cached; hit".to_owned(),
        until if until > now => format!("redis-cached; hit; ttl={}", (until - now) / 1000),
        until => format!("redis-cached; hit; ttl=-{}", (now - until).div_ceil(1000).max(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_whole_seconds() {
        assert_eq!((age(1_000, 3_999), age(5_000, 4_000), age(0, 9_000)), (2, 0, 0));
        assert_eq!(hit(31_500, 1_000), "redis-cached; hit; ttl=30");
        for now in [1_000, 1_001, 2_000] {
            assert_eq!(hit(1_000, now), "redis-cached; hit; ttl=-1", "{now}");
        }
        assert_eq!(hit(u64::MAX, 1), "redis-cached; hit");
        let mut headers = HeaderMap::new();
        for (before, after) in [("40", "42"), ("99999999999999999999999", "2147483650"), ("soon", "2"), ("-4", "2")] {
            headers.insert(AGE, HeaderValue::from_static(before));
            add_age(&mut headers, 2);
            assert_eq!(headers[AGE], after);
        }
    }
}
