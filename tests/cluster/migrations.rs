//! Slots on their way from one node to another.

use test_support::{Cluster, Gate, MigratingSlot, slot_of};

use crate::rig::{FACES, KINDS, Kind, NONE, Rig, TOGETHER};

/// A slot on its way, of which the first id's key has moved, the second's has not, and the third's is nowhere.
fn half_way<'a>(cluster: &'a Cluster, rig: &Rig, kind: Kind) -> ([u64; 3], MigratingSlot<'a>) {
    let ids: [u64; 3] = rig.neighbours(kind, 3).try_into().unwrap();
    ids[..2].iter().for_each(|id| _ = rig.call(kind, *id));
    rig.asked();
    let (slot, key) = (rig.slot(kind, ids[0]), rig.key(kind, ids[0]));
    let migration = cluster.begin_migration(slot, cluster.other_master(cluster.owner(slot)));
    migration.move_key(&key);
    (ids, migration)
}

#[test]
fn entries_are_served_and_stored_at_either_node() {
    let cluster = Cluster::shared();
    for (face, kind) in FACES.into_iter().flat_map(|face| KINDS.map(|kind| (face, kind))) {
        let rig = Rig::new(cluster, face);
        let (ids, migration) = half_way(cluster, &rig, kind);
        let elsewhere = rig.elsewhere(&cluster.url());
        for round in 0..2 {
            assert!(ids.iter().all(|id| rig.call(kind, *id).version == 0), "{face:?} {kind:?}");
            assert!(ids.iter().all(|id| elsewhere.call(kind, *id).version == 0), "{face:?} {kind:?}");
            assert_eq!(rig.asked(), &ids[2..][..1 - round], "{face:?} {kind:?}: one is missing");
        }
        migration.move_keys();
        migration.finish();
        rig.write();
        assert!(ids.iter().all(|id| rig.call(kind, *id).version == 0), "{face:?} {kind:?}");
        assert_eq!(rig.asked(), NONE, "{face:?} {kind:?}: all have arrived");
        assert_eq!((rig.cache.stats().bypasses, rig.cache.stats().refused), (0, 0));
    }
}

#[test]
fn entries_are_invalidated_at_either_node() {
    let cluster = Cluster::shared();
    for (face, kind) in FACES.into_iter().flat_map(|face| KINDS.map(|kind| (face, kind))) {
        let rig = Rig::new(cluster, face);
        let (ids, migration) = half_way(cluster, &rig, kind);
        rig.write();
        for id in &ids[..2] {
            assert!(rig.invalidate(kind, *id).unwrap(), "{face:?} {kind:?}: it was there");
        }
        assert!(!rig.invalidate(kind, ids[2]).unwrap());
        assert!(ids.iter().all(|id| rig.call(kind, *id).version == 1), "{face:?} {kind:?}");
        assert_eq!(rig.asked(), ids, "{face:?} {kind:?}");
        migration.move_keys();
        migration.finish();
        assert!(ids.iter().all(|id| rig.call(kind, *id).version == 1), "{face:?} {kind:?}");
        assert_eq!(rig.asked(), NONE, "{face:?} {kind:?}");
        assert_eq!(rig.cache.undelivered(), 0);
    }
}

#[test]
fn a_batch_is_served_from_both_nodes() {
    let cluster = Cluster::shared();
    for face in FACES {
        let rig = Rig::new(cluster, face);
        let (ids, migration) = half_way(cluster, &rig, Kind::Single);
        let more: Vec<u64> = (0..20).chain(ids).collect();
        rig.rows(&more[..20]);
        rig.asked();
        let bodies = rig.bodies();
        let found = rig.rows(&more);
        assert!(found.iter().all(|row| row.version == 0), "{face:?}");
        assert_eq!((rig.asked(), rig.bodies()), (vec![ids[2]], bodies + 1), "{face:?}: one is missing");
        rig.write();
        assert_eq!(rig.rows(&more), found, "{face:?}");
        assert!(rig.get_all(&ids).unwrap().iter().all(Option::is_some), "{face:?}");
        assert_eq!(rig.invalidate_all(&ids).unwrap(), 3, "{face:?}");
        assert!(rig.rows(&ids).iter().all(|row| row.version == 1), "{face:?}");
        assert_eq!(rig.asked(), ids, "{face:?}");
        migration.move_keys();
        migration.finish();
        assert!(rig.rows(&ids).iter().all(|row| row.version == 1), "{face:?}");
        assert_eq!((rig.asked(), rig.cache.stats().bypasses), (vec![], 0), "{face:?}");
    }
}

#[test]
fn a_group_moves_as_a_whole() {
    let cluster = Cluster::shared();
    for face in FACES {
        let rig = Rig::new(cluster, face);
        let (ids, migration) = half_way(cluster, &rig, Kind::InGroup);
        let all =
            |first: u64| (first..first + TOGETHER).map(|id| rig.call(Kind::InGroup, id).version).collect::<Vec<_>>();
        assert!(ids.iter().all(|id| all(*id) == [0; 4]), "{face:?}");
        rig.write();
        assert!(rig.invalidate_group(ids[0]).unwrap() && rig.invalidate_group(ids[1]).unwrap(), "{face:?}");
        assert!(ids.iter().all(|id| all(*id) == [u64::from(*id != ids[2]); 4]), "{face:?}");
        migration.move_keys();
        migration.finish();
        rig.write();
        assert!(ids.iter().all(|id| all(*id) == [u64::from(*id != ids[2]); 4]), "{face:?}");
    }
}

#[test]
fn a_stamp_moves_as_its_entries_stay() {
    let cluster = Cluster::shared();
    for face in FACES {
        let rig = Rig::new(cluster, face);
        let stamp = rig.stamp("all");
        let slot = slot_of(&stamp);
        for id in 0..8 {
            rig.call(Kind::Tagged, id);
        }
        rig.asked();
        let migration = cluster.begin_migration(slot, cluster.other_master(cluster.owner(slot)));
        for is_moved in [false, true] {
            if is_moved {
                migration.move_key(&stamp);
            }
            assert!((0..8).all(|id| rig.call(Kind::Tagged, id).version == u64::from(is_moved)), "{face:?}");
            assert_eq!(rig.asked(), NONE, "{face:?} {is_moved}");
            let version = rig.write();
            assert!(rig.invalidate_tag("all").unwrap(), "{face:?}");
            assert!((0..8).all(|id| rig.call(Kind::Tagged, id).version == version), "{face:?}");
            assert_eq!(rig.asked(), (0..8).collect::<Vec<_>>(), "{face:?} {is_moved}");
        }
        migration.move_keys();
        migration.finish();
        assert!((0..8).all(|id| rig.call(Kind::Tagged, id).version == 2), "{face:?}");
        assert_eq!((rig.asked(), rig.cache.stats().bypasses), (vec![], 0), "{face:?}");
    }
}

/// A node that gets a slot may never have seen the scripts.
#[test]
fn a_script_that_the_new_node_does_not_know_is_sent_to_it() {
    let cluster = Cluster::start();
    for (face, kind) in FACES.into_iter().flat_map(|face| KINDS.map(|kind| (face, kind))) {
        let rig = Rig::new(&cluster, face);
        let (ids, migration) = half_way(&cluster, &rig, kind);
        migration.to().cli(&["SCRIPT", "FLUSH"]);
        rig.call(kind, ids[2]);
        rig.call(kind, ids[2]);
        assert_eq!(rig.asked(), [ids[2]], "{face:?} {kind:?}: it is stored");
        migration.move_keys();
        migration.finish();
    }
}

#[test]
fn what_moves_while_a_body_runs_is_stored_once() {
    let cluster = Cluster::shared();
    for face in FACES {
        let rig = Rig::new(cluster, face);
        let key = rig.gated_key(1);
        let (slot, gate) = (slot_of(&key), Gate::closed());
        std::thread::scope(|scope| {
            let call = scope.spawn(|| rig.gated(&gate, 1));
            rig.runtime.block_on(gate.wait_for(1));
            // The lease moves.
            cluster.migrate_slot(slot, cluster.other_master(cluster.owner(slot)));
            let migration = cluster.begin_migration(slot, cluster.other_master(cluster.owner(slot)));
            gate.open();
            assert_eq!(call.join().unwrap(), 1);
            migration.move_keys();
            migration.finish();
        });
        assert_eq!(rig.gated(&gate, 1), 1, "{face:?}: a hit");
        let stats = rig.cache.stats();
        assert_eq!((gate.entered(), stats.stored, stats.refused, stats.bypasses), (1, 1, 0, 0), "{face:?}: {stats:?}");
    }
}
