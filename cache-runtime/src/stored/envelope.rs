//! The bytes in a slot: a lease, or a value after a fixed header.
//!
//! ```text
//! lease   0 'L'   1 format   2..18 token   18..26 seal u64, if there are tags
//! value   0 'V'   1 format   2..18 value id
//!        18..34 refresh token (0: none)    34..50 until, 16 decimal digits   — mutable in place
//!        50 version u32   54 codec u32   58 fingerprint u64   66 seal u64 (0: no tags)
//!        74 leased at u64   82 filled at u64   90 fresh until u64   (server milliseconds)
//!        98 body duration u32 (milliseconds)   102 flags u8   103 zero
//!       104 checksum u64   112 own tags, if a flag says that it was asked for them   then the payload
//! own tags    number u16, then for each a length u8 and its name, then their seal u64
//! ```
//!
//! Integers are little-endian. The checksum covers the header without 18..50 and without itself,
//! the payload and the key, so that bytes copied to another key are a miss.
//!
//! A *seal* is a hash over tags and their stamps. Equal seals mean that the tags are the same and that none of them was
//! invalidated in between. The tags that follow from the arguments need not be in the value; the value's own tags must.
//!
//! A value that stays readable during its refresh carries the refresh lease in its own mutable bytes. The lease goes
//! with the value when the slot is emptied or overwritten.

use std::ops::Range;

use crate::error::{Error, ErrorKind};
use crate::hash::hash_parts;
use crate::key::Key;
use crate::stored::codec::Rank;

const LEASE: u8 = b'L';
const VALUE: u8 = b'V';
const FORMAT: u8 = 1;

/// The bytes that the checksum does not cover: the refresh token, and the time until which no other caller may refresh.
const MUTABLE: Range<usize> = 18..50;
const UNTIL: Range<usize> = 34..50;
const CHECKSUM: Range<usize> = 104..112;

/// The bytes of a slot that show its holder: all that [`head`] reads.
pub(crate) const HEAD_LEN: usize = MUTABLE.end;

/// The bytes before the payload of a value without tags.
pub(crate) const HEADER_LEN: usize = 112;

/// The most tags of its own that a value may have, and the longest name of a tag.
pub(crate) const MOST_TAGS: usize = 1_000;

/// The number of bytes of a slot that `displace` compares.
pub(crate) const COMPARED: usize = 64;

const NEGATIVE: u8 = 1;
const OWN_TAGS: u8 = 2;

/// The last time that 16 digits can hold.
const LATEST: u64 = 9_999_999_999_999_999;

/// Sixteen bytes from the operating system's randomness: a lease's token, a value's id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Token([u8; 16]);

impl Token {
    /// Returns `None` if the operating system has no randomness to give: then nothing can be leased.
    pub(crate) fn random() -> Option<Token> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        Some(Token(bytes))
    }

    /// Returns two tokens, by one system call.
    pub(crate) fn two() -> Option<(Token, Token)> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).ok()?;
        Some((Token::at(&bytes, 0), Token::at(&bytes, 16)))
    }

    fn at(bytes: &[u8], at: usize) -> Token {
        let mut token = [0; 16];
        token.copy_from_slice(&bytes[at..at + 16]);
        Token(token)
    }

    /// The error of a caller that gets no token.
    pub(crate) fn none() -> Error {
        Error::new(ErrorKind::Unsupported, "the operating system has no randomness to give")
    }

    pub(crate) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The first half of the token, for other uses of randomness.
    pub(crate) fn as_random(&self) -> u64 {
        u64_at(&self.0, 0)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The place of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeasePlace {
    /// The lease is alone in the slot.
    Slot,
    /// The lease is in the header of a value, which stays readable.
    Value,
}

/// A hash over the tags of an entry and their stamps; 0 for an entry without tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seal(u64);

impl Seal {
    /// The seal over the tags of an entry, in their order, with the stamp of each.
    pub(crate) fn of<'a>(stamped: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Seal {
        let mut stamped = stamped.into_iter().peekable();
        if stamped.peek().is_none() {
            return Seal(0);
        }
        Seal(hash_parts(0, stamped.flat_map(|(tag, stamp)| [tag.as_bytes(), stamp])).max(1))
    }
}

/// The right to fill one slot, for `millis` unless renewed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    bytes: [u8; SEALED_LEASE_LEN],
    token: Token,
    place: LeasePlace,
    seal: Seal,
    pub(crate) millis: u64,
}

const LEASE_LEN: usize = 18;
const SEALED_LEASE_LEN: usize = 26;

impl Lease {
    /// A lease for a slot that holds nothing readable. A value that is computed under it has this seal.
    pub(crate) fn new(token: Token, seal: Seal, millis: u64) -> Lease {
        let mut bytes = [0; SEALED_LEASE_LEN];
        bytes[..LEASE_LEN].copy_from_slice(&front(LEASE, token));
        bytes[LEASE_LEN..].copy_from_slice(&seal.0.to_le_bytes());
        Lease { bytes, token, place: LeasePlace::Slot, seal, millis }
    }

    /// A lease for refreshing a value.
    pub(crate) fn in_value(token: Token, seal: Seal, millis: u64) -> Lease {
        Lease { place: LeasePlace::Value, ..Lease::new(token, seal, millis) }
    }

    pub(crate) fn seal(&self) -> Seal {
        self.seal
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    pub(crate) fn place(&self) -> LeasePlace {
        self.place
    }

    /// The content of the slot while a lease in place `Slot` is valid.
    pub(crate) fn bytes(&self) -> &[u8] {
        let len = if self.seal == Seal::default() { LEASE_LEN } else { SEALED_LEASE_LEN };
        &self.bytes[..len]
    }

    /// The bytes that a store compares to find the lease valid: the whole slot, or the token in a value's header. They
    /// differ in length, so that neither is ever taken for the other.
    pub(crate) fn proof(&self) -> &[u8] {
        match self.place {
            LeasePlace::Slot => self.bytes(),
            LeasePlace::Value => &self.token.0,
        }
    }
}

/// The first bytes of a value with this id.
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
    pub(crate) body_millis: u32,
    /// A stored `None`: the payload is empty.
    pub(crate) negative: bool,
}

/// The content of a slot.
#[derive(Debug)]
pub(crate) enum Content {
    /// A caller computes the value.
    Lease(Token, Seal),
    /// A value of this identity, intact.
    Value(Value),
    /// Anything else: another version, codec or type, damaged, or not ours.
    Unusable,
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
    pub(crate) negative: bool,
    payload_at: usize,
}

impl Value {
    /// The encoded value, in the bytes that this was parsed from.
    pub(crate) fn payload<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.payload_at..).unwrap_or_default()
    }
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

/// Returns true if the value was asked for tags of its own. Any bytes at all may come in.
pub(crate) fn has_own_tags(bytes: &[u8]) -> bool {
    bytes.starts_with(&[VALUE, FORMAT]) && bytes.get(102).is_some_and(|flags| flags & OWN_TAGS != 0)
}

/// The names of the value's own tags. Any bytes at all may come in, and the names are unverified.
pub(crate) fn own_tags(bytes: &[u8]) -> Vec<&str> {
    let rest = if has_own_tags(bytes) { bytes.get(HEADER_LEN..) } else { None };
    rest.and_then(split_own_tags).map(|(names, ..)| names).unwrap_or_default()
}

/// The names, their seal, and the bytes after them.
fn split_own_tags(rest: &[u8]) -> Option<(Vec<&str>, Seal, &[u8])> {
    let (count, mut rest) = rest.split_first_chunk::<2>()?;
    let count = usize::from(u16::from_le_bytes(*count));
    if count > MOST_TAGS {
        return None;
    }
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        let (len, more) = rest.split_first()?;
        let (name, more) = more.split_at_checked(usize::from(*len))?;
        names.push(std::str::from_utf8(name).ok()?);
        rest = more;
    }
    let (seal, payload) = rest.split_first_chunk::<8>()?;
    Some((names, Seal(u64::from_le_bytes(*seal)), payload))
}

/// The buffer that an encoder appends the payload to, with room for the header at its front, and the value's own tags,
/// if it has any. Their names are no longer than 255 bytes.
pub(crate) fn buffer(own: &OwnTags) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(HEADER_LEN + 128);
    buffer.resize(HEADER_LEN, 0);
    if own.is_asked {
        buffer[102] = OWN_TAGS;
        // `OwnTags` limits the number and the length.
        buffer.extend_from_slice(&(own.names.len() as u16).to_le_bytes());
        for name in &own.names {
            buffer.push(name.len() as u8);
            buffer.extend_from_slice(name.as_bytes());
        }
        buffer.extend_from_slice(&own.seal.0.to_le_bytes());
    }
    buffer
}

/// The tags that a value has of its own, in addition to those that follow from the arguments.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnTags {
    /// A value that was not asked differs from one that has none.
    is_asked: bool,
    names: Vec<String>,
    seal: Seal,
}

impl OwnTags {
    /// The tags of a value that has none.
    pub(crate) fn none(is_asked: bool) -> OwnTags {
        OwnTags { is_asked, ..OwnTags::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns `None` if there are too many tags, or a name is too long.
    pub(crate) fn new(names: Vec<String>, seal: Seal) -> Option<OwnTags> {
        let fits = names.len() <= MOST_TAGS && names.iter().all(|name| name.len() <= usize::from(u8::MAX));
        fits.then_some(OwnTags { is_asked: true, names, seal })
    }
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
    buffer[66..74].copy_from_slice(&header.seal.0.to_le_bytes());
    buffer[74..82].copy_from_slice(&header.leased_at.to_le_bytes());
    buffer[82..90].copy_from_slice(&header.filled_at.to_le_bytes());
    buffer[90..98].copy_from_slice(&header.fresh_until.to_le_bytes());
    buffer[98..102].copy_from_slice(&header.body_millis.to_le_bytes());
    buffer[102] |= if header.negative { NEGATIVE } else { 0 };
    buffer[103] = 0;
    let checksum = checksum(key, buffer);
    buffer[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
}

/// Writes the refresh token into the header of a value, and the time until which no other caller may refresh.
pub(crate) fn mark(value: &mut [u8], token: Option<Token>, until: u64) {
    if value.len() < HEAD_LEN {
        return;
    }
    let none = [0; 16];
    value[MUTABLE.start..UNTIL.start].copy_from_slice(token.as_ref().map_or(&none, |token| &token.0));
    let digits = format!("{:016}", until.min(LATEST));
    value[UNTIL].copy_from_slice(digits.as_bytes());
}

/// The bytes of a slot, from a field of a hash that holds it and the companion with its mark: `None` if it has expired.
/// In a field, a lease has its end after its token, and a value has its end in the place of the mark.
pub(crate) fn from_field(mut bytes: Vec<u8>, mark: Option<&[u8]>, now: u64) -> Option<Vec<u8>> {
    let end = match bytes.as_slice() {
        // Waiting for a lease without an end would never succeed.
        [LEASE, FORMAT, ..] => LEASE_LEN..LEASE_LEN + UNTIL.len(),
        [VALUE, FORMAT, ..] if bytes.len() >= HEAD_LEN => UNTIL,
        _ => return Some(bytes),
    };
    if bytes.get(end.clone()).and_then(number).unwrap_or(0) <= now {
        return None;
    }
    if end == UNTIL {
        match mark {
            Some(mark) if mark.len() == MUTABLE.len() => bytes[MUTABLE].copy_from_slice(mark),
            _ => self::mark(&mut bytes, None, 0),
        }
    } else {
        bytes.drain(end);
    }
    Some(bytes)
}

/// Reads the first [`HEAD_LEN`] bytes of a slot, or more. Any bytes at all may come in.
pub(crate) fn head(bytes: &[u8]) -> Head {
    match bytes {
        // Longer leases are damaged, or of a later version: no caller waits for them.
        [LEASE, FORMAT, ..] if bytes.len() == LEASE_LEN => Head::Lease(Token::at(bytes, 2), Seal::default()),
        [LEASE, FORMAT, ..] if bytes.len() == SEALED_LEASE_LEN => {
            Head::Lease(Token::at(bytes, 2), Seal(u64_at(bytes, LEASE_LEN)))
        }
        [VALUE, FORMAT, ..] if bytes.len() >= HEAD_LEN => {
            let token = Token::at(bytes, MUTABLE.start);
            let token = (token.0 != [0; 16]).then_some(token);
            Head::Value(Mark { id: Token::at(bytes, 2), token, until: number(&bytes[UNTIL]).unwrap_or(0) })
        }
        _ => Head::Other,
    }
}

/// Returns true if a lease or a value, of which nothing is verified, has these stamps and no others.
pub(crate) fn is_sealed(bytes: &[u8], seal: Seal) -> bool {
    match head(bytes) {
        Head::Lease(_, held) => held == seal,
        Head::Value(_) => bytes.len() >= HEADER_LEN && u64_at(bytes, 66) == seal.0 && bytes[102] & OWN_TAGS == 0,
        Head::Other => true,
    }
}

/// Reads a slot's bytes. Any bytes at all may come in. A value has one of the two expected identities, by the [`Rank`]
/// of its codec.
pub(crate) fn parse(key: &Key, expected: &[Identity; 2], bytes: &[u8]) -> Content {
    // This does not use `head`, because a hit does not need the mark.
    if !bytes.starts_with(&[VALUE, FORMAT]) || bytes.len() < HEADER_LEN {
        return match head(bytes) {
            Head::Lease(token, seal) => Content::Lease(token, seal),
            _ => Content::Unusable,
        };
    }
    let identity = Identity { version: u32_at(bytes, 50), codec: u32_at(bytes, 54), fingerprint: u64_at(bytes, 58) };
    let flags = bytes[102];
    // A later version of this library wrote other bits.
    let is_known = bytes[103] == 0 && flags & !(NEGATIVE | OWN_TAGS) == 0;
    let rank = match expected {
        [first, _] if identity == *first => Rank::First,
        [_, second] if identity == *second => Rank::Second,
        _ => return Content::Unusable,
    };
    if !is_known || u64_at(bytes, CHECKSUM.start) != checksum(key, bytes) {
        return Content::Unusable;
    }
    let (own_seal, payload_at) = match flags & OWN_TAGS {
        0 => (None, HEADER_LEN),
        _ => match split_own_tags(&bytes[HEADER_LEN..]) {
            Some((_, seal, payload)) => (Some(seal), bytes.len() - payload.len()),
            None => return Content::Unusable,
        },
    };
    Content::Value(Value {
        rank,
        seal: Seal(u64_at(bytes, 66)),
        own_seal,
        leased_at: u64_at(bytes, 74),
        filled_at: u64_at(bytes, 82),
        fresh_until: u64_at(bytes, 90),
        negative: flags & NEGATIVE != 0,
        payload_at,
    })
}

fn checksum(key: &Key, bytes: &[u8]) -> u64 {
    // The namespace's length tells `a:b:c` in namespace `a` from the same text without one.
    let seed = key.namespace_len() as u64;
    let header = [&bytes[..MUTABLE.start], &bytes[MUTABLE.end..CHECKSUM.start]];
    hash_parts(seed, [key.as_str().as_bytes(), header[0], header[1], &bytes[CHECKSUM.end..]])
}

/// Parses decimal digits, no more than fit into a `u64`.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// Returns zeroes where the bytes end too early, which callers have ruled out.
#[inline]
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
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

    const HEADER: Header = Header {
        identity: IDENTITY,
        seal: Seal(0),
        leased_at: 10,
        filled_at: 11,
        fresh_until: 12,
        body_millis: 1,
        negative: false,
    };

    fn sealed() -> Vec<u8> {
        let header = HEADER;
        let mut buffer = buffer(&OwnTags::default());
        buffer.extend_from_slice(b"payload");
        seal(&key(), token(7), &header, &mut buffer);
        buffer
    }

    fn value(bytes: &[u8]) -> Value {
        match parse(&key(), &[IDENTITY; 2], bytes) {
            Content::Value(value) => value,
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
        let (slot, marked) = (Lease::new(token(5), Seal::default(), 1), Lease::in_value(token(5), Seal::default(), 1));
        assert_eq!((slot.place(), marked.place()), (LeasePlace::Slot, LeasePlace::Value));
        assert_eq!((slot.token(), marked.token()), (token(5), token(5)));
        assert!(matches!(head(slot.bytes()), Head::Lease(held, _) if held == token(5)));
        assert!(matches!(parse(&key(), &[IDENTITY; 2], slot.bytes()), Content::Lease(held, _) if held == token(5)));
        assert_ne!(slot.proof().len(), marked.proof().len());
    }

    fn own(names: &[&str]) -> OwnTags {
        OwnTags::new(names.iter().map(|name| (*name).to_owned()).collect(), Seal(77)).expect("not too many")
    }

    #[test]
    fn own_tags_are_read_back() {
        let header = Header { seal: Seal(5), ..HEADER };
        for names in [&[][..], &["a"], &["a", "", "r%20d"], &["x".repeat(255).as_str()]] {
            let mut buffer = buffer(&own(names));
            buffer.extend_from_slice(b"payload");
            seal(&key(), token(7), &header, &mut buffer);
            let value = value(&buffer);
            assert_eq!((value.seal, value.own_seal), (Seal(5), Some(Seal(77))));
            assert_eq!(own_tags(&buffer), names);
            assert_eq!(value.payload(&buffer), b"payload");
        }
        assert_eq!(own_tags(&sealed()), [""; 0]);
        assert_eq!(value(&sealed()).own_seal, None);
        assert!(OwnTags::new(vec![String::new(); MOST_TAGS + 1], Seal(1)).is_none());
        assert!(OwnTags::new(vec!["x".repeat(256)], Seal(1)).is_none());
    }

    #[test]
    fn a_seal_is_over_tags_and_stamps() {
        let of = |stamped: &[(&str, &str)]| Seal::of(stamped.iter().map(|(tag, stamp)| (*tag, stamp.as_bytes())));
        assert_eq!(of(&[]), Seal::default());
        let seals =
            [of(&[("a", "1")]), of(&[("a", "2")]), of(&[("b", "1")]), of(&[("a1", "")]), of(&[("a", "1"), ("b", "1")])];
        for (at, seal) in seals.iter().enumerate() {
            assert_ne!(*seal, Seal::default());
            assert!(!seals[at + 1..].contains(seal));
        }
    }

    #[test]
    fn a_field_has_its_end_within() {
        let mut bytes = sealed();
        super::mark(&mut bytes, None, 1_000);
        assert_eq!(from_field(bytes.clone(), None, 999), Some(sealed()));
        assert_eq!(from_field(bytes.clone(), None, 1_000), None);
        let mut marked = sealed();
        super::mark(&mut marked, Some(token(9)), 1_700_000_000_123);
        assert_eq!(from_field(bytes.clone(), Some(&marked[MUTABLE]), 999), Some(marked.clone()));
        assert_eq!(from_field(bytes, Some(b"half a mark"), 999), Some(sealed()));
        for seal in [Seal::default(), Seal(5)] {
            let lease = Lease::new(token(5), seal, 1);
            let with_end = [&lease.bytes()[..LEASE_LEN], b"0000000000001000", &lease.bytes()[LEASE_LEN..]].concat();
            assert_eq!(from_field(with_end.clone(), None, 999), Some(lease.bytes().to_vec()));
            assert_eq!(from_field(with_end, None, 1_000), None);
        }
        assert_eq!(from_field(b"foreign".to_vec(), None, u64::MAX), Some(b"foreign".to_vec()));
    }

    #[test]
    fn half_a_head_is_none() {
        let (bytes, lease) = (sealed(), Lease::new(token(5), Seal::default(), 1));
        for length in 0..HEAD_LEN {
            assert!(matches!(head(&bytes[..length]), Head::Other), "{length}");
        }
        for length in 0..18 {
            assert!(matches!(head(&lease.bytes()[..length]), Head::Other), "{length}");
        }
        for length in 0..bytes.len() {
            assert!(matches!(parse(&key(), &[IDENTITY; 2], &bytes[..length]), Content::Unusable), "{length}");
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
            let usable = matches!(parse(&key(), &[IDENTITY; 2], &bytes), Content::Value(_));
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
                let _ = parse(&key(), &[IDENTITY; 2], bytes);
                let _ = own_tags(bytes);
                let _ = from_field(bytes.to_vec(), Some(&rest), 1);
            }
        }
    }
}
