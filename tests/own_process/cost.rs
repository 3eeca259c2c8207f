//! The cost of a hit and a miss, counted exactly: allocations of the calling thread, where the
//! connection is served too, and commands on the wire.
//!
//! Each is compared with a `GET` and a decode written by hand on the same kind of connection.
//! The figures belong to the dependencies in `Cargo.lock`: a change of theirs may move both.

use std::hint::black_box;
use std::sync::Arc;

use redis::{AsyncCommands as _, Commands as _};
use redis_cached::{Cache, redis_cached};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use test_support::{PATIENCE, Server};
use tokio::runtime::{Builder, Runtime};

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct User {
    id: u64,
    name: String,
    email: String,
}

/// Two allocations: its strings.
fn make(id: u64) -> User {
    User { id, name: "Ada Lovelace".to_owned(), email: "ada@example.org".to_owned() }
}

/// Functions of a test's own: what a call sends depends on what the calls before it found.
macro_rules! functions {
    () => {
        #[allow(dead_code, reason = "not every test calls all of them")]
        #[redis_cached(prefix = "cost", cache = cache, skip(cache))]
        async fn user(cache: &Cache, id: u64) -> User {
            make(id)
        }

        #[allow(dead_code, reason = "not every test calls all of them")]
        #[redis_cached(prefix = "cost", cache = cache, skip(cache))]
        fn user_blocking(cache: &Cache, id: u64) -> User {
            make(id)
        }

        #[allow(dead_code, reason = "not every test calls all of them")]
        #[redis_cached(prefix = "cost", tags = ["org:{org}"], cache = cache, skip(cache))]
        async fn tagged(cache: &Cache, org: u64, id: u64) -> User {
            let _ = org;
            make(id)
        }

        #[allow(dead_code, reason = "not every test calls all of them")]
        #[redis_cached(prefix = "cost", group = "org:{org}", cache = cache, skip(cache))]
        async fn grouped(cache: &Cache, org: u64, id: u64) -> User {
            let _ = org;
            make(id)
        }

        #[allow(dead_code, reason = "not every test calls all of them")]
        #[redis_cached(prefix = "cost", batch(id in ids), cache = cache, skip(cache))]
        async fn users(cache: &Cache, ids: &[u64]) -> Vec<(u64, User)> {
            ids.iter().map(|id| (*id, make(*id))).collect()
        }
    };
}

/// Runs a future where it is: tokio boxes a large one, and what is large depends on the build.
fn run<T>(runtime: &Runtime, future: impl Future<Output = T>) -> T {
    runtime.block_on(std::pin::pin!(future))
}

fn cache(url: &str) -> Cache {
    Cache::builder(url).unwrap().timeout(PATIENCE).build()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Allocations of one call. The least of many: once in a while a call finds a buffer used up, or asks
/// for the server's role too.
fn allocations(mut call: impl FnMut()) -> u64 {
    (0..200).map(|_| allocation_counter::measure(&mut call).count_total).min().unwrap()
}

/// The bytes that the allocations of one call ask for, the least of a few.
fn allocated(mut call: impl FnMut()) -> u64 {
    (0..10).map(|_| allocation_counter::measure(&mut call).bytes_total).min().unwrap()
}

/// The commands that the server gets for one call, without those that are sent now and then.
fn commands(server: &Server, call: impl FnOnce()) -> String {
    let mut monitor = server.monitor();
    call();
    let names: Vec<_> = monitor.commands().into_iter().map(|command| command[0].to_uppercase()).collect();
    let asked = names.into_iter().filter(|name| !["ROLE", "TIME"].contains(&name.as_str()));
    let runs = asked.collect::<Vec<_>>();
    let runs = runs.chunk_by(|one, other| one == other).map(|run| match run.len() {
        1 => run[0].clone(),
        count => format!("{count} {}", run[0]),
    });
    runs.collect::<Vec<_>>().join(", ")
}

fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, bincode::config::standard()).unwrap()
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> T {
    bincode::serde::decode_from_slice(bytes, bincode::config::standard()).unwrap().0
}

/// All the figures, so that a change shows what it moves.
macro_rules! assert_costs {
    ($($what:literal: $expected:expr, $counted:expr;)*) => {{
        let expected = [$(($what, $expected.to_string())),*];
        let counted = [$(($what, $counted.to_string())),*];
        assert_eq!(counted, expected);
    }};
}

#[test]
fn allocations_of_a_hit() {
    functions!();
    let server = Server::start();
    let runtime = runtime();
    let cache = cache(&server.url());
    let client = redis::Client::open(server.url()).unwrap();
    let mut shared = run(&runtime, client.get_multiplexed_async_connection()).unwrap();
    let mut held = client.get_connection().unwrap();
    let () = held.set("by_hand:1", encoded(&make(1))).unwrap();
    let ids: Vec<u64> = (0..100).collect();
    // All of them with the two of the value, but the batch with its two hundred, and the vector.
    assert_costs! {
        "by hand, async": 12, allocations(|| {
            let bytes: Vec<u8> = run(&runtime, shared.get(format!("by_hand:{}", black_box(1)))).unwrap();
            black_box(decoded::<User>(&bytes));
        });
        "async": 10, allocations(|| drop(run(&runtime, user(&cache, 1))));
        "by hand, plain": 9, allocations(|| {
            let bytes: Vec<u8> = held.get(format!("by_hand:{}", black_box(1))).unwrap();
            black_box(decoded::<User>(&bytes));
        });
        "plain": 8, allocations(|| drop(user_blocking(&cache, 1)));
        "with a tag": 27, allocations(|| drop(run(&runtime, tagged(&cache, 1, 1))));
        "in a group": 14, allocations(|| drop(run(&runtime, grouped(&cache, 1, 1))));
        "batch of 100": 426, allocations(|| drop(run(&runtime, users(&cache, &ids))));
    }
}

/// The value has two when it is cloned.
#[cfg(feature = "local")]
#[test]
fn allocations_of_a_hit_in_the_local_tier() {
    #[redis_cached(prefix = "cost", local = 100, cache = cache, skip(cache))]
    async fn kept(cache: &Cache, id: u64) -> User {
        make(id)
    }

    #[redis_cached(prefix = "cost", local = 100, cache = cache, skip(cache))]
    fn kept_plain(cache: &Cache, id: u64) -> u64 {
        id
    }

    #[redis_cached(prefix = "cost", local = 100, cache = cache, skip(cache))]
    async fn kept_number(cache: &Cache, id: u64) -> u64 {
        id
    }

    /// No thread holds it between its calls.
    #[derive(Clone, Serialize, Deserialize)]
    #[serde(from = "String", into = "String")]
    struct Large(Arc<str>);

    impl From<String> for Large {
        fn from(text: String) -> Large {
            Large(text.into())
        }
    }

    impl From<Large> for String {
        fn from(large: Large) -> String {
            (*large.0).to_owned()
        }
    }

    #[redis_cached(prefix = "cost", local = 100, cache = cache, skip(cache))]
    fn kept_large(cache: &Cache, id: u64) -> Large {
        Large::from("x".repeat(100_000 + id as usize))
    }

    let server = Server::start();
    let runtime = runtime();
    let cache = cache(&server.url());
    test_support::eventually("all four are kept", || {
        let before = cache.stats().local_hits;
        drop(run(&runtime, kept(&cache, 1)));
        kept_plain(&cache, 1);
        run(&runtime, kept_number(&cache, 1));
        kept_large(&cache, 1);
        cache.stats().local_hits == before + 4
    });
    assert_costs! {
        "async": 2, allocations(|| drop(run(&runtime, kept(&cache, 1))));
        "async, of a number": 0, allocations(|| _ = black_box(run(&runtime, kept_number(&cache, 1))));
        "plain, of a number": 0, allocations(|| _ = black_box(kept_plain(&cache, 1)));
        "three plain, of 100 KB": 0, allocations(|| (0..3).for_each(|_| _ = black_box(kept_large(&cache, 1))));
        "commands": "", commands(&server, || _ = black_box(run(&runtime, kept_number(&cache, 1))));
    }
}

#[test]
fn allocations_of_a_miss() {
    functions!();
    let server = Server::start();
    let runtime = runtime();
    let cache = cache(&server.url());
    let mut ids = 1_000..;
    let mut id = || ids.next().unwrap();
    // After hits, which are taken off.
    const HITS: u64 = 3;
    let with_hits = |hit: &dyn Fn(), miss: &mut dyn FnMut()| {
        allocations(|| {
            (0..HITS).for_each(|_| hit());
            miss();
        })
    };
    let hits = [
        allocations(|| drop(run(&runtime, user(&cache, 1)))),
        allocations(|| drop(user_blocking(&cache, 1))),
        allocations(|| drop(run(&runtime, grouped(&cache, 1, 1)))),
    ];
    // Three of them keep what surrounds a body out of its stack frames: the steps before and after it, and the body.
    assert_costs! {
        "async": 34, with_hits(
            &|| drop(run(&runtime, user(&cache, 1))),
            &mut || drop(run(&runtime, user(&cache, id()))),
        ) - HITS * hits[0];
        "plain": 29, with_hits(
            &|| drop(user_blocking(&cache, 1)),
            &mut || drop(user_blocking(&cache, id())),
        ) - HITS * hits[1];
        "with a tag": 52, allocations(|| drop(run(&runtime, tagged(&cache, 1, id()))));
        "in a group": 43, with_hits(
            &|| drop(run(&runtime, grouped(&cache, 1, 1))),
            &mut || drop(run(&runtime, grouped(&cache, 1, id()))),
        ) - HITS * hits[2];
        "async, after misses": 28, allocations(|| drop(run(&runtime, user(&cache, id()))));
        "plain, after misses": 25, allocations(|| drop(user_blocking(&cache, id())));
        "in a group, after misses": 35, allocations(|| drop(run(&runtime, grouped(&cache, 1, id()))));
    }
}

#[test]
fn allocations_in_memory() {
    functions!();
    let runtime = runtime();
    let cache = cache("memory://");
    let mut ids = 1_000..;
    let mut id = || ids.next().unwrap();
    // The value's two, and the key.
    assert_costs! {
        "hit, async": 3, allocations(|| drop(run(&runtime, user(&cache, 1))));
        "hit, plain": 3, allocations(|| drop(user_blocking(&cache, 1)));
        "miss, async": 15, allocations(|| drop(run(&runtime, user(&cache, id()))));
    }
}

/// A large value costs the same as by hand: a large reply is decoded where it lies. A large value is encoded once, and copied into
/// the command and with it into what is sent.
#[test]
fn copies_of_a_large_value() {
    const LARGE: u64 = 8 << 20;
    #[redis_cached(prefix = "cost", cache = cache, skip(cache))]
    async fn text(cache: &Cache, id: u64) -> String {
        let _ = id;
        "x".repeat(LARGE as usize)
    }
    let server = Server::start();
    let runtime = runtime();
    let cache = cache(&server.url());
    let client = redis::Client::open(server.url()).unwrap();
    let mut shared = run(&runtime, client.get_multiplexed_async_connection()).unwrap();
    let mut ids = 0..;
    // This rounds to the nearest: the rest is smaller by far.
    let copies = |bytes: u64| (bytes + LARGE / 2) / LARGE;
    assert_costs! {
        "miss by hand": 4, copies(allocated(|| {
            let value = "x".repeat(LARGE as usize);
            let () = run(&runtime, shared.set_ex("by_hand", encoded(&value), 600)).unwrap();
        }));
        "miss": 4, copies(allocated(|| drop(run(&runtime, text(&cache, ids.next().unwrap())))));
        "hit by hand": 2, copies(allocated(|| {
            let bytes: Vec<u8> = run(&runtime, shared.get("by_hand")).unwrap();
            black_box(decoded::<String>(&bytes));
        }));
        "hit": 2, copies(allocated(|| drop(run(&runtime, text(&cache, 1)))));
    }
}

#[test]
fn commands_on_the_wire() {
    functions!();
    let server = Server::start();
    let runtime = runtime();
    let cache = cache(&server.url());
    let ids: Vec<u64> = (0..100).collect();
    // Connects, creates the tag's stamp, and loads the scripts.
    run(&runtime, async {
        user(&cache, 0).await;
        tagged(&cache, 1, 0).await;
        grouped(&cache, 1, 0).await;
    });
    user_blocking(&cache, 0);
    run(&runtime, users(&cache, &[1_000, 1_001]));
    // `SET … NX GET` came with Redis 7.0, `SET … IFEQ` with Valkey 8.1 and Redis 8.4.
    let knows = (server.knows(&["SET", "any", "1", "NX", "GET"]), server.knows(&["SET", "any", "2", "IFEQ", "1"]));
    let (miss, tagged_miss, batch_of_misses) = match knows {
        (false, _) => ("GET, 2 EVALSHA", "GET, MGET, 2 EVALSHA", "MGET, EVAL, 99 EVALSHA, EVAL, 99 EVALSHA"),
        (true, false) => ("GET, SET, EVALSHA", "GET, MGET, SET, EVALSHA", "MGET, 100 SET, EVAL, 99 EVALSHA"),
        (true, true) => ("GET, 2 SET", "GET, MGET, 2 SET", "MGET, 200 SET"),
    };
    let misses = [miss; 4].join(", ");
    let (look, expected_miss) = match knows {
        (false, _) => ("EVALSHA", "2 EVALSHA"),
        (true, false) => ("SET", "SET, EVALSHA"),
        (true, true) => ("SET", "2 SET"),
    };
    assert_costs! {
        "miss, async": miss,
            commands(&server, || drop(run(&runtime, user(&cache, 1))));
        "miss, plain": miss,
            commands(&server, || drop(user_blocking(&cache, 1)));
        "miss with a tag": tagged_miss,
            commands(&server, || drop(run(&runtime, tagged(&cache, 1, 1))));
        "miss in a group": "HMGET, 2 EVALSHA",
            commands(&server, || drop(run(&runtime, grouped(&cache, 1, 1))));
        "hit, async": "GET", commands(&server, || drop(run(&runtime, user(&cache, 1))));
        "hit, plain": "GET", commands(&server, || drop(user_blocking(&cache, 1)));
        "hit with a tag": "GET, MGET", commands(&server, || drop(run(&runtime, tagged(&cache, 1, 1))));
        "hit in a group": "HMGET", commands(&server, || drop(run(&runtime, grouped(&cache, 1, 1))));
        "batch of misses": batch_of_misses, commands(&server, || drop(run(&runtime, users(&cache, &ids))));
        "batch of hits": "MGET", commands(&server, || drop(run(&runtime, users(&cache, &ids))));
        "hits": "4 GET", commands(&server, || (0..4).for_each(|_| drop(run(&runtime, user(&cache, 1)))));
        "misses after hits": misses, commands(&server, || (10..14).for_each(|id| drop(run(&runtime, user(&cache, id)))));
        "miss after misses": expected_miss, commands(&server, || drop(run(&runtime, user(&cache, 14))));
        "the same, plain": expected_miss, {
            (10..14).for_each(|id| drop(user_blocking(&cache, 100 + id)));
            commands(&server, || drop(user_blocking(&cache, 114)))
        };
        "hit after misses": look, commands(&server, || drop(run(&runtime, user(&cache, 14))));
        "hit after hits": "GET", {
            (0..4).for_each(|_| drop(run(&runtime, user(&cache, 14))));
            commands(&server, || drop(run(&runtime, user(&cache, 14))))
        };
    }
}

/// A few hits of one thread at the same time reach the server in one piece, as those by hand do.
#[test]
fn writes_of_hits_at_once() {
    functions!();
    let server = Server::start();
    let runtime = runtime();
    let cache = cache(&server.url());
    let shared = run(&runtime, redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection()).unwrap();
    for id in 0..8 {
        run(&runtime, user(&cache, id));
    }
    let mut observer = server.connection();
    // The server reads once for each write that it finds.
    let mut pieces = |calls: &dyn Fn(u64) -> AtOnce| {
        let mut reads = || {
            let stats: String = redis::cmd("INFO").arg("stats").query(&mut observer).unwrap();
            let line = stats.lines().find_map(|line| line.strip_prefix("total_reads_processed:")).unwrap();
            line.parse::<u64>().unwrap()
        };
        let before = reads();
        run(&runtime, async {
            let calls: tokio::task::JoinSet<()> = (0..8).map(calls).collect();
            calls.join_all().await;
        });
        // The call that reads is one of them.
        reads() - before - 1
    };
    assert_costs! {
        "by hand": 1, pieces(&|id| {
            let mut shared = shared.clone();
            Box::pin(async move { shared.get::<_, ()>(format!("by_hand:{id}")).await.unwrap() })
        });
        "hits": 1, pieces(&|id| {
            let cache = cache.clone();
            Box::pin(async move { drop(user(&cache, id).await) })
        });
    }
}

type AtOnce = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
