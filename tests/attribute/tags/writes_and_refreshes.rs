//! Old values, refreshes and writes under tags.

use super::*;

#[tokio::test]
async fn an_old_value_is_not_served_past_its_tag() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let gate = open();
        assert_eq!(old(&cache, gate.clone(), 7, 10).await, 11);
        expired(old_entry(&cache, 7, 10)).await;
        gate.close();
        assert_eq!(old(&cache, gate.clone(), 7, 10).await, 11, "the old value");
        gate.wait_for(2).await;
        assert!(other.invalidate_tag("org:7").await.unwrap());
        gate.open();
        assert!(old(&cache, gate.clone(), 7, 10).await >= 13, "neither the old value nor its refresh");
        assert!(old(&other, gate.clone(), 7, 10).await >= 13);
        old_entry(&cache, 7, 10).invalidate().await.unwrap();
    }
}

/// It may store its result, which no call is served.
#[tokio::test]
async fn a_refresh_behind_whose_tag_was_invalidated_meanwhile_is_in_vain() {
    #[redis_cached(prefix = "tags", name = "ahead", tags = "org:{org}", ttl = "10s", refresh_ahead = 0.01, cache = cache, skip(cache, gate))]
    async fn ahead(cache: &Cache, gate: Arc<Gate>, org: u64) -> u64 {
        org + gate.pass().await as u64
    }
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        for calls_meanwhile in [false, true] {
            let gate = open();
            let stats = cache.stats();
            assert_eq!(ahead(&cache, gate.clone(), 7).await, 8);
            gate.close();
            in_time("it is refreshed", async || {
                assert_eq!(ahead(&cache, gate.clone(), 7).await, 8);
                gate.entered() == 2
            })
            .await;
            assert!(other.invalidate_tag("org:7").await.unwrap());
            assert_eq!(ahead_entry(&cache, 7).get().await.unwrap(), None);
            if calls_meanwhile {
                let call = {
                    let (cache, gate) = (cache.clone(), gate.clone());
                    tokio::spawn(async move { ahead(&cache, gate, 7).await })
                };
                gate.wait_for(3).await;
                gate.open();
                assert_eq!(call.await.unwrap(), 10);
            } else {
                gate.open();
                in_time("the refresh ends", async || {
                    let now = cache.stats();
                    now.stored + now.refused == stats.stored + stats.refused + 2
                })
                .await;
                assert_eq!(ahead(&other, gate.clone(), 7).await, 10);
            }
            assert_eq!(ahead_entry(&other, 7).get().await.unwrap(), Some(10));
            ahead_entry(&cache, 7).invalidate().await.unwrap();
        }
    }
}

#[tokio::test]
async fn where_the_body_fails_nothing_is_served_past_its_tag() {
    #[redis_cached(prefix = "tags", name = "kept", tags = ["org:{org}", |kept: &Vec<String>| kept.clone()], ttl = "30ms", stale_if_error = "1h", cache = cache, skip(cache, value))]
    async fn kept(cache: &Cache, value: Result<Vec<String>, String>, org: u64) -> Result<Vec<String>, String> {
        assert_eq!(org, 7);
        value
    }
    let server = Server::start();
    for cache in caches(&server) {
        for tag in ["org:7", "one"] {
            let value = texts(&["one", "two"]);
            kept_entry(&cache, 7).invalidate().await.unwrap();
            assert_eq!(kept(&cache, Ok(value.clone()), 7).await, Ok(value.clone()));
            expired(kept_entry(&cache, 7)).await;
            assert_eq!(kept(&cache, Err("it fails".to_owned()), 7).await, Ok(value));
            assert!(cache.invalidate_tag(tag).await.unwrap());
            assert!(kept(&cache, Err("it fails".to_owned()), 7).await.is_err(), "{tag}");
        }
    }
}

#[tokio::test]
async fn put_write_through_and_refresh_store_under_the_tags() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let runs = AtomicUsize::new(0);
        let (entry, far) = (user_entry(&cache, 7, 1), user_entry(&other, 7, 1));
        // Also where there is no stamp yet.
        for _ in 0..2 {
            assert!(entry.put(&5).await.unwrap());
            assert_eq!(user(&other, &runs, 7, 1).await, 5);
            assert!(other.invalidate_tag("org:7").await.unwrap());
            assert_eq!(entry.get().await.unwrap(), None);

            assert_eq!(entry.write_through(&6, async || Ok::<_, ()>("written")).await, Ok("written"));
            assert_eq!(far.get().await.unwrap(), Some(6));
            assert!(other.invalidate_tag("org:7").await.unwrap());
            assert_eq!(far.get().await.unwrap(), None);

            let refreshed = user_refresh(&cache, &runs, 7, 1).await;
            assert_eq!(far.get().await.unwrap(), Some(refreshed));
            let refreshed = user_refresh(&other, &runs, 7, 1).await;
            assert_eq!(entry.get().await.unwrap(), Some(refreshed));
            assert!(other.invalidate_tag("org:7").await.unwrap());
            assert_eq!(far.get().await.unwrap(), None);
            let refreshed = user_refresh(&other, &runs, 7, 1).await;
            assert_eq!(entry.get().await.unwrap(), Some(refreshed), "over a value that is out of date");
            other.invalidate_tag("org:7").await.unwrap();
        }
        let value = Member { id: 1, teams: texts(&["red"]), run: 9 };
        assert!(member_entry(&cache, 7, 1).put(&value).await.unwrap());
        assert_eq!(member(&other, &runs, &[], 7, 1).await, value);
        assert!(other.invalidate_tag("team:red").await.unwrap());
        assert_eq!(member_entry(&cache, 7, 1).get().await.unwrap(), None);
        assert_eq!(own_entry(&cache, 1).write_through(&value, || Ok::<_, ()>(())), Ok(()));
        assert_eq!(own(&other, &runs, &[], 1), value);
        assert!(other.invalidate_tag("team:red").await.unwrap());
        assert_eq!(own_entry(&cache, 1).get().unwrap(), None);
        assert!(total_entry(&cache, 7).put(&3).unwrap());
        assert_eq!(total(&other, &runs, 7), 3);
        total_refresh(&other, &runs, 7);
        assert!(cache.blocking().invalidate_tag("org:7").unwrap());
        assert_eq!(total_entry(&other, 7).get().unwrap(), None);
    }
}

#[tokio::test]
async fn a_write_or_a_refresh_whose_tag_is_invalidated_meanwhile_leaves_nothing() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let entry = user_entry(&cache, 7, 1);
        let written = entry.write_through(&6, async || {
            assert!(other.invalidate_tag("org:7").await.unwrap());
            Ok::<_, ()>(())
        });
        assert_eq!(written.await, Ok(()));
        assert_eq!(user_entry(&other, 7, 1).get().await.unwrap(), None);

        let gate = Arc::new(Gate::closed());
        for is_there in [false, true] {
            if is_there {
                assert!(gated_entry(&cache, 7, 10).put(&99).await.unwrap());
            }
            let before = gate.entered();
            let refresh = {
                let (cache, gate) = (cache.clone(), gate.clone());
                tokio::spawn(async move { gated_refresh(&cache, gate, 7, 10).await })
            };
            gate.wait_for(before + 1).await;
            assert!(other.invalidate_tag("org:7").await.unwrap());
            gate.open();
            refresh.await.unwrap();
            assert_eq!(gated_entry(&other, 7, 10).get().await.unwrap(), None);
            gate.close();
        }
    }
}
