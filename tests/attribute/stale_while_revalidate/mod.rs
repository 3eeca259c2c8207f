//! `stale_while_revalidate`: past its lifetime a value is served for a while, and refreshed in the background.

mod failures;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use redis_cached::{Cache, ErrorKind, redis_cached};
use test_support::{Gate, Mode, PATIENCE, Server, caches, eventually, expired, in_time, log};

#[redis_cached(prefix = "swr", name = "count", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, gate))]
async fn count(cache: &Cache, gate: Arc<Gate>, id: u64) -> u64 {
    id + gate.pass().await as u64
}

#[redis_cached(prefix = "swr", name = "count_blocking", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, gate))]
fn count_blocking(cache: &Cache, gate: Arc<Gate>, id: u64) -> u64 {
    id + gate.pass_blocking() as u64
}

#[redis_cached(prefix = "swr", name = "flaky", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, runs, fails))]
async fn flaky(cache: &Cache, runs: &Arc<AtomicUsize>, fails: bool, id: u64) -> Result<u64, String> {
    let run = runs.fetch_add(1, SeqCst) as u64 + 1;
    if fails { Err(format!("run {run} fails")) } else { Ok(id + run) }
}

fn open() -> Arc<Gate> {
    let gate = Arc::new(Gate::closed());
    gate.open();
    gate
}

/// Two views of one server, as two processes have them, and one memory.
fn pairs(server: &Server) -> [[Cache; 2]; 2] {
    let memory = Cache::builder("memory://").unwrap().build();
    [[memory.clone(), memory], [0, 1].map(|_| Cache::builder(&server.url()).unwrap().build())]
}

/// Stores a plain function's value of 11 that is past its lifetime; the gate is closed.
fn old_plain_value(cache: &Cache) -> Arc<Gate> {
    let gate = open();
    assert_eq!(count_blocking(cache, gate.clone(), 10), 11);
    eventually("it expires", || count_blocking_entry(cache, 10).get().unwrap().is_none());
    gate.close();
    gate
}

/// Until a call returns this.
async fn becomes<F: Future<Output = u64>>(expected: u64, call: impl Fn() -> F) {
    in_time("the new value is there", async || call().await == expected).await;
}

#[tokio::test]
async fn an_old_value_is_served_at_once_and_refreshed_once_behind() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = open();
        assert_eq!(count(&cache, gate.clone(), 10).await, 11);
        expired(count_entry(&cache, 10)).await;
        gate.close();
        // The body would never end: these return the old value.
        for _ in 0..100 {
            assert_eq!(count(&cache, gate.clone(), 10).await, 11);
        }
        gate.wait_for(2).await;
        for _ in 0..100 {
            assert_eq!(count(&cache, gate.clone(), 10).await, 11);
        }
        assert_eq!(gate.entered(), 2, "one refresh at a time");
        gate.open();
        becomes(12, || count(&cache, gate.clone(), 10)).await;
        let stats = cache.stats();
        assert!(stats.stale >= 200 && stats.refreshes >= 1 && stats.misses == 1, "{stats:?}");
    }
}

#[test]
fn plain_functions_are_refreshed_on_a_thread_behind() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = open();
        assert_eq!(count_blocking(&cache, gate.clone(), 10), 11);
        eventually("it expires", || count_blocking_entry(&cache, 10).get().unwrap().is_none());
        gate.close();
        for _ in 0..100 {
            assert_eq!(count_blocking(&cache, gate.clone(), 10), 11);
        }
        eventually("a refresh begins", || gate.entered() == 2);
        assert_eq!(count_blocking(&cache, gate.clone(), 10), 11);
        gate.open();
        eventually("the new value is stored", || count_blocking(&cache, gate.clone(), 10) == 12);
    }
}

/// Threads of two processes: the thread whose call starts the refresh ends before it does.
#[test]
fn many_plain_calls_during_a_refresh_run_one_body_and_wait_for_nobody() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let gate = old_plain_value(&cache);
        let starter = std::thread::spawn({
            let (cache, gate) = (cache.clone(), gate.clone());
            move || count_blocking(&cache, gate, 10)
        });
        assert_eq!(starter.join().unwrap(), 11);
        eventually("a refresh begins", || gate.entered() == 2);
        std::thread::scope(|scope| {
            for cache in [&cache, &other].repeat(8) {
                scope.spawn(|| (0..20).for_each(|_| assert_eq!(count_blocking(cache, gate.clone(), 10), 11)));
            }
        });
        assert_eq!(gate.entered(), 2);
        gate.open();
        eventually("the new value is stored", || count_blocking(&other, gate.clone(), 10) == 12);
    }
}

#[test]
fn a_refresh_of_a_plain_function_overtaken_by_an_invalidation_is_not_stored() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let gate = old_plain_value(&cache);
        assert_eq!(count_blocking(&cache, gate.clone(), 10), 11);
        eventually("a refresh begins", || gate.entered() == 2);
        assert!(count_blocking_entry(&other, 10).invalidate().unwrap(), "the old value was there");
        gate.open();
        eventually("the refresh ends", || cache.stats().refused == 1);
        assert_eq!(count_blocking_entry(&cache, 10).get().unwrap(), None);
        assert_eq!(count_blocking(&cache, gate.clone(), 10), 13);
    }
}

/// Other processes have their own connections, and their own view.
#[tokio::test]
async fn while_another_process_refreshes_the_old_value_is_served_at_once() {
    // A function of its own: what a call sends depends on what the calls before it found.
    #[redis_cached(prefix = "swr", name = "asked", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, gate))]
    async fn asked(cache: &Cache, gate: Arc<Gate>, id: u64) -> u64 {
        id + gate.pass().await as u64
    }
    let server = Server::start();
    let [cache, other] = [0; 2].map(|_| Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build());
    let gate = open();
    assert_eq!(asked(&cache, gate.clone(), 10).await, 11);
    expired(asked_entry(&cache, 10)).await;
    gate.close();
    assert_eq!(asked(&cache, gate.clone(), 10).await, 11);
    gate.wait_for(2).await;
    let mut monitor = server.monitor();
    for _ in 0..20 {
        assert_eq!(asked(&other, gate.clone(), 10).await, 11);
    }
    // Each call has asked for the value and for nothing else: the mark in it says that a refresh runs.
    let sent = monitor.commands();
    let reads = sent.iter().filter(|command| command.contains(&"swr:asked:10".to_owned()));
    assert!(reads.clone().count() == 20 && reads.clone().all(|command| command[0] == "GET"), "{sent:?}");
    assert_eq!((gate.entered(), other.stats().stale, other.stats().refreshes), (2, 20, 0));
    gate.open();
    becomes(12, || asked(&other, gate.clone(), 10)).await;
}

#[tokio::test]
async fn one_process_refreshes_for_all() {
    let server = Server::start();
    // Each has its own connections and its own view, as another process would.
    let caches = [0; 4].map(|_| Cache::builder(&server.url()).unwrap().build());
    let gate = open();
    assert_eq!(count(&caches[0], gate.clone(), 10).await, 11);
    expired(count_entry(&caches[0], 10)).await;
    gate.close();
    assert_eq!(count(&caches[0], gate.clone(), 10).await, 11);
    gate.wait_for(2).await;
    for cache in &caches {
        for _ in 0..20 {
            assert_eq!(count(cache, gate.clone(), 10).await, 11, "old, and at once");
        }
    }
    assert_eq!(gate.entered(), 2);
    gate.open();
    for cache in &caches {
        let fresh = count(cache, gate.clone(), 10);
        assert!(fresh.await >= 11);
    }
}

#[tokio::test]
async fn a_refresh_outlives_the_call_that_started_it() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = open();
        count(&cache, gate.clone(), 10).await;
        expired(count_entry(&cache, 10)).await;
        gate.close();
        let call = {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move { count(&cache, gate, 10).await })
        };
        gate.wait_for(2).await;
        call.abort();
        let _ = call.await;
        gate.open();
        becomes(12, || count(&cache, gate.clone(), 10)).await;
    }
}

#[tokio::test]
async fn a_refresh_overtaken_by_an_invalidation_is_not_stored() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = open();
        count(&cache, gate.clone(), 10).await;
        expired(count_entry(&cache, 10)).await;
        gate.close();
        count(&cache, gate.clone(), 10).await;
        gate.wait_for(2).await;
        assert!(count_entry(&cache, 10).invalidate().await.unwrap());
        // The call gets neither the old value nor the one under way: it runs a new body.
        let call = {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move { count(&cache, gate, 10).await })
        };
        gate.wait_for(3).await;
        gate.open();
        assert_eq!(call.await.unwrap(), 13);
        assert!(count(&cache, gate.clone(), 10).await >= 13);
    }
}

#[tokio::test]
async fn past_the_window_a_call_computes() {
    #[redis_cached(prefix = "swr", name = "brief", ttl = "20ms", stale_while_revalidate = "20ms", cache = cache, skip(cache, runs))]
    async fn brief(cache: &Cache, runs: &Arc<AtomicUsize>, id: u64) -> u64 {
        id + runs.fetch_add(1, SeqCst) as u64
    }
    let server = Server::start();
    for cache in caches(&server) {
        let runs = Arc::new(AtomicUsize::new(1));
        brief(&cache, &runs, 10).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(brief(&cache, &runs, 10).await, 12, "not the old value");
        if format!("{cache:?}").contains("redis://") {
            eventually("nothing is left", || server.cli(&["DBSIZE"]) == "0");
        }
    }
}

#[tokio::test]
async fn a_refresh_that_finds_nothing_to_store_removes_the_old_value() {
    #[redis_cached(prefix = "swr", name = "found", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, exists))]
    async fn found(cache: &Cache, exists: &Arc<std::sync::atomic::AtomicBool>, id: u64) -> Option<u64> {
        exists.load(SeqCst).then_some(id)
    }
    let server = Server::start();
    for cache in caches(&server) {
        let exists = Arc::new(std::sync::atomic::AtomicBool::new(true));
        assert_eq!(found(&cache, &exists, 1).await, Some(1));
        expired(found_entry(&cache, 1)).await;
        exists.store(false, SeqCst);
        in_time("the old value is gone", async || found(&cache, &exists, 1).await.is_none()).await;
    }
}

#[tokio::test]
async fn a_stored_none_is_refreshed_too() {
    #[redis_cached(prefix = "swr", name = "absent", none_ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, gate))]
    async fn absent(cache: &Cache, gate: Arc<Gate>, id: u64) -> Option<u64> {
        (gate.pass().await > 1).then_some(id)
    }
    let server = Server::start();
    for cache in caches(&server) {
        let gate = open();
        assert_eq!(absent(&cache, gate.clone(), 1).await, None);
        expired(absent_entry(&cache, 1)).await;
        gate.close();
        assert_eq!(absent(&cache, gate.clone(), 1).await, None, "old, and at once");
        gate.wait_for(2).await;
        gate.open();
        in_time("it is refreshed", async || absent(&cache, gate.clone(), 1).await.is_some()).await;
    }
}

/// The second refresh leaves the value alone, not the key.
#[tokio::test]
async fn who_was_too_late_to_refresh_a_value_refreshes_the_next_one() {
    let server = Server::start();
    let caches = [0, 1].map(|_| Cache::builder(&server.url()).unwrap().build());
    let gate = open();
    let both = async || tokio::join!(count(&caches[0], gate.clone(), 10), count(&caches[1], gate.clone(), 10));
    both().await;
    for _ in 0..5 {
        expired(count_entry(&caches[0], 10)).await;
        let bodies = gate.entered();
        // More than once, where the refresh before has not stored its value yet.
        in_time("it is refreshed", async || {
            both().await;
            gate.entered() > bodies
        })
        .await;
    }
    // Each of them alone refreshes at once, whichever was too late before.
    let begun = Instant::now();
    for cache in &caches {
        in_time("it is stored", async || count_entry(cache, 10).get().await.unwrap().is_some()).await;
        expired(count_entry(cache, 10)).await;
        let bodies = gate.entered();
        in_time("it is refreshed", async || {
            count(cache, gate.clone(), 10).await;
            gate.entered() > bodies
        })
        .await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}, a lease is ten seconds", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_body_finds_the_runtime_around_its_caller() {
    #[redis_cached(prefix = "swr", name = "bridged", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, runs))]
    fn bridged(cache: &Cache, runs: Arc<AtomicUsize>, id: u64) -> u64 {
        let run = runs.fetch_add(1, SeqCst) as u64;
        tokio::runtime::Handle::current().block_on(async { id + run })
    }
    for cache in caches(&Server::start()) {
        let runs = Arc::new(AtomicUsize::new(1));
        let call = async || {
            let (cache, runs) = (cache.clone(), runs.clone());
            tokio::task::spawn_blocking(move || bridged(&cache, runs, 10)).await.unwrap()
        };
        call().await;
        in_time("it is refreshed", async || call().await > 11).await;
    }
}
