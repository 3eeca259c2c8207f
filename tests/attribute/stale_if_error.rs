//! `stale_if_error`: past its lifetime a value is kept for a while, for when the body fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use test_support::{Gate, Mode, PATIENCE, Server, caches, eventually, expired, in_time, polled};

#[redis_cached(prefix = "sie", name = "flaky", ttl = "30ms", stale_if_error = "1h", cache = cache, skip(cache, runs, fails))]
async fn flaky(cache: &Cache, runs: &AtomicUsize, fails: bool, id: u64) -> Result<u64, String> {
    let run = runs.fetch_add(1, SeqCst) as u64 + 1;
    if fails { Err(format!("run {run} fails")) } else { Ok(id + run) }
}

#[redis_cached(prefix = "sie", name = "flaky_blocking", ttl = "30ms", stale_if_error = "1h", cache = cache, skip(cache, runs, fails))]
fn flaky_blocking(cache: &Cache, runs: &AtomicUsize, fails: bool, id: u64) -> Result<u64, std::rc::Rc<str>> {
    let run = runs.fetch_add(1, SeqCst) as u64 + 1;
    if fails { Err("it fails".into()) } else { Ok(id + run) }
}

#[redis_cached(prefix = "sie", name = "gated", ttl = "30ms", stale_if_error = "1h", cache = cache, skip(cache, gate, fails))]
async fn gated(cache: &Cache, gate: &Gate, fails: bool, id: u64) -> Result<u64, String> {
    let run = gate.pass().await as u64;
    if fails { Err(format!("run {run} fails")) } else { Ok(id + run) }
}

#[tokio::test]
async fn where_the_body_fails_the_old_value_is_served_and_the_body_left_alone_for_a_while() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        assert_eq!(flaky(&cache, &runs, false, 10).await, Ok(11));
        assert_eq!(flaky(&cache, &runs, true, 10).await, Ok(11), "a hit");
        expired(flaky_entry(&cache, 10)).await;
        let begun = Instant::now();
        for _ in 0..100 {
            assert_eq!(flaky(&cache, &runs, true, 10).await, Ok(11), "old, but something");
        }
        if begun.elapsed() < Duration::from_millis(900) {
            assert_eq!(runs.load(SeqCst), 2, "not tried by every call");
        }
        // A pause later it is tried again.
        in_time("it is tried again", async || flaky(&cache, &runs, false, 10).await != Ok(11)).await;
        assert!(cache.stats().stale >= 100, "{:?}", cache.stats());
    }
}

#[test]
fn the_same_of_plain_functions() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        assert_eq!(flaky_blocking(&cache, &runs, false, 10), Ok(11));
        eventually("it expires", || flaky_blocking_entry(&cache, 10).get().unwrap().is_none());
        for _ in 0..100 {
            assert_eq!(flaky_blocking(&cache, &runs, true, 10), Ok(11));
        }
        eventually("it is tried again", || flaky_blocking(&cache, &runs, false, 10) != Ok(11));
    }
}

#[tokio::test]
async fn where_the_body_succeeds_its_value_is_served_and_stored() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Gate::closed();
        gate.open();
        assert_eq!(gated(&cache, &gate, false, 10).await, Ok(11));
        expired(gated_entry(&cache, 10)).await;
        gate.close();
        let calls = async {
            let calls = (gated(&cache, &gate, false, 10), gated(&cache, &gate, false, 10));
            tokio::join!(calls.0, calls.1)
        };
        let opening = async {
            gate.wait_for(2).await;
            gate.open();
        };
        let ((first, second), ()) = tokio::join!(calls, opening);
        assert_eq!((first, second), (Ok(12), Ok(12)), "one computes, the other one waits");
        assert_eq!(gate.entered(), 2);
    }
}

#[tokio::test]
async fn those_who_waited_for_a_failing_body_get_the_old_value_too() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Arc::new(Gate::closed());
        gate.open();
        assert_eq!(gated(&cache, &gate, false, 10).await, Ok(11));
        expired(gated_entry(&cache, 10)).await;
        gate.close();
        let calls = (0..20).map(|_| {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move { gated(&cache, &gate, true, 10).await })
        });
        let calls: Vec<_> = calls.collect();
        gate.wait_for(2).await;
        gate.open();
        for call in calls {
            assert_eq!(call.await.unwrap(), Ok(11));
        }
        assert_eq!(gate.entered(), 2);
    }
}

#[tokio::test]
async fn an_invalidation_ends_it() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        assert_eq!(flaky(&cache, &runs, false, 10).await, Ok(11));
        expired(flaky_entry(&cache, 10)).await;
        assert!(flaky_entry(&cache, 10).invalidate().await.unwrap(), "the old value was there");
        assert!(flaky(&cache, &runs, true, 10).await.is_err());
    }
}

#[tokio::test]
async fn past_the_window_and_without_one_the_error_is_the_callers() {
    #[redis_cached(prefix = "sie", name = "brief", ttl = "20ms", stale_if_error = "20ms", cache = cache, skip(cache, fails))]
    async fn brief(cache: &Cache, fails: bool, id: u64) -> Result<u64, String> {
        if fails { Err("it fails".to_owned()) } else { Ok(id) }
    }
    #[redis_cached(prefix = "sie", name = "without", ttl = "20ms", cache = cache, skip(cache, fails))]
    async fn without(cache: &Cache, fails: bool, id: u64) -> Result<u64, String> {
        if fails { Err("it fails".to_owned()) } else { Ok(id) }
    }
    let server = Server::start();
    for cache in caches(&server) {
        assert_eq!(brief(&cache, false, 1).await, Ok(1));
        assert_eq!(without(&cache, false, 1).await, Ok(1));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(brief(&cache, true, 1).await.is_err());
        assert!(without(&cache, true, 1).await.is_err());
    }
}

#[tokio::test]
async fn first_revalidated_behind_then_kept_for_errors() {
    #[redis_cached(
        prefix = "sie",
        name = "both",
        ttl = "30ms",
        stale_while_revalidate = "100ms",
        stale_if_error = "1h",
        cache = cache,
        skip(cache, gate, fails)
    )]
    async fn both(cache: &Cache, gate: Arc<Gate>, fails: bool, id: u64) -> Result<u64, String> {
        let run = gate.pass().await as u64;
        if fails { Err(format!("run {run} fails")) } else { Ok(id + run) }
    }
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Arc::new(Gate::closed());
        gate.open();
        assert_eq!(both(&cache, gate.clone(), false, 10).await, Ok(11));
        tokio::time::sleep(Duration::from_millis(140)).await;
        // This call runs in the foreground, and fails.
        assert_eq!(both(&cache, gate.clone(), true, 10).await, Ok(11));
        assert_eq!(gate.entered(), 2);
    }
}

#[test]
fn a_plain_body_that_fails_is_left_alone_for_a_while() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        assert_eq!(flaky_blocking(&cache, &runs, false, 10), Ok(11));
        eventually("it expires", || flaky_blocking_entry(&cache, 10).get().unwrap().is_none());
        let begun = Instant::now();
        for _ in 0..100 {
            assert_eq!(flaky_blocking(&cache, &runs, true, 10), Ok(11));
        }
        if begun.elapsed() < Duration::from_millis(900) {
            assert_eq!(runs.load(SeqCst), 2, "not tried by every call");
        }
        eventually("it is tried again", || {
            assert_eq!(flaky_blocking(&cache, &runs, true, 10), Ok(11));
            runs.load(SeqCst) >= 3
        });
        assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    }
}

#[test]
fn past_the_window_and_without_one_a_plain_functions_error_is_the_callers() {
    #[redis_cached(prefix = "sie", name = "brief_blocking", ttl = "20ms", stale_if_error = "20ms", cache = cache, skip(cache, fails))]
    fn brief(cache: &Cache, fails: bool, id: u64) -> Result<u64, String> {
        if fails { Err("it fails".to_owned()) } else { Ok(id) }
    }
    #[redis_cached(prefix = "sie", name = "without_blocking", ttl = "20ms", cache = cache, skip(cache, fails))]
    fn without(cache: &Cache, fails: bool, id: u64) -> Result<u64, String> {
        if fails { Err("it fails".to_owned()) } else { Ok(id) }
    }
    let server = Server::start();
    for cache in caches(&server) {
        assert_eq!(brief(&cache, false, 1), Ok(1));
        assert_eq!(without(&cache, false, 1), Ok(1));
        std::thread::sleep(Duration::from_millis(50));
        assert!(brief(&cache, true, 1).is_err());
        assert!(without(&cache, true, 1).is_err());
    }
}

/// The lease stands in the old value's header then, and would for ten minutes.
#[tokio::test]
async fn a_call_cancelled_at_any_point_leaves_the_old_value_and_no_lease() {
    #[redis_cached(prefix = "sie", name = "stepwise", ttl = "20ms", stale_if_error = "1h", lease = "10m", cache = cache, skip(cache, fails))]
    async fn stepwise(cache: &Cache, fails: bool, id: u64) -> Result<u64, String> {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        if fails { Err("it fails".to_owned()) } else { Ok(id) }
    }
    let server = Server::start();
    let proxy = server.proxy();
    for cache in ["memory://", &proxy.url()].map(|url| Cache::builder(url).unwrap().timeout(PATIENCE).build()) {
        let is_remote = format!("{cache:?}").contains("redis://");
        stepwise(&cache, false, 1).await.unwrap();
        proxy.set(Mode::Delay(Duration::from_millis(2)));
        let mut polls = 1;
        loop {
            expired(stepwise_entry(&cache, 1)).await;
            if polled(polls, stepwise(&cache, false, 1)).await.is_some() {
                break;
            }
            polls += 1;
            let begun = Instant::now();
            if is_remote {
                in_time("nobody is said to refresh it", async || {
                    let head: Vec<u8> = redis::cmd("GETRANGE")
                        .arg("sie:stepwise:1")
                        .arg(18)
                        .arg(33)
                        .query(&mut server.connection())
                        .unwrap();
                    head == [0; 16]
                })
                .await;
            }
            // It fails, and the old value is there; it is not tried again for a second.
            assert_eq!(stepwise(&cache, true, 1).await, Ok(1), "after {polls} polls");
            assert!(begun.elapsed() < PATIENCE / 2, "after {polls} polls: {:?}", begun.elapsed());
            // This ends the pause.
            stepwise_entry(&cache, 1).put(&1).await.unwrap();
        }
        assert!(polls >= if is_remote { 6 } else { 4 }, "{polls} polls");
        proxy.set(Mode::Pass);
    }
}
