//! What the breaker keeps from the server, and how the cache recovers.

use super::*;

/// A replica may not have an invalidation yet: it is never read, not even where it answers.
fn replica(face: Face) {
    let _alone = alone();
    let rig = Rig::new(face, &[]);
    rig.warm(0..10);
    rig.server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    rig.proxy.cut();
    for _ in 0..10 {
        assert!(!rig.hits(3));
        // Time for a probe, which finds a replica.
        thread::sleep(Duration::from_millis(30));
    }
    rig.server.promote();
    eventually("a hit", || rig.hits(3));

    // This needs no new connection, and no write that it would refuse.
    rig.server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    eventually("the change of role is noticed", || !rig.hits(3));
    assert!(!rig.hits(3));
}

#[test]
fn a_replica_is_not_read_by_async_functions() {
    replica(Face::Async);
}

#[test]
fn a_replica_is_not_read_by_plain_functions() {
    replica(Face::Plain);
}

/// A caller with less patience than the deadline gives up each time: that the server hangs must
/// be noticed all the same, or no call would ever get to its body.
#[test]
fn callers_that_give_up_are_failures_of_the_server() {
    let _alone = alone();
    let rig = Rig::new(Face::Async, &[]);
    rig.warm(0..10);
    rig.proxy.set(Mode::Freeze);
    let patient = TIMEOUT * 3 / 4;
    let mut given_up = 0;
    rig.runtime.block_on(async {
        while tokio::time::timeout(patient, row(&rig.cache, &rig.source, 3)).await.is_err() {
            given_up += 1;
            assert!(given_up < 20, "the body never runs");
        }
    });
    assert!(given_up > 0);
}

/// An open breaker is silent: calls cost no connection, and one probe at a time does.
fn silence(face: Face) {
    let _alone = alone();
    let rig = Rig::new(face, &[]);
    rig.proxy.set(Mode::Refuse);
    rig.burst();
    let (accepted, begun) = (rig.proxy.accepted(), Instant::now());
    let mut calls = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        rig.burst();
        calls += CALLERS;
    }
    let probes = rig.proxy.accepted() - accepted;
    // Pauses of 75 ms at least, twice as long after each failure.
    assert!((1..=8).contains(&probes), "{probes} connections for {calls} calls");
}

#[test]
fn an_open_breaker_of_async_functions_is_silent() {
    silence(Face::Async);
}

#[test]
fn an_open_breaker_of_plain_functions_is_silent() {
    silence(Face::Plain);
}

#[test]
fn a_verb_tells_what_a_call_hides() {
    let _alone = alone();
    let rig = Rig::new(Face::Async, &[]);
    rig.server.kill();
    let kind = || rig.invalidate(1).expect_err("no server").kind();
    for _ in 0..10 {
        assert_eq!(kind(), ErrorKind::Unreachable, "an invalidation is attempted even with an open breaker");
    }
    let ping = rig.runtime.block_on(rig.cache.ping()).expect_err("no server");
    assert_eq!(ping.kind(), ErrorKind::CircuitOpen);
}

/// A runtime that ends takes its connection and perhaps the prober with it.
#[test]
fn recovery_does_not_need_the_runtime_that_saw_the_fault() {
    let _alone = alone();
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(TIMEOUT).build();
    let source = Source::default();
    let call = |id| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(row(&cache, &source, id))
    };
    server.kill();
    for id in 0..10 {
        assert_eq!(call(id), (id, 0));
    }
    server.restart();
    let begun = Instant::now();
    let mut id = 10;
    eventually("a hit", || {
        id += 1;
        call(id);
        let runs = source.runs.load(SeqCst);
        call(id);
        source.runs.load(SeqCst) == runs
    });
    assert!(begun.elapsed() < PATIENCE / 2);
}

/// The probe belongs to a runtime that is not driven any more, though it still exists.
#[test]
fn recovery_does_not_wait_for_a_runtime_that_sleeps() {
    let _alone = alone();
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(TIMEOUT).build();
    let source = Source::default();
    let asleep = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    server.kill();
    asleep.block_on(async {
        for id in 0..10 {
            assert_eq!(row(&cache, &source, id).await, (id, 0));
        }
    });
    server.restart();
    let mut id = 10;
    eventually("a hit", || {
        id += 1;
        row_blocking(&cache, &source, id);
        let runs = source.runs.load(SeqCst);
        row_blocking(&cache, &source, id);
        source.runs.load(SeqCst) == runs
    });
}

/// The server runs, and says what reaches it: a replica is asked for nothing, but whether it still
/// is one.
fn untouched(face: Face) {
    let _alone = alone();
    let rig = Rig::new(face, &[]);
    rig.warm(0..10);
    rig.server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    rig.proxy.cut();
    eventually("the breaker opens", || {
        rig.call(3);
        let refused = match face {
            Face::Async => rig.runtime.block_on(row_entry(&rig.cache, 3).get()).err(),
            Face::Plain => row_blocking_entry(&rig.cache, 3).get().err(),
        };
        refused.is_some_and(|error| error.kind() == ErrorKind::CircuitOpen)
    });
    let mut monitor = rig.server.monitor();
    let (begun, mut calls) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(1) {
        rig.burst();
        calls += CALLERS;
    }
    let sent = monitor.commands();
    let keyed = sent.iter().filter(|command| command.iter().any(|word| word.starts_with("outage:")));
    assert_eq!(keyed.count(), 0, "{face:?}: {sent:#?}");
    // A probe is a connection with its greeting; pauses grow from 75 ms on.
    assert!(sent.len() <= 60, "{face:?}: {} commands for {calls} calls: {sent:#?}", sent.len());
    rig.server.promote();
    eventually("it recovers by itself", || rig.hits(3));
}

#[test]
fn an_open_breaker_of_async_functions_leaves_the_server_alone() {
    untouched(Face::Async);
}

#[test]
fn an_open_breaker_of_plain_functions_leaves_the_server_alone() {
    untouched(Face::Plain);
}

/// The log has one line for each change of state, not one for each call.
#[test]
fn the_log_tells_faults_apart() {
    let _alone = alone();
    log::listen();
    // A name, what the log says, and how it comes about.
    type Told = (&'static str, &'static str, fn(&Rig));
    let faults: [Told; 8] = [
        ("refused", "cannot be reached", |rig| {
            rig.proxy.set(Mode::Refuse);
            rig.proxy.cut();
        }),
        ("hung", "did not answer in time", |rig| rig.proxy.set(Mode::Freeze)),
        ("loading", "loading its data set", |rig| rig.proxy.set(Mode::Answer("-LOADING Redis is loading"))),
        ("cluster", "part of a cluster", |rig| rig.proxy.set(Mode::Answer("-MOVED 3999 127.0.0.1:6381"))),
        ("password", "refused the credentials", |rig| {
            rig.server.cli(&["CONFIG", "SET", "requirepass", "secret"]);
            rig.proxy.cut();
        }),
        ("replica", "read-only", |rig| {
            rig.server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
            rig.proxy.cut();
        }),
        ("memory", "out of memory", |rig| {
            rig.server.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
            rig.server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
        }),
        ("writes", "NOREPLICAS", |rig| _ = rig.server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"])),
    ];
    // Over TLS, the answer of a proxy is none of the server.
    let faults = faults.into_iter().filter(|(name, ..)| !crate::OVER_TLS || !["loading", "cluster"].contains(name));
    let faults: Vec<Told> = faults.collect();
    for face in [Face::Async, Face::Plain] {
        for &(name, says, strike) in &faults {
            let rig = Rig::new(face, &[]);
            rig.warm(0..1);
            let about = format!(":{}", rig.proxy.port());
            strike(&rig);
            for _ in 0..3 {
                rig.burst();
            }
            eventually("the log tells it", || log::lines_about(&about).iter().any(|line| line.text.contains(says)));
            let lines = log::lines_about(&about);
            assert!(lines.len() <= 3, "{face:?}, {name}: {lines:#?}");
            for (_, other, _) in faults.iter().filter(|(other, ..)| *other != name) {
                assert!(
                    !lines.iter().any(|line| line.text.contains(other)) || name == "writes",
                    "{face:?}, {name}: {lines:#?}"
                );
            }
        }
    }
}
