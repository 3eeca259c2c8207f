//! Calls that are cancelled or panic while others wait for them.

use super::*;

#[tokio::test]
async fn a_cancelled_leader_hands_over() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Arc::new(Gate::closed());
        let mut calls = waiting(&cache, &gate, 50).await;
        for leaders in 1..=20 {
            gate.wait_for(leaders).await;
            let leading = calls.iter().position(|call| Some(call.id()) == gate.task());
            let leader = calls.swap_remove(leading.expect("one of the calls runs the body"));
            leader.abort();
            assert!(leader.await.unwrap_err().is_cancelled());
        }
        gate.wait_for(21).await;
        gate.open();
        for call in calls {
            assert_eq!(call.await.unwrap(), 1021);
        }
        assert_eq!(gate.entered(), 21);
        assert_eq!(gated_entry(&cache, 1).get().await.unwrap(), Some(1021));
    }
}

#[tokio::test]
async fn most_waiters_cancelled_the_rest_get_the_value() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Arc::new(Gate::closed());
        let mut calls = waiting(&cache, &gate, 100).await;
        for call in calls.drain(10..) {
            call.abort();
            let _ = call.await;
        }
        gate.open();
        for call in calls {
            assert_eq!(call.await.unwrap(), 1001);
        }
        assert_eq!(gate.entered(), 1);
    }
}

#[tokio::test]
async fn all_cancelled_the_body_is_dropped_and_nothing_stays() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Arc::new(Gate::closed());
        for call in waiting(&cache, &gate, 100).await {
            call.abort();
            let _ = call.await;
        }
        assert_eq!(Arc::strong_count(&gate), 1, "a call or a body still holds on to it");
        if format!("{cache:?}").contains("redis://") {
            eventually("no lease is left", || server.cli(&["EXISTS", "once:gated:1"]) == "0");
        }
        gate.open();
        assert!(gated(&cache, &gate, 1).await > 1000, "the next call computes at once");
    }
}

#[tokio::test]
async fn a_call_cancelled_while_it_stores_leaves_no_lease_behind() {
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().build();
    let gate = Gate::closed();
    gate.open();
    gated(&cache, &gate, 7).await; // connects
    gate.close();
    {
        let mut call = std::pin::pin!(gated(&cache, &gate, 1));
        tokio::select! {
            _ = &mut call => unreachable!("the gate is closed"),
            () = gate.wait_for(2) => {}
        }
        // The fill is sent and not answered.
        server.stop();
        gate.open();
        let begun = tokio::time::timeout(Duration::from_millis(50), &mut call).await;
        assert!(begun.is_err(), "{begun:?}");
    }
    server.cont();
    eventually("no lease is left", || {
        let slot: Option<Vec<u8>> = redis::cmd("GET").arg("once:gated:1").query(&mut server.connection()).unwrap();
        !slot.is_some_and(|slot| slot.starts_with(b"L"))
    });
}

/// Wherever it is: while it reads, leases, runs its body, stores.
#[tokio::test]
async fn a_call_cancelled_at_any_point_leaves_no_lease_behind() {
    #[redis_cached(prefix = "once", name = "stepwise", lease = "10m", cache = cache, skip(cache))]
    async fn stepwise(cache: &Cache, id: u64) -> u64 {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        id
    }
    let server = Server::start();
    let proxy = server.proxy();
    for cache in ["memory://", &proxy.url()].map(|url| Cache::builder(url).unwrap().timeout(PATIENCE).build()) {
        stepwise(&cache, 0).await; // connects
        // Each reply takes a while, so that each is waited for.
        proxy.set(Mode::Delay(Duration::from_millis(2)));
        let is_remote = format!("{cache:?}").contains("redis://");
        let mut polls = 1;
        while polled(polls, stepwise(&cache, 1)).await.is_none() {
            polls += 1;
            let begun = Instant::now();
            if is_remote && polls % 2 == 0 {
                in_time("no lease is left", async || lease(&server, "once:stepwise:1").is_none()).await;
            }
            in_time("a value is stored", async || {
                assert_eq!(stepwise(&cache, 1).await, 1);
                stepwise_entry(&cache, 1).get().await.unwrap() == Some(1)
            })
            .await;
            assert!(begun.elapsed() < PATIENCE / 2, "after {polls} polls: {:?}", begun.elapsed());
            stepwise_entry(&cache, 1).invalidate().await.unwrap();
        }
        // Reading, leasing and storing, and the body's three.
        assert!(polls >= if is_remote { 6 } else { 4 }, "{polls} polls");
        proxy.set(Mode::Pass);
    }
}

#[tokio::test]
async fn a_waiting_call_cancelled_at_any_point_harms_nobody() {
    let server = Server::start();
    let memory = Cache::builder("memory://").unwrap().build();
    let [one, other] = [0; 2].map(|_| Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build());
    // The other call is in the leader's process, or in another one.
    for [leader, other] in [[memory.clone(), memory], [one.clone(), one.clone()], [one, other]] {
        gated_entry(&leader, 1).invalidate().await.unwrap();
        let gate = Arc::new(Gate::closed());
        let call = |cache: &Cache| {
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            tokio::spawn(async move { gated(&cache, &gate, 1).await })
        };
        let first = call(&leader);
        gate.wait_for(1).await;
        let early = call(&other);
        for polls in 1..20 {
            let cancelled = tokio::time::timeout(Duration::from_millis(20), polled(polls, gated(&other, &gate, 1)));
            assert_ne!(cancelled.await.ok().flatten(), Some(1001), "the gate is closed");
        }
        let late = call(&other);
        settle(&other).await;
        gate.open();
        for call in [first, early, late] {
            assert_eq!(call.await.unwrap(), 1001);
        }
        assert_eq!(gate.entered(), 1);
    }
}

#[test]
fn a_panicking_plain_leader_makes_nobody_hang_and_leaves_no_lease() {
    #[redis_cached(prefix = "once", name = "fragile_blocking", lease = "10m", cache = cache, skip(cache, gate))]
    fn fragile_blocking(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        let run = gate.pass_blocking();
        assert!(run > 1, "the first run panics");
        id
    }
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Gate::closed();
        let begun = Instant::now();
        let panics: usize = thread::scope(|scope| {
            let calls: Vec<_> = (0..20).map(|_| scope.spawn(|| fragile_blocking(&cache, &gate, 1))).collect();
            eventually("a body begins", || gate.entered() >= 1);
            gate.open();
            calls.into_iter().map(|call| usize::from(call.join().is_err())).sum()
        });
        assert_eq!((panics, gate.entered()), (1, 2), "one of the others runs it for all");
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
        eventually("somebody stores", || {
            assert_eq!(fragile_blocking(&cache, &gate, 1), 1);
            fragile_blocking_entry(&cache, 1).get().unwrap() == Some(1)
        });
    }
}

#[tokio::test]
async fn a_panicking_leader_makes_nobody_hang() {
    #[redis_cached(prefix = "once", name = "fragile", cache = cache, skip(cache, gate))]
    async fn fragile(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        let run = gate.pass().await;
        assert!(run > 1, "the first run panics");
        id
    }
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Arc::new(Gate::closed());
        let calls = (0..50).map(|_| {
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            tokio::spawn(async move { fragile(&cache, &gate, 1).await })
        });
        let calls: Vec<_> = calls.collect();
        gate.wait_for(1).await;
        settle(&cache).await;
        gate.open();
        let mut panics = 0;
        for call in calls {
            match call.await {
                Ok(value) => assert_eq!(value, 1),
                Err(error) => panics += usize::from(error.is_panic()),
            }
        }
        assert_eq!((panics, gate.entered()), (1, 2), "one of the others runs it for all");
        assert_eq!(fragile_entry(&cache, 1).get().await.unwrap(), Some(1), "one of the others stored it");
    }
}
