//! The place of a race's entries: a server, or a cluster that is rearranged meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{Setup, choose, random_part};
use test_support::{Cluster, Node, PATIENCE, Server, TlsServer, slot_of};

/// The longest time between two steps of a slot's move.
const STEP: Duration = Duration::from_millis(10);
/// A replica takes over after so many moves.
const MOVES: u64 = 6;

/// A kind of place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Server,
    Cluster,
}

impl Kind {
    /// The setup of a race in such a place.
    pub(crate) fn adapt(self, setup: Setup) -> Setup {
        match self {
            // An operation may ask several nodes, one after the other.
            Kind::Cluster if setup.timeout < PATIENCE => Setup { timeout: setup.timeout * 8, ..setup },
            _ => setup,
        }
    }

    pub(crate) fn start(self, over_tls: bool) -> Place {
        match (self, over_tls) {
            (Kind::Server, false) => Place::Server(Server::start()),
            (Kind::Server, true) => Place::TlsServer(Box::new(TlsServer::start())),
            (Kind::Cluster, true) => Place::TlsCluster(Arc::new(Cluster::over_tls())),
            (Kind::Cluster, false) => {
                // All races of this process use it.
                let cluster = Cluster::shared();
                for master in cluster.masters() {
                    master.cli(&["FLUSHALL"]);
                }
                Place::Cluster(cluster)
            }
        }
    }
}

pub(crate) enum Place {
    Server(Server),
    TlsServer(Box<TlsServer>),
    Cluster(&'static Cluster),
    TlsCluster(Arc<Cluster>),
}

impl Place {
    /// The URL by which the cache reaches it.
    pub(crate) fn url(&self) -> String {
        match self {
            Place::Server(server) => server.url(),
            Place::TlsServer(server) => server.url(),
            Place::Cluster(cluster) => cluster.url(),
            Place::TlsCluster(cluster) => cluster.url(),
        }
    }

    /// The URL by which others reach it, without TLS.
    pub(crate) fn plain_url(&self) -> String {
        match self {
            Place::Server(server) => server.url(),
            Place::TlsServer(server) => server.server.url(),
            Place::Cluster(cluster) => cluster.plain_url(),
            Place::TlsCluster(cluster) => cluster.plain_url(),
        }
    }

    pub(crate) fn program(&self) -> String {
        let of = |cluster: &Cluster| format!("{}, cluster", cluster.nodes()[0].server().program());
        match self {
            Place::Server(server) => server.program(),
            Place::TlsServer(server) => server.program(),
            Place::Cluster(cluster) => of(cluster),
            Place::TlsCluster(cluster) => of(cluster),
        }
    }

    /// Begins to rearrange a cluster.
    pub(crate) fn disturb(&self) -> Disturbance {
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let thread = match self {
            Place::Server(_) | Place::TlsServer(_) => None,
            Place::Cluster(cluster) => {
                let cluster = *cluster;
                Some(thread::spawn(move || rearrange(cluster, &stop)))
            }
            Place::TlsCluster(cluster) => {
                let cluster = Arc::clone(cluster);
                Some(thread::spawn(move || rearrange(&cluster, &stop)))
            }
        };
        Disturbance { over, thread }
    }
}

pub(crate) struct Disturbance {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<(u64, u64)>>,
}

impl Disturbance {
    /// Ends it, and tells what it was.
    pub(crate) fn end(self) -> String {
        self.over.store(true, Relaxed);
        let Some(thread) = self.thread else { return String::new() };
        let (moves, failovers) = thread.join().expect("the cluster does what it is told");
        assert!(moves > 0 && failovers > 0, "{moves} moves of slots, {failovers} failovers");
        format!(" {moves} moves of slots | {failovers} failovers |")
    }
}

/// Moves the slots of keys that are there to other nodes, and lets replicas take over; how often.
fn rearrange(cluster: &Cluster, over: &AtomicBool) -> (u64, u64) {
    /// The next shard, over all races.
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let (mut moves, mut failovers) = (0, 0);
    let mut busy = Duration::ZERO;
    while !over.load(Relaxed) {
        // Half of the time it stays as it is, however long a busy machine takes to rearrange it.
        thread::sleep(busy);
        let begun = Instant::now();
        let from = choose(&cluster.masters());
        let key = from.cli(&["RANDOMKEY"]);
        if key == "(nil)" {
            busy = STEP;
            continue;
        }
        let (slot, masters) = (slot_of(&key), cluster.masters());
        let owner = cluster.owner(slot);
        let others: Vec<_> = masters.into_iter().filter(|node| node.id() != owner.id()).collect();
        let migration = cluster.begin_migration(slot, choose(&others));
        thread::sleep(random_part(STEP));
        migration.move_keys();
        thread::sleep(random_part(STEP));
        migration.finish();
        moves += 1;
        if moves % MOVES == 1 {
            // One shard after the other, because masters do not vote twice for the same change in a short time.
            let masters = cluster.masters();
            let is_replica = |node: &&Node| masters.iter().all(|master| master.id() != node.id());
            let next = NEXT.fetch_add(1, Relaxed) % masters.len();
            let shard = cluster.nodes().iter().skip(next).step_by(masters.len());
            cluster.failover(shard.filter(is_replica).last().expect("a replica"));
            cluster.settle();
            failovers += 1;
        }
        busy = begun.elapsed();
    }
    (moves, failovers)
}
