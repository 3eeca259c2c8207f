//! `local` while slots move and replicas take over: nothing is served in its old form for longer than the bound.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use test_support::{Cluster, ClusterClient, Node, eventually, slot_of};

use crate::kept::{Keeper, until_new};
use crate::kill::FACES;

const BOUND: Duration = Duration::from_millis(500);

fn key(id: u64) -> String {
    format!("k:kept:row:{id}")
}

/// Changes the data, and removes the entry where it is now.
fn change(client: &mut ClusterClient, origin: &AtomicU64, id: u64, new: u64) -> Instant {
    origin.store(new, SeqCst);
    client.run(&key(id), redis::cmd("DEL").arg(key(id)));
    Instant::now()
}

#[test]
fn a_slot_that_moves_back_and_forth() {
    let cluster = Cluster::start();
    let mut client = ClusterClient::of(&cluster.url());
    let slot = slot_of(&key(1));
    for face in FACES {
        let origin = AtomicU64::new(0);
        let keeper = Keeper::new(&cluster.url(), face, BOUND, &origin);
        for round in (1..=12).step_by(2) {
            keeper.kept_row(1);
            cluster.migrate_slot(slot, cluster.other_master(cluster.owner(slot)));
            let changed = change(&mut client, &origin, 1, round);
            until_new("a slot that has moved", round, changed, || keeper.row(1));
            // It is kept from the new node, too.
            keeper.kept_row(1);
            let migration = cluster.begin_migration(slot, cluster.other_master(cluster.owner(slot)));
            migration.move_key(&key(1));
            let changed = change(&mut client, &origin, 1, round + 1);
            until_new("a slot on its way", round + 1, changed, || keeper.row(1));
            migration.move_keys();
            migration.finish();
        }
        keeper.invalidate(1);
    }
}

#[test]
fn a_replica_that_takes_over_on_request() {
    let cluster = Cluster::start();
    let mut client = ClusterClient::of(&cluster.url());
    for face in FACES {
        let origin = AtomicU64::new(0);
        let keeper = Keeper::new(&cluster.url(), face, BOUND, &origin);
        for round in 1..=4 {
            keeper.kept_row(1);
            cluster.failover(cluster.replica_of(cluster.master_of(&key(1))));
            let changed = change(&mut client, &origin, 1, round);
            until_new("another master", round, changed, || keeper.row(1));
            cluster.settle();
        }
        keeper.invalidate(1);
    }
}

#[test]
fn a_master_that_is_killed() {
    for face in FACES {
        let cluster = Cluster::alert();
        let origin = AtomicU64::new(0);
        let keeper = Keeper::new(&cluster.url(), face, BOUND, &origin);
        keeper.kept_row(1);
        let master = cluster.master_of(&key(1));
        cluster.await_replication(master);
        let replica = cluster.replica_of(master);
        master.kill();
        thread::sleep(BOUND);
        let hits = keeper.cache.stats().local_hits;
        cluster.await_promotion(replica);
        origin.store(1, SeqCst);
        replica.cli(&["DEL", &key(1)]);
        assert_eq!(keeper.row(1), 1, "{face:?}");
        assert_eq!(keeper.cache.stats().local_hits, hits, "{face:?}: nothing vouches for it");
        assert_eq!(keeper.kept_row(1), 1, "{face:?}");
    }
}

/// A node that is cut off from the other masters refuses commands for keys, and answers all else.
#[test]
fn a_node_that_is_cut_off() {
    let (cluster, origin) = (Cluster::alert(), AtomicU64::new(0));
    let keepers = FACES.map(|face| Keeper::new(&cluster.url(), face, BOUND, &origin));
    keepers.iter().for_each(|keeper| _ = keeper.kept_row(1));
    let node = cluster.master_of(&key(1));
    cluster.nodes().iter().filter(|other| other.id() != node.id()).for_each(Node::freeze);
    eventually("it is cut off", || node.cli(&["GET", &key(1)]).to_lowercase().contains("down"));
    thread::sleep(BOUND);
    for keeper in &keepers {
        let hits = keeper.cache.stats().local_hits;
        for _ in 0..20 {
            keeper.row(1);
        }
        assert_eq!(keeper.cache.stats().local_hits, hits, "other masters may have taken over");
    }
    cluster.nodes().iter().filter(|other| other.id() != node.id()).for_each(Node::thaw);
}

/// Redis 7.0 removes the keys of a slot that another node has taken, and tells no client.
#[test]
fn a_slot_that_is_taken_without_its_keys() {
    let cluster = Cluster::start();
    for (face, round) in FACES.into_iter().zip(1..) {
        let origin = AtomicU64::new(round - 1);
        let keeper = Keeper::new(&cluster.url(), face, BOUND, &origin);
        let from = cluster.master_of(&key(1));
        // The node confirms an entry of another slot last.
        let mut neighbours = (2..).filter(|id| cluster.master_of(&key(*id)).id() == from.id());
        let other = neighbours.next().expect("another slot of the node");
        keeper.kept_row(1);
        keeper.kept_row(other);
        // It may have been at the other node, and is at this one.
        assert_eq!(keeper.row(1), round - 1);
        let (slot, to) = (slot_of(&key(1)).to_string(), cluster.other_master(from));
        assert_eq!(to.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", from.id()]), "OK");
        assert_eq!(to.cli(&["CLUSTER", "SETSLOT", &slot, "NODE", to.id()]), "OK");
        cluster.settle();
        origin.store(round, SeqCst);
        until_new("a slot that was taken", round, Instant::now(), || keeper.row(1));
        assert_eq!(keeper.kept_row(1), round);
    }
}
