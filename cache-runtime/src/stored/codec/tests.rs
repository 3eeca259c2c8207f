use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Duration;

#[cfg(any(feature = "bincode", feature = "json", feature = "messagepack"))]
use proptest::prelude::*;
use serde::{Deserialize, Serialize, Serializer};

use super::*;

fn encode<C: Codec, V: Serialize + ?Sized>(value: &V) -> Result<Vec<u8>, CodecError> {
    let mut buffer = b"in front".to_vec();
    C::encode(value, &mut buffer)?;
    Ok(buffer.split_off(8))
}

fn refused<C: Codec>(value: &impl Serialize) -> String {
    encode::<C, _>(value).expect_err("refused").to_string()
}

/// Encodes and decodes a value, and checks that fewer or more bytes are refused.
fn round_trip<C: Codec, V: Serialize + DeserializeOwned + PartialEq + Debug>(value: V) {
    let bytes = encode::<C, V>(&value).unwrap_or_else(|error| panic!("{}: {error}", C::NAME));
    match C::decode::<V>(&bytes) {
        Ok(decoded) => assert_eq!(decoded, value, "{}", C::NAME),
        Err(error) => panic!("{}: {value:?}: {error}", C::NAME),
    }
    for len in (0..bytes.len()).step_by(if bytes.len() < 2000 { 1 } else { bytes.len() / 5 }) {
        let cut = C::decode::<V>(&bytes[..len]);
        // A number without its last digit is a number too; only the checksum finds this.
        assert!(cut.is_err() || C::NAME == "json", "{}: {value:?} cut at {len}", C::NAME);
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(C::decode::<V>(&longer).is_err(), "{}: {value:?} and a byte more", C::NAME);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    mail: Option<String>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    New(u8),
    Tuple(i8, String),
    Struct { x: i128, y: Option<Box<Kind>> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Node {
    value: u8,
    children: Vec<Node>,
}

/// Only positional formats can store it: in other formats, `Some` adds nothing to the value inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct List(Option<Box<List>>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Chain {
    More(Box<Chain>),
    End,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct UnitStruct;

fn node(depth: usize) -> Node {
    (1..depth).fold(Node { value: 0, children: vec![] }, |inner, _| Node { value: 1, children: vec![inner] })
}

fn list(depth: usize) -> List {
    (0..depth).fold(List(None), |inner, _| List(Some(Box::new(inner))))
}

fn chain(depth: usize) -> Chain {
    (0..depth).fold(Chain::End, |inner, _| Chain::More(Box::new(inner)))
}

fn user() -> User {
    User {
        id: u64::MAX,
        name: "grüße \0 \" \\ \u{1f600}".into(),
        mail: None,
        kind: Kind::Struct { x: i128::MIN, y: Some(Box::new(Kind::Tuple(-1, String::new()))) },
    }
}

fn everything<C: Codec>() {
    round_trip::<C, _>(String::new());
    round_trip::<C, _>(Vec::<u8>::new());
    round_trip::<C, _>(());
    round_trip::<C, _>(UnitStruct);
    round_trip::<C, _>(None::<u8>);
    round_trip::<C, _>(Some(1_u8));
    round_trip::<C, _>(true);
    round_trip::<C, _>((u8::MAX, u16::MAX, u32::MAX, u64::MAX, i8::MIN, i16::MIN, i32::MIN, i64::MIN));
    round_trip::<C, _>((u128::MAX, i128::MIN, u128::MIN, i128::MAX, 250_u8, 251_u16, -1_i64));
    round_trip::<C, _>((0.1_f32, f32::MIN_POSITIVE, f64::MAX, f64::EPSILON, 5e-324_f64, -0.0_f64));
    round_trip::<C, _>(('a', 'ß', '\u{10ffff}', '\0'));
    round_trip::<C, _>(user());
    round_trip::<C, _>(vec![Kind::Unit, Kind::New(7), Kind::Tuple(1, "x".into())]);
    round_trip::<C, _>([[1_u8; 3]; 2]);
    round_trip::<C, _>(vec![(); 3]);
    round_trip::<C, _>(Ok::<u8, String>(3));
    round_trip::<C, _>(Some(Ok::<(), ()>(())));
    round_trip::<C, _>(BTreeMap::from([(1_u8, "a".to_owned()), (200, String::new())]));
    round_trip::<C, _>(HashMap::from([("k".to_owned(), vec![Some(1_u8), None])]));
    round_trip::<C, _>(HashSet::from([1_u64, 1 << 40, 3]));
    round_trip::<C, _>("127.0.0.1:80".parse::<SocketAddr>().expect("an address"));
    round_trip::<C, _>(Duration::new(u64::MAX, 999_999_999));
    round_trip::<C, _>(node(50));
    round_trip::<C, _>(chain(100));
    round_trip::<C, _>("x".repeat(5_000_000));
    round_trip::<C, _>((0..20_000_u64).map(|id| (id << 20, id.to_string())).collect::<Vec<_>>());
    // A value that is too deep to be decoded must not be encoded.
    for depth in (100..140).chain(200..270).chain([500, 1000]) {
        if let Ok(bytes) = encode::<C, _>(&node(depth)) {
            assert!(C::decode::<Node>(&bytes).is_ok(), "{} {depth}", C::NAME);
        }
    }
    assert!(refused::<C>(&node(1000)).contains("deep"));
    assert!(refused::<C>(&chain(1000)).contains("deep"));
}

#[cfg(any(feature = "bincode", feature = "messagepack"))]
fn positional<C: Codec>() {
    round_trip::<C, _>(HashMap::from([((1_u8, "a".to_owned()), 2_u8)]));
    round_trip::<C, _>(BTreeMap::from([(Kind2::A, 1_u8), (Kind2::B(2), 3)]));
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Kind2 {
    A,
    B(u8),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Skipping {
    a: u8,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    b: Option<u8>,
    c: u16,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flat {
    a: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text(String),
    Skipping(Skipping),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    A(u8),
    B { x: u8 },
    C,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t")]
enum Internal {
    A { x: u8 },
    B,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t")]
enum Logged {
    Internal { address: SocketAddr },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Caller {
    id: u8,
    #[serde(flatten)]
    origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Origin {
    address: SocketAddr,
}

#[cfg(any(feature = "json", feature = "messagepack"))]
fn self_describing<C: Codec>() {
    round_trip::<C, _>(Skipping { a: 1, b: None, c: 2 });
    round_trip::<C, _>(Flat { a: 1, rest: BTreeMap::from([("b".to_owned(), 2)]) });
    round_trip::<C, _>(vec![Untagged::Number(1), Untagged::Text("1".into())]);
    round_trip::<C, _>(Untagged::Skipping(Skipping { a: 1, b: None, c: 2 }));
    round_trip::<C, _>(vec![Adjacent::A(1), Adjacent::B { x: 2 }, Adjacent::C]);
    round_trip::<C, _>(vec![Internal::A { x: 2 }, Internal::B]);
    // These values would read back as `None`.
    for error in [
        refused::<C>(&Some(None::<u8>)),
        refused::<C>(&Some(Some(None::<u8>))),
        refused::<C>(&vec![Some(())]),
        refused::<C>(&list(1)),
    ] {
        assert!(error.contains("codec = bincode"), "{error}");
    }
}

#[cfg(any(feature = "bincode", feature = "messagepack"))]
fn lengths_are_kept<C: Codec>() {
    struct Liar(usize);
    impl Serialize for Liar {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq;
            let mut seq = serializer.serialize_seq(Some(self.0))?;
            seq.serialize_element(&1)?;
            seq.end()
        }
    }
    assert!(encode::<C, _>(&Liar(1)).is_ok());
    assert!(refused::<C>(&Liar(0)).contains("length"));
    assert!(refused::<C>(&Liar(2)).contains("length"));
}

fn any_bytes<C: Codec>(bytes: &[u8]) {
    // There is nothing to assert: the test is that no call panics, loops, or exhausts the memory.
    let _ = C::decode::<String>(bytes);
    let _ = C::decode::<Vec<u8>>(bytes);
    let _ = C::decode::<Vec<()>>(bytes);
    let _ = C::decode::<Vec<Vec<String>>>(bytes);
    let _ = C::decode::<HashMap<String, Vec<u64>>>(bytes);
    let _ = C::decode::<HashMap<(), ()>>(bytes);
    let _ = C::decode::<User>(bytes);
    let _ = C::decode::<Node>(bytes);
    let _ = C::decode::<Chain>(bytes);
    let _ = C::decode::<Untagged>(bytes);
    let _ = C::decode::<Flat>(bytes);
    let _ = C::decode::<serde::de::IgnoredAny>(bytes);
}

#[test]
fn names_and_numbers_of_codecs() {
    assert_eq!(codec_id("a"), codec_id("a"));
    assert_ne!(codec_id("a"), codec_id("b"));
}

#[test]
fn the_root_of_a_value() {
    struct Displayed;
    impl Serialize for Displayed {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&42)
        }
    }
    assert_eq!(root_of(&None::<u8>), Root::None);
    assert_eq!(root_of(&Box::new(None::<u8>)), Root::None);
    assert_eq!(root_of(&Err::<u8, _>("no")), Root::Err);
    assert_eq!(root_of(&Ok::<_, u8>(None::<u8>)), Root::Other);
    assert_eq!(root_of(&Some(None::<u8>)), Root::Other);
    assert_eq!(root_of(&()), Root::Other);
    assert_eq!(root_of(&user()), Root::Other);
    assert_eq!(root_of(&Kind::New(1)), Root::Other);
    assert_eq!(root_of("text"), Root::Other);
    assert_eq!(root_of(&[None::<u8>]), Root::Other);
    assert_eq!(root_of(&Displayed), Root::Other);
    assert_eq!(root_of(std::path::Path::new("a")), Root::Other);
}

#[cfg(feature = "json")]
mod json {
    use super::*;

    #[test]
    fn values_come_back() {
        everything::<Json>();
        self_describing::<Json>();
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        assert!(refused::<Json>(&f64::NAN).contains("NaN"));
        assert!(refused::<Json>(&vec![Some(f32::INFINITY)]).contains("codec = bincode"));
        assert!(refused::<Json>(&Some(UnitStruct)).contains("codec = bincode"));
        assert!(encode::<Json, _>(&HashMap::from([((1, 2), 3)])).is_err());
    }

    #[test]
    fn the_bytes_are_plain_json() {
        assert_eq!(encode::<Json, _>(&(1, "a", None::<u8>)).expect("valid"), br#"[1,"a",null]"#);
    }

    proptest! {
        #[test]
        fn floats_come_back_to_the_last_bit(value in any::<f64>()) {
            prop_assume!(value.is_finite());
            let bytes = encode::<Json, _>(&value).expect("finite");
            prop_assert_eq!(Json::decode::<f64>(&bytes).expect("valid").to_bits(), value.to_bits());
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            any_bytes::<Json>(&bytes);
        }
    }
}

#[cfg(feature = "messagepack")]
mod messagepack;

#[cfg(feature = "bincode")]
mod bincode;
