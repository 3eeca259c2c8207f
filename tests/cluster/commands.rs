//! The commands that reach the nodes.

use test_support::{Cluster, Monitor, Node};

use crate::rig::{FACES, Kind, Rig, rows};

rows! { of_hits of_batches of_moved_slots of_moved_keys }

/// Listens to all nodes. Replicas have done what was sent before.
fn monitors(cluster: &Cluster) -> Vec<Monitor> {
    replicated(cluster);
    cluster.monitors()
}

fn replicated(cluster: &Cluster) {
    cluster.masters().into_iter().for_each(|master| cluster.await_replication(master));
}

/// The commands for keys of this cache at each node, those of scripts and of connecting left out.
fn commands(rig: &Rig, monitors: &mut [Monitor]) -> Vec<Vec<String>> {
    let mine = |command: &Vec<String>| command.iter().any(|word| word.starts_with(&format!("{}:", rig.namespace)));
    monitors.iter_mut().flat_map(Monitor::commands).filter(mine).collect()
}

fn names(commands: &[Vec<String>]) -> Vec<&str> {
    commands.iter().map(|command| &*command[0]).collect()
}

/// Stores these rows, and hits them often enough that a call expects to hit: it then looks without asking for a lease.
fn warm(rig: &Rig, ids: &[u64]) {
    for _ in 0..10 {
        ids.iter().for_each(|id| _ = rig.row(*id));
    }
}

/// How many `GET`s a node has redirected. A monitor does not see them.
fn redirected(node: &Node) -> u64 {
    let stats = node.cli(&["INFO", "commandstats"]);
    let of_get = stats.lines().find_map(|line| line.strip_prefix("cmdstat_get:")).unwrap_or_default();
    let count = of_get.split(',').find_map(|field| field.strip_prefix("rejected_calls="));
    count.map_or(0, |count| count.parse().unwrap())
}

#[test]
fn a_hit_is_one_get_at_the_node_that_has_the_key() {
    let cluster = Cluster::start();
    for face in FACES {
        let rig = Rig::new(&cluster, face).calling(of_hits::ROWS);
        warm(&rig, &(0..12).collect::<Vec<_>>());
        let mut monitors = monitors(&cluster);
        for id in 0..12 {
            let key = rig.key(Kind::Single, id);
            let before = cluster.nodes().iter().map(redirected).collect::<Vec<_>>();
            rig.row(id);
            assert_eq!(commands(&rig, &mut monitors), [["GET", &key]], "{face:?}");
            assert_eq!(cluster.nodes().iter().map(redirected).collect::<Vec<_>>(), before, "{face:?}");
        }
        rig.invalidate(Kind::Single, 3).unwrap();
        // A replica gets the command, too.
        replicated(&cluster);
        let expected = ["UNLINK".to_owned(), rig.key(Kind::Single, 3)];
        assert_eq!(commands(&rig, &mut monitors), [expected.clone(), expected], "{face:?}");
    }
}

#[test]
fn a_batch_of_hits_is_one_get_for_each_id() {
    let cluster = Cluster::start();
    for face in FACES {
        let rig = Rig::new(&cluster, face).calling(of_batches::ROWS);
        let ids: Vec<u64> = (0..30).collect();
        rig.rows(&ids);
        let mut monitors = monitors(&cluster);
        rig.rows(&ids);
        let mut asked = Vec::new();
        for command in commands(&rig, &mut monitors) {
            assert!(command[0] == "GET" || command[0] == "MGET", "{command:?}");
            asked.extend_from_slice(&command[1..]);
        }
        let mut keys: Vec<_> = ids.iter().map(|id| rig.key(Kind::Single, *id)).collect();
        keys.sort_unstable();
        asked.sort_unstable();
        assert_eq!(asked, keys, "{face:?}");
    }
}

#[test]
fn a_slot_that_has_moved_costs_one_command_more_and_once() {
    let cluster = Cluster::start();
    for face in FACES {
        let rig = Rig::new(&cluster, face).calling(of_moved_slots::ROWS);
        let ids = rig.neighbours(Kind::Single, 3);
        warm(&rig, &ids);
        let (slot, from) = (rig.slot(Kind::Single, ids[0]), cluster.master_of(&rig.key(Kind::Single, ids[0])));
        cluster.migrate_slot(slot, cluster.other_master(from));
        let (mut monitors, before) = (monitors(&cluster), redirected(from));
        for _ in 0..3 {
            ids.iter().for_each(|id| _ = rig.row(*id));
        }
        assert_eq!(names(&commands(&rig, &mut monitors)), ["GET"; 9], "{face:?}: hits");
        assert_eq!(redirected(from), before + 1, "{face:?}");
        assert_eq!(rig.bodies(), 3, "{face:?}");
    }
}

#[test]
fn a_key_that_has_moved_ahead_of_its_slot_is_asked_for_at_its_new_node() {
    let cluster = Cluster::start();
    for face in FACES {
        let rig = Rig::new(&cluster, face).calling(of_moved_keys::ROWS);
        let ids = rig.neighbours(Kind::Single, 2);
        warm(&rig, &ids);
        let (key, other) = (rig.key(Kind::Single, ids[0]), rig.key(Kind::Single, ids[1]));
        let migration =
            cluster.begin_migration(rig.slot(Kind::Single, ids[0]), cluster.other_master(cluster.master_of(&key)));
        migration.move_key(&key);
        let (mut monitors, before) = (monitors(&cluster), redirected(migration.from()));
        for _ in 0..3 {
            ids.iter().for_each(|id| _ = rig.row(*id));
        }
        let sent = commands(&rig, &mut monitors);
        assert_eq!(sent.iter().filter(|command| **command == ["GET", &key]).count(), 3, "{face:?}: {sent:?}");
        assert_eq!(sent.iter().filter(|command| **command == ["GET", &other]).count(), 3, "{face:?}: {sent:?}");
        assert_eq!(redirected(migration.from()), before + 3, "{face:?}: never remembered");
        assert_eq!(rig.bodies(), 2, "{face:?}: hits");
        migration.move_keys();
        migration.finish();
    }
}
