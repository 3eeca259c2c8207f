//! Commands to the servers of a cache.

use std::time::{Duration, Instant};

use redis::{Cmd, Pipeline, Value};

use crate::api::cache::Cache;
use crate::engine::context::{CacheStore, Context};
use crate::error::{Error, ErrorKind};
use crate::poll::block_on::block_on;
use crate::store::redis::BlockingStore;
use crate::store::redis::request::{Reply, Request};
use crate::store::redis::server::fault::Fault;
use crate::store::redis::server::features::Features;
use crate::store::redis::server::rights;

/// The servers of a cache: one, or the masters of a cluster.
#[derive(Clone, Debug)]
pub struct Servers(Context);

/// One of them.
#[derive(Debug)]
pub struct Node {
    store: BlockingStore,
    timeout: Duration,
}

impl Servers {
    /// The servers of this cache. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a cache without a server.
    pub fn of(cache: &Cache) -> Result<Servers, Error> {
        match cache.0.store() {
            CacheStore::Redis(_) | CacheStore::Cluster(_) => Ok(Servers(cache.0.clone())),
            CacheStore::Memory(_) => {
                Err(Error::new(ErrorKind::Config, "memory:// is the memory of another process; name a server"))
            }
            CacheStore::Off(error) | CacheStore::Unusable(error) => Err(error.clone()),
        }
    }

    /// Returns true for a cluster.
    pub fn are_cluster(&self) -> bool {
        matches!(self.0.store(), CacheStore::Cluster(_))
    }

    /// All masters that have slots, or the only server.
    pub fn nodes(&self) -> Result<Vec<Node>, Error> {
        let timeout = self.0.timeout();
        let stores: Vec<BlockingStore> = match self.0.store() {
            CacheStore::Redis(redis) => vec![redis.blocking().clone()],
            CacheStore::Cluster(cluster) => {
                block_on(cluster.blocking().nodes(self.0.deadline()))?.into_iter().cloned().collect()
            }
            CacheStore::Memory(_) | CacheStore::Unusable(_) | CacheStore::Off(_) => Vec::new(),
        };
        Ok(stores.into_iter().map(|store| Node { store, timeout }).collect())
    }

    /// The number of times that a slot was found at another node: a scan of all nodes during which it changes may have
    /// missed keys.
    pub fn changes(&self) -> u64 {
        match self.0.store() {
            CacheStore::Cluster(cluster) => cluster.blocking().changes(),
            _ => 0,
        }
    }

    /// Sends commands that concern this key alone, and returns the reply to each, errors among them.
    pub fn send(&self, key: &str, commands: &[Cmd]) -> Result<Vec<Value>, Error> {
        let by = self.0.deadline();
        match self.0.store() {
            CacheStore::Redis(redis) => block_on(sent(redis.blocking(), commands, by, true)),
            CacheStore::Cluster(cluster) => {
                block_on(cluster.blocking().at_slot_of(key, by, |node| sent(node, commands, by, true)))
            }
            CacheStore::Memory(_) | CacheStore::Unusable(_) | CacheStore::Off(_) => Ok(Vec::new()),
        }
    }
}

impl Node {
    /// Its address, or its URL without the password.
    pub fn address(&self) -> &str {
        &self.store.server().health.server
    }

    /// Sends commands in one round trip, and returns the reply to each, errors among them: a redirection, for
    /// a key that has moved.
    pub fn send(&self, commands: &[Cmd]) -> Result<Vec<Value>, Error> {
        block_on(sent(&self.store, commands, Instant::now() + self.timeout, false))
    }

    /// The commands that this library sends or calls in scripts, and whether the user may run each. `HSET` is not asked:
    /// it has no form without an effect.
    pub fn commands(&self) -> Result<Vec<(&'static str, bool)>, Error> {
        let build = |_| Request::Many(rights::questions());
        let read = |reply: Reply| Ok(rights::refused(&reply.all()));
        let epoch = self.store.server().health.epoch();
        let refused = block_on(self.store.exchange(epoch, build, read, Instant::now() + self.timeout));
        let refused = Features::from_bits(refused.map_err(|fault| self.store.reported_error(fault))?);
        Ok(rights::asked().map(|command| (command.name(), !refused.has(command))).collect())
    }

    /// What its version can do that others cannot.
    pub fn features(info: &str) -> [(&'static str, bool); 3] {
        let features = Features::of(info);
        [
            ("SET NX GET", features.has(Features::SET_NX_GET)),
            ("SET IFEQ", features.has(Features::SET_IFEQ)),
            ("HPEXPIRE", features.has(Features::FIELD_EXPIRY)),
        ]
    }
}

/// With `follows`, a redirection is an error, so that the router follows it.
async fn sent(store: &BlockingStore, commands: &[Cmd], by: Instant, follows: bool) -> Result<Vec<Value>, Error> {
    let build = |_| {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.clone());
        }
        Request::ManyOnce(pipeline)
    };
    let read = |reply: Reply| {
        let values = reply.all();
        let redirected = values.iter().find_map(|value| match value {
            Value::ServerError(error) if follows && matches!(error.code(), "MOVED" | "ASK") => Some(Fault::from(error)),
            _ => None,
        });
        redirected.map_or(Ok(values), Err)
    };
    // A person asks: this is tried even if the last attempts failed.
    let epoch = store.server().health.epoch();
    store.exchange(epoch, build, read, by).await.map_err(|fault| store.reported_error(fault))
}
