//! A node of a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use super::{Cluster, eventually};
use crate::{Monitor, Proxy, Server, query, reply};

/// Each master that has slots, with these and its replicas.
pub(super) type Owners = BTreeMap<String, (Vec<(u16, u16)>, BTreeSet<String>)>;

/// A node of a cluster.
pub struct Node {
    server: Server,
    /// The port over which other nodes and clients reach it: the one for TLS, if nodes speak that.
    port: u16,
    id: String,
    /// The one for [`Node::cli`].
    connection: Mutex<Option<redis::Connection>>,
    frozen: AtomicBool,
    dead: AtomicBool,
}

impl Node {
    pub(super) fn of(server: Server, port: Option<u16>) -> Node {
        let id = server.cli(&["CLUSTER", "MYID"]);
        let port = port.unwrap_or(server.port());
        Node {
            server,
            port,
            id,
            connection: Mutex::default(),
            frozen: AtomicBool::new(false),
            dead: AtomicBool::new(false),
        }
    }

    /// Its port on 127.0.0.1, as other nodes and clients use it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its name in the cluster.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The server, to be asked without TLS. What makes it fail is a method of the node.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Runs one command on it, as [`Server::cli`].
    #[track_caller]
    pub fn cli(&self, command: &[&str]) -> String {
        let mut held = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = query(held.get_or_insert_with(|| self.server.connection()), command);
        // The server may have closed it since the last command.
        let outcome = match outcome {
            Err(error) if error.is_io_error() => query(held.insert(self.server.connection()), command),
            outcome => outcome,
        };
        reply(outcome)
    }

    /// Listens to the commands that reach it from now on.
    pub fn monitor(&self) -> Monitor {
        self.server.monitor()
    }

    /// True if it is neither killed nor frozen.
    pub fn runs(&self) -> bool {
        !self.frozen.load(SeqCst) && !self.dead.load(SeqCst)
    }

    /// Kills it without warning.
    pub fn kill(&self) {
        self.dead.store(true, SeqCst);
        self.frozen.store(false, SeqCst);
        self.server.kill();
    }

    /// Starts it again, with its place in the cluster and without its keys.
    pub fn restart(&self) {
        self.server.restart();
        self.dead.store(false, SeqCst);
        self.frozen.store(false, SeqCst);
    }

    /// Freezes it: its connections stay open, and new ones are accepted by the system alone.
    pub fn freeze(&self) {
        self.frozen.store(true, SeqCst);
        self.server.stop();
    }

    /// Lets a frozen node continue.
    pub fn thaw(&self) {
        self.server.cont();
        self.frozen.store(false, SeqCst);
    }

    /// A proxy that clients and replicas use from now on, because the node tells its address in place of its own. The
    /// nodes' bus goes on without it. The node starts again for this, without its keys.
    pub fn proxy(&self, cluster: &Cluster) -> Proxy {
        let proxy = Proxy::to(self.port);
        self.server.restart_with(&["--cluster-announce-port", &proxy.port().to_string()]);
        let address = format!("{} 127.0.0.1:{}@", self.id, proxy.port());
        eventually("the nodes know the proxy", || cluster.running().all(|node| node.view().contains(&address)));
        cluster.settle();
        proxy
    }

    /// The id of the node that has the slot, if this one knows.
    pub fn owner_of(&self, slot: u16) -> Option<String> {
        self.lines().into_iter().find_map(|line| line.claim(slot).map(|_| line.id))
    }

    pub(super) fn view(&self) -> String {
        self.cli(&["CLUSTER", "NODES"])
    }

    fn lines(&self) -> Vec<Line> {
        self.view().lines().filter_map(Line::parse).collect()
    }

    /// What it says about itself.
    pub(super) fn line(&self) -> Option<Line> {
        self.lines().into_iter().find(|line| line.is("myself"))
    }

    /// Each master that has slots, with these and its replicas, as this node sees it.
    pub(super) fn owners(&self) -> Owners {
        let lines: Vec<_> = self.lines().into_iter().filter(|line| !line.has_failed()).collect();
        let replicas = |id: &str| lines.iter().filter(|line| line.master == id).map(|line| line.id.clone()).collect();
        let masters = lines.iter().filter(|line| line.is_master() && !line.slots.is_empty());
        let ranges = |line: &Line| line.slots.iter().map(|range| (*range.start(), *range.end())).collect();
        masters.map(|line| (line.id.clone(), (ranges(line), replicas(&line.id)))).collect()
    }

    pub(super) fn serves(&self) -> bool {
        let role = self.cli(&["ROLE"]);
        let is_linked = role.starts_with("master") || role.contains("\nconnected\n");
        is_linked && self.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
    }

    pub(super) fn own(&self, slots: RangeInclusive<u16>) {
        let (first, last) = (slots.start().to_string(), slots.end().to_string());
        // Redis 6.2 knows no ranges.
        if self.cli(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]) != "OK" {
            let slots: Vec<_> = slots.map(|slot| slot.to_string()).collect();
            let slots = slots.iter().map(String::as_str);
            self.expect("OK", &["CLUSTER", "ADDSLOTS"].into_iter().chain(slots).collect::<Vec<_>>());
        }
    }

    #[track_caller]
    pub(super) fn expect(&self, reply: &str, command: &[&str]) {
        assert_eq!(self.cli(command), reply, "{command:?}");
    }
}

/// A node's line in the reply to `CLUSTER NODES`.
pub(super) struct Line {
    id: String,
    flags: String,
    /// The id of its master, or a dash.
    pub(super) master: String,
    epoch: u64,
    pub(super) slots: Vec<RangeInclusive<u16>>,
}

impl Line {
    fn parse(line: &str) -> Option<Line> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [id, _, flags, master, _, _, epoch, _, slots @ ..] = &*words else { return None };
        let slots = slots.iter().filter_map(|range| {
            // Slots on their way are in brackets.
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse().ok()?..=last.parse().ok()?)
        });
        let [id, flags, master] = [id, flags, master].map(|word| (*word).to_owned());
        Some(Line { id, flags, master, epoch: epoch.parse().ok()?, slots: slots.collect() })
    }

    fn is(&self, flag: &str) -> bool {
        self.flags.split(',').any(|other| other == flag)
    }

    pub(super) fn is_master(&self) -> bool {
        self.is("master")
    }

    fn has_failed(&self) -> bool {
        self.is("fail") || self.is("fail?")
    }

    /// The epoch in which it got the slot, if it has it.
    pub(super) fn claim(&self, slot: u16) -> Option<u64> {
        let has = self.is_master() && self.slots.iter().any(|range| range.contains(&slot));
        has.then_some(self.epoch)
    }
}
