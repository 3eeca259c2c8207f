//! Many hits at the same time: each call gets its own value, whatever becomes of the others.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use redis_cached::{Cache, ErrorKind, redis_cached};
use test_support::{PATIENCE, Server, in_time, polled};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinSet;

/// Its length depends on the id: some are large.
fn text(id: u64) -> String {
    format!("{id} ").repeat(if id.is_multiple_of(10) { 5_000 } else { 3 })
}

#[redis_cached(ttl = "1h", prefix = "t", name = "value", cache = cache, skip(cache))]
async fn value(cache: &Cache, id: u64) -> String {
    text(id)
}

#[redis_cached(ttl = "1h", prefix = "t", name = "member", group = "org:{org}", cache = cache, skip(cache))]
async fn member(cache: &Cache, org: u64, id: u64) -> String {
    let _ = org;
    text(id)
}

const KEYS: u64 = 100;

/// Calls that hit. What they send depends on what the calls of their functions found before, of other
/// tests too, so that these go one at a time.
async fn filled(server: &Server) -> (Cache, MutexGuard<'static, ()>) {
    static ALONE: Mutex<()> = Mutex::const_new(());
    let alone = ALONE.lock().await;
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    for id in 0..KEYS {
        value(&cache, id).await;
        member(&cache, id % 7, id).await;
    }
    // Hits, so that another one is expected.
    for id in 1..9 {
        value(&cache, id).await;
        member(&cache, id % 7, id).await;
    }
    (cache, alone)
}

/// The keys that were read, and with how many commands.
fn reads(commands: &[Vec<String>]) -> (usize, usize) {
    let reads = commands.iter().filter(|command| matches!(command[0].as_str(), "GET" | "MGET"));
    reads.fold((0, 0), |(keys, reads), command| (keys + command.len() - 1, reads + 1))
}

/// Each id, from a task of its own.
async fn each_has_its_value(cache: &Cache) {
    let mut calls = JoinSet::new();
    for id in 0..KEYS {
        let cache = cache.clone();
        calls.spawn(async move { assert_eq!(value(&cache, id).await, text(id)) });
    }
    calls.join_all().await;
}

async fn each_call_gets_its_own_value() {
    let server = Server::start();
    let (cache, _alone) = filled(&server).await;
    let (stats, mut monitor) = (cache.stats(), server.monitor());
    let mut calls = JoinSet::new();
    for task in 0..256 {
        let cache = cache.clone();
        calls.spawn(async move {
            for call in 0..20 {
                let id = (task * 37 + call * 7) % KEYS;
                assert_eq!(value(&cache, id).await, text(id));
                let id = (id + 1) % KEYS;
                assert_eq!(member(&cache, id % 7, id).await, text(id));
            }
        });
    }
    calls.join_all().await;
    let now = cache.stats();
    assert_eq!((now.hits - stats.hits, now.misses, now.bypasses), (2 * 256 * 20, stats.misses, 0));
    let sent = monitor.commands();
    let (keys, commands) = reads(&sent);
    assert!(keys <= 256 * 20, "each call reads its key once, or shares the read of another: {keys}");
    assert!(commands < keys / 4, "they travel together: {commands}");
    assert!(sent.iter().all(|command| command.len() <= 1 + 64), "none waits for more than 64");
    let is_twice = |command: &[String]| command.iter().collect::<HashSet<_>>().len() < command.len();
    assert!(!sent.iter().any(|command| command[0] == "MGET" && is_twice(command)), "no key is read twice");
}

#[tokio::test]
async fn each_call_gets_its_own_value_on_one_thread() {
    each_call_gets_its_own_value().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_call_gets_its_own_value_on_many_threads() {
    each_call_gets_its_own_value().await;
}

/// Reads of the same moment share one command, up to 64 of them.
#[tokio::test]
async fn calls_for_the_same_entry_share_a_read() {
    let server = Server::start();
    let (cache, _alone) = filled(&server).await;
    let (stats, mut monitor) = (cache.stats(), server.monitor());
    let mut calls = JoinSet::new();
    for _ in 0..256 {
        let cache = cache.clone();
        calls.spawn(async move { assert_eq!(value(&cache, 50).await, text(50)) });
    }
    calls.join_all().await;
    let only = |name: &str, sent: &[Vec<String>]| {
        assert!(sent.len() <= 16, "four alone, and the rest of them by 64: {}", sent.len());
        assert!(sent.iter().all(|command| command[0] == name), "each has a copy of the reply: {sent:?}");
    };
    only("GET", &monitor.commands());
    let mut calls = JoinSet::new();
    for _ in 0..256 {
        let cache = cache.clone();
        calls.spawn(async move { assert_eq!(member(&cache, 1, 50).await, text(50)) });
    }
    calls.join_all().await;
    only("HMGET", &monitor.commands());
    assert_eq!(cache.stats().hits - stats.hits, 512);
}

/// Its keys differ at the front, and not in what follows.
#[redis_cached(ttl = "1h", prefix = "t", key = "{id}:the-same-for-all", cache = cache, skip(cache))]
async fn alike(cache: &Cache, id: u64) -> u64 {
    id
}

#[tokio::test]
async fn keys_that_are_much_alike_are_told_apart() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    for id in (0..KEYS).chain(0..8) {
        alike(&cache, id).await;
    }
    let mut monitor = server.monitor();
    for _ in 0..10 {
        let mut calls = JoinSet::new();
        for call in 0..3 * KEYS {
            let cache = cache.clone();
            calls.spawn(async move { assert_eq!(alike(&cache, call % KEYS).await, call % KEYS) });
        }
        calls.join_all().await;
    }
    let (_, commands) = reads(&monitor.commands());
    assert!(commands < 10 * KEYS as usize, "they travel together: {commands}");
    let stats = cache.stats();
    assert_eq!((stats.misses, stats.bypasses), (KEYS, 0));
}

/// This holds in one task, too, which polls all of them.
#[tokio::test]
async fn each_call_gets_its_own_value_in_one_task() {
    let server = Server::start();
    let (cache, _alone) = filled(&server).await;
    let cache = &cache;
    let mut calls: Vec<_> = (0..KEYS).map(|id| (id, Box::pin(value(cache, id)))).collect();
    std::future::poll_fn(|context| {
        calls.retain_mut(|(id, call)| match call.as_mut().poll(context) {
            std::task::Poll::Ready(value) => {
                assert_eq!(value, text(*id));
                false
            }
            std::task::Poll::Pending => true,
        });
        if calls.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_call_leaves_the_others_theirs() {
    let server = Server::start();
    let (cache, _alone) = filled(&server).await;
    let stats = cache.stats();
    for round in 0..40 {
        let mut calls = JoinSet::new();
        for task in 0..64 {
            let cache = cache.clone();
            calls.spawn(async move {
                let id = (task + round) % KEYS;
                // Dropped after some polls: while others gather around it, or when it has sent theirs.
                if task % 2 == round % 2 || task % 5 == 0 {
                    polled(1 + (task + round) as usize % 3, value(&cache, id)).await;
                } else {
                    assert_eq!(value(&cache, id).await, text(id));
                }
            });
        }
        calls.join_all().await;
    }
    let now = cache.stats();
    assert_eq!((now.misses - stats.misses, now.bypasses), (0, 0), "all were hits");
}

#[tokio::test]
async fn something_else_in_a_slot_is_the_concern_of_its_caller() {
    let server = Server::start();
    let (cache, _alone) = filled(&server).await;
    let entry = value_entry(&cache, 50);
    let key = entry.key().unwrap();
    server.cli(&["DEL", key]);
    server.cli(&["LPUSH", key, "something else"]);
    let stats = cache.stats();
    let mut calls = JoinSet::new();
    for id in (0..KEYS).chain(0..KEYS) {
        let cache = cache.clone();
        calls.spawn(async move { assert_eq!(value(&cache, id).await, text(id)) });
    }
    calls.join_all().await;
    let now = cache.stats();
    assert_eq!(now.hits - stats.hits, 2 * (KEYS - 1));
    assert_eq!(now.bypasses + now.shared, 2, "{now:?}");
}

/// Its values are small, so that all of them come over one connection.
#[redis_cached(ttl = "1h", prefix = "t", name = "small", cache = cache, skip(cache))]
async fn small(cache: &Cache, id: u64) -> u64 {
    id
}

/// Each is stored, and another hit is expected. Takes turns, as what is sent depends on what was found before.
async fn filled_with_small(server: &Server) -> (Cache, MutexGuard<'static, ()>) {
    static ALONE: Mutex<()> = Mutex::const_new(());
    let alone = ALONE.lock().await;
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    for id in (0..KEYS).chain(0..8) {
        small(&cache, id).await;
    }
    (cache, alone)
}

/// All of them, each from a task of its own.
async fn all_small(cache: &Cache) {
    let call = |id| {
        let cache = cache.clone();
        async move { assert_eq!(small(&cache, id).await, id) }
    };
    (0..KEYS).map(call).collect::<JoinSet<_>>().join_all().await;
}

#[tokio::test]
async fn a_hit_that_meets_no_other_is_one_get() {
    let server = Server::start();
    let (cache, _alone) = filled_with_small(&server).await;
    let mut monitor = server.monitor();
    all_small(&cache).await;
    let sent = monitor.commands();
    assert!(sent.iter().any(|command| command[0] == "MGET"));
    assert_eq!(reads(&sent).0, KEYS as usize, "each key is read, and once");
    for id in [1, 2, 3] {
        small(&cache, id).await;
        assert_eq!(monitor.commands(), [["GET", &format!("t:small:{id}")]]);
    }
}

/// Keys that a server refuses to read at once are read one by one. A refusal that is `expected` is met by no request; another
/// one is met by the first ones, and not again.
async fn each_is_read_by_itself(server: &Server, expected: bool) {
    let (cache, _alone) = filled_with_small(server).await;
    all_small(&cache).await;
    let refusals = || {
        let errors = server.cli(&["INFO", "errorstats"]);
        let is_refusal = |line: &&str| line.contains("NOPERM") || line.contains("CROSSSLOT");
        errors.lines().find(is_refusal).map(str::to_owned)
    };
    let (mut monitor, refused) = (server.monitor(), refusals());
    assert_eq!(refused.is_none(), expected, "{refused:?}");
    all_small(&cache).await;
    assert_eq!((reads(&monitor.commands()), refusals()), ((KEYS as usize, KEYS as usize), refused));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.bypasses), (2 * KEYS + 8, KEYS, 0));
}

#[tokio::test]
async fn who_may_not_read_many_keys_at_once_reads_each() {
    let server = Server::start();
    server.cli(&["ACL", "SETUSER", "default", "-mget"]);
    each_is_read_by_itself(&server, false).await;
}

/// Its keys are in different slots, though one node has them all.
#[tokio::test]
async fn a_cluster_of_one_node_is_asked_for_each() {
    let server = Server::with(&["--cluster-enabled", "yes"]);
    let slots: Vec<String> = (0..16_384).map(|slot| slot.to_string()).collect();
    for slots in slots.chunks(4_096) {
        let command: Vec<&str> = ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
        server.cli(&command);
    }
    in_time("the cluster is up", async || server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok")).await;
    each_is_read_by_itself(&server, true).await;
}

/// A value of another type is found by the call that asks for the lease of what seems to be empty; a verb is
/// told at once.
#[tokio::test]
async fn a_verb_among_many_calls_hears_of_another_type() {
    let server = Server::start();
    let (cache, _alone) = filled(&server).await;
    let entry = value_entry(&cache, 50);
    server.cli(&["DEL", entry.key().unwrap()]);
    server.cli(&["LPUSH", entry.key().unwrap(), "something else"]);
    let mut calls = JoinSet::new();
    for id in 0..KEYS {
        let (cache, entry) = (cache.clone(), value_entry(&cache, 50));
        calls.spawn(async move {
            assert_eq!(value(&cache, id).await, text(id));
            assert_eq!(entry.get().await.unwrap_err().kind(), ErrorKind::WrongType);
        });
    }
    calls.join_all().await;
}

/// The connection closes under all of them: those that were sent are sent again.
#[tokio::test]
async fn a_connection_that_closes_is_made_anew() {
    let server = Server::start();
    let (cache, _alone) = filled(&server).await;
    let stats = cache.stats();
    for _ in 0..10 {
        server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        each_has_its_value(&cache).await;
    }
    let now = cache.stats();
    assert_eq!((now.hits - stats.hits, now.misses - stats.misses, now.bypasses), (10 * KEYS, 0, 0));
}

/// The same of calls that ask for leases, which are not sent again: each asks for another one, and no
/// server is taken to be away.
#[tokio::test]
async fn a_connection_that_closes_under_misses_is_made_anew() {
    let server = Server::start();
    let (cache, _alone) = filled(&server).await;
    let stats = cache.stats();
    for round in 1..=10 {
        server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        let mut calls = JoinSet::new();
        for id in 0..KEYS {
            let (cache, id) = (cache.clone(), round * 1_000 + id);
            calls.spawn(async move { assert_eq!(value(&cache, id).await, text(id)) });
        }
        calls.join_all().await;
    }
    let now = cache.stats();
    assert_eq!((now.misses - stats.misses, now.bypasses, now.stored - stats.stored), (10 * KEYS, 0, 10 * KEYS));
}

/// A stream of buffered futures leaves them like this while their consumer is busy.
#[tokio::test]
async fn calls_that_are_not_polled_any_more_keep_nobody() {
    let server = Server::start();
    let (cache, _alone) = filled(&server).await;
    let mut left: Vec<_> = (0..KEYS * 3 / 4).map(|id| Box::pin(value(&cache, id))).collect();
    for call in &mut left {
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(call.as_mut().poll(context).is_ready()));
        assert!(!polled.await);
    }
    let others = async {
        for id in 0..KEYS {
            assert_eq!(value(&cache, id).await, text(id));
        }
    };
    tokio::time::timeout(PATIENCE / 2, others).await.expect("the others wait for nobody");
    assert_eq!(cache.stats().bypasses, 0);
    for (id, call) in left.into_iter().enumerate() {
        assert_eq!(call.await, text(id as u64));
    }
}

#[redis_cached(ttl = "1h", prefix = "t", name = "version", cache = cache, skip(cache, source))]
async fn version(cache: &Cache, source: &AtomicU64) -> u64 {
    let read = source.load(SeqCst);
    // Others see the lease.
    tokio::task::yield_now().await;
    read
}

/// A read that many share was sent after each of them had asked: a call that asks after an invalidation does not share one
/// that was sent before.
async fn none_shares_a_read_from_before_an_invalidation() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    let (source, floor) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut monitor = server.monitor();
    let mut readers = JoinSet::new();
    for _ in 0..64 {
        let (cache, source, floor) = (cache.clone(), Arc::clone(&source), Arc::clone(&floor));
        readers.spawn(async move {
            let mut calls = 0;
            while floor.load(SeqCst) < 200 {
                let invalidated = floor.load(SeqCst);
                let got = version(&cache, &source).await;
                assert!(got >= invalidated, "{got} after {invalidated} was written");
                calls += 1;
            }
            calls
        });
    }
    for written in 1..=200 {
        source.store(written, SeqCst);
        version_entry(&cache).invalidate().await.unwrap();
        floor.store(written, SeqCst);
        // Some hits in between.
        for _ in 0..written % 5 {
            version(&cache, &source).await;
        }
    }
    let calls: usize = readers.join_all().await.into_iter().sum();
    let (keys, _) = reads(&monitor.commands());
    assert!(keys < calls / 2, "they share: {keys} reads of {calls} calls");
    assert_eq!(cache.stats().bypasses, 0);
}

#[tokio::test]
async fn none_shares_a_read_from_before_an_invalidation_on_one_thread() {
    none_shares_a_read_from_before_an_invalidation().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn none_shares_a_read_from_before_an_invalidation_on_many_threads() {
    none_shares_a_read_from_before_an_invalidation().await;
}
