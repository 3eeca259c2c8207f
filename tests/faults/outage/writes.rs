//! Writes and invalidations that the server does not take.

use super::*;

/// Full, and not allowed to evict: hits go on, and nothing new is stored.
fn full(face: Face) {
    let _alone = alone();
    let rig = Rig::new(face);
    rig.warm(0..CALLERS / 2);
    rig.place.each(&["CONFIG", "SET", "maxmemory", "1"]);
    for _ in 0..3 {
        let burst = rig.burst();
        assert!(burst.lost_at_most(1), "{burst:?}");
        // On a busy machine, a hit may lose its time-out.
        (0..CALLERS / 2).for_each(|id| eventually("hits are served", || rig.hits(id)));
    }
    assert!(!rig.hits(CALLERS), "and nothing new is stored");
    assert!(rig.invalidate(0).expect("an invalidation frees memory"));
    rig.place.each(&["CONFIG", "SET", "maxmemory", "0"]);
    eventually("results are stored again", || rig.hits(CALLERS));
}

#[test]
fn a_full_server_answers_async_functions() {
    full(Face::Async);
}

#[test]
fn a_full_server_answers_plain_functions() {
    full(Face::Plain);
}

/// Once `invalidate` has failed, the value that it could not remove is not served any more.
pub(crate) fn undelivered_invalidations(face: Face, strike: fn(&Rig), heal: fn(&Rig)) {
    let _alone = alone();
    let rig = Rig::new(face);
    rig.warm(0..10);
    strike(&rig);
    rig.source.version.store(1, SeqCst);
    for id in 0..10 {
        let measured = rig.measured(|| {
            let stopwatch = Stopwatch::start();
            let error = rig.invalidate(id).expect_err("it cannot be delivered");
            let took = stopwatch.took();
            assert!(
                matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::ReadOnly),
                "{error}"
            );
            Slowest::from_iter([took])
        });
        assert!(measured.lost_at_most(1), "{measured:?}");
    }
    assert_eq!(rig.call(3), (3, 1), "during the fault");
    heal(&rig);
    // `hits` asserts the version.
    eventually("a hit of the new value", || rig.hits(3));
    for id in 0..10 {
        eventually("a hit of the new value", || rig.hits(id));
    }
}

#[test]
fn undelivered_invalidations_of_async_functions() {
    undelivered_invalidations(
        Face::Async,
        |rig| {
            rig.place.set(Mode::Refuse);
            rig.place.cut();
        },
        |rig| rig.place.set(Mode::Pass),
    );
}

#[test]
fn undelivered_invalidations_of_plain_functions() {
    undelivered_invalidations(
        Face::Plain,
        |rig| {
            rig.place.set(Mode::Refuse);
            rig.place.cut();
        },
        |rig| rig.place.set(Mode::Pass),
    );
}

#[test]
fn invalidations_of_async_functions_that_a_hung_server_never_saw() {
    undelivered_invalidations(Face::Async, |rig| rig.place.set(Mode::Freeze), |rig| rig.place.set(Mode::Pass));
}

#[test]
fn invalidations_of_plain_functions_that_a_hung_server_never_saw() {
    undelivered_invalidations(Face::Plain, |rig| rig.place.set(Mode::Freeze), |rig| rig.place.set(Mode::Pass));
}

/// A slot that cannot be leased is not asked for again and again: how many commands a call sends
/// is bounded, for calls of different entries and of one.
fn no_lease_and_no_spinning(face: Face, strike: fn(&Rig), heal: fn(&Rig)) {
    let _alone = alone();
    let rig = Rig::new(face);
    rig.warm(0..1);
    strike(&rig);
    let before = rig.place.commands();
    for _ in 0..3 {
        let burst = rig.burst();
        assert!(burst.lost_at_most(1), "{face:?}: {burst:?}");
    }
    let measured = rig.measured(|| {
        let call = || {
            let stopwatch = Stopwatch::start();
            assert_eq!(rig.call(777), (777, 0));
            stopwatch.took()
        };
        thread::scope(|scope| {
            let crowd: Vec<_> = (0..CALLERS).map(|_| scope.spawn(call)).collect();
            crowd.into_iter().map(|call| call.join().expect("no call panics")).collect()
        })
    });
    assert!(measured.lost_at_most(2), "{face:?}: {measured:?}");
    let sent = rig.place.commands() - before;
    // A call looks and leases, sometimes as a script by its hash and again by its text; and a pool of
    // connections is made for a hundred threads.
    assert!(sent <= 4 * CALLERS as usize * 5, "{face:?}: {sent} commands for {} calls", 4 * CALLERS);
    println!("| {face:?} | {sent} commands for {} calls |", 4 * CALLERS);
    heal(&rig);
    let mut id = 1_000;
    eventually("results are stored again", || {
        id += 1;
        rig.call(id);
        rig.hits(id)
    });
}

#[test]
fn no_lease_in_a_full_server() {
    for face in [Face::Async, Face::Plain] {
        let strike: fn(&Rig) = |rig| rig.place.each(&["CONFIG", "SET", "maxmemory", "1"]);
        no_lease_and_no_spinning(face, strike, |rig| rig.place.each(&["CONFIG", "SET", "maxmemory", "0"]));
    }
}

#[test]
fn no_lease_where_writes_are_refused() {
    for face in [Face::Async, Face::Plain] {
        let strike: fn(&Rig) = |rig| rig.place.each(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        no_lease_and_no_spinning(face, strike, |rig| rig.place.each(&["CONFIG", "SET", "min-replicas-to-write", "0"]));
    }
}

#[test]
fn no_lease_without_the_permission_to_write() {
    for face in [Face::Async, Face::Plain] {
        let strike: fn(&Rig) = |rig| rig.place.each(&["ACL", "SETUSER", "default", "-set", "-eval", "-evalsha"]);
        no_lease_and_no_spinning(face, strike, |rig| {
            rig.place.each(&["ACL", "SETUSER", "default", "+set", "+eval", "+evalsha"]);
        });
    }
}

#[test]
fn a_process_that_only_writes_stores_again_after_an_undelivered_invalidation() {
    #[redis_cached(prefix = "outage", name = "written", cache = cache, skip(cache))]
    async fn written(cache: &Cache, id: u64) -> u64 {
        id
    }
    let _alone = alone();
    let place = crate::place();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cache = Cache::builder(place.url()).unwrap().timeout(Duration::from_millis(100)).build();
        let entry = written_entry(&cache, 1);
        in_time("it is stored", async || entry.put(&5).await.is_ok_and(|stored| stored)).await;
        place.set(Mode::Delay(Duration::from_millis(150)));
        entry.invalidate().await.expect_err("too slow");
        place.set(Mode::Pass);
        in_time("it is stored again", async || entry.put(&6).await.is_ok_and(|stored| stored)).await;
    });
    assert!(place.servers().iter().any(|server| server.cli(&["EXISTS", "outage:written:1"]) == "1"));
}
