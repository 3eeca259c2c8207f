//! Headers that are lists, with members between commas.

use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderName};

/// The members of all headers with this name. They need not be text.
pub(super) fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).iter();
    values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

/// The value of a directive of `Cache-Control`, which is empty for one without a value. `None` if it is not there.
pub(super) fn directive<'a>(headers: &'a HeaderMap, wanted: &[u8]) -> Option<&'a [u8]> {
    members(headers, &CACHE_CONTROL).find_map(|member| {
        let at = member.iter().position(|byte| *byte == b'=').unwrap_or(member.len());
        let (name, value) = member.split_at(at);
        name.trim_ascii().eq_ignore_ascii_case(wanted).then(|| value.get(1..).unwrap_or_default().trim_ascii())
    })
}
