//! A function whose values never get into the store says so in the log, once, with the reason.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use test_support::{Server, caches, log};

/// The only line about a key that begins like this, and what it has to say.
#[track_caller]
fn assert_told_once(key: &str, reason: &str) {
    let lines = log::lines_about(key);
    assert!(lines.len() == 1 && lines[0].text.contains(reason), "{key} {reason}: {lines:?}");
}

#[tokio::test]
async fn too_large_for_the_memory_store() {
    #[redis_cached(cache = cache, skip(cache), prefix = "large")]
    async fn report(cache: &Cache, id: u64) -> String {
        "x".repeat((2 << 20) + id as usize)
    }
    #[redis_cached(cache = cache, skip(cache), prefix = "large-plain")]
    fn report_plain(cache: &Cache, id: u64) -> String {
        "x".repeat((2 << 20) + id as usize)
    }
    #[redis_cached(batch(id in ids), cache = cache, skip(cache), prefix = "large-batch")]
    fn reports(cache: &Cache, ids: &[u64]) -> BTreeMap<u64, String> {
        ids.iter().map(|id| (*id, "x".repeat(2 << 20))).collect()
    }
    log::listen();
    let cache = Cache::builder("memory://?max_mb=1").unwrap().build();
    for id in 0..5 {
        report(&cache, id).await;
        report_plain(&cache, id);
    }
    reports(&cache, &[1, 2, 3, 4]);
    for key in ["large:", "large-plain:", "large-batch:"] {
        assert_told_once(key, "larger than the memory store");
    }
    assert_eq!(cache.stats().refused, 14);
}

#[tokio::test]
async fn refused_by_the_server() {
    #[redis_cached(cache = cache, skip(cache), prefix = "refused")]
    async fn report(cache: &Cache, id: u64) -> String {
        "x".repeat((4 << 20) + id as usize)
    }
    log::listen();
    let server = Server::with(&["--proto-max-bulk-len", "1mb"]);
    let cache = Cache::builder(&server.url()).unwrap().timeout(test_support::PATIENCE).build();
    // Such a value costs the connection, which the call after it may notice.
    test_support::in_time("it is told", async || {
        report(&cache, 1).await;
        !log::lines_about("refused:").is_empty()
    })
    .await;
    for _ in 0..5 {
        report(&cache, 1).await;
    }
    assert_told_once("refused:", "a value of 4194");
}

#[tokio::test]
async fn a_body_that_keeps_its_thread_for_longer_than_a_lease() {
    #[redis_cached(cache = cache, skip(cache), lease = "100ms", prefix = "slow")]
    async fn slow(cache: &Cache, id: u64) -> u64 {
        let _ = cache;
        thread::sleep(Duration::from_millis(250));
        id
    }
    log::listen();
    let server = Server::start();
    for cache in caches(&server) {
        for id in 0..4 {
            slow(&cache, id).await;
        }
        assert_eq!(cache.stats().refused, 4);
    }
    assert_told_once("slow:", "its lease ended while its body ran");
}

#[tokio::test]
async fn invalidated_each_time() {
    #[redis_cached(cache = cache, skip(cache), prefix = "invalidated")]
    async fn invalidated(cache: &Cache, id: u64) -> u64 {
        invalidated_entry(cache, id).invalidate().await.unwrap();
        id
    }
    log::listen();
    let server = Server::start();
    for cache in caches(&server) {
        for id in 0..20 {
            invalidated(&cache, id).await;
        }
    }
    assert_told_once("invalidated:", "each was invalidated");
}

#[tokio::test]
async fn one_that_gets_in_now_and_then_says_nothing() {
    #[redis_cached(cache = cache, skip(cache), prefix = "mixed")]
    async fn mixed(cache: &Cache, id: u64) -> String {
        "x".repeat(if id % 3 == 2 { 1 } else { 2 << 20 })
    }
    log::listen();
    let cache = Cache::builder("memory://?max_mb=1").unwrap().build();
    for id in 0..30 {
        mixed(&cache, id).await;
    }
    assert_eq!(cache.stats().refused, 20);
    assert!(log::lines_about("mixed:").is_empty());
}

#[test]
fn an_id_that_the_body_returns_more_than_once() {
    #[redis_cached(batch(id in ids), cache = cache, skip(cache), prefix = "twice")]
    fn twice(cache: &Cache, ids: &[u64]) -> Vec<(u64, u64)> {
        ids.iter().flat_map(|id| [(*id, 1), (*id, 2)]).collect()
    }
    log::listen();
    let cache = Cache::builder("memory://").unwrap().build();
    for _ in 0..3 {
        assert_eq!(twice(&cache, &[1, 2]).len(), 4);
    }
    assert_told_once("twice:", "more than once");
}

/// The store tells that, and functions do not.
#[tokio::test]
async fn an_outage_is_told_by_the_store_alone() {
    #[redis_cached(cache = cache, skip(cache, server), prefix = "outage")]
    async fn during(cache: &Cache, server: &Server, id: u64) -> u64 {
        server.stop();
        id
    }
    log::listen();
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    for id in 0..5 {
        during(&cache, &server, id).await;
    }
    assert!(log::lines_about("outage:").is_empty());
}
