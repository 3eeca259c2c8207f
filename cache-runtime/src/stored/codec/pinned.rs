//! Stored values outlive a release: their bytes and the fingerprints of their types stay as `pinned.txt` records them.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq, SerializeTuple};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Bincode, Codec, MessagePack};
use crate::stored::fingerprint;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) tags: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Kind {
    Unit,
    New(u8),
    Tuple(i8, String),
    Struct { x: i128, y: Option<Box<Kind>> },
    Nothing(()),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) value: u8,
    pub(super) children: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct List(pub(super) Option<Box<List>>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct UnitStruct;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct NewType(pub(super) Row);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TupleStruct(pub(super) u8, pub(super) Option<f32>, pub(super) char);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Empty {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Skipping {
    pub(super) a: u8,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) b: Option<u8>,
    pub(super) c: u16,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Flat {
    pub(super) a: u8,
    #[serde(flatten)]
    pub(super) rest: BTreeMap<String, i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FlatNumbers {
    #[serde(flatten)]
    pub(super) rest: BTreeMap<u64, Option<Kind>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FlatRow {
    pub(super) address: SocketAddr,
    #[serde(flatten)]
    pub(super) row: Row,
    #[serde(flatten)]
    pub(super) kind: Option<Internal>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Untagged {
    Number(u64),
    Negative(i64),
    Float(f64),
    Flag(bool),
    Text(String),
    Many(Vec<Untagged>),
    Skipping(Skipping),
    Address { address: IpAddr },
    Unit,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
pub(super) enum Adjacent {
    A(u8),
    B { x: u8 },
    C,
    D(u8, Row),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t")]
pub(super) enum Internal {
    A { x: u8, address: Option<IpAddr> },
    B,
    C(Row),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Renamed {
    #[serde(rename = "a b", alias = "c")]
    pub(super) a: u8,
    #[serde(skip)]
    pub(super) ghost: u8,
    #[serde(with = "as_text")]
    pub(super) text: u16,
    #[serde(default)]
    pub(super) more: Option<Option<u8>>,
}

mod as_text {
    use super::*;
    pub(super) fn serialize<S: Serializer>(value: &u16, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Transparent {
    pub(super) inner: Vec<Kind>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub(super) struct Even(u8);

impl TryFrom<u8> for Even {
    type Error = &'static str;
    fn try_from(value: u8) -> Result<Even, &'static str> {
        if value.is_multiple_of(2) { Ok(Even(value)) } else { Err("odd") }
    }
}

impl From<Even> for u8 {
    fn from(Even(value): Even) -> u8 {
        value
    }
}

/// Bytes as `serde_bytes` writes and reads them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

pub(super) struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Vec<u8>;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes")
    }
    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }
    fn visit_str<E>(self, text: &str) -> Result<Vec<u8>, E> {
        Ok(text.as_bytes().to_vec())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(BytesVisitor).map(Bytes)
    }
}

/// Text in readable formats and bytes in others, like a UUID.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Id(pub(super) [u8; 16]);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{:032x}", u128::from_be_bytes(self.0)))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            let id = u128::from_str_radix(&text.replace('-', ""), 16).map_err(serde::de::Error::custom)?;
            Ok(Id(id.to_be_bytes()))
        } else {
            let bytes = deserializer.deserialize_bytes(BytesVisitor)?;
            bytes.try_into().map(Id).map_err(|_| serde::de::Error::custom("16 bytes"))
        }
    }
}

/// A sequence and a map that do not announce their length.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Streamed(pub(super) Vec<(String, Row)>);

impl Serialize for Streamed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Map<'a>(&'a (String, Row));
        impl Serialize for Map<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry(&self.0.0, &self.0.1)?;
                map.end()
            }
        }
        let mut seq = serializer.serialize_seq(None)?;
        for part in &self.0 {
            seq.serialize_element(&Map(part))?;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for Streamed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parts = Vec::<BTreeMap<String, Row>>::deserialize(deserializer)?;
        Ok(Streamed(parts.into_iter().flatten().collect()))
    }
}

/// An extension type of MessagePack, as rmp-serde's users write one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename = "_ExtStruct")]
pub(super) struct Extension(pub(super) (i8, Bytes));

/// An extension without the tuple in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename = "_ExtStruct")]
pub(super) struct WrongExtension(pub(super) u8);

/// An extension with one element too few.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename = "_ExtStruct")]
pub(super) struct ShortExtension(pub(super) (i8,));

impl Serialize for ShortExtension {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct One(i8);
        impl Serialize for One {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut tuple = serializer.serialize_tuple(2)?;
                tuple.serialize_element(&self.0)?;
                tuple.end()
            }
        }
        serializer.serialize_newtype_struct("_ExtStruct", &One(self.0.0))
    }
}

pub(super) fn row() -> Row {
    Row { id: 70_000, name: "grüße".into(), tags: vec![String::new(), "x".repeat(40)] }
}

fn hex(bytes: &[u8]) -> String {
    if bytes.len() > 120 {
        return format!("{} bytes, {:016x}", bytes.len(), crate::hash::hash(0, bytes));
    }
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn stored<C: Codec, V: Serialize + DeserializeOwned + Debug>(value: &V) -> String {
    let mut bytes = Vec::new();
    if let Err(error) = C::encode(value, &mut bytes) {
        return format!("refused: {error}");
    }
    match C::decode::<V>(&bytes) {
        Ok(decoded) if format!("{decoded:?}") == format!("{value:?}") => hex(&bytes),
        Ok(decoded) => format!("{} reads back as {decoded:?}", hex(&bytes)),
        Err(error) => format!("{} cannot be read: {error}", hex(&bytes)),
    }
}

fn line<V: Serialize + DeserializeOwned + Debug>(text: &mut String, name: &str, value: &V) {
    let shapes = [false, true].map(|readable| {
        let shape = fingerprint::of::<V>(readable);
        let flags = [(shape.needs_self_describing, " self-describing"), (shape.asks_readable, " readable")];
        let flags: String = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| *flag).collect();
        format!("{:016x}{flags}", shape.value)
    });
    let [plain, readable] = shapes;
    let shape = if plain == readable { plain } else { format!("{plain} or {readable}") };
    let (bincode, messagepack) = (stored::<Bincode, V>(value), stored::<MessagePack, V>(value));
    let _ = write!(text, "{name}\n  {shape}\n  {bincode}\n  {messagepack}\n");
}

macro_rules! lines {
    ($($name:literal: $value:expr;)*) => {{
        let mut text = String::new();
        $(line(&mut text, $name, &$value);)*
        text
    }};
}

#[test]
fn bytes_and_fingerprints_stay_the_same() {
    let address: SocketAddr = "127.0.0.1:80".parse().expect("an address");
    let text = lines! {
        "bool": (true, false);
        "small numbers": (1_u8, 200_u8, -1_i8, -33_i8, 127_i8);
        "u16": (0_u16, 127_u16, 128_u16, 255_u16, 256_u16, u16::MAX);
        "u32": (250_u32, 251_u32, 65_535_u32, 65_536_u32, u32::MAX);
        "u64": (0_u64, 1_u64 << 32, u64::MAX);
        "i64": (i64::MIN, -32_769_i64, -129_i64, -128_i64, -32_i64, 127_i64, 128_i64, 40_000_i64, i64::MAX);
        "i32 and i16": (i32::MIN, i32::MAX, i16::MIN, i16::MAX);
        "i128": (i128::MIN, -1_i128, 7_i128, i128::MAX);
        "u128": (0_u128, u128::MAX);
        "floats": (0.1_f32, f32::NEG_INFINITY, 5e-324_f64, -0.0_f64, f64::NAN);
        "chars": ('a', 'ß', '\u{10ffff}', '\0');
        "empty text": String::new();
        "text of 31 bytes": "x".repeat(31);
        "text of 32 bytes": "x".repeat(32);
        "text of 255 bytes": "x".repeat(255);
        "text of 256 bytes": "x".repeat(256);
        "text of 65,536 bytes": "x".repeat(65_536);
        "no bytes": Bytes(vec![]);
        "bytes": Bytes(vec![0, 255, 1]);
        "256 bytes": Bytes(vec![7; 256]);
        "65,536 bytes": Bytes(vec![7; 65_536]);
        "a sequence of bytes": vec![1_u8, 200];
        "15 elements": vec![1_u8; 15];
        "16 elements": vec![1_u8; 16];
        "65,536 elements": vec![1_u8; 65_536];
        "an array": [[1_u16; 3]; 2];
        "unit": ();
        "units": vec![(); 3];
        "none": None::<Row>;
        "some": Some(row());
        "some none": Some(None::<u8>);
        "some unit": Some(());
        "some unit struct": Some(UnitStruct);
        "some options": vec![Some(1_u8), None];
        "ok": Ok::<Row, String>(row());
        "err": Err::<u8, String>("no".into());
        "row": row();
        "rows": vec![row(), Row { id: 0, name: String::new(), tags: vec![] }];
        "unit struct": UnitStruct;
        "new type": NewType(row());
        "tuple struct": TupleStruct(3, Some(1.5), 'c');
        "empty struct": Empty {};
        "unit variant": Kind::Unit;
        "newtype variant": Kind::New(200);
        "tuple variant": Kind::Tuple(-5, "x".into());
        "struct variant": Kind::Struct { x: -1, y: Some(Box::new(Kind::New(1))) };
        "variant of a unit": Kind::Nothing(());
        "variants": vec![Kind::Unit, Kind::Struct { x: 1, y: None }];
        "tree": Node { value: 1, children: vec![Node { value: 2, children: vec![] }; 2] };
        "list": List(None);
        "list of two": List(Some(Box::new(List(None))));
        "map": BTreeMap::from([("a".to_owned(), 1_u8), ("b".to_owned(), 200)]);
        "map of 16": (0..16_u8).map(|key| (key, ())).collect::<BTreeMap<_, _>>();
        "map of 65,536": (0..65_536_u32).map(|key| (key, key)).collect::<BTreeMap<_, _>>();
        "map by tuples": BTreeMap::from([((1_u8, "a".to_owned()), row())]);
        "map by numbers": BTreeMap::from([(-1_i32, Some(true)), (1, None)]);
        "skipped": Skipping { a: 1, b: None, c: 2 };
        "not skipped": Skipping { a: 1, b: Some(2), c: 300 };
        "flattened map": Flat { a: 1, rest: BTreeMap::from([("b".to_owned(), -2), ("c".to_owned(), 300)]) };
        "flattened numbers": FlatNumbers { rest: BTreeMap::from([(1, None), (300, Some(Kind::New(1)))]) };
        "flattened row": FlatRow { address, row: row(), kind: Some(Internal::A { x: 1, address: None }) };
        "flattened none": FlatRow { address, row: row(), kind: None };
        "untagged": vec![
            Untagged::Number(1), Untagged::Negative(-1), Untagged::Float(0.5), Untagged::Flag(true),
            Untagged::Text("x".into()), Untagged::Many(vec![Untagged::Unit]),
            Untagged::Skipping(Skipping { a: 1, b: None, c: 2 }), Untagged::Address { address: address.ip() },
        ];
        "adjacent": vec![Adjacent::A(1), Adjacent::B { x: 2 }, Adjacent::C, Adjacent::D(1, row())];
        "internal": vec![Internal::A { x: 1, address: Some(address.ip()) }, Internal::B, Internal::C(row())];
        "renamed": Renamed { a: 1, ghost: 0, text: 300, more: Some(Some(1)) };
        "renamed none": Renamed { a: 1, ghost: 0, text: 300, more: None };
        "transparent": Transparent { inner: vec![Kind::Unit] };
        "tried": Even(4);
        "id": Id(*b"0123456789abcdef");
        "address": address;
        "addresses": BTreeMap::from([(address.ip(), address)]);
        "duration": Duration::new(u64::MAX, 999_999_999);
        "non-zero": NonZeroU32::new(77);
        "path": std::path::PathBuf::from("/a/b");
        "streamed": Streamed(vec![("a".into(), row()), ("b".into(), row())]);
        "many streamed": Streamed((0..20).map(|key| (key.to_string(), row())).collect());
        "extension": Extension((-3, Bytes(vec![1, 2, 3])));
        "extension of 16": Extension((5, Bytes(vec![7; 16])));
        "extension of 300": vec![Extension((5, Bytes(vec![7; 300])))];
        "wrong extension": WrongExtension(1);
        "short extension": ShortExtension((1,));
        "range": (std::ops::Range { start: 1_u8, end: 3 }, std::ops::Bound::Included(3_u8));
    };
    let pinned = include_str!("pinned.txt");
    for (line, (now, then)) in text.lines().zip(pinned.lines()).enumerate() {
        assert_eq!(now, then, "line {}", line + 1);
    }
    assert_eq!(text, pinned);
}
