//! Nodes that know less than others, or lie.

use std::time::Duration;

use test_support::{Cluster, Mode, PATIENCE, Proxy, eventually, free_port};

use crate::rig::{FACES, Kind, NONE, Rig};

const IDS: u64 = 24;
const TIMEOUT: Duration = Duration::from_millis(250);

/// Calls for entries at all nodes: each is computed once, then they are hits, and an invalidation is in force.
fn works(rig: &Rig) {
    for round in 0..3 {
        for id in 0..IDS {
            assert_eq!(rig.row(id).version, 0, "{:?}", rig.face);
        }
        assert_eq!(rig.asked().len() as u64, if round == 0 { IDS } else { 0 }, "{:?}", rig.face);
    }
    rig.write();
    for id in 0..IDS {
        assert!(rig.invalidate(Kind::Single, id).unwrap(), "{:?}", rig.face);
        assert_eq!(rig.row(id).version, 1, "{:?}", rig.face);
    }
    let stats = rig.cache.stats();
    assert_eq!((stats.bypasses, stats.refused, rig.cache.undelivered()), (0, 0, 0), "{:?}: {stats:?}", rig.face);
}

#[test]
fn any_node_tells_of_all_others() {
    let cluster = Cluster::shared();
    let ports: Vec<u16> = cluster.nodes().iter().map(|node| node.port()).collect();
    for face in FACES {
        for port in &ports {
            works(&Rig::with(&cluster.url_by(&[*port]), face, PATIENCE));
        }
        // Others of the addresses may be out of date.
        works(&Rig::with(&cluster.url_by(&[free_port(), free_port(), ports[4]]), face, PATIENCE));
    }
}

#[test]
fn a_node_that_lies_is_outvoted_or_found_out() {
    let cluster = Cluster::start();
    let [first, second, third] = &*cluster.masters() else { panic!("there are three") };
    let liar = Proxy::to(first.port());
    liar.set(Mode::SwapPorts(second.port(), third.port()));
    for face in FACES {
        // Asked alone, it is believed until the nodes redirect.
        for ports in [vec![liar.port()], vec![liar.port(), second.port(), third.port()]] {
            works(&Rig::with(&cluster.url_by(&ports), face, PATIENCE));
        }
    }
    // All know it as the first node.
    drop(liar);
    let liar = first.proxy(&cluster);
    liar.set(Mode::SwapPorts(second.port(), third.port()));
    for face in FACES {
        works(&Rig::new(&cluster, face));
    }
}

#[test]
fn a_node_that_was_reset_is_left_out() {
    let cluster = Cluster::start();
    let master = cluster.masters()[0];
    let replica = cluster.replica_of(master);
    let rigs = FACES.map(|face| Rig::new(&cluster, face));
    for rig in &rigs {
        (0..IDS).for_each(|id| _ = rig.row(id));
        rig.asked();
    }
    assert_eq!(replica.cli(&["CLUSTER", "RESET"]), "OK");
    for rig in &rigs {
        assert!((0..IDS).all(|id| rig.row(id).version == 0));
        assert_eq!(rig.asked(), NONE, "{:?}: hits", rig.face);
        // It is asked first, and knows nothing.
        let others = cluster.nodes().iter().map(|node| node.port()).filter(|port| *port != replica.port());
        let ports: Vec<u16> = std::iter::once(replica.port()).chain(others).collect();
        works(&Rig::with(&cluster.url_by(&ports), rig.face, PATIENCE));
    }
}

/// Its slots are nowhere until its replica is told to take them: the others do not count it as failed.
#[test]
fn a_master_that_was_reset_is_followed_by_its_replica() {
    let cluster = Cluster::with(&["--cluster-require-full-coverage", "no"]);
    let lost = cluster.masters()[0];
    let replica = cluster.replica_of(lost);
    let rigs = FACES.map(|face| Rig::with(&cluster.url(), face, TIMEOUT));
    let of_the_lost = rigs.each_ref().map(|rig| rig.ids_at(&cluster, lost, 0..IDS));
    for rig in &rigs {
        (0..IDS).for_each(|id| _ = rig.row(id));
        rig.asked();
    }
    assert_eq!(lost.cli(&["FLUSHALL"]), "OK");
    assert_eq!(lost.cli(&["CLUSTER", "RESET", "HARD"]), "OK");
    for (rig, of_the_lost) in rigs.iter().zip(&of_the_lost) {
        assert!((0..IDS).all(|id| rig.row(id).version == 0));
        assert_eq!(&rig.asked(), of_the_lost, "{:?}: bodies run for its slots alone", rig.face);
    }
    assert_eq!(replica.cli(&["CLUSTER", "FAILOVER", "TAKEOVER"]), "OK");
    cluster.await_promotion(replica);
    for (rig, of_the_lost) in rigs.iter().zip(&of_the_lost) {
        eventually("they are stored again", || {
            (0..IDS).for_each(|id| _ = rig.row(id));
            rig.asked().is_empty()
        });
        rig.write();
        for id in of_the_lost {
            assert!(rig.invalidate(Kind::Single, *id).unwrap());
            assert_eq!(rig.row(*id).version, 1);
        }
    }
}
