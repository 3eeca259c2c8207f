//! Sentinels that are lost, stale, or know nothing.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use redis_cached::ErrorKind;
use test_support::{MASTER, Sentinels, free_port, in_time};

use crate::{SWITCHED, cache, caches_again, hosts, lines, patient, plain, row};

#[tokio::test]
async fn one_lost_sentinel_is_not_missed() {
    let sentinels = Sentinels::start();
    let (url, runs) = (sentinels.url(), AtomicU64::new(0));
    let cache = cache(&url);
    // The first one hangs from the beginning, and the second one is lost later.
    sentinels.sentinels()[0].stop();
    caches_again(&cache, &runs).await;
    sentinels.sentinels()[0].cont();
    sentinels.sentinels()[1].kill();
    sentinels.fail_over();
    in_time("the cache follows", async || lines(SWITCHED, hosts(&url)).len() == 1).await;
    caches_again(&cache, &runs).await;
    assert!(lines("no sentinel answers", hosts(&url)).is_empty());
}

/// The known master is used on, and the log says so once.
#[tokio::test]
async fn without_any_sentinel_the_known_master_is_used_on() {
    let sentinels = Sentinels::start();
    let (url, runs) = (sentinels.url(), AtomicU64::new(0));
    let cache = cache(&url);
    caches_again(&cache, &runs).await;
    let (value, begun) = (row(&cache, &runs, 1).await, Instant::now());
    sentinels.sentinels().iter().for_each(|sentinel| sentinel.kill());
    in_time("the log says so", async || {
        assert_eq!(row(&cache, &runs, 1).await, value, "a hit");
        !lines("no sentinel answers", hosts(&url)).is_empty()
    })
    .await;
    assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
    // New connections are made all the same.
    let other = tokio::task::spawn_blocking({
        let cache = cache.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(row(&cache, &AtomicU64::new(0), 1))
        }
    });
    assert_eq!(other.await.unwrap(), value, "a hit");
    sentinels.sentinels()[2].restart();
    in_time("the log says that one is back", async || lines("a sentinel answers again", hosts(&url)).len() == 1).await;
    assert_eq!(lines("no sentinel answers", hosts(&url)).len(), 1, "once");
    assert!(lines(SWITCHED, hosts(&url)).is_empty());
    assert_eq!(row(&cache, &runs, 1).await, value, "a hit");
}

/// Nothing connects before a sentinel has answered: functions run uncached, and the log says why.
#[tokio::test]
async fn a_cache_waits_for_its_first_sentinel() {
    let sentinels = Sentinels::start();
    let (url, runs) = (sentinels.url(), AtomicU64::new(0));
    sentinels.sentinels().iter().for_each(|sentinel| sentinel.kill());
    let cache = patient(&url);
    for error in [cache.ping().await.expect_err("no sentinel"), cache.blocking().ping().expect_err("no sentinel")] {
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        for sentinel in sentinels.sentinels() {
            assert!(error.to_string().contains(&format!("redis://127.0.0.1:{}: ", sentinel.port())), "{error}");
        }
    }
    for id in 0..10 {
        assert_ne!(row(&cache, &runs, id).await, row(&cache, &runs, id).await, "uncached");
        assert_ne!(plain(&cache, &runs, id), plain(&cache, &runs, id), "uncached");
    }
    assert_eq!(lines("Redis is away", hosts(&url)).len(), 1);
    sentinels.sentinels()[1].restart();
    caches_again(&cache, &runs).await;
}

#[tokio::test]
async fn a_wrong_name_is_told_with_the_sentinels_that_were_asked() {
    let sentinels = Sentinels::start();
    let runs = AtomicU64::new(0);
    let ports: Vec<u16> = sentinels.sentinels().iter().map(|sentinel| sentinel.port()).collect();
    let url = sentinels.url_by(&ports, "mani");
    let cache = patient(&url);
    for error in [cache.ping().await.expect_err("unknown"), cache.blocking().ping().expect_err("unknown")] {
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let text = error.to_string();
        assert!(text.contains("`mani`") && ports.iter().all(|port| text.contains(&port.to_string())), "{text}");
    }
    for id in 0..10 {
        assert_ne!(row(&cache, &runs, id).await, row(&cache, &runs, id).await, "uncached");
    }
    let away = lines("Redis is away", "/mani");
    assert!(away.len() == 1 && away[0].text.contains("it knows no master `mani`"), "{away:?}");
    // The sentinel that knows the name counts.
    let mixed = sentinels.url_by(&[free_port(), ports[1]], MASTER);
    caches_again(&crate::cache(&mixed), &runs).await;
}

/// A sentinel that was away during a failover tells the old master when it is back, until it hears of the new one.
#[tokio::test]
async fn a_stale_sentinel_does_not_lead_back() {
    let sentinels = Sentinels::start();
    let runs = AtomicU64::new(0);
    let [first, second, third] = sentinels.sentinels() else { panic!("three") };
    // The one that will be stale is asked first.
    let url = sentinels.url_by(&[third.port(), first.port(), second.port()], MASTER);
    let cache = cache(&url);
    caches_again(&cache, &runs).await;
    third.kill();
    let new = sentinels.fail_over();
    in_time("the cache follows", async || lines(SWITCHED, hosts(&url)).len() == 1).await;
    // While the others are silent, it has nobody to hear of the new master from.
    first.stop();
    second.stop();
    for server in sentinels.servers() {
        // Nor from what they had published, and a busy machine has not delivered yet.
        for _ in 0..2 {
            sentinels.cli(server, &["PING"]);
        }
    }
    third.restart();
    let tells_new = || third.cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]).contains(&new.port().to_string());
    assert!(!tells_new(), "it is not stale");
    let is_asked = || third.cli(&["CLIENT", "LIST"]).contains("cmd=sentinel");
    in_time("the cache asks it", async || is_asked()).await;
    for id in 0..10 {
        row(&cache, &runs, 5_000_000 + id).await;
        assert_eq!(new.cli(&["EXISTS", &format!("sentinel:row:{}", 5_000_000 + id)]), "1", "at the new master");
    }
    assert!(!tells_new(), "it was stale all the time");
    first.cont();
    second.cont();
    in_time("the stale one hears of it", async || tells_new()).await;
    assert_eq!(lines(SWITCHED, hosts(&url)).len(), 1, "no way back");
    caches_again(&cache, &runs).await;
}
