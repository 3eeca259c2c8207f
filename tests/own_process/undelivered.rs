//! Invalidations that could not be delivered: they are as soon as the server is back, with no call needed, and what the
//! server refuses for good is a matter of its own key.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use redis_cached::{Cache, ErrorKind, Invalidation, redis_cached};
use test_support::{Mode, Server, eventually};

use crate::{alone, keepers};

const TIMEOUT: Duration = Duration::from_millis(200);

/// After the server's return, on a busy machine.
const SOON: Duration = Duration::from_millis(2_000 + 1_000);

static RUNS: AtomicU64 = AtomicU64::new(0);

#[redis_cached(prefix = "kept", name = "row", cache = cache, skip(cache))]
async fn row(cache: &Cache, id: u64) -> u64 {
    id + RUNS.fetch_add(1, SeqCst) * 1_000
}

#[redis_cached(prefix = "kept", name = "plain", cache = cache, skip(cache))]
fn plain(cache: &Cache, id: u64) -> u64 {
    id + RUNS.fetch_add(1, SeqCst) * 1_000
}

#[redis_cached(prefix = "free", name = "other", cache = cache, skip(cache))]
async fn other(cache: &Cache, id: u64) -> u64 {
    id + RUNS.fetch_add(1, SeqCst) * 1_000
}

#[redis_cached(prefix = "kept", name = "batch", batch(id in ids), cache = cache, skip(cache))]
async fn batch(cache: &Cache, ids: &[u64]) -> HashMap<u64, u64> {
    let run = RUNS.fetch_add(1, SeqCst);
    ids.iter().map(|id| (*id, id + run * 1_000)).collect()
}

#[redis_cached(prefix = "kept", name = "tagged", tags = ["a:{id}", "b:{id}", "c"], cache = cache, skip(cache))]
async fn tagged(cache: &Cache, id: u64) -> u64 {
    id + RUNS.fetch_add(1, SeqCst) * 1_000
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn gone(server: &Server, key: &str) -> bool {
    server.cli(&["EXISTS", key]) == "0"
}

#[test]
fn an_idle_process_delivers_when_the_server_is_back() {
    let _alone = alone();
    for is_hung in [false, true] {
        let server = Server::start();
        let proxy = server.proxy();
        let cache = Cache::builder(&proxy.url()).unwrap().timeout(TIMEOUT).build();
        let tasks = runtime();
        tasks.block_on(row(&cache, 1));
        plain(&cache, 1);
        assert!(!gone(&server, "kept:row:1") && !gone(&server, "kept:plain:1"));
        assert_eq!((cache.undelivered(), keepers()), (0, 0));
        if is_hung {
            server.stop();
        } else {
            proxy.set(Mode::Refuse);
            proxy.cut();
        }
        tasks.block_on(row_entry(&cache, 1).invalidate()).expect_err("away");
        plain_entry(&cache, 1).invalidate().expect_err("away");
        assert_eq!(cache.undelivered(), 2);
        eventually("one thread for both", || keepers() == 1);
        // It needs no runtime, and pauses have grown by then.
        drop(tasks);
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(cache.undelivered(), 2);
        if is_hung {
            server.cont();
        } else {
            proxy.set(Mode::Pass);
        }
        let begun = Instant::now();
        eventually("it is delivered", || gone(&server, "kept:row:1") && gone(&server, "kept:plain:1"));
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        eventually("nothing is left, no thread either", || cache.undelivered() == 0 && keepers() == 0);
    }
}

#[test]
fn the_thread_ends_with_the_cache() {
    let _alone = alone();
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(TIMEOUT).build();
    plain(&cache, 1);
    server.kill();
    plain_entry(&cache, 1).invalidate().expect_err("away");
    eventually("a thread delivers", || keepers() == 1);
    std::thread::sleep(Duration::from_secs(1));
    drop(cache);
    eventually("the thread ends", || keepers() == 0);
}

/// An attempt at a server that does not answer takes a second, which the end of a cache does not wait for.
#[test]
fn no_thread_outlives_its_cache() {
    let _alone = alone();
    let server = Server::start();
    let caches: Vec<_> =
        (0..8).map(|_| Cache::builder(&server.url()).unwrap().timeout(Duration::from_millis(50)).build()).collect();
    caches.iter().for_each(|cache| {
        plain(cache, 1);
    });
    server.stop();
    for cache in &caches {
        plain_entry(cache, 1).invalidate().expect_err("hung");
    }
    eventually("each has a thread", || keepers() == caches.len());
    let (clone, begun) = (caches[0].clone(), Instant::now());
    drop(caches);
    eventually("the threads of dropped caches end", || keepers() == 1);
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    server.cont();
    eventually("a clone still delivers", || clone.undelivered() == 0);
    eventually("its thread ends", || keepers() == 0);
}

#[test]
fn flush_delivers_or_tells_what_remains() {
    let _alone = alone();
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(TIMEOUT).build();
    let tasks = runtime();
    tasks.block_on(cache.flush(Duration::ZERO)).expect("nothing to deliver");
    cache.blocking().flush(Duration::ZERO).expect("nothing to deliver");
    tasks.block_on(row(&cache, 1));
    plain(&cache, 2);
    for is_async in [true, false] {
        proxy.set(Mode::Refuse);
        proxy.cut();
        tasks.block_on(row_entry(&cache, 1).invalidate()).expect_err("away");
        plain_entry(&cache, 2).invalidate().expect_err("away");
        let begun = Instant::now();
        let flush = |deadline| match is_async {
            true => tasks.block_on(cache.flush(deadline)),
            false => cache.blocking().flush(deadline),
        };
        let error = flush(Duration::from_millis(300)).expect_err("away");
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains("2 keys are still"), "{error}");
        assert!((300..1_500).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        proxy.set(Mode::Pass);
        flush(Duration::from_secs(10)).expect("the server is back");
        assert_eq!(cache.undelivered(), 0);
        assert!(gone(&server, "kept:row:1") && gone(&server, "kept:plain:2"));
        tasks.block_on(row(&cache, 1));
        plain(&cache, 2);
    }
}

/// An entry that is refused is not served, all others are: without an outage, and after one.
#[test]
fn a_refused_invalidation_is_a_matter_of_its_key() {
    let _alone = alone();
    let server = Server::start();
    let proxy = server.proxy();
    // Reads the keys of the first function, and has the right to all that the second one needs.
    let rights = ["on", ">pw", "~free:*", "+@all", "(~kept:* +get +mget +set +eval +evalsha +getrange +strlen)"];
    let is_new = server.knows(&["ACL", "SETUSER", "probe", "(~a:* +get)"]) && !server.program().contains("6.");
    let rights = if is_new { rights } else { ["on", ">pw", "~*", "+@all", "-@none"] };
    _ = server.cli(&["ACL", "SETUSER", "lib"].iter().chain(&rights).copied().collect::<Vec<_>>());
    if !is_new {
        _ = server.cli(&["ACL", "SETUSER", "lib", "reset", "on", ">pw", "~*", "+@all", "-unlink", "-del"]);
    }
    let url = format!("redis://lib:pw@127.0.0.1:{}", proxy.port());
    let cache = Cache::builder(&url).unwrap().timeout(TIMEOUT).build();
    let tasks = runtime();
    tasks.block_on(async {
        let (first, second) = (row(&cache, 1).await, other(&cache, 1).await);
        assert_eq!((row(&cache, 1).await, other(&cache, 1).await), (first, second), "hits");
        let error = row_entry(&cache, 1).invalidate().await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
        for round in 0..2 {
            for _ in 0..10 {
                let found = row(&cache, 1).await;
                assert_ne!(found, first, "{round}: invalidated, and served");
                assert_eq!(other(&cache, 1).await, second, "{round}: a hit");
            }
            assert_eq!(cache.flush(Duration::from_secs(5)).await.expect_err("refused").kind(), ErrorKind::Auth);
            if round == 0 {
                // An outage, and recovery from it.
                proxy.set(Mode::Refuse);
                proxy.cut();
                for id in 0..10 {
                    other(&cache, id).await;
                }
                proxy.set(Mode::Pass);
                test_support::in_time("the other one hits again", async || other(&cache, 1).await == second).await;
            }
        }
        assert_eq!(cache.undelivered(), 1);
    });
}

/// Without the right to `UNLINK`, what was kept in an outage is delivered all the same.
#[test]
fn del_takes_the_place_of_unlink() {
    let _alone = alone();
    let server = Server::start();
    let proxy = server.proxy();
    _ = server.cli(&["ACL", "SETUSER", "lib", "on", ">pw", "~*", "&*", "+@all", "-unlink"]);
    let cache = Cache::builder(&format!("redis://lib:pw@127.0.0.1:{}", proxy.port())).unwrap().timeout(TIMEOUT).build();
    let tasks = runtime();
    tasks.block_on(async {
        for id in 0..5 {
            row(&cache, id).await;
        }
        assert!(row_entry(&cache, 0).invalidate().await.expect("by DEL"));
        assert_eq!(cache.invalidate_all((1..3).map(|id| row_entry(&cache, id))).await.expect("by DEL"), 2);
        proxy.set(Mode::Refuse);
        proxy.cut();
        for id in 3..5 {
            row_entry(&cache, id).invalidate().await.expect_err("away");
        }
    });
    proxy.set(Mode::Pass);
    eventually("it is delivered", || (0..5).all(|id| gone(&server, &format!("kept:row:{id}"))));
}

/// Where writes are refused for a while, reads go on, of all but what is to be invalidated.
#[test]
fn writes_that_are_refused_keep_no_other_entry_away() {
    let _alone = alone();
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(TIMEOUT).build();
    let tasks = runtime();
    tasks.block_on(async {
        let (first, second) = (row(&cache, 1).await, row(&cache, 2).await);
        _ = server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        row_entry(&cache, 1).invalidate().await.expect_err("refused");
        for _ in 0..20 {
            assert_ne!(row(&cache, 1).await, first);
            assert_eq!(row(&cache, 2).await, second);
        }
        std::thread::sleep(Duration::from_secs(3));
        assert!(!gone(&server, "kept:row:1") && cache.undelivered() > 0);
        _ = server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    });
    let begun = Instant::now();
    eventually("it is delivered", || gone(&server, "kept:row:1"));
    assert!(begun.elapsed() < SOON);
}

/// A node of a cluster that owns all slots takes one key a command.
#[test]
fn a_cluster_of_one_takes_each_key_alone() {
    let _alone = alone();
    let server = Server::with(&["--cluster-enabled", "yes"]);
    let slots: Vec<String> = (0..16_384).map(|slot| slot.to_string()).collect();
    let words: Vec<&str> = ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
    _ = server.cli(&words);
    eventually("the cluster is up", || server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(TIMEOUT).build();
    let tasks = runtime();
    let ids: Vec<u64> = (0..20).collect();
    tasks.block_on(async {
        let (first, label) = (batch(&cache, &ids).await, tagged(&cache, 1).await);
        assert_eq!(batch(&cache, &ids).await, first, "hits");
        assert_eq!(tagged(&cache, 1).await, label, "a hit");
        let stale = ids.iter().map(|id| Invalidation::from(batch_entry(&cache, *id))).chain([Invalidation::tag("c")]);
        assert_eq!(cache.invalidate_all(stale).await.expect("each alone"), 21);
        let second = batch(&cache, &ids).await;
        assert!(second != first && tagged(&cache, 1).await != label);
        proxy.set(Mode::Refuse);
        proxy.cut();
        for id in &ids {
            batch_entry(&cache, *id).invalidate().await.expect_err("away");
        }
        proxy.set(Mode::Pass);
    });
    eventually("they are delivered", || ids.iter().all(|id| gone(&server, &format!("kept:batch:{id}"))));
    eventually("nothing is left", || cache.undelivered() == 0);
}
