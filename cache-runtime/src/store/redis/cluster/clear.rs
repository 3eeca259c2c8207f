//! Empties all slots of a namespace or a function, at each node.
//!
//! A key that moves to another node meanwhile may be missed at both: the other node may have been scanned before. Therefore
//! all nodes are scanned again if slots have moved, and once more if some are moving: a key that the first scan missed had
//! moved by then, and does not move back.

use std::time::{Duration, Instant};

use ::redis::Value;

use super::{ClusterStore, NodeTransport};
use crate::error::{Error, ErrorKind};
use crate::key::Extent;
use crate::poll::join::{Job, join_all};
use crate::store::redis::client::RedisStore;
use crate::store::redis::ops::clear::START;
use crate::store::redis::ops::node::Attempt;

/// The most rounds. Slots that go on moving for longer may keep an entry.
const ROUNDS: usize = 5;

/// The number of keys that are removed together.
const STEP: usize = 1000;

impl<T: NodeTransport> ClusterStore<T> {
    /// The nodes that have slots.
    pub(crate) async fn nodes(&self, by: Instant) -> Result<Vec<&RedisStore<T>>, Error> {
        self.first_topology(by).await?;
        Ok(self.state().slots.nodes().into_iter().filter_map(|node| self.store(node)).collect())
    }

    pub(super) async fn clear_extent(&self, extent: &Extent, each: Duration) -> Result<u64, Error> {
        let mut count = 0;
        for round in 0..ROUNDS {
            let nodes = self.nodes(Instant::now() + each).await?;
            let changes = self.state().slots.changes();
            let mut are_moving = self.are_slots_moving(&nodes, each).await;
            for node in &nodes {
                count += self.clear_node(node, extent, each).await?;
            }
            are_moving |= self.are_slots_moving(&nodes, each).await;
            // Without an answer, what is known has to do.
            let _ = self.refreshed(Instant::now() + each).await;
            if self.state().slots.changes() == changes && (!are_moving || round > 0) {
                return Ok(count);
            }
        }
        Err(Error::new(ErrorKind::Cluster, "slots moved to other nodes all the time, so that some keys may be left"))
    }

    /// Returns true if a node says that slots are on their way to it, or from it. A node that does not say it is left out.
    async fn are_slots_moving(&self, nodes: &[&RedisStore<T>], each: Duration) -> bool {
        let ask = |node: &RedisStore<T>| {
            let node = node.clone();
            let asked = async move {
                let build = || {
                    let mut command = ::redis::cmd("CLUSTER");
                    command.arg("NODES");
                    command
                };
                let epoch = node.server().health.epoch();
                node.command(epoch, build, |reply| Ok(is_moving(&reply)), Instant::now() + each).await.unwrap_or(false)
            };
            Box::pin(asked) as Job<'_, bool>
        };
        join_all(nodes.iter().map(|node| ask(node)).collect()).await.contains(&true)
    }

    async fn clear_node(&self, node: &RedisStore<T>, extent: &Extent, each: Duration) -> Result<u64, Error> {
        let pattern = extent.pattern();
        let (mut cursor, mut count) = (START.to_owned(), 0);
        loop {
            // This is always tried, like an invalidation.
            let epoch = node.server().health.epoch();
            let scanned = node.scan(epoch, &cursor, &pattern, each).await;
            let (next, mut names) = scanned.map_err(|fault| node.reported_error(fault))?;
            // No key of this library has a space in it, which would separate a field from its hash.
            names.retain(|name| !name.contains(' '));
            if matches!(extent, Extent::Fields { .. }) {
                names = self.fields_of(&names, each).await?;
            }
            names.retain(|name| extent.covers(name));
            for names in names.chunks(STEP) {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                for removed in self.remove(&names, Attempt::Always, Instant::now() + each).await {
                    count += removed?;
                }
            }
            if next == START {
                return Ok(count);
            }
            cursor = next;
        }
    }

    /// The names of all entries in groups, each of which may have moved.
    async fn fields_of(&self, hashes: &[String], each: Duration) -> Result<Vec<String>, Error> {
        let by = Instant::now() + each;
        let fields = self.at_slots(hashes, String::as_str, by, |node, positions, _| {
            let part: Vec<String> = positions.into_iter().map(|at| hashes[at].clone()).collect();
            async move {
                let epoch = node.server().health.epoch();
                let fields = node.fields(epoch, &part, each).await.map_err(|fault| node.reported_error(fault));
                // The names of a part come together.
                let mut fields = fields.map(Some);
                let each = part.iter().map(|_| match &mut fields {
                    Ok(names) => Ok(names.take().unwrap_or_default()),
                    Err(error) => Err(error.clone()),
                });
                each.collect()
            }
        });
        let names: Vec<Vec<String>> = fields.await.into_iter().collect::<Result<_, _>>()?;
        Ok(names.into_iter().flatten().collect())
    }
}

/// Returns true if the line of the node that was asked has slots in brackets: those are moving.
fn is_moving(reply: &Value) -> bool {
    let text = match reply {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes),
        Value::VerbatimString { text, .. } => text.as_str().into(),
        _ => return false,
    };
    text.lines().any(|line| line.contains("myself") && line.contains('['))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_slots_are_in_brackets() {
        let says = |line: &str| is_moving(&Value::BulkString(line.into()));
        let at = "127.0.0.1:7000@17000";
        assert!(!says(&format!(
            "a {at} myself,master - 0 0 1 connected 0-5460\nb {at} master - 0 0 2 connected [7-<-a]"
        )));
        assert!(says(&format!("a {at} myself,master - 0 0 1 connected 0-5460 [7->-b]\n")));
        assert!(!is_moving(&Value::Nil));
    }
}
