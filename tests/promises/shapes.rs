//! What a type's `Deserialize` reads is what its `Serialize` writes, or the value is not stored in a way that confuses them.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis_cached::{Cache, redis_cached};
use serde::de::{self, DeserializeOwned, EnumAccess, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use test_support::{Server, caches};

/// An enum of 4,200 variants, without the code of a derive for each.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Large(u32);

static NAMES: LazyLock<&'static [&'static str]> = LazyLock::new(|| {
    let name = |number| &*Box::leak(format!("Variant{number}").into_boxed_str());
    Box::leak((0..4200).map(name).collect())
});

impl Serialize for Large {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit_variant("Large", self.0, NAMES[self.0 as usize])
    }
}

impl<'de> Deserialize<'de> for Large {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Large, D::Error> {
        struct Name(u32);
        impl<'de> Deserialize<'de> for Name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
                struct NameVisitor;
                impl Visitor<'_> for NameVisitor {
                    type Value = Name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a variant")
                    }
                    fn visit_u64<E: de::Error>(self, index: u64) -> Result<Name, E> {
                        Ok(Name(index as u32))
                    }
                    fn visit_str<E: de::Error>(self, name: &str) -> Result<Name, E> {
                        name.trim_start_matches("Variant").parse().map(Name).map_err(E::custom)
                    }
                }
                deserializer.deserialize_identifier(NameVisitor)
            }
        }
        struct LargeVisitor;
        impl<'de> Visitor<'de> for LargeVisitor {
            type Value = Large;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an enum")
            }
            fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Large, A::Error> {
                let (Name(index), content) = data.variant()?;
                content.unit_variant().map(|()| Large(index))
            }
        }
        deserializer.deserialize_enum("Large", *NAMES, LargeVisitor)
    }
}

/// Two versions of a type that differ in what stands after a large enum.
macro_rules! versions {
    ($($version:ident { $($field:ident)* })*) => {$(
        mod $version {
            use super::*;

            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            pub(super) struct Picture {
                kind: Large,
                parts: Vec<Part>,
            }

            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            pub(super) struct Part { $($field: u8),* }

            pub(super) fn make() -> Picture {
                let value = |field| BTreeMap::from([("x", 10), ("width", 1), ("height", 2)])[field];
                Picture { kind: Large(4199), parts: vec![Part { $($field: value(stringify!($field))),* }] }
            }

            #[redis_cached(prefix = "t", name = "picture", cache = cache, skip(cache))]
            pub(super) async fn picture(cache: &Cache) -> Picture {
                make()
            }
        }
    )*};
}

versions! { before { x width height } after { x height width } }

#[tokio::test]
async fn a_deploy_that_changes_what_stands_after_a_large_enum_is_noticed() {
    let server = Server::start();
    for cache in caches(&server) {
        for _ in 0..2 {
            assert_eq!(before::picture(&cache).await, before::make());
        }
        assert_eq!((cache.stats().hits, cache.stats().stored), (1, 1));
        for _ in 0..2 {
            assert_eq!(after::picture(&cache).await, after::make());
        }
        assert_eq!((cache.stats().hits, cache.stats().stored), (2, 2));
    }
}

macro_rules! kept {
    ($($module:ident $codec:ident)*) => {$(
        mod $module {
            use super::*;

            #[redis_cached(cache = cache, skip(cache, value), codec = $codec)]
            pub(super) async fn kept<V>(cache: &Cache, id: usize, value: V) -> V
            where
                V: Serialize + DeserializeOwned + Send,
            {
                let _ = id;
                value
            }

            #[redis_cached(cache = cache, skip(cache, value), codec = $codec)]
            pub(super) fn kept_blocking<V>(cache: &Cache, id: usize, value: V) -> Option<V>
            where
                V: Serialize + DeserializeOwned,
            {
                let _ = id;
                Some(value)
            }
        }
    )*};
}

kept! { in_auto auto in_bincode bincode in_messagepack messagepack in_json json }

/// Calls twice with each codec, and returns in which of them the second call was a hit.
async fn hits<V>(cache: &Cache, value: V) -> [bool; 4]
where
    V: Serialize + DeserializeOwned + PartialEq + Debug + Clone + Send,
{
    static ID: AtomicUsize = AtomicUsize::new(0);
    let id = ID.fetch_add(1, Ordering::SeqCst);
    let mut hits = [false; 4];
    macro_rules! calls {
        ($($at:literal $module:ident)*) => {$(
            let before = cache.stats().hits;
            for _ in 0..2 {
                assert_eq!($module::kept(cache, id, value.clone()).await, value, stringify!($module));
                assert_eq!($module::kept_blocking(cache, id, value.clone()).as_ref(), Some(&value), stringify!($module));
            }
            hits[$at] = match cache.stats().hits - before {
                0 => false,
                2 => true,
                other => panic!("{other} hits {}", stringify!($module)),
            };
        )*};
    }
    calls! { 0 in_auto 1 in_bincode 2 in_messagepack 3 in_json }
    hits
}

/// Written as one type, and read as another one.
macro_rules! written_and_read {
    ($($name:ident($inner:ty): $written:ty => $read:ty;)*) => {$(
        #[derive(Debug, Clone, PartialEq)]
        struct $name($inner);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                (self.0 as $written).serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                <$read>::deserialize(deserializer).map(|value| $name(value as $inner))
            }
        }
    )*};
}

written_and_read! {
    Signed(u64): u64 => i64;
    Unsigned(i64): i64 => u64;
    Narrow(u64): u64 => u8;
    Wide(u8): u8 => u64;
    Float(u64): u64 => f64;
    Single(f64): f64 => f32;
    Double(f32): f32 => f64;
    Huge(u128): u128 => i128;
    HugeUnsigned(i128): i128 => u128;
    Bit(u8): u8 => u32;
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", from = "Read")]
struct Size {
    width: u8,
    height: u8,
}

#[derive(Serialize)]
struct Written {
    width: u8,
    height: u8,
}

#[derive(Deserialize)]
struct Read {
    height: u8,
    width: u8,
}

impl From<Size> for Written {
    fn from(Size { width, height }: Size) -> Written {
        Written { width, height }
    }
}

impl From<Read> for Size {
    fn from(Read { width, height }: Read) -> Size {
        Size { width, height }
    }
}

/// A sequence is read as the fields of a struct, in every codec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "(u8, u8)", from = "Read")]
struct Pair {
    width: u8,
    height: u8,
}

impl From<Pair> for (u8, u8) {
    fn from(Pair { width, height }: Pair) -> (u8, u8) {
        (width, height)
    }
}

impl From<Read> for Pair {
    fn from(Read { width, height }: Read) -> Pair {
        Pair { width, height }
    }
}

/// The number of a status is not the position of its variant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "u16")]
enum Status {
    Zero = 1,
    One = 0,
    Two = 2,
}

impl From<Status> for u16 {
    fn from(status: Status) -> u16 {
        status as u16
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Halves {
    #[serde(skip_deserializing)]
    a: u8,
    #[serde(skip_serializing)]
    b: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Around<T> {
    Nothing,
    One(T),
    Two(u8, T),
    Fields { before: u8, it: T },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Newtype<T>(T);

/// Its name is written as a field, and not read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
struct Labelled {
    a: u8,
}

/// A hit would lose a field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Output {
    #[serde(skip_deserializing)]
    sum: u8,
    a: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Renamed {
    #[serde(rename(deserialize = "_id"))]
    id: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Aliased {
    #[serde(alias = "x", alias = "y")]
    a: u8,
    #[serde(rename = "z", alias = "b")]
    b: u8,
    #[serde(default)]
    c: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_in_kind_is_no_wrong_value() {
    let server = Server::start();
    for cache in &caches(&server) {
        // In all codecs with names, an integer is a number.
        const NAMED: [bool; 4] = [true, false, true, true];
        const NONE: [bool; 4] = [false; 4];
        assert_eq!(hits(cache, Signed(11)).await, NAMED);
        assert_eq!(hits(cache, Unsigned(11)).await, NAMED);
        assert_eq!(hits(cache, Narrow(251)).await, NAMED);
        assert_eq!(hits(cache, Wide(251)).await, NAMED);
        assert_eq!(hits(cache, Bit(1)).await, NAMED);
        assert_eq!(hits(cache, Float(11)).await, NAMED);
        assert_eq!(hits(cache, Float((1 << 53) + 1)).await, NONE);
        assert_eq!(hits(cache, Single(0.5)).await, NAMED);
        assert_eq!(hits(cache, Single(0.1)).await, NONE);
        assert_eq!(hits(cache, Double(0.5)).await, NAMED);
        hits(cache, Double(0.1)).await;
        hits(cache, Huge(11)).await;
        hits(cache, Huge(u128::MAX)).await;
        hits(cache, HugeUnsigned(-1)).await;
        assert_eq!(hits(cache, Status::Zero).await, NONE);
        assert_eq!(hits(cache, [Status::One, Status::Two]).await, NONE);
        hits(cache, Halves { a: 5, b: 0 }).await;
        // Inside of others.
        assert_eq!(hits(cache, Newtype(Some(Signed(11)))).await, NAMED);
        assert_eq!(hits(cache, vec![(1_u8, Signed(11))]).await, NAMED);
        assert_eq!(hits(cache, BTreeMap::from([("a".to_owned(), Signed(11))])).await, NAMED);
        for around in
            [Around::One(Signed(11)), Around::Two(1, Signed(11)), Around::Fields { before: 1, it: Signed(11) }]
        {
            assert_eq!(hits(cache, Some(around)).await, NAMED);
        }
        // Without the part that differs, nothing does.
        assert_eq!(hits(cache, Around::<Signed>::Nothing).await, [true; 4]);
        assert_eq!(hits(cache, (1_u8, None::<Signed>)).await, [true; 4]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_in_the_order_of_fields_is_no_wrong_value() {
    let server = Server::start();
    for cache in &caches(&server) {
        let size = Size { width: 1, height: 2 };
        // A codec with names reads them by name.
        const NAMED: [bool; 4] = [true, false, true, true];
        assert_eq!(hits(cache, size.clone()).await, NAMED);
        assert_eq!(hits(cache, vec![Some(size.clone())]).await, NAMED);
        assert_eq!(hits(cache, Around::Fields { before: 1, it: size.clone() }).await, NAMED);
        assert_eq!(hits(cache, (size.clone(), Newtype(BTreeMap::from([(1, size)])))).await, NAMED);
        assert_eq!(hits(cache, Pair { width: 1, height: 2 }).await, [false; 4]);
        assert_eq!(hits(cache, Around::Two(1, Pair { width: 1, height: 2 })).await, [false; 4]);
        assert_eq!(hits(cache, Some(Labelled { a: 1 })).await, NAMED);
        assert_eq!(hits(cache, Output { sum: 3, a: 1 }).await, [false; 4]);
        assert_eq!(hits(cache, Renamed { id: 1 }).await, [false; 4]);
        assert_eq!(hits(cache, Aliased { a: 1, b: 2, c: "c".to_owned() }).await, [true; 4]);
    }
}

#[test]
fn a_difference_is_told_once() {
    #[redis_cached(cache = cache, skip(cache), codec = bincode)]
    fn differing(cache: &Cache, id: u64) -> Vec<Signed> {
        vec![Signed(id)]
    }
    test_support::log::listen();
    let cache = Cache::builder("memory://").unwrap().build();
    for id in [1, 2, 1] {
        assert_eq!(differing(&cache, id), [Signed(id)]);
    }
    let lines = test_support::log::lines_about("differing");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].text.contains("writes a `u64` where its `Deserialize` reads an `i64`"), "{lines:?}");
}
