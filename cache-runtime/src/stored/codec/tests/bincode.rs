//! What bincode can and cannot store.

use super::*;

const CONFIG: ::bincode::config::Configuration = ::bincode::config::standard();

#[test]
fn values_come_back() {
    everything::<Bincode>();
    positional::<Bincode>();
    round_trip::<Bincode, _>(list(100));
    round_trip::<Bincode, _>((f64::INFINITY, f32::NEG_INFINITY));
    round_trip::<Bincode, _>(vec![Some(None), None, Some(Some(()))]);
    round_trip::<Bincode, _>(vec![(); 1 << 16]);
    round_trip::<Bincode, _>(Skipping { a: 1, b: Some(2), c: 3 });
}

#[test]
fn the_bytes_are_bincode_s_own() {
    fn same<V: Serialize>(value: V) {
        let mut bytes = encode::<Bincode, _>(&value).expect("valid");
        bytes.truncate(bytes.len() - 4);
        assert_eq!(bytes, ::bincode::serde::encode_to_vec(&value, CONFIG).expect("valid"));
    }
    same(user());
    same((1_u8, -1_i16, u128::MAX, 'ß', "text", [1.5_f32; 2], Some(()), None::<u8>));
    same(node(20));
    same(vec![Kind::Unit, Kind::New(7), Kind::Tuple(1, "x".into())]);
    same(BTreeMap::from([(1, 2)]));
    for bits in 0..64 {
        for number in [1_u64 << bits, (1 << bits) - 1, !(1 << bits), 250 << bits >> bits, 251 + bits] {
            same((number, number as u32, number as u16, number as u8));
            let number = number.cast_signed();
            same((number, number as i32, number as i16, number as i8));
        }
    }
}

#[test]
fn lengths_that_bytes_claim_are_not_believed() {
    for claimed in [1_u64 << 60, u64::MAX, 1 << 32, 1 << 17] {
        let mut bytes = vec![253];
        bytes.extend_from_slice(&claimed.to_le_bytes());
        bytes.extend_from_slice(&[0; 40]);
        any_bytes::<Bincode>(&bytes);
        assert!(Bincode::decode::<String>(&bytes).is_err());
        assert!(Bincode::decode::<Vec<u8>>(&bytes).is_err());
        assert!(Bincode::decode::<Vec<()>>(&bytes).is_err());
        assert!(Bincode::decode::<HashSet<()>>(&bytes).is_err());
        assert!(Bincode::decode::<HashMap<(), ()>>(&bytes).is_err());
        assert!(Bincode::decode::<Vec<Vec<Vec<String>>>>(&bytes).is_err());
    }
    assert!(Bincode::decode::<Chain>(&vec![0; 1 << 20]).is_err());
    assert!(Bincode::decode::<List>(&vec![1; 1 << 20]).is_err());
    assert!(Bincode::decode::<Node>(&vec![1; 1 << 20]).is_err());
    assert!(refused::<Bincode>(&vec![(); 1 << 17]).contains("empty elements"));
}

/// The encoding of a `String` that consists of `text`.
fn as_text(text: &[u8]) -> Vec<u8> {
    let mut bytes = ::bincode::encode_to_vec(text, CONFIG).expect("valid");
    bytes.extend_from_slice(&[0; 4]);
    bytes
}

#[test]
fn text_is_utf_8() {
    for len in [2_usize, 31, 32, 63, 64, 127, 128, 129, 191, 192, 193, 1000, 100_000] {
        for bad in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xe2\x82", b"\xf0\x9f\x98", b"\xf5\x80\x80\x80"] {
            for at in [0, len / 2, len.saturating_sub(bad.len())] {
                let mut text = vec![b'a'; len];
                text.truncate(at);
                text.extend_from_slice(bad);
                text.resize(len.max(text.len()), b'a');
                let error = Bincode::decode::<String>(&as_text(&text)).expect_err("not UTF-8");
                assert!(error.to_string().contains("not UTF-8"), "{error}");
            }
        }
    }
}

#[test]
fn what_bincode_cannot_say_is_refused_with_advice() {
    for error in [
        refused::<Bincode>(&Skipping { a: 1, b: None, c: 3 }),
        refused::<Bincode>(&Flat { a: 1, rest: BTreeMap::new() }),
        Bincode::decode::<Untagged>(&[1; 9]).expect_err("untagged").to_string(),
        Bincode::decode::<Adjacent>(&[0; 9]).expect_err("tagged").to_string(),
    ] {
        assert!(error.contains("codec = json"), "{error}");
    }
    assert!(refused::<Bincode>(&Skipping { a: 1, b: None, c: 3 }).contains("`b`"));
}

#[test]
fn a_length_that_a_value_does_not_keep_is_refused() {
    lengths_are_kept::<Bincode>();
}

#[test]
fn a_field_that_is_only_read_does_not_shift_the_others() {
    #[derive(Debug, PartialEq, Serialize, Deserialize, Default)]
    #[serde(default)]
    struct Secret {
        #[serde(skip_serializing)]
        hash: Option<u8>,
        a: u8,
        b: u8,
    }
    // Without the counts, these bytes would read as `hash: None`, `a: 7` and no `b`.
    let bytes = encode::<Bincode, _>(&Secret { hash: Some(1), a: 0, b: 7 }).expect("valid");
    assert!(Bincode::decode::<Secret>(&bytes).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        any_bytes::<Bincode>(&bytes);
    }

    #[test]
    fn text_is_what_the_standard_library_takes_for_it(
        text in ".{0,300}",
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        prop_assert_eq!(&Bincode::decode::<String>(&as_text(text.as_bytes())).expect("UTF-8"), &text);
        let mut bytes = text.into_bytes();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let decoded = Bincode::decode::<String>(&as_text(&bytes)).ok();
        prop_assert_eq!(decoded, String::from_utf8(bytes).ok());
    }
}
