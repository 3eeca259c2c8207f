//! Headers of the request that are part of the key.

use axum::http::{HeaderMap, HeaderName};
use serde::ser::{Serialize, SerializeSeq, Serializer};

/// The values of one header of a request, as a key has them.
#[derive(Debug)]
pub struct Varied<'a>(Vec<&'a [u8]>);

/// The values of a header.
pub fn varied<'a>(headers: &'a HeaderMap, name: &'static str) -> Varied<'a> {
    Varied(headers.get_all(name).iter().map(|value| value.as_bytes()).collect())
}

impl Serialize for Varied<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut values = serializer.serialize_seq(Some(self.0.len()))?;
        for value in &self.0 {
            match std::str::from_utf8(value) {
                Ok(text) => values.serialize_element(text)?,
                Err(_) => values.serialize_element(&Opaque(value))?,
            }
        }
        values.end()
    }
}

/// A value that is no text.
struct Opaque<'a>(&'a [u8]);

impl Serialize for Opaque<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// The headers that are part of the key, without all others: the body cannot depend on what its key does not tell.
pub fn only(headers: HeaderMap, names: &[&'static str]) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in names.iter().map(|name| HeaderName::from_static(name)) {
        for value in headers.get_all(&name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}
