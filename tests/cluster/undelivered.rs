//! Invalidations that a shard did not take are delivered to the node that follows.

use std::time::Duration;

use test_support::{Cluster, Node, eventually};

use crate::rig::{FACES, Face, KINDS, Rig};

const IDS: u64 = 24;
const TIMEOUT: Duration = Duration::from_millis(250);

/// A master goes away with undelivered invalidations, and its replica takes over. The process makes no further call.
fn delivered_to_the_replica(face: Face, strike: fn(&Node)) {
    let cluster = Cluster::alert();
    let rig = Rig::with(&cluster.url(), face, TIMEOUT);
    for (id, kind) in (0..IDS).flat_map(|id| KINDS.map(|kind| (id, kind))) {
        rig.call(kind, id);
    }
    let (all, tag) = (rig.stamp("all"), rig.stamp("class:0"));
    let master = cluster.master_of(&all);
    let replica = cluster.replica_of(master);
    let at_it = |key: &String| cluster.master_of(key).id() == master.id();
    let entries = (0..IDS).flat_map(|id| KINDS.map(|kind| (kind, id)));
    let entries: Vec<_> = entries.filter(|(kind, id)| at_it(&rig.key(*kind, *id))).collect();
    let mut keys: Vec<String> = entries.iter().map(|(kind, id)| rig.key(*kind, *id)).collect();
    assert!(KINDS.iter().all(|kind| entries.iter().any(|(other, _)| other == kind)), "there are all kinds");
    keys.push(all);
    keys.extend(at_it(&tag).then_some(tag));
    for key in &keys {
        eventually("the replica has it", || replica.server().cli(&["KEYS", key]) == *key);
    }

    strike(master);
    assert!(rig.invalidate_tag("all").is_err(), "{face:?}");
    rig.write();
    // The last of them may meet the new master.
    let failed = entries.iter().filter(|(kind, id)| rig.invalidate(*kind, *id).is_err()).count();
    assert!(failed > 0, "{face:?}");
    cluster.await_promotion(replica);
    eventually("all is delivered", || rig.cache.undelivered() == 0);
    // The fields are gone, and with the last one their group.
    let left = |key: &&String| replica.cli(&["EXISTS", key]) == "1" && !key.contains("class:");
    assert_eq!(keys.iter().filter(left).collect::<Vec<_>>(), Vec::<&String>::new(), "{face:?}");
    for (kind, id) in entries {
        assert_eq!(rig.call(kind, id).version, 1, "{face:?} {kind:?} {id}");
    }
}

#[test]
fn those_for_a_dead_master() {
    for face in FACES {
        delivered_to_the_replica(face, Node::kill);
    }
}

#[test]
fn those_for_a_frozen_master() {
    for face in FACES {
        delivered_to_the_replica(face, Node::freeze);
    }
}
