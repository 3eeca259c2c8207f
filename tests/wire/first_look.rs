//! A function whose last calls often found nothing asks for the lease with its first look. What that look
//! finds instead counts as what a `GET` would have found.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use test_support::{Gate, Mode, PATIENCE, Server, expired, in_time};

/// More misses than it takes to expect another one.
const MISSES: std::ops::Range<u64> = 100..108;

fn cache(url: &str) -> Cache {
    Cache::builder(url).unwrap().timeout(PATIENCE).build()
}

/// Misses, after which the next one is expected.
async fn miss(call: impl AsyncFn(u64)) {
    for id in MISSES {
        call(id).await;
    }
}

/// The same, of a body that passes a gate, which is closed then.
async fn miss_and_close<F: Future<Output = u64>>(call: impl Fn(Arc<Gate>, u64) -> F) -> Arc<Gate> {
    let gate = Arc::new(Gate::closed());
    gate.open();
    miss(async |id| _ = call(Arc::clone(&gate), id).await).await;
    gate.close();
    gate
}

#[tokio::test]
async fn a_full_server_serves_hits() {
    #[redis_cached(prefix = "first", cache = cache, skip(cache, runs))]
    async fn full(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
        runs.fetch_add(1, SeqCst);
        id
    }
    let server = Server::with(&["--maxmemory-policy", "noeviction"]);
    let (cache, runs) = (cache(&server.url()), AtomicUsize::new(0));
    miss(async |id| _ = full(&cache, &runs, id).await).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(full(&cache, &runs, MISSES.start).await, MISSES.start);
    assert_eq!((cache.stats().hits, runs.into_inner()), (1, MISSES.count()), "{:?}", cache.stats());
}

#[test]
fn a_full_server_serves_hits_of_plain_functions() {
    #[redis_cached(prefix = "first", cache = cache, skip(cache, runs))]
    fn full_plain(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
        runs.fetch_add(1, SeqCst);
        id
    }
    let server = Server::with(&["--maxmemory-policy", "noeviction"]);
    let (cache, runs) = (cache(&server.url()), AtomicUsize::new(0));
    for id in MISSES {
        full_plain(&cache, &runs, id);
    }
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(full_plain(&cache, &runs, MISSES.start), MISSES.start);
    assert_eq!((cache.stats().hits, runs.into_inner()), (1, MISSES.count()), "{:?}", cache.stats());
}

#[tokio::test]
async fn an_undelivered_invalidation_comes_first() {
    #[redis_cached(prefix = "first", cache = cache, skip(cache, runs))]
    async fn undelivered(cache: &Cache, runs: &AtomicUsize, id: u64) -> usize {
        let _ = id;
        runs.fetch_add(1, SeqCst)
    }
    let server = Server::start();
    let proxy = server.proxy();
    let (cache, runs) = (cache(&proxy.url()), AtomicUsize::new(0));
    miss(async |id| _ = undelivered(&cache, &runs, id).await).await;
    proxy.set(Mode::Answer("-LOADING Redis is loading the dataset in memory"));
    undelivered_entry(&cache, MISSES.start).invalidate().await.expect_err("it is not delivered");
    proxy.set(Mode::Pass);
    assert_eq!(undelivered(&cache, &runs, MISSES.start).await, MISSES.count(), "not the old value");
}

#[tokio::test]
async fn an_old_value_is_refreshed_behind() {
    #[redis_cached(prefix = "first", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache))]
    async fn old(cache: &Cache, id: u64) -> u64 {
        id
    }
    let server = Server::start();
    let cache = cache(&server.url());
    miss(async |id| _ = old(&cache, id).await).await;
    let stored = cache.stats().stored;
    expired(old_entry(&cache, MISSES.start)).await;
    old(&cache, MISSES.start).await;
    in_time("one call refreshes it", async || cache.stats().stored == stored + 1).await;
}

#[tokio::test]
async fn an_old_value_stands_in_for_an_error() {
    #[redis_cached(prefix = "first", ttl = "30ms", stale_if_error = "1h", cache = cache, skip(cache, fails))]
    async fn fallible(cache: &Cache, fails: bool, id: u64) -> Result<u64, String> {
        if fails { Err("no".to_owned()) } else { Ok(id) }
    }
    let server = Server::start();
    let cache = cache(&server.url());
    miss(async |id| _ = fallible(&cache, false, id).await.unwrap()).await;
    expired(fallible_entry(&cache, MISSES.start)).await;
    assert_eq!(fallible(&cache, true, MISSES.start).await, Ok(MISSES.start));
    assert_eq!(cache.stats().stale, 1);
}

#[tokio::test]
async fn what_is_no_value_is_displaced() {
    #[redis_cached(prefix = "first", name = "foreign", cache = cache, skip(cache))]
    async fn foreign(cache: &Cache, id: u64) -> u64 {
        id
    }
    let server = Server::start();
    let cache = cache(&server.url());
    miss(async |id| _ = foreign(&cache, id).await).await;
    server.cli(&["SET", "first:foreign:1", "something else"]);
    assert_eq!(foreign(&cache, 1).await, 1);
    assert_eq!(foreign_entry(&cache, 1).get().await.unwrap(), Some(1));
}

/// The second call finds the lease of the first, and need not ask for another.
#[tokio::test]
async fn of_calls_at_once_for_one_key_one_asks_for_a_lease() {
    #[redis_cached(prefix = "first", name = "slow", cache = cache, skip(cache, gate))]
    async fn slow(cache: &Cache, gate: Arc<Gate>, id: u64) -> u64 {
        id + gate.pass().await as u64
    }
    let server = Server::start();
    let cache = cache(&server.url());
    let gate = miss_and_close(|gate, id| slow(&cache, gate, id)).await;
    // Older servers have a script for it.
    let (before, has_nx) = (cache.stats(), server.knows(&["SET", "any", "1", "NX", "GET"]));
    let mut monitor = server.monitor();
    let calls = (0..50).map(|_| {
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        tokio::spawn(async move { slow(&cache, gate, 1).await })
    });
    let calls: Vec<_> = calls.collect();
    gate.wait_for(MISSES.count() + 1).await;
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap(), 1 + MISSES.count() as u64 + 1);
    }
    let now = cache.stats();
    assert_eq!((now.misses - before.misses, now.shared + now.hits - before.hits), (1, 49), "{now:?}");
    let sent = monitor.commands();
    let leases = sent.iter().filter(|command| command.contains(&"NX".to_owned())).count();
    assert_eq!(leases, usize::from(has_nx), "{sent:?}");
}

/// Calls that give up leave no lease.
#[tokio::test]
async fn a_call_that_is_dropped_gives_the_slot_back() {
    #[redis_cached(prefix = "first", name = "dropped", cache = cache, skip(cache, gate))]
    async fn dropped(cache: &Cache, gate: Arc<Gate>, id: u64) -> u64 {
        id + gate.pass().await as u64
    }
    let server = Server::start();
    let cache = cache(&server.url());
    let gate = miss_and_close(|gate, id| dropped(&cache, gate, id)).await;
    server.stop();
    let call = tokio::time::timeout(Duration::from_millis(20), dropped(&cache, Arc::clone(&gate), 1)).await;
    assert!(call.is_err(), "the server does not answer");
    server.cont();
    in_time("the slot is empty", async || server.cli(&["EXISTS", "first:dropped:1"]) == "0").await;
    gate.open();
    assert_eq!(dropped(&cache, gate, 1).await, 1 + MISSES.count() as u64 + 1);
}
