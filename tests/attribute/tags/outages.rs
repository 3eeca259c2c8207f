//! Tags while the server is away or full.

use super::*;

#[redis_cached(prefix = "tags", name = "row", tags = "org:{org}", cache = cache, skip(cache, source))]
async fn row(cache: &Cache, source: &AtomicU64, org: u64, id: u64) -> u64 {
    org * 100 + id * 10 + source.load(SeqCst)
}

#[redis_cached(prefix = "tags", name = "row", tags = "org:{org}", cache = cache, skip(cache, source))]
fn row_plain(cache: &Cache, source: &AtomicU64, org: u64, id: u64) -> u64 {
    org * 100 + id * 10 + source.load(SeqCst)
}

#[redis_cached(prefix = "tags", name = "told", tags = |told: &(u64, u64)| vec![format!("org:{}", told.0)], cache = cache, skip(cache, source))]
async fn told(cache: &Cache, source: &AtomicU64, org: u64, id: u64) -> (u64, u64) {
    assert!(id > 0);
    (org, source.load(SeqCst))
}

#[tokio::test]
async fn an_undelivered_invalidation_is_delivered_before_an_entry_is_read() {
    let server = Server::start();
    for is_plain in [false, true] {
        let proxy = server.proxy();
        let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_millis(200)).build();
        let source = AtomicU64::new(1);
        in_time("all is stored", async || {
            for id in 1..4 {
                row(&cache, &source, 7, id).await;
                told(&cache, &source, 7, id).await;
            }
            cache.stats().stored >= 6
        })
        .await;
        proxy.set(Mode::Refuse);
        proxy.cut();
        source.store(2, SeqCst);
        match is_plain {
            false => drop(cache.invalidate_tag("org:7").await.unwrap_err()),
            true => drop(cache.blocking().invalidate_tag("org:7").unwrap_err()),
        }
        assert_eq!(server.cli(&["EXISTS", STAMP]), "1", "nothing has arrived");
        proxy.set(Mode::Pass);
        let hits = cache.stats().hits;
        in_time("a hit", async || {
            for id in 1..4 {
                assert_eq!(told(&cache, &source, 7, id).await, (7, 2));
                assert_eq!(row(&cache, &source, 7, id).await, 702 + id * 10);
                assert_eq!(row_plain(&cache, &source, 7, id), 702 + id * 10);
            }
            cache.stats().hits > hits + 6
        })
        .await;
        cache.invalidate_tag("org:7").await.unwrap();
    }
}

/// That process reads nothing, and yet it is to store again.
#[tokio::test]
async fn a_process_that_only_writes_stores_again_after_an_undelivered_invalidation() {
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_millis(100)).build();
    let (entry, source) = (row_entry(&cache, 7, 1), AtomicU64::new(1));
    in_time("it is stored", async || entry.put(&5).await.is_ok_and(|stored| stored)).await;
    for is_refresh in [false, true] {
        proxy.set(Mode::Delay(Duration::from_millis(150)));
        cache.invalidate_tag("org:7").await.expect_err("too slow");
        proxy.set(Mode::Pass);
        in_time("it is stored again", async || match is_refresh {
            false => entry.put(&6).await.is_ok_and(|stored| stored),
            true => {
                let stored = cache.stats().stored;
                row_refresh(&cache, &source, 7, 1).await;
                cache.stats().stored > stored
            }
        })
        .await;
        assert!(row_entry(&remote(&server), 7, 1).get().await.unwrap().is_some());
    }
    // The same goes for the refresh of an entry without tags, whose own invalidation did not arrive.
    in_time("it is stored", async || text_entry(&cache, "a").put(&1).await.is_ok_and(|stored| stored)).await;
    proxy.set(Mode::Delay(Duration::from_millis(150)));
    text_entry(&cache, "a").invalidate().await.expect_err("too slow");
    proxy.set(Mode::Pass);
    in_time("it is stored again", async || {
        let stored = cache.stats().stored;
        text_refresh(&cache, "a").await;
        cache.stats().stored > stored
    })
    .await;
}

#[tokio::test]
async fn without_a_server_calls_return_and_invalidations_tell() {
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    user(&cache, &runs, 7, 1).await;
    server.kill();
    assert_eq!(user(&cache, &runs, 7, 1).await, 70_101);
    assert_eq!(total(&cache, &runs, 7), 70_002);
    assert_eq!(member(&cache, &runs, &texts(&["red"]), 7, 1).await.run, 3);
    assert_eq!(cache.invalidate_tag("org:7").await.unwrap_err().kind(), ErrorKind::Unreachable);
    assert_eq!(cache.blocking().invalidate_tag("org:7").unwrap_err().kind(), ErrorKind::Unreachable);
    server.restart();
    in_time("a hit", async || {
        user(&cache, &runs, 7, 1).await;
        user_entry(&cache, 7, 1).get().await.is_ok_and(|user| user.is_some())
    })
    .await;
}

/// Calls share a running body then, but not with those from before an invalidation; whatever other
/// function has the same key.
#[tokio::test]
async fn an_invalidation_without_a_server_parts_the_calls_before_it_from_those_after() {
    #[redis_cached(prefix = "tags", name = "away", key = "{id}", tags = ["team:{id}"], cache = cache, skip(cache, gate))]
    async fn team(cache: &Cache, gate: Arc<Gate>, id: u64) -> u64 {
        id + gate.pass().await as u64
    }
    #[redis_cached(prefix = "tags", name = "away", key = "{id}", tags = ["org:{id}"], cache = cache, skip(cache, gate))]
    async fn org(cache: &Cache, gate: Arc<Gate>, id: u64) -> String {
        (id + gate.pass().await as u64).to_string()
    }
    let server = Server::start();
    let cache = remote(&server);
    server.kill();
    in_time("the breaker is open", async || {
        team_entry(&cache, 1).get().await.unwrap_err().kind() == ErrorKind::CircuitOpen
    })
    .await;
    let (gate, other) = (Arc::new(Gate::closed()), Arc::new(Gate::closed()));
    let first = tokio::spawn({
        let (cache, other) = (cache.clone(), other.clone());
        async move { team(&cache, other, 10).await }
    });
    other.wait_for(1).await;
    cache.invalidate_tag("team:10").await.unwrap_err();
    let call = || {
        let (cache, gate) = (cache.clone(), gate.clone());
        tokio::spawn(async move { org(&cache, gate, 10).await })
    };
    let before = [call(), call()];
    gate.wait_for(1).await;
    cache.invalidate_tag("org:10").await.unwrap_err();
    let after = [call(), call()];
    gate.wait_for(2).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    gate.open();
    other.open();
    assert_eq!(first.await.unwrap(), 11);
    for (calls, value) in [(before, "11"), (after, "12")] {
        for call in calls {
            assert_eq!(call.await.unwrap(), value);
        }
    }
    assert_eq!(gate.entered(), 2);
}

#[tokio::test]
async fn a_full_server_stores_nothing_and_hinders_nobody() {
    let server = Server::with(&["--maxmemory-policy", "noeviction"]);
    let (cache, source) = (remote(&server), AtomicU64::new(1));
    row(&cache, &source, 7, 1).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    source.store(2, SeqCst);
    assert_eq!(row(&cache, &source, 7, 1).await, 711, "a hit");
    assert!(cache.invalidate_tag("org:7").await.unwrap());
    for id in 1..20 {
        assert_eq!(row(&cache, &source, 7, id).await, 702 + id * 10);
        assert_eq!(row_plain(&cache, &source, 7, id), 702 + id * 10);
        assert_eq!(told(&cache, &source, 7, id).await, (7, 2));
    }
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    in_time("a hit", async || {
        row(&cache, &source, 7, 1).await;
        row_entry(&cache, 7, 1).get().await.unwrap() == Some(712)
    })
    .await;
}
