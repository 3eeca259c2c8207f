//! The memory store stays within its bound by the memory of the process, whatever it holds.

use redis_cached::{Cache, redis_cached};

use crate::alone;

const BOUND: usize = 16 << 20;

/// What the process takes in addition: room that the allocator keeps between allocations, and buffers of one call, each of
/// which has room for the largest value.
const REST: usize = 4 << 20;
const BUFFERS: usize = 4;

/// The variable that tells a child what to store.
const KIND: &str = "REDIS_CACHED_MEMORY_KIND";

const KINDS: [&str; 4] = ["tiny", "medium", "large", "grouped"];

#[redis_cached(prefix = "memory", name = "text", cache = cache, skip(cache, length), ttl = forever)]
fn text(cache: &Cache, _id: u64, length: usize) -> String {
    "x".repeat(length)
}

#[redis_cached(prefix = "memory", name = "field", group = "of:{id % 1000}", cache = cache, skip(cache, length))]
fn field(cache: &Cache, id: u64, length: usize) -> String {
    "x".repeat(length)
}

/// The resident memory of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// The length of large values.
const LARGE: usize = 1_000_000;

/// From 10 to 100 bytes.
fn tiny(id: u64) -> usize {
    10 + (id % 91) as usize
}

/// Stores some times as much as the bound; returns how many entries are left of the last ones, and their bytes.
fn store(kind: &str, cache: &Cache) -> (usize, usize) {
    let held = |ids: std::ops::Range<u64>, length: fn(u64) -> usize| {
        let held = ids.filter(|id| text_entry(cache, *id).get().unwrap().is_some());
        held.fold((0, 0), |(count, bytes), id| (count + 1, bytes + length(id)))
    };
    let texts = |ids: std::ops::Range<u64>, length: fn(u64) -> usize| {
        ids.for_each(|id| drop(text(cache, id, length(id))));
    };
    match kind {
        "tiny" => {
            texts(0..125_000, tiny);
            held(0..125_000, tiny)
        }
        "medium" => {
            texts(0..10_000, |_| 4_000);
            held(0..10_000, |_| 4_000)
        }
        "large" => {
            texts(1_000..1_080, |_| LARGE);
            held(1_000..1_080, |_| LARGE)
        }
        _ => {
            (0..100_000).for_each(|id| drop(field(cache, id, tiny(id))));
            let held = (0..100_000).filter(|id| field_entry(cache, *id).get().unwrap().is_some());
            held.fold((0, 0), |(count, bytes), id| (count + 1, bytes + tiny(id)))
        }
    }
}

#[test]
fn the_memory_store_stays_within_its_bound() {
    if let Ok(kind) = std::env::var(KIND) {
        let cache = Cache::builder("memory://?max_mb=16").unwrap().build();
        // Whatever the process needs once is there.
        (0..100).for_each(|id| drop(text(&cache, id, 1_000)));
        let before = resident();
        let (count, bytes) = store(&kind, &cache);
        let grown = resident().saturating_sub(before);
        let [bound, grown_mb, bytes_mb] = [BOUND, grown, bytes].map(|bytes| bytes as f64 / f64::from(1 << 20));
        println!("{kind}: {bound} MB were allowed and {grown_mb:.1} MB taken, for {count} values of {bytes_mb:.1} MB");
        let largest = if kind == "large" { LARGE } else { 0 };
        assert!(grown <= BOUND + REST + BUFFERS * largest, "{kind}: the process grew by {grown} bytes");
        return;
    }
    let _alone = alone();
    for kind in KINDS {
        let mut child = test_support::child(module_path!(), "the_memory_store_stays_within_its_bound");
        let output = child.env(KIND, kind).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        println!("{}", text.lines().find(|line| line.contains("were allowed")).unwrap_or(&text));
        assert!(output.status.success(), "{text}");
    }
}
