//! Refreshes that fail.

use super::*;

/// How a body in the background can fail.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Value,
    Error,
    Panic,
}

#[redis_cached(prefix = "swr", name = "ends", ttl = "30ms", stale_while_revalidate = "1h", lease = "10m", cache = cache, skip(cache, runs, end))]
async fn ends(cache: &Cache, runs: &Arc<AtomicUsize>, end: End, id: u64) -> Result<u64, String> {
    let run = runs.fetch_add(1, SeqCst) as u64 + 1;
    assert!(end != End::Panic, "a panic that a test asked for");
    if end == End::Error { Err(format!("run {run} of {id} fails")) } else { Ok(run) }
}

#[redis_cached(prefix = "swr", name = "ends_blocking", ttl = "30ms", stale_while_revalidate = "1h", lease = "10m", cache = cache, skip(cache, runs, end))]
fn ends_blocking(cache: &Cache, runs: &Arc<AtomicUsize>, end: End, id: u64) -> Result<u64, String> {
    let run = runs.fetch_add(1, SeqCst) as u64 + 1;
    assert!(end != End::Panic, "a panic that a test asked for");
    if end == End::Error { Err(format!("run {run} of {id} fails")) } else { Ok(run) }
}

/// The lease, which would last for ten minutes, is given back: the old value stays, is left alone for
/// a second, and then a call tries again.
#[test]
fn a_failure_in_the_background_leaves_no_lease_and_no_error_in_the_log() {
    log::listen();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = Server::start();
    for cache in caches(&server) {
        let is_remote = format!("{cache:?}").contains("redis://");
        for (id, end) in [(1, End::Error), (2, End::Panic)] {
            for is_plain in [false, true] {
                let runs = Arc::new(AtomicUsize::new(0));
                let call = |end| match is_plain {
                    false => runtime.block_on(ends(&cache, &runs, end, id)),
                    true => ends_blocking(&cache, &runs, end, id),
                };
                let is_fresh = || match is_plain {
                    false => runtime.block_on(ends_entry(&cache, id).get()).unwrap().is_some(),
                    true => ends_blocking_entry(&cache, id).get().unwrap().is_some(),
                };
                let case = format!("{end:?} in {cache:?}, plain: {is_plain}");
                assert_eq!(call(End::Value), Ok(1), "{case}");
                eventually("it expires", || !is_fresh());
                let begun = Instant::now();
                assert_eq!(call(end), Ok(1), "{case}");
                eventually("it fails", || runs.load(SeqCst) == 2);
                if is_remote {
                    let key = if is_plain { format!("swr:ends_blocking:{id}") } else { format!("swr:ends:{id}") };
                    eventually("nobody is said to refresh it", || {
                        let bytes: Vec<u8> =
                            redis::cmd("GETRANGE").arg(&key).arg(18).arg(33).query(&mut server.connection()).unwrap();
                        bytes == [0; 16]
                    });
                }
                for _ in 0..20 {
                    assert_eq!(call(end), Ok(1), "{case}");
                }
                if begun.elapsed() < Duration::from_millis(900) {
                    assert_eq!(runs.load(SeqCst), 2, "{case}");
                }
                eventually("it is tried again", || {
                    assert!(call(End::Value).is_ok(), "{case}");
                    runs.load(SeqCst) == 3
                });
                eventually("what that returned is stored", || call(End::Value) != Ok(1));
            }
        }
    }
    let lines = log::lines_about("swr:ends");
    assert!(lines.iter().all(|line| line.level >= tracing::Level::WARN), "{lines:#?}");
    // Once for each function.
    let told = lines.iter().filter(|line| line.text.contains("a refresh in the background failed")).count();
    assert_eq!(told, 2, "{lines:#?}");
}

#[tokio::test]
async fn a_failing_refresh_keeps_the_old_value_and_is_not_tried_by_every_call() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = Arc::new(AtomicUsize::new(0));
        assert_eq!(flaky(&cache, &runs, false, 10).await, Ok(11));
        expired(flaky_entry(&cache, 10)).await;
        let begun = Instant::now();
        while runs.load(SeqCst) < 2 {
            assert_eq!(flaky(&cache, &runs, true, 10).await, Ok(11));
            tokio::task::yield_now().await;
        }
        for _ in 0..200 {
            assert_eq!(flaky(&cache, &runs, true, 10).await, Ok(11));
            tokio::task::yield_now().await;
        }
        // A pause is a second.
        if begun.elapsed() < Duration::from_millis(900) {
            assert_eq!(runs.load(SeqCst), 2);
        }
        // After the pause it is tried again.
        in_time("it is refreshed", async || flaky(&cache, &runs, false, 10).await != Ok(11)).await;
    }
}

#[tokio::test]
async fn a_panic_in_the_background_harms_nobody() {
    #[redis_cached(prefix = "swr", name = "fragile", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, runs))]
    async fn fragile(cache: &Cache, runs: &Arc<AtomicUsize>, id: u64) -> u64 {
        assert!(runs.fetch_add(1, SeqCst) != 1, "the second run panics");
        id + runs.load(SeqCst) as u64
    }
    let server = Server::start();
    for cache in caches(&server) {
        let runs = Arc::new(AtomicUsize::new(0));
        assert_eq!(fragile(&cache, &runs, 10).await, 11);
        expired(fragile_entry(&cache, 10)).await;
        while runs.load(SeqCst) < 2 {
            assert_eq!(fragile(&cache, &runs, 10).await, 11);
            tokio::task::yield_now().await;
        }
        becomes(13, || fragile(&cache, &runs, 10)).await;
    }
}

#[tokio::test]
async fn while_redis_is_away_the_body_runs() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let runs = Arc::new(AtomicUsize::new(0));
    assert_eq!(flaky(&cache, &runs, false, 10).await, Ok(11));
    expired(flaky_entry(&cache, 10)).await;
    server.kill();
    assert_eq!(flaky(&cache, &runs, false, 10).await, Ok(12));
    assert!(flaky(&cache, &runs, true, 10).await.is_err());
}

#[tokio::test]
async fn the_error_of_a_refresh_reaches_those_who_waited_for_it() {
    #[redis_cached(prefix = "swr", name = "failing", ttl = "50ms", stale_while_revalidate = "150ms", cache = cache, skip(cache, gate, fails))]
    async fn failing(cache: &Cache, gate: &Arc<Gate>, fails: bool, id: u64) -> Result<u64, String> {
        let run = gate.pass().await as u64;
        if fails { Err(format!("run {run}")) } else { Ok(id + run) }
    }
    let server = Server::start();
    for cache in caches(&server) {
        let gate = open();
        failing(&cache, &gate, false, 10).await.unwrap();
        expired(failing_entry(&cache, 10)).await;
        gate.close();
        if failing(&cache, &gate, true, 10).await != Ok(11) {
            continue; // A machine this slow: the window was over.
        }
        gate.wait_for(2).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        // Past the window: they wait for the refresh.
        let calls = (0..50).map(|_| {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move { failing(&cache, &gate, true, 10).await })
        });
        let calls: Vec<_> = calls.collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        gate.open();
        for call in calls {
            assert!(call.await.unwrap().is_err());
        }
        assert!(gate.entered() <= 4, "{} bodies", gate.entered());
    }
}

/// The result of the refresh is kept although the server could not store it.
#[tokio::test]
async fn a_refresh_that_finds_nothing_during_an_outage_removes_the_old_value_afterwards() {
    #[redis_cached(prefix = "swr", name = "gone", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, gate))]
    async fn gone(cache: &Cache, gate: Arc<Gate>, id: u64) -> Option<u64> {
        (gate.pass().await == 1).then_some(id)
    }
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().build();
    let gate = open();
    assert_eq!(gone(&cache, gate.clone(), 1).await, Some(1));
    expired(gone_entry(&cache, 1)).await;
    gate.close();
    assert_eq!(gone(&cache, gate.clone(), 1).await, Some(1), "old, and at once");
    gate.wait_for(2).await;
    proxy.set(Mode::Refuse);
    proxy.cut();
    let is_away = |error: redis_cached::Error| error.kind() == ErrorKind::CircuitOpen;
    in_time("the breaker opens", async || cache.ping().await.is_err_and(is_away)).await;
    gate.open();
    // The body has ended when a call finds no other to wait for, and runs its own.
    in_time("the refresh ends", async || gone(&cache, gate.clone(), 1).await.is_none() && gate.entered() > 2).await;
    proxy.set(Mode::Pass);
    in_time("it is back", async || cache.ping().await.is_ok()).await;
    let bodies = gate.entered();
    assert_eq!(gone(&cache, gate.clone(), 1).await, None, "not the old value");
    assert_eq!(gate.entered(), bodies + 1);
}
