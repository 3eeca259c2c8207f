//! The costs of many entries: batches, groups, tags, and the memory that they take in Redis.
//!
//! `cargo bench --bench many` starts a server of its own; `cargo bench --bench many -- --quick` takes
//! some seconds, and its figures say less. Subjects take turns, round by round; ratios are the
//! medians of the rounds' own, to the first subject of each table.

mod table;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};
use test_support::Server;
use tokio::task::JoinSet;

use self::table::{compare, middle};

/// Long, for what is measured is not how soon one gives up.
const TIMEOUT: Duration = Duration::from_secs(10);

/// About 100 bytes.
#[derive(Serialize, Deserialize, Clone, Debug)]
struct User {
    id: u64,
    name: String,
    email: String,
    city: String,
}

fn make(id: u64) -> User {
    User {
        id,
        name: "Ada King, Countess of Lovelace".to_owned(),
        email: "ada.lovelace@analytical-engine.example.org".to_owned(),
        city: "Marylebone, London".to_owned(),
    }
}

fn make_all(ids: &[u64]) -> HashMap<u64, User> {
    ids.iter().map(|id| (*id, make(*id))).collect()
}

#[redis_cached(prefix = "bench", name = "user", key = "{id}", ttl = "1h", cache = cache, skip(cache))]
async fn user(cache: &Cache, id: u64) -> User {
    make(id)
}

#[redis_cached(prefix = "bench", name = "user", key = "{id}", ttl = "1h", cache = cache, skip(cache), batch(id in ids))]
async fn users(cache: &Cache, ids: &[u64]) -> HashMap<u64, User> {
    make_all(ids)
}

#[redis_cached(prefix = "bench", group = "class:{class}", name = "user", key = "{id}", ttl = "1h", cache = cache, skip(cache))]
async fn member(cache: &Cache, class: u64, id: u64) -> User {
    make(id)
}

#[redis_cached(
    prefix = "bench", group = "class:{class}", name = "user", key = "{id}", ttl = "1h", cache = cache, skip(cache), batch(id in ids)
)]
async fn members(cache: &Cache, class: u64, ids: &[u64]) -> HashMap<u64, User> {
    make_all(ids)
}

#[redis_cached(prefix = "bench", name = "tagged", tags = "org:{org}", ttl = "1h", cache = cache, skip(cache))]
async fn tagged(cache: &Cache, org: u64, id: u64) -> User {
    make(id)
}

#[redis_cached(
    prefix = "bench", name = "tagged", tags = "org:{org}", ttl = "1h", cache = cache, skip(cache), batch(id in ids)
)]
async fn all_tagged(cache: &Cache, org: u64, ids: &[u64]) -> HashMap<u64, User> {
    make_all(ids)
}

#[redis_cached(
    prefix = "bench", name = "thrice", tags = ["org:{org}", "user:{id}", "users"], ttl = "1h", cache = cache,
    skip(cache)
)]
async fn thrice(cache: &Cache, org: u64, id: u64) -> User {
    make(id)
}

#[redis_cached(
    prefix = "bench", name = "by_value", key = "{id}", tags = |user: &User| vec![format!("city:{}", user.city)], ttl = "1h",
    cache = cache, skip(cache)
)]
async fn by_value(cache: &Cache, id: u64) -> User {
    make(id)
}

#[redis_cached(prefix = "bench", name = "number", key = "{id}", ttl = "1h", cache = cache, skip(cache), batch(id in ids))]
async fn numbers(cache: &Cache, ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, *id)).collect()
}

#[redis_cached(
    prefix = "bench", group = "hundred:{id / 100}", name = "user", key = "{id}", ttl = "1h", cache = cache, skip(cache),
    batch(id in ids)
)]
async fn grouped_numbers(cache: &Cache, ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, *id)).collect()
}

#[redis_cached(
    prefix = "bench", group = "hundred:{id / 100}", name = "user", key = "{id}", ttl = "1h", cache = cache, skip(cache),
    batch(id in ids)
)]
async fn grouped_users(cache: &Cache, ids: &[u64]) -> HashMap<u64, User> {
    make_all(ids)
}

fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, bincode::config::standard()).expect("it encodes")
}

fn decoded<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> T {
    bincode::serde::decode_from_slice(bytes, bincode::config::standard()).expect("it decodes").0
}

/// How much is done.
struct Effort {
    rounds: usize,
    /// The rounds over so many entries that they take seconds to set up.
    few: usize,
    /// How many entries are many.
    many: u64,
}

async fn hits(cache: &Cache, connection: &mut MultiplexedConnection, effort: &Effort) {
    let ids: Vec<u64> = (0..1_000).collect();
    users(cache, &ids).await;
    let mut fill = redis::pipe();
    for id in &ids {
        fill.cmd("SET").arg(format!("by_hand:{id}")).arg(encoded(&make(*id)));
    }
    let () = fill.query_async(connection).await.expect("stored");
    compare!("1,000 hits", effort.rounds, 3, {
        "MGET and a decode, by hand" => {
            let mut command = redis::cmd("MGET");
            for id in &ids {
                command.arg(format!("by_hand:{}", black_box(id)));
            }
            let values: Vec<Option<Vec<u8>>> = command.query_async(connection).await.expect("they are there");
            let users = ids.iter().zip(values).map(|(id, bytes)| (*id, decoded::<User>(&bytes.expect("there"))));
            users.collect::<HashMap<_, _>>()
        },
        "a batch" => users(cache, &ids).await,
        "single calls, one after another" => {
            for id in &ids {
                black_box(user(cache, *id).await);
            }
        },
        "single calls, all at once" => {
            let mut calls = JoinSet::new();
            for id in ids.iter().copied() {
                let cache = cache.clone();
                calls.spawn(async move { user(&cache, id).await });
            }
            calls.join_all().await
        },
    });
    compare!("10 hits", effort.rounds, 300, {
        "MGET and a decode, by hand" => {
            let mut command = redis::cmd("MGET");
            for id in &ids[..10] {
                command.arg(format!("by_hand:{}", black_box(id)));
            }
            let values: Vec<Option<Vec<u8>>> = command.query_async(connection).await.expect("they are there");
            let users = ids.iter().zip(values).map(|(id, bytes)| (*id, decoded::<User>(&bytes.expect("there"))));
            users.collect::<HashMap<_, _>>()
        },
        "a batch" => users(cache, &ids[..10]).await,
    });

    member(cache, 1, 1).await;
    tagged(cache, 1, 1).await;
    thrice(cache, 1, 1).await;
    by_value(cache, 1).await;
    compare!("A hit", effort.rounds, 1_000, {
        "plain" => user(cache, 1).await,
        "in a group" => member(cache, 1, 1).await,
        "with a tag" => tagged(cache, 1, 1).await,
        "with three tags" => thrice(cache, 1, 1).await,
        "with a tag of its value" => by_value(cache, 1).await,
    });
}

async fn misses(cache: &Cache, effort: &Effort) {
    let mut next = 1_000_000;
    let mut new = || {
        next += 1;
        next
    };
    compare!("A miss", effort.rounds, 300, {
        "plain" => user(cache, new()).await,
        "in a group" => member(cache, 2, new()).await,
        "with a tag" => tagged(cache, 2, new()).await,
        "with a tag that is new, too" => tagged(cache, new(), new()).await,
        "with a tag of its value" => by_value(cache, new()).await,
    });
    compare!("100 misses", effort.rounds, 3, {
        "single calls, one after another" => {
            for _ in 0..100 {
                black_box(user(cache, new()).await);
            }
        },
        "a batch" => {
            let ids: Vec<u64> = (0..100).map(|_| new()).collect();
            users(cache, &ids).await
        },
        "a batch in one group" => {
            let ids: Vec<u64> = (0..100).map(|_| new()).collect();
            members(cache, 3, &ids).await
        },
        "a batch with a tag" => {
            let ids: Vec<u64> = (0..100).map(|_| new()).collect();
            all_tagged(cache, 3, &ids).await
        },
    });
}

/// Until nothing of what was filled is under way any more.
async fn settled(cache: &Cache) {
    for _ in 0..100 {
        cache.ping().await.expect("the server answers");
    }
}

async fn invalidations(cache: &Cache, effort: &Effort) {
    println!("\nAn invalidation");
    let row = |name: &str, times: &[Duration]| {
        let (low, median, high) = middle(times.iter().map(|time| time.as_secs_f64() * 1e6).collect());
        println!("  {name:44} {median:11.2} µs   (middle half {low:.2} to {high:.2})");
    };
    let ids_of = |count: u64| (0..count).collect::<Vec<u64>>();
    let mut times = Vec::new();
    for _ in 0..effort.rounds {
        user(cache, 1).await;
        settled(cache).await;
        let begun = Instant::now();
        assert!(user_entry(cache, 1).invalidate().await.expect("the server answers"));
        times.push(begun.elapsed());
    }
    row("an entry", &times);
    for count in [10, effort.many] {
        let rounds = if count == effort.many { effort.few } else { effort.rounds };
        let ids = ids_of(count);
        let mut times = Vec::new();
        for _ in 0..rounds {
            for part in ids.chunks(1_000) {
                all_tagged(cache, 4, part).await;
            }
            settled(cache).await;
            let begun = Instant::now();
            assert!(cache.invalidate_tag("org:4").await.expect("the server answers"));
            times.push(begun.elapsed());
            assert!(tagged_entry(cache, 4, count - 1).get().await.expect("the server answers").is_none());
        }
        row(&format!("a tag of {count} entries"), &times);
    }
    for count in [10, 100, effort.many] {
        let rounds = if count == effort.many { effort.few } else { effort.rounds };
        let ids = ids_of(count);
        let mut times = Vec::new();
        for _ in 0..rounds {
            for part in ids.chunks(1_000) {
                members(cache, 4, part).await;
            }
            settled(cache).await;
            let begun = Instant::now();
            assert!(member_group(cache, 4).invalidate().await.expect("the server answers"));
            times.push(begun.elapsed());
            assert!(member_entry(cache, 4, count - 1).get().await.expect("the server answers").is_none());
        }
        row(&format!("a group of {count} entries"), &times);
    }
}

/// Bytes of the server's memory, for an entry.
async fn memory(server: &Server, cache: &Cache, connection: &mut MultiplexedConnection, effort: &Effort) {
    println!("\nMemory in Redis, of {} entries that expire", effort.many);
    let used = || {
        let info = server.cli(&["INFO", "memory"]);
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("it is told");
        used.trim().parse::<u64>().expect("a number")
    };
    let empty = || {
        server.cli(&["FLUSHALL", "SYNC"]);
        used()
    };
    let ids: Vec<u64> = (0..effort.many).collect();
    let row = |name: &str, before: u64| {
        println!("  {name:44} {:11.1} bytes each", used().saturating_sub(before) as f64 / effort.many as f64);
    };
    for is_user in [false, true] {
        let (kind, name) = if is_user { ("a user", "user") } else { ("a number", "number") };
        let bytes = |id: u64| if is_user { encoded(&make(id)) } else { encoded(&id) };
        println!("  {kind}: {} bytes of payload", bytes(effort.many - 1).len());

        let before = empty();
        for part in ids.chunks(1_000) {
            let mut fill = redis::pipe();
            for id in part {
                fill.cmd("SET").arg(format!("bench:{name}:{id}")).arg(bytes(*id)).arg("PX").arg(3_600_000).ignore();
            }
            let () = fill.query_async(connection).await.expect("stored");
        }
        row("SET by hand", before);

        let before = empty();
        for part in ids.chunks(1_000) {
            let mut fill = redis::pipe();
            for id in part {
                fill.cmd("HSET").arg(format!("bench:hundred:{}", id / 100)).arg(*id).arg(bytes(*id)).ignore();
            }
            let () = fill.query_async(connection).await.expect("stored");
        }
        row("HSET by hand, in hashes of 100", before);

        let before = empty();
        for part in ids.chunks(1_000) {
            match is_user {
                true => drop(users(cache, part).await),
                false => drop(numbers(cache, part).await),
            }
        }
        row("cached", before);

        let before = empty();
        for part in ids.chunks(1_000) {
            match is_user {
                true => drop(grouped_users(cache, part).await),
                false => drop(grouped_numbers(cache, part).await),
            }
        }
        row("cached in groups of 100", before);
    }
}

fn main() {
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    // `cargo test --benches` builds and runs this too, without wanting figures.
    if !has("--bench") {
        return;
    }
    let effort = match has("--quick") {
        true => Effort { rounds: 5, few: 3, many: 5_000 },
        false => Effort { rounds: 41, few: 5, many: 100_000 },
    };
    let server = Server::start();
    println!("{}", server.program());
    let cache = Cache::builder(&server.url()).expect("a URL").timeout(TIMEOUT).build();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = redis::Client::open(server.url()).expect("a URL");
        let mut connection = client.get_multiplexed_async_connection().await.expect("the server answers");
        hits(&cache, &mut connection, &effort).await;
        misses(&cache, &effort).await;
        invalidations(&cache, &effort).await;
        memory(&server, &cache, &mut connection, &effort).await;
    });
    let stats = cache.stats();
    assert_eq!((stats.bypasses, stats.refused), (0, 0), "nothing went past the cache: {stats:?}");
}
