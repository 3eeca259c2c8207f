//! A tag that is invalidated while a body runs.

use super::*;

#[tokio::test]
async fn a_tag_invalidated_while_a_body_runs_leaves_its_result_to_those_before() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        for by in [&cache, &other] {
            let gate = Arc::new(Gate::closed());
            let call = |cache: &Cache| {
                let (cache, gate) = (cache.clone(), gate.clone());
                tokio::spawn(async move { gated(&cache, gate, 7, 10).await })
            };
            let first = call(&cache);
            gate.wait_for(1).await;
            let followers = [call(&cache), call(&other)];
            tokio::time::sleep(Duration::from_millis(30)).await;
            assert!(by.invalidate_tag("org:7").await.unwrap());
            let later: Vec<_> = [&cache, &other].repeat(10).into_iter().map(call).collect();
            gate.wait_for(2).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
            gate.open();
            assert_eq!(first.await.unwrap(), 11);
            for call in followers {
                assert!((11..=12).contains(&call.await.unwrap()));
            }
            for call in later {
                assert_eq!(call.await.unwrap(), 12, "never what was read before");
            }
            assert_eq!(gate.entered(), 2, "once for all that came after");
            assert_eq!(gated_entry(&other, 7, 10).get().await.unwrap(), Some(12));
            gated_entry(&cache, 7, 10).invalidate().await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_result_of_a_body_that_was_overtaken_is_not_served() {
    #[redis_cached(prefix = "tags", name = "overtaken", tags = "org:{org}", cache = cache, skip(cache, runs, by))]
    async fn overtaken(cache: &Cache, runs: &AtomicUsize, by: Option<&Cache>, org: u64) -> u64 {
        let run = runs.fetch_add(1, SeqCst) as u64;
        if let Some(by) = by {
            assert!(by.invalidate_tag("org:7").await.unwrap(), "stamped before the body began");
        }
        org + run
    }
    #[redis_cached(prefix = "tags", name = "overtaken", tags = "org:{org}", cache = cache, skip(cache, runs, by))]
    fn overtaken_plain(cache: &Cache, runs: &AtomicUsize, by: Option<&Cache>, org: u64) -> u64 {
        let run = runs.fetch_add(1, SeqCst) as u64;
        if let Some(by) = by {
            assert!(by.blocking().invalidate_tag("org:7").unwrap());
        }
        org + run
    }
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        for by in [&cache, &other] {
            let runs = AtomicUsize::new(0);
            assert_eq!(overtaken(&cache, &runs, Some(by), 7).await, 7);
            assert_eq!(overtaken_entry(&other, 7).get().await.unwrap(), None);
            assert_eq!(overtaken(&cache, &runs, None, 7).await, 8);
            assert_eq!(overtaken(&other, &runs, None, 7).await, 8);
            by.invalidate_tag("org:7").await.unwrap();
            assert_eq!(overtaken_plain(&cache, &runs, Some(by), 7), 9);
            assert_eq!(overtaken_plain_entry(&other, 7).get().unwrap(), None);
            assert_eq!(overtaken_plain(&cache, &runs, None, 7), 10);
            assert_eq!(overtaken_plain(&other, &runs, None, 7), 10);
            by.invalidate_tag("org:7").await.unwrap();
        }
    }
}

#[tokio::test]
async fn one_body_runs_for_the_callers_of_two_processes() {
    let server = Server::start();
    for caches in pairs(&server) {
        let gate = Arc::new(Gate::closed());
        let calls = caches.iter().cycle().take(100).map(|cache| {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move { gated(&cache, gate, 7, 10).await })
        });
        let calls: Vec<_> = calls.collect();
        gate.wait_for(1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        gate.open();
        for call in calls {
            assert_eq!(call.await.unwrap(), 11);
        }
        assert_eq!(gate.entered(), 1);
    }
}

/// Its read is from before the invalidation, and its request for the lease from after it.
#[tokio::test]
async fn a_call_that_meets_the_lease_of_one_after_the_invalidation_waits_for_it() {
    let server = Server::start();
    let proxy = server.proxy();
    let slow = Cache::builder(&proxy.url()).unwrap().timeout(PATIENCE).build();
    let (other, gate) = (remote(&server), Arc::new(Gate::closed()));
    let runs = AtomicUsize::new(0);
    user(&slow, &runs, 7, 1).await; // there is a stamp
    user(&other, &runs, 7, 1).await;
    let call = |cache: &Cache| {
        let (cache, gate) = (cache.clone(), gate.clone());
        tokio::spawn(async move { gated(&cache, gate, 7, 10).await })
    };
    let mut monitor = server.monitor();
    proxy.set(Mode::Delay(Duration::from_millis(500)));
    let early = call(&slow);
    in_time("it has read", async || asked(&mut monitor).iter().any(|command| command[0] == "MGET")).await;
    other.invalidate_tag("org:7").await.unwrap();
    let late = call(&other);
    gate.wait_for(1).await;
    proxy.set(Mode::Pass);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(gate.entered(), 1, "it waits");
    gate.open();
    assert_eq!((early.await.unwrap(), late.await.unwrap()), (11, 11));
    assert_eq!(gated_entry(&other, 7, 10).get().await.unwrap(), Some(11));
}
