//! A Redis server as a store.
//!
//! | module | concern |
//! |---|---|
//! | `settings` | what a program sets about a server |
//! | `server` | the state of one server: health, clock, features, rights, faults |
//! | `request` | the requests to it and the replies |
//! | `ops::commands`, `ops::scripts` | each operation as commands, and the meaning of the replies |
//! | `transport` | connections: multiplexed ones in each tokio runtime, a pool for blocking callers |
//! | `client` | one cache's view of the server: the path of an exchange, and what is kept for later |
//! | `keeper` | the thread of a cache for what must not depend on callers' runtimes |
//! | `sentinel` | the address of a master that sentinels know, followed |
//! | `ops` | the operations of a [`Store`](super::Store), each written once for both faces |
//! | `cluster` | a router over the servers of a cluster |
//! | `tracking` | the connection over which a server tells of changes, for values that the process keeps |

pub(crate) mod client;
#[cfg(feature = "tokio")]
pub(crate) mod cluster;
pub(crate) mod keeper;
pub(crate) mod ops;
#[cfg(all(test, feature = "tokio", feature = "blocking"))]
mod replaced;
pub(crate) mod request;
#[cfg(feature = "tokio")]
mod sentinel;
pub(crate) mod server;
pub(crate) mod settings;
#[cfg(feature = "local")]
pub(crate) mod tracking;
pub(crate) mod transport;

use std::sync::Arc;
#[cfg(feature = "local")]
use std::sync::Weak;
#[cfg(feature = "local")]
use std::time::Duration;

use self::client::{Client, RedisStore};
use self::keeper::Keeper;
#[cfg(feature = "tokio")]
use self::sentinel::Sentinels;
use self::server::Server;
use self::server::endpoint::Endpoint;
use self::settings::Settings;
#[cfg(feature = "blocking")]
use self::transport::blocking::Blocking;
#[cfg(feature = "tokio")]
use self::transport::tokio::Tokio;
#[cfg(feature = "local")]
use super::tracking::{Inquiry, Watcher};
use super::url::RedisTarget;
#[cfg(feature = "tokio")]
use super::url::SentinelTarget;
use crate::observe::ExchangeStats;
use crate::observe::snapshot::ServerState;

#[cfg(feature = "tokio")]
pub(crate) type TokioStore = RedisStore<Tokio>;
#[cfg(feature = "blocking")]
pub(crate) type BlockingStore = RedisStore<Blocking>;

/// A server, for both faces.
#[derive(Debug)]
pub(crate) struct Redis {
    client: Arc<Client>,
    #[cfg(feature = "tokio")]
    tokio: TokioStore,
    #[cfg(feature = "blocking")]
    blocking: BlockingStore,
}

impl Redis {
    /// Creates the store. This neither connects nor blocks.
    pub(crate) fn new(target: RedisTarget, settings: &Settings) -> Redis {
        let name = target.to_string();
        let endpoint = Endpoint::new(target, settings);
        let server = Server::new(name, endpoint, settings.timeout, settings.breaker);
        Redis::of(Client::new(server, Keeper::default()), settings)
    }

    /// Does the same for a master that sentinels know.
    #[cfg(feature = "tokio")]
    pub(crate) fn of_sentinels(target: SentinelTarget, settings: &Settings) -> Redis {
        let keeper = Keeper::default();
        let sentinels = Sentinels::new(target, settings.clone(), keeper.clone());
        let client = Client::new(sentinels.server(), keeper);
        sentinels.serve(&client);
        Redis::of(client, settings)
    }

    #[cfg_attr(not(feature = "blocking"), expect(unused_variables, reason = "async callers share connections"))]
    fn of(client: Arc<Client>, settings: &Settings) -> Redis {
        Redis {
            #[cfg(feature = "tokio")]
            tokio: RedisStore::new(&client, Tokio::new(&client.server)),
            #[cfg(feature = "blocking")]
            blocking: RedisStore::new(&client, Blocking::new(&client.server, settings.blocking_connections)),
            client,
        }
    }

    /// Returns true if some keys are still to be invalidated.
    #[cfg(feature = "local")]
    pub(crate) fn has_undelivered(&self) -> bool {
        self.client.backlog.pending.any()
    }

    /// Asks the server over a connection that tells `watcher` of changes, within the bound.
    #[cfg(feature = "local")]
    pub(crate) fn inquire(&self, inquiry: Inquiry, watcher: impl FnOnce() -> Weak<dyn Watcher>, bound: Duration) {
        self.client.inquire(inquiry, watcher, bound);
    }

    /// The state of the server.
    pub(crate) fn server_states(&self) -> Vec<ServerState> {
        vec![self.client.stats()]
    }

    /// The durations of the exchanges with the server at its current address.
    pub(crate) fn exchanges(&self) -> Vec<ExchangeStats> {
        self.client.server.exchanges()
    }

    /// The number of keys that are still to be invalidated.
    pub(crate) fn undelivered(&self) -> usize {
        self.client.backlog.pending.len()
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn tokio(&self) -> &TokioStore {
        &self.tokio
    }

    /// The futures of this face are ready at the first poll, after blocking.
    #[cfg(feature = "blocking")]
    pub(crate) fn blocking(&self) -> &BlockingStore {
        &self.blocking
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.client.keeper.end();
    }
}
