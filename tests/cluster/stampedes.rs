//! One cold key whose slot moves, or whose node hands over, while many calls of several processes wait for its body.

use redis_cached::Cache;
use test_support::{Cluster, slot_of};

use crate::processes::{CALLS, Stampede, key, took_part};

/// Runs `meanwhile` once a body runs, with the slot of the key.
fn stampede(test: &str, meanwhile: impl FnOnce(&Cluster, u16)) {
    if took_part() {
        return;
    }
    let cluster = Cluster::start();
    let stampede = Stampede::start(module_path!(), test, &cluster.url(), CALLS);
    meanwhile(&cluster, slot_of(&key(&Cache::builder(&cluster.url()).unwrap().build())));
    stampede.ends_with(1);
}

#[test]
fn one_body_while_the_slot_moves() {
    stampede("one_body_while_the_slot_moves", |cluster, slot| {
        for _ in 0..10 {
            cluster.migrate_slot(slot, cluster.other_master(cluster.owner(slot)));
        }
    });
}

#[test]
fn one_body_while_its_node_hands_over() {
    stampede("one_body_while_its_node_hands_over", |cluster, slot| {
        for _ in 0..2 {
            cluster.failover(cluster.replica_of(cluster.owner(slot)));
            cluster.settle();
        }
    });
}
