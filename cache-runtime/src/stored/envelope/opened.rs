//! All parts of a slot, for people: nothing of this is on the path of a call.

use std::time::Duration;

use super::header::{HEADER_LEN, Head, Mark, checksum, head};
use super::layout::{
    BODY_MICROS, CHECKSUM, CODEC, COMPRESSED, FILLED_AT, FINGERPRINT, FLAGS, FRESH_UNTIL, KNOWN, LATEST, LEASE,
    LEASE_END, LEASE_FORMAT, LEASED_AT, MARK_UNTIL, NEGATIVE, OWN_TAGS, RESERVED, SEAL, VALUE, VERSION, number, u32_in,
    u64_in,
};
use super::tags::{Seal, split_own_tags};
use super::value::from_field;
use crate::key::Key;

/// The content of a slot, unverified.
#[derive(Debug)]
pub(crate) enum Opened<'a> {
    Lease {
        token: [u8; 16],
        seal: Seal,
    },
    Value(Box<OpenedValue<'a>>),
    /// The first bytes are those of this library, and another version of it wrote them.
    OtherVersion,
    Foreign,
}

/// A value of this library, by its first bytes.
#[derive(Debug)]
pub(crate) struct OpenedValue<'a> {
    pub(crate) mark: Mark,
    /// Its mark has no time in it. To a call, the value has no mark then.
    pub(crate) has_damaged_mark: bool,
    pub(crate) version: u32,
    pub(crate) codec: u32,
    pub(crate) fingerprint: u64,
    pub(crate) seal: Seal,
    pub(crate) leased_at: u64,
    pub(crate) filled_at: u64,
    /// `u64::MAX` means for ever.
    pub(crate) fresh_until: u64,
    pub(crate) body: Duration,
    pub(crate) negative: bool,
    pub(crate) compressed: bool,
    /// The names of its own tags, and their seal.
    pub(crate) own_tags: Option<(Vec<&'a str>, Seal)>,
    /// Empty if only the header is there.
    pub(crate) payload: &'a [u8],
}

/// Reads the parts of a slot, of which at least the header is there. Any bytes at all may come in.
pub(crate) fn opened(bytes: &[u8]) -> Opened<'_> {
    let has_digits = bytes.get(MARK_UNTIL).is_some_and(|digits| number(digits).is_some());
    let mark = match head(bytes) {
        Head::Lease(token, seal) => return Opened::Lease { token: *token.bytes(), seal },
        // A mark that was never set is zeroes: digits are the surest sign of this library. Without them, its mark is
        // damaged, which a call ignores.
        Head::Value(mark) if bytes.len() >= HEADER_LEN && (has_digits || has_times(bytes)) => mark,
        _ if is_of_other_version(bytes) => return Opened::OtherVersion,
        _ => return Opened::Foreign,
    };
    let flags = bytes[FLAGS];
    if bytes[RESERVED] != 0 || flags & !KNOWN != 0 {
        return Opened::OtherVersion;
    }
    let rest = &bytes[HEADER_LEN..];
    let split = if flags & OWN_TAGS == 0 { None } else { split_own_tags(rest) };
    let (own_tags, payload) = match split {
        Some((names, seal, payload)) => (Some((names, seal)), payload),
        None => (None, rest),
    };
    Opened::Value(Box::new(OpenedValue {
        mark,
        has_damaged_mark: !has_digits,
        version: u32_in(bytes, VERSION),
        codec: u32_in(bytes, CODEC),
        fingerprint: u64_in(bytes, FINGERPRINT),
        seal: Seal(u64_in(bytes, SEAL)),
        leased_at: u64_in(bytes, LEASED_AT),
        filled_at: u64_in(bytes, FILLED_AT),
        fresh_until: u64_in(bytes, FRESH_UNTIL),
        body: Duration::from_micros(u32_in(bytes, BODY_MICROS).into()),
        negative: flags & NEGATIVE != 0,
        compressed: flags & COMPRESSED != 0,
        own_tags,
        payload,
    }))
}

/// Returns true if the times of a value fit each other, as those of other bytes do not: it began after the year 2001, ended
/// no earlier than that, and is fresh for some time from then on.
fn has_times(bytes: &[u8]) -> bool {
    let [leased, filled, fresh] = [LEASED_AT, FILLED_AT, FRESH_UNTIL].map(|place| u64_in(bytes, place));
    (1_000_000_000_000..=LATEST).contains(&leased) && (leased..=LATEST).contains(&filled) && fresh >= filled
}

/// Returns true for a value of another format. Both formats so far have the mark in the same place.
fn is_of_other_version(bytes: &[u8]) -> bool {
    bytes.first() == Some(&VALUE) && bytes.len() >= HEADER_LEN && number(&bytes[MARK_UNTIL]).is_some()
}

/// Returns true if the checksum of a value fits its bytes and this key.
pub(crate) fn is_intact(key: &Key, bytes: &[u8]) -> bool {
    bytes.len() >= HEADER_LEN && u64_in(bytes, CHECKSUM) == checksum(key, bytes)
}

/// The bytes of a slot that is a field, as those of a slot with a key of its own, and its end by the server's clock. `None`
/// if it has no end, which no field of this library lacks.
pub(crate) fn opened_field(bytes: Vec<u8>, mark: Option<&[u8]>) -> Option<(Vec<u8>, u64)> {
    let end = match bytes.as_slice() {
        [LEASE, LEASE_FORMAT, ..] => LEASE_END,
        [VALUE, ..] => MARK_UNTIL,
        _ => return None,
    };
    let end = bytes.get(end).and_then(number)?;
    Some((from_field(bytes, mark, 0)?, end))
}
