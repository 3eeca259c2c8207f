//! A slot's move from one node to another.

use super::{Cluster, Node, eventually};

/// A slot on its way to another node: its keys are at the one that has it and at the one that gets it.
#[must_use = "a slot that is never finished stays between two nodes"]
pub struct MigratingSlot<'a> {
    cluster: &'a Cluster,
    slot: u16,
    from: &'a Node,
    to: &'a Node,
}

impl<'a> MigratingSlot<'a> {
    pub(super) fn of(cluster: &'a Cluster, slot: u16, from: &'a Node, to: &'a Node) -> MigratingSlot<'a> {
        MigratingSlot { cluster, slot, from, to }
    }

    /// The node that has the slot.
    pub fn from(&self) -> &'a Node {
        self.from
    }

    /// The node that gets it.
    pub fn to(&self) -> &'a Node {
        self.to
    }

    /// Moves one key.
    pub fn move_key(&self, key: &str) {
        self.migrate(&[key.to_owned()]);
    }

    /// Moves all keys that the slot has at the old node, also those that are made meanwhile.
    pub fn move_keys(&self) {
        loop {
            let keys = self.from.cli(&["CLUSTER", "GETKEYSINSLOT", &self.slot.to_string(), "100"]);
            let keys: Vec<String> = keys.lines().map(str::to_owned).collect();
            if keys.is_empty() {
                break;
            }
            self.migrate(&keys);
        }
    }

    /// Gives the slot to the new node, and waits until all nodes that run know.
    pub fn finish(self) {
        let slot = self.slot.to_string();
        // The new node is told first, so that the slot always has an owner.
        let others = self.cluster.running().filter(|node| node.line().is_some_and(|line| line.is_master()));
        let others = others.filter(|node| node.id() != self.to.id() && node.id() != self.from.id());
        for node in [self.to, self.from].into_iter().chain(others) {
            node.expect("OK", &["CLUSTER", "SETSLOT", &slot, "NODE", self.to.id()]);
        }
        eventually("all nodes know the slot's owner", || {
            let owner = |node: &Node| node.owner_of(self.slot);
            self.cluster.running().all(|node| owner(node).as_deref() == Some(self.to.id()))
        });
    }

    fn migrate(&self, keys: &[String]) {
        let port = self.to.port().to_string();
        let mut command = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        command.extend(keys.iter().map(String::as_str));
        let reply = self.from.cli(&command);
        // A key that is gone meanwhile needs no move.
        assert!(matches!(&*reply, "OK" | "NOKEY"), "{reply}");
    }
}
