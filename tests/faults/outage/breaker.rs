//! What the breaker keeps from the server, and how the cache recovers.

use test_support::Proxy;

use super::*;

/// A caller with less patience than the deadline gives up each time: that the server hangs must
/// be noticed all the same, or no call would ever get to its body.
#[test]
fn callers_that_give_up_are_failures_of_the_server() {
    let _alone = alone();
    let rig = Rig::new(Face::Async);
    rig.warm(0..10);
    rig.place.set(Mode::Freeze);
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
    let rig = Rig::new(face);
    rig.place.set(Mode::Refuse);
    let begun = Instant::now();
    rig.burst();
    let accepted = || rig.place.proxies().iter().map(Proxy::accepted_so_far).collect::<Vec<_>>();
    let (before, opened, mut calls) = (accepted(), Instant::now(), 0);
    while opened.elapsed() < Duration::from_secs(2) {
        rig.burst();
        calls += CALLERS;
    }
    let (after, took) = (accepted(), begun.elapsed());
    for connections in after.into_iter().zip(before).map(|(after, before)| after - before) {
        // A node of a cluster is also asked for the topology.
        let most = probes_within(took) + 4;
        assert!((1..=most).contains(&connections), "{connections} connections for {calls} calls in {took:?}");
    }
}

/// The most probes in so much time: pauses of 75 ms at least, twice as long after each failure, up to 1.5 seconds.
fn probes_within(time: Duration) -> usize {
    let pauses =
        (0..).map(|failures| Duration::from_millis(1_500).min(Duration::from_millis(75) * (1 << failures.min(5))));
    let times = pauses.scan(Duration::ZERO, |sum, pause| {
        *sum += pause;
        Some(*sum)
    });
    times.take_while(|at| *at <= time).count()
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
    let rig = Rig::new(Face::Async);
    rig.place.kill();
    let kind = || rig.invalidate(1).expect_err("no server").kind();
    for _ in 0..10 {
        assert_eq!(kind(), ErrorKind::Unreachable, "an invalidation is attempted even with an open breaker");
    }
    let ping = rig.runtime.block_on(rig.cache.ping()).expect_err("no server");
    // Nothing is known of the nodes of a cluster.
    assert_eq!(ping.kind(), if IN_CLUSTER { ErrorKind::Unreachable } else { ErrorKind::CircuitOpen });
}

/// A runtime that ends takes its connection and perhaps the prober with it.
#[test]
fn recovery_does_not_need_the_runtime_that_saw_the_fault() {
    let _alone = alone();
    let place = crate::place();
    let cache = Cache::builder(place.url()).unwrap().timeout(TIMEOUT).build();
    let source = Source::default();
    let call = |id| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(row(&cache, &source, id))
    };
    place.kill();
    for id in 0..10 {
        assert_eq!(call(id), (id, 0));
    }
    place.restart();
    let stopwatch = Stopwatch::start();
    let mut id = 10;
    eventually("a hit", || {
        id += 1;
        call(id);
        let runs = source.runs.load(SeqCst);
        call(id);
        source.runs.load(SeqCst) == runs
    });
    assert!(stopwatch.took().own() < PATIENCE / 2);
}

/// The probe belongs to a runtime that is not driven any more, though it still exists.
#[test]
fn recovery_does_not_wait_for_a_runtime_that_sleeps() {
    let _alone = alone();
    let place = crate::place();
    let cache = Cache::builder(place.url()).unwrap().timeout(TIMEOUT).build();
    let source = Source::default();
    let asleep = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    place.kill();
    asleep.block_on(async {
        for id in 0..10 {
            assert_eq!(row(&cache, &source, id).await, (id, 0));
        }
    });
    place.restart();
    let mut id = 10;
    eventually("a hit", || {
        id += 1;
        row_blocking(&cache, &source, id);
        let runs = source.runs.load(SeqCst);
        row_blocking(&cache, &source, id);
        source.runs.load(SeqCst) == runs
    });
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
            rig.place.set(Mode::Refuse);
            rig.place.cut();
        }),
        ("hung", "did not answer in time", |rig| rig.place.set(Mode::Freeze)),
        ("loading", "loading its data set", |rig| rig.place.set(Mode::Answer("-LOADING Redis is loading"))),
        ("cluster", "part of a cluster", |rig| rig.place.set(Mode::Answer("-MOVED 3999 127.0.0.1:6381"))),
        ("password", "refused the credentials", |rig| {
            rig.place.each(&["CONFIG", "SET", "requirepass", "secret"]);
            rig.place.cut();
        }),
        ("replica", "read-only", |rig| {
            rig.place.each(&["REPLICAOF", "127.0.0.1", "1"]);
            rig.place.cut();
        }),
        ("memory", "out of memory", |rig| {
            rig.place.each(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
            rig.place.each(&["CONFIG", "SET", "maxmemory", "1"]);
        }),
        ("writes", "NOREPLICAS", |rig| rig.place.each(&["CONFIG", "SET", "min-replicas-to-write", "1"])),
    ];
    let makes_sense = |name: &str| match name {
        // Over TLS, the answer of a proxy is none of the server.
        "loading" => !OVER_TLS,
        "cluster" => !OVER_TLS && !IN_CLUSTER,
        // In a cluster, a replica redirects. A master that sentinels know is asked for again, so that calls may time out.
        "replica" => !IN_CLUSTER && !BY_SENTINELS,
        _ => true,
    };
    let faults = faults.into_iter().filter(|(name, ..)| makes_sense(name));
    let faults: Vec<Told> = faults.collect();
    for face in [Face::Async, Face::Plain] {
        for &(name, says, strike) in &faults {
            let rig = Rig::new(face);
            rig.warm(0..1);
            let lines = || rig.place.names().iter().map(|name| log::lines_about(name)).collect::<Vec<_>>();
            let before: Vec<usize> = lines().iter().map(Vec::len).collect();
            let lines = || lines().into_iter().zip(&before).map(|(lines, before)| lines[*before..].to_vec());
            strike(&rig);
            for _ in 0..3 {
                rig.burst();
            }
            eventually(&format!("the log tells it: {face:?}, {name}"), || {
                lines().flatten().any(|line| line.text.contains(says))
            });
            for lines in lines() {
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
}
