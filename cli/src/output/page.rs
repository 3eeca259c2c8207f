//! A stored response: its status, its headers and its body.

use redis_cached_runtime::CodecError;
use redis_cached_runtime::inspect::{Page, page};

use super::payload::{Any, digits, json_of};

/// The body in a form that can be read.
enum Body<'a> {
    Json(Any),
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// Reads the payload into a map.
pub(super) fn decode(payload: &[u8]) -> Result<Any, CodecError> {
    let page = page(payload)?;
    let text = |text: &str| Any::Text(text.to_owned());
    let value_of = |value: &[u8]| Any::Text(String::from_utf8_lossy(value).into_owned());
    let pairs = page.headers.iter().map(|(name, value)| Any::List(vec![text(name), value_of(value)]));
    let body = match readable(&page) {
        Body::Json(json) => json,
        Body::Text(body) => text(body),
        Body::Bytes(bytes) => Any::Bytes(bytes.to_vec()),
    };
    let parts =
        [("status", Any::Unsigned(page.status.into())), ("headers", Any::List(pairs.collect())), ("body", body)];
    Ok(Any::Map(parts.map(|(name, part)| (text(name), part)).into()))
}

/// The response for people, as it would be sent.
pub(super) fn shown(payload: &[u8], full: bool) -> Result<String, CodecError> {
    let page = page(payload)?;
    let mut lines = vec![format!("status {}", page.status)];
    lines.extend(page.headers.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value))));
    let body = match readable(&page) {
        Body::Json(json) => json.to_string(),
        Body::Text(text) => text.to_owned(),
        Body::Bytes(bytes) => digits(bytes, full),
    };
    if !body.is_empty() {
        lines.extend([String::new(), body]);
    }
    Ok(lines.join("\n"))
}

fn readable<'a>(page: &Page<'a>) -> Body<'a> {
    let header = |name: &str| page.headers.iter().find(|(is, _)| *is == name).map_or(&b""[..], |(_, value)| value);
    let is_text = |text: &&str| !text.contains(|char: char| char.is_control() && !"\n\r\t".contains(char));
    let text = std::str::from_utf8(page.body).ok().filter(is_text);
    let Some(text) = text.filter(|_| header("content-encoding").is_empty()) else {
        return Body::Bytes(page.body);
    };
    let is_json = String::from_utf8_lossy(header("content-type")).contains("json");
    is_json.then(|| json_of(page.body)).flatten().map_or(Body::Text(text), Body::Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(content_type: &str, body: &[u8]) -> Vec<u8> {
        let mut payload = vec![200, 0, 1, 0, 12, 0, content_type.len() as u8, 0, 0, 0];
        payload.extend([b"content-type", content_type.as_bytes(), body].concat());
        payload
    }

    #[test]
    fn json_and_text_are_readable_and_other_bodies_are_digits() {
        let json = payload("application/json; charset=utf-8", br#"{"a":[1]}"#);
        assert_eq!(
            shown(&json, false).expect("a page"),
            "status 200\ncontent-type: application/json; charset=utf-8\n\n{\n  \"a\": [\n    1\n  ]\n}"
        );
        let document =
            r#"{"body":{"a":[1]},"headers":[["content-type","application/json; charset=utf-8"]],"status":200}"#;
        assert_eq!(decode(&json).expect("a page").json().to_string(), document);
        let text = payload("text/plain", "Grüße\n".as_bytes());
        assert_eq!(shown(&text, false).expect("a page"), "status 200\ncontent-type: text/plain\n\nGrüße\n");
        let not_json = shown(&payload("application/json", b"{"), false).expect("a page");
        assert!(not_json.ends_with("\n\n{"), "{not_json}");
        let image = shown(&payload("image/png", &[0x89, b'P', b'N', b'G']), false).expect("a page");
        assert!(image.contains("\n000000  89 50 4e 47"), "{image}");
        assert_eq!(shown(&payload("text/plain", b""), false).expect("a page"), "status 200\ncontent-type: text/plain");
    }

    #[test]
    fn a_cut_payload_is_an_error() {
        let payload = payload("text/plain", b"");
        for end in 0..payload.len() {
            assert!(decode(&payload[..end]).is_err(), "{end}");
        }
    }
}
