//! A Redis Cluster as a store: a router over a [`RedisStore`] of each node.
//!
//! | module | concern |
//! |---|---|
//! | `slots`, `table` | the hash slot of a key, and the node that has it, without locks |
//! | `topology` | what nodes tell about all nodes: parsed, and put to the vote |
//! | `state` | what both faces share: the nodes, their slots, and the [backlog](super::client::backlog::Backlog) |
//! | `refresh` | the topology is asked for again |
//! | `router` | an operation on one slot, and one on many: to their nodes, and after redirections |
//! | `tags` | entries with tags, whose stamps may be at other nodes |
//! | `undelivered` | invalidations, and leases that no call waits for |
//! | `store` | the operations of a [`Store`](crate::store::Store) |
//!
//! A node is a server like any other, with a breaker, a clock and connections of its own: if one is away, the others
//! go on. Its operations do the part of their work that concerns its own keys, and the router does the rest.
//!
//! A redirected command was not executed, so even a request that is sent once, such as that for a lease, is sent again.
//! `MOVED` also changes the owner of the slot at once. `ASK` concerns only this request, because some keys of the slot
//! have moved and others have not.

mod clear;
mod refresh;
mod router;
mod slots;
mod state;
mod store;
mod table;
mod tags;
#[cfg(all(test, feature = "blocking"))]
mod tests;
mod topology;
mod undelivered;

use std::sync::Arc;
#[cfg(feature = "local")]
use std::sync::Weak;
#[cfg(feature = "local")]
use std::time::Duration;

use self::state::ClusterState;
use self::table::Table;
use super::client::RedisStore;
use super::keeper::Lone;
use super::server::Server;
use super::settings::Settings;
use super::transport::Transport;
#[cfg(feature = "blocking")]
use super::transport::blocking::Blocking;
use super::transport::tokio::Tokio;
use crate::observe::ExchangeStats;
use crate::observe::snapshot::ServerState;
use crate::store::boxed::AnyStore;
#[cfg(feature = "local")]
use crate::store::tracking::{Inquiry, Watcher};
use crate::store::url::ClusterTarget;

/// A cluster, for both faces.
pub(crate) struct Cluster {
    state: Arc<ClusterState>,
    tokio: (ClusterStore<Tokio>, AnyStore),
    #[cfg(feature = "blocking")]
    blocking: (ClusterStore<Blocking>, AnyStore),
}

impl Cluster {
    /// Creates the store. This neither connects nor blocks.
    pub(crate) fn new(target: ClusterTarget, settings: &Settings) -> Cluster {
        let state = ClusterState::new(target, settings);
        Cluster {
            tokio: ClusterStore::with_any(&state),
            #[cfg(feature = "blocking")]
            blocking: ClusterStore::with_any(&state),
            state,
        }
    }

    /// Returns true if some keys are still to be invalidated.
    #[cfg(feature = "local")]
    pub(crate) fn has_undelivered(&self) -> bool {
        self.state.backlog.pending.any()
    }

    /// Asks the node that has the key, over a connection that tells `watcher` of changes, within the bound.
    #[cfg(feature = "local")]
    pub(crate) fn inquire(&self, inquiry: Inquiry, watcher: impl FnOnce() -> Weak<dyn Watcher>, bound: Duration) {
        if let Some(client) = self.state.client_of(&inquiry.question.name) {
            client.inquire(inquiry, watcher, bound);
        }
    }

    /// The state of each node that has slots, or of those that the URL names until that is known.
    pub(crate) fn server_states(&self) -> Vec<ServerState> {
        let known = self.state.slots.nodes();
        let numbers = if known.is_empty() { self.state.seeds.clone() } else { known };
        numbers.into_iter().filter_map(|number| Some(self.state.node(number)?.client.stats())).collect()
    }

    /// The durations of the exchanges with all nodes that were ever known.
    pub(crate) fn exchanges(&self) -> Vec<ExchangeStats> {
        self.state.nodes().flat_map(|node| node.client.server.exchanges()).collect()
    }

    /// The number of keys that are still to be invalidated.
    pub(crate) fn undelivered(&self) -> usize {
        self.state.backlog.pending.len()
    }

    pub(crate) fn tokio(&self) -> &ClusterStore<Tokio> {
        &self.tokio.0
    }

    /// The same, for operations of a [`Store`](crate::store::Store).
    pub(crate) fn any_tokio(&self) -> &AnyStore {
        &self.tokio.1
    }

    /// The futures of this face are ready at the first poll, after blocking.
    #[cfg(feature = "blocking")]
    pub(crate) fn blocking(&self) -> &ClusterStore<Blocking> {
        &self.blocking.0
    }

    /// The same, for operations of a [`Store`](crate::store::Store).
    #[cfg(feature = "blocking")]
    pub(crate) fn any_blocking(&self) -> &AnyStore {
        &self.blocking.1
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.state.keeper.end();
    }
}

/// A transport that reaches each node of a cluster.
pub(crate) trait NodeTransport: Transport {
    fn of(server: &Arc<Server>, settings: &Settings) -> Self;
}

impl NodeTransport for Tokio {
    fn of(server: &Arc<Server>, _settings: &Settings) -> Tokio {
        Tokio::new(server)
    }
}

#[cfg(feature = "blocking")]
impl NodeTransport for Blocking {
    fn of(server: &Arc<Server>, settings: &Settings) -> Blocking {
        Blocking::new(server, settings.blocking_connections)
    }
}

impl NodeTransport for Lone {
    fn of(server: &Arc<Server>, _settings: &Settings) -> Lone {
        Lone::new(server)
    }
}

/// A face of a cluster.
pub(crate) struct ClusterStore<T>(Arc<Face<T>>);

struct Face<T> {
    state: Arc<ClusterState>,
    nodes: Table<NodeStore<T>>,
}

/// A face of a node.
struct NodeStore<T> {
    owning: RedisStore<T>,
    /// The same node, as one to which a slot is moving.
    asking: RedisStore<T>,
}

impl<T> Clone for ClusterStore<T> {
    fn clone(&self) -> Self {
        ClusterStore(Arc::clone(&self.0))
    }
}

impl<T: NodeTransport> ClusterStore<T> {
    fn new(state: &Arc<ClusterState>) -> ClusterStore<T> {
        ClusterStore(Arc::new(Face { state: Arc::clone(state), nodes: Table::default() }))
    }

    fn with_any(state: &Arc<ClusterState>) -> (ClusterStore<T>, AnyStore) {
        let store = ClusterStore::new(state);
        (store.clone(), AnyStore::new(store))
    }

    fn state(&self) -> &ClusterState {
        &self.0.state
    }

    fn node_store(&self, number: u16) -> Option<&NodeStore<T>> {
        self.0.nodes.get_or_make(number, || {
            let client = &self.0.state.node(number)?.client;
            let owning = RedisStore::new(client, T::of(&client.server, &self.0.state.settings));
            Some(NodeStore { asking: owning.asking(), owning })
        })
    }

    /// The store of a node.
    fn store(&self, number: u16) -> Option<&RedisStore<T>> {
        self.node_store(number).map(|node| &node.owning)
    }
}
