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
//!
//! A value that stays readable while somebody computes its successor carries that lease in its own
//! mutable bytes: it goes with the value, whatever empties or overwrites the slot.

use std::ops::Range;

use xxhash_rust::xxh3::Xxh3;

use crate::key::Key;

const LEASE: u8 = b'L';
const VALUE: u8 = b'V';
const FORMAT: u8 = 1;

/// What the checksum does not cover: who refreshes the value, and until when nobody else may.
const MUTABLE: Range<usize> = 18..50;
const UNTIL: Range<usize> = 34..50;
const CHECKSUM: Range<usize> = 104..112;

/// The bytes of a slot that tell whose it is: all that [`head`] looks at.
pub(crate) const HEAD_LEN: usize = MUTABLE.end;

/// The bytes before the payload of a value without tags.
pub(crate) const HEADER_LEN: usize = 112;

/// How much of a slot `displace` compares.
pub(crate) const COMPARED: usize = 64;

const NEGATIVE: u8 = 1;

/// The last time that 16 digits can tell.
const LATEST: u64 = 9_999_999_999_999_999;

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

    fn at(bytes: &[u8], at: usize) -> Token {
        let mut token = [0; 16];
        token.copy_from_slice(&bytes[at..at + 16]);
        Token(token)
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

/// Where a lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Alone in the slot.
    Slot,
    /// In the header of a value, which stays readable.
    Value,
}

/// The right to fill one slot, for `millis` unless renewed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    bytes: [u8; 18],
    token: Token,
    place: Place,
    pub(crate) millis: u64,
}

impl Lease {
    /// For a slot that holds nothing to be read.
    pub(crate) fn new(token: Token, millis: u64) -> Lease {
        Lease { bytes: front(LEASE, token), token, place: Place::Slot, millis }
    }

    /// For a value to be refreshed.
    pub(crate) fn in_value(token: Token, millis: u64) -> Lease {
        Lease { place: Place::Value, ..Lease::new(token, millis) }
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// What the slot holds while a lease of its own stands.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What a store finds in the lease's place while it stands: the whole slot, or the token in a
    /// value's header. They differ in length, so that neither is ever taken for the other.
    pub(crate) fn proof(&self) -> &[u8] {
        match self.place {
            Place::Slot => &self.bytes,
            Place::Value => &self.token.0,
        }
    }
}

/// What a value of this id begins with.
pub(crate) fn value_front(id: Token) -> [u8; 18] {
    front(VALUE, id)
}

fn front(what: u8, token: Token) -> [u8; 18] {
    let mut bytes = [0; 18];
    bytes[0] = what;
    bytes[1] = FORMAT;
    bytes[2..].copy_from_slice(&token.0);
    bytes
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
    Lease(Token),
    /// A value of this identity, intact.
    Value(Value),
    /// Anything else: another version, codec or type, damaged, or not ours.
    Unusable,
}

/// A value as read.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) leased_at: u64,
    pub(crate) filled_at: u64,
    pub(crate) fresh_until: u64,
    pub(crate) negative: bool,
}

/// What the first bytes of a slot tell, unverified.
#[derive(Debug)]
pub(crate) enum Head {
    Lease(Token),
    Value(Mark),
    Other,
}

/// Who refreshes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The value's.
    pub(crate) id: Token,
    /// `None` for nobody.
    pub(crate) token: Option<Token>,
    /// Before this time of the store nobody else is to refresh it.
    pub(crate) until: u64,
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
    buffer[..MUTABLE.start].copy_from_slice(&value_front(id));
    buffer[MUTABLE.start..UNTIL.start].fill(0);
    buffer[UNTIL].fill(b'0');
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

/// Writes into the header of a value who refreshes it, and until when nobody else may.
pub(crate) fn mark(value: &mut [u8], token: Option<Token>, until: u64) {
    let none = [0; 16];
    value[MUTABLE.start..UNTIL.start].copy_from_slice(token.as_ref().map_or(&none, |token| &token.0));
    let digits = format!("{:016}", until.min(LATEST));
    value[UNTIL].copy_from_slice(digits.as_bytes());
}

/// Reads the first [`HEAD_LEN`] bytes of a slot, or more. Any bytes at all may come in.
pub(crate) fn head(bytes: &[u8]) -> Head {
    match bytes {
        // Longer ones are damaged, or of a later version: nobody waits for those.
        [LEASE, FORMAT, ..] if bytes.len() == 18 => Head::Lease(Token::at(bytes, 2)),
        [VALUE, FORMAT, ..] if bytes.len() >= HEAD_LEN => {
            let token = Token::at(bytes, MUTABLE.start);
            let token = (token.0 != [0; 16]).then_some(token);
            Head::Value(Mark { id: Token::at(bytes, 2), token, until: number(&bytes[UNTIL]).unwrap_or(0) })
        }
        _ => Head::Other,
    }
}

/// Reads a slot's bytes. Any bytes at all may come in.
pub(crate) fn parse(key: &Key, expected: &Identity, bytes: &[u8]) -> Slot {
    // Not by way of `head`: a hit has no use for the mark.
    if !bytes.starts_with(&[VALUE, FORMAT]) || bytes.len() < HEADER_LEN {
        return if let Head::Lease(token) = head(bytes) { Slot::Lease(token) } else { Slot::Unusable };
    }
    let identity = Identity { version: u32_at(bytes, 50), codec: u32_at(bytes, 54), fingerprint: u64_at(bytes, 58) };
    let flags = bytes[102];
    // No tags exist yet: a value that has some was written by a later version of this library.
    let plain = u64_at(bytes, 66) == 0 && bytes[103] == 0 && flags & !NEGATIVE == 0;
    if identity != *expected || !plain || u64_at(bytes, CHECKSUM.start) != checksum(key, bytes) {
        return Slot::Unusable;
    }
    Slot::Value(Value {
        leased_at: u64_at(bytes, 74),
        filled_at: u64_at(bytes, 82),
        fresh_until: u64_at(bytes, 90),
        negative: flags & NEGATIVE != 0,
    })
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

/// Of decimal digits, no more than a `u64` has room for.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::KeyWriter;

    const IDENTITY: Identity = Identity { version: 1, codec: 2, fingerprint: 3 };

    fn key() -> Key {
        KeyWriter::new("", "envelope").finish().expect("a key")
    }

    fn token(byte: u8) -> Token {
        Token([byte; 16])
    }

    fn sealed() -> Vec<u8> {
        let header = Header {
            identity: IDENTITY,
            leased_at: 10,
            filled_at: 11,
            fresh_until: 12,
            body_millis: 1,
            negative: false,
        };
        let mut buffer = buffer();
        buffer.extend_from_slice(b"payload");
        seal(&key(), token(7), &header, &mut buffer);
        buffer
    }

    fn value(bytes: &[u8]) -> Value {
        match parse(&key(), &IDENTITY, bytes) {
            Slot::Value(value) => value,
            other => panic!("{other:?}"),
        }
    }

    fn marked(bytes: &[u8]) -> Mark {
        match head(bytes) {
            Head::Value(mark) => mark,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_sealed_is_unmarked() {
        let value = value(&sealed());
        assert_eq!(marked(&sealed()), Mark { id: token(7), token: None, until: 0 });
        assert_eq!((value.leased_at, value.filled_at, value.fresh_until), (10, 11, 12));
    }

    #[test]
    fn a_mark_is_read_back() {
        for (mark, until, read) in [
            (Some(token(9)), 1_700_000_000_123, 1_700_000_000_123),
            (None, 1, 1),
            (Some(token(255)), u64::MAX, LATEST),
            (None, 0, 0),
        ] {
            let mut bytes = sealed();
            super::mark(&mut bytes, mark, until);
            value(&bytes);
            assert_eq!(marked(&bytes[..HEAD_LEN]), Mark { id: token(7), token: mark, until: read });
        }
    }

    #[test]
    fn digits_that_are_none_say_nothing() {
        for digits in [b"            1700", b"0x00000000001700", b"-000000000000001", b"1e15000000000000", &[0xff; 16]]
        {
            let mut bytes = sealed();
            bytes[UNTIL].copy_from_slice(digits);
            assert_eq!(marked(&bytes).until, 0);
        }
    }

    #[test]
    fn a_lease_stands_in_its_place_alone() {
        let (slot, marked) = (Lease::new(token(5), 1), Lease::in_value(token(5), 1));
        assert_eq!((slot.place(), marked.place()), (Place::Slot, Place::Value));
        assert_eq!((slot.token(), marked.token()), (token(5), token(5)));
        assert!(matches!(head(slot.bytes()), Head::Lease(held) if held == token(5)));
        assert!(matches!(parse(&key(), &IDENTITY, slot.bytes()), Slot::Lease(held) if held == token(5)));
        assert_ne!(slot.proof().len(), marked.proof().len());
    }

    #[test]
    fn half_a_head_is_none() {
        let (bytes, lease) = (sealed(), Lease::new(token(5), 1));
        for length in 0..HEAD_LEN {
            assert!(matches!(head(&bytes[..length]), Head::Other), "{length}");
        }
        for length in 0..18 {
            assert!(matches!(head(&lease.bytes()[..length]), Head::Other), "{length}");
        }
        for length in 0..bytes.len() {
            assert!(matches!(parse(&key(), &IDENTITY, &bytes[..length]), Slot::Unusable), "{length}");
        }
    }

    proptest! {
        #[test]
        fn marks_are_outside_the_checksum(mutable in proptest::collection::vec(any::<u8>(), MUTABLE.len())) {
            let mut bytes = sealed();
            bytes[MUTABLE].copy_from_slice(&mutable);
            value(&bytes);
            prop_assert_eq!(marked(&bytes).id, token(7));
        }

        #[test]
        fn all_else_is_inside(at in 0..sealed().len(), bit in 0..8u8) {
            let mut bytes = sealed();
            bytes[at] ^= 1 << bit;
            let usable = matches!(parse(&key(), &IDENTITY, &bytes), Slot::Value(_));
            prop_assert_eq!(usable, MUTABLE.contains(&at));
        }

        #[test]
        fn any_bytes_are_survived(
            first in prop_oneof![Just(LEASE), Just(VALUE), any::<u8>()],
            format in prop_oneof![Just(FORMAT), any::<u8>()],
            rest in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = [&[first, format], &rest[..]].concat();
            for bytes in [&bytes[..], &rest[..]] {
                let _ = head(bytes);
                let _ = parse(&key(), &IDENTITY, bytes);
            }
        }
    }
}
