//! Outages of a server that becomes a replica. The nodes of a cluster cannot.

use std::thread;
use std::time::{Duration, Instant};

use redis_cached::ErrorKind;
use test_support::eventually;

use crate::outage::writes::undelivered_invalidations;
use crate::outage::{CALLERS, FAULT, Face, Fault, Rig, alone, row_blocking_entry, row_entry};

/// Calls, and returns true if the circuit breaker is open then.
fn refuses(rig: &Rig, id: u64) -> bool {
    rig.call(id);
    let refused = match rig.face {
        Face::Async => rig.runtime.block_on(row_entry(&rig.cache, id).get()).err(),
        Face::Plain => row_blocking_entry(&rig.cache, id).get().err(),
    };
    refused.is_some_and(|error| error.kind() == ErrorKind::CircuitOpen)
}

/// A replica may not have an invalidation yet: it is never read, not even where it answers.
fn replica(face: Face) {
    let _alone = alone();
    let rig = Rig::new(face);
    rig.warm(0..10);
    rig.place.each(&["REPLICAOF", "127.0.0.1", "1"]);
    rig.place.cut();
    for _ in 0..10 {
        assert!(!rig.hits(3));
        // Time for a probe, which finds a replica.
        thread::sleep(Duration::from_millis(30));
    }
    rig.place.each(&["REPLICAOF", "NO", "ONE"]);
    eventually("a hit", || rig.hits(3));

    // This needs no new connection, and no write that it would refuse.
    rig.place.each(&["REPLICAOF", "127.0.0.1", "1"]);
    eventually("the change of role is noticed", || refuses(&rig, 3));
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

/// The server runs, and says what reaches it: a replica is asked for nothing, but whether it still
/// is one.
fn untouched(face: Face) {
    let _alone = alone();
    let rig = Rig::new(face);
    rig.warm(0..10);
    rig.place.each(&["REPLICAOF", "127.0.0.1", "1"]);
    rig.place.cut();
    eventually("the breaker opens", || refuses(&rig, 3));
    let mut monitor = rig.place.servers()[0].monitor();
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
    rig.place.each(&["REPLICAOF", "NO", "ONE"]);
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

#[test]
fn invalidations_that_a_replica_refused() {
    for face in [Face::Async, Face::Plain] {
        let strike: fn(&Rig) = |rig| {
            rig.place.each(&["REPLICAOF", "127.0.0.1", "1"]);
        };
        undelivered_invalidations(face, strike, |rig| rig.place.each(&["REPLICAOF", "NO", "ONE"]));
    }
}

fn read_only(face: Face) {
    let fault = Fault {
        name: "read_only_replica",
        // It follows a master that does not exist, so that it keeps its data.
        strike: |rig| rig.place.each(&["REPLICAOF", "127.0.0.1", "1"]),
        heal: |rig| rig.place.each(&["REPLICAOF", "NO", "ONE"]),
        ..FAULT
    };
    fault.check(face);
}

#[test]
fn a_read_only_replica_is_an_outage_of_async_functions() {
    read_only(Face::Async);
}

#[test]
fn a_read_only_replica_is_an_outage_of_plain_functions() {
    read_only(Face::Plain);
}
