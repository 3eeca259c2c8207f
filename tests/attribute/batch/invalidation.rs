//! Invalidations, refreshes and the verbs of one entry.

use super::*;

// Verbs.

#[tokio::test]
async fn an_id_that_is_invalidated_during_the_body_is_returned_and_not_stored() {
    let server = Server::start();
    for face in FACES {
        let [memory, redis] = caches(&server);
        let pairs = [[memory.clone(), memory], [redis.clone(), redis], [other(&server), other(&server)]];
        for [one, two] in pairs {
            one.invalidate_all([1, 2, 3].map(|id| rows_entry(&one, id))).await.unwrap();
            let before = one.stats().refused;
            let source = Source::closed();
            let batch = spawn(face, &one, &source, [1, 2, 3]);
            entered(&source, 1).await;
            source.version.store(1, SeqCst);
            rows_entry(&two, 2).invalidate().await.unwrap();
            // A call that begins now gets nothing of that body's.
            let later = spawn_one(face, &two, &source, 2);
            entered(&source, 2).await;
            source.gate.open();
            assert_eq!(finished(batch).await[&2], "row 2 of version 0");
            assert_eq!(finished(later).await, "row 2 of version 1");
            assert_eq!(one.stats().refused, before + 1);
            let found = call(face, &one, &source, [1, 2, 3]).await;
            let versions = [1, 2, 3].map(|id| found[&id].ends_with('1'));
            assert_eq!(versions, [false, true, false]);
            assert_eq!(source.asked(), [vec![1, 2, 3], vec![2]]);
        }
    }
}

#[tokio::test]
async fn a_refresh_computes_all_ids_and_an_uncached_call_none_of_the_cache() {
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        rows(&cache, &source, &[1, 2]).await;
        source.version.store(1, SeqCst);
        assert_eq!(rows_refresh(&cache, &source, &[2, 3]).await, source.rows(&[2, 3]));
        assert_eq!(rows_blocking(&cache, &source, &[2, 3]), source.rows(&[2, 3]));
        assert_eq!(source.asked(), [[1, 2], [2, 3]]);
        assert_eq!(row(&cache, &source, 1).await, "row 1 of version 0");
        source.version.store(2, SeqCst);
        assert_eq!(rows_blocking_refresh(&cache, &source, &[1]), source.rows(&[1]));
        assert_eq!(rows_uncached(&cache, &source, &[2, 9]).await, source.rows(&[2, 9]));
        assert_eq!(rows_blocking_uncached(&cache, &source, &[3]), source.rows(&[3]));
        source.asked();
        assert_eq!(rows(&cache, &source, &[1, 2]).await[&2], "row 2 of version 1");
        assert_eq!(rows_entry(&cache, 9).get().await.unwrap(), None);
        assert_eq!(source.asked(), [[0; 0]; 0]);
        let stats = cache.stats();
        assert_eq!((stats.misses, stats.refreshes, stats.stored), (2, 3, 5), "{stats:?}");
    }
}

#[tokio::test]
async fn a_refresh_voids_what_runs_and_is_followed() {
    let server = Server::start();
    for cache in caches(&server) {
        let (old, new) = (Source::closed(), Source::closed());
        let call = spawn(Face::Async, &cache, &old, [1, 2]);
        entered(&old, 1).await;
        new.version.store(1, SeqCst);
        let refresh = {
            let (cache, new) = (cache.clone(), Arc::clone(&new));
            tokio::spawn(async move { rows_refresh(&cache, &new, &[2, 3]).await })
        };
        entered(&new, 1).await;
        old.gate.open();
        assert_eq!(finished(call).await, old.rows(&[1, 2]));
        let follower = spawn(Face::Async, &cache, &old, [1, 2, 3]);
        settle(&cache).await;
        new.gate.open();
        finished(refresh).await;
        let found = finished(follower).await;
        assert_eq!([1, 2, 3].map(|id| found[&id].ends_with('1')), [false, true, true]);
        assert_eq!(old.asked(), [[1, 2]]);
        assert_eq!(cache.stats().shared, 2, "in this process, without asking");
    }
}

#[tokio::test]
async fn the_verbs_of_an_entry_are_for_one_id() {
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        let entry = rows_entry(&cache, 1);
        assert_eq!(entry.key().unwrap(), "batch:row:1");
        assert!(!entry.invalidate().await.unwrap());
        assert!(entry.put(&"put".to_owned()).await.unwrap());
        let written = rows_blocking_entry(&cache, 2).write_through(&"written".to_owned(), || Ok::<_, ()>(7));
        assert_eq!(written, Ok(7));
        let found = rows(&cache, &source, &[1, 2, 3]).await;
        assert_eq!([1, 2, 3].map(|id| found[&id].as_str()), ["put", "written", "row 3 of version 0"]);
        assert_eq!(source.asked(), [[3]]);
        assert!(rows_entry(&cache, 3).ttl().await.unwrap().is_some());
        assert!(entry.invalidate().await.unwrap());
        assert_eq!(entry.get().await.unwrap(), None);
    }
}
