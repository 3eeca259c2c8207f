//! Servers that fail, refuse or hang, and processes that are killed.

mod bounds;
mod connections;
mod deadline;
mod giant_values;
#[cfg(feature = "local")]
mod kept;
mod kill;
mod late;
mod leases_left;
#[cfg(feature = "local")]
mod local;
mod log_lines;
mod outage;
#[path = "outage/replicas.rs"]
mod outages_of_replicas;
mod permissions;
#[cfg(feature = "local")]
mod scripted;
mod settings;

use test_support::ProxiedServers;

/// True if connections are encrypted.
const OVER_TLS: bool = false;

/// True if the servers are the nodes of a cluster.
const IN_CLUSTER: bool = false;

/// True if sentinels tell the address of the server.
const BY_SENTINELS: bool = false;

/// The servers of the outages.
type Place = ProxiedServers;

/// Makes the servers of one outage.
fn place() -> Place {
    started()
}

/// Starts a server.
fn started() -> ProxiedServers {
    ProxiedServers::one()
}
