//! The view of a server that a cache has, and the path of an operation through it: the breaker's gate, the exchange,
//! and the conclusions about the server's health.
//!
//! What a cache keeps for both faces is in `backlog` (`pending`, `abandoned` and `deliverer`), in `sizes` and in
//! `known_stamps`; `ops` works on it.

pub(crate) mod abandoned;
mod asking;
pub(crate) mod backlog;
pub(crate) mod deliverer;
pub(crate) mod known_stamps;
pub(crate) mod pending;
pub(crate) mod sizes;

use std::future::Future;
#[cfg(feature = "local")]
use std::sync::OnceLock;
use std::sync::{Arc, Weak};
#[cfg(feature = "local")]
use std::time::Duration;
use std::time::Instant;

use ::redis::{Cmd, Value};

use self::backlog::Backlog;
use self::known_stamps::KnownStamps;
use self::sizes::Sizes;
use super::keeper::Keeper;
use super::ops::commands;
use super::ops::scripts::Form;
use super::request::{Load, Reply, Request};
use super::server::Server;
use super::server::breaker::Epoch;
use super::server::fault::{Blame, Fault};
use super::server::features::Features;
#[cfg(feature = "local")]
use super::tracking::Link;
use super::transport::{Build, Decode, Transport};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::observe::snapshot::ServerState;
#[cfg(feature = "local")]
use crate::store::tracking::{Inquiry, Watcher};

/// The state that a cache keeps for both faces, about one server.
pub(crate) struct Client {
    pub(crate) server: Arc<Server>,
    pub(crate) sizes: Sizes,
    pub(crate) stamps: KnownStamps,
    /// The keeper of the cache, which ends it.
    pub(crate) keeper: Keeper,
    pub(crate) backlog: Arc<Backlog>,
    /// The place of the server in a cluster.
    pub(crate) membership: Option<Membership>,
    /// The tracked connection, once something is to be confirmed.
    #[cfg(feature = "local")]
    pub(crate) link: OnceLock<Arc<Link>>,
}

/// A cluster, as its nodes see it.
pub(crate) trait Cluster: Send + Sync {
    /// Makes sure that the backlog is delivered. `is_urgent` means that no attempt at it has failed.
    fn wake(&self, is_urgent: bool);

    /// Notes that a node failed: another one may have its keys.
    fn suspects(&self);

    /// Returns true if the node has the key with this name, as far as is known.
    fn has(&self, node: u16, name: &str) -> bool;

    /// Returns true if the node has any slots, as far as is known.
    fn serves(&self, node: u16) -> bool;
}

/// The place of a server in a cluster.
pub(crate) struct Membership {
    pub(crate) cluster: Weak<dyn Cluster>,
    pub(crate) node: u16,
}

impl Client {
    pub(crate) fn new(server: Server, keeper: Keeper) -> Arc<Client> {
        Arc::new(Client {
            server: Arc::new(server),
            sizes: Sizes::default(),
            stamps: KnownStamps::default(),
            keeper,
            backlog: Arc::default(),
            membership: None,
            #[cfg(feature = "local")]
            link: OnceLock::new(),
        })
    }

    /// A node of a cluster, which shares the backlog with the others.
    #[cfg(feature = "tokio")]
    pub(crate) fn of_node(
        server: Server,
        keeper: Keeper,
        backlog: &Arc<Backlog>,
        membership: Membership,
    ) -> Arc<Client> {
        Arc::new(Client {
            server: Arc::new(server),
            sizes: Sizes::default(),
            stamps: KnownStamps::default(),
            keeper,
            backlog: Arc::clone(backlog),
            membership: Some(membership),
            #[cfg(feature = "local")]
            link: OnceLock::new(),
        })
    }

    /// Asks the server over the tracked connection.
    #[cfg(feature = "local")]
    pub(crate) fn inquire(
        self: &Arc<Self>,
        inquiry: Inquiry,
        watcher: impl FnOnce() -> Weak<dyn Watcher>,
        bound: Duration,
    ) {
        self.link.get_or_init(|| Link::new(watcher(), bound)).ask(self, inquiry);
    }

    /// The state of the server, as far as this process knows.
    pub(crate) fn stats(&self) -> ServerState {
        let stats = self.server.stats();
        #[cfg(feature = "local")]
        let stats = ServerState {
            local_proof_age_ms: self.link.get().and_then(|link| link.proof_age()).map(|age| age.as_millis() as u64),
            ..stats
        };
        stats
    }

    /// The cluster that the server is a node of, if it is one and the cache is still there.
    pub(crate) fn cluster(&self) -> Option<Arc<dyn Cluster>> {
        self.membership.as_ref()?.cluster.upgrade()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.server.health.server).finish()
    }
}

/// A face of a server.
pub(crate) struct RedisStore<T> {
    pub(crate) core: Arc<Core<T>>,
    /// True for a node to which a slot is moving: it executes only commands that follow `ASKING`.
    asks: bool,
}

pub(crate) struct Core<T> {
    pub(crate) client: Arc<Client>,
    pub(crate) transport: T,
}

impl<T> Clone for RedisStore<T> {
    fn clone(&self) -> Self {
        RedisStore { core: Arc::clone(&self.core), asks: self.asks }
    }
}

impl<T> std::fmt::Debug for RedisStore<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Redis").field(&self.core.client.server.health.server).finish()
    }
}

impl<T: Transport> RedisStore<T> {
    pub(crate) fn new(client: &Arc<Client>, transport: T) -> RedisStore<T> {
        RedisStore::of(Arc::new(Core { client: Arc::clone(client), transport }))
    }

    pub(crate) fn of(core: Arc<Core<T>>) -> RedisStore<T> {
        RedisStore { core, asks: false }
    }

    /// Returns true for a node of a cluster. Its operations leave stamps, and keys that belong to other nodes, to the
    /// router.
    pub(crate) fn is_node(&self) -> bool {
        self.client().membership.is_some()
    }

    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.core.client
    }

    pub(crate) fn server(&self) -> &Server {
        &self.core.client.server
    }

    /// Returns true if another node has to be asked.
    pub(crate) fn is_elsewhere<R>(&self, outcome: &Result<R, Error>) -> bool {
        self.is_node() && outcome.as_ref().is_err_and(|error| error.redirection().is_some())
    }

    /// The tags of an entry whose stamps are read and kept along with it.
    pub(crate) fn tags_here<'k>(&self, key: &'k Key) -> &'k [String] {
        if key.tags().is_empty() || self.is_node() { &[] } else { key.tags() }
    }

    /// Passes the breaker's gate.
    pub(crate) fn admit(&self) -> Result<Epoch, Error> {
        self.server().health.admit().ok_or_else(|| {
            self.probe(false);
            Error::new(ErrorKind::CircuitOpen, "")
        })
    }

    /// Passes the gate of writes, too.
    pub(crate) fn admit_write(&self) -> Result<Epoch, Error> {
        let epoch = self.admit()?;
        self.server().health.admit_write()?;
        Ok(epoch)
    }

    pub(crate) fn exchange<R: Send>(
        &self,
        epoch: Epoch,
        build: impl Fn(Features) -> Request + Send + Sync,
        read: impl Fn(Reply) -> Result<R, Fault> + Send + Sync,
        by: Instant,
    ) -> impl Future<Output = Result<R, Fault>> + Send {
        self.exchange_of(epoch, Load::default(), build, read, by)
    }

    /// Sends the request, reads the reply, and draws the conclusions about the server's health.
    pub(crate) async fn exchange_of<R: Send>(
        &self,
        epoch: Epoch,
        load: Load,
        build: impl Fn(Features) -> Request + Send + Sync,
        read: impl Fn(Reply) -> Result<R, Fault> + Send + Sync,
        by: Instant,
    ) -> Result<R, Fault> {
        let mut decoded = None;
        let mut decode = |reply| {
            decoded = Some(read(reply)?);
            Ok(())
        };
        self.watched(epoch, load, &build, &mut decode, by).await?;
        decoded.ok_or_else(Fault::hung)
    }

    /// The part of an exchange that does not depend on its types, which is compiled once.
    async fn watched(
        &self,
        epoch: Epoch,
        load: Load,
        build: Build<'_>,
        decode: Decode<'_>,
        by: Instant,
    ) -> Result<(), Fault> {
        let watch = self.watch(epoch, by);
        let outcome = match self.asks {
            false => self.core.transport.exchange(epoch, load, build, decode, by).await,
            true => Box::pin(self.ask((epoch, load), build, decode, by)).await,
        };
        watch.saw(&outcome);
        outcome
    }

    /// Does the same for the content of a slot.
    pub(crate) async fn exchange_read<R: Send>(
        &self,
        epoch: Epoch,
        load: Load,
        key: &Key,
        read: impl Fn(Value) -> Result<R, Fault> + Send + Sync,
        by: Instant,
    ) -> Result<R, Fault> {
        let mut decoded = None;
        let mut decode = |reply: Reply| {
            decoded = Some(read(reply.one()?)?);
            Ok(())
        };
        let watch = self.watch(epoch, by);
        let outcome = match self.asks {
            false => self.core.transport.read(epoch, load, key, &mut decode, by).await,
            true => {
                let build = |_| Request::One(commands::get(key));
                Box::pin(self.ask((epoch, load), &build, &mut decode, by)).await
            }
        };
        watch.saw(&outcome);
        outcome.and_then(|()| decoded.ok_or_else(Fault::hung))
    }

    fn watch(&self, epoch: Epoch, by: Instant) -> Unanswered<'_, T> {
        Unanswered { store: self, epoch, by, armed: true }
    }

    pub(crate) fn failed(&self, epoch: Epoch, fault: &Fault) {
        if let Blame::Denied(denied) = fault.blame {
            self.note_denied(denied);
        }
        if self.is_node() {
            if fault.is_redirection() {
                return self.server().health.succeeded(epoch);
            }
            self.suspect(fault);
        }
        if self.server().health.failed(epoch, fault) {
            self.probe(false);
        }
    }

    /// Another node may have taken the place of one that fails.
    fn suspect(&self, fault: &Fault) {
        let is_suspect = matches!(
            fault.blame,
            Blame::Server | Blame::Closed | Blame::Connection | Blame::Role | Blame::Full | Blame::ClusterDown
        );
        if let Some(cluster) = self.client().cluster().filter(|_| is_suspect) {
            cluster.suspects();
        }
    }

    /// The error that the caller of a verb gets. Misuse is also logged; functions report permanent refusals.
    pub(crate) fn reported_error(&self, fault: Fault) -> Error {
        let is_to_tell = match fault.blame {
            Blame::Command | Blame::Server | Blame::TryAgain | Blame::ClusterDown => true,
            Blame::Moved | Blame::Ask => !self.is_node(),
            _ => false,
        };
        if is_to_tell {
            self.server().health.tell_once(&fault.error);
        }
        fault.error
    }

    /// Runs a single command whose reply `read` understands.
    pub(crate) async fn command<R: Send>(
        &self,
        epoch: Epoch,
        build: impl Fn() -> Cmd + Send + Sync,
        read: impl Fn(Value) -> Result<R, Fault> + Send + Sync,
        by: Instant,
    ) -> Result<R, Fault> {
        self.exchange(epoch, |_| Request::One(build()), |reply| read(reply.one()?), by).await
    }

    /// Runs a command that may be a script, perhaps followed by a request for the server's time: `request` is `timed`
    /// or `timed_once`. If the server does not know the script, its text is sent.
    pub(crate) async fn scripted<R: Send>(
        &self,
        epoch: Epoch,
        request: fn(&Server, Cmd) -> Request,
        build: impl Fn(Features, Form) -> Cmd + Send + Sync,
        read: impl Fn(Value) -> Result<R, Fault> + Send + Sync,
        by: Instant,
    ) -> Result<R, Fault> {
        let (build, read) = (&build, &read);
        let by_hash = |features| request(self.server(), build(features, Form::Hash));
        match self.exchange(epoch, by_hash, |reply| read(self.server().first_of(reply)?), by).await {
            Err(fault) if fault.blame == Blame::Script => {
                self.exchange(
                    epoch,
                    |features| request(self.server(), build(features, Form::Text)),
                    |reply| read(self.server().first_of(reply)?),
                    by,
                )
                .await
            }
            outcome => outcome,
        }
    }

    /// Draws the conclusions about the server's readiness to write.
    pub(crate) fn written<R>(&self, outcome: Result<R, Fault>) -> Result<R, Error> {
        match outcome {
            Ok(result) => {
                self.server().health.wrote();
                Ok(result)
            }
            Err(fault) => {
                self.server().health.write_failed(&fault);
                Err(self.reported_error(fault))
            }
        }
    }
}

/// Counts an operation that its caller gave up: a caller whose patience is shorter than the
/// deadline must not keep a hung server from being noticed.
struct Unanswered<'a, T: Transport> {
    store: &'a RedisStore<T>,
    epoch: Epoch,
    by: Instant,
    armed: bool,
}

impl<T: Transport> Unanswered<'_, T> {
    /// The operation had an answer, or none in its time.
    fn saw(mut self, outcome: &Result<(), Fault>) {
        self.armed = false;
        match outcome {
            Ok(()) => self.store.server().health.succeeded(self.epoch),
            Err(fault) => self.store.failed(self.epoch, fault),
        }
    }
}

impl<T: Transport> Drop for Unanswered<'_, T> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        // A runtime that ends drops its tasks, which does not count.
        if T::is_ending() {
            return;
        }
        let timeout = self.store.server().timeout;
        let waited = timeout.saturating_sub(self.by.saturating_duration_since(Instant::now()));
        if waited > timeout / 4 {
            self.store.failed(self.epoch, &Fault::hung());
        }
    }
}
