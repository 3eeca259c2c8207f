//! Clusters of three masters, each with a replica.

mod client;
mod migration;
mod node;

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::ports::{free_port, free_ports};
use super::{Certificates, Monitor, Proxy, Server, eventually};

pub use self::{client::ClusterClient, migration::MigratingSlot, node::Node};

const MASTERS: usize = 3;
const SLOTS: u16 = 16_384;
const ARGUMENTS: [&str; 4] = ["--cluster-enabled", "yes", "--repl-diskless-sync-delay", "0"];

/// A replica takes over only if it is told to: a busy machine may well keep a node waiting.
const STEADY: [&str; 4] = ["--cluster-node-timeout", "3000", "--cluster-replica-no-failover", "yes"];

/// A failure is noticed after a second, and a replica never refuses to take over.
const ALERT: [&str; 4] = ["--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0"];

/// A failover that has not happened after this time has been given up.
const GIVEN_UP: Duration = Duration::from_secs(6);

/// Three masters with a third of the slots each, and a replica of each. Its servers end when it is dropped, and at the
/// latest with the test's process.
pub struct Cluster {
    nodes: Vec<Node>,
    certificates: Option<Certificates>,
}

impl Cluster {
    /// Starts a cluster, and waits until each node serves. Its replicas take over only by [`Cluster::failover`].
    pub fn start() -> Cluster {
        Cluster::with(&[])
    }

    /// Starts a cluster whose replicas take over from masters that are away for a second.
    pub fn alert() -> Cluster {
        Cluster::of(&ALERT)
    }

    /// A cluster that the tests of this process share, for tests that leave it as it was.
    pub fn shared() -> &'static Cluster {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Cluster::start)
    }

    /// Starts a cluster with further arguments for the command line of each node.
    pub fn with(arguments: &[&str]) -> Cluster {
        Cluster::of(&[&STEADY, arguments].concat())
    }

    fn of(arguments: &[&str]) -> Cluster {
        let arguments = [&ARGUMENTS, arguments].concat();
        let nodes = (0..2 * MASTERS).map(|_| {
            let server = started(|| Server::on(free_ports(), &arguments));
            Node::of(server, None)
        });
        Cluster::formed(nodes.collect(), None)
    }

    /// Starts three masters without replicas, each of which tells the address of a proxy in place of its own. None of them
    /// takes another for lost before a test has ended.
    pub(crate) fn behind_proxies() -> (Cluster, Vec<Proxy>) {
        let started = (0..MASTERS).map(|_| {
            started(|| {
                let port = free_ports();
                let proxy = Proxy::to(port);
                let of_proxy = proxy.port().to_string();
                let arguments = ["--cluster-node-timeout", "15000", "--cluster-announce-port", &of_proxy];
                Some((Node::of(Server::on(port, &[&ARGUMENTS[..], &arguments].concat())?, None), proxy))
            })
        });
        let (nodes, proxies) = started.unzip();
        (Cluster::formed(nodes, None), proxies)
    }

    /// Starts a cluster whose nodes speak TLS to each other and to clients, and require certificates.
    pub fn over_tls() -> Cluster {
        let certificates = Certificates::new();
        let [pem, key, ca] =
            ["server.pem", "server.key", "ca.pem"].map(|file| certificates.path(file).display().to_string());
        let nodes = (0..2 * MASTERS).map(|_| {
            let (server, port) = started(|| {
                let port = free_ports();
                let tls = ["--tls-cluster", "yes", "--tls-replication", "yes", "--tls-port", &port.to_string()]
                    .map(str::to_owned);
                let files = ["--tls-cert-file", &pem, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
                let arguments: Vec<&str> =
                    ARGUMENTS.into_iter().chain(STEADY).chain(tls.iter().map(String::as_str)).chain(files).collect();
                Some((Server::on(free_port(), &arguments)?, port))
            });
            Node::of(server, Some(port))
        });
        Cluster::formed(nodes.collect(), Some(certificates))
    }

    fn formed(nodes: Vec<Node>, certificates: Option<Certificates>) -> Cluster {
        let cluster = Cluster { nodes, certificates };
        let (masters, replicas) = cluster.nodes.split_at(MASTERS);
        for (number, node) in cluster.nodes.iter().enumerate() {
            node.expect("OK", &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        for (number, node) in masters.iter().enumerate() {
            let end = |number: usize| (usize::from(SLOTS) * number / MASTERS) as u16;
            node.own(end(number)..=end(number + 1) - 1);
        }
        // Each meets each, because gossip alone takes longer.
        for (at, node) in cluster.nodes.iter().enumerate() {
            for other in &cluster.nodes[at + 1..] {
                node.expect("OK", &["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string()]);
            }
        }
        let known = format!("cluster_known_nodes:{}", cluster.nodes.len());
        let met = |node: &Node| node.cli(&["CLUSTER", "INFO"]).contains(&known) && !node.view().contains("handshake");
        eventually("the nodes meet", || cluster.nodes.iter().all(met));
        for (replica, master) in replicas.iter().zip(masters) {
            replica.expect("OK", &["CLUSTER", "REPLICATE", master.id()]);
        }
        cluster.settle();
        cluster
    }

    /// Its address, as [`redis_cached::Cache::builder`] takes it: all nodes.
    pub fn url(&self) -> String {
        self.url_by(&self.nodes.iter().map(|node| node.port()).collect::<Vec<_>>())
    }

    /// The same without TLS, also if nodes speak it.
    pub fn plain_url(&self) -> String {
        let hosts = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.server().port()));
        format!("redis-cluster://{}", hosts.collect::<Vec<_>>().join(","))
    }

    /// Its address, as this user.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        self.url().replacen("://", &format!("://{user}:{password}@"), 1)
    }

    /// Its address, of which the program knows only what listens on these ports.
    pub fn url_by(&self, ports: &[u16]) -> String {
        let hosts = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
        match &self.certificates {
            None => format!("redis-cluster://{hosts}"),
            Some(files) => {
                let [ca, pem, key] =
                    ["ca.pem", "client.pem", "client.key"].map(|file| files.path(file).display().to_string());
                format!("rediss-cluster://{hosts}?ca={ca}&cert={pem}&key={key}")
            }
        }
    }

    /// All nodes, also those that are killed or frozen.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes that have slots, in the order of the nodes.
    pub fn masters(&self) -> Vec<&Node> {
        let serves = |node: &&Node| node.line().is_some_and(|line| line.is_master() && !line.slots.is_empty());
        self.running().filter(serves).collect()
    }

    /// The node that has the slot of this key.
    pub fn master_of(&self, key: &str) -> &Node {
        self.owner(slot_of(key))
    }

    /// The node that has this slot.
    pub fn owner(&self, slot: u16) -> &Node {
        let claim = |node: &&Node| node.line()?.claim(slot);
        let mut claims: Vec<_> = self.running().filter_map(|node| Some((claim(&node)?, node))).collect();
        // After a failover both may claim it for a moment, the newer one with a higher epoch.
        claims.sort_by_key(|(epoch, _)| *epoch);
        claims.last().unwrap_or_else(|| panic!("no node that runs has the slot {slot}")).1
    }

    /// A master other than this one.
    pub fn other_master(&self, than: &Node) -> &Node {
        self.masters().into_iter().find(|node| node.id() != than.id()).expect("there are several")
    }

    /// A replica of this master that runs.
    pub fn replica_of(&self, master: &Node) -> &Node {
        let mut replicas = self.running().filter(|node| node.line().is_some_and(|line| line.master == master.id()));
        replicas.next().expect("a replica that runs")
    }

    /// Runs a command on each node that runs.
    #[track_caller]
    pub fn each(&self, command: &[&str]) {
        for node in self.running() {
            let reply = node.cli(command);
            assert!(!reply.starts_with("(error)"), "{command:?}: {reply}");
        }
    }

    /// Listens to the commands that reach each node from now on.
    pub fn monitors(&self) -> Vec<Monitor> {
        self.running().map(Node::monitor).collect()
    }

    /// Waits until each node that runs serves, all of them tell the same owners, and each replica has caught up.
    #[track_caller]
    pub fn settle(&self) {
        eventually("the nodes agree", || {
            let mut views = self.running().map(|node| node.owners()).collect::<BTreeSet<_>>();
            let is_one = views.len() == 1;
            let runs = |id: &str| self.running().any(|node| node.id() == id);
            let view = views.pop_first().unwrap_or_default();
            is_one
                && view.keys().all(|master| runs(master))
                && view.values().map(|(_, replicas)| replicas.len()).sum::<usize>() >= self.running().count() - MASTERS
                && self.running().all(Node::serves)
        });
    }

    /// Moves a slot with its keys to another node, and waits until all know.
    pub fn migrate_slot(&self, slot: u16, to: &Node) {
        let migration = self.begin_migration(slot, to);
        migration.move_keys();
        migration.finish();
    }

    /// Marks a slot at the node that has it and at the one that gets it; no key moves yet.
    pub fn begin_migration<'a>(&'a self, slot: u16, to: &'a Node) -> MigratingSlot<'a> {
        let (from, number) = (self.owner(slot), slot.to_string());
        assert_ne!(from.id(), to.id(), "the slot {slot} is there already");
        to.expect("OK", &["CLUSTER", "SETSLOT", &number, "IMPORTING", from.id()]);
        from.expect("OK", &["CLUSTER", "SETSLOT", &number, "MIGRATING", to.id()]);
        MigratingSlot::of(self, slot, from, to)
    }

    /// Lets a replica take over from its master, which hands over to it, and returns how long that took.
    pub fn failover(&self, replica: &Node) -> Duration {
        let begun = Instant::now();
        let mut asked = None::<Instant>;
        eventually("the replica takes over", || {
            // Masters do not vote twice for the same change in a short time.
            if asked.is_none_or(|asked| asked.elapsed() > GIVEN_UP) {
                replica.expect("OK", &["CLUSTER", "FAILOVER"]);
                asked = Some(Instant::now());
            }
            replica.line().is_some_and(|line| line.is_master())
        });
        begun.elapsed()
    }

    /// Waits until this node is a master.
    #[track_caller]
    pub fn await_promotion(&self, replica: &Node) {
        eventually("the replica is promoted", || replica.line().is_some_and(|line| line.is_master()));
    }

    /// Waits until the replica of a master has all writes.
    #[track_caller]
    pub fn await_replication(&self, master: &Node) {
        let replica = self.replica_of(master);
        let offset = |node: &Node| {
            let info = node.cli(&["INFO", "replication"]);
            info.lines().find_map(|line| line.strip_prefix("master_repl_offset:")).map(str::to_owned)
        };
        eventually("the replica has all writes", || offset(replica) == offset(master));
    }

    fn running(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.runs())
    }
}

/// The slot of a key: of its first part in braces, if that is not empty.
pub fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    // CRC-16/XMODEM.
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 })
    });
    crc % SLOTS
}

fn started<T>(start: impl FnMut() -> Option<T>) -> T {
    std::iter::repeat_with(start).take(10).flatten().next().expect("a server of the cluster starts")
}
