//! Values that are nested deeply: what cannot be read back on the stack of a thread is returned and not stored, and no
//! thread overflows.

use std::collections::BTreeMap;
use std::fmt::Debug;

use redis_cached::{Bincode, Cache, Codec, CodecError, redis_cached};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The default stack of a thread, and of a worker of tokio.
const STACK: usize = 2 << 20;

/// A third party's codec, which bounds nothing.
struct Foreign;

impl Codec for Foreign {
    const NAME: &'static str = "foreign-1";
    fn encode<V: Serialize + ?Sized>(value: &V, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
        bincode::serde::encode_into_std_write(value, buffer, bincode::config::standard()).map_err(CodecError::new)?;
        Ok(())
    }
    fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, CodecError> {
        let decoded = bincode::serde::decode_from_slice(bytes, bincode::config::standard());
        decoded.map(|(value, _)| value).map_err(CodecError::new)
    }
}

/// A type that takes much of the stack for each level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Wide {
    a: [u64; 12],
    b: [u64; 12],
    c: [u64; 12],
    d: [u64; 12],
    e: [u64; 12],
    f: [u64; 12],
    g: [u64; 12],
    h: [u64; 12],
    children: Vec<Wide>,
}

fn wide(depth: usize) -> Wide {
    let one = |children| Wide {
        a: [1; 12],
        b: [1; 12],
        c: [1; 12],
        d: [1; 12],
        e: [1; 12],
        f: [1; 12],
        g: [1; 12],
        h: [1; 12],
        children,
    };
    (1..depth).fold(one(vec![]), |inner, _| one(vec![inner]))
}

/// Nodes of 3.5 KB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Heavy {
    a: [[u64; 16]; 8],
    b: [[u64; 16]; 8],
    c: ([[u64; 16]; 8], [[u64; 16]; 4]),
    next: Option<Box<Heavy>>,
}

fn heavy(depth: usize) -> Heavy {
    let one = |next| Heavy { a: [[1; 16]; 8], b: [[2; 16]; 8], c: ([[3; 16]; 8], [[4; 16]; 4]), next };
    (1..depth).fold(one(None), |inner, _| one(Some(Box::new(inner))))
}

/// Options alone, which json and messagepack do not write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Nat(Option<Box<Nat>>);

fn nat(depth: usize) -> Nat {
    (1..depth).fold(Nat(None), |inner, _| Nat(Some(Box::new(inner))))
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Chain {
    More { next: Box<Chain>, numbers: [u64; 12] },
    Some(Option<Box<Chain>>),
    End,
}

fn chain(depth: usize) -> Chain {
    (1..depth).fold(Chain::End, |inner, level| match level % 2 {
        0 => Chain::More { next: Box::new(inner), numbers: [1; 12] },
        _ => Chain::Some(Some(Box::new(inner))),
    })
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Leaf(u8),
    Named { left: Box<Untagged>, numbers: Vec<u64>, name: String },
    Many(Vec<Untagged>),
}

fn untagged(depth: usize) -> Untagged {
    (1..depth).fold(Untagged::Leaf(1), |inner, level| match level % 2 {
        0 => Untagged::Named { left: Box::new(inner), numbers: vec![1, 2], name: "a".to_owned() },
        _ => Untagged::Many(vec![inner]),
    })
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t")]
enum Tagged {
    Leaf,
    Node { numbers: [u64; 16], name: String, children: Vec<Tagged> },
    One { inner: Box<Tagged> },
}

fn tagged(depth: usize) -> Tagged {
    (1..depth).fold(Tagged::Leaf, |inner, level| match level % 2 {
        0 => Tagged::Node { numbers: [1; 16], name: "a".to_owned(), children: vec![inner] },
        _ => Tagged::One { inner: Box::new(inner) },
    })
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flat {
    #[serde(flatten)]
    rest: BTreeMap<String, Flat>,
}

fn flat(depth: usize) -> Flat {
    (1..depth).fold(Flat { rest: BTreeMap::new() }, |inner, _| Flat { rest: BTreeMap::from([("a".to_owned(), inner)]) })
}

fn json(depth: usize) -> serde_json::Value {
    (1..depth).fold(serde_json::Value::Null, |inner, level| match level % 2 {
        0 => serde_json::json!({ "a": inner }),
        _ => serde_json::json!([inner]),
    })
}

macro_rules! kept {
    ($module:ident, $codec:ident, $($make:ident)*) => {
        mod $module {
            use super::*;

            #[redis_cached(cache = cache, skip(cache, value), codec = $codec)]
            async fn kept<V: Serialize + DeserializeOwned + Send>(cache: &Cache, depth: usize, value: V) -> (V, bool) {
                let _ = depth;
                (value, true)
            }

            #[redis_cached(cache = cache, skip(cache, value), codec = $codec)]
            fn kept_blocking<V: Serialize + DeserializeOwned>(cache: &Cache, depth: usize, value: V) -> (V, bool) {
                let _ = depth;
                (value, true)
            }

            /// Checks both faces on a thread as small as any. Values of up to `shallow` levels are stored.
            fn check<V>(make: fn(usize) -> V, shallow: usize)
            where
                V: Serialize + DeserializeOwned + PartialEq + Debug + Clone + Send + 'static,
            {
                let calls = move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    for depth in [2, 10, 40, 60, 70, 100, 120, 130, 200, 500] {
                        let cache = Cache::builder("memory://").unwrap().build();
                        for _ in 0..2 {
                            assert!(kept_blocking(&cache, depth, make(depth)).0 == make(depth), "{depth}");
                            assert!(runtime.block_on(kept(&cache, depth, make(depth))).0 == make(depth), "{depth}");
                        }
                        let stats = cache.stats();
                        // Stored and read back, or not stored.
                        assert_eq!(stats.stored, stats.hits, "{depth} {stats:?}");
                        assert!(depth > shallow || stats.hits == 2, "{depth} {stats:?}");
                    }
                };
                std::thread::Builder::new().stack_size(STACK).spawn(calls).unwrap().join().unwrap();
            }

            #[test]
            fn deep_values() {
                // Without optimizations, a heavy level takes some 80 KB of the stack in JSON.
                $(check($make, if stringify!($make) == "heavy" { 2 } else { 10 });)*
            }
        }
    };
}

kept!(in_auto, auto, wide heavy nat chain untagged tagged flat json);
kept!(in_bincode, bincode, wide heavy nat chain);
#[cfg(feature = "json")]
kept!(in_json, json, wide heavy chain untagged tagged flat json);
kept!(in_messagepack, messagepack, wide heavy chain untagged tagged flat json);
kept!(in_foreign, Foreign, wide heavy nat chain);

/// Neither json nor messagepack stores them, because both would read `Some(None)` as `None`. Writing them takes the stack
/// before that is found.
#[cfg(feature = "json")]
#[test]
fn options_alone() {
    macro_rules! functions {
        ($($name:ident $codec:ident)*) => {$(
            #[redis_cached(cache = cache, skip(cache, value), codec = $codec)]
            fn $name(cache: &Cache, depth: usize, value: Nat) -> Nat {
                let _ = depth;
                value
            }
        )*};
    }
    functions! { in_json json in_messagepack messagepack in_bincode bincode in_auto auto }
    let calls = || {
        let cache = Cache::builder("memory://").unwrap().build();
        for depth in [2, 20, 80, 130, 1000, 4000] {
            for call in [in_json, in_messagepack, in_bincode, in_auto] {
                for _ in 0..2 {
                    assert!(call(&cache, depth, nat(depth)) == nat(depth), "{depth}");
                }
            }
        }
        assert_eq!(cache.stats().hits, cache.stats().stored);
        assert_eq!(cache.stats().hits, 6, "in_bincode and in_auto, at 2, 20 and 80");
        // A codec that is called directly has the bound, too.
        for depth in [1000, 4000] {
            assert!(redis_cached::Json::encode(&nat(depth), &mut Vec::new()).is_err());
            assert!(redis_cached::MessagePack::encode(&nat(depth), &mut Vec::new()).is_err());
            assert!(Bincode::encode(&nat(depth), &mut Vec::new()).is_err());
        }
    };
    std::thread::Builder::new().stack_size(STACK).spawn(calls).unwrap().join().unwrap();
}

/// Bytes that are deeper than anything that is stored, whatever the depth that they claim.
#[test]
fn damaged_bytes() {
    let read = || {
        let mut bytes = Vec::new();
        for level in [&[1; 8 * 12][..], &[1]] {
            bytes.extend_from_slice(level);
        }
        assert!(Bincode::decode::<Wide>(&bytes.repeat(1000)).is_err());
        assert!(Bincode::decode::<Chain>(&[1; 100_000]).is_err());
        #[cfg(feature = "json")]
        {
            use redis_cached::Json;
            assert!(Json::decode::<Untagged>("[".repeat(100_000).as_bytes()).is_err());
            assert!(Json::decode::<Flat>(br#"{"a":"#.repeat(100_000).as_slice()).is_err());
            assert!(Json::decode::<serde_json::Value>(br#"[{"a":"#.repeat(100_000).as_slice()).is_err());
        }
        use redis_cached::MessagePack;
        assert!(MessagePack::decode::<Untagged>(&[0x91; 100_000]).is_err());
        assert!(MessagePack::decode::<Flat>(&b"\x81\xa1a".repeat(100_000)).is_err());
        assert!(MessagePack::decode::<serde_json::Value>(&b"\x91\x81\xa1a".repeat(100_000)).is_err());
    };
    std::thread::Builder::new().stack_size(STACK).spawn(read).unwrap().join().unwrap();
}

#[test]
fn a_deep_argument_makes_the_call_run_uncached() {
    #[redis_cached(cache = cache, skip(cache))]
    fn argued(cache: &Cache, value: &Wide) -> bool {
        !value.children.is_empty()
    }
    let calls = || {
        let cache = Cache::builder("memory://").unwrap().build();
        for depth in [10, 10, 120, 500, 1000] {
            assert!(argued(&cache, &wide(depth)));
        }
        assert_eq!(cache.stats().hits, 1);
    };
    std::thread::Builder::new().stack_size(STACK).spawn(calls).unwrap().join().unwrap();
}
