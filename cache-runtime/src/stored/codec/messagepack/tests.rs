//! The bytes and the values of this codec are those of rmp-serde.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use proptest::prelude::*;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant,
};
use serde::{Deserialize, Serialize, Serializer};

use super::super::pinned::*;
use super::skip::skip;
use super::{Codec, EXTENSION, MessagePack};

/// Names that the types of the tests use for fields and variants.
const NAMES: &[&str] = &[
    "id", "name", "tags", "a", "b", "c", "t", "x", "y", "A", "B", "C", "D", "Unit", "New", "Tuple", "Struct",
    "Nothing", "value", "children", "address", "a b", "text", "more", "Ok", "Err", "secs", "nanos",
];

/// Calls to a serializer.
#[derive(Debug, Clone)]
enum Tree {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Wide(i128),
    F32(f32),
    F64(f64),
    Char(char),
    Text(String),
    Name(usize),
    Bytes(Vec<u8>),
    None,
    Some(Box<Tree>),
    Unit,
    UnitStruct,
    UnitVariant(usize),
    Newtype(Box<Tree>),
    NewtypeVariant(usize, Box<Tree>),
    Seq(Vec<Tree>, bool),
    Tuple(Vec<Tree>),
    TupleStruct(Vec<Tree>),
    TupleVariant(usize, Vec<Tree>),
    Map(Vec<(Tree, Tree)>, bool),
    Struct(Vec<(usize, Tree)>),
    StructVariant(usize, Vec<(usize, Tree)>),
    Extension(i8, Vec<u8>),
}

fn name(index: usize) -> &'static str {
    NAMES[index % NAMES.len()]
}

struct Data<'a>(&'a [u8]);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Tree::Bool(value) => serializer.serialize_bool(*value),
            Tree::Signed(value) => match value.rem_euclid(4) {
                0 => serializer.serialize_i8(*value as i8),
                1 => serializer.serialize_i16(*value as i16),
                2 => serializer.serialize_i32(*value as i32),
                _ => serializer.serialize_i64(*value),
            },
            Tree::Unsigned(value) => match value % 4 {
                0 => serializer.serialize_u8(*value as u8),
                1 => serializer.serialize_u16(*value as u16),
                2 => serializer.serialize_u32(*value as u32),
                _ => serializer.serialize_u64(*value),
            },
            Tree::Wide(value) if value % 2 == 0 => serializer.serialize_i128(*value),
            Tree::Wide(value) => serializer.serialize_u128(value.cast_unsigned()),
            Tree::F32(value) => serializer.serialize_f32(*value),
            Tree::F64(value) => serializer.serialize_f64(*value),
            Tree::Char(value) => serializer.serialize_char(*value),
            Tree::Text(value) if value.len() % 2 == 0 => serializer.collect_str(value),
            Tree::Text(value) => serializer.serialize_str(value),
            Tree::Name(index) => serializer.serialize_str(name(*index)),
            Tree::Bytes(value) => serializer.serialize_bytes(value),
            Tree::None => serializer.serialize_none(),
            Tree::Some(inner) => serializer.serialize_some(inner),
            Tree::Unit => serializer.serialize_unit(),
            Tree::UnitStruct => serializer.serialize_unit_struct("Type"),
            Tree::UnitVariant(index) => serializer.serialize_unit_variant("Type", 3, name(*index)),
            Tree::Newtype(inner) => serializer.serialize_newtype_struct("Type", inner),
            Tree::NewtypeVariant(index, inner) => serializer.serialize_newtype_variant("Type", 3, name(*index), inner),
            Tree::Seq(parts, is_known) => {
                let mut seq = serializer.serialize_seq(is_known.then_some(parts.len()))?;
                parts.iter().try_for_each(|part| seq.serialize_element(part))?;
                seq.end()
            }
            Tree::Tuple(parts) => {
                let mut tuple = serializer.serialize_tuple(parts.len())?;
                parts.iter().try_for_each(|part| tuple.serialize_element(part))?;
                tuple.end()
            }
            Tree::TupleStruct(parts) => {
                let mut tuple = serializer.serialize_tuple_struct("Type", parts.len())?;
                parts.iter().try_for_each(|part| tuple.serialize_field(part))?;
                tuple.end()
            }
            Tree::TupleVariant(index, parts) => {
                let mut tuple = serializer.serialize_tuple_variant("Type", 3, name(*index), parts.len())?;
                parts.iter().try_for_each(|part| tuple.serialize_field(part))?;
                tuple.end()
            }
            Tree::Map(parts, is_known) => {
                let mut map = serializer.serialize_map(is_known.then_some(parts.len()))?;
                parts.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
            Tree::Struct(parts) => {
                let mut fields = serializer.serialize_struct("Type", parts.len())?;
                parts.iter().try_for_each(|(index, value)| fields.serialize_field(name(*index), value))?;
                fields.skip_field("skipped")?;
                fields.end()
            }
            Tree::StructVariant(index, parts) => {
                let mut fields = serializer.serialize_struct_variant("Type", 3, name(*index), parts.len())?;
                parts.iter().try_for_each(|(index, value)| fields.serialize_field(name(*index), value))?;
                fields.skip_field("skipped")?;
                fields.end()
            }
            Tree::Extension(tag, data) => serializer.serialize_newtype_struct(EXTENSION, &(*tag, Data(data))),
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let bytes = || prop_oneof![9 => prop::collection::vec(any::<u8>(), 0..20), 1 => prop::collection::vec(any::<u8>(), 250..300)];
    let index = || 0..NAMES.len();
    let scalar = prop_oneof![
        any::<bool>().prop_map(Tree::Bool),
        prop_oneof![-200..300_i64, any::<i64>(), any::<i64>().prop_map(|value| value >> 32)].prop_map(Tree::Signed),
        prop_oneof![0..300_u64, any::<u64>(), any::<u64>().prop_map(|value| value >> 32)].prop_map(Tree::Unsigned),
        any::<i128>().prop_map(Tree::Wide),
        any::<f32>().prop_map(Tree::F32),
        any::<f64>().prop_map(Tree::F64),
        any::<char>().prop_map(Tree::Char),
        prop_oneof![9 => ".{0,12}", 1 => ".{30,300}"].prop_map(Tree::Text),
        index().prop_map(Tree::Name),
        bytes().prop_map(Tree::Bytes),
        Just(Tree::None),
        Just(Tree::Unit),
        Just(Tree::UnitStruct),
        index().prop_map(Tree::UnitVariant),
        (any::<i8>(), bytes()).prop_map(|(tag, data)| Tree::Extension(tag, data)),
    ];
    scalar.prop_recursive(4, 64, 8, move |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let parts = || prop_oneof![9 => prop::collection::vec(inner.clone(), 0..5), 1 => prop::collection::vec(inner.clone(), 14..20)];
        let fields = || prop::collection::vec((0..NAMES.len(), inner.clone()), 0..5);
        prop_oneof![
            boxed().prop_map(Tree::Some),
            boxed().prop_map(Tree::Newtype),
            (0..NAMES.len(), boxed()).prop_map(|(index, inner)| Tree::NewtypeVariant(index, inner)),
            (parts(), any::<bool>()).prop_map(|(parts, is_known)| Tree::Seq(parts, is_known)),
            parts().prop_map(Tree::Tuple),
            parts().prop_map(Tree::TupleStruct),
            (0..NAMES.len(), parts()).prop_map(|(index, parts)| Tree::TupleVariant(index, parts)),
            (prop::collection::vec((inner.clone(), inner.clone()), 0..5), any::<bool>())
                .prop_map(|(parts, is_known)| Tree::Map(parts, is_known)),
            fields().prop_map(Tree::Struct),
            (0..NAMES.len(), fields()).prop_map(|(index, parts)| Tree::StructVariant(index, parts)),
        ]
    })
}

fn theirs(value: &impl Serialize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
    value.serialize(&mut serializer).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// The reasons why this codec alone refuses some values.
const ALONE: &[&str] = &["expected the name of a field", "string found to be invalid utf8"];

/// Decodes by both. This codec alone refuses bytes that are not one complete value, text that is not UTF-8 where bytes
/// would do, and a struct's field whose name is no text.
fn same<V: DeserializeOwned + Debug>(bytes: &[u8]) {
    let ours = MessagePack::decode::<V>(bytes).map(|value| format!("{value:?}"));
    if skip(bytes).is_ok_and(<[u8]>::is_empty) {
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
        let theirs = V::deserialize(&mut deserializer).map(|value| format!("{value:?}"));
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{bytes:02x?}"),
            (Err(_), Err(_)) => {}
            (Err(ours), Ok(_)) if ALONE.iter().any(|reason| ours.to_string().contains(reason)) => {}
            (ours, theirs) => panic!("{ours:?} and {theirs:?} for {bytes:02x?}"),
        }
    } else {
        assert!(ours.is_err(), "{bytes:02x?}");
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only its Debug is looked at")]
struct Denying {
    a: Option<u8>,
    b: Option<IgnoredAny>,
}

fn all_types(bytes: &[u8]) {
    same::<Row>(bytes);
    same::<Kind>(bytes);
    same::<Option<Kind>>(bytes);
    same::<Vec<Kind>>(bytes);
    same::<Node>(bytes);
    same::<UnitStruct>(bytes);
    same::<NewType>(bytes);
    same::<TupleStruct>(bytes);
    same::<Empty>(bytes);
    same::<Skipping>(bytes);
    same::<Flat>(bytes);
    same::<FlatNumbers>(bytes);
    same::<FlatRow>(bytes);
    same::<Untagged>(bytes);
    same::<Vec<Untagged>>(bytes);
    same::<Adjacent>(bytes);
    same::<Internal>(bytes);
    same::<Renamed>(bytes);
    same::<Transparent>(bytes);
    same::<Even>(bytes);
    same::<Bytes>(bytes);
    same::<Id>(bytes);
    same::<Extension>(bytes);
    same::<Denying>(bytes);
    same::<IgnoredAny>(bytes);
    same::<String>(bytes);
    same::<Vec<u8>>(bytes);
    same::<Vec<String>>(bytes);
    same::<BTreeMap<String, Option<u64>>>(bytes);
    same::<BTreeMap<i64, String>>(bytes);
    same::<BTreeMap<(u8, bool), Kind>>(bytes);
    same::<(u8, Option<String>)>(bytes);
    same::<[u16; 3]>(bytes);
    same::<(i8, i16, i32, i64)>(bytes);
    same::<u8>(bytes);
    same::<u64>(bytes);
    same::<i64>(bytes);
    same::<i128>(bytes);
    same::<u128>(bytes);
    same::<f32>(bytes);
    same::<f64>(bytes);
    same::<bool>(bytes);
    same::<char>(bytes);
    same::<()>(bytes);
    same::<Option<()>>(bytes);
    same::<Result<u8, String>>(bytes);
    same::<Duration>(bytes);
    same::<SocketAddr>(bytes);
    same::<Option<IpAddr>>(bytes);
}

fn some_values() -> Vec<Vec<u8>> {
    let address: SocketAddr = "127.0.0.1:80".parse().expect("an address");
    [
        theirs(&row()),
        theirs(&vec![Kind::Unit, Kind::New(1), Kind::Tuple(2, "x".into()), Kind::Struct { x: 1, y: None }]),
        theirs(&Kind::Struct { x: -1, y: Some(Box::new(Kind::Nothing(()))) }),
        theirs(&Node { value: 1, children: vec![Node { value: 2, children: vec![] }; 2] }),
        theirs(&TupleStruct(3, Some(1.5), 'c')),
        theirs(&Skipping { a: 1, b: Some(2), c: 300 }),
        theirs(&Flat { a: 1, rest: BTreeMap::from([("b".to_owned(), -2)]) }),
        theirs(&FlatNumbers { rest: BTreeMap::from([(1, None), (300, Some(Kind::New(1)))]) }),
        theirs(&FlatRow { address, row: row(), kind: None }),
        theirs(&vec![Untagged::Float(0.5), Untagged::Many(vec![Untagged::Unit]), Untagged::Text("x".into())]),
        theirs(&Adjacent::D(1, row())),
        theirs(&Adjacent::B { x: 1 }),
        theirs(&Internal::A { x: 1, address: Some(address.ip()) }),
        theirs(&Internal::C(row())),
        theirs(&Renamed { a: 1, ghost: 0, text: 300, more: Some(Some(1)) }),
        theirs(&Extension((-3, Bytes(vec![1, 2, 3])))),
        theirs(&BTreeMap::from([((1_u8, true), Kind::Unit)])),
        theirs(&Duration::new(1, 2)),
        theirs(&u128::MAX),
        theirs(&Ok::<u8, String>(1)),
    ]
    .into_iter()
    .map(|bytes| bytes.expect("valid"))
    .collect()
}

#[test]
fn values_read_as_by_rmp_serde() {
    some_values().iter().for_each(|bytes| all_types(bytes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_written_is_what_rmp_serde_writes(tree in trees()) {
        let mut ours = Vec::new();
        let theirs = theirs(&tree).expect("valid");
        match MessagePack::encode(&tree, &mut ours) {
            Ok(()) => prop_assert_eq!(ours, theirs),
            Err(error) => prop_assert!(error.to_string().contains("read back as `None`"), "{}", error),
        }
    }

    #[test]
    fn other_values_read_as_by_rmp_serde(tree in trees()) {
        all_types(&theirs(&tree).expect("valid"));
    }

    #[test]
    fn changed_bytes_read_as_by_rmp_serde(
        value in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let values = some_values();
        let mut bytes = values[value.index(values.len())].clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        all_types(&bytes);
    }
}
