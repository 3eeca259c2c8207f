//! The header of a value, its mutable mark, and the checksum.

use super::layout::{
    BODY_MICROS, CHECKSUM, CODEC, COMPRESSED, FILLED_AT, FINGERPRINT, FLAGS, FRESH_UNTIL, FRONT, HEAD, HEADER, LATEST,
    LEASE, LEASE_FORMAT, LEASE_LEN, LEASE_SEAL, LEASED_AT, MARK, MARK_TOKEN, MARK_UNTIL, NEGATIVE, RESERVED, SEAL,
    SEALED_LEASE_LEN, VALUE, VALUE_FORMAT, VERSION, number, u64_in,
};
use super::lease::{Token, value_front};
use super::tags::Seal;
use crate::hash::hash_parts;
use crate::key::Key;

/// The length of what [`head`] reads.
pub(crate) const HEAD_LEN: usize = HEAD.end;

/// The bytes before the payload of a value without tags of its own.
pub(crate) const HEADER_LEN: usize = HEADER.end;

/// The properties that a stored value must share with the function that reads it: everything that changes when the code
/// that reads it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) version: u32,
    pub(crate) codec: u32,
    pub(crate) fingerprint: u64,
}

/// The part of the header that a fill decides on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) identity: Identity,
    /// The seal of the tags that follow from the arguments.
    pub(crate) seal: Seal,
    pub(crate) leased_at: u64,
    pub(crate) filled_at: u64,
    /// `u64::MAX` means for ever.
    pub(crate) fresh_until: u64,
    /// How long the body ran: the time that a hit saves. 0 for a value that no body computed.
    pub(crate) body_micros: u32,
    /// A stored `None`: the payload is empty.
    pub(crate) negative: bool,
    /// The payload is compressed.
    pub(crate) compressed: bool,
}

/// The first bytes of a slot, unverified.
#[derive(Debug)]
pub(crate) enum Head {
    Lease(Token, Seal),
    Value(Mark),
    Other,
}

/// The refresh lease in a value's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The id of the value.
    pub(crate) id: Token,
    /// `None` if no refresh runs.
    pub(crate) token: Option<Token>,
    /// No other caller may refresh before this time of the store.
    pub(crate) until: u64,
}

/// Reads the first [`HEAD_LEN`] bytes of a slot, or more. Any bytes at all may come in.
pub(crate) fn head(bytes: &[u8]) -> Head {
    match bytes {
        // Longer leases are damaged, or of a later version: no caller waits for them.
        [LEASE, LEASE_FORMAT, ..] if bytes.len() == LEASE_LEN => Head::Lease(Token::of(bytes), Seal::default()),
        [LEASE, LEASE_FORMAT, ..] if bytes.len() == SEALED_LEASE_LEN => {
            Head::Lease(Token::of(bytes), Seal(u64_in(bytes, LEASE_SEAL)))
        }
        [VALUE, VALUE_FORMAT, ..] if bytes.len() >= HEAD_LEN => {
            let until = number(&bytes[MARK_UNTIL]).unwrap_or(0);
            Head::Value(Mark { id: Token::of(bytes), token: Token::of_mark(bytes), until })
        }
        _ => Head::Other,
    }
}

/// Writes the header into the front of `buffer`, which [`buffer`] made and an encoder appended to.
pub(crate) fn seal(key: &Key, id: Token, header: &Header, buffer: &mut [u8]) {
    debug_assert!(buffer.len() >= HEADER_LEN, "made by `buffer`");
    buffer[FRONT].copy_from_slice(&value_front(id));
    buffer[MARK_TOKEN].fill(0);
    buffer[MARK_UNTIL].fill(b'0');
    buffer[VERSION].copy_from_slice(&header.identity.version.to_le_bytes());
    buffer[CODEC].copy_from_slice(&header.identity.codec.to_le_bytes());
    buffer[FINGERPRINT].copy_from_slice(&header.identity.fingerprint.to_le_bytes());
    buffer[SEAL].copy_from_slice(&header.seal.0.to_le_bytes());
    buffer[LEASED_AT].copy_from_slice(&header.leased_at.to_le_bytes());
    buffer[FILLED_AT].copy_from_slice(&header.filled_at.to_le_bytes());
    buffer[FRESH_UNTIL].copy_from_slice(&header.fresh_until.to_le_bytes());
    buffer[BODY_MICROS].copy_from_slice(&header.body_micros.to_le_bytes());
    buffer[FLAGS] |= if header.negative { NEGATIVE } else { 0 } | if header.compressed { COMPRESSED } else { 0 };
    buffer[RESERVED] = 0;
    let checksum = checksum(key, buffer);
    buffer[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
}

/// Writes the refresh token into the header of a value, and the time until which no other caller may refresh.
pub(crate) fn mark(value: &mut [u8], token: Option<Token>, until: u64) {
    if value.len() < HEAD_LEN {
        return;
    }
    let none = [0; 16];
    value[MARK_TOKEN].copy_from_slice(token.as_ref().map_or(&none, |token| &token.0));
    let digits = format!("{:016}", until.min(LATEST));
    value[MARK_UNTIL].copy_from_slice(digits.as_bytes());
}

pub(super) fn checksum(key: &Key, bytes: &[u8]) -> u64 {
    // The namespace's length tells `a:b:c` in namespace `a` from the same text without one.
    let seed = key.namespace_len() as u64;
    let header = [&bytes[FRONT], &bytes[MARK.end..CHECKSUM.start]];
    hash_parts(seed, [key.as_str().as_bytes(), header[0], header[1], &bytes[CHECKSUM.end..]])
}
