//! `single_flight`: among which calls one runs the body for all.

use std::sync::Arc;

use redis_cached::{Cache, redis_cached};
use test_support::{Gate, Server, in_time};
use tokio::task::JoinHandle;

#[redis_cached(prefix = "flight", name = "shared", single_flight = shared, cache = cache, skip(cache, gate))]
async fn shared(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id + gate.pass().await as u64
}

#[redis_cached(prefix = "flight", name = "process", single_flight = process, cache = cache, skip(cache, gate))]
async fn process(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id + gate.pass().await as u64
}

#[redis_cached(prefix = "flight", name = "off", single_flight = off, cache = cache, skip(cache, gate))]
async fn off(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id + gate.pass().await as u64
}

#[redis_cached(prefix = "flight", name = "off_blocking", single_flight = off, cache = cache, skip(cache, gate))]
fn off_blocking(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id + gate.pass_blocking() as u64
}

/// Two views of one server, as two processes have them.
fn two(server: &Server) -> [Cache; 2] {
    [0, 1].map(|_| Cache::builder(&server.url()).unwrap().build())
}

/// Ten calls, each in a task of its own.
macro_rules! calls {
    ($function:ident, $cache:expr, $gate:expr) => {
        (0..10).map(|_| {
            let (cache, gate) = ($cache.clone(), Arc::clone(&$gate));
            tokio::spawn(async move { $function(&cache, &gate, 10).await })
        })
    };
}

async fn values(calls: Vec<JoinHandle<u64>>) -> Vec<u64> {
    let mut values = Vec::new();
    for call in calls {
        values.push(call.await.unwrap());
    }
    values
}

/// Until every call that was spawned has done what it can.
async fn settle(caches: &[Cache; 2]) {
    for cache in caches {
        test_support::settle(shared_entry(cache, 0).get()).await.unwrap();
    }
}

#[tokio::test]
async fn shared_runs_one_body_for_all_processes() {
    let server = Server::start();
    let caches = two(&server);
    let gate = Arc::new(Gate::closed());
    let all = caches.iter().flat_map(|cache| calls!(shared, cache, gate)).collect();
    gate.wait_for(1).await;
    settle(&caches).await;
    gate.open();
    assert_eq!(values(all).await, [11; 20]);
    assert_eq!(gate.entered(), 1);
}

#[tokio::test]
async fn process_runs_one_body_in_each_process() {
    let server = Server::start();
    let caches = two(&server);
    let gate = Arc::new(Gate::closed());
    let first = calls!(process, caches[0], gate).collect();
    gate.wait_for(1).await;
    let second = calls!(process, caches[1], gate).collect();
    gate.wait_for(2).await;
    settle(&caches).await;
    gate.open();
    assert_eq!(values(first).await, [11; 10]);
    assert_eq!(values(second).await, [12; 10]);
    assert_eq!(gate.entered(), 2);
    assert_eq!(process_entry(&caches[1], 10).get().await.unwrap(), Some(11), "the first one had the lease");
}

#[tokio::test]
async fn process_goes_on_where_its_leader_is_cancelled() {
    let server = Server::start();
    let caches = two(&server);
    let gate = Arc::new(Gate::closed());
    let first: Vec<_> = calls!(process, caches[0], gate).collect();
    gate.wait_for(1).await;
    // Connected before, so that the first call leads.
    settle(&caches).await;
    // In this process no call has the lease, and a cancelled leader does not take it from the other.
    let mut second: Vec<_> = calls!(process, caches[1], gate).collect();
    gate.wait_for(2).await;
    settle(&caches).await;
    let leader = second.remove(0);
    leader.abort();
    let _ = leader.await;
    gate.wait_for(3).await;
    gate.open();
    assert_eq!(values(second).await, [13; 9]);
    assert_eq!(values(first).await, [11; 10]);
    assert_eq!(process_entry(&caches[0], 10).get().await.unwrap(), Some(11));
}

#[tokio::test]
async fn off_runs_each_body_and_stores_one_result() {
    let server = Server::start();
    for cache in [Cache::builder("memory://").unwrap().build(), two(&server)[0].clone()] {
        let gate = Arc::new(Gate::closed());
        let all: Vec<_> = calls!(off, cache, gate).collect();
        gate.wait_for(10).await;
        gate.open();
        let mut all = values(all).await;
        all.sort_unstable();
        assert_eq!(all, (11..=20).collect::<Vec<_>>());
        let stored = off_entry(&cache, 10).get().await.unwrap();
        assert!(stored.is_some(), "one of them had the lease");
        assert_eq!(off(&cache, &gate, 10).await, stored.unwrap());
    }
}

#[tokio::test]
async fn off_runs_each_plain_body_too() {
    let cache = Cache::builder("memory://").unwrap().build();
    let gate = Arc::new(Gate::closed());
    let threads = (0..4).map(|_| {
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        std::thread::spawn(move || off_blocking(&cache, &gate, 10))
    });
    let threads: Vec<_> = threads.collect();
    in_time("each body begins", async || gate.entered() == 4).await;
    gate.open();
    for thread in threads {
        assert!(thread.join().unwrap() > 10);
    }
}
