//! What the headers of a response say about its age: RFC 9111, sections 4.2.1 and 5.

use std::time::SystemTime;

use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, DATE, EXPIRES, HeaderValue, PRAGMA};

use super::lists::{directive, members};

/// Returns true for a response that is not fresh even now. The first of `s-maxage`, `max-age` and `Expires` that it has
/// decides. One that cannot be read says that the response is stale.
pub(super) fn is_stale(headers: &HeaderMap, now: SystemTime) -> bool {
    let is_zero = is_zero(headers, b"s-maxage").or_else(|| is_zero(headers, b"max-age"));
    is_zero.unwrap_or_else(|| has_expired(headers, now))
}

/// Returns true for `Pragma: no-cache` in a response that has no `Cache-Control`. RFC 9111 gives it a meaning in requests
/// alone; a handler that sets it wants the response not to be stored.
pub(super) fn has_pragma(headers: &HeaderMap) -> bool {
    !headers.contains_key(CACHE_CONTROL)
        && members(headers, &PRAGMA).any(|member| member.eq_ignore_ascii_case(b"no-cache"))
}

/// Returns whether a lifetime in `Cache-Control` is zero, if it is there. Its number may have any length.
fn is_zero(headers: &HeaderMap, name: &[u8]) -> Option<bool> {
    let value = directive(headers, name)?;
    let quoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let digits = quoted.unwrap_or(value);
    Some(!digits.iter().all(u8::is_ascii_digit) || digits.iter().all(|digit| *digit == b'0'))
}

/// `Expires` counts from the `Date` of the same response.
fn has_expired(headers: &HeaderMap, now: SystemTime) -> bool {
    let made = headers.get(DATE).and_then(date).unwrap_or(now);
    headers.get_all(EXPIRES).iter().any(|value| date(value).is_none_or(|expires| expires <= made))
}

fn date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;
    use std::time::Duration;

    const PAST: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const FUTURE: &str = "Sat, 06 Nov 2094 08:49:37 GMT";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_first_lifetime_decides() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (pairs, stale) in [
            (&[][..], false),
            (&[("expires", PAST)], true),
            (&[("expires", FUTURE)], false),
            (&[("expires", "0")], true),
            (&[("expires", "-1")], true),
            (&[("expires", "")], true),
            (&[("expires", "Sunday, 06-Nov-94 08:49:37 GMT")], true),
            (&[("expires", "Sun Nov  6 08:49:37 1994")], true),
            (&[("expires", FUTURE), ("expires", "0")], true),
            (&[("expires", FUTURE), ("date", FUTURE)], true),
            (&[("expires", PAST), ("date", "Sun, 06 Nov 1994 08:49:36 GMT")], false),
            (&[("expires", PAST), ("cache-control", "public")], true),
            (&[("expires", PAST), ("cache-control", "public, max-age=60")], false),
            (&[("expires", FUTURE), ("cache-control", "max-age=0")], true),
            (&[("cache-control", "max-age=0, must-revalidate")], true),
            (&[("cache-control", "max-age=0, s-maxage=60")], false),
            (&[("cache-control", "max-age=60, S-MaxAge = 0")], true),
            (&[("cache-control", "max-age=\"60\"")], false),
            (&[("cache-control", "max-age=99999999999999999999999")], false),
            (&[("cache-control", "max-age=soon")], true),
            (&[("cache-control", "max-age")], true),
            (&[("cache-control", "x-max-age=0")], false),
        ] {
            assert_eq!(is_stale(&headers(pairs), now), stale, "{pairs:?}");
        }
    }

    #[test]
    fn pragma_counts_alone() {
        for (pairs, counts) in [
            (&[][..], false),
            (&[("pragma", "no-cache")], true),
            (&[("pragma", "x-debug, No-Cache")], true),
            (&[("pragma", "no-store")], false),
            (&[("pragma", "no-cache"), ("cache-control", "public")], false),
        ] {
            assert_eq!(has_pragma(&headers(pairs)), counts, "{pairs:?}");
        }
    }
}
