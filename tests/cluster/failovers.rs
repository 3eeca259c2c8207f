//! Replicas that take over.

use std::time::Duration;

use test_support::{Cluster, Node, PATIENCE, eventually};

use crate::rig::{FACES, KINDS, Kind, Rig};

mod losses;

const IDS: u64 = 24;

#[test]
fn a_planned_failover_loses_nothing() {
    let cluster = Cluster::start();
    let rigs = FACES.map(|face| Rig::new(&cluster, face));
    for rig in &rigs {
        for (id, kind) in (0..IDS).flat_map(|id| KINDS.map(|kind| (id, kind))) {
            rig.call(kind, id);
        }
    }
    for round in 1..=2 {
        for rig in &rigs {
            assert_eq!(rig.write(), round);
            for (id, kind) in (0..IDS).step_by(2).flat_map(|id| KINDS.map(|kind| (id, kind))) {
                rig.invalidate(kind, id).unwrap();
            }
            rig.asked();
        }
        for master in cluster.masters() {
            cluster.failover(cluster.replica_of(master));
        }
        for rig in &rigs {
            for (id, kind) in (0..IDS).flat_map(|id| KINDS.map(|kind| (id, kind))) {
                let expected = if id % 2 == 0 { round } else { 0 };
                assert_eq!(rig.call(kind, id).version, expected, "{:?} {kind:?} {id}", rig.face);
            }
            assert_eq!(
                rig.asked().len() as u64,
                IDS / 2 * KINDS.len() as u64,
                "{:?}: only what was invalidated",
                rig.face
            );
            assert_eq!((rig.cache.stats().bypasses, rig.cache.undelivered()), (0, 0), "{:?}", rig.face);
        }
        cluster.settle();
    }
}

/// A process learns of the new master also if it has given the old one up, and no node tells it that a slot has moved.
#[test]
fn the_replica_of_a_dead_master_is_found() {
    for strike in [Node::kill, Node::freeze] {
        let cluster = Cluster::alert();
        let rigs = FACES.map(|face| Rig::with(&cluster.url(), face, PATIENCE / 80));
        let master = cluster.masters()[0];
        let replica = cluster.replica_of(master);
        let ids = rigs.each_ref().map(|rig| rig.ids_at(&cluster, master, 0..IDS));
        for rig in &rigs {
            (0..IDS).for_each(|id| _ = rig.row(id));
        }
        // Nobody takes over until the circuit breakers have been open for a while.
        replica.freeze();
        strike(master);
        for _ in 0..100 {
            for (rig, ids) in rigs.iter().zip(&ids) {
                assert_eq!(rig.row(ids[0]).version, 0);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(rigs.iter().zip(&ids).all(|(rig, ids)| rig.get(Kind::Single, ids[0]).is_err()));
        replica.thaw();
        cluster.await_promotion(replica);
        for (rig, ids) in rigs.iter().zip(ids) {
            eventually("its entries are hits at the replica", || {
                rig.asked();
                ids.iter().for_each(|id| assert_eq!(rig.row(*id).version, 0));
                rig.asked().is_empty()
            });
            rig.write();
            for id in ids {
                assert!(rig.invalidate(Kind::Single, id).unwrap(), "{:?}", rig.face);
                assert_eq!(rig.row(id).version, 1, "{:?}", rig.face);
            }
        }
    }
}
