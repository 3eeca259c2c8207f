//! Bytes that were crafted to take memory take it in proportion to their length.

use std::collections::{BTreeMap, HashMap};

use redis_cached::{Bincode, Codec, Json, MessagePack};
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
