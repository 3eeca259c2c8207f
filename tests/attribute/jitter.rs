//! `jitter = …`: takes a random part off each lifetime.

use std::collections::HashSet;
use std::time::Duration;

use redis_cached::redis_cached;

#[redis_cached(ttl = "10h", jitter = 0.5)]
fn jittered(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = "10h", jitter = 1)]
fn wholly(id: u64) -> u64 {
    id
}

#[test]
fn lifetimes_differ_within_bounds() {
    let lifetimes: Vec<Duration> = (0..50)
        .map(|id| {
            jittered(id);
            jittered_entry(id).ttl().unwrap().unwrap()
        })
        .collect();
    let minutes: HashSet<u64> = lifetimes.iter().map(|left| left.as_secs() / 60).collect();
    assert!(minutes.len() > 20, "{minutes:?}");
    let bounds = Duration::from_secs(5 * 3600 - 60)..=Duration::from_secs(10 * 3600);
    assert!(lifetimes.iter().all(|left| bounds.contains(left)), "{lifetimes:?}");
}

#[test]
fn an_integer_is_a_part_too() {
    wholly(1);
    assert!(wholly_entry(1).get().unwrap().is_some());
}
