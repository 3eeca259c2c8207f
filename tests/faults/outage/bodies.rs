//! Faults while a body runs.

use super::*;

/// Every fault once more, while a body runs that was leased in health.
fn killed_mid_body(face: Face) {
    let _alone = alone();
    let rig = Rig::new(face);
    rig.warm(0..1);
    let measured = rig.measured(|| {
        let (stopwatch, before) = (Stopwatch::start(), rig.source.runs.load(SeqCst));
        thread::scope(|scope| {
            let call = scope.spawn(|| rig.call(7));
            eventually("the body runs", || rig.source.runs.load(SeqCst) == before + 1);
            rig.place.kill();
            assert_eq!(call.join().expect("no call panics"), (7, 0));
        });
        Slowest::from_iter([stopwatch.took()])
    });
    assert!(measured.lost_at_most(2), "{measured:?}");
    rig.place.restart();
    let mut id = 1_000;
    eventually("a hit", || {
        id += 1;
        rig.call(id);
        rig.hits(id)
    });
}

#[test]
fn a_server_killed_while_an_async_body_runs() {
    killed_mid_body(Face::Async);
}

#[test]
fn a_server_killed_while_a_plain_body_runs() {
    killed_mid_body(Face::Plain);
}

#[redis_cached(prefix = "outage", name = "gated", lease = "10m", cache = cache, skip(cache, gate))]
async fn gated(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id + gate.pass().await as u64
}

#[redis_cached(prefix = "outage", name = "gated", lease = "10m", cache = cache, skip(cache, gate))]
fn gated_blocking(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id + gate.pass_blocking() as u64
}

/// Half of them in the leader's process, and half in another one, which knows of the body through
/// the server alone.
fn killed_while_fifty_wait(face: Face) {
    let _alone = alone();
    given_time("all wait when the server dies", |time| {
        let rig = Rig::new(face);
        rig.warm(0..1);
        let other = Cache::builder(rig.place.url()).unwrap().timeout(TIMEOUT).build();
        let gate = Arc::new(Gate::closed());
        let call = |cache: &Cache| {
            let (cache, gate, runtime) = (cache.clone(), Arc::clone(&gate), rig.runtime.handle().clone());
            thread::spawn(move || match face {
                Face::Async => runtime.block_on(gated(&cache, &gate, 10)),
                Face::Plain => gated_blocking(&cache, &gate, 10),
            })
        };
        let leader = call(&rig.cache);
        eventually("the body runs", || gate.entered() == 1);
        let near: Vec<_> = (0..25).map(|_| call(&rig.cache)).collect();
        let far: Vec<_> = (0..25).map(|_| call(&other)).collect();
        thread::sleep(time);
        let all_wait = gate.entered() == 1;
        rig.place.kill();
        rig.place.cut();
        // The other process hears no more of the body, and runs one of its own for all.
        let begun = Instant::now();
        while gate.entered() < 2 && begun.elapsed() < time * 4 {
            thread::sleep(Duration::from_millis(1));
        }
        // Those that hear of it later than its body ends run their own.
        thread::sleep(time);
        let (mut all_near, mut all_far) = (false, false);
        let measured = rig.measured(|| {
            let stopwatch = Stopwatch::start();
            gate.open();
            assert_eq!(leader.join().expect("no call panics"), 11);
            let all = |calls: Vec<thread::JoinHandle<u64>>, expected: u64| {
                calls.into_iter().map(|call| call.join().expect("no call panics")).all(|value| value == expected)
            };
            (all_near, all_far) = (all(near, 11), all(far, 12));
            Slowest::from_iter([stopwatch.took()])
        });
        assert!(measured.lost_at_most(3), "{face:?}: {measured:?}");
        rig.place.restart();
        eventually("the server is back", || rig.runtime.block_on(gated_entry(&rig.cache, 10).get()).is_ok());
        let stored = rig.runtime.block_on(gated_entry(&rig.cache, 10).get()).unwrap();
        assert_eq!(stored, None, "{face:?}: of a body that a dead server had leased");
        all_wait && all_near && all_far && gate.entered() == 2
    });
}

#[test]
fn a_server_killed_while_fifty_async_calls_wait() {
    killed_while_fifty_wait(Face::Async);
}

#[test]
fn a_server_killed_while_fifty_plain_calls_wait() {
    killed_while_fifty_wait(Face::Plain);
}
