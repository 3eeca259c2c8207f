//! The right to fill a slot: kept while its body runs, and void once the slot was emptied.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use test_support::{Gate, Server};

fn expires_in(server: &Server, key: &str) -> i64 {
    redis::cmd("PTTL").arg(key).query(&mut server.connection()).unwrap()
}

/// True if the time of the lease started again since it was `last`.
fn renewed(server: &Server, key: &str, last: &mut i64) -> bool {
    let left = expires_in(server, key);
    assert!((0..=10_000).contains(&left), "a lease of ten seconds: {left}");
    let renewed = left > *last;
    *last = left;
    renewed
}

#[redis_cached(prefix = "lease", name = "slow", cache = cache, skip(cache, server))]
async fn slow(cache: &Cache, server: &Server, id: u64) -> u64 {
    let (started, mut last) = (Instant::now(), i64::MAX);
    while !renewed(server, "lease:slow:1", &mut last) {
        assert!(started.elapsed() < Duration::from_secs(9), "not renewed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    id
}

#[redis_cached(prefix = "lease", name = "slow_blocking", cache = cache, skip(cache, server))]
fn slow_blocking(cache: &Cache, server: &Server, id: u64) -> u64 {
    let (started, mut last) = (Instant::now(), i64::MAX);
    while !renewed(server, "lease:slow_blocking:1", &mut last) {
        assert!(started.elapsed() < Duration::from_secs(9), "not renewed");
        std::thread::sleep(Duration::from_millis(20));
    }
    id
}

#[tokio::test]
async fn a_running_body_keeps_its_lease() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    slow(&cache, &server, 1).await;
    assert_eq!(slow_entry(&cache, 1).get().await.unwrap(), Some(1));
}

#[test]
fn a_running_plain_body_keeps_its_lease() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    slow_blocking(&cache, &server, 1);
    assert_eq!(slow_blocking_entry(&cache, 1).get().unwrap(), Some(1));
}

/// Any client that empties the slot, in whatever way and language, voids the computation.
#[tokio::test]
async fn any_deletion_during_a_body_voids_its_result() {
    #[redis_cached(prefix = "lease", name = "voided", cache = cache, skip(cache, server, command))]
    async fn voided(cache: &Cache, server: &Server, command: &[&str], id: u64) -> u64 {
        server.cli(command);
        id
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let key = "lease:voided:1";
    for command in [
        &["DEL", key][..],
        &["UNLINK", key],
        &["FLUSHALL"],
        &["PEXPIRE", key, "0"],
        &["SET", key, "somebody's"],
        &["RENAME", key, "elsewhere"],
    ] {
        voided(&cache, &server, command, 1).await;
        assert_eq!(voided_entry(&cache, 1).get().await.unwrap(), None, "{command:?}");
        server.cli(&["DEL", key]);
    }
    assert_eq!(cache.stats().refused, 6);
    voided(&cache, &server, &["PING"], 1).await;
    assert_eq!(voided_entry(&cache, 1).get().await.unwrap(), Some(1));
}

/// `lease` says how long.
#[redis_cached(prefix = "lease", name = "short", lease = "300ms", cache = cache, skip(cache, gate))]
async fn short(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id + gate.pass().await as u64
}

/// Two views of one server, as two processes have them, and one memory.
fn pairs(server: &Server) -> [[Cache; 2]; 2] {
    let memory = Cache::builder("memory://").unwrap().build();
    [[memory.clone(), memory], [0, 1].map(|_| Cache::builder(&server.url()).unwrap().build())]
}

#[tokio::test]
async fn a_body_slower_than_its_lease_keeps_it_and_runs_once() {
    let server = Server::start();
    for [leader, other] in pairs(&server) {
        let gate = Arc::new(Gate::closed());
        let first = {
            let gate = Arc::clone(&gate);
            tokio::spawn(async move { short(&leader, &gate, 10).await })
        };
        gate.wait_for(1).await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        let second = {
            let (other, gate) = (other.clone(), Arc::clone(&gate));
            tokio::spawn(async move { short(&other, &gate, 10).await })
        };
        tokio::time::sleep(Duration::from_millis(50)).await;
        gate.open();
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (11, 11));
        assert_eq!(short_entry(&other, 10).get().await.unwrap(), Some(11));
        assert_eq!(gate.entered(), 1);
    }
}

/// Another process waits when the lease's first time ends, and would take over.
#[tokio::test]
async fn a_lease_is_renewed_under_those_who_wait_for_it() {
    #[redis_cached(prefix = "lease", name = "awaited", lease = "1s", cache = cache, skip(cache, gate))]
    async fn awaited(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        id + gate.pass().await as u64
    }
    #[redis_cached(prefix = "lease", name = "awaited_blocking", lease = "1s", cache = cache, skip(cache, gate))]
    fn awaited_blocking(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        id + gate.pass_blocking() as u64
    }
    let server = Server::start();
    for [leader, other] in pairs(&server) {
        let (gate, plain) = (Arc::new(Gate::closed()), Arc::new(Gate::closed()));
        let call = |cache: &Cache| {
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            tokio::spawn(async move { awaited(&cache, &gate, 10).await })
        };
        let call_plain = |cache: &Cache| {
            let (cache, gate) = (cache.clone(), Arc::clone(&plain));
            tokio::task::spawn_blocking(move || awaited_blocking(&cache, &gate, 10))
        };
        let leaders = (call(&leader), call_plain(&leader));
        gate.wait_for(1).await;
        plain.wait_for(1).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        let others = (call(&other), call_plain(&other));
        tokio::time::sleep(Duration::from_millis(600)).await;
        gate.open();
        plain.open();
        for call in [leaders.0, leaders.1, others.0, others.1] {
            assert_eq!(call.await.unwrap(), 11);
        }
        assert_eq!((gate.entered(), plain.entered()), (1, 1));
        assert_eq!(awaited_entry(&other, 10).get().await.unwrap(), Some(11));
        assert_eq!(awaited_blocking_entry(&other, 10).get().unwrap(), Some(11));
    }
}

/// The lease of a process that was killed.
#[tokio::test]
async fn a_lease_that_nobody_renews_ends_and_the_next_call_takes_over() {
    let server = Server::start();
    let gate = Gate::closed();
    gate.open();
    let cache = Cache::builder(&server.url()).unwrap().build();
    for id in [10, 20] {
        let key = short_entry(&cache, id).key().unwrap().to_owned();
        let lease = [&b"L\x01"[..], &[7; 16]].concat();
        redis::cmd("SET").arg(&key).arg(lease).arg("PX").arg(200).exec(&mut server.connection()).unwrap();
        let begun = Instant::now();
        let value = short(&cache, &gate, id).await;
        assert!(
            (Duration::from_millis(190)..Duration::from_secs(5)).contains(&begun.elapsed()),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(short_entry(&cache, id).get().await.unwrap(), Some(value), "it had the lease itself");
    }
    assert_eq!(gate.entered(), 2);
}

/// The time-out limits a renewal, not the lease.
#[tokio::test]
async fn short_leases_are_renewed_over_a_slow_connection() {
    #[redis_cached(prefix = "lease", name = "brief", lease = "250ms", cache = cache, skip(cache, gate))]
    async fn brief(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        id + gate.pass().await as u64
    }
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(test_support::PATIENCE).build();
    cache.ping().await.unwrap();
    proxy.set(test_support::Mode::Delay(Duration::from_millis(40)));
    let gate = Arc::new(Gate::closed());
    let call = {
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        tokio::spawn(async move { brief(&cache, &gate, 10).await })
    };
    gate.wait_for(1).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    gate.open();
    assert_eq!(call.await.unwrap(), 11);
    assert_eq!(cache.stats().stored, 1, "{:?}", cache.stats());
    cache.ping().await.unwrap();
}
