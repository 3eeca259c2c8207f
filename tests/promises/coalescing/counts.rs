//! Each call counts once, by its result, however it ends.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicU64;

use redis_cached::FunctionStats;

use super::*;

/// The calls of a test that have begun.
#[derive(Clone, Default)]
struct Begun(Arc<AtomicU64>);

impl Begun {
    fn add(&self, calls: u64) {
        self.0.fetch_add(calls, SeqCst);
    }

    async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        self.add(1);
        call.await
    }

    fn plain<T>(&self, call: impl FnOnce() -> T) -> T {
        self.add(1);
        call()
    }

    /// The results of the caches' calls are as many as the calls; returns the results of this function.
    fn counted(&self, caches: &[&Cache], function: &str) -> FunctionStats {
        let functions: Vec<_> = caches.iter().flat_map(|cache| cache.functions()).collect();
        let results: u64 = functions.iter().map(|stats| stats.calls.all()).sum();
        assert_eq!(results, self.0.load(SeqCst), "{functions:#?}");
        functions.into_iter().find(|stats| stats.function == function).expect("it was called")
    }
}

/// A call of [`gated`] in a task.
fn spawned(begun: &Begun, cache: &Cache, gate: &Arc<Gate>, id: u64) -> tokio::task::JoinHandle<u64> {
    let (begun, cache, gate) = (begun.clone(), cache.clone(), Arc::clone(gate));
    tokio::spawn(async move { begun.call(gated(&cache, &gate, id)).await })
}

#[tokio::test]
async fn in_a_stampede_of_tasks() {
    let server = Server::start();
    for cache in caches(&server) {
        let (begun, gate) = (Begun::default(), Arc::new(Gate::closed()));
        let calls: Vec<_> = (0..100).map(|_| spawned(&begun, &cache, &gate, 1)).collect();
        gate.wait_for(1).await;
        settle(&cache).await;
        gate.open();
        for call in calls {
            assert_eq!(call.await.unwrap(), 1001);
        }
        begun.call(gated(&cache, &gate, 1)).await;
        let stats = begun.counted(&[&cache], "once:gated");
        assert_eq!((stats.calls.miss, stats.calls.bypass), (1, 0));
        assert!(stats.calls.hit >= 1 && stats.calls.shared >= 90, "{stats:?}");
        assert_eq!((stats.bodies.ok.count(), stats.fills.stored), (1, 1));
        assert!(stats.waits.count() >= 90);
        assert!(stats.saved_seconds > 0.0);
    }
}

#[test]
fn in_a_stampede_of_threads() {
    let server = Server::start();
    for cache in caches(&server) {
        let (begun, gate) = (Begun::default(), Gate::closed());
        thread::scope(|scope| {
            (0..32).for_each(|_| drop(scope.spawn(|| begun.plain(|| gated_blocking(&cache, &gate, 1)))));
            eventually("a body begins", || gate.entered() == 1);
            gate.open();
        });
        let stats = begun.counted(&[&cache], "once:gated");
        assert_eq!((stats.calls.miss, stats.calls.bypass, stats.bodies.ok.count()), (1, 0, 1));
    }
}

/// Both faces, in two processes as far as the caches know.
#[tokio::test(flavor = "multi_thread")]
async fn across_processes_and_faces() {
    let server = Server::start();
    let [one, other] = [0; 2].map(|_| Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build());
    let (begun, gate) = (Begun::default(), Arc::new(Gate::closed()));
    let mut calls: Vec<_> =
        (0..20).flat_map(|_| [&one, &other].map(|cache| spawned(&begun, cache, &gate, 1))).collect();
    for cache in [&one, &other] {
        let (begun, cache, gate) = (begun.clone(), cache.clone(), Arc::clone(&gate));
        calls.push(tokio::task::spawn_blocking(move || begun.plain(|| gated_blocking(&cache, &gate, 1))));
    }
    gate.wait_for(1).await;
    settle(&one).await;
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap(), 1001);
    }
    begun.counted(&[&one, &other], "once:gated");
    assert_eq!(gate.entered(), 1);
}

#[tokio::test]
async fn of_cancelled_leaders_and_followers() {
    let server = Server::start();
    for cache in caches(&server) {
        let (begun, gate) = (Begun::default(), Arc::new(Gate::closed()));
        let mut calls: Vec<_> = (0..30).map(|_| spawned(&begun, &cache, &gate, 1)).collect();
        for leaders in 1..=5 {
            gate.wait_for(leaders).await;
            let leading = calls.iter().position(|call| Some(call.id()) == gate.task());
            let leader = calls.swap_remove(leading.expect("one of the calls runs the body"));
            leader.abort();
            assert!(leader.await.unwrap_err().is_cancelled());
        }
        gate.wait_for(6).await;
        settle(&cache).await;
        let leader = gate.task();
        let (leading, following): (Vec<_>, Vec<_>) = calls.into_iter().partition(|call| Some(call.id()) == leader);
        for call in following {
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
        }
        gate.open();
        for call in leading {
            assert_eq!(call.await.unwrap(), 1006);
        }
        let stats = begun.counted(&[&cache], "once:gated");
        assert_eq!((stats.calls.miss, stats.calls.cancelled), (6, 24));
        assert_eq!((stats.bodies.cancelled.count(), stats.bodies.ok.count()), (5, 1));
    }
}

/// While a call reads, leases, runs its body, stores, or waits.
#[tokio::test]
async fn of_calls_that_are_cancelled_at_any_point() {
    #[redis_cached(prefix = "once", name = "steps", lease = "10m", cache = cache, skip(cache))]
    async fn steps(cache: &Cache, id: u64) -> u64 {
        tokio::task::yield_now().await;
        id
    }
    #[redis_cached(prefix = "once", name = "many_steps", batch(id in ids), cache = cache, skip(cache))]
    async fn many_steps(cache: &Cache, ids: &[u64]) -> HashMap<u64, u64> {
        tokio::task::yield_now().await;
        ids.iter().map(|id| (*id, *id)).collect()
    }
    let server = Server::start();
    for cache in caches(&server) {
        let begun = Begun::default();
        for polls in 1..12 {
            _ = polled(polls, begun.call(steps(&cache, 1))).await;
            begun.add(3);
            _ = polled(polls, many_steps(&cache, &[2, 3, 4])).await;
            if polls % 3 == 0 {
                _ = steps_entry(&cache, 1).invalidate().await;
                _ = many_steps_entry(&cache, 3).invalidate().await;
            }
        }
        begun.counted(&[&cache], "once:steps");
    }
}

#[tokio::test]
async fn of_bodies_that_panic_or_fail() {
    #[redis_cached(prefix = "once", name = "fragile", cache = cache, skip(cache, gate))]
    async fn fragile(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        assert!(gate.pass().await > 1, "the first run panics");
        id
    }
    #[redis_cached(prefix = "once", name = "fragile_plain", cache = cache, skip(cache, panics))]
    fn fragile_plain(cache: &Cache, panics: bool, id: u64) -> u64 {
        assert!(!panics);
        id
    }
    #[redis_cached(prefix = "once", name = "failing", cache = cache, skip(cache, gate))]
    async fn failing(cache: &Cache, gate: &Gate, id: u64) -> Result<u64, String> {
        gate.pass().await;
        Err(format!("{id}"))
    }
    #[redis_cached(prefix = "once", name = "alone", share_errors = off, cache = cache, skip(cache, gate))]
    async fn alone(cache: &Cache, gate: &Gate, id: u64) -> Result<u64, String> {
        gate.pass().await;
        Err(format!("{id}"))
    }
    let server = Server::start();
    for cache in caches(&server) {
        let begun = Begun::default();
        macro_rules! stampede {
            ($function:ident) => {{
                let gate = Arc::new(Gate::closed());
                let calls = (0..20).map(|_| {
                    let (begun, cache, gate) = (begun.clone(), cache.clone(), Arc::clone(&gate));
                    tokio::spawn(async move { begun.call($function(&cache, &gate, 1)).await })
                });
                let calls: Vec<_> = calls.collect();
                gate.wait_for(1).await;
                settle(&cache).await;
                gate.open();
                for call in calls {
                    _ = call.await;
                }
            }};
        }
        stampede!(fragile);
        stampede!(failing);
        stampede!(alone);
        let caught = std::panic::catch_unwind(AssertUnwindSafe(|| begun.plain(|| fragile_plain(&cache, true, 1))));
        assert!(caught.is_err());
        begun.plain(|| fragile_plain(&cache, false, 1));
        let stats = begun.counted(&[&cache], "once:fragile");
        assert_eq!((stats.bodies.panic.count(), stats.bodies.ok.count()), (1, 1));
        let stats = begun.counted(&[&cache], "once:fragile_plain");
        assert_eq!((stats.bodies.panic.count(), stats.calls.miss), (1, 2));
        let stats = begun.counted(&[&cache], "once:failing");
        assert_eq!((stats.bodies.err.count(), stats.calls.miss, stats.calls.shared), (1, 1, 19));
        let stats = begun.counted(&[&cache], "once:alone");
        assert_eq!((stats.bodies.err.count(), stats.calls.shared), (20, 0));
    }
}

/// An old value is served where the body fails, in place of the miss.
#[tokio::test]
async fn of_old_values_in_place_of_errors() {
    #[redis_cached(
        ttl = "20ms", stale_if_error = "1h", prefix = "once", name = "fallback", cache = cache, skip(cache, fails)
    )]
    async fn fallback(cache: &Cache, fails: bool, id: u64) -> Result<u64, String> {
        if fails { Err("no".to_owned()) } else { Ok(id) }
    }
    let server = Server::start();
    for cache in caches(&server) {
        let begun = Begun::default();
        assert_eq!(begun.call(fallback(&cache, false, 1)).await, Ok(1));
        test_support::expired(fallback_entry(&cache, 1)).await;
        for _ in 0..3 {
            assert_eq!(begun.call(fallback(&cache, true, 1)).await, Ok(1));
        }
        let stats = begun.counted(&[&cache], "once:fallback");
        assert_eq!((stats.calls.miss, stats.calls.stale), (1, 3), "{stats:?}");
        assert!(stats.bodies.err.count() >= 1);
    }
}

#[tokio::test]
async fn of_values_that_are_not_stored() {
    #[redis_cached(prefix = "once", name = "absent", cache = cache, skip(cache))]
    async fn absent(cache: &Cache, id: u64) -> Option<u64> {
        let _ = id;
        None
    }
    #[redis_cached(prefix = "once", name = "unwanted", cache = cache, skip(cache), cache_if = |_| false)]
    fn unwanted(cache: &Cache, id: u64) -> u64 {
        id
    }
    let server = Server::start();
    for cache in caches(&server) {
        let begun = Begun::default();
        for _ in 0..3 {
            begun.call(absent(&cache, 1)).await;
            begun.plain(|| unwanted(&cache, 1));
        }
        let stats = begun.counted(&[&cache], "once:absent");
        assert_eq!((stats.calls.miss, stats.bodies.none.count(), stats.fills.not_cacheable), (3, 3, 3));
        let stats = begun.counted(&[&cache], "once:unwanted");
        assert_eq!((stats.calls.miss, stats.bodies.ok.count(), stats.fills.not_cacheable), (3, 3, 3));
    }
}

#[tokio::test]
async fn of_calls_inside_of_bodies() {
    #[redis_cached(prefix = "once", name = "recursive", cache = cache, skip(cache, begun, depth))]
    fn recursive<'a>(
        cache: &'a Cache,
        begun: &'a Begun,
        depth: &'a AtomicUsize,
        id: u64,
    ) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send + 'a>> {
        Box::pin(async move {
            if depth.fetch_add(1, SeqCst) == 2 {
                return id;
            }
            begun.call(recursive(cache, begun, depth, id)).await + 1
        })
    }
    let server = Server::start();
    for cache in caches(&server) {
        let (begun, depth) = (Begun::default(), AtomicUsize::new(0));
        assert_eq!(begun.call(recursive(&cache, &begun, &depth, 10)).await, 12);
        assert_eq!(begun.counted(&[&cache], "once:recursive").bodies.ok.count(), 3);
    }
}

#[tokio::test]
async fn while_redis_hangs_and_is_away() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(Duration::from_millis(100)).build();
    let (begun, gate) = (Begun::default(), Arc::new(Gate::closed()));
    gate.open();
    begun.call(gated(&cache, &gate, 9)).await;
    server.stop();
    for id in 1..3 {
        let calls: Vec<_> = (0..20).map(|_| spawned(&begun, &cache, &gate, id)).collect();
        for call in calls {
            call.await.unwrap();
        }
    }
    begun.plain(|| gated_blocking(&cache, &gate, 3));
    let stats = begun.counted(&[&cache], "once:gated");
    assert_eq!(stats.calls.miss, 1, "{stats:?}");
    assert!(stats.calls.bypass >= 3, "{stats:?}");
    server.cont();
}

#[tokio::test]
async fn where_calls_share_less_or_wait_less() {
    #[redis_cached(prefix = "once", name = "process", single_flight = process, cache = cache, skip(cache, gate))]
    async fn process(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        gate.pass().await;
        id
    }
    #[redis_cached(prefix = "once", name = "single", single_flight = off, cache = cache, skip(cache, gate))]
    async fn single(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        gate.pass().await;
        id
    }
    #[redis_cached(prefix = "once", name = "hasty", wait = "50ms", cache = cache, skip(cache, gate))]
    async fn hasty(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        gate.pass().await;
        id
    }
    let server = Server::start();
    let [one, other] = [0; 2].map(|_| Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build());
    let begun = Begun::default();
    macro_rules! stampede {
        ($function:ident, $bodies:expr) => {{
            let gate = Arc::new(Gate::closed());
            let calls = (0..10).flat_map(|_| [&one, &other]).map(|cache| {
                let (begun, cache, gate) = (begun.clone(), cache.clone(), Arc::clone(&gate));
                tokio::spawn(async move { begun.call($function(&cache, &gate, 1)).await })
            });
            let calls: Vec<_> = calls.collect();
            gate.wait_for($bodies).await;
            gate.open();
            for call in calls {
                assert_eq!(call.await.unwrap(), 1);
            }
        }};
    }
    stampede!(process, 2);
    stampede!(single, 20);
    stampede!(hasty, 2);
    begun.counted(&[&one, &other], "once:hasty");
}

#[tokio::test]
async fn of_each_id_of_a_batch() {
    #[redis_cached(prefix = "once", name = "batch", batch(id in ids), cache = cache, skip(cache, gate, fails))]
    async fn batch(cache: &Cache, gate: &Gate, fails: bool, ids: &[u64]) -> Result<HashMap<u64, u64>, String> {
        gate.pass().await;
        if fails {
            return Err("no".to_owned());
        }
        // One more than it was asked for, and one less.
        Ok(ids.iter().filter(|id| **id != 5).map(|id| (*id, *id)).chain([(100, 100)]).collect())
    }
    let server = Server::start();
    for cache in caches(&server) {
        let (begun, gate) = (Begun::default(), Arc::new(Gate::closed()));
        let call = |fails: bool, ids: std::ops::Range<u64>| {
            begun.add(ids.end - ids.start);
            let (cache, gate, ids) = (cache.clone(), Arc::clone(&gate), ids.collect::<Vec<_>>());
            tokio::spawn(async move { batch(&cache, &gate, fails, &ids).await })
        };
        let first = call(false, 0..10);
        gate.wait_for(1).await;
        let others = [call(false, 5..15), call(true, 8..20), call(false, 0..3)];
        settle(&cache).await;
        gate.open();
        first.await.unwrap().unwrap();
        for other in others {
            _ = other.await.unwrap();
        }
        let found = call(false, 0..5).await.unwrap().unwrap();
        assert_eq!(found.len(), 5);
        // An id that is given twice is one.
        batch(&cache, &gate, false, &[1, 1, 2, 2]).await.unwrap();
        begun.add(2);
        let stats = begun.counted(&[&cache], "once:batch");
        assert!(stats.calls.hit >= 7 && stats.bodies.ok.count() >= 2 && stats.fills.stored >= 9, "{stats:?}");
    }
}

#[tokio::test]
async fn in_groups_and_under_tags() {
    #[redis_cached(prefix = "once", name = "field", group = "of:{of}", cache = cache, skip(cache))]
    async fn field(cache: &Cache, of: u64, id: u64) -> u64 {
        of + id
    }
    #[redis_cached(prefix = "once", name = "tagged", tags = ["of:{of}"], cache = cache, skip(cache))]
    fn tagged(cache: &Cache, of: u64, id: u64) -> u64 {
        of + id
    }
    let server = Server::start();
    for cache in caches(&server) {
        let begun = Begun::default();
        for _ in 0..3 {
            for id in 0..4 {
                begun.call(field(&cache, 1, id)).await;
                begun.plain(|| tagged(&cache, 1, id));
            }
        }
        field_group(&cache, 1).invalidate().await.unwrap();
        cache.invalidate_tag("of:1").await.unwrap();
        begun.call(field(&cache, 1, 0)).await;
        begun.plain(|| tagged(&cache, 1, 0));
        let stats = begun.counted(&[&cache], "once:field");
        assert_eq!((stats.calls.miss, stats.calls.hit), (5, 8));
        let stats = begun.counted(&[&cache], "once:tagged");
        assert_eq!((stats.calls.miss, stats.calls.hit, stats.unusable.tags), (5, 8, 1));
        let invalidations = cache.stats().invalidations;
        assert_eq!((invalidations.group.delivered, invalidations.tag.delivered), (1, 1));
        assert_eq!((invalidations.entry.delivered, invalidations.tag.failed), (0, 0));
    }
}

#[tokio::test]
async fn where_the_cache_is_off() {
    let cache = Cache::builder("off://").unwrap().build();
    let (begun, gate) = (Begun::default(), Gate::closed());
    gate.open();
    begun.call(gated(&cache, &gate, 1)).await;
    begun.plain(|| gated_blocking(&cache, &gate, 1));
    let stats = begun.counted(&[&cache], "once:gated");
    assert_eq!((stats.calls.bypass, stats.bodies.ok.count()), (2, 2));
    assert!(!cache.server_stats().up);
    // Nothing is refreshed, because nothing can be stored.
    #[redis_cached(prefix = "once", name = "off_many", batch(id in ids), cache = cache, skip(cache))]
    fn many(cache: &Cache, ids: &[u64]) -> HashMap<u64, u64> {
        ids.iter().map(|id| (*id, *id)).collect()
    }
    gated_refresh(&cache, &gate, 1).await;
    gated_blocking_refresh(&cache, &gate, 1);
    many_refresh(&cache, &[1, 2]);
    let counted = cache.functions().into_iter().map(|function| (function.refreshes.begun, function.refreshes.unstored));
    assert_eq!(counted.collect::<Vec<_>>(), [(0, 0), (0, 0)]);
}

#[cfg(feature = "local")]
#[tokio::test]
async fn in_the_local_tier() {
    #[redis_cached(prefix = "once", name = "kept", local = 100, cache = cache, skip(cache))]
    async fn kept(cache: &Cache, id: u64) -> u64 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        id
    }
    #[redis_cached(prefix = "once", name = "kept_plain", local = 100, cache = cache, skip(cache))]
    fn kept_plain(cache: &Cache, id: u64) -> u64 {
        thread::sleep(Duration::from_millis(2));
        id
    }
    #[redis_cached(prefix = "once", name = "kept_many", local = 100, batch(id in ids), cache = cache, skip(cache))]
    async fn kept_many(cache: &Cache, ids: &[u64]) -> HashMap<u64, u64> {
        tokio::time::sleep(Duration::from_millis(2)).await;
        ids.iter().map(|id| (*id, *id)).collect()
    }
    const MORE: u64 = 3_000;
    let server = Server::start();
    for cache in caches(&server) {
        let begun = Begun::default();
        in_time("all are kept", async || {
            let before = cache.stats().local_hits;
            begun.call(kept(&cache, 1)).await;
            begun.plain(|| kept_plain(&cache, 1));
            begun.add(2);
            kept_many(&cache, &[1, 2]).await;
            cache.stats().local_hits == before + 4
        })
        .await;
        // More than fit into the word that a hit adds to.
        for _ in 0..MORE {
            begun.call(kept(&cache, 1)).await;
        }
        let stats = begun.counted(&[&cache], "once:kept");
        let answered = (stats.calls.local + stats.calls.hit) as f64;
        assert!(stats.calls.local > MORE / 2 && stats.saved_seconds >= answered * 0.002, "{stats:?}");
        assert_eq!((stats.local.entries, stats.calls.miss), (1, 1));
        assert!(stats.local.bytes > 0 && stats.local.admitted >= 1);
        let stats = begun.counted(&[&cache], "once:kept_many");
        // Two ids, and one body for both.
        let calls = ((stats.calls.local + stats.calls.hit) / 2) as f64;
        let longest = stats.bodies.ok.sum;
        assert!((stats.saved_seconds - calls * longest).abs() < 1e-3, "{stats:?}");
        kept_entry(&cache, 1).invalidate().await.unwrap();
        let functions = cache.functions();
        let stats = functions.iter().find(|stats| stats.function == "once:kept").unwrap();
        assert_eq!((stats.local.entries, stats.local.voided), (0, 1));
    }
}
