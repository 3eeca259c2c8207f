//! A value that takes longer to arrive than the time-out is no fault of the server, and harms no other function.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use test_support::{Mode, Proxy, Server, eventually, log};

const TIMEOUT: Duration = Duration::from_secs(1);

/// With these parts it arrives in some six seconds.
const GIANT: usize = 8 << 20;
const SLOWLY: Mode = Mode::Trickle { bytes: 64 << 10, pause: Duration::from_millis(50) };

#[redis_cached(prefix = "giant", name = "giant", cache = cache, skip(cache))]
async fn giant(cache: &Cache, id: u64) -> String {
    "x".repeat(GIANT + id as usize)
}

#[redis_cached(prefix = "giant", name = "giant", cache = cache, skip(cache))]
fn plain_giant(cache: &Cache, id: u64) -> String {
    "x".repeat(GIANT + id as usize)
}

#[redis_cached(prefix = "giant", name = "small", cache = cache, skip(cache, runs))]
async fn small(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    runs.fetch_add(1, SeqCst);
    id
}

#[redis_cached(prefix = "giant", name = "small", cache = cache, skip(cache, runs))]
fn plain_small(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    runs.fetch_add(1, SeqCst);
    id
}

/// A server with both values, to which the way is slow.
fn prepared() -> (Server, Proxy, Cache) {
    log::listen();
    let server = Server::start();
    let direct = Cache::builder(&server.url()).unwrap().timeout(TIMEOUT * 20).build();
    plain_giant(&direct, 1);
    plain_small(&direct, &AtomicUsize::new(0), 2);
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(TIMEOUT).build();
    proxy.set(SLOWLY);
    (server, proxy, cache)
}

/// Only calls that waited for the first of the large replies ran their bodies, and no outage was noticed.
fn judge(proxy: &Proxy, calls: usize, runs: usize) {
    assert!(calls > 20 && runs <= 3, "{runs} of {calls} calls of another function ran their bodies");
    let lines = log::lines_about(&format!(":{}", proxy.port()));
    let has = |text: &str| lines.iter().any(|line| line.text.contains(text));
    assert!(!has("Redis is away") && has("longer to read than the time-out"), "{lines:?}");
}

/// How often the giant value is asked for.
const ASKED: u64 = 25;

#[tokio::test]
async fn harm_no_other_function() {
    let (_server, proxy, cache) = prepared();
    let (runs, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let giants = async {
        for _ in 0..ASKED {
            assert_eq!(giant(&cache, 1).await.len(), GIANT + 1);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        is_over.store(true, SeqCst);
    };
    let smalls = async {
        let mut calls = 0;
        while !is_over.load(SeqCst) {
            assert_eq!(small(&cache, &runs, 2).await, 2);
            calls += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        calls
    };
    let ((), calls) = tokio::join!(giants, smalls);
    judge(&proxy, calls, runs.load(SeqCst));
}

#[test]
fn harm_no_other_plain_function() {
    let (_server, proxy, cache) = prepared();
    let (runs, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let calls = thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ASKED {
                assert_eq!(plain_giant(&cache, 1).len(), GIANT + 1);
                thread::sleep(Duration::from_millis(100));
            }
            is_over.store(true, SeqCst);
        });
        let mut calls = 0;
        while !is_over.load(SeqCst) {
            assert_eq!(plain_small(&cache, &runs, 2), 2);
            calls += 1;
            thread::sleep(Duration::from_millis(5));
        }
        calls
    });
    judge(&proxy, calls, runs.load(SeqCst));
}

/// Nothing of it is stored, so that its calls ask for the lease at once.
#[redis_cached(prefix = "giant", name = "rare", cache_if = |_| false, cache = cache, skip(cache))]
async fn rare(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "giant", name = "rare", cache_if = |_| false, cache = cache, skip(cache))]
fn plain_rare(cache: &Cache, id: u64) -> u64 {
    id
}

/// A request for a lease, whose reply has what the slot holds.
#[test]
fn are_met_once_by_requests_for_leases() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for is_async in [true, false] {
        let call = |cache: &Cache, id| if is_async { runtime.block_on(rare(cache, id)) } else { plain_rare(cache, id) };
        let (server, proxy, cache) = prepared();
        proxy.set(Mode::Pass);
        (10..30).for_each(|id| assert_eq!(call(&cache, id), id));
        let mut monitor = server.monitor();
        assert_eq!(call(&cache, 30), 30);
        assert!(monitor.commands().iter().all(|command| command[0] != "GET"), "it is expected to find nothing");
        let key = plain_rare_entry(&cache, 1).key().unwrap().to_owned();
        assert_eq!(server.cli(&["COPY", plain_giant_entry(&cache, 1).key().unwrap(), &key]), "1");
        proxy.set(SLOWLY);
        assert_eq!(call(&cache, 1), 1);
        // It is found out in the background.
        eventually("the log tells it", || {
            let lines = log::lines_about(&format!(":{}", proxy.port()));
            lines.iter().any(|line| line.text.contains("longer to read than the time-out"))
        });
        monitor.commands();
        (0..5).for_each(|_| assert_eq!(call(&cache, 1), 1));
        let asked = monitor.commands();
        assert!(asked.iter().all(|command| command.get(1) != Some(&key)), "{asked:?}");
    }
}
