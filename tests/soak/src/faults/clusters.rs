//! The faults of a cluster.

use std::thread;
use std::time::Duration;

use test_support::{Cluster, Node, eventually, slot_of};

use super::{FAULT, Fault};
use crate::place::Place;
use crate::worker::Harm;

/// The nodes begin to elect after `cluster-node-timeout`, which is three seconds.
const BEFORE_ELECTIONS: Duration = Duration::from_secs(2);

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "slots-moved",
        what: "slots with keys move to other nodes, one after the other",
        harm: Harm::None,
        meanwhile: move_a_slot,
        ..FAULT
    },
    Fault {
        name: "handed-over",
        what: "CLUSTER FAILOVER: a replica takes over from its master, which hands over to it",
        moves_masters: true,
        strike: |place| {
            let cluster = place.cluster();
            let master = note_next_master(place);
            cluster.failover(cluster.replica_of(master));
        },
        heal: |place| place.cluster().settle(),
        ..FAULT
    },
    Fault {
        name: "restarted",
        what: "a master is killed, and starts again empty before it is replaced",
        strike: |place| note_next_master(place).kill(),
        heal: |place| {
            noted(place).restart();
            place.cluster().settle();
        },
        ..FAULT
    },
    Fault {
        name: "replaced",
        what: "a master is killed, its replica takes over, and it comes back as a replica",
        harm: Harm::Loses,
        moves_masters: true,
        strike: |place| replace(place, Node::kill),
        heal: |place| come_back(place, Node::restart),
        ..FAULT
    },
    Fault {
        name: "frozen",
        what: "a master is stopped by SIGSTOP for two seconds, and goes on before it is replaced",
        strike: |place| {
            let master = note_next_master(place);
            master.freeze();
            thread::sleep(BEFORE_ELECTIONS);
            master.thaw();
        },
        heal: |place| place.cluster().settle(),
        ..FAULT
    },
    Fault {
        name: "all-frozen",
        what: "all nodes are stopped by SIGSTOP, and go on",
        strike: |place| place.cluster().nodes().iter().for_each(Node::freeze),
        heal: |place| {
            place.cluster().nodes().iter().for_each(Node::thaw);
            place.cluster().settle();
        },
        ..FAULT
    },
    Fault {
        name: "frozen-replaced",
        what: "a master is stopped, its replica takes over, and it goes on as if it were the master",
        harm: Harm::Loses,
        moves_masters: true,
        strike: |place| replace(place, Node::freeze),
        heal: |place| come_back(place, Node::thaw),
        ..FAULT
    },
    Fault {
        name: "clients-killed",
        what: "CLIENT KILL of all connections to all nodes, again and again",
        meanwhile: |place| place.cluster().each(&["CLIENT", "KILL", "TYPE", "normal"]),
        ..FAULT
    },
    Fault {
        name: "flushed",
        what: "FLUSHALL at all masters, again and again",
        harm: Harm::None,
        meanwhile: |place| at_masters(place, &["FLUSHALL"]),
        ..FAULT
    },
    Fault {
        name: "scripts-flushed",
        what: "SCRIPT FLUSH at all nodes, again and again",
        harm: Harm::None,
        meanwhile: |place| at_masters(place, &["SCRIPT", "FLUSH"]),
        ..FAULT
    },
    Fault {
        name: "no-scripts",
        what: "the user loses the permission for EVAL and EVALSHA at one master",
        harm: Harm::None,
        strike: |place| _ = note_next_master(place).cli(&["ACL", "SETUSER", "default", "-eval", "-evalsha"]),
        heal: |place| _ = noted(place).cli(&["ACL", "SETUSER", "default", "+@all"]),
        ..FAULT
    },
    Fault {
        name: "full",
        what: "one master is full, and evicts nothing",
        harm: Harm::None,
        strike: |place| _ = note_next_master(place).cli(&["CONFIG", "SET", "maxmemory", "1"]),
        heal: |place| _ = noted(place).cli(&["CONFIG", "SET", "maxmemory", "0"]),
        ..FAULT
    },
];

/// Another master each time, because masters do not vote twice for the same change in a short time.
fn note_next_master(place: &Place) -> &Node {
    let cluster = place.cluster();
    let shards = cluster.nodes().len() / 2;
    let mut victim = place.victim.lock().expect("no thread panics");
    let shard = (*victim + 1) % shards;
    let masters = cluster.masters();
    let of_shard = |node: &&Node| position(cluster, node) % shards == shard;
    let master = masters.into_iter().find(of_shard).expect("each shard has a master");
    *victim = position(cluster, master);
    master
}

fn noted(place: &Place) -> &Node {
    &place.cluster().nodes()[*place.victim.lock().expect("no thread panics")]
}

fn position(cluster: &Cluster, node: &Node) -> usize {
    cluster.nodes().iter().position(|known| std::ptr::eq(known, node)).expect("a node of the cluster")
}

fn at_masters(place: &Place, command: &[&str]) {
    for master in place.cluster().masters() {
        master.cli(command);
    }
}

fn move_a_slot(place: &Place) {
    let cluster = place.cluster();
    let masters = cluster.masters();
    // Masters in turn.
    let mut victim = place.victim.lock().expect("no thread panics");
    *victim += 1;
    let from = masters[*victim % masters.len()];
    let key = from.cli(&["RANDOMKEY"]);
    if key == "(nil)" {
        return;
    }
    let slot = slot_of(&key);
    if cluster.owner(slot).id() != from.id() {
        return;
    }
    let to = masters[(*victim + 1 + *victim / 3 % 2) % masters.len()];
    if to.id() == from.id() {
        return;
    }
    let migration = cluster.begin_migration(slot, to);
    migration.move_keys();
    migration.finish();
}

/// Lets the replica of a master take over from it, when it has all that the master has.
fn replace(place: &Place, strike: fn(&Node)) {
    let cluster = place.cluster();
    let master = note_next_master(place);
    let replica = cluster.replica_of(master);
    let written = offset(master).expect("the master tells its offset");
    eventually("the replica has all writes", || offset(replica) >= Some(written));
    may_take_over(replica, true);
    strike(master);
    cluster.await_promotion(replica);
    may_take_over(replica, false);
}

fn come_back(place: &Place, heal: fn(&Node)) {
    let node = noted(place);
    heal(node);
    eventually("the old master knows", || node.cli(&["ROLE"]).starts_with("slave"));
    place.cluster().settle();
}

fn may_take_over(replica: &Node, may: bool) {
    let never = if may { "no" } else { "yes" };
    assert_eq!(replica.cli(&["CONFIG", "SET", "cluster-replica-no-failover", never]), "OK");
}

fn offset(node: &Node) -> Option<u64> {
    let info = node.cli(&["INFO", "replication"]);
    info.lines().find_map(|line| line.strip_prefix("master_repl_offset:"))?.trim().parse().ok()
}
