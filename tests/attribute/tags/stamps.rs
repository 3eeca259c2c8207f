//! The stamps of tags: their lifetime, and what else may be in their place.

use super::*;

fn expires_in(server: &Server, key: &str) -> i64 {
    server.cli(&["PTTL", key]).parse().unwrap()
}

/// Evicted, flushed, deleted, expired, or overwritten.
#[tokio::test]
async fn a_stamp_that_is_gone_is_a_miss_and_no_other_brings_the_value_back() {
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    for lose in [
        &["DEL", STAMP][..],
        &["UNLINK", STAMP],
        &["PEXPIRE", STAMP, "0"],
        &["RENAME", STAMP, "elsewhere"],
        &["SET", STAMP, "0123456789abcdef"],
        &["SET", STAMP, ""],
    ] {
        let old = user(&cache, &runs, 7, 1).await;
        assert_eq!(user_entry(&cache, 7, 1).get().await.unwrap(), Some(old));
        server.cli(lose);
        assert_eq!(user_entry(&cache, 7, 1).get().await.unwrap(), None, "{lose:?}");
        // Somebody else uses the tag, which has a stamp again.
        user(&cache, &runs, 7, 2).await;
        assert_eq!(total(&cache, &runs, 7), total(&cache, &runs, 7));
        assert_eq!(user_entry(&cache, 7, 1).get().await.unwrap(), None, "{lose:?}");
        let new = user(&cache, &runs, 7, 1).await;
        assert_ne!(new, old);
        assert_eq!(user(&cache, &runs, 7, 1).await, new);
        server.cli(&["DEL", STAMP]);
    }
}

#[tokio::test]
async fn something_else_in_a_stamps_place_is_left_alone() {
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    server.cli(&["RPUSH", STAMP, "somebody's"]);
    for run in 0..3 {
        assert_eq!(user(&cache, &runs, 7, 1).await, 70_100 + run);
    }
    assert_eq!(user_entry(&cache, 7, 1).get().await.unwrap(), None);
    assert_eq!(user_entry(&cache, 7, 1).put(&1).await.unwrap_err().kind(), ErrorKind::WrongType);
    assert_eq!(server.cli(&["LLEN", STAMP]), "1");
    server.cli(&["DEL", STAMP]);
    assert_eq!(user(&cache, &runs, 7, 1).await, 70_103);
    assert_eq!(user(&cache, &runs, 7, 1).await, 70_103);
}

/// Like one deploy of a function after another.
#[tokio::test]
async fn another_list_of_tags_is_a_miss_and_its_order_is_not() {
    macro_rules! function {
        ($name:ident($id:ident) $(, tags = $tags:tt)?) => {
            #[redis_cached(prefix = "tags", name = "changed", $(tags = $tags,)? cache = cache, skip(cache, runs))]
            async fn $name(cache: &Cache, runs: &AtomicUsize, $id: u64) -> u64 {
                $id + runs.fetch_add(1, SeqCst) as u64
            }
        };
    }
    function!(untagged(id));
    function!(one(id), tags = ["one:{id}"]);
    function!(other(id), tags = ["other:{id}"]);
    function!(both(id), tags = ["one:{id}", "other:{id}"]);
    function!(reversed(id), tags = ["other:{id}", "one:{id}"]);
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        // Their stamps are there from here on.
        both(&cache, &runs, 0).await;
        for round in 0..2 {
            let mut values = Vec::new();
            values.push(untagged(&cache, &runs, 10).await);
            assert_eq!(one_entry(&cache, 10).get().await.unwrap(), None, "untagged");
            values.push(one(&cache, &runs, 10).await);
            assert_eq!(untagged_entry(&cache, 10).get().await.unwrap(), None, "tagged");
            assert_eq!(other_entry(&cache, 10).get().await.unwrap(), None, "by another tag");
            values.push(other(&cache, &runs, 10).await);
            assert_eq!(one_entry(&cache, 10).get().await.unwrap(), None);
            values.push(both(&cache, &runs, 10).await);
            assert_eq!(other_entry(&cache, 10).get().await.unwrap(), None, "one of two");
            assert_eq!(untagged_entry(&cache, 10).get().await.unwrap(), None);
            assert_eq!(Some(reversed(&cache, &runs, 10).await), values.last().copied());
            values.dedup();
            assert_eq!(values.len(), 4, "round {round}");
        }
        // Rewritten without the tag, it survives it.
        one(&cache, &runs, 10).await;
        let last = untagged(&cache, &runs, 10).await;
        cache.invalidate_tag("one:10").await.unwrap();
        assert_eq!(untagged_entry(&cache, 10).get().await.unwrap(), Some(last));
    }
}

#[tokio::test]
async fn stamps_outlive_the_entries_under_them() {
    #[redis_cached(prefix = "tags", name = "millis", tags = ["org:{org}", |ms: &u64| vec![format!("own:{}", ms % 2)]], ttl = |ms: &u64| Duration::from_millis(*ms), cache = cache, skip(cache))]
    async fn millis(cache: &Cache, org: u64, ms: u64) -> u64 {
        assert_eq!(org, 7);
        ms
    }
    #[redis_cached(prefix = "tags", name = "windows", tags = ["org:{org}"], ttl = "1h", stale_while_revalidate = "30d", cache = cache, skip(cache))]
    async fn windows(cache: &Cache, org: u64) -> u64 {
        org
    }
    #[redis_cached(prefix = "tags", name = "forever", tags = ["org:{org}"], ttl = forever, cache = cache, skip(cache))]
    fn forever(cache: &Cache, org: u64) -> u64 {
        org
    }
    const HOUR: u64 = 3_600_000;
    let server = Server::start();
    let cache = remote(&server);
    for ms in [1_000, 2 * HOUR, 500, 24 * HOUR + 1, 10] {
        millis(&cache, 7, ms).await;
        let own = format!("#tag:own:{}", ms % 2);
        let value = expires_in(&server, &format!("tags:millis:7:{ms}"));
        for stamp in [STAMP, &own] {
            let stamp = expires_in(&server, stamp);
            assert!(stamp > value && stamp > 3_000_000, "{ms}: {stamp} {value}");
        }
    }
    windows(&cache, 7).await;
    assert!(expires_in(&server, STAMP) > expires_in(&server, "tags:windows:7"));
    assert!(expires_in(&server, STAMP) > 30 * 24 * HOUR as i64);
    forever(&cache, 7);
    assert_eq!(expires_in(&server, STAMP), -1);
    millis(&cache, 7, 20_000).await;
    assert_eq!(expires_in(&server, STAMP), -1, "for ever, whatever comes after");
    assert_eq!(forever(&cache, 7), 7);
    assert!(cache.invalidate_tag("org:7").await.unwrap());
    assert_eq!(forever_entry(&cache, 7).get().unwrap(), None);
    millis(&cache, 7, 20_000).await;
    assert!((1..=HOUR as i64 + 60_000).contains(&expires_in(&server, STAMP)), "a new one has an end again");
}
