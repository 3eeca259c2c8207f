//! The right to fill a slot: kept while its body runs, and void once the slot was emptied.

mod support;

use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use support::Server;

fn expires_in(server: &Server, key: &str) -> i64 {
    redis::cmd("PTTL").arg(key).query(&mut server.connection()).unwrap()
}

/// Whether the lease's time started again since it was `last`.
fn renewed(server: &Server, key: &str, last: &mut i64) -> bool {
    let left = expires_in(server, key);
    assert!((0..=10_000).contains(&left), "a lease of ten seconds: {left}");
    let renewed = left > *last;
    *last = left;
    renewed
}

#[redis_cached(prefix = "lease", name = "slow", cache = cache, skip(cache, server))]
async fn slow(cache: &Cache, server: &Server, id: u64) -> u64 {
    let (started, mut last) = (Instant::now(), i64::MAX);
    while !renewed(server, "lease:slow:1", &mut last) {
        assert!(started.elapsed() < Duration::from_secs(9), "not renewed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    id
}

#[redis_cached(prefix = "lease", name = "slow_blocking", cache = cache, skip(cache, server))]
fn slow_blocking(cache: &Cache, server: &Server, id: u64) -> u64 {
    let (started, mut last) = (Instant::now(), i64::MAX);
    while !renewed(server, "lease:slow_blocking:1", &mut last) {
        assert!(started.elapsed() < Duration::from_secs(9), "not renewed");
        std::thread::sleep(Duration::from_millis(20));
    }
    id
}

#[tokio::test]
async fn a_running_body_keeps_its_lease() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    slow(&cache, &server, 1).await;
    assert_eq!(slow_entry(&cache, 1).get().await.unwrap(), Some(1));
}

#[test]
fn a_running_plain_body_keeps_its_lease() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    slow_blocking(&cache, &server, 1);
    assert_eq!(slow_blocking_entry(&cache, 1).get().unwrap(), Some(1));
}

/// Whoever empties the slot, in whatever way and language, voids the computation.
#[tokio::test]
async fn any_deletion_during_a_body_voids_its_result() {
    #[redis_cached(prefix = "lease", name = "voided", cache = cache, skip(cache, server, command))]
    async fn voided(cache: &Cache, server: &Server, command: &[&str], id: u64) -> u64 {
        server.cli(command);
        id
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let key = "lease:voided:1";
    for command in [
        &["DEL", key][..],
        &["UNLINK", key],
        &["FLUSHALL"],
        &["PEXPIRE", key, "0"],
        &["SET", key, "somebody's"],
        &["RENAME", key, "elsewhere"],
    ] {
        voided(&cache, &server, command, 1).await;
        assert_eq!(voided_entry(&cache, 1).get().await.unwrap(), None, "{command:?}");
        server.cli(&["DEL", key]);
    }
    assert_eq!(cache.stats().refused, 6);
    voided(&cache, &server, &["PING"], 1).await;
    assert_eq!(voided_entry(&cache, 1).get().await.unwrap(), Some(1));
}
