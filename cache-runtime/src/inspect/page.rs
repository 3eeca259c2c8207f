//! Stored responses.

use crate::stored::codec::CodecError;
use crate::stored::codec::page::{Header, Reader};

/// The parts of a stored response, unverified.
#[derive(Debug)]
pub struct Page<'a> {
    /// The status.
    pub status: u16,
    /// Names and values. A name may come more than once.
    pub headers: Vec<(&'a str, &'a [u8])>,
    /// The body.
    pub body: &'a [u8],
}

/// Reads the payload of a stored response. The error says why it is none.
pub fn page(payload: &[u8]) -> Result<Page<'_>, CodecError> {
    let mut reader = Reader::new(payload)?;
    let (status, mut headers) = (reader.status, Vec::new());
    while let Some(Header { name, value, .. }) = reader.header()? {
        headers.push((std::str::from_utf8(name).map_err(CodecError::new)?, value));
    }
    Ok(Page { status, headers, body: reader.body() })
}
