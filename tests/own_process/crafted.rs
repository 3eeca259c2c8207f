//! Bytes that were crafted to take memory take it in proportion to their length.

use std::collections::{BTreeMap, HashMap};

use redis_cached::{Bincode, Codec, Json, MessagePack};
#[cfg(all(feature = "lz4", feature = "zstd"))]
use redis_cached::{Cache, redis_cached};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// About 1 KB of memory, and six bytes.
#[derive(Serialize, Deserialize)]
struct Node {
    a: [Option<[u64; 32]>; 4],
    children: Vec<Node>,
    by_name: HashMap<u8, Node>,
}

/// A list of lists.
#[expect(clippy::large_enum_variant, reason = "what is reserved for one element is to be large")]
#[derive(Serialize, Deserialize)]
enum Lists {
    More(Vec<Lists>),
    Room([u64; 32]),
}

/// The most memory that decoding has at a time.
fn peak<C: Codec, V: DeserializeOwned>(bytes: &[u8]) -> u64 {
    allocation_counter::measure(|| drop(C::decode::<V>(bytes))).bytes_max
}

/// Each level claims as many children as there are bytes.
fn levels(level: &[u8]) -> Vec<u8> {
    let mut bytes = level.repeat(100);
    bytes.resize(5000, 0);
    bytes
}

#[test]
fn lengths_of_nested_containers() {
    // What one container takes that has an element for each byte.
    const MOST: u64 = 5000 * size_of::<Node>() as u64;
    // 251 begins a number of two bytes.
    let vectors = levels(&[0, 0, 0, 0, 251, 0xff, 0x0f]);
    let maps = levels(&[0, 0, 0, 0, 0, 251, 0xff, 0x0f, 1]);
    for (name, taken) in [
        ("vectors", peak::<Bincode, Node>(&vectors)),
        ("maps", peak::<Bincode, Node>(&maps)),
        ("maps in vectors", peak::<Bincode, Vec<HashMap<u8, Node>>>(&levels(&[251, 0xff, 0x0f, 251, 0xff, 0x0f, 1]))),
        ("variants", peak::<Bincode, Lists>(&levels(&[0, 251, 0xff, 0x0f]))),
        ("sorted", peak::<Bincode, BTreeMap<u8, Node>>(&levels(&[251, 0xff, 0x0f, 0]))),
        ("text", peak::<Bincode, Vec<String>>(&levels(&[251, 0xff, 0x0f]))),
        ("long text", peak::<Bincode, Vec<String>>(&levels(&[5, 253, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]))),
        ("no elements", peak::<Bincode, Vec<Vec<()>>>(&levels(&[251, 0xff, 0x0f]))),
        (
            "messagepack arrays",
            peak::<MessagePack, Lists>(&levels(&[0x81, 0xa4, b'M', b'o', b'r', b'e', 0xdc, 0x0f, 0xff])),
        ),
        (
            "messagepack maps",
            peak::<MessagePack, Vec<HashMap<u8, Node>>>(&levels(&[0xdc, 0x0f, 0xff, 0xde, 0x0f, 0xff, 1])),
        ),
        ("json", peak::<Json, Lists>(br#"{"More":["#.repeat(500).as_slice())),
    ] {
        println!("{name}: {taken} bytes");
        assert!(taken <= MOST, "{name}: {taken} bytes for 5,000");
    }
}

/// A value that is true is read with one allocation for each of its containers.
#[test]
fn lengths_that_are_true() {
    let value: Vec<Vec<Vec<u32>>> = vec![vec![vec![7; 10]; 10]; 10];
    let mut bytes = Vec::new();
    Bincode::encode(&value, &mut bytes).unwrap();
    let decode = || assert!(Bincode::decode::<Vec<Vec<Vec<u32>>>>(&bytes).unwrap() == value);
    assert_eq!(allocation_counter::measure(decode).count_total, 111);
}

/// A hit of a block that claims more than it holds: LZ4 cannot hold more than 255 bytes in one, and the ratio of zstd has no
/// bound, so that its bound is in megabytes. A claim beyond takes nothing.
#[cfg(all(feature = "lz4", feature = "zstd"))]
#[test]
fn lengths_of_compressed_payloads() {
    #[redis_cached(prefix = "z", name = "lie", cache = cache, skip(cache))]
    fn lie(cache: &Cache, algorithm: u8) -> String {
        format!("by {algorithm}")
    }
    let server = test_support::Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(test_support::PATIENCE).build();
    for (algorithm, claimed, most) in [
        (1, u32::MAX, 64 << 10),
        (1, 255 * 1_000 + 65, 64 << 10),
        (1, 255 * 1_000 + 64, 320 << 10),
        (2, u32::MAX, 64 << 10),
        (2, (64 << 20) + 1, 64 << 10),
        (2, 64 << 20, 65 << 20),
    ] {
        let key = format!("z:lie:{algorithm}");
        lie(&cache, algorithm);
        let value: Vec<u8> = redis::cmd("GET").arg(&key).query(&mut server.connection()).unwrap();
        let mut crafted = [&value[..112], &[algorithm], &claimed.to_le_bytes(), &[7; 1_000]].concat();
        crafted[102] |= 4;
        let crafted = test_support::resealed(&key, crafted);
        redis::cmd("SET").arg(&key).arg(&crafted).exec(&mut server.connection()).unwrap();
        let mut found = None;
        let taken = allocation_counter::measure(|| found = Some(lie_entry(&cache, algorithm).get())).bytes_max;
        assert_eq!(found.unwrap().unwrap(), None, "it is a miss");
        println!("{claimed} bytes claimed by {algorithm}: {taken} bytes");
        assert!(taken <= most, "{claimed} bytes claimed by {algorithm}: {taken} bytes");
    }
    // Calls and `get` met each of them but the last.
    assert_eq!(cache.functions()[0].unusable.decode, 6 + 4);
}
