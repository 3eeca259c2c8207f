//! Calls while the server does not answer.

use super::*;

#[tokio::test]
async fn a_burst_that_redis_does_not_answer_runs_one_body() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let gate = Arc::new(Gate::closed());
    gate.open();
    gated(&cache, &gate, 9).await;
    gate.close();
    server.stop();
    // The breaker is closed when they come, and each of them times out.
    let calls = (0..50).map(|_| {
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        tokio::spawn(async move { gated(&cache, &gate, 1).await })
    });
    let calls: Vec<_> = calls.collect();
    gate.wait_for(2).await;
    in_time("all of them were refused", async || cache.stats().bypasses >= 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap(), 1002);
    }
    assert_eq!(gate.entered(), 2);
    server.cont();
}

#[tokio::test]
async fn while_redis_is_away_calls_of_one_process_share_a_body() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let gate = Arc::new(Gate::closed());
    gate.open();
    gated(&cache, &gate, 9).await;
    gate.close();
    server.kill();
    in_time("the breaker opens", async || {
        let refused = gated_entry(&cache, 2).get().await.expect_err("nobody is there");
        refused.kind() == ErrorKind::CircuitOpen
    })
    .await;
    let call = || {
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        tokio::spawn(async move { gated(&cache, &gate, 1).await })
    };
    let leader = call();
    gate.wait_for(2).await;
    let followers: Vec<_> = (0..50).map(|_| call()).collect();
    test_support::let_run().await;
    assert!(gated_entry(&cache, 1).invalidate().await.is_err(), "nobody to tell");
    // Its body may have read what is out of date now.
    let late = call();
    gate.wait_for(3).await;
    gate.open();
    assert_eq!(leader.await.unwrap(), 1002);
    for call in followers {
        assert_eq!(call.await.unwrap(), 1002);
    }
    assert_eq!(late.await.unwrap(), 1003);
}

/// A value whose encoding takes as long as a gate is closed.
struct Heavy(u64, Option<Arc<Gate>>);

impl serde::Serialize for Heavy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.1.iter().for_each(|gate| _ = gate.pass_blocking());
        serializer.serialize_u64(self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Heavy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::Deserialize::deserialize(deserializer).map(|value| Heavy(value, None))
    }
}

/// A body that has returned is none to share any more: what it read may be out of date for longer than it ran.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_redis_is_away_nobody_shares_a_body_that_has_returned() {
    #[redis_cached(prefix = "once", name = "heavy", cache = cache, skip(cache, gate, encoding))]
    async fn heavy(cache: &Cache, gate: &Gate, encoding: &Arc<Gate>, id: u64) -> Heavy {
        Heavy(id * 1000 + gate.pass().await as u64, Some(Arc::clone(encoding)))
    }
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().build();
    cache.ping().await.unwrap();
    proxy.set(Mode::Refuse);
    proxy.cut();
    let is_away = |error: redis_cached::Error| error.kind() == ErrorKind::CircuitOpen;
    in_time("the breaker opens", async || heavy_entry(&cache, 2).get().await.is_err_and(is_away)).await;
    let (gate, encoding) = (Arc::new(Gate::closed()), Arc::new(Gate::closed()));
    let call = || {
        let (cache, gate, encoding) = (cache.clone(), Arc::clone(&gate), Arc::clone(&encoding));
        tokio::spawn(async move { heavy(&cache, &gate, &encoding, 1).await.0 })
    };
    let leader = call();
    gate.wait_for(1).await;
    let early = call();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(gate.entered(), 1, "it waits for the first one's body");
    gate.open();
    encoding.wait_for(1).await;
    let late = call();
    gate.wait_for(2).await;
    encoding.open();
    assert_eq!((leader.await.unwrap(), early.await.unwrap(), late.await.unwrap()), (1001, 1001, 1002));
}

/// A call gets what the flight that it saw computes, and no other one of its key.
#[tokio::test]
async fn a_call_waits_for_the_lease_that_it_saw_and_no_other() {
    let server = Server::start();
    let [here, there] = [0, 1].map(|_| Cache::builder(&server.url()).unwrap().build());
    let (old, new) = (Arc::new(Gate::closed()), Arc::new(Gate::closed()));
    let spawn = |cache: &Cache, gate: &Arc<Gate>| {
        let (cache, gate) = (cache.clone(), Arc::clone(gate));
        tokio::spawn(async move { gated(&cache, &gate, 1).await })
    };
    let overtaken = spawn(&here, &old);
    old.wait_for(1).await;
    // Another process invalidates, reports it, and computes again.
    assert!(gated_entry(&there, 1).invalidate().await.unwrap());
    let current = spawn(&there, &new);
    new.wait_for(1).await;
    let waiting: Vec<_> = (0..10).map(|_| spawn(&here, &new)).collect();
    settle(&here).await;
    old.open();
    assert_eq!(overtaken.await.unwrap(), 1001, "it began before");
    settle(&here).await;
    assert!(waiting.iter().all(|call| !call.is_finished()), "what they saw is still computed");
    new.open();
    assert_eq!(current.await.unwrap(), 1001);
    for call in waiting {
        assert_eq!(call.await.unwrap(), 1001);
    }
    assert_eq!((old.entered(), new.entered()), (1, 1));
}

/// The call that asks the store for all may be a future that is not polled any more.
#[tokio::test]
async fn whoever_asks_for_all_and_falls_silent_is_replaced() {
    let server = Server::start();
    let [there, here] = [0, 1].map(|_| Cache::builder(&server.url()).unwrap().build());
    let gate = Arc::new(Gate::closed());
    let leader = {
        let (cache, gate) = (there.clone(), Arc::clone(&gate));
        tokio::spawn(async move { gated(&cache, &gate, 1).await })
    };
    gate.wait_for(1).await;
    let mut silent = Box::pin(gated(&here, &gate, 1));
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut silent).await.is_err());
    let second = {
        let (cache, gate) = (here.clone(), Arc::clone(&gate));
        tokio::spawn(async move { gated(&cache, &gate, 1).await })
    };
    settle(&here).await;
    gate.open();
    leader.await.unwrap();
    let begun = Instant::now();
    assert_eq!(second.await.unwrap(), 1001);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}, a lease is ten seconds", begun.elapsed());
    assert_eq!(gate.entered(), 1);
    assert_eq!(silent.await, 1001);
}

#[tokio::test]
async fn a_lease_that_an_outage_kept_from_being_given_back_makes_nobody_wait() {
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().build();
    let gate = Arc::new(Gate::closed());
    let leader = {
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        tokio::spawn(async move { gated(&cache, &gate, 1).await })
    };
    gate.wait_for(1).await;
    proxy.set(Mode::Refuse);
    proxy.cut();
    let is_away = |error: redis_cached::Error| error.kind() == ErrorKind::CircuitOpen;
    in_time("the breaker opens", async || cache.ping().await.is_err_and(is_away)).await;
    gate.open();
    assert_eq!(leader.await.unwrap(), 1001);
    proxy.set(Mode::Pass);
    in_time("it is back", async || cache.ping().await.is_ok()).await;
    let begun = Instant::now();
    assert_eq!(gated(&cache, &gate, 1).await, 1002);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}, a lease is ten seconds", begun.elapsed());
}

#[tokio::test]
async fn while_redis_is_away_a_write_sends_later_calls_to_a_new_body() {
    #[redis_cached(prefix = "once", name = "row", cache = cache, skip(cache, row, gate))]
    async fn read(cache: &Cache, row: &AtomicUsize, gate: &Gate, id: u64) -> usize {
        let value = row.load(SeqCst) * id as usize;
        gate.pass().await;
        value
    }
    let cache = Cache::builder("redis://127.0.0.1:1").unwrap().build();
    let is_away = |error: redis_cached::Error| error.kind() == ErrorKind::CircuitOpen;
    in_time("the breaker opens", async || cache.ping().await.is_err_and(is_away)).await;
    let row = Arc::new(AtomicUsize::new(1));
    let (reading, writing) = (Arc::new(Gate::closed()), Arc::new(Gate::closed()));
    let write = {
        let (cache, row, writing) = (cache.clone(), Arc::clone(&row), Arc::clone(&writing));
        tokio::spawn(async move {
            let write = async || {
                writing.pass().await;
                row.store(2, SeqCst);
                Err::<(), _>("its reply was lost")
            };
            read_entry(&cache, 1).write_through(&2, write).await
        })
    };
    writing.wait_for(1).await;
    let call = || {
        let (cache, row, reading) = (cache.clone(), Arc::clone(&row), Arc::clone(&reading));
        tokio::spawn(async move { read(&cache, &row, &reading, 1).await })
    };
    let early = call();
    reading.wait_for(1).await;
    writing.open();
    assert!(write.await.unwrap().is_err());
    let late = call();
    reading.wait_for(2).await;
    reading.open();
    assert_eq!((early.await.unwrap(), late.await.unwrap()), (1, 2));
}
