//! How much is kept: a number of entries, and their memory.

use std::sync::Arc;

use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};

use super::Origin;

#[redis_cached(prefix = "local", local = 10, cache = cache, skip(cache))]
async fn few(cache: &Cache, id: u64) -> u64 {
    id
}

#[tokio::test]
async fn no_more_entries_are_kept_than_allowed() {
    let cache = &Cache::builder("memory://").unwrap().build();
    for id in 0..200 {
        few(cache, id).await;
        few(cache, id).await;
    }
    let before = cache.stats().local_hits;
    for id in 0..200 {
        // A call that is not answered from the tier would be kept, and take the place of another.
        let hits = cache.stats().local_hits;
        few(cache, id).await;
        if cache.stats().local_hits == hits {
            few_entry(cache, id).invalidate().await.unwrap();
        }
    }
    let kept = cache.stats().local_hits - before;
    assert!((1..=10).contains(&kept), "{kept}");
}

#[redis_cached(prefix = "local", local = 10_000, cache = cache, skip(cache))]
async fn large(cache: &Cache, id: u64) -> Large {
    Large(Arc::new(vec![id as u8; 100_000]))
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "Vec<u8>", into = "Vec<u8>")]
pub(super) struct Large(pub(super) Arc<Vec<u8>>);

impl From<Vec<u8>> for Large {
    fn from(bytes: Vec<u8>) -> Large {
        Large(Arc::new(bytes))
    }
}

impl From<Large> for Vec<u8> {
    fn from(large: Large) -> Vec<u8> {
        large.0.to_vec()
    }
}

/// What is dropped is what no call holds: weak references tell which values are kept.
#[tokio::test]
async fn the_values_stay_within_their_memory() {
    const MEGABYTE: u64 = 1 << 20;
    let cache = &Cache::builder("memory://?max_mb=200").unwrap().local_max_bytes(4 * MEGABYTE).build();
    let mut values = Vec::new();
    for id in 0..500 {
        large(cache, id).await;
        values.push(Arc::downgrade(&large(cache, id).await.0));
    }
    let kept: u64 = values.iter().filter_map(std::sync::Weak::upgrade).map(|value| value.len() as u64).sum();
    assert!(kept > MEGABYTE && kept <= 4 * MEGABYTE, "{kept}");
}

#[redis_cached(prefix = "local", local = 1, cache = cache, skip(cache, origin))]
async fn settings(cache: &Cache, origin: &Origin) -> u64 {
    origin.read()
}

#[redis_cached(prefix = "local", local = 3, cache = cache, skip(cache))]
async fn of_three(cache: &Cache, id: u64) -> u64 {
    id
}

#[tokio::test]
async fn few_entries_are_kept_too() {
    let cache = &Cache::builder("memory://").unwrap().build();
    let origin = Origin::default();
    for _ in 0..2 {
        settings(cache, &origin).await;
        for id in 0..3 {
            of_three(cache, id).await;
        }
    }
    let before = cache.stats().local_hits;
    settings(cache, &origin).await;
    for id in 0..3 {
        of_three(cache, id).await;
    }
    assert_eq!(cache.stats().local_hits, before + 4);
}
