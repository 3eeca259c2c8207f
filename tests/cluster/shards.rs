//! One shard of three is away: its calls run their bodies, and the others go on as if nothing had happened.

use std::time::Duration;

use redis_cached::ErrorKind;
use test_support::{Cluster, Mode, Node, eventually};

use crate::rig::{FACES, Face, Kind, Rig, Rows, rows};

rows! { of_a_dead_one of_a_frozen_one of_a_hung_one }

const IDS: u64 = 30;
const TIMEOUT: Duration = Duration::from_millis(250);

/// A master and its replica go away, and nobody replaces them.
fn one_is_away(face: Face, rows: Rows, strike: fn(&Node), heal: fn(&Node)) {
    let cluster = Cluster::with(&["--cluster-require-full-coverage", "no"]);
    let master = cluster.masters()[1];
    let shard = [cluster.replica_of(master), master];
    let others = || cluster.nodes().iter().filter(|node| !shard.iter().any(|lost| lost.id() == node.id()));
    let rig = Rig::with(&cluster.url(), face, TIMEOUT).calling(rows);
    let away = rig.ids_at(&cluster, master, 0..IDS);
    let near: Vec<u64> = (0..IDS).filter(|id| !away.contains(id)).collect();
    (0..IDS).for_each(|id| _ = rig.row(id));
    (0..IDS).for_each(|id| _ = rig.row(id));
    assert_eq!((rig.asked().len() as u64, rig.cache.stats().hits), (IDS, IDS));

    shard.into_iter().for_each(strike);
    let mut monitors: Vec<_> = others().map(Node::monitor).collect();
    let before = rig.cache.stats();
    for round in 1..=3 {
        for id in 0..IDS {
            assert_eq!(rig.row(id).version, 0, "{face:?}: each call returns");
        }
        assert_eq!(rig.asked(), away, "{face:?}: the bodies of its own entries, and no others");
        let stats = rig.cache.stats();
        let hits = round * near.len() as u64;
        assert_eq!((stats.hits - before.hits, stats.misses - before.misses), (hits, 0), "{face:?}: {stats:?}");
    }
    // Each hit of the others is still one command.
    let mine = |command: &Vec<String>| command[0] == "GET" && command[1].starts_with(&format!("{}:", rig.namespace));
    let sent = monitors.iter_mut().flat_map(|monitor| monitor.commands()).filter(mine).count();
    assert_eq!(sent, 3 * near.len(), "{face:?}");

    // A batch gets what there is.
    assert_eq!(rig.rows(&(0..IDS).collect::<Vec<_>>()).len() as u64, IDS);
    assert_eq!(rig.asked(), away, "{face:?}: one batch");
    // Invalidations of the others arrive, and those of the shard are kept.
    rig.write();
    assert!(near.iter().all(|id| rig.invalidate(Kind::Single, *id).unwrap()), "{face:?}");
    assert!(away.iter().all(|id| rig.invalidate(Kind::Single, *id).is_err()), "{face:?}");
    assert_eq!(rig.cache.undelivered(), away.len(), "{face:?}");
    assert!((0..IDS).all(|id| rig.row(id).version == 1), "{face:?}: nothing stale");
    assert!(rig.flush(Duration::from_millis(50)).is_err(), "{face:?}");

    shard.into_iter().for_each(heal);
    cluster.settle();
    rig.flush(Duration::from_secs(20)).unwrap();
    assert_eq!(rig.cache.undelivered(), 0, "{face:?}");
    eventually("hits again", || {
        rig.asked();
        (0..IDS).for_each(|id| assert_eq!(rig.row(id).version, 1));
        rig.asked().is_empty()
    });
}

#[test]
fn one_that_is_dead() {
    for face in FACES {
        one_is_away(face, of_a_dead_one::ROWS, Node::kill, Node::restart);
    }
}

#[test]
fn one_that_is_frozen() {
    for face in FACES {
        one_is_away(face, of_a_frozen_one::ROWS, Node::freeze, Node::thaw);
    }
}

/// Calls for a shard that hangs wait for a few deadlines, and then no more: the circuit breaker lets none of them through,
/// not even for the sake of invalidations that are undelivered.
#[test]
fn one_that_hangs_is_left_alone() {
    for face in FACES {
        let cluster = Cluster::start();
        let master = cluster.masters()[1];
        let proxy = master.proxy(&cluster);
        let rig = Rig::with(&cluster.url(), face, TIMEOUT).calling(of_a_hung_one::ROWS);
        let ids = rig.ids_at(&cluster, master, 0..IDS);
        (0..IDS).for_each(|id| _ = rig.row(id));
        proxy.set(Mode::Freeze);
        assert!(rig.invalidate(Kind::Single, ids[0]).is_err(), "{face:?}");
        rig.write();
        eventually("the circuit breaker is open", || {
            ids.iter().for_each(|id| assert_eq!(rig.row(*id).version, 1));
            rig.get(Kind::Single, ids[0]).is_err_and(|error| error.kind() == ErrorKind::CircuitOpen)
        });
        let before = proxy.commands();
        for id in ids.iter().cycle().take(300) {
            assert_eq!(rig.row(*id).version, 1, "{face:?}");
        }
        // Probes, and attempts to deliver.
        let sent = proxy.commands() - before;
        assert!(sent < 30, "{face:?}: {sent} commands for 300 calls");
    }
}
