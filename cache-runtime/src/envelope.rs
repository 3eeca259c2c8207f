//! The bytes in a slot: a lease, or a value behind a fixed header.
//!
//! ```text
//! lease   0 'L'   1 format   2..18 token
//! value   0 'V'   1 format   2..18 value id
//!        18..34 refresh token (0: none)    34..50 until, 16 decimal digits   — mutable in place
//!        50 version u32   54 codec u32   58 fingerprint u64   66 tag-list hash u64
//!        74 leased at u64   82 filled at u64   90 fresh until u64   (server milliseconds)
//!        98 body duration u32 (milliseconds)   102 flags u8   103 number of stamps u8
//!       104 checksum u64   112 stamps, 16 bytes each   then the payload
//! ```
//!
//! Integers are little-endian. The checksum covers the header without 18..50 and without itself,
//! the stamps, the payload and the key, so that bytes copied to another key are a miss.

use xxhash_rust::xxh3::Xxh3;

use crate::key::Key;

const LEASE: u8 = b'L';
const VALUE: u8 = b'V';
const FORMAT: u8 = 1;

/// Where the mutable area ends and what the checksum covers goes on.
const MUTABLE: std::ops::Range<usize> = 18..50;
const CHECKSUM: std::ops::Range<usize> = 104..112;

/// The bytes before the payload of a value without tags.
pub(crate) const HEADER_LEN: usize = 112;

/// How much of a slot `displace` compares.
pub(crate) const COMPARED: usize = 64;

const NEGATIVE: u8 = 1;

/// Sixteen bytes from the operating system's randomness: a lease's token, a value's id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Token([u8; 16]);

impl Token {
    /// `None` if the operating system has no randomness to give: then nothing can be leased.
    pub(crate) fn random() -> Option<Token> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        Some(Token(bytes))
    }

    /// Its first half, where randomness is wanted for something else too.
    pub(crate) fn as_random(&self) -> u64 {
        u64_at(&self.0, 0)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The right to fill one slot, for `millis` unless renewed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    bytes: [u8; 18],
    pub(crate) millis: u64,
}

impl Lease {
    pub(crate) fn new(token: Token, millis: u64) -> Lease {
        let mut bytes = [0; 18];
        bytes[0] = LEASE;
        bytes[1] = FORMAT;
        bytes[2..].copy_from_slice(&token.0);
        Lease { bytes, millis }
    }

    /// What the slot holds while the lease stands.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What a stored value must agree on to be this function's: everything that changes when the
/// code that reads it changes.
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
    pub(crate) leased_at: u64,
    pub(crate) filled_at: u64,
    /// `u64::MAX` for ever.
    pub(crate) fresh_until: u64,
    pub(crate) body_millis: u32,
    /// A stored `None`: the payload is empty.
    pub(crate) negative: bool,
}

/// What a slot holds.
#[derive(Debug)]
pub(crate) enum Slot {
    /// Somebody computes it.
    Lease,
    /// A value of this identity, intact.
    Value(Value),
    /// Anything else: another version, codec or type, damaged, or not ours.
    Unusable,
}

/// A value as read.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) leased_at: u64,
    pub(crate) fresh_until: u64,
    pub(crate) negative: bool,
}

/// What follows the header of a value.
pub(crate) fn payload(bytes: &[u8]) -> &[u8] {
    bytes.get(HEADER_LEN..).unwrap_or_default()
}

/// Where an encoder appends the payload: a buffer with room for the header at its front.
pub(crate) fn buffer() -> Vec<u8> {
    let mut buffer = Vec::with_capacity(HEADER_LEN + 128);
    buffer.resize(HEADER_LEN, 0);
    buffer
}

/// Writes the header into the front of `buffer`, which [`buffer`] made and an encoder appended to.
pub(crate) fn seal(key: &Key, id: Token, header: &Header, buffer: &mut [u8]) {
    debug_assert!(buffer.len() >= HEADER_LEN, "made by `buffer`");
    buffer[0] = VALUE;
    buffer[1] = FORMAT;
    buffer[2..18].copy_from_slice(&id.0);
    buffer[18..34].fill(0);
    buffer[34..50].fill(b'0');
    buffer[50..54].copy_from_slice(&header.identity.version.to_le_bytes());
    buffer[54..58].copy_from_slice(&header.identity.codec.to_le_bytes());
    buffer[58..66].copy_from_slice(&header.identity.fingerprint.to_le_bytes());
    buffer[66..74].fill(0);
    buffer[74..82].copy_from_slice(&header.leased_at.to_le_bytes());
    buffer[82..90].copy_from_slice(&header.filled_at.to_le_bytes());
    buffer[90..98].copy_from_slice(&header.fresh_until.to_le_bytes());
    buffer[98..102].copy_from_slice(&header.body_millis.to_le_bytes());
    buffer[102] = if header.negative { NEGATIVE } else { 0 };
    buffer[103] = 0;
    let checksum = checksum(key, buffer);
    buffer[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads a slot's bytes. Any bytes at all may come in.
pub(crate) fn parse(key: &Key, expected: &Identity, bytes: &[u8]) -> Slot {
    if is_lease(bytes) {
        return Slot::Lease;
    }
    if bytes.len() < HEADER_LEN || bytes[0] != VALUE || bytes[1] != FORMAT {
        return Slot::Unusable;
    }
    let identity = Identity { version: u32_at(bytes, 50), codec: u32_at(bytes, 54), fingerprint: u64_at(bytes, 58) };
    let flags = bytes[102];
    // No tags exist yet: a value that has some was written by a later version of this library.
    let plain = u64_at(bytes, 66) == 0 && bytes[103] == 0 && flags & !NEGATIVE == 0;
    if identity != *expected || !plain || u64_at(bytes, CHECKSUM.start) != checksum(key, bytes) {
        return Slot::Unusable;
    }
    Slot::Value(Value { leased_at: u64_at(bytes, 74), fresh_until: u64_at(bytes, 90), negative: flags & NEGATIVE != 0 })
}

/// Whether a slot's bytes are a lease, of whatever holder.
pub(crate) fn is_lease(bytes: &[u8]) -> bool {
    bytes.len() >= 18 && bytes[0] == LEASE && bytes[1] == FORMAT
}

fn checksum(key: &Key, bytes: &[u8]) -> u64 {
    // The namespace's length tells `a:b:c` in namespace `a` from the same text without one.
    let mut hash = Xxh3::with_seed(key.namespace_len() as u64);
    hash.update(key.as_str().as_bytes());
    hash.update(&bytes[..MUTABLE.start]);
    hash.update(&bytes[MUTABLE.end..CHECKSUM.start]);
    hash.update(&bytes[CHECKSUM.end..]);
    hash.digest()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
