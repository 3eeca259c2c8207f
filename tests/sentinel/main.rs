//! A master with two replicas that sentinels watch: caches follow it through failovers, in both kinds of functions.
//!
//! `cargo test --test sentinel -- --nocapture` prints what each race counted.

#[cfg(feature = "local")]
#[path = "../faults/kept.rs"]
mod kept;
#[path = "../faults/kill.rs"]
mod kill;
#[cfg(feature = "local")]
mod local;
#[path = "../faults/outage/mod.rs"]
mod outage;
#[path = "../faults/outage/replicas.rs"]
mod outages_of_replicas;
#[path = "../promises/processes.rs"]
mod processes;
mod race;
mod sentinels;
mod servers;
#[cfg(feature = "tls-rustls")]
mod tls;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use test_support::log::{Line, lines_about};
use test_support::{PATIENCE, ProxiedServers};

/// A failover takes longer than a call waits.
const TIMEOUT: Duration = Duration::from_millis(250);

/// The line that a cache logs when it follows a switch.
const SWITCHED: &str = "another server is the Redis master now";

fn cache(url: &str) -> Cache {
    test_support::log::listen();
    Cache::builder(url).unwrap().timeout(TIMEOUT).build()
}

/// A cache whose calls wait for every answer, however busy the machine is.
fn patient(url: &str) -> Cache {
    test_support::log::listen();
    Cache::builder(url).unwrap().timeout(PATIENCE).build()
}

/// The lines about a cache that begin like this. `about` is a part of the text of its server.
fn lines(begin: &str, about: &str) -> Vec<Line> {
    lines_about(about).into_iter().filter(|line| line.text.starts_with(begin)).collect()
}

/// The hosts of a URL, which name a cache in the log.
fn hosts(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap();
    let (hosts, _) = rest.split_once('/').unwrap();
    hosts.rsplit_once('@').map_or(hosts, |(_, hosts)| hosts)
}

#[redis_cached(prefix = "sentinel", name = "row", cache = cache, skip(cache, runs))]
async fn row(cache: &Cache, runs: &AtomicU64, id: u64) -> u64 {
    id * 1_000 + runs.fetch_add(1, SeqCst)
}

#[redis_cached(prefix = "sentinel", name = "plain", cache = cache, skip(cache, runs))]
fn plain(cache: &Cache, runs: &AtomicU64, id: u64) -> u64 {
    id * 1_000 + runs.fetch_add(1, SeqCst)
}

/// Waits until both kinds of functions are cached: a new entry is found again.
async fn caches_again(cache: &Cache, runs: &AtomicU64) {
    let next = || 1_000_000 + runs.fetch_add(1, SeqCst);
    test_support::in_time("results are cached", async || {
        let id = next();
        row(cache, runs, id).await == row(cache, runs, id).await
    })
    .await;
    test_support::in_time("results of plain functions are cached", async || {
        let id = next();
        plain(cache, runs, id) == plain(cache, runs, id)
    })
    .await;
}

/// True if connections are encrypted.
const OVER_TLS: bool = false;

/// True if the servers are the nodes of a cluster.
const IN_CLUSTER: bool = false;

/// True if sentinels tell the address of the server.
const BY_SENTINELS: bool = true;

/// The servers of the outages.
type Place = &'static ProxiedServers;

/// Makes the servers of one outage: those of the last one, as they were in the beginning.
fn place() -> Place {
    static PLACE: OnceLock<ProxiedServers> = OnceLock::new();
    let place = PLACE.get_or_init(started);
    place.reset();
    place
}

/// Starts a master that sentinels know.
fn started() -> ProxiedServers {
    ProxiedServers::sentinels()
}
