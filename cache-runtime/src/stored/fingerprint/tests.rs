use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::panic;
use std::time::{Duration, SystemTime};

use serde::de::{self, DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::of;

fn shape<V: DeserializeOwned>() -> u64 {
    of::<V>(false).value
}

fn asks<V: DeserializeOwned>() -> bool {
    of::<V>(false).needs_self_describing
}

/// Two types of one name in different modules.
macro_rules! types {
    ($($module:ident { $($item:item)* })*) => {$(
        mod $module {
            #![allow(dead_code, reason = "only their shape is looked at")]
            use super::*;
            $(#[derive(Deserialize)] $item)*
        }
    )*};
}

types! {
    base { pub(super) struct User { id: u64, name: String, mail: Option<String> } }
    moved { pub(super) struct User { id: u64, name: String, mail: Option<String> } }
    swapped { pub(super) struct User { id: u64, mail: Option<String>, name: String } }
    renamed { pub(super) struct User { id: u64, title: String, mail: Option<String> } }
    added { pub(super) struct User { id: u64, name: String, mail: Option<String>, age: u8 } }
    narrower { pub(super) struct User { id: u32, name: String, mail: Option<String> } }
    signed { pub(super) struct User { id: i64, name: String, mail: Option<String> } }
    required { pub(super) struct User { id: u64, name: String, mail: String } }
    many { pub(super) struct User { id: u64, name: Vec<String>, mail: Option<String> } }
    other_name { pub(super) struct Person { id: u64, name: String, mail: Option<String> } }
    first_order { pub(super) enum Kind { A, B(u8), C { x: u8 } } }
    second_order { pub(super) enum Kind { B(u8), A, C { x: u8 } } }
    other_payload { pub(super) enum Kind { A, B(u16), C { x: u8 } } }
    other_field { pub(super) enum Kind { A, B(u8), C { y: u8 } } }
    other_tuple { pub(super) enum Kind { A, B(u8, u8), C { x: u8 } } }
    generic_t { pub(super) struct Page<T> { items: Vec<T>, next: Option<Box<T>> } }
    generic_u { pub(super) struct Page<U> { items: Vec<U>, next: Option<Box<U>> } }
}

#[test]
fn each_change_of_shape_is_another_fingerprint() {
    let shapes = [
        shape::<base::User>(),
        shape::<swapped::User>(),
        shape::<renamed::User>(),
        shape::<added::User>(),
        shape::<narrower::User>(),
        shape::<signed::User>(),
        shape::<required::User>(),
        shape::<many::User>(),
        shape::<other_name::Person>(),
        shape::<first_order::Kind>(),
        shape::<second_order::Kind>(),
        shape::<other_payload::Kind>(),
        shape::<other_field::Kind>(),
        shape::<other_tuple::Kind>(),
        shape::<u8>(),
        shape::<u64>(),
        shape::<i64>(),
        shape::<u128>(),
        shape::<f32>(),
        shape::<f64>(),
        shape::<bool>(),
        shape::<char>(),
        shape::<String>(),
        shape::<()>(),
        shape::<Option<u8>>(),
        shape::<Option<Option<u8>>>(),
        shape::<Vec<u8>>(),
        shape::<Vec<Vec<u8>>>(),
        shape::<[u8; 1]>(),
        shape::<(u8, u8)>(),
        shape::<(u8, u8, u8)>(),
        shape::<(u8, u16)>(),
        shape::<BTreeMap<u8, u8>>(),
        shape::<BTreeMap<u8, u16>>(),
        shape::<BTreeMap<u16, u8>>(),
        shape::<Vec<(u8, u8)>>(),
        shape::<Vec<base::User>>(),
        shape::<Vec<swapped::User>>(),
        shape::<Result<base::User, u8>>(),
        shape::<Result<base::User, u16>>(),
        shape::<HashMap<String, base::User>>(),
        shape::<HashMap<String, renamed::User>>(),
        shape::<Duration>(),
        shape::<SystemTime>(),
        shape::<IpAddr>(),
        shape::<SocketAddr>(),
    ];
    let distinct: HashSet<u64> = shapes.into_iter().collect();
    assert_eq!(distinct.len(), shapes.len());
}

#[test]
fn names_of_modules_and_parameters_are_no_part_of_it() {
    assert_eq!(shape::<base::User>(), shape::<moved::User>());
    assert_eq!(shape::<generic_t::Page<u8>>(), shape::<generic_u::Page<u8>>());
    assert_eq!(shape::<generic_t::Page<base::User>>(), shape::<generic_u::Page<moved::User>>());
    assert_ne!(shape::<generic_t::Page<u8>>(), shape::<generic_t::Page<u16>>());
    assert_eq!(shape::<Box<u8>>(), shape::<u8>());
    assert_eq!(shape::<Vec<u8>>(), shape::<HashSet<u8>>());
}

#[test]
fn nothing_of_it_depends_on_the_process() {
    // Stored values outlive processes. If these numbers change, every cache becomes cold.
    assert_eq!(shape::<base::User>(), 0xcc95_b35a_981f_857d);
    assert_eq!(shape::<first_order::Kind>(), 0x34dd_9e00_d2e2_7861);
    assert_eq!(shape::<list::Node>(), 0xdf09_4c23_93dd_ab62);
    for _ in 0..3 {
        assert_eq!(shape::<first_order::Kind>(), shape::<first_order::Kind>());
    }
}

types! {
    list { pub(super) struct Node { value: u8, next: Option<Box<Node>> } }
    long_list { pub(super) struct Node { value: u16, next: Option<Box<Node>> } }
    tree { pub(super) struct Node { value: u8, next: Vec<Node> } }
    mutual {
        pub(super) enum Expr { Number(f64), Call(Call), Block(Vec<Statement>) }
        pub(super) struct Call { name: String, arguments: Vec<Expr> }
        pub(super) enum Statement { Let(String, Expr), If { test: Expr, then: Box<Statement> }, Call(Call) }
    }
    other_mutual {
        pub(super) enum Expr { Number(f64), Call(Call), Block(Vec<Statement>) }
        pub(super) struct Call { name: String, arguments: Vec<Expr> }
        pub(super) enum Statement { Let(String, Expr), If { test: Expr, then: Box<Statement> }, Call(Call), Return }
    }
    bare { pub(super) struct List(Option<Box<List>>); }
    endless { pub(super) struct Node { next: Box<Node> } }
}

#[test]
fn recursive_types_end() {
    assert_ne!(shape::<list::Node>(), shape::<long_list::Node>());
    assert_ne!(shape::<list::Node>(), shape::<tree::Node>());
    assert_ne!(shape::<mutual::Expr>(), shape::<other_mutual::Expr>());
    assert_ne!(shape::<mutual::Expr>(), shape::<mutual::Statement>());
    let _ = shape::<endless::Node>();
    assert_ne!(shape::<bare::List>(), shape::<endless::Node>());
    let _ = shape::<Vec<(bare::List, endless::Node)>>();
}

/// Accepts no dummy.
struct Picky;

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "the magic word" { Ok(Picky) } else { Err(de::Error::custom("no")) }
    }
}

types! {
    behind { pub(super) struct Outer { first: Picky, second: u8, third: Picky, fourth: Inner } pub(super) struct Inner { x: Picky, y: u8 } }
    behind_wide { pub(super) struct Outer { first: Picky, second: u8, third: Picky, fourth: Inner } pub(super) struct Inner { x: Picky, y: u16 } }
    behind_variant { pub(super) enum Outer { A(Picky), B { p: Picky, x: u8 } } }
    behind_variant_wide { pub(super) enum Outer { A(Picky), B { p: Picky, x: u16 } } }
    map_a { pub(super) struct Outer(HashMap<String, u8>); }
    aliased { pub(super) struct Outer { #[serde(alias = "b", alias = "c")] a: u8, d: Picky, e: u8 } }
    aliased_wide { pub(super) struct Outer { #[serde(alias = "b", alias = "c")] a: u8, d: Picky, e: u16 } }
}

#[test]
fn what_is_behind_a_picky_field_is_seen() {
    assert_ne!(shape::<behind::Outer>(), shape::<behind_wide::Outer>());
    assert_ne!(shape::<behind_variant::Outer>(), shape::<behind_variant_wide::Outer>());
    assert_ne!(shape::<aliased::Outer>(), shape::<aliased_wide::Outer>());
    assert_ne!(shape::<BTreeMap<String, (Picky, u8)>>(), shape::<BTreeMap<String, (u8, Picky)>>());
    assert_ne!(shape::<HashMap<NonZeroU32, Option<u8>>>(), shape::<HashMap<NonZeroU32, Option<u16>>>());
}

/// Only the names of these types distinguish them.
mod tail {
    use super::*;
    pub(super) type A = (Picky, u8);
    pub(super) type B = (Picky, u16);
}

#[test]
fn a_tuple_s_tail_behind_a_picky_element_is_told_by_the_name() {
    assert_ne!(shape::<tail::A>(), shape::<tail::B>());
}

struct Panicking;

impl<'de> Deserialize<'de> for Panicking {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let _ = u8::deserialize(deserializer)?;
        // This unwinds like a panic, without the hook's message in the tests' output.
        panic::resume_unwind(Box::new("no dummy is good enough"))
    }
}

struct Looping;

impl<'de> Deserialize<'de> for Looping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Never;
        impl<'de> Visitor<'de> for Never {
            type Value = Looping;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Looping, A::Error> {
                loop {
                    let _ = seq.next_element::<Panicking>();
                }
            }
        }
        deserializer.deserialize_seq(Never)
    }
}

types! {
    hostile { pub(super) struct Outer { a: Panicking, b: u8, c: Looping, d: u8 } }
    hostile_wide { pub(super) struct Outer { a: Panicking, b: u16, c: Looping, d: u8 } }
    nothing { pub(super) enum Void {} }
    tagged {
        #[serde(tag = "t")] pub(super) enum Internal { A { x: u8 }, B }
        #[serde(tag = "t", content = "c")] pub(super) enum Adjacent { A(u8), B { x: u8 }, C }
        #[serde(tag = "t", content = "c")] pub(super) enum AdjacentOne { A(u8) }
        #[serde(untagged)] pub(super) enum Untagged { A(u8), B(String) }
        pub(super) struct Flat { a: u8, #[serde(flatten)] rest: HashMap<String, u8> }
        pub(super) struct With { #[serde(with = "with_u8")] a: u8, #[serde(with = "with_u16")] b: u8 }
        pub(super) struct WithSwapped { #[serde(with = "with_u16")] a: u8, #[serde(with = "with_u8")] b: u8 }
        #[serde(transparent)] pub(super) struct Transparent { inner: u8 }
        #[serde(try_from = "u8")] pub(super) struct Tried { inner: u8 }
        pub(super) struct Ghost { a: u8, #[serde(skip)] b: PhantomData<fn()>, c: PhantomData<u8> }
        #[serde(deny_unknown_fields)] pub(super) struct Strict { a: u8 }
    }
    tagged_wide {
        #[serde(tag = "t", content = "c")] pub(super) enum Adjacent { A(u8), B { x: u16 }, C }
    }
}

impl TryFrom<u8> for tagged::Tried {
    type Error = &'static str;
    fn try_from(_: u8) -> Result<Self, Self::Error> {
        Err("never")
    }
}

mod with_u8 {
    use super::*;
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u8, D::Error> {
        u8::deserialize(d)
    }
}

mod with_u16 {
    use super::*;
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u8, D::Error> {
        u16::deserialize(d).map(|v| v as u8)
    }
}

#[test]
fn panics_and_loops_are_survived() {
    assert_ne!(shape::<hostile::Outer>(), shape::<hostile_wide::Outer>());
    let _ = shape::<Vec<Looping>>();
    let _ = shape::<nothing::Void>();
    let _ = shape::<Option<nothing::Void>>();
    assert_ne!(shape::<Result<u8, nothing::Void>>(), shape::<Result<u16, nothing::Void>>());
}

#[test]
fn types_that_ask_what_the_bytes_hold_are_told() {
    assert!(asks::<tagged::Internal>());
    assert!(asks::<tagged::Untagged>());
    assert!(asks::<tagged::Flat>());
    assert!(asks::<Vec<Option<tagged::Flat>>>());
    assert!(asks::<Result<u8, tagged::Untagged>>());
    #[cfg(feature = "json")]
    assert!(asks::<serde_json::Value>());
    assert!(asks::<tagged::Adjacent>());
    assert!(asks::<tagged::AdjacentOne>());
    assert!(!asks::<tagged::With>());
    assert!(!asks::<tagged::Strict>());
    assert!(!asks::<tagged::Ghost>());
    assert!(!asks::<aliased::Outer>());
    assert!(!asks::<mutual::Expr>());
    assert!(!asks::<SocketAddr>());
    assert!(!of::<SocketAddr>(true).needs_self_describing);
    assert!(!asks::<(Duration, SystemTime, std::ops::Range<u8>, std::ops::Bound<u8>)>());
    assert!(!asks::<(NonZeroU32, std::path::PathBuf, std::ffi::OsString)>());
}

#[test]
fn attributes_of_serde_are_seen_through() {
    assert_ne!(shape::<tagged::Adjacent>(), shape::<tagged_wide::Adjacent>());
    assert_ne!(shape::<tagged::With>(), shape::<tagged::WithSwapped>());
    assert_eq!(shape::<tagged::Transparent>(), shape::<u8>());
    assert_eq!(shape::<Vec<tagged::Transparent>>(), shape::<Vec<u8>>());
    assert_ne!(shape::<(tagged::Ghost, u8)>(), shape::<(u8, u8)>());
    let _ = shape::<(tagged::Tried, u8)>();
}

#[test]
fn the_format_decides_what_a_type_is() {
    assert_ne!(of::<IpAddr>(true).value, of::<IpAddr>(false).value);
    assert_eq!(of::<base::User>(true), of::<base::User>(false));
}

#[test]
fn a_wide_and_deep_type_ends_soon() {
    macro_rules! levels {
        ($($name:ident $inner:ty;)*) => {$(
            #[derive(Deserialize)]
            #[allow(dead_code, reason = "only its shape is looked at")]
            enum $name { A($inner), B { x: Vec<$inner>, y: Option<$inner> }, C(Vec<$name>, Picky) }
        )*};
    }
    levels! { L1 u8; L2 L1; L3 L2; L4 L3; L5 L4; L6 L5; L7 L6; L8 L7; L9 L8; }
    let start = std::time::Instant::now();
    assert_ne!(shape::<L9>(), shape::<L8>());
    assert_eq!(shape::<L9>(), shape::<L9>());
    println!("{:?}", start.elapsed());
}

types! {
    flat { pub(super) struct Flat { a: u8, #[serde(flatten)] rest: base::User } }
    flat_wide { pub(super) struct Flat { a: u16, #[serde(flatten)] rest: base::User } }
}

#[test]
fn flattened_structs_are_told_by_their_name() {
    assert_ne!(shape::<flat::Flat>(), shape::<flat_wide::Flat>());
    assert_ne!(shape::<Vec<flat::Flat>>(), shape::<Vec<flat_wide::Flat>>());
}

/// The names of many fields or variants, without the code of a derive for each.
fn names(count: usize) -> &'static [&'static str] {
    let name = |number| &*Box::leak(format!("Variant{number}").into_boxed_str());
    Box::leak((0..count).map(name).collect())
}

macro_rules! large {
    ($($name:ident $count:literal $content:ty;)*) => {$(
        struct $name;

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                static NAMES: std::sync::LazyLock<&'static [&'static str]> = std::sync::LazyLock::new(|| names($count));
                struct AnyVariant;
                impl<'de> Visitor<'de> for AnyVariant {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a variant")
                    }
                    fn visit_enum<A: de::EnumAccess<'de>>(self, data: A) -> Result<$name, A::Error> {
                        let (_, content) = data.variant::<String>()?;
                        de::VariantAccess::newtype_variant::<$content>(content).map(|_| $name)
                    }
                }
                deserializer.deserialize_enum("Large", *NAMES, AnyVariant)
            }
        }
    )*};
}

large! { Large4 4200 u8; Large4Swapped 4200 i8; LargeOfStructs 20_000 base::User; TooLarge 40_000 u8; }

types! {
    after { pub(super) struct Outer { kind: Large4, rest: Vec<Rest> } pub(super) struct Rest { x: u8, width: u8, height: u8 } }
    after_swapped { pub(super) struct Outer { kind: Large4, rest: Vec<Rest> } pub(super) struct Rest { x: u8, height: u8, width: u8 } }
    too_large { pub(super) struct Outer { kind: TooLarge, rest: u8 } }
}

#[test]
fn what_stands_after_a_large_enum_is_seen() {
    let start = std::time::Instant::now();
    let outer = of::<after::Outer>(false);
    println!("4,200 variants: {:?}", start.elapsed());
    assert!(outer.shape.is_complete() && !outer.is_unfinished);
    assert_ne!(outer.value, shape::<after_swapped::Outer>());
    assert_ne!(shape::<Large4>(), shape::<Large4Swapped>());
    let start = std::time::Instant::now();
    assert!(of::<LargeOfStructs>(false).shape.is_complete());
    println!("20,000 variants: {:?}", start.elapsed());
    // Nothing is said about it.
    assert!(of::<TooLarge>(false).is_unfinished);
    assert!(of::<too_large::Outer>(false).is_unfinished);
    assert!(of::<Vec<Option<too_large::Outer>>>(false).is_unfinished);
}

/// A struct of many fields that accept no dummy.
#[test]
fn each_field_is_offered_once() {
    struct Wide;
    thread_local! {
        static READ: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }
    impl<'de> Deserialize<'de> for Wide {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            static NAMES: std::sync::LazyLock<&'static [&'static str]> = std::sync::LazyLock::new(|| names(2000));
            struct Fields;
            impl<'de> Visitor<'de> for Fields {
                type Value = Wide;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("fields")
                }
                fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Wide, A::Error> {
                    while let Some(name) = map.next_key::<String>()? {
                        READ.set(READ.get() + 1);
                        let is_picky = name.ends_with('7');
                        let _number = if is_picky { map.next_value().map(|Picky| 0)? } else { map.next_value::<u8>()? };
                    }
                    Ok(Wide)
                }
            }
            deserializer.deserialize_struct("Wide", *NAMES, Fields)
        }
    }
    assert!(of::<Wide>(false).shape.is_complete());
    assert!(READ.get() <= 2 * 2000, "{}", READ.get());
}

#[test]
fn a_part_that_is_not_seen_needs_a_format_with_names() {
    fn is_complete<V: DeserializeOwned>() -> bool {
        of::<V>(false).shape.is_complete()
    }
    assert!(is_complete::<(base::User, first_order::Kind, Vec<mutual::Expr>, list::Node, bare::List, endless::Node)>());
    assert!(is_complete::<(Duration, SystemTime, IpAddr, SocketAddr, NonZeroU32, std::path::PathBuf)>());
    assert!(is_complete::<(std::ffi::OsString, std::ops::Range<u8>, std::ops::Bound<u8>, std::num::Wrapping<u8>)>());
    assert!(is_complete::<(Result<u8, nothing::Void>, Option<Option<()>>, PhantomData<u8>, [u8; 0], [u64; 32])>());
    assert!(is_complete::<behind::Outer>());
    assert!(is_complete::<behind_variant::Outer>());
    assert!(is_complete::<aliased::Outer>());
    assert!(is_complete::<(tagged::With, tagged::Ghost)>());
    assert!(is_complete::<(HashMap<NonZeroU32, Option<u8>>, BTreeMap<String, (u8, Picky)>, tagged::Strict)>());
    assert!(is_complete::<hostile::Outer>());
    assert!(!is_complete::<tail::A>());
    assert!(!is_complete::<Vec<BTreeMap<String, (Picky, u8)>>>());
    assert!(!is_complete::<flat::Flat>());
    assert!(!is_complete::<tagged::Untagged>());
}
