//! `refresh_ahead`: close to the end of its lifetime a value is refreshed in the background, so that calls that
//! come often never wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use test_support::{Gate, PATIENCE, Server, caches, eventually, in_time};

#[redis_cached(prefix = "ahead", name = "count", ttl = "2s", refresh_ahead = 0.05, cache = cache, skip(cache, gate))]
async fn count(cache: &Cache, gate: Arc<Gate>, id: u64) -> u64 {
    id + gate.pass().await as u64
}

#[redis_cached(prefix = "ahead", name = "count_blocking", ttl = "2s", refresh_ahead = 0.05, cache = cache, skip(cache, gate))]
fn count_blocking(cache: &Cache, gate: Arc<Gate>, id: u64) -> u64 {
    id + gate.pass_blocking() as u64
}

fn open() -> Arc<Gate> {
    let gate = Arc::new(Gate::closed());
    gate.open();
    gate
}

/// Calls until a body runs in the background. Each call returns the value that is there.
async fn until_refreshing(cache: &Cache, gate: &Arc<Gate>) {
    let (begun, bodies) = (Instant::now(), gate.entered());
    while gate.entered() == bodies {
        assert_eq!(count(cache, gate.clone(), 10).await, 10 + bodies as u64);
        assert!(begun.elapsed() < PATIENCE, "never refreshed");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_value_close_to_its_end_is_served_and_refreshed_once_behind() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = open();
        let begun = Instant::now();
        assert_eq!(count(&cache, gate.clone(), 10).await, 11);
        gate.close();
        until_refreshing(&cache, &gate).await;
        assert!(begun.elapsed() >= Duration::from_millis(95), "it was not due: {:?}", begun.elapsed());
        let left = count_entry(&cache, 10).ttl().await.unwrap().expect("it is still fresh");
        assert!(left <= Duration::from_millis(1900), "{left:?}");
        for _ in 0..50 {
            assert_eq!(count(&cache, gate.clone(), 10).await, 11, "nobody waits");
        }
        assert_eq!(gate.entered(), 2);
        gate.open();
        in_time("it is stored", async || count_entry(&cache, 10).get().await.unwrap() == Some(12)).await;
    }
}

#[test]
fn the_same_of_plain_functions() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = open();
        assert_eq!(count_blocking(&cache, gate.clone(), 10), 11);
        gate.close();
        eventually("it is refreshed", || {
            assert_eq!(count_blocking(&cache, gate.clone(), 10), 11);
            gate.entered() == 2
        });
        gate.open();
        eventually("it is stored", || count_blocking_entry(&cache, 10).get().unwrap() == Some(12));
    }
}

#[tokio::test]
async fn a_miss_during_a_refresh_waits_for_it() {
    let server = Server::start();
    for cache in caches(&server) {
        // Another process misses: it follows from afar.
        let other = if format!("{cache:?}").contains("redis://") {
            Cache::builder(&server.url()).unwrap().build()
        } else {
            cache.clone()
        };
        let gate = open();
        assert_eq!(count(&cache, gate.clone(), 10).await, 11);
        gate.close();
        until_refreshing(&cache, &gate).await;
        in_time("it expires", async || count_entry(&cache, 10).get().await.unwrap().is_none()).await;
        let calls = async { tokio::join!(count(&cache, gate.clone(), 10), count(&other, gate.clone(), 10)) };
        let opening = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            gate.open();
        };
        assert_eq!(tokio::join!(calls, opening).0, (12, 12));
        assert_eq!(gate.entered(), 2, "one body for the refresh and the misses");
    }
}

#[test]
fn a_plain_miss_during_a_refresh_waits_for_it() {
    let server = Server::start();
    for cache in caches(&server) {
        let other = if format!("{cache:?}").contains("redis://") {
            Cache::builder(&server.url()).unwrap().build()
        } else {
            cache.clone()
        };
        let gate = open();
        assert_eq!(count_blocking(&cache, gate.clone(), 10), 11);
        gate.close();
        eventually("a refresh begins", || {
            assert_eq!(count_blocking(&cache, gate.clone(), 10), 11);
            gate.entered() == 2
        });
        eventually("it expires", || count_blocking_entry(&cache, 10).get().unwrap().is_none());
        std::thread::scope(|scope| {
            for cache in [&cache, &other] {
                let gate = gate.clone();
                scope.spawn(move || assert_eq!(count_blocking(cache, gate, 10), 12));
            }
            std::thread::sleep(Duration::from_millis(50));
            gate.open();
        });
        assert_eq!(gate.entered(), 2, "one body for the refresh and the misses");
    }
}

#[tokio::test]
async fn a_refresh_overtaken_by_an_invalidation_is_not_stored() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = open();
        assert_eq!(count(&cache, gate.clone(), 10).await, 11);
        gate.close();
        until_refreshing(&cache, &gate).await;
        assert!(count_entry(&cache, 10).invalidate().await.unwrap());
        gate.open();
        in_time("the refresh ends", async || cache.stats().refused == 1).await;
        assert_eq!(count_entry(&cache, 10).get().await.unwrap(), None);
        assert_eq!(count(&cache, gate.clone(), 10).await, 13);
    }
}
