//! Replies of one connection come in order: what is large has a connection of its own, and small
//! values do not wait for it.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use redis_cached::{Cache, redis_cached};
use test_support::{Mode, PATIENCE, Proxy, Server, in_time};

/// The number of bytes of a large value.
const LARGE: usize = 1 << 20;

/// A text in each large value.
const MARK: &str = "a large value";

fn text(id: u64) -> String {
    format!("{id}: {MARK}").repeat(LARGE / 16)
}

#[redis_cached(ttl = "1h", prefix = "t", name = "large", cache = cache, skip(cache))]
async fn large(cache: &Cache, id: u64) -> String {
    text(id)
}

#[redis_cached(ttl = "1h", prefix = "t", name = "larges", batch(id in ids), cache = cache, skip(cache))]
async fn larges(cache: &Cache, ids: &[u64]) -> std::collections::HashMap<u64, String> {
    ids.iter().map(|id| (*id, text(*id))).collect()
}

#[redis_cached(ttl = "1h", prefix = "t", name = "small", cache = cache, skip(cache))]
async fn small(cache: &Cache, id: u64) -> u64 {
    id
}

/// A server, the way to it, and a cache that has patience, and holds the small values of some ids.
async fn started() -> (Server, Proxy, Cache) {
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(PATIENCE).build();
    for id in 0..IDS {
        small(&cache, id).await;
    }
    (server, proxy, cache)
}

const IDS: u64 = 100;

/// All of them at once, and all of them hits.
async fn small_hits(cache: &Cache) {
    let hits = cache.stats().hits;
    let calls = (0..IDS).map(|id| {
        let cache = cache.clone();
        tokio::spawn(async move { assert_eq!(small(&cache, id).await, id) })
    });
    for call in calls.collect::<Vec<_>>() {
        tokio::time::timeout(PATIENCE / 2, call).await.expect("it waits for what is large").unwrap();
    }
    assert_eq!(cache.stats().hits - hits, IDS);
}

/// Runs `exchange`, whose connection swallows what has `text` in it and never answers, and small
/// hits at the same time.
async fn small_hits_beside(proxy: &Proxy, cache: &Cache, text: &'static str, exchange: impl Future) {
    proxy.set(Mode::FreezeOn(text));
    let beside = async {
        in_time("something large is on its way", async || proxy.frozen() > 0).await;
        small_hits(cache).await;
    };
    tokio::select! {
        _ = exchange => panic!("nobody answers it"),
        () = beside => {}
    }
}

#[tokio::test]
async fn small_ones_do_not_wait_for_a_large_one_that_is_read() {
    let (_server, proxy, cache) = started().await;
    large(&cache, 1).await;
    assert_eq!(large(&cache, 1).await, text(1));
    small_hits_beside(&proxy, &cache, "t:large:1", large(&cache, 1)).await;
}

#[tokio::test]
async fn small_ones_do_not_wait_for_a_large_one_that_is_stored() {
    let (_server, proxy, cache) = started().await;
    small_hits_beside(&proxy, &cache, MARK, large(&cache, 1)).await;
}

#[tokio::test]
async fn small_ones_do_not_wait_for_a_batch_of_large_ones() {
    let (_server, proxy, cache) = started().await;
    small_hits_beside(&proxy, &cache, MARK, larges(&cache, &[1, 2])).await;
    let (_server, proxy, cache) = started().await;
    larges(&cache, &[3, 4]).await;
    larges(&cache, &[3, 4]).await;
    small_hits_beside(&proxy, &cache, "t:larges:3", larges(&cache, &[3, 4])).await;
}

#[tokio::test]
async fn what_is_small_needs_one_connection() {
    let (_server, proxy, cache) = started().await;
    small_hits(&cache).await;
    assert_eq!(proxy.accepted(), 1);
    for id in 0..10 {
        large(&cache, id).await;
        assert_eq!(large(&cache, id).await, text(id));
    }
    small_hits(&cache).await;
    assert_eq!(proxy.accepted(), 2);
}

/// A server may have no room for another connection.
#[tokio::test]
async fn where_there_is_no_second_connection_the_first_one_carries_all() {
    let (_server, proxy, cache) = started().await;
    proxy.set(Mode::Refuse);
    let ran = AtomicBool::new(false);
    for _ in 0..20 {
        #[redis_cached(ttl = "1h", prefix = "t", name = "once", cache = cache, skip(cache, ran))]
        async fn once(cache: &Cache, ran: &AtomicBool) -> String {
            assert!(!ran.swap(true, SeqCst), "it is stored");
            text(0)
        }
        assert_eq!(once(&cache, &ran).await, text(0));
    }
    small_hits(&cache).await;
    assert_eq!((cache.stats().bypasses, cache.stats().misses), (0, IDS + 1));
}

/// It is made again like the first one, and on its own.
#[tokio::test]
async fn a_second_connection_that_closes_is_made_anew() {
    let (_server, proxy, cache) = started().await;
    large(&cache, 1).await;
    for _ in 0..3 {
        proxy.cut();
        assert_eq!(large(&cache, 1).await, text(1));
        small_hits(&cache).await;
    }
    assert_eq!((cache.stats().misses, cache.stats().bypasses), (IDS + 1, 0));
}

/// As large as values get in practice. Both kinds of functions share the entry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_megabytes_are_stored_and_come_back() {
    const HUGE: usize = 64 << 20;
    #[redis_cached(ttl = "1h", prefix = "t", name = "huge", cache = cache, skip(cache))]
    async fn huge(cache: &Cache, id: u64) -> String {
        format!("{id:8}").repeat(HUGE / 8)
    }
    #[redis_cached(ttl = "1h", prefix = "t", name = "huge", cache = cache, skip(cache))]
    fn huge_plain(cache: &Cache, id: u64) -> String {
        panic!("{id} is stored: {:?}", cache.stats())
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    small(&cache, 1).await;
    let computed = huge(&cache, 7).await;
    let found = huge(&cache, 7).await;
    assert!(found.len() == HUGE && found == computed);
    drop(computed);
    let beside = tokio::spawn({
        let cache = cache.clone();
        async move { small(&cache, 1).await }
    });
    let plain = tokio::task::block_in_place(|| huge_plain(&cache, 7));
    assert!(plain == found && beside.await.unwrap() == 1);
    let stats = cache.stats();
    assert_eq!((stats.misses, stats.hits, stats.stored, stats.bypasses), (2, 3, 2, 0));
    let bytes: usize = server.cli(&["STRLEN", huge_entry(&cache, 7).key().unwrap()]).parse().unwrap();
    assert!(bytes > HUGE && bytes < HUGE + 200, "{bytes} bytes");
}
