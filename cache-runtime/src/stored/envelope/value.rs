//! A value as it is read from a slot.

use super::header::{HEAD_LEN, HEADER_LEN, Head, Identity, checksum, head};
use super::layout::{
    BODY_MICROS, CHECKSUM, CODEC, COMPRESSED, FILLED_AT, FINGERPRINT, FLAGS, FRESH_UNTIL, KNOWN, LEASE, LEASE_END,
    LEASE_FORMAT, LEASED_AT, MARK, MARK_UNTIL, NEGATIVE, OWN_TAGS, RESERVED, SEAL, VALUE, VALUE_FORMAT, VERSION,
    number, u32_in, u64_in,
};
use super::lease::Token;
use super::tags::{Seal, split_own_tags};
use crate::key::Key;
use crate::stored::codec::Rank;
use crate::stored::compress;

/// The content of a slot.
#[derive(Debug)]
pub(crate) enum Content {
    /// A caller computes the value.
    Lease(Token, Seal),
    /// A value of this identity, intact.
    Value(Value),
    /// Anything else.
    Unusable(Why),
}

/// Why a value cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is of another format, cut off, of another program, or compressed in a way that this build cannot undo.
    Format,
    Version,
    Codec,
    Type,
    /// It is damaged, or of another key.
    Checksum,
    /// A tag was invalidated.
    Tags,
    /// It is intact, and cannot be decoded.
    Decode,
}

impl Why {
    /// The number of reasons.
    pub(crate) const COUNT: usize = 7;
}

/// A value as read.
#[derive(Debug)]
pub(crate) struct Value {
    /// Which of the expected codecs wrote it.
    pub(crate) rank: Rank,
    pub(crate) seal: Seal,
    /// The seal of its own tags, if it was asked for some.
    pub(crate) own_seal: Option<Seal>,
    pub(crate) leased_at: u64,
    pub(crate) filled_at: u64,
    pub(crate) fresh_until: u64,
    /// How long its body ran.
    pub(crate) body_micros: u32,
    pub(crate) negative: bool,
    pub(crate) compressed: bool,
    payload_at: usize,
}

impl Value {
    /// The encoded value, as it is stored, in the bytes that this was parsed from.
    pub(crate) fn payload<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.payload_at..).unwrap_or_default()
    }
}

/// When a value was stored, and until when it is fresh.
#[cfg(any(feature = "axum", feature = "local"))]
pub(crate) fn times(bytes: &[u8]) -> (u64, u64) {
    (u64_in(bytes, FILLED_AT), u64_in(bytes, FRESH_UNTIL))
}

/// The length of a value with its compression undone, as its bytes claim. Any bytes at all may come in.
#[cfg(feature = "local")]
pub(crate) fn raw_len(bytes: &[u8]) -> usize {
    let Some(flags) = bytes.get(FLAGS).filter(|flags| **flags & COMPRESSED != 0) else { return bytes.len() };
    let rest = bytes.get(HEADER_LEN..).unwrap_or_default();
    let split = if flags & OWN_TAGS == 0 { None } else { split_own_tags(rest) };
    let payload = split.map_or(rest, |(.., payload)| payload);
    let raw = compress::Parts::of(payload).map_or(payload.len(), |parts| parts.raw_len);
    (bytes.len() - payload.len()).saturating_add(raw)
}

/// Reads a slot's bytes. Any bytes at all may come in. A value has one of the two expected identities, by the [`Rank`]
/// of its codec.
pub(crate) fn parse(key: &Key, expected: &[Identity; 2], bytes: &[u8]) -> Content {
    // This does not use `head`, because a hit does not need the mark.
    if !bytes.starts_with(&[VALUE, VALUE_FORMAT]) || bytes.len() < HEADER_LEN {
        return match head(bytes) {
            Head::Lease(token, seal) => Content::Lease(token, seal),
            _ => Content::Unusable(Why::Format),
        };
    }
    let identity = Identity {
        version: u32_in(bytes, VERSION),
        codec: u32_in(bytes, CODEC),
        fingerprint: u64_in(bytes, FINGERPRINT),
    };
    let flags = bytes[FLAGS];
    // A later version of this library wrote other bits.
    let is_known = bytes[RESERVED] == 0 && flags & !KNOWN == 0;
    let rank = match expected {
        [first, _] if identity == *first => Rank::First,
        [_, second] if identity == *second => Rank::Second,
        _ => return Content::Unusable(difference(&identity, expected)),
    };
    if u64_in(bytes, CHECKSUM) != checksum(key, bytes) {
        return Content::Unusable(Why::Checksum);
    }
    if !is_known {
        return Content::Unusable(Why::Format);
    }
    let (own_seal, payload_at) = match flags & OWN_TAGS {
        0 => (None, HEADER_LEN),
        _ => match split_own_tags(&bytes[HEADER_LEN..]) {
            Some((_, seal, payload)) => (Some(seal), bytes.len() - payload.len()),
            None => return Content::Unusable(Why::Format),
        },
    };
    let compressed = flags & COMPRESSED != 0;
    if compressed && !compress::is_known(&bytes[payload_at..]) {
        return Content::Unusable(Why::Format);
    }
    Content::Value(Value {
        rank,
        seal: Seal(u64_in(bytes, SEAL)),
        own_seal,
        leased_at: u64_in(bytes, LEASED_AT),
        filled_at: u64_in(bytes, FILLED_AT),
        fresh_until: u64_in(bytes, FRESH_UNTIL),
        body_micros: u32_in(bytes, BODY_MICROS),
        negative: flags & NEGATIVE != 0,
        compressed,
        payload_at,
    })
}

/// What tells the identity of a value from those that are expected.
#[cold]
fn difference(found: &Identity, expected: &[Identity; 2]) -> Why {
    if expected.iter().all(|identity| identity.version != found.version) {
        Why::Version
    } else if expected.iter().all(|identity| identity.codec != found.codec) {
        Why::Codec
    } else {
        Why::Type
    }
}

/// Returns true if a lease or a value, of which nothing is verified, has these stamps and no others.
pub(crate) fn is_sealed(bytes: &[u8], seal: Seal) -> bool {
    match head(bytes) {
        Head::Lease(_, held) => held == seal,
        Head::Value(_) => bytes.len() >= HEADER_LEN && u64_in(bytes, SEAL) == seal.0 && bytes[FLAGS] & OWN_TAGS == 0,
        Head::Other => true,
    }
}

/// The bytes of a slot, from a field of a hash that holds it and the companion with its mark: `None` if it has expired.
/// In a field, a lease has its end after its token, and a value has its end in the place of the mark.
pub(crate) fn from_field(mut bytes: Vec<u8>, mark: Option<&[u8]>, now: u64) -> Option<Vec<u8>> {
    let end = match bytes.as_slice() {
        // Waiting for a lease without an end would never succeed.
        [LEASE, LEASE_FORMAT, ..] => LEASE_END,
        [VALUE, VALUE_FORMAT, ..] if bytes.len() >= HEAD_LEN => MARK_UNTIL,
        _ => return Some(bytes),
    };
    if bytes.get(end.clone()).and_then(number).unwrap_or(0) <= now {
        return None;
    }
    if end == MARK_UNTIL {
        match mark {
            Some(mark) if mark.len() == MARK.len() => bytes[MARK].copy_from_slice(mark),
            _ => super::mark(&mut bytes, None, 0),
        }
    } else {
        bytes.drain(end);
    }
    Some(bytes)
}
