//! The leases of a long body are renewed, and those of a process that is killed end.

use super::*;

#[tokio::test]
async fn all_leases_of_a_slow_batch_are_renewed() {
    const LEASE: Duration = Duration::from_secs(1);
    #[redis_cached(prefix = "renewed", name = "row", key = "{id}", batch(id in ids), lease = LEASE, cache = cache, skip(cache, source))]
    async fn slow(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load(ids).await
    }
    #[redis_cached(prefix = "renewed", name = "row", key = "{id}", batch(id in ids), lease = LEASE, cache = cache, skip(cache, source))]
    fn slow_blocking(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load_blocking(ids)
    }
    // The same for fields, whose leases hold their own ends.
    #[redis_cached(prefix = "renewed", group = "all", batch(id in ids), lease = LEASE, cache = cache, skip(cache, source))]
    async fn grouped(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load(ids).await
    }
    let server = Server::start();
    let ids: Vec<u64> = (0..50).collect();
    let [memory, redis] = caches(&server);
    let source = Source::closed();
    let mut calls = Vec::new();
    for cache in [&memory, &redis] {
        let parts = || (cache.clone(), Arc::clone(&source), ids.clone());
        let (task, thread, field) = (parts(), parts(), parts());
        calls.push(tokio::spawn(async move { slow(&task.0, &task.1, &task.2).await }));
        calls.push(spawn_blocking(move || {
            let ids: Vec<u64> = thread.2.iter().map(|id| id + 100).collect();
            slow_blocking(&thread.0, &thread.1, &ids)
        }));
        calls.push(tokio::spawn(async move { grouped(&field.0, &field.1, &field.2).await }));
    }
    entered(&source, 6).await;
    let slots: Vec<String> = (0..150).map(|id| format!("renewed:{id}")).collect();
    let asked: Vec<&str> = ["MGET"].into_iter().chain(slots.iter().map(String::as_str)).collect();
    // At once: the tasks of this thread renew their leases.
    let leases = || server.cli(&asked);
    let before = leases();
    let begun = Instant::now();
    in_time("leases would be over", async || begun.elapsed() > LEASE * 3).await;
    assert!(before == leases(), "the same leases");
    // No other call takes anything over.
    let followers = [&memory, &redis].map(|cache| {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        tokio::spawn(async move { grouped(&cache, &source, &[1, 2]).await })
    });
    settle(&redis).await;
    source.gate.open();
    for call in calls {
        assert_eq!(finished(call).await.len(), 50);
    }
    for follower in followers {
        assert_eq!(finished(follower).await, source.rows(&[1, 2]));
    }
    assert_eq!(source.asked().len(), 6);
    assert_eq!((memory.stats().stored, redis.stats().stored), (150, 150));
}

#[tokio::test]
async fn a_batch_that_computes_for_long_still_waits_for_others() {
    // The time that it waits is bounded, however long its own body takes.
    #[redis_cached(prefix = "patient", name = "row", key = "{id}", batch(id in ids), wait = "500ms", cache = cache, skip(cache, source))]
    async fn patient(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load(ids).await
    }
    let server = Server::start();
    for cache in caches(&server) {
        let (slow, source) = (Source::closed(), Source::closed());
        let spawn = |source: &Arc<Source>, ids: &'static [u64]| {
            let (cache, source) = (cache.clone(), Arc::clone(source));
            tokio::spawn(async move { patient(&cache, &source, ids).await })
        };
        let one = spawn(&slow, &[2]);
        entered(&slow, 1).await;
        let batch = spawn(&source, &[1, 2]);
        entered(&source, 1).await;
        let begun = Instant::now();
        in_time("longer than it waits", async || begun.elapsed() > Duration::from_millis(600)).await;
        source.gate.open();
        in_time("its own is stored", async || patient_entry(&cache, 1).get().await.unwrap().is_some()).await;
        slow.gate.open();
        assert_eq!(finished(batch).await, source.rows(&[1, 2]));
        assert_eq!(finished(one).await, slow.rows(&[2]));
        assert_eq!(source.asked(), [[1]], "the other is not computed twice");
    }
}

const CHILD: &str = "REDIS_CACHED_BATCH_CHILD";

#[redis_cached(prefix = "killed", name = "row", key = "{id}", batch(id in ids), lease = "1s", cache = cache, skip(cache, source))]
async fn killed(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
    source.load(ids).await
}

#[tokio::test]
async fn the_ids_of_a_process_that_is_killed_are_taken_over() {
    if let Ok(url) = std::env::var(CHILD) {
        let cache = Cache::builder(&url).unwrap().timeout(PATIENCE).build();
        killed(&cache, &Source::closed(), &[1, 2, 3, 4]).await;
        return;
    }
    let server = Server::start();
    let mut child = child(module_path!(), "the_ids_of_a_process_that_is_killed_are_taken_over")
        .env(CHILD, server.url())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("its leases", || server.cli(&["DBSIZE"]) == "4");
    let (cache, source) = (other(&server), Source::open());
    let waiting = {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        tokio::spawn(async move { killed(&cache, &source, &[3, 4, 5]).await })
    };
    in_time("its own", async || killed_entry(&cache, 5).get().await.unwrap().is_some()).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(finished(waiting).await, source.rows(&[3, 4, 5]));
    assert_eq!(
        finished(tokio::spawn({
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            async move { killed(&cache, &source, &[1, 2, 3, 4]).await }
        }))
        .await,
        source.rows(&[1, 2, 3, 4])
    );
    let asked = source.asked();
    assert_eq!((&asked[0], asked.concat().len()), (&vec![5], 5), "{asked:?}");
}
