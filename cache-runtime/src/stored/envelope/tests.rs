use proptest::prelude::*;

use super::layout::*;
use super::tags::MOST_TAGS;
use super::*;
use crate::key::{Key, KeyWriter};

const IDENTITY: Identity = Identity { version: 1, codec: 2, fingerprint: 3 };

fn key() -> Key {
    KeyWriter::new("", "envelope").finish().expect("a key")
}

fn token(byte: u8) -> Token {
    Token([byte; 16])
}

const SEALED: Header = Header {
    identity: IDENTITY,
    seal: Seal(0),
    leased_at: 10,
    filled_at: 11,
    fresh_until: 12,
    body_micros: 1,
    negative: false,
    compressed: false,
};

fn sealed() -> Vec<u8> {
    let header = SEALED;
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
    assert_eq!((value.leased_at, value.filled_at, value.fresh_until, value.body_micros), (10, 11, 12, 1));
}

#[test]
fn a_value_of_another_identity_tells_the_difference() {
    let other = |change: fn(&mut Identity)| {
        let mut identity = IDENTITY;
        change(&mut identity);
        match parse(&key(), &[identity; 2], &sealed()) {
            Content::Unusable(why) => why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(other(|identity| identity.fingerprint += 1), Why::Type);
    assert_eq!(other(|identity| identity.codec += 1), Why::Codec);
    assert_eq!(other(|identity| *identity = Identity { version: 9, codec: 9, fingerprint: 9 }), Why::Version);
    let [first, second] = [Identity { codec: 7, ..IDENTITY }, Identity { fingerprint: 9, ..IDENTITY }];
    assert!(matches!(parse(&key(), &[first, second], &sealed()), Content::Unusable(Why::Type)));
    let mut damaged = sealed();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(matches!(parse(&key(), &[IDENTITY; 2], &damaged), Content::Unusable(Why::Checksum)));
}

#[test]
fn a_compressed_value_is_of_a_known_algorithm() {
    let with = |flags: u8, payload: &[u8]| {
        let header = Header { compressed: flags & COMPRESSED != 0, negative: flags & NEGATIVE != 0, ..SEALED };
        let mut buffer = buffer(&OwnTags::default());
        buffer.extend_from_slice(payload);
        seal(&key(), token(7), &header, &mut buffer);
        parse(&key(), &[IDENTITY; 2], &buffer)
    };
    for (algorithm, is_known) in [(1, cfg!(feature = "lz4")), (2, cfg!(feature = "zstd")), (3, false)] {
        match with(COMPRESSED, &[algorithm, 1, 0, 0, 0, 0]) {
            Content::Value(value) => assert!(is_known && value.compressed, "{algorithm}"),
            Content::Unusable(why) => assert!(!is_known && why == Why::Format, "{algorithm}"),
            other => panic!("{other:?}"),
        }
    }
    for (flags, payload) in [(COMPRESSED, &[1, 0, 0, 0][..]), (COMPRESSED, &[]), (COMPRESSED | NEGATIVE, &[])] {
        assert!(matches!(with(flags, payload), Content::Unusable(Why::Format)), "{payload:?}");
    }
    assert!(matches!(with(0, &[1, 1, 0, 0, 0, 0]), Content::Value(Value { compressed: false, .. })));
}

#[cfg(feature = "local")]
#[test]
fn the_raw_length_is_that_of_the_value_without_compression() {
    for own in [OwnTags::default(), own(&["a", "tag"])] {
        let mut buffer = buffer(&own);
        let at = buffer.len();
        buffer.extend_from_slice(&[1, 0, 1, 0, 0, 7, 7]);
        assert_eq!(raw_len(&buffer), at + 7);
        seal(&key(), token(7), &Header { compressed: true, ..SEALED }, &mut buffer);
        assert_eq!(raw_len(&buffer), at + 256);
    }
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
    for digits in [b"            1700", b"0x00000000001700", b"-000000000000001", b"1e15000000000000", &[0xff; 16]] {
        let mut bytes = sealed();
        bytes[MARK_UNTIL].copy_from_slice(digits);
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
    let header = Header { seal: Seal(5), ..SEALED };
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
    assert_eq!(from_field(bytes.clone(), Some(&marked[MARK]), 999), Some(marked.clone()));
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
        assert!(matches!(parse(&key(), &[IDENTITY; 2], &bytes[..length]), Content::Unusable(_)), "{length}");
    }
}

proptest! {
    #[test]
    fn marks_are_outside_the_checksum(mutable in proptest::collection::vec(any::<u8>(), MARK.len())) {
        let mut bytes = sealed();
        bytes[MARK].copy_from_slice(&mutable);
        value(&bytes);
        prop_assert_eq!(marked(&bytes).id, token(7));
    }

    #[test]
    fn all_else_is_inside(at in 0..sealed().len(), bit in 0..8u8) {
        let mut bytes = sealed();
        bytes[at] ^= 1 << bit;
        let usable = matches!(parse(&key(), &[IDENTITY; 2], &bytes), Content::Value(_));
        prop_assert_eq!(usable, MARK.contains(&at));
    }

    #[test]
    fn any_bytes_are_survived(
        first in prop_oneof![Just(LEASE), Just(VALUE), any::<u8>()],
        format in prop_oneof![Just(LEASE_FORMAT), Just(VALUE_FORMAT), any::<u8>()],
        rest in proptest::collection::vec(any::<u8>(), 0..200),
        flags in any::<u8>(),
    ) {
        let mut bytes = [&[first, format], &rest[..]].concat();
        if let Some(of_header) = bytes.get_mut(FLAGS) {
            *of_header = flags;
        }
        for bytes in [&bytes[..], &rest[..]] {
            let _ = head(bytes);
            let _ = parse(&key(), &[IDENTITY; 2], bytes);
            let _ = own_tags(bytes);
            #[cfg(feature = "local")]
            let _ = raw_len(bytes);
            #[cfg(feature = "inspect")]
            let _ = opened(bytes);
            #[cfg(feature = "inspect")]
            let _ = opened_field(bytes.to_vec(), Some(&rest));
            let _ = from_field(bytes.to_vec(), Some(&rest), 1);
        }
    }
}
