//! `none_ttl = …`: stores `None`, for a time of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis_cached::redis_cached;

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
