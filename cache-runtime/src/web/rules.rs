//! Which responses are stored, and what a function says about its responses.

use std::time::SystemTime;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE, VARY};
use axum::http::{HeaderMap, HeaderName, StatusCode, response};
use axum::response::Response;

use axum::body::Body;

use super::body;
use super::freshness;
use super::page::Page;
use super::unstored::Unstored;
use crate::plan::function::Plan;
use crate::plan::ttl::Ttl;
use crate::poll::caught::caught;

/// The attribute's words about the responses of one function.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The longest body that is stored.
    pub max_body: usize,
    /// `Cache-Control` of responses for which the handler sets none.
    pub client: &'static str,
    /// The headers of the request that are part of the key, in lower case.
    pub vary: &'static [&'static str],
    /// `404` and `410` are stored.
    pub stores_missing: bool,
    /// Responses tell what the cache did.
    pub cache_status: bool,
}

impl Rules {
    /// The rules of a function whose attribute says no more.
    pub const DEFAULT: Rules =
        Rules { max_body: 1 << 20, client: "no-cache", vary: &[], stores_missing: false, cache_status: false };

    /// Reads a response as far as it may be stored. One that must not be stored goes on as it came.
    pub(super) async fn answer(&self, closures: Closures, response: Response) -> Answer {
        if response.status().is_server_error() {
            return Answer::Failed(Box::new(response));
        }
        let (parts, body) = response.into_parts();
        if let Err(why) = self.admit(&parts) {
            return Answer::Page(Page::passing(Response::from_parts(parts, body), why));
        }
        Answer::Page(match body::read(body, self.max_body).await {
            Ok(body) => {
                let page = Page::new(parts.clone(), body.clone());
                match closures.admit(&page) {
                    Ok(()) => page,
                    Err(why) => Page::passing(Response::from_parts(parts, Body::from(body)), why),
                }
            }
            Err((body, why)) => Page::passing(Response::from_parts(parts, body), why),
        })
    }

    /// Admits a response that may be stored, as far as its status and headers tell.
    fn admit(&self, parts: &response::Parts) -> Result<(), Unstored> {
        let response::Parts { status, headers, .. } = parts;
        let is_stored = match *status {
            StatusCode::OK
            | StatusCode::NON_AUTHORITATIVE_INFORMATION
            | StatusCode::NO_CONTENT
            | StatusCode::MOVED_PERMANENTLY
            | StatusCode::PERMANENT_REDIRECT => true,
            status => self.stores_missing && is_missing(status),
        };
        let conditions = [
            (is_stored, Unstored::Status),
            (!headers.contains_key(SET_COOKIE), Unstored::SetCookie),
            (all(headers, &VARY, |name| self.has_in_key(name)), Unstored::Vary),
            (all(headers, &CACHE_CONTROL, |directive| !forbids(directive)), Unstored::CacheControl),
            (!freshness::is_stale(headers, SystemTime::now()), Unstored::Stale),
            (!freshness::has_pragma(headers), Unstored::Pragma),
            (!is_endless(headers), Unstored::Endless),
        ];
        conditions.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, why)| Err(why))
    }

    /// Returns true for a header of the request that is part of the key.
    fn has_in_key(&self, name: &str) -> bool {
        self.vary.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// The closures of the attribute that decide whether a page is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closures {
    cache_if: fn(&Page) -> bool,
    ttl: fn(&Page) -> Ttl,
}

impl Closures {
    pub(super) fn of(plan: &Plan<Page>) -> Closures {
        Closures { cache_if: plan.cache_if, ttl: plan.ttl }
    }

    /// A page that is not stored is not shared either. One whose closure panics is no exception.
    fn admit(self, page: &Page) -> Result<(), Unstored> {
        let admits = caught(|| (self.cache_if)(page) && (self.ttl)(page) != Ttl::Millis(0)).unwrap_or(false);
        if admits { Ok(()) } else { Err(Unstored::Closure) }
    }
}

/// The result of a body.
pub(super) enum Answer {
    /// A response, which is stored if it may be.
    Page(Page),
    /// A response that says that the server failed.
    Failed(Box<Response>),
}

pub(super) fn is_missing(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

/// Returns true if all members of a header's list are fine. One that is no text is not.
fn all(headers: &HeaderMap, name: &HeaderName, is_fine: impl Fn(&str) -> bool) -> bool {
    headers.get_all(name).iter().all(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.split(',').map(str::trim).filter(|member| !member.is_empty()).all(&is_fine))
    })
}

/// Returns true for the directives with which a handler keeps a response out of shared caches. In a list that is
/// malformed, such as `private; max-age=60`, they count wherever they stand.
fn forbids(directive: &str) -> bool {
    let mut words = directive.split(|char: char| !char.is_ascii_alphanumeric() && char != '-');
    words.any(|word| ["no-store", "private", "no-cache"].iter().any(|known| known.eq_ignore_ascii_case(word)))
}

/// Returns true for streams that go on for as long as the client listens.
fn is_endless(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_TYPE).iter().any(|value| {
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let endless: [&[u8]; 2] = [b"text/event-stream", b"multipart/x-mixed-replace"];
        endless.iter().any(|known| known.eq_ignore_ascii_case(essence))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use axum::response::IntoResponse;

    fn admitted(rules: &Rules, status: u16, headers: &[(&'static str, &'static str)]) -> Result<(), Unstored> {
        let mut response = StatusCode::from_u16(status).expect("a status").into_response();
        for (name, value) in headers {
            response.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        rules.admit(&response.into_parts().0)
    }

    fn admits(rules: &Rules, status: u16, headers: &[(&'static str, &'static str)]) -> bool {
        admitted(rules, status, headers).is_ok()
    }

    #[test]
    fn few_statuses_are_stored() {
        let missing = Rules { stores_missing: true, ..Rules::DEFAULT };
        for status in 100..=599 {
            let always = [200, 203, 204, 301, 308].contains(&status);
            assert_eq!(admits(&Rules::DEFAULT, status, &[]), always, "{status}");
            assert_eq!(admits(&missing, status, &[]), always || [404, 410].contains(&status), "{status}");
        }
    }

    #[test]
    fn headers_forbid() {
        for (name, value) in [
            ("set-cookie", "session=1"),
            ("vary", "*"),
            ("vary", "accept-language, cookie"),
            ("vary", "Accept-Encoding"),
            ("cache-control", "private"),
            ("cache-control", "max-age=60, NO-STORE"),
            ("cache-control", "no-cache"),
            ("cache-control", "private=\"x-user, x-team\", max-age=1"),
            ("cache-control", "public,private"),
            ("cache-control", "private; max-age=60"),
            ("cache-control", "private max-age=60"),
            ("cache-control", "max-age=0;no-store"),
            ("content-type", "text/event-stream"),
            ("content-type", "Text/Event-Stream; charset=utf-8"),
            ("content-type", "multipart/x-mixed-replace; boundary=frame"),
        ] {
            let rules = Rules { vary: &["accept-language"], ..Rules::DEFAULT };
            assert!(!admits(&rules, 200, &[(name, value)]), "{name}: {value}");
            assert!(!admits(&rules, 200, &[(name, ""), (name, value)]), "{name}, twice: {value}");
        }
    }

    #[test]
    fn other_headers_do_not() {
        let rules = Rules { vary: &["accept-language", "accept"], ..Rules::DEFAULT };
        for (name, value) in [
            ("vary", "Accept-Language"),
            ("vary", "accept , ACCEPT-language"),
            ("cache-control", "public, max-age=60, must-revalidate"),
            ("cache-control", ""),
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
        ] {
            assert!(admits(&rules, 200, &[(name, value)]), "{name}: {value}");
        }
    }

    #[test]
    fn a_header_that_is_no_text_forbids() {
        let mut response = StatusCode::OK.into_response();
        response.headers_mut().insert(VARY, HeaderValue::from_bytes(b"\xe9").expect("a value"));
        assert_eq!(Rules::DEFAULT.admit(&response.into_parts().0), Err(Unstored::Vary));
    }

    #[test]
    fn the_reason_is_told() {
        for (status, header, why) in [
            (302, None, Unstored::Status),
            (200, Some(("set-cookie", "session=1")), Unstored::SetCookie),
            (200, Some(("vary", "cookie")), Unstored::Vary),
            (200, Some(("cache-control", "private")), Unstored::CacheControl),
            (200, Some(("cache-control", "max-age=0")), Unstored::Stale),
            (200, Some(("pragma", "no-cache")), Unstored::Pragma),
            (200, Some(("content-type", "text/event-stream")), Unstored::Endless),
        ] {
            let headers: Vec<_> = header.into_iter().collect();
            assert_eq!(admitted(&Rules::DEFAULT, status, &headers), Err(why), "{status} {header:?}");
            assert!(!why.reason().contains(['"', '\\']));
        }
    }
}
