//! `none_ttl = …`: stores `None`, for a time of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use test_support::Server;

static RUNS: AtomicUsize = AtomicUsize::new(0);

const SHORT: Duration = Duration::from_secs(7);

#[redis_cached]
fn without(id: u64) -> Option<u64> {
    RUNS.fetch_add(1, Ordering::SeqCst);
    (id > 0).then_some(id)
}

#[redis_cached(none_ttl = "30s", ttl = forever)]
fn with(id: u64) -> Option<u64> {
    (id > 0).then_some(id)
}

#[redis_cached(none_ttl = SHORT)]
async fn in_a_result(id: u64) -> Result<Option<u64>, String> {
    Ok((id > 0).then_some(id))
}

type Found = Option<u64>;

#[redis_cached(none_ttl = 5)]
fn behind_an_alias(id: u64) -> Found {
    (id > 0).then_some(id)
}

#[test]
fn none_is_not_stored_without_it() {
    without(0);
    without(0);
    assert_eq!(RUNS.load(Ordering::SeqCst), 2);
    assert_eq!(without_entry(0).get().unwrap(), None);
}

#[tokio::test]
async fn none_is_a_hit_with_it() {
    with(0);
    assert_eq!(with_entry(0).get().unwrap(), Some(None));
    assert!(with_entry(0).ttl().unwrap().unwrap() <= Duration::from_secs(30));
    with(1);
    assert_eq!(with_entry(1).ttl().unwrap(), Some(Duration::MAX));

    in_a_result(0).await.unwrap();
    assert_eq!(in_a_result_entry(0).get().await.unwrap(), Some(None));
    assert!(in_a_result_entry(0).ttl().await.unwrap().unwrap() <= SHORT);

    behind_an_alias(0);
    assert_eq!(behind_an_alias_entry(0).get().unwrap(), Some(None));
}

#[tokio::test]
async fn a_stored_none_runs_no_body_again() {
    #[redis_cached(prefix = "none", name = "absent", none_ttl = "1h", cache = cache, skip(cache, runs))]
    async fn absent(cache: &Cache, runs: &AtomicUsize, id: u64) -> Option<u64> {
        (runs.fetch_add(1, Ordering::SeqCst) > 0).then_some(id)
    }
    #[redis_cached(prefix = "none", name = "absent_blocking", none_ttl = "1h", cache = cache, skip(cache, runs))]
    fn absent_blocking(cache: &Cache, runs: &AtomicUsize, id: u64) -> Result<Option<u64>, String> {
        Ok((runs.fetch_add(1, Ordering::SeqCst) > 0).then_some(id))
    }
    let server = Server::start();
    for cache in ["memory://", &server.url()].map(|url| Cache::builder(url).unwrap().build()) {
        let runs = [const { AtomicUsize::new(0) }; 2];
        for _ in 0..3 {
            assert_eq!(absent(&cache, &runs[0], 1).await, None);
            assert_eq!(absent_blocking(&cache, &runs[1], 1), Ok(None));
        }
        assert_eq!(runs.each_ref().map(|runs| runs.load(Ordering::SeqCst)), [1, 1]);
        assert_eq!(absent_entry(&cache, 1).get().await.unwrap(), Some(None));
        assert_eq!(absent_blocking_entry(&cache, 1).get().unwrap(), Some(None));
    }
}
