//! Pages as stored responses. The body is not copied when a page is read, unless it was compressed.

use axum::http::header::{CONTENT_ENCODING, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;

use super::page::{Origin, Page};
use crate::plan::codec::{CodecFns, TypeFormats};
use crate::plan::value::{AnyVerdict, Blame, FoundValue, Storable, Verdict};
use crate::stored::codec::{CodecError, Codecs, Rank, Root, page};
use crate::stored::envelope;

/// The verdict on [`Page`], which is stored in a format of its own.
#[derive(Debug)]
pub struct Paged;

impl AnyVerdict<Page> for FoundValue<Page> {
    type Verdict = Paged;
    fn rc_verdict(self) -> Paged {
        Paged
    }
}

impl<P> Blame<P> for Paged {
    type Verdict = Paged;
    fn blame(self, _: P) -> Paged {
        self
    }
}

impl Verdict<Page> for (FoundValue<Page>, Paged) {
    type Type = Storable;
    fn codec<C: Codecs>(self) -> CodecFns<Page> {
        // The root of a response that must not be stored is one that is neither stored nor shared.
        let root = |page: &Page| if page.is_passing() { Root::None } else { Root::Other };
        let is_dense = |page: &Page| page.headers.contains_key(CONTENT_ENCODING);
        CodecFns::of_own_format(encode, decode, root, is_dense, || TypeFormats::of_own_format(page::NAME))
    }
}

fn encode(page: &Page, buffer: &mut Vec<u8>, _: Rank) -> Result<(), CodecError> {
    let count = u16::try_from(page.headers.len()).map_err(CodecError::new)?;
    buffer.extend_from_slice(&page.status.as_u16().to_le_bytes());
    buffer.extend_from_slice(&count.to_le_bytes());
    for (name, value) in &page.headers {
        let mark = if value.is_sensitive() { page::SENSITIVE } else { 0 };
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
        let len = i32::try_from(value.len()).map_err(CodecError::new)?.unsigned_abs();
        buffer.extend_from_slice(&u16::try_from(name.len()).map_err(CodecError::new)?.to_le_bytes());
        buffer.extend_from_slice(&(len | mark).to_le_bytes());
        buffer.extend_from_slice(name);
        buffer.extend_from_slice(value);
    }
    buffer.extend_from_slice(&page.body);
    Ok(())
}

fn decode(bytes: &[u8], slot: &Bytes, _: Rank) -> Result<Page, CodecError> {
    let (filled_at, fresh_until) = envelope::times(slot);
    let is_part = slot.as_ptr_range().contains(&bytes.as_ptr());
    let held = if is_part { slot.slice_ref(bytes) } else { Bytes::copy_from_slice(bytes) };
    let mut reader = page::Reader::new(&held)?;
    let status = StatusCode::from_u16(reader.status).map_err(CodecError::new)?;
    let mut headers = HeaderMap::with_capacity(reader.most_headers());
    while let Some(page::Header { name, value, is_sensitive }) = reader.header()? {
        let name = HeaderName::from_bytes(name).map_err(CodecError::new)?;
        let mut value = HeaderValue::from_maybe_shared(held.slice_ref(value)).map_err(CodecError::new)?;
        value.set_sensitive(is_sensitive);
        headers.try_append(name, value).map_err(CodecError::new)?;
    }
    let body = held.slice_ref(reader.body());
    Ok(Page { status, headers, body, origin: Origin::Stored { filled_at, fresh_until } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::{IntoResponse, Response};
    use proptest::prelude::*;

    fn page(status: u16, headers: &[(String, Vec<u8>)], body: Vec<u8>) -> Page {
        let mut response: Response = StatusCode::from_u16(status).expect("a status").into_response();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            response.headers_mut().append(name, HeaderValue::from_bytes(value).expect("a value"));
        }
        Page::new(response.into_parts().0, body.into())
    }

    fn encoded(page: &Page) -> Bytes {
        let mut buffer = Vec::new();
        encode(page, &mut buffer, Rank::First).expect("bytes");
        buffer.into()
    }

    fn decoded(bytes: &Bytes) -> Result<Page, CodecError> {
        decode(bytes, bytes, Rank::First)
    }

    proptest! {
        #[test]
        fn a_page_comes_back_as_it_was(
            status in prop::sample::select(vec![200u16, 203, 204, 301, 308, 404, 410]),
            headers in prop::collection::vec(("x-[a-z]{1,8}", prop::collection::vec(0x21u8..=0xfe, 0..20)), 0..8),
            body in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let headers: Vec<_> = headers.into_iter().map(|(name, mut value)| {
                value.retain(|byte| *byte != 0x7f);
                (name, value)
            }).collect();
            let page = page(status, &headers, body);
            let back = decoded(&encoded(&page)).expect("a page");
            prop_assert_eq!(back.status, page.status);
            prop_assert_eq!(&back.headers, &page.headers);
            prop_assert_eq!(&back.body, &page.body);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = decoded(&bytes.into());
        }
    }

    #[test]
    fn what_is_sensitive_stays_so() {
        let mut made = page(200, &[("x-one".into(), b"1".to_vec()), ("x-two".into(), b"2".to_vec())], vec![7; 10]);
        made.headers.get_mut("x-two").expect("it is there").set_sensitive(true);
        let back = decoded(&encoded(&made)).expect("a page");
        assert_eq!((&back.headers["x-two"], &back.body), (&made.headers["x-two"], &made.body));
        assert_eq!(["x-one", "x-two"].map(|name| back.headers[name].is_sensitive()), [false, true]);
    }

    #[test]
    fn the_body_is_a_part_of_the_reply() {
        let bytes = encoded(&page(200, &[("x-one".into(), b"1".to_vec())], vec![7; 5000]));
        let page = decoded(&bytes).expect("a page");
        assert!(bytes.as_ptr_range().contains(&page.body.as_ptr()));
        assert_eq!(page.headers["x-one"], "1");
    }

    #[test]
    fn a_length_beyond_the_end_is_an_error() {
        let bytes = encoded(&page(204, &[("x-one".into(), b"1".to_vec())], Vec::new()));
        for end in 0..bytes.len() {
            assert!(decoded(&bytes.slice(..end)).is_err(), "{end}");
        }
    }
}
