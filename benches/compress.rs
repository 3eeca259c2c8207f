//! What compression costs and saves: processor time for each size, memory in Redis, and hits compared with a `GET`, an LZ4
//! library and a decode by hand.
//!
//! `cargo bench --features json,lz4,zstd --bench compress` starts a server of its own; with `-- --quick` it takes some seconds,
//! and its figures say less. Subjects take turns, round by round; ratios are the medians of the rounds' own.

mod table;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis_cached::{Cache, Compression, redis_cached};
use serde::{Deserialize, Serialize};
use test_support::Server;

use self::table::{compare, middle};

/// Long, for what is measured is not how soon one gives up.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize, Clone, Debug)]
struct User {
    id: u64,
    name: String,
    email: String,
    city: String,
    is_active: bool,
    created_at: String,
}

const NAMES: [&str; 16] = [
    "Ada",
    "Grace",
    "Alan",
    "Edsger",
    "Barbara",
    "Donald",
    "Frances",
    "John",
    "Katherine",
    "Leslie",
    "Margaret",
    "Niklaus",
    "Radia",
    "Shafi",
    "Tony",
    "Whitfield",
];
const FAMILIES: [&str; 16] = [
    "Lovelace",
    "Hopper",
    "Turing",
    "Dijkstra",
    "Liskov",
    "Knuth",
    "Allen",
    "Backus",
    "Johnson",
    "Lamport",
    "Hamilton",
    "Wirth",
    "Perlman",
    "Goldwasser",
    "Hoare",
    "Diffie",
];
const CITIES: [&str; 8] = ["London", "Zürich", "Austin", "Eindhoven", "Boston", "Oslo", "Kyoto", "Berlin"];

fn user(number: u64) -> User {
    // The upper bits of a product are as good as random, and the same in each run.
    let pick = |salt: u64, of: usize| {
        ((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ (salt << 32)).rotate_left(23) % of as u64) as usize
    };
    let (name, family) = (NAMES[pick(1, 16)], FAMILIES[pick(2, 16)]);
    User {
        id: 1_000_000 + pick(3, 9_000_000) as u64,
        name: format!("{name} {family}"),
        email: format!("{}.{}{}@example.org", name.to_lowercase(), family.to_lowercase(), pick(4, 1_000)),
        city: CITIES[pick(5, 8)].to_owned(),
        is_active: pick(6, 4) > 0,
        created_at: format!(
            "2026-{:02}-{:02}T{:02}:{:02}:00Z",
            1 + pick(7, 12),
            1 + pick(8, 28),
            pick(9, 24),
            pick(10, 60)
        ),
    }
}

fn users(first: u64, count: u64) -> Vec<User> {
    (first..first + count).map(user).collect()
}

/// Bytes that are encoded as they are.
#[derive(Clone)]
struct Blob(Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Blob, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Blob;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[redis_cached(prefix = "bench", name = "blob", ttl = "1h", cache = cache, skip(cache, blob))]
fn blob(cache: &Cache, blob: &Blob, kind: &str) -> Blob {
    let _only_in_the_key = kind;
    blob.clone()
}

#[redis_cached(prefix = "bench", name = "users", codec = json, ttl = "1h", cache = cache, skip(cache))]
async fn found(cache: &Cache, compression: &str, count: u64) -> Vec<User> {
    let _only_in_the_key = compression;
    users(0, count)
}

#[redis_cached(
    prefix = "bench", name = "many", codec = json, ttl = "1h", cache = cache, skip(cache), batch(page in pages)
)]
async fn pages(cache: &Cache, pages: &[u64]) -> HashMap<u64, Vec<User>> {
    pages.iter().map(|page| (*page, users(page * 100, USERS_OF_2_KB))).collect()
}

const USERS_OF_2_KB: u64 = 14;
const USERS_OF_100_KB: u64 = 700;

/// How much is done.
struct Effort {
    rounds: usize,
    /// How many entries are many.
    many: u64,
}

/// The caches of one URL, with the names of their compressions.
fn caches(url: &str) -> [(&'static str, Cache); 3] {
    let compressions =
        [("off", Compression::OFF), ("lz4", Compression::LZ4.threshold(0)), ("zstd", Compression::ZSTD.threshold(0))];
    compressions.map(|(name, compression)| {
        let builder = Cache::builder(url).expect("a URL").timeout(TIMEOUT);
        (name, builder.namespace(name).compress(compression).build())
    })
}

/// What compression adds to fills and hits of a cache in the memory of the process.
fn processor_time(server: &Server, effort: &Effort) {
    println!("\nProcessor time: stored size, and µs that compression adds to a fill / to a hit");
    let caches = [caches("memory://?max_mb=512"), caches(&server.url())];
    let json = |count| serde_json::to_vec(&users(0, count)).expect("JSON");
    let bincode = |count| bincode::serde::encode_to_vec(users(0, count), bincode::config::standard()).expect("bincode");
    for (kind, bytes) in [
        ("json", json(1)),
        ("bincode", bincode(12)),
        ("json", json(USERS_OF_2_KB)),
        ("json", json(70)),
        ("bincode", bincode(700)),
        ("json", json(USERS_OF_100_KB)),
        ("json", json(14_000)),
    ] {
        let (value, kind) = (Blob(bytes), format!("{kind}:{}", 0));
        let len = value.0.len();
        let times = if len > 1 << 20 { 3 } else { 3_000_000 / (len + 10_000) };
        let mut fills: [Vec<f64>; 3] = Default::default();
        let mut hits: [Vec<f64>; 3] = Default::default();
        for turn in 0..effort.rounds * 3 {
            let at = (turn + turn / 3) % 3;
            let (_, cache) = &caches[0][at];
            let entry = blob_entry(cache, &kind);
            let begun = Instant::now();
            for _ in 0..times {
                black_box(entry.put(black_box(&value)).expect("it is stored"));
            }
            let filled = begun.elapsed();
            for _ in 0..times {
                black_box(blob(cache, &value, &kind));
            }
            let found = begun.elapsed() - filled;
            fills[at].push(filled.as_secs_f64() * 1e6 / times as f64);
            hits[at].push(found.as_secs_f64() * 1e6 / times as f64);
        }
        let [fills, hits] = [fills, hits].map(|times| times.map(|times| middle(times).1));
        print!("  {len:9} {:9}", kind.trim_end_matches(":0"));
        for (at, (name, cache)) in caches[1].iter().enumerate().skip(1) {
            let entry = blob_entry(cache, &kind);
            entry.put(&value).expect("it is stored");
            let stored: usize = server.cli(&["STRLEN", entry.key().expect("a key")]).parse().expect("a number");
            let part = (stored - 112) as f64 / len as f64 * 100.0;
            print!("   {name}: {part:5.1} %, {:8.1} / {:8.1}", fills[at] - fills[0], hits[at] - hits[0]);
        }
        println!("   (a fill {:.1}, a hit {:.1})", fills[0], hits[0]);
    }
}

/// Bytes of the server's memory, for an entry.
async fn memory(server: &Server, effort: &Effort) {
    let len = serde_json::to_vec(&users(0, USERS_OF_2_KB)).expect("JSON").len();
    println!("\nMemory in Redis: {} values of JSON, the first of {len} bytes", effort.many);
    let used = || {
        let info = server.cli(&["INFO", "memory"]);
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("it is told");
        used.trim().parse::<u64>().expect("a number")
    };
    for (name, cache) in caches(&server.url()) {
        server.cli(&["FLUSHALL", "SYNC"]);
        let before = used();
        let ids: Vec<u64> = (0..effort.many).collect();
        for part in ids.chunks(500) {
            drop(pages(&cache, part).await);
        }
        let after = used();
        assert_eq!(server.cli(&["DBSIZE"]), effort.many.to_string());
        let taken = after.saturating_sub(before);
        let each = taken as f64 / effort.many as f64;
        println!(
            "  {name:5} used_memory from {before} to {after}: {:6.1} MB, {each:7.1} bytes each",
            taken as f64 / 1e6
        );
    }
    server.cli(&["FLUSHALL", "SYNC"]);
}

async fn hits(server: &Server, connection: &mut MultiplexedConnection, effort: &Effort) {
    let [(_, off), (_, lz4), (_, zstd)] = caches(&server.url());
    for (count, operations) in [(USERS_OF_2_KB, 1_000), (USERS_OF_100_KB, 50)] {
        let value = serde_json::to_vec(&users(0, count)).expect("JSON");
        let (plain, compressed) = (format!("by_hand:{count}"), format!("by_hand:lz4:{count}"));
        let block = lz4_flex::block::compress_prepend_size(&value);
        let mut fill = redis::pipe();
        fill.cmd("SET").arg(&plain).arg(&value).cmd("SET").arg(&compressed).arg(&block);
        let () = fill.query_async(connection).await.expect("stored");
        for (name, cache) in [("off", &off), ("lz4", &lz4), ("zstd", &zstd)] {
            found(cache, name, count).await;
        }
        compare!(&format!("A hit of {} bytes of JSON ({} in LZ4)", value.len(), block.len()), effort.rounds, operations, {
            "GET and a decode, by hand" => {
                let value: Vec<u8> =
                    redis::cmd("GET").arg(black_box(&plain)).query_async(connection).await.expect("it is there");
                serde_json::from_slice::<Vec<User>>(&value).expect("JSON")
            },
            "GET, lz4_flex and a decode, by hand" => {
                let block: Vec<u8> =
                    redis::cmd("GET").arg(black_box(&compressed)).query_async(connection).await.expect("it is there");
                let value = lz4_flex::block::decompress_size_prepended(&block).expect("a block");
                serde_json::from_slice::<Vec<User>>(&value).expect("JSON")
            },
            "redis-cached" => found(&off, "off", black_box(count)).await,
            "redis-cached, compress = lz4" => found(&lz4, "lz4", black_box(count)).await,
            "redis-cached, compress = zstd" => found(&zstd, "zstd", black_box(count)).await,
        });
    }
    for cache in [off, lz4, zstd] {
        let stats = cache.stats();
        assert_eq!((stats.bypasses, stats.refused, stats.misses), (0, 0, 2), "all others were hits: {stats:?}");
    }
}

fn main() {
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    // `cargo test --benches` builds and runs this too, without wanting figures.
    if !has("--bench") {
        return;
    }
    let effort = match has("--quick") {
        true => Effort { rounds: 5, many: 5_000 },
        false => Effort { rounds: 41, many: 100_000 },
    };
    let server = Server::start();
    println!("{}", server.program());
    processor_time(&server, &effort);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = redis::Client::open(server.url()).expect("a URL");
        let mut connection = client.get_multiplexed_async_connection().await.expect("the server answers");
        memory(&server, &effort).await;
        hits(&server, &mut connection, &effort).await;
    });
}
