//! The payload of a value: decoded where its codec says how, else as hexadecimal digits.

use std::fmt;

use redis_cached_runtime::inspect::Codec;
use redis_cached_runtime::{Codec as _, CodecError, Json, MessagePack};
use serde::de::{Deserialize, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};

use super::{hex, page};

/// The bytes of a line of digits.
const LINE: usize = 16;

/// The most bytes that are shown as digits, and the most characters of text.
const MOST_BYTES: usize = 1024;
const MOST_TEXT: usize = 64 * 1024;

/// Any value of a format that describes itself.
#[derive(Debug, PartialEq)]
pub(crate) enum Any {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Any>),
    /// In the order of the payload.
    Map(Vec<(Any, Any)>),
}

/// Decodes a payload. `None` for a format that does not describe itself, such as bincode.
pub(crate) fn decode(codec: Codec, payload: &[u8]) -> Option<Result<Any, CodecError>> {
    match codec {
        Codec::Json => Some(Json::decode(payload)),
        Codec::MessagePack => Some(MessagePack::decode(payload)),
        Codec::Response => Some(page::decode(payload)),
        Codec::Bincode | Codec::Other(_) => None,
    }
}

/// The payload for people, and why it is not decoded.
pub(crate) fn shown(codec: Codec, payload: &[u8], full: bool) -> String {
    let text = match codec {
        Codec::Response => Some(page::shown(payload, full)),
        _ => decode(codec, payload).map(|decoded| decoded.map(|any| any.to_string())),
    };
    match text {
        Some(Ok(text)) => cut(text, full),
        Some(Err(error)) => format!("it cannot be decoded: {error}\n{}", digits(payload, full)),
        None => digits(payload, full),
    }
}

/// JSON, if it is that.
pub(super) fn json_of(text: &[u8]) -> Option<Any> {
    Json::decode(text).ok()
}

fn cut(mut text: String, full: bool) -> String {
    if full || text.len() <= MOST_TEXT {
        return text;
    }
    let mut at = MOST_TEXT;
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    text.truncate(at);
    text.push_str("\n… (--full shows all)");
    text
}

/// Offsets, hexadecimal digits, and what of it is text.
pub(crate) fn digits(bytes: &[u8], full: bool) -> String {
    let shown = if full { bytes } else { &bytes[..bytes.len().min(MOST_BYTES)] };
    let mut lines: Vec<String> = shown
        .chunks(LINE)
        .enumerate()
        .map(|(number, line)| {
            let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let text: String =
                line.iter().map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' }).collect();
            format!("{:06x}  {:<47}  {text}", number * LINE, digits.join(" "))
        })
        .collect();
    if shown.len() < bytes.len() {
        lines.push(format!("… {} more bytes (--full shows all)", bytes.len() - shown.len()));
    }
    lines.join("\n")
}

impl Any {
    /// The same as JSON: bytes are `{"bytes": "00ff"}`, and keys that are no text are written as text.
    pub(crate) fn json(&self) -> Value {
        match self {
            Any::Null => Value::Null,
            Any::Bool(value) => json!(value),
            Any::Unsigned(value) => json!(value),
            Any::Signed(value) => json!(value),
            Any::Float(value) => json!(value),
            Any::Text(value) => json!(value),
            Any::Bytes(bytes) => json!({ "bytes": hex(bytes) }),
            Any::List(items) => items.iter().map(Any::json).collect(),
            Any::Map(pairs) => Value::Object(pairs.iter().map(|(key, value)| (key.as_key(), value.json())).collect()),
        }
    }

    fn as_key(&self) -> String {
        match self {
            Any::Text(text) => text.clone(),
            other => other.to_string(),
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        let inner = " ".repeat(indent + 2);
        match self {
            Any::List(items) if !items.is_empty() => {
                f.write_str("[\n")?;
                for (at, item) in items.iter().enumerate() {
                    f.write_str(&inner)?;
                    item.write(f, indent + 2)?;
                    f.write_str(if at + 1 < items.len() { ",\n" } else { "\n" })?;
                }
                write!(f, "{}]", " ".repeat(indent))
            }
            Any::Map(pairs) if !pairs.is_empty() => {
                f.write_str("{\n")?;
                for (at, (key, value)) in pairs.iter().enumerate() {
                    f.write_str(&inner)?;
                    key.write(f, indent + 2)?;
                    f.write_str(": ")?;
                    value.write(f, indent + 2)?;
                    f.write_str(if at + 1 < pairs.len() { ",\n" } else { "\n" })?;
                }
                write!(f, "{}}}", " ".repeat(indent))
            }
            Any::List(_) => f.write_str("[]"),
            Any::Map(_) => f.write_str("{}"),
            Any::Null => f.write_str("null"),
            Any::Bool(value) => write!(f, "{value}"),
            Any::Unsigned(value) => write!(f, "{value}"),
            Any::Signed(value) => write!(f, "{value}"),
            Any::Float(value) => write!(f, "{value:?}"),
            // This also escapes what would steer a terminal.
            Any::Text(text) => write!(f, "{}", json!(text)),
            Any::Bytes(bytes) => write!(f, "h'{}'", hex(bytes)),
        }
    }
}

impl fmt::Display for Any {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Any, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

macro_rules! visits {
    ($($method:ident($type:ty) -> $variant:ident;)*) => {$(
        fn $method<E>(self, value: $type) -> Result<Any, E> {
            Ok(Any::$variant(value.into()))
        }
    )*};
}

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Any;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    visits! {
        visit_bool(bool) -> Bool;
        visit_u64(u64) -> Unsigned;
        visit_i64(i64) -> Signed;
        visit_f64(f64) -> Float;
        visit_str(&str) -> Text;
        visit_bytes(&[u8]) -> Bytes;
    }

    fn visit_unit<E>(self) -> Result<Any, E> {
        Ok(Any::Null)
    }

    fn visit_none<E>(self) -> Result<Any, E> {
        Ok(Any::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Any, D::Error> {
        Any::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Any, D::Error> {
        Any::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Any, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Any::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Any, A::Error> {
        let mut map = Vec::new();
        while let Some(pair) = pairs.next_entry()? {
            map.push(pair);
        }
        Ok(Any::Map(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<Any, A::Error> {
        use serde::de::VariantAccess;
        let (name, content) = variant.variant::<Any>()?;
        Ok(Any::Map(vec![(name, content.newtype_variant()?)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_order() {
        let shown = shown(Codec::Json, br#"{"b":[1,-2.5],"a":{"x":null,"y":[]},"t":"\u001b[31m"}"#, false);
        assert_eq!(
            shown,
            "{\n  \"b\": [\n    1,\n    -2.5\n  ],\n  \"a\": {\n    \"x\": null,\n    \"y\": []\n  },\n  \"t\": \"\\u001b[31m\"\n}"
        );
    }

    #[test]
    fn messagepack_has_bytes_and_keys_of_any_kind() {
        // {1: h'00ff', true: [nil]}
        let payload = [0x82, 0x01, 0xc4, 0x02, 0x00, 0xff, 0xc3, 0x91, 0xc0];
        assert_eq!(shown(Codec::MessagePack, &payload, false), "{\n  1: h'00ff',\n  true: [\n    null\n  ]\n}");
        let any = decode(Codec::MessagePack, &payload).expect("it describes itself").expect("it is right");
        assert_eq!(any.json().to_string(), r#"{"1":{"bytes":"00ff"},"true":[null]}"#);
    }

    #[test]
    fn other_payloads_are_digits() {
        assert_eq!(shown(Codec::Bincode, b"\x03Ada", false), format!("000000  {:<47}  .Ada", "03 41 64 61"));
        let long = shown(Codec::Bincode, &[0; 1030], false);
        assert!(long.ends_with("… 6 more bytes (--full shows all)"), "{long}");
        assert!(shown(Codec::Json, b"{", false).starts_with("it cannot be decoded: "));
    }
}
