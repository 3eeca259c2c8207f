//! Misses in a group: one body runs, and an invalidation voids it.

use super::*;

#[redis_cached(prefix = "grp", name = "gated_plain", group = "class:{class}", cache = cache, skip(cache, gate))]
fn gated_plain(cache: &Cache, gate: &Gate, class: u64, id: u64) -> u64 {
    assert_eq!(class, 7);
    id + gate.pass_blocking() as u64
}

#[tokio::test]
async fn whatever_empties_a_group_or_a_field_voids_the_computation() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let is_remote = format!("{cache:?}").contains("redis://");
        let by = |cache| [Void::Entry(cache), Void::Group(cache), Void::PlainGroup(cache), Void::All(cache)];
        let mut voids: Vec<Void<'_>> = by(&cache).into_iter().chain(by(&other)).collect();
        if is_remote {
            let commands: [&[&str]; 7] = [
                &["UNLINK", HASH],
                &["DEL", HASH],
                &["HDEL", HASH, "voided:7"],
                &["FLUSHALL"],
                &["PEXPIRE", HASH, "0"],
                &["HSET", HASH, "voided:7", "somebody's"],
                &["RENAME", HASH, "elsewhere"],
            ];
            voids.extend(commands.map(|command| Void::Command(&server, command)));
        }
        for void in &voids {
            let (runs, refused) = (AtomicUsize::new(0), cache.stats().refused);
            assert_eq!(voided(&cache, &runs, Some(void), 7).await, 7, "its own caller gets it");
            assert_eq!(voided_entry(&other, 7).get().await.unwrap(), None, "nobody else does");
            assert_eq!(cache.stats().refused, refused + 1);
            assert_eq!((voided(&cache, &runs, None, 7).await, voided(&other, &runs, None, 7).await), (8, 8));
            voided_group(&cache, 7).invalidate().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_call_after_the_invalidation_does_not_wait_for_the_body_before_it() {
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
            let follower = call(&cache);
            assert!(gated_group(by, 7).invalidate().await.unwrap(), "a lease was there");
            let later = [call(&cache), call(&other), call(&cache)];
            gate.wait_for(2).await;
            gate.open();
            assert_eq!(first.await.unwrap(), 11);
            assert!((11..=12).contains(&follower.await.unwrap()));
            for call in later {
                assert_eq!(call.await.unwrap(), 12);
            }
            assert_eq!(gate.entered(), 2, "once for all that came after");
            assert_eq!(gated_entry(&other, 7, 10).get().await.unwrap(), Some(12));
            gated_group(&cache, 7).invalidate().await.unwrap();
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

#[test]
fn one_plain_body_runs_for_the_callers_of_two_processes() {
    let server = Server::start();
    for caches in pairs(&server) {
        let gate = Gate::closed();
        std::thread::scope(|scope| {
            for cache in caches.iter().cycle().take(20) {
                scope.spawn(|| assert_eq!(gated_plain(cache, &gate, 7, 10), 11));
            }
            eventually("a body begins", || gate.entered() == 1);
            std::thread::sleep(Duration::from_millis(50));
            gate.open();
        });
        assert_eq!(gate.entered(), 1);
    }
}

#[redis_cached(prefix = "grp", name = "short", group = "class:{class}", lease = "300ms", wait = "3s", cache = cache, skip(cache, gate))]
async fn short(cache: &Cache, gate: Arc<Gate>, class: u64, id: u64) -> u64 {
    assert_eq!(class, 7);
    id + gate.pass().await as u64
}

#[tokio::test]
async fn a_body_slower_than_its_lease_keeps_it_and_runs_once() {
    // The lease is long enough for its renewals on a busy machine, and the body takes three of it.
    #[redis_cached(prefix = "grp", name = "slow", group = "class:{class}", lease = "2s", cache = cache, skip(cache, gate))]
    async fn slow(cache: &Cache, gate: Arc<Gate>, class: u64, id: u64) -> u64 {
        let _ = class;
        id + gate.pass().await as u64
    }
    let server = Server::start();
    for [leader, other] in pairs(&server) {
        let gate = Arc::new(Gate::closed());
        let call = |cache: &Cache| {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move { slow(&cache, gate, 7, 10).await })
        };
        let first = call(&leader);
        gate.wait_for(1).await;
        tokio::time::sleep(Duration::from_secs(6)).await;
        let second = call(&other);
        let_run().await;
        gate.open();
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (11, 11));
        assert_eq!(slow_entry(&other, 7, 10).get().await.unwrap(), Some(11));
        assert_eq!(gate.entered(), 1);
    }
}

/// The lease of a process that was killed: in a field, with its end after its token.
#[tokio::test]
async fn a_lease_that_nobody_renews_ends_and_the_next_call_takes_over() {
    let server = Server::start();
    let (cache, gate) = (remote(&server), open());
    let now = || {
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query(&mut server.connection()).unwrap();
        seconds * 1_000 + micros / 1_000
    };
    let leave = |id: u64, end: u64| {
        let lease = [&b"L\x01"[..], &[7; 16], format!("{end:016}").as_bytes()].concat();
        let field = field_of(&short_entry(&cache, 7, id));
        redis::cmd("HSET").arg(HASH).arg(field).arg(lease).exec(&mut server.connection()).unwrap();
    };
    for past in [1, 10_000] {
        leave(past, now() - past);
        let value = short(&cache, gate.clone(), 7, past).await;
        assert_eq!(short_entry(&cache, 7, past).get().await.unwrap(), Some(value), "it had the lease itself");
    }
    assert_eq!(gate.entered(), 2);
    for id in [20, 30] {
        leave(id, now() + 200);
        let begun = Instant::now();
        let value = short(&cache, gate.clone(), 7, id).await;
        assert!((Duration::from_millis(180)..Duration::from_secs(5)).contains(&begun.elapsed()));
        assert_eq!(short_entry(&cache, 7, id).get().await.unwrap(), Some(value), "it had the lease itself");
    }
    // Longer than a call's patience: it computes, and leaves the other's lease alone.
    leave(40, now() + 600_000);
    let value = short(&cache, gate.clone(), 7, 40).await;
    assert_eq!((value, short_entry(&cache, 7, 40).get().await.unwrap()), (45, None));
    assert!(short_entry(&cache, 7, 40).invalidate().await.unwrap());
    short(&cache, gate.clone(), 7, 40).await;
    assert_eq!(short_entry(&cache, 7, 40).get().await.unwrap(), Some(46));
}

/// A leader that slept past its lease: its time is up, and another one has computed.
#[tokio::test]
async fn a_leader_whose_lease_was_taken_over_stores_nothing() {
    let server = Server::start();
    let (leader, other) = (remote(&server), remote(&server));
    let gate = Arc::new(Gate::closed());
    let first = {
        let (cache, gate) = (leader.clone(), gate.clone());
        tokio::spawn(async move { gated(&cache, gate, 7, 10).await })
    };
    gate.wait_for(1).await;
    let field = field_of(&gated_entry(&leader, 7, 10));
    let mut connection = server.connection();
    let mut lease: Vec<u8> = redis::cmd("HGET").arg(HASH).arg(&field).query(&mut connection).unwrap();
    assert_eq!(lease.len(), 34);
    lease[18..34].copy_from_slice(b"0000000000000001");
    redis::cmd("HSET").arg(HASH).arg(&field).arg(lease).exec(&mut connection).unwrap();
    let computed = gated(&other, open(), 7, 10).await;
    assert_eq!(gated_entry(&other, 7, 10).get().await.unwrap(), Some(computed));
    gated_entry(&other, 7, 10).put(&99).await.unwrap();
    gate.open();
    assert_eq!(first.await.unwrap(), 11);
    assert_eq!(leader.stats().refused, 1);
    assert_eq!(gated_entry(&other, 7, 10).get().await.unwrap(), Some(99));
}

#[tokio::test]
async fn a_cancelled_or_panicking_call_leaves_no_lease() {
    #[redis_cached(prefix = "grp", name = "ends", group = "class:{class}", lease = "10m", cache = cache, skip(cache, gate, panics))]
    async fn ends(cache: &Cache, gate: Arc<Gate>, panics: bool, class: u64) -> u64 {
        let run = gate.pass().await as u64;
        assert!(!panics, "a panic that a test asked for");
        class + run
    }
    let server = Server::start();
    for cache in caches(&server) {
        for panics in [false, true] {
            let gate = Arc::new(Gate::closed());
            let call = {
                let (cache, gate) = (cache.clone(), gate.clone());
                tokio::spawn(async move { ends(&cache, gate, panics, 7).await })
            };
            gate.wait_for(1).await;
            if panics {
                gate.open();
            } else {
                call.abort();
            }
            call.await.unwrap_err();
            gate.open();
            in_time("a value is stored", async || {
                ends(&cache, gate.clone(), false, 7).await;
                ends_entry(&cache, 7).get().await.unwrap().is_some()
            })
            .await;
            ends_entry(&cache, 7).invalidate().await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_error_is_not_stored_and_leaves_no_lease() {
    #[redis_cached(prefix = "grp", name = "fails", group = "class:{class}", lease = "10m", cache = cache, skip(cache, runs))]
    async fn fails(cache: &Cache, runs: &AtomicUsize, class: u64) -> Result<u64, String> {
        match runs.fetch_add(1, SeqCst) {
            0..10 => Err("it fails".to_owned()),
            _ => Ok(class),
        }
    }
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        for run in 1..=10 {
            assert!(fails(&cache, &runs, 7).await.is_err());
            assert_eq!(runs.load(SeqCst), run);
        }
        in_time("a value is stored", async || {
            assert_eq!(fails(&cache, &runs, 7).await, Ok(7));
            fails_entry(&cache, 7).get().await.unwrap() == Some(7)
        })
        .await;
    }
}
