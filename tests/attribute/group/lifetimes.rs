//! Each field has a lifetime of its own.

use super::*;

/// The expiry of the hash.
fn expires_in(server: &Server) -> i64 {
    number(server, &["PTTL", HASH])
}

fn has_field_expiry(server: &Server) -> bool {
    server.cli(&["HPEXPIRE", "no such hash", "1", "FIELDS", "1", "f"]).starts_with("-2")
}

#[tokio::test]
async fn a_group_counts_values_and_not_computations() {
    let server = Server::start();
    for cache in caches(&server) {
        let (runs, gate) = (AtomicUsize::new(0), Arc::new(Gate::closed()));
        let class = grade_group(&cache, 7);
        assert!(class.is_empty().await.unwrap() && class.len().await.unwrap() == 0);
        let leader = {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move { gated(&cache, gate, 7, 10).await })
        };
        gate.wait_for(1).await;
        assert!(class.is_empty().await.unwrap(), "a lease is no entry");
        grade(&cache, &runs, 7, "Ada").await;
        assert_eq!(class.len().await.unwrap(), 1);
        gate.open();
        leader.await.unwrap();
        assert_eq!(class.len().await.unwrap(), 2);
    }
}

#[tokio::test]
async fn lifetimes_in_one_group_are_exact_and_the_hash_lives_as_long_as_the_longest() {
    #[redis_cached(prefix = "grp", name = "millis", group = "class:{class}", ttl = |ms: &u64| Duration::from_millis(*ms), cache = cache, skip(cache))]
    async fn millis(cache: &Cache, class: u64, ms: u64) -> u64 {
        assert_eq!(class, 7);
        ms
    }
    #[redis_cached(prefix = "grp", name = "forever", group = "class:{class}", ttl = forever, cache = cache, skip(cache))]
    async fn forever(cache: &Cache, class: u64) -> u64 {
        class
    }
    const HOUR: u64 = 3_600_000;
    let server = Server::start();
    for cache in caches(&server) {
        let is_remote = format!("{cache:?}").contains("redis://");
        let left = async |ms| millis_entry(&cache, 7, ms).ttl().await.unwrap().map(|left| left.as_millis() as u64);
        // Alone, a short-lived one leaves nothing for longer than a lease.
        millis(&cache, 7, 30).await;
        if is_remote {
            let left = expires_in(&server);
            assert!((1..=10_000).contains(&left) || left == -2, "{left}");
        }
        expired(millis_entry(&cache, 7, 30)).await;

        for ms in [HOUR, 400, 999, 60_000] {
            millis(&cache, 7, ms).await;
            let left = left(ms).await.unwrap();
            assert!(left <= ms && left + 300 > ms, "{ms}: {left}");
            if is_remote {
                let hash = expires_in(&server);
                assert!((HOUR as i64 - 5_000..=HOUR as i64).contains(&hash), "{ms}: {hash}");
            }
        }
        millis(&cache, 7, 120).await;
        let begun = Instant::now();
        expired(millis_entry(&cache, 7, 120)).await;
        assert!(begun.elapsed() >= Duration::from_millis(90), "{:?}", begun.elapsed());
        assert!(left(HOUR).await.unwrap() > HOUR - 20_000, "its neighbour is as it was");

        // Zero: not stored.
        millis(&cache, 7, 0).await;
        assert_eq!(left(0).await, None);

        millis(&cache, 7, 2 * HOUR).await;
        millis(&cache, 7, 30 * 24 * HOUR).await;
        if is_remote {
            let hash = expires_in(&server);
            assert!((30 * 24 * HOUR as i64 - 5_000..=30 * 24 * HOUR as i64).contains(&hash), "it grows: {hash}");
        }
        forever(&cache, 7).await;
        assert_eq!(forever_entry(&cache, 7).ttl().await.unwrap(), Some(Duration::MAX));
        millis(&cache, 7, 50).await;
        if is_remote {
            assert_eq!(expires_in(&server), -1, "for ever, whatever comes after");
        }
        expired(millis_entry(&cache, 7, 50)).await;
        assert_eq!(forever_entry(&cache, 7).get().await.unwrap(), Some(7));
        assert!(left(HOUR).await.is_some());
        // A life that is refreshed starts again.
        millis_entry(&cache, 7, 400).put(&400).await.unwrap();
        assert!(left(400).await.unwrap() > 300);
        // A new group of the same name has an end again.
        grade_group(&cache, 7).invalidate().await.unwrap();
        millis(&cache, 7, HOUR).await;
        if is_remote {
            assert!((1..=HOUR as i64).contains(&expires_in(&server)));
        }
    }
}

#[tokio::test]
async fn a_none_in_a_group_has_its_own_lifetime() {
    #[redis_cached(prefix = "grp", name = "found", group = "class:{class}", ttl = "1h", none_ttl = "40ms", cache = cache, skip(cache, runs))]
    async fn found(cache: &Cache, runs: &AtomicUsize, class: u64, id: u64) -> Option<u64> {
        runs.fetch_add(1, SeqCst);
        (id > 0).then_some(class + id)
    }
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        assert_eq!(found(&cache, &runs, 7, 1).await, Some(8));
        assert_eq!(found(&cache, &runs, 7, 0).await, None);
        let begun = Instant::now();
        if found_entry(&cache, 7, 0).get().await.unwrap().is_none() {
            assert!(begun.elapsed() > Duration::from_millis(20), "a stored `None` is there");
        }
        expired(found_entry(&cache, 7, 0)).await;
        let before = runs.load(SeqCst);
        assert_eq!(found(&cache, &runs, 7, 0).await, None);
        assert_eq!(runs.load(SeqCst), before + 1);
        assert_eq!(found(&cache, &runs, 7, 1).await, Some(8));
        assert_eq!(runs.load(SeqCst), before + 1);
    }
}

/// If fields cannot expire, each new computation looks at a few.
#[tokio::test]
async fn entries_that_have_expired_do_not_pile_up() {
    #[redis_cached(prefix = "grp", name = "brief", group = "class:{class}", ttl = "5ms", cache = cache, skip(cache))]
    async fn brief(cache: &Cache, class: u64, id: u64) -> Vec<u64> {
        vec![class; 10 + id as usize % 10]
    }
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    // These entries stay.
    for student in 0..50 {
        grade(&cache, &runs, 7, &student.to_string()).await;
    }
    let sweeps = !has_field_expiry(&server);
    for id in 0..3_000 {
        brief(&cache, 7, id).await;
        if sweeps && id % 100 == 99 {
            let fields = number(&server, &["HLEN", HASH]);
            assert!(fields < 500, "{fields} fields after {id} entries");
        }
    }
    // The next computations find the rest of them, one after the other.
    let mut id = 3_000;
    in_time("what has expired is gone", async || {
        brief(&cache, 7, id).await;
        id += 1;
        number(&server, &["HLEN", HASH]) < 100
    })
    .await;
    for student in 0..50 {
        assert!(grade_entry(&cache, 7, &student.to_string()).get().await.unwrap().is_some());
    }
    assert!(grade_group(&cache, 7).len().await.unwrap() < 100);
}
