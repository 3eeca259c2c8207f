//! The verbs of an entry, on Redis and in memory, async and blocking.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis_cached::{Cache, ErrorKind, redis_cached};
use test_support::Server;

#[redis_cached(ttl = 60, prefix = "t", name = "name", none_ttl = "5s", cache_if = |name: &Option<String>| name.as_deref() != Some("secret"), cache = cache, skip(cache, runs))]
async fn name(cache: &Cache, runs: &AtomicUsize, id: u64) -> Option<String> {
    runs.fetch_add(1, Ordering::SeqCst);
    (id != 0).then(|| format!("user {id}"))
}

#[redis_cached(ttl = forever, prefix = "t", name = "plain", cache = cache, skip(cache, runs))]
fn plain(cache: &Cache, runs: &AtomicUsize, id: u64) -> Result<String, &'static str> {
    runs.fetch_add(1, Ordering::SeqCst);
    if id == 0 { Err("no such user") } else { Ok(format!("user {id}")) }
}

/// Runs `check` against a cache in memory and one on a server.
async fn on_both(check: impl AsyncFn(Cache)) {
    check(Cache::builder("memory://").unwrap().build()).await;
    let server = Server::start();
    check(Cache::builder(&server.url()).unwrap().build()).await;
}

#[tokio::test]
async fn get_never_computes() {
    on_both(async |cache| {
        let runs = AtomicUsize::new(0);
        let entry = name_entry(&cache, 1);
        assert_eq!(entry.get().await.unwrap(), None);
        assert_eq!(entry.ttl().await.unwrap(), None);
        assert_eq!(runs.load(Ordering::SeqCst), 0);
        name(&cache, &runs, 1).await;
        assert_eq!(entry.get().await.unwrap(), Some(Some("user 1".into())));
        let left = entry.ttl().await.unwrap().unwrap();
        assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(30), "{left:?}");
    })
    .await;
}

#[tokio::test]
async fn a_stored_none_is_a_hit_and_told_from_a_miss() {
    on_both(async |cache| {
        let runs = AtomicUsize::new(0);
        assert_eq!(name(&cache, &runs, 0).await, None);
        assert_eq!(name(&cache, &runs, 0).await, None);
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        let entry = name_entry(&cache, 0);
        assert_eq!(entry.get().await.unwrap(), Some(None));
        assert!(entry.ttl().await.unwrap().unwrap() <= Duration::from_secs(5));
    })
    .await;
}

#[tokio::test]
async fn put_stores_what_the_attribute_would_store() {
    on_both(async |cache| {
        let runs = AtomicUsize::new(0);
        let entry = name_entry(&cache, 2);
        assert!(entry.put(&Some("put".into())).await.unwrap());
        assert_eq!(name(&cache, &runs, 2).await.as_deref(), Some("put"));
        // Refused by `cache_if`: stored neither is the new one nor stays the old one.
        assert!(!entry.put(&Some("secret".into())).await.unwrap());
        assert_eq!(entry.get().await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn invalidate_says_whether_something_was_there() {
    on_both(async |cache| {
        let runs = AtomicUsize::new(0);
        let entry = name_entry(&cache, 3);
        assert!(!entry.invalidate().await.unwrap());
        name(&cache, &runs, 3).await;
        assert!(entry.invalidate().await.unwrap());
        name(&cache, &runs, 3).await;
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    })
    .await;
}

#[tokio::test]
async fn uncached_and_refresh_run_the_body() {
    on_both(async |cache| {
        let runs = AtomicUsize::new(0);
        name(&cache, &runs, 4).await;
        name_uncached(&cache, &runs, 4).await;
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        name_refresh(&cache, &runs, 4).await;
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        name(&cache, &runs, 4).await;
        assert_eq!(runs.load(Ordering::SeqCst), 3, "the refreshed value is stored");
        assert_eq!(cache.stats().stored, 2);
    })
    .await;
}

#[tokio::test]
async fn an_invalidation_during_the_body_voids_its_result() {
    on_both(async |cache| {
        let runs = AtomicUsize::new(0);
        #[redis_cached(prefix = "t", name = "slow", cache = cache, skip(cache, runs, gate))]
        async fn slow(
            cache: &Cache,
            runs: &AtomicUsize,
            gate: Option<tokio::sync::oneshot::Receiver<()>>,
            id: u64,
        ) -> usize {
            let run = runs.fetch_add(1, Ordering::SeqCst);
            assert_eq!(id, 9);
            if let Some(gate) = gate {
                gate.await.unwrap();
            }
            run
        }
        let (open, gate) = tokio::sync::oneshot::channel();
        let reader = slow(&cache, &runs, Some(gate), 9);
        let writer = async {
            while runs.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            slow_entry(&cache, 9).invalidate().await.unwrap();
            open.send(()).unwrap();
        };
        let (first, ()) = tokio::join!(reader, writer);
        assert_eq!(first, 0, "its own caller gets it");
        assert_eq!(slow_entry(&cache, 9).get().await.unwrap(), None, "nobody else does");
        assert_eq!(slow(&cache, &runs, None, 9).await, 1);
        assert_eq!(cache.stats().refused, 1);
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_call_leaves_no_lease() {
    on_both(async |cache| {
        #[redis_cached(prefix = "t", name = "never", lease = "10m", cache = cache, skip(cache, started, wait))]
        async fn never(cache: &Cache, started: &tokio::sync::Notify, wait: bool, id: u64) -> u64 {
            started.notify_one();
            if wait {
                std::future::pending::<()>().await;
            }
            id
        }
        let started = tokio::sync::Notify::new();
        tokio::select! {
            _ = never(&cache, &started, true, 5) => unreachable!("it waits for ever"),
            () = started.notified() => {}
        }
        // The lease is given back in the background: until then calls compute unstored.
        let given_back = async {
            while never_entry(&cache, 5).get().await.unwrap().is_none() {
                assert_eq!(never(&cache, &started, false, 5).await, 5);
            }
        };
        tokio::time::timeout(Duration::from_secs(10), given_back).await.expect("a lease was left behind");
    })
    .await;
}

#[tokio::test]
async fn a_panicking_body_leaves_no_lease() {
    on_both(async |cache| {
        #[redis_cached(prefix = "t", name = "panics", lease = "10m", cache = cache, skip(cache, panic))]
        async fn panics(cache: Cache, panic: bool, id: u64) -> u64 {
            assert!(!panic, "the body's own");
            id
        }
        tokio::spawn(panics(cache.clone(), true, 5)).await.unwrap_err();
        let given_back = async {
            while panics_entry(cache.clone(), 5).get().await.unwrap().is_none() {
                assert_eq!(panics(cache.clone(), false, 5).await, 5);
            }
        };
        tokio::time::timeout(Duration::from_secs(10), given_back).await.expect("a lease was left behind");
    })
    .await;
}

#[tokio::test]
async fn write_through_stores_after_the_write_and_empties_after_a_failed_one() {
    on_both(async |cache| {
        let runs = AtomicUsize::new(0);
        let entry = name_entry(&cache, 6);
        name(&cache, &runs, 6).await;
        let written: Result<u8, &str> = entry
            .write_through(&Some("new".into()), async || {
                assert_eq!(entry.get().await.unwrap(), None, "nothing is served while it is written");
                Ok(7)
            })
            .await;
        assert_eq!(written, Ok(7));
        assert_eq!(name(&cache, &runs, 6).await.as_deref(), Some("new"));
        assert_eq!(runs.load(Ordering::SeqCst), 1);

        let failed: Result<u8, &str> = entry.write_through(&Some("newer".into()), async || Err("deadlock")).await;
        assert_eq!(failed, Err("deadlock"));
        assert_eq!(entry.get().await.unwrap(), None, "the write may have been committed");
    })
    .await;
}

#[tokio::test]
async fn write_through_is_overtaken_by_an_invalidation() {
    on_both(async |cache| {
        let entry = name_entry(&cache, 7);
        let written: Result<(), ()> = entry
            .write_through(&Some("overtaken".into()), async || {
                entry.invalidate().await.unwrap();
                Ok(())
            })
            .await;
        assert_eq!(written, Ok(()));
        assert_eq!(entry.get().await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn write_through_returning_stores_what_the_write_returns() {
    on_both(async |cache| {
        let runs = AtomicUsize::new(0);
        let entry = name_entry(&cache, 8);
        name(&cache, &runs, 8).await;
        let written: Result<Option<String>, &str> = entry
            .write_through_returning(async || {
                assert_eq!(entry.get().await.unwrap(), None, "nothing is served while it is written");
                Ok(Some("returned".into()))
            })
            .await;
        assert_eq!(written, Ok(Some("returned".into())));
        assert_eq!(name(&cache, &runs, 8).await.as_deref(), Some("returned"));
        assert_eq!(runs.load(Ordering::SeqCst), 1);

        // `cache_if` refuses it, and what was there is out of date.
        let secret = Some("secret".to_owned());
        assert_eq!(entry.write_through_returning(async || Ok::<_, ()>(secret.clone())).await, Ok(secret));
        assert_eq!(entry.get().await.unwrap(), None);
        name(&cache, &runs, 8).await;
        assert_eq!(entry.write_through_returning(async || Err("deadlock")).await, Err("deadlock"));
        assert_eq!(entry.get().await.unwrap(), None, "the write may have been committed");

        let overtaken = async || {
            entry.invalidate().await.unwrap();
            Ok::<_, ()>(Some("overtaken".to_owned()))
        };
        assert!(entry.write_through_returning(overtaken).await.is_ok());
        assert_eq!(entry.get().await.unwrap(), None);

        // Dropped in the middle of the write.
        name(&cache, &runs, 8).await;
        let dropped = entry.write_through_returning(async || {
            std::future::pending::<()>().await;
            Ok::<_, ()>(None)
        });
        tokio::time::timeout(Duration::from_millis(50), dropped).await.unwrap_err();
        test_support::in_time("it is emptied", async || entry.get().await.unwrap().is_none()).await;
        assert_eq!(entry.ttl().await.unwrap(), None);
    })
    .await;
}

#[test]
fn blocking_verbs() {
    let server = Server::start();
    for cache in [Cache::builder("memory://").unwrap().build(), Cache::builder(&server.url()).unwrap().build()] {
        let runs = AtomicUsize::new(0);
        assert_eq!(plain(&cache, &runs, 0), Err("no such user"));
        assert_eq!(plain(&cache, &runs, 0), Err("no such user"));
        assert_eq!(runs.load(Ordering::SeqCst), 2, "an error is not stored");
        let entry = plain_entry(&cache, 1);
        assert_eq!(entry.key().unwrap(), "t:plain:1");
        assert_eq!(plain(&cache, &runs, 1).as_deref(), Ok("user 1"));
        assert_eq!(entry.get().unwrap().as_deref(), Some("user 1"));
        assert_eq!(entry.ttl().unwrap(), Some(Duration::MAX), "ttl = forever");
        assert!(entry.invalidate().unwrap());
        assert!(entry.put(&"put".to_owned()).unwrap());
        assert_eq!(plain(&cache, &runs, 1).as_deref(), Ok("put"));
        assert_eq!(plain_refresh(&cache, &runs, 1).as_deref(), Ok("user 1"));
        assert_eq!(entry.get().unwrap().as_deref(), Some("user 1"));
        assert_eq!(entry.write_through(&"w".to_owned(), || Ok::<_, ()>(3)), Ok(3));
        assert_eq!(entry.get().unwrap().as_deref(), Some("w"));
        assert_eq!(entry.write_through_returning(|| Ok::<_, ()>("x".to_owned())).as_deref(), Ok("x"));
        assert_eq!(plain(&cache, &runs, 1).as_deref(), Ok("x"));
        assert_eq!(entry.write_through_returning(|| Err("deadlock")), Err("deadlock"));
        assert_eq!(entry.get().unwrap(), None);
        cache.blocking().ping().unwrap();
    }
}

#[tokio::test]
async fn arguments_that_make_no_key_are_told_by_verbs_and_not_by_calls() {
    use std::os::unix::ffi::OsStrExt;
    #[redis_cached(cache = cache, skip(cache))]
    async fn size(cache: &Cache, path: &std::path::Path) -> usize {
        path.as_os_str().len()
    }
    let cache = Cache::builder("memory://").unwrap().build();
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    assert_eq!(size(&cache, path).await, 2);
    assert_eq!(cache.stats().bypasses, 1);
    assert_eq!(size_entry(&cache, path).get().await.unwrap_err().kind(), ErrorKind::Key);
}

#[tokio::test]
async fn an_unreachable_server_is_told_by_verbs() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    server.kill();
    let entry = name_entry(&cache, 1);
    assert_eq!(entry.get().await.unwrap_err().kind(), ErrorKind::Unreachable);
    assert_eq!(entry.put(&None).await.unwrap_err().kind(), ErrorKind::Unreachable);
    assert_eq!(entry.invalidate().await.unwrap_err().kind(), ErrorKind::Unreachable);
    assert_eq!(cache.ping().await.unwrap_err().kind(), ErrorKind::Unreachable);
}

#[test]
fn an_unreachable_server_is_told_by_blocking_verbs_too() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    server.kill();
    let entry = plain_entry(&cache, 1);
    let told = |error: redis_cached::Error| {
        matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::CircuitOpen).then_some(()).ok_or(error)
    };
    told(entry.get().unwrap_err()).unwrap();
    told(entry.ttl().unwrap_err()).unwrap();
    told(entry.put(&String::new()).unwrap_err()).unwrap();
    told(entry.invalidate().unwrap_err()).unwrap();
    told(cache.blocking().ping().unwrap_err()).unwrap();
    // The write takes place all the same, and its result is the caller's.
    assert_eq!(entry.write_through(&String::new(), || Ok::<_, ()>(3)), Ok(3));
    assert_eq!(entry.write_through(&String::new(), || Err::<(), _>("deadlock")), Err("deadlock"));
    assert_eq!(entry.write_through_returning(|| Ok::<_, ()>("x".to_owned())).as_deref(), Ok("x"));
}

/// A process that only writes never calls the functions whose entries it empties.
#[tokio::test]
async fn invalidate_needs_no_call_before() {
    #[redis_cached(prefix = "t", name = "read", key = "{id}", cache = cache, skip(cache, runs))]
    async fn read(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
        id + runs.fetch_add(1, Ordering::SeqCst) as u64
    }
    // Stand in for the same functions in another process.
    #[redis_cached(prefix = "t", name = "read", key = "{id}", cache = cache, skip(cache))]
    async fn never_called(cache: &Cache, id: u64) -> u64 {
        unreachable!("{id}")
    }
    #[redis_cached(prefix = "t", name = "read", key = "{id}", cache = cache, skip(cache))]
    fn never_called_either(cache: &Cache, id: u64) -> u64 {
        unreachable!("{id}")
    }
    let server = Server::start();
    let memory = Cache::builder("memory://").unwrap().build();
    let [one, other] = [0; 2].map(|_| Cache::builder(&server.url()).unwrap().build());
    for (reader, writer) in [(memory.clone(), memory), (one, other)] {
        let runs = AtomicUsize::new(0);
        assert_eq!(read(&reader, &runs, 10).await, 10);
        assert!(never_called_entry(&writer, 10).invalidate().await.unwrap());
        assert_eq!(read(&reader, &runs, 10).await, 11);
        assert!(never_called_either_entry(&writer, 10).invalidate().unwrap());
        assert_eq!(read(&reader, &runs, 10).await, 12);
        assert_eq!(read(&reader, &runs, 10).await, 12);
    }
}

#[tokio::test]
async fn an_invalidation_leaves_keys_that_begin_alike() {
    #[redis_cached(prefix = "t", name = "users", cache = cache, skip(cache))]
    async fn users(cache: &Cache, id: &str) -> usize {
        id.len()
    }
    #[redis_cached(prefix = "t", name = "usersAbc", cache = cache, skip(cache))]
    async fn users_abc(cache: &Cache, id: &str) -> usize {
        id.len()
    }
    #[redis_cached(prefix = "t", key = "users", cache = cache, skip(cache))]
    async fn all(cache: &Cache) -> usize {
        0
    }
    on_both(async |cache| {
        for id in ["1", "10", "1*", "*", ""] {
            users(&cache, id).await;
            users_abc(&cache, id).await;
        }
        all(&cache).await;
        for id in ["1", "*"] {
            assert!(users_entry(&cache, id).invalidate().await.unwrap());
        }
        assert!(all_entry(&cache).invalidate().await.unwrap());
        for id in ["10", "1*", ""] {
            assert_eq!(users_entry(&cache, id).get().await.unwrap(), Some(id.len()), "users:{id}");
        }
        for id in ["1", "10", "1*", "*", ""] {
            assert_eq!(users_abc_entry(&cache, id).get().await.unwrap(), Some(id.len()), "usersAbc:{id}");
        }
    })
    .await;
}

#[tokio::test]
async fn lifetimes_are_exact() {
    on_both(async |cache| {
        #[redis_cached(ttl = |ms: &u64| std::time::Duration::from_millis(*ms), prefix = "t", cache = cache, skip(cache))]
        async fn for_millis(cache: &Cache, ms: u64) -> u64 {
            ms
        }
        for ms in [400, 999, 1_000, 30 * 86_400_000] {
            for_millis(&cache, ms).await;
            let left = for_millis_entry(&cache, ms).ttl().await.unwrap().unwrap().as_millis() as u64;
            assert!(left <= ms && left + 300 > ms, "{ms}: {left}");
        }
        // Zero: not stored.
        for_millis(&cache, 0).await;
        assert_eq!(for_millis_entry(&cache, 0).get().await.unwrap(), None);
        // Gone when it is over, and not before.
        for_millis(&cache, 120).await;
        let started = std::time::Instant::now();
        while for_millis_entry(&cache, 120).get().await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(started.elapsed() >= Duration::from_millis(90), "{:?}", started.elapsed());
    })
    .await;
}
