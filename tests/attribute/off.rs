//! `off://`: a cache that never caches.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use redis_cached::{Cache, ErrorKind, Invalidation, redis_cached};
use test_support::Gate;

#[redis_cached(prefix = "off", name = "row", tags = ["org:7"], cache = cache, skip(cache, runs))]
async fn row(cache: &Cache, runs: &AtomicUsize, id: u64) -> Result<u64, String> {
    Ok(id + runs.fetch_add(1, SeqCst) as u64)
}

#[redis_cached(prefix = "off", name = "plain", cache = cache, skip(cache, runs))]
fn plain(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    id + runs.fetch_add(1, SeqCst) as u64
}

#[redis_cached(prefix = "off", name = "seat", group = "class:{class}", cache = cache, skip(cache))]
async fn seat(cache: &Cache, class: u64, id: u64) -> u64 {
    class + id
}

#[redis_cached(prefix = "off", name = "many", batch(id in ids), cache = cache, skip(cache, asked))]
async fn many(cache: &Cache, asked: &Mutex<Vec<Vec<u64>>>, ids: &[u64]) -> Vec<(u64, u64)> {
    asked.lock().unwrap().push(ids.to_vec());
    ids.iter().map(|id| (*id, *id)).collect()
}

#[redis_cached(prefix = "off", name = "old", stale_while_revalidate = "1h", refresh_ahead = 0.1, cache = cache, skip(cache, runs))]
async fn old(cache: &Cache, runs: &Arc<AtomicUsize>) -> usize {
    runs.fetch_add(1, SeqCst)
}

fn off() -> Cache {
    Cache::builder("off://").unwrap().namespace("n").build()
}

#[tokio::test]
async fn every_call_runs_its_body() {
    let (cache, runs) = (off(), AtomicUsize::new(0));
    for run in 0..3 {
        assert_eq!(row(&cache, &runs, 10).await, Ok(10 + run));
    }
    assert_eq!(row_refresh(&cache, &runs, 10).await, Ok(13));
    assert_eq!(plain(&cache, &runs, 10), 14);
    assert_eq!(plain(&cache, &runs, 10), 15);
    assert_eq!(plain_refresh(&cache, &runs, 10), 16);
    assert_eq!(seat(&cache, 1, 2).await, 3);
    let asked = Mutex::new(Vec::new());
    for _ in 0..2 {
        assert_eq!(many(&cache, &asked, &[3, 1, 3]).await, [(3, 3), (1, 1)]);
    }
    assert_eq!(*asked.lock().unwrap(), [[3, 1], [3, 1]], "one body for all ids");
    let runs = Arc::new(AtomicUsize::new(0));
    for run in 0..3 {
        assert_eq!(old(&cache, &runs).await, run);
    }
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.stored, stats.refused, stats.refreshes), (0, 0, 0, 0, 0), "{stats:?}");
    assert!(stats.bypasses >= 9, "{stats:?}");
}

/// A refresh runs its body whatever is stored, so it bypasses nothing.
#[tokio::test]
async fn a_refresh_is_no_bypass() {
    let (cache, runs) = (off(), AtomicUsize::new(0));
    assert_eq!(row_refresh(&cache, &runs, 10).await, Ok(10));
    assert_eq!(plain_refresh(&cache, &runs, 10), 11);
    assert_eq!(cache.stats().bypasses, 0);
    assert_eq!(row(&cache, &runs, 10).await, Ok(12));
    assert_eq!(plain(&cache, &runs, 10), 13);
    assert_eq!(cache.stats().bypasses, 2);
}

#[test]
fn calls_do_not_wait_for_each_other() {
    #[redis_cached(prefix = "off", name = "gated", single_flight = process, cache = cache, skip(cache, gate))]
    fn gated(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        id + gate.pass_blocking() as u64
    }
    let (cache, gate) = (off(), Gate::closed());
    thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| gated(&cache, &gate, 1));
        }
        // All of them are inside at the same time.
        test_support::eventually("three bodies run", || gate.entered() == 3);
        gate.open();
    });
}

#[tokio::test]
async fn verbs_succeed_and_do_nothing() {
    let (cache, runs) = (off(), AtomicUsize::new(0));
    let entry = row_entry(&cache, 1);
    assert_eq!(entry.key().unwrap(), "n:off:row:1");
    assert!(!entry.put(&1).await.unwrap());
    assert_eq!(entry.get().await.unwrap(), None);
    assert_eq!(entry.ttl().await.unwrap(), None);
    assert!(!entry.invalidate().await.unwrap());
    assert_eq!(entry.write_through(&1, async || Ok::<_, ()>("written")).await, Ok("written"));
    assert_eq!(entry.write_through(&1, async || Err::<(), _>("deadlock")).await, Err("deadlock"));
    assert_eq!(entry.write_through_returning(async || Ok::<_, ()>(3)).await, Ok(3));
    assert!(!cache.invalidate_tag("org:7").await.unwrap());
    assert_eq!(cache.invalidate_all([Invalidation::from(&entry), Invalidation::tag("org:7")]).await.unwrap(), 0);
    assert_eq!(cache.get_all(&[entry]).await.unwrap(), [None]);
    assert_eq!(seat_group(&cache, 1).len().await.unwrap(), 0);
    assert!(!seat_group(&cache, 1).invalidate().await.unwrap());
    cache.flush(Duration::ZERO).await.unwrap();
    assert_eq!(cache.undelivered(), 0);

    let (entry, blocking) = (plain_entry(&cache, 1), cache.blocking());
    assert!(!entry.put(&1).unwrap());
    assert_eq!((entry.get().unwrap(), entry.ttl().unwrap(), entry.invalidate().unwrap()), (None, None, false));
    assert_eq!(entry.write_through(&1, || Ok::<_, ()>("written")), Ok("written"));
    assert!(!blocking.invalidate_tag("org:7").unwrap());
    assert_eq!(blocking.invalidate_all([&entry]).unwrap(), 0);
    assert_eq!(blocking.get_all(&[entry]).unwrap(), [None]);
    blocking.flush(Duration::ZERO).unwrap();
    assert_eq!(plain(&cache, &runs, 1), 1);
}

#[tokio::test]
async fn ping_says_so() {
    let cache = off();
    for error in [cache.ping().await.unwrap_err(), cache.blocking().ping().unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Off);
        assert!(error.to_string().contains("off://"), "{error}");
    }
    assert!(format!("{cache:?}").contains("off://"), "{cache:?}");
}

#[test]
fn it_takes_no_parameters() {
    for url in ["off://host", "off://?max_mb=1", "off:///", "off"] {
        assert_eq!(Cache::builder(url).unwrap_err().kind(), ErrorKind::Config, "{url}");
    }
}
