//! Groups while the server is away or full.

use super::*;

#[redis_cached(prefix = "grp", name = "row", group = "class:{class}", cache = cache, skip(cache, source))]
async fn row(cache: &Cache, source: &AtomicU64, class: u64, id: u64) -> u64 {
    class * 100 + id * 10 + source.load(SeqCst)
}

#[redis_cached(prefix = "grp", name = "row", group = "class:{class}", cache = cache, skip(cache, source))]
fn row_plain(cache: &Cache, source: &AtomicU64, class: u64, id: u64) -> u64 {
    class * 100 + id * 10 + source.load(SeqCst)
}

/// By the group, of either face, or by a field; the server hears of nothing but what is read.
#[tokio::test]
async fn an_undelivered_invalidation_is_delivered_before_an_entry_is_read() {
    let server = Server::start();
    for way in 0..3 {
        let proxy = server.proxy();
        let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_millis(200)).build();
        let source = AtomicU64::new(1);
        for id in 1..4 {
            in_time("it is stored", async || {
                row(&cache, &source, 7, id).await;
                row_entry(&cache, 7, id).get().await.is_ok_and(|row| row.is_some())
            })
            .await;
        }
        proxy.set(Mode::Refuse);
        proxy.cut();
        source.store(2, SeqCst);
        match way {
            0 => drop(row_group(&cache, 7).invalidate().await.unwrap_err()),
            1 => drop(row_plain_group(&cache, 7).invalidate().unwrap_err()),
            _ => {
                for id in 1..4 {
                    drop(row_entry(&cache, 7, id).invalidate().await.unwrap_err());
                }
            }
        }
        assert_eq!(row(&cache, &source, 7, 1).await, 712, "away, the body runs");
        assert_eq!(number(&server, &["HLEN", HASH]), 3, "nothing has arrived");
        proxy.set(Mode::Pass);
        let hits = cache.stats().hits;
        in_time("a hit", async || {
            for id in 1..4 {
                assert_eq!(row(&cache, &source, 7, id).await, 702 + id * 10, "way {way}");
                assert_eq!(row_plain(&cache, &source, 7, id), 702 + id * 10, "way {way}");
            }
            cache.stats().hits > hits + 2
        })
        .await;
        row_group(&cache, 7).invalidate().await.unwrap();
    }
}

/// That process reads nothing, and yet it is to store again.
#[tokio::test]
async fn a_process_that_only_writes_stores_again_after_an_undelivered_invalidation_of_the_group() {
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_millis(100)).build();
    let entry = row_entry(&cache, 7, 1);
    in_time("it is stored", async || entry.put(&5).await.is_ok_and(|stored| stored)).await;
    proxy.set(Mode::Delay(Duration::from_millis(150)));
    row_group(&cache, 7).invalidate().await.expect_err("too slow");
    proxy.set(Mode::Pass);
    in_time("it is stored again", async || entry.put(&6).await.is_ok_and(|stored| stored)).await;
    assert_eq!(number(&server, &["HLEN", HASH]), 1);
}

/// The server would always refuse that one invalidation.
#[tokio::test]
async fn an_undelivered_invalidation_of_a_field_without_its_hash_holds_up_nothing() {
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_millis(200)).build();
    let source = AtomicU64::new(1);
    row(&cache, &source, 7, 1).await;
    proxy.set(Mode::Refuse);
    proxy.cut();
    row_entry(&cache, 7, 1).invalidate().await.unwrap_err();
    row_entry(&cache, 8, 1).invalidate().await.unwrap_err();
    for id in 0..10 {
        row(&cache, &source, 8, id).await; // opens the breaker
    }
    server.cli(&["DEL", HASH]);
    server.cli(&["SET", HASH, "somebody's"]);
    proxy.set(Mode::Pass);
    in_time("a hit", async || {
        row(&cache, &source, 8, 1).await;
        row_entry(&cache, 8, 1).get().await.is_ok_and(|row| row.is_some())
    })
    .await;
    server.cli(&["DEL", HASH]);
    in_time("a hit there, too", async || {
        row(&cache, &source, 7, 1).await;
        row_entry(&cache, 7, 1).get().await.is_ok_and(|row| row.is_some())
    })
    .await;
}

#[tokio::test]
async fn without_a_server_calls_return_and_verbs_tell() {
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    grade(&cache, &runs, 7, "Ada").await;
    server.kill();
    assert_eq!(grade(&cache, &runs, 7, "Ada").await, 7_301);
    assert_eq!(plain(&cache, &runs, 7, "Ada"), 7_302);
    let away = |error: redis_cached::Error| {
        assert!(matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::CircuitOpen), "{error}");
    };
    away(grade_entry(&cache, 7, "Ada").get().await.unwrap_err());
    away(grade_entry(&cache, 7, "Ada").put(&1).await.unwrap_err());
    away(grade_group(&cache, 7).len().await.unwrap_err());
    away(grade_group(&cache, 7).is_empty().await.unwrap_err());
    away(grade_group(&cache, 7).invalidate().await.unwrap_err());
    away(plain_group(&cache, 7).invalidate().unwrap_err());
    server.restart();
    in_time("a hit", async || {
        grade(&cache, &runs, 7, "Ada").await;
        grade_entry(&cache, 7, "Ada").get().await.is_ok_and(|grade| grade.is_some())
    })
    .await;
}

/// Calls share a running body then, but not with those from before an invalidation.
#[tokio::test]
async fn an_invalidation_without_a_server_parts_the_calls_before_it_from_those_after() {
    let server = Server::start();
    let cache = remote(&server);
    server.kill();
    in_time("the breaker is open", async || {
        gated_entry(&cache, 7, 1).get().await.unwrap_err().kind() == ErrorKind::CircuitOpen
    })
    .await;
    let gate = Arc::new(Gate::closed());
    let call = || {
        let (cache, gate) = (cache.clone(), gate.clone());
        tokio::spawn(async move { gated(&cache, gate, 7, 10).await })
    };
    let before = [call(), call()];
    gate.wait_for(1).await;
    gated_group(&cache, 7).invalidate().await.unwrap_err();
    let after = [call(), call()];
    gate.wait_for(2).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    gate.open();
    for (calls, value) in [(before, 11), (after, 12)] {
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
    assert_eq!(row(&cache, &source, 7, 1).await, 711);
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    source.store(2, SeqCst);
    for id in 2..20 {
        assert_eq!(row(&cache, &source, 7, id).await, 702 + id * 10);
        assert_eq!(row_plain(&cache, &source, 7, id), 702 + id * 10);
    }
    assert_eq!(row(&cache, &source, 7, 1).await, 711, "a hit");
    assert!(row_group(&cache, 7).invalidate().await.unwrap());
    assert_eq!(row(&cache, &source, 7, 1).await, 712);
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    in_time("a hit", async || {
        row(&cache, &source, 7, 1).await;
        row_entry(&cache, 7, 1).get().await.unwrap() == Some(712)
    })
    .await;
}
