//! The faults of a master that sentinels watch.

use test_support::{MASTER, Server, eventually};

use super::{FAULT, Fault};
use crate::place::Place;
use crate::worker::Harm;

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "failover",
        what: "SENTINEL FAILOVER: a replica takes over, and the old master becomes a replica later",
        harm: Harm::Loses,
        moves_masters: true,
        strike: |place| {
            replicated(place);
            let old = place.sentinels().master();
            note(place, old);
            place.sentinels().fail_over();
        },
        heal: |place| {
            let old = noted(place);
            eventually("no cache uses the old master", || is_unused(old));
            demote(place, old);
        },
        ..FAULT
    },
    Fault {
        name: "killed",
        what: "the master is killed, a replica takes over, and the old master comes back empty",
        harm: Harm::Loses,
        moves_masters: true,
        strike: |place| {
            replicated(place);
            let old = place.sentinels().master();
            note(place, old);
            place.sentinels().kill_master();
        },
        heal: |place| {
            let old = noted(place);
            old.restart();
            demote(place, old);
        },
        ..FAULT
    },
    Fault {
        name: "frozen",
        what: "the master is stopped by SIGSTOP, and goes on before it is replaced",
        strike: |place| {
            let master = place.sentinels().master();
            note(place, master);
            master.stop();
        },
        heal: |place| noted(place).cont(),
        ..FAULT
    },
    Fault {
        name: "restarted",
        what: "the master is killed, and starts again empty before it is replaced",
        strike: |place| {
            let master = place.sentinels().master();
            note(place, master);
            master.kill();
        },
        heal: |place| noted(place).restart(),
        ..FAULT
    },
    Fault {
        name: "full",
        what: "the master is full, and evicts nothing",
        harm: Harm::None,
        strike: |place| _ = place.sentinels().master().cli(&["CONFIG", "SET", "maxmemory", "1"]),
        heal: |place| _ = place.sentinels().master().cli(&["CONFIG", "SET", "maxmemory", "0"]),
        ..FAULT
    },
    Fault {
        name: "clients-killed",
        what: "CLIENT KILL of all connections to the master, again and again",
        meanwhile: |place| _ = place.sentinels().master().cli(&["CLIENT", "KILL", "TYPE", "normal"]),
        ..FAULT
    },
    Fault {
        name: "flushed",
        what: "FLUSHALL at the master, again and again",
        harm: Harm::None,
        meanwhile: |place| _ = place.sentinels().master().cli(&["FLUSHALL"]),
        ..FAULT
    },
    Fault {
        name: "sentinel-killed",
        what: "one sentinel of three is killed, and starts again",
        harm: Harm::None,
        strike: |place| place.sentinels().sentinels()[0].kill(),
        heal: |place| place.sentinels().sentinels()[0].restart(),
        ..FAULT
    },
    Fault {
        name: "sentinels-frozen",
        what: "all sentinels are stopped, and the master goes on",
        harm: Harm::None,
        strike: |place| place.sentinels().sentinels().iter().for_each(test_support::Sentinel::stop),
        heal: |place| place.sentinels().sentinels().iter().for_each(test_support::Sentinel::cont),
        ..FAULT
    },
];

fn note(place: &Place, server: &Server) {
    let at = place.sentinels().servers().iter().position(|known| std::ptr::eq(known, server));
    *place.victim.lock().expect("no thread panics") = at.expect("one of the servers");
}

fn noted(place: &Place) -> &Server {
    &place.sentinels().servers()[*place.victim.lock().expect("no thread panics")]
}

/// Waits until the replicas have what the master has now, so that nothing earlier can be lost.
fn replicated(place: &Place) {
    let (sentinels, master) = (place.sentinels(), place.sentinels().master());
    let written = offset(master).expect("the master tells its offset");
    let replicas = || sentinels.servers().iter().filter(|server| !std::ptr::eq(*server, master));
    eventually("the replicas have all writes", || {
        replicas().all(|server| {
            server.cli(&["INFO", "replication"]).contains("master_link_status:up") && offset(server) >= Some(written)
        })
    });
}

fn offset(server: &Server) -> Option<u64> {
    let info = server.cli(&["INFO", "replication"]);
    info.lines().find_map(|line| line.strip_prefix("master_repl_offset:"))?.trim().parse().ok()
}

/// True if no cache sends commands to it for half a second.
fn is_unused(server: &Server) -> bool {
    let commands = || {
        let stats = server.cli(&["INFO", "commandstats"]);
        let of_caches = ["get", "mget", "set", "unlink", "evalsha", "hmget"];
        let is_of_caches = |line: &&str| of_caches.iter().any(|name| line.starts_with(&format!("cmdstat_{name}:")));
        let calls = |line: &str| line.split_once("calls=")?.1.split(',').next()?.parse::<u64>().ok();
        stats.lines().filter(is_of_caches).filter_map(calls).sum::<u64>()
    };
    let before = commands();
    std::thread::sleep(std::time::Duration::from_millis(500));
    commands() == before
}

/// Makes the old master a replica of the new one, which the sentinels would do after ten seconds, and waits until they see
/// two good replicas.
fn demote(place: &Place, old: &Server) {
    let sentinels = place.sentinels();
    let master = sentinels.master().port().to_string();
    old.cli(&["REPLICAOF", "127.0.0.1", &master]);
    eventually("the old master follows", || old.cli(&["INFO", "replication"]).contains("master_link_status:up"));
    eventually("all sentinels tell one master", || {
        let told = |sentinel: &test_support::Sentinel| sentinel.cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]);
        sentinels.sentinels().iter().all(|sentinel| told(sentinel).ends_with(&master))
    });
}
