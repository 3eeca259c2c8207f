//! A cluster: three masters, each with a replica. Slots move, and nodes fail.

mod commands;
mod failovers;
mod features;
#[cfg(feature = "local")]
#[path = "../faults/kept.rs"]
mod kept;
#[path = "../faults/kill.rs"]
mod kill;
mod large_values;
#[cfg(feature = "local")]
mod local;
mod migrations;
#[path = "../faults/outage/mod.rs"]
mod outage;
#[path = "../promises/processes.rs"]
mod processes;
mod rig;
mod shards;
mod stampedes;
mod support;
mod topology;
mod undelivered;

use std::sync::OnceLock;

use test_support::ProxiedServers;

/// True if connections are encrypted.
const OVER_TLS: bool = false;

/// True if the servers are the nodes of a cluster.
const IN_CLUSTER: bool = true;

/// True if sentinels tell the address of the server.
const BY_SENTINELS: bool = false;

/// The servers of the outages.
type Place = &'static ProxiedServers;

/// Makes the servers of one outage: those of the last one, as they were in the beginning.
fn place() -> Place {
    static PLACE: OnceLock<ProxiedServers> = OnceLock::new();
    let place = PLACE.get_or_init(started);
    place.reset();
    place
}

/// Starts a cluster without replicas.
fn started() -> ProxiedServers {
    ProxiedServers::cluster()
}
