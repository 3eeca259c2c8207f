//! Tests that pause tokio's clock: what waits for time there takes none, with the memory store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use tokio::task::JoinSet;
use tokio::time;

/// Far more than a call takes, and less than a body sleeps.
const REAL: Duration = Duration::from_secs(10);

#[redis_cached(prefix = "paused", name = "slow", cache = cache, skip(cache, runs))]
async fn slow(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    runs.fetch_add(1, SeqCst);
    time::sleep(Duration::from_secs(20)).await;
    id
}

#[redis_cached(prefix = "paused", name = "many", batch(id in ids), cache = cache, skip(cache, runs))]
async fn many(cache: &Cache, runs: &AtomicUsize, ids: &[u64]) -> BTreeMap<u64, u64> {
    runs.fetch_add(1, SeqCst);
    time::sleep(Duration::from_secs(20)).await;
    ids.iter().map(|id| (*id, *id)).collect()
}

#[redis_cached(prefix = "paused", name = "hasty", wait = "30s", cache = cache, skip(cache, runs))]
async fn hasty(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    runs.fetch_add(1, SeqCst);
    time::sleep(Duration::from_secs(100)).await;
    id
}

#[redis_cached(prefix = "paused", name = "hasty_many", wait = "30s", batch(id in ids), cache = cache, skip(cache, runs))]
async fn hasty_many(cache: &Cache, runs: &AtomicUsize, ids: &[u64]) -> BTreeMap<u64, u64> {
    runs.fetch_add(1, SeqCst);
    time::sleep(Duration::from_secs(100)).await;
    ids.iter().map(|id| (*id, *id)).collect()
}

/// Makes ten calls at once, and returns how many bodies ran, and how long the calls took on the paused clock.
macro_rules! ten {
    ($cache:expr, $call:expr) => {{
        let (runs, began) = (Arc::new(AtomicUsize::new(0)), time::Instant::now());
        let mut calls = JoinSet::new();
        for _ in 0..10 {
            let (cache, runs) = ($cache.clone(), Arc::clone(&runs));
            calls.spawn(async move { $call(&cache, &runs).await });
        }
        for value in calls.join_all().await {
            assert_eq!(value, 1);
        }
        (runs.load(SeqCst), began.elapsed().as_secs())
    }};
}

#[tokio::test(start_paused = true)]
async fn a_body_that_sleeps_takes_no_time() {
    for ahead in [Duration::ZERO, Duration::from_secs(3_600)] {
        let (begun, cache) = (Instant::now(), Cache::builder("memory://").unwrap().build());
        time::advance(ahead).await;
        let one = ten!(cache, async |cache, runs: &AtomicUsize| slow(cache, runs, 1).await);
        let many = ten!(cache, async |cache, runs: &AtomicUsize| many(cache, runs, &[1, 2]).await[&1]);
        assert_eq!((one, many), ((1, 20), (1, 20)));
        assert!(begun.elapsed() < REAL, "{:?} after {ahead:?}", begun.elapsed());
    }
}

/// The bound on waiting is one of that clock, too.
#[tokio::test(start_paused = true)]
async fn the_wait_for_a_longer_body_takes_no_time() {
    for ahead in [Duration::ZERO, Duration::from_secs(3_600)] {
        let (begun, cache) = (Instant::now(), Cache::builder("memory://").unwrap().build());
        time::advance(ahead).await;
        let one = ten!(cache, async |cache, runs: &AtomicUsize| hasty(cache, runs, 1).await);
        let many = ten!(cache, async |cache, runs: &AtomicUsize| hasty_many(cache, runs, &[1, 2]).await[&1]);
        println!("{one:?} {many:?}");
        assert!(one.0 > 1 && many.0 > 1, "{one:?} {many:?}");
        assert!(begun.elapsed() < REAL, "{:?} after {ahead:?}", begun.elapsed());
    }
}
