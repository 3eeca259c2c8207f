//! The bytes of a stored response: the status, the number of headers, each header's name and value after their lengths, and
//! then the body. Numbers are little-endian. The highest bit of a value's length marks a sensitive one.

use super::CodecError;

/// The name of the format. It changes when the meaning of the bytes does.
pub(crate) const NAME: &str = "http-page-2";

/// The least bytes of a header.
#[cfg(feature = "axum")]
const LEAST: usize = 6;

/// In the length of a value: the handler marked it as sensitive.
pub(crate) const SENSITIVE: u32 = 1 << 31;

#[derive(Debug)]
pub(crate) struct Header<'b> {
    pub(crate) name: &'b [u8],
    pub(crate) value: &'b [u8],
    #[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "only handlers read it"))]
    pub(crate) is_sensitive: bool,
}

/// Reads a response, of which nothing is verified. Any bytes at all may come in.
#[derive(Debug)]
pub(crate) struct Reader<'b> {
    pub(crate) status: u16,
    /// The headers that are still to come.
    headers: u16,
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Result<Reader<'b>, CodecError> {
        let mut rest = bytes;
        let (status, headers) = (u16::from_le_bytes(array(&mut rest)?), u16::from_le_bytes(array(&mut rest)?));
        Ok(Reader { status, headers, rest })
    }

    /// How many headers there can be: what is reserved for damaged bytes is no more than they are worth.
    #[cfg(feature = "axum")]
    pub(crate) fn most_headers(&self) -> usize {
        usize::from(self.headers).min(self.rest.len() / LEAST)
    }

    /// The next header.
    pub(crate) fn header(&mut self) -> Result<Option<Header<'b>>, CodecError> {
        let Some(left) = self.headers.checked_sub(1) else { return Ok(None) };
        self.headers = left;
        let name = usize::from(u16::from_le_bytes(array(&mut self.rest)?));
        let value = u32::from_le_bytes(array(&mut self.rest)?);
        let (name, len) = (take(&mut self.rest, name)?, (value & !SENSITIVE) as usize);
        Ok(Some(Header { name, value: take(&mut self.rest, len)?, is_sensitive: value & SENSITIVE != 0 }))
    }

    /// The body, once all headers are read.
    pub(crate) fn body(self) -> &'b [u8] {
        self.rest
    }
}

fn take<'b>(rest: &mut &'b [u8], len: usize) -> Result<&'b [u8], CodecError> {
    let (taken, left) = rest.split_at_checked(len).ok_or_else(ends_early)?;
    *rest = left;
    Ok(taken)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], CodecError> {
    let (taken, left) = rest.split_first_chunk().ok_or_else(ends_early)?;
    *rest = left;
    Ok(*taken)
}

fn ends_early() -> CodecError {
    CodecError::new("the response ends too early")
}
