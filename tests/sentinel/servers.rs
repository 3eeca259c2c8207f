//! The master: found, replaced, and what is undelivered to it.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use redis_cached::ErrorKind;
use test_support::{Sentinels, Server, eventually, in_time};

use crate::{SWITCHED, cache, caches_again, hosts, lines, patient, plain, plain_entry, row, row_entry};

#[tokio::test]
async fn a_cache_finds_its_master_and_follows_it() {
    let sentinels = Sentinels::start();
    let (url, runs) = (sentinels.url(), AtomicU64::new(0));
    let cache = patient(&url);
    let first = sentinels.master();
    caches_again(&cache, &runs).await;
    cache.ping().await.expect("a master");
    cache.blocking().ping().expect("a master");
    assert!(lines(SWITCHED, hosts(&url)).is_empty());
    for sentinel in sentinels.sentinels() {
        let clients = sentinel.cli(&["CLIENT", "LIST"]);
        assert!(
            clients.lines().any(|client| client.contains("name=sentinel-") && client.contains("sub=1")),
            "{clients}"
        );
    }
    let ordered = Instant::now();
    let (second, promoted) = std::thread::scope(|scope| {
        let promoted = scope.spawn(|| {
            let is_master = |server: &Server| sentinels.cli(server, &["ROLE"]).starts_with("master");
            let masters = || sentinels.servers().iter().filter(|server| is_master(server)).count();
            eventually("another one is promoted", || masters() == 2);
            ordered.elapsed()
        });
        (sentinels.fail_over(), promoted.join().unwrap())
    });
    let told = ordered.elapsed();
    in_time("the cache follows", async || lines(SWITCHED, hosts(&url)).len() == 1).await;
    eprintln!("promoted after {promoted:?}, told after {told:?}, followed after {:?}", ordered.elapsed());
    let line = &lines(SWITCHED, hosts(&url))[0].text;
    for (name, server) in [("old", first), ("new", second)] {
        assert!(line.contains(&format!("{name}=\"127.0.0.1:{}\"", server.port())), "{line}");
    }
    // The old master still calls itself one, and its connections are open.
    assert!(first.cli(&["ROLE"]).starts_with("master"));
    row(&cache, &runs, 2).await;
    plain(&cache, &runs, 2);
    assert_eq!(second.cli(&["EXISTS", "sentinel:row:2", "sentinel:plain:2"]), "2");
    assert_eq!(first.cli(&["EXISTS", "sentinel:row:2", "sentinel:plain:2"]), "0");
}

#[tokio::test]
async fn a_killed_master_is_an_outage_that_ends_with_the_switch() {
    let sentinels = Sentinels::start();
    let (url, runs) = (sentinels.url(), AtomicU64::new(0));
    let cache = cache(&url);
    row(&cache, &runs, 1).await;
    plain(&cache, &runs, 1);
    let killed = Instant::now();
    sentinels.kill_master();
    let told = killed.elapsed();
    in_time("the cache follows", async || lines(SWITCHED, hosts(&url)).len() == 1).await;
    let followed = killed.elapsed();
    caches_again(&cache, &runs).await;
    eprintln!("killed: told after {told:?}, followed after {followed:?}, cached again after {:?}", killed.elapsed());
}

/// Calls that wait for a connection to a master that hangs go on with its successor.
#[tokio::test]
async fn what_waits_for_a_lost_master_goes_on_with_the_next() {
    let sentinels = Sentinels::start();
    let (url, runs) = (sentinels.url(), AtomicU64::new(0));
    let cache = patient(&url);
    let master = sentinels.master();
    master.stop();
    let waiting = tokio::spawn({
        let cache = cache.clone();
        async move { row_entry(&cache, 1).invalidate().await }
    });
    let waiting_plain = std::thread::spawn({
        let cache = cache.clone();
        move || plain_entry(&cache, 1).invalidate()
    });
    in_time("the cache follows", async || lines(SWITCHED, hosts(&url)).len() == 1).await;
    // Other calls connect to the next master.
    caches_again(&cache, &runs).await;
    for outcome in [waiting.await.unwrap(), waiting_plain.join().unwrap()] {
        assert!(!outcome.expect("the next master answers"), "nothing was there");
    }
    assert_eq!(cache.undelivered(), 0);
    master.cont();
}

/// Invalidations that the old master never heard of are sent to the new one before anything is read from there.
#[tokio::test]
async fn the_new_master_hears_of_undelivered_invalidations_first() {
    let sentinels = Sentinels::start();
    let (url, runs) = (sentinels.url(), AtomicU64::new(0));
    let cache = cache(&url);
    let master = sentinels.master();
    let replicas: Vec<_> = sentinels.servers().iter().filter(|server| !std::ptr::eq(*server, master)).collect();
    let is_there = |key: &str| replicas.iter().all(|replica| replica.cli(&["EXISTS", key]) == "1");
    let mut old = (0, 0);
    in_time("both are replicated", async || {
        old = (row(&cache, &runs, 1).await, plain(&cache, &runs, 1));
        is_there("sentinel:row:1") && is_there("sentinel:plain:1")
    })
    .await;
    master.stop();
    let error = row_entry(&cache, 1).invalidate().await.expect_err("hung");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    plain_entry(&cache, 1).invalidate().expect_err("hung");
    assert_eq!(cache.undelivered(), 2);
    in_time("the cache follows", async || {
        assert_ne!(row(&cache, &runs, 1).await, old.0, "invalidated, and served");
        assert_ne!(plain(&cache, &runs, 1), old.1, "invalidated, and served");
        lines(SWITCHED, hosts(&url)).len() == 1
    })
    .await;
    in_time("everything is delivered", async || cache.undelivered() == 0).await;
    caches_again(&cache, &runs).await;
    assert!(row(&cache, &runs, 1).await != old.0 && plain(&cache, &runs, 1) != old.1);
    master.cont();
}

#[tokio::test]
async fn passwords_of_servers_and_of_sentinels() {
    let sentinels = Sentinels::with_passwords("of-servers", "of-sentinels");
    let (url, runs) = (sentinels.url(), AtomicU64::new(0));
    let cache_with_both = cache(&url);
    caches_again(&cache_with_both, &runs).await;
    sentinels.fail_over();
    in_time("the cache follows", async || lines(SWITCHED, hosts(&url)).len() == 1).await;
    caches_again(&cache_with_both, &runs).await;
    for (wrong, says) in [
        (url.replace("sentinel_password=of-sentinels", "sentinel_password=wrong"), "no sentinel tells"),
        (url.replace("?sentinel_password=of-sentinels", ""), "no sentinel tells"),
        (url.replace(":of-servers@", ":wrong@"), ""),
    ] {
        let cache = patient(&wrong);
        for error in [cache.ping().await.expect_err(&wrong), cache.blocking().ping().expect_err(&wrong)] {
            assert_eq!(error.kind(), ErrorKind::Auth, "{wrong}: {error}");
            assert!(error.to_string().contains(says), "{error}");
            assert!(!error.to_string().contains("of-sentinels"), "{error}");
        }
    }
}
