//! The engine's view of a cache: its store, its time-out, and the flights and refreshes of this process.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
#[cfg(feature = "local")]
use std::sync::OnceLock;
#[cfg(any(feature = "blocking", feature = "local", feature = "opentelemetry"))]
use std::sync::Weak;
use std::time::{Duration, Instant};

use super::flight::{Flights, Refreshing};
#[cfg(feature = "local")]
use super::local::{Tier, Voiding};
#[cfg(feature = "blocking")]
use super::renewer::Renewer;
use crate::error::Error;
use crate::observe::snapshot::ServerStats;
use crate::observe::{Counters, ExchangeStats, Functions, Invalidations, Listener};
use crate::plan::function::Function;
use crate::store::backend::Backend;
use crate::store::memory::MemoryStore;
use crate::store::redis::Redis;
#[cfg(feature = "tokio")]
use crate::store::redis::cluster::Cluster;
#[cfg(feature = "local")]
use crate::store::{Store, tracking::Inquiry};
use crate::stored::compress::Compression;

/// A handle of a cache. Clones are the same cache.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    store: CacheStore,
    namespace: String,
    timeout: Duration,
    display: String,
    compression: Compression,
    functions: Arc<Functions>,
    invalidations: Invalidations,
    flights: Arc<Flights>,
    refreshing: Arc<Refreshing>,
    #[cfg(feature = "blocking")]
    renewer: Renewer,
    #[cfg(feature = "local")]
    local: LocalSettings,
    /// Made by the first value that is to be kept.
    #[cfg(feature = "local")]
    tier: OnceLock<Arc<Tier>>,
}

/// What a program sets about the local tier.
#[cfg_attr(not(feature = "local"), expect(dead_code, reason = "there is no tier"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalSettings {
    /// The most bytes that the values of all functions take.
    pub(crate) most_bytes: u64,
    /// How much older than the store a value may be.
    pub(crate) bound: Duration,
}

impl Default for LocalSettings {
    fn default() -> LocalSettings {
        LocalSettings { most_bytes: 64 << 20, bound: Duration::from_millis(500) }
    }
}

/// The store of a cache, as the engine uses it: with a tier, writes void what it keeps.
#[cfg(feature = "local")]
pub(crate) type Reached<'a, R> = Voiding<'a, Backend<'a, R>>;
#[cfg(not(feature = "local"))]
pub(crate) type Reached<'a, R> = Backend<'a, R>;

/// The store of a cache, for both faces.
pub(crate) enum CacheStore {
    Memory(Box<MemoryStore>),
    Redis(Redis),
    #[cfg(feature = "tokio")]
    Cluster(Box<Cluster>),
    /// `REDIS_URL` cannot be used: functions run uncached. Falling back to memory would keep
    /// results that other processes cannot invalidate.
    Unusable(Error),
    /// `off://`: functions run uncached, and this is what `ping` says.
    Off(Error),
}

impl Context {
    #[cfg_attr(not(feature = "local"), expect(unused_variables, reason = "there is no tier"))]
    pub(crate) fn new(
        store: CacheStore,
        namespace: String,
        timeout: Duration,
        display: String,
        compression: Compression,
        local: LocalSettings,
        listener: Listener,
    ) -> Context {
        Context(Arc::new(Inner {
            store,
            namespace,
            timeout,
            display,
            compression,
            functions: Arc::new(Functions::new(listener)),
            invalidations: Invalidations::default(),
            flights: Arc::default(),
            refreshing: Arc::default(),
            #[cfg(feature = "blocking")]
            renewer: Renewer::default(),
            #[cfg(feature = "local")]
            local,
            #[cfg(feature = "local")]
            tier: OnceLock::new(),
        }))
    }

    /// Returns true if both handles are one cache.
    pub(crate) fn is_same(&self, other: &Context) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns true if functions run as they do without the attribute.
    pub(crate) fn is_off(&self) -> bool {
        matches!(self.0.store, CacheStore::Off(_))
    }

    /// Returns true if other programs may store something in the same place.
    pub(crate) fn may_hold_foreign_keys(&self) -> bool {
        match &self.0.store {
            CacheStore::Redis(_) => true,
            #[cfg(feature = "tokio")]
            CacheStore::Cluster(_) => true,
            CacheStore::Memory(_) | CacheStore::Unusable(_) | CacheStore::Off(_) => false,
        }
    }

    #[cfg(feature = "inspect")]
    pub(crate) fn store(&self) -> &CacheStore {
        &self.0.store
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The counters of a function in this cache.
    #[inline]
    pub(crate) fn counters(&self, function: &Function) -> &Counters {
        self.0.functions.of(function)
    }

    /// The counters of all functions in this cache.
    pub(crate) fn functions(&self) -> &Functions {
        &self.0.functions
    }

    /// What is told of single observations.
    #[cfg(feature = "opentelemetry")]
    pub(crate) fn listener(&self) -> &Listener {
        self.0.functions.listener()
    }

    pub(crate) fn invalidations(&self) -> &Invalidations {
        &self.0.invalidations
    }

    /// The computations that run in this process, and the calls that wait for them.
    pub(crate) fn flights(&self) -> &Arc<Flights> {
        &self.0.flights
    }

    /// The entries that this process refreshes in the background.
    pub(crate) fn refreshing(&self) -> &Arc<Refreshing> {
        &self.0.refreshing
    }

    /// How long one operation may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// How values are compressed, unless their function says something else.
    pub(crate) fn compression(&self) -> Compression {
        self.0.compression
    }

    /// When an operation that starts now has to end.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.0.timeout
    }

    /// When an operation has to end that starts now, in a call that has just lost a whole time-out: a server that is well
    /// answers in a fraction of one.
    pub(crate) fn short_deadline(&self) -> Instant {
        Instant::now() + self.0.timeout / 8
    }

    /// The thread that keeps the leases of blocking bodies.
    #[cfg(feature = "blocking")]
    pub(crate) fn renewer(&self) -> &Renewer {
        &self.0.renewer
    }

    #[cfg(any(feature = "blocking", feature = "local", feature = "opentelemetry"))]
    pub(crate) fn downgrade(&self) -> WeakContext {
        WeakContext(Arc::downgrade(&self.0))
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn tokio_store(&self) -> Reached<'_, crate::store::redis::TokioStore> {
        self.reached(self.tokio_backend())
    }

    #[cfg(feature = "tokio")]
    fn tokio_backend(&self) -> Backend<'_, crate::store::redis::TokioStore> {
        match &self.0.store {
            CacheStore::Memory(memory) => Backend::Memory(memory),
            CacheStore::Redis(redis) => Backend::Redis(redis.tokio()),
            CacheStore::Cluster(cluster) => Backend::Cluster(cluster.any_tokio()),
            CacheStore::Unusable(error) => Backend::Unusable(error),
            CacheStore::Off(error) => Backend::Off(error),
        }
    }

    #[cfg(feature = "blocking")]
    pub(crate) fn blocking_store(&self) -> Reached<'_, crate::store::redis::BlockingStore> {
        self.reached(self.blocking_backend())
    }

    #[cfg(feature = "blocking")]
    fn blocking_backend(&self) -> Backend<'_, crate::store::redis::BlockingStore> {
        match &self.0.store {
            CacheStore::Memory(memory) => Backend::Memory(memory),
            CacheStore::Redis(redis) => Backend::Redis(redis.blocking()),
            #[cfg(feature = "tokio")]
            CacheStore::Cluster(cluster) => Backend::Cluster(cluster.any_blocking()),
            CacheStore::Unusable(error) => Backend::Unusable(error),
            CacheStore::Off(error) => Backend::Off(error),
        }
    }

    #[cfg(feature = "local")]
    fn reached<'a, R: Store>(&'a self, backend: Backend<'a, R>) -> Reached<'a, R> {
        Voiding::new(backend, &self.0.tier)
    }

    #[cfg(not(feature = "local"))]
    fn reached<'a, R>(&'a self, backend: Backend<'a, R>) -> Reached<'a, R> {
        backend
    }

    /// How many keys are still to be invalidated.
    pub(crate) fn undelivered(&self) -> usize {
        match &self.0.store {
            CacheStore::Redis(redis) => redis.undelivered(),
            #[cfg(feature = "tokio")]
            CacheStore::Cluster(cluster) => cluster.undelivered(),
            CacheStore::Memory(_) | CacheStore::Unusable(_) | CacheStore::Off(_) => 0,
        }
    }

    /// The state of the server or servers.
    pub(crate) fn server_stats(&self) -> ServerStats {
        let (is_usable, servers) = match &self.0.store {
            CacheStore::Redis(redis) => (true, redis.server_states()),
            #[cfg(feature = "tokio")]
            CacheStore::Cluster(cluster) => (true, cluster.server_states()),
            CacheStore::Memory(_) => (true, Vec::new()),
            CacheStore::Unusable(_) | CacheStore::Off(_) => (false, Vec::new()),
        };
        ServerStats {
            up: is_usable && servers.iter().all(|server| server.up),
            accepts_writes: is_usable && servers.iter().all(|server| server.accepts_writes),
            undelivered: self.undelivered() as u64,
            servers,
        }
    }

    /// What the cache has in place of a server, as figures name it.
    pub(crate) fn without_server(&self) -> Option<&'static str> {
        match &self.0.store {
            CacheStore::Redis(_) => None,
            #[cfg(feature = "tokio")]
            CacheStore::Cluster(_) => None,
            CacheStore::Memory(_) => Some("memory"),
            CacheStore::Unusable(_) => Some("unusable"),
            CacheStore::Off(_) => Some("off"),
        }
    }

    /// The durations of the exchanges with the server or servers.
    pub(crate) fn exchanges(&self) -> Vec<ExchangeStats> {
        match &self.0.store {
            CacheStore::Redis(redis) => redis.exchanges(),
            #[cfg(feature = "tokio")]
            CacheStore::Cluster(cluster) => cluster.exchanges(),
            CacheStore::Memory(_) | CacheStore::Unusable(_) | CacheStore::Off(_) => Vec::new(),
        }
    }

    /// Returns true if invalidations are undelivered: what this process keeps may be confirmed before they are.
    #[cfg(feature = "local")]
    pub(crate) fn has_undelivered(&self) -> bool {
        match &self.0.store {
            CacheStore::Redis(redis) => redis.has_undelivered(),
            CacheStore::Cluster(cluster) => cluster.has_undelivered(),
            CacheStore::Memory(_) | CacheStore::Unusable(_) | CacheStore::Off(_) => false,
        }
    }

    /// The tier, once it is made.
    #[cfg(feature = "local")]
    pub(crate) fn tier(&self) -> &OnceLock<Arc<Tier>> {
        &self.0.tier
    }

    /// The tier, which is made if it is not there.
    #[cfg(feature = "local")]
    pub(crate) fn made_tier(&self) -> &Arc<Tier> {
        self.0.tier.get_or_init(|| Tier::new(&self.0.namespace, self.0.local.most_bytes, Arc::clone(&self.0.functions)))
    }

    /// How much older than the store the values of other processes may be.
    #[cfg(feature = "local")]
    pub(crate) fn bound_of_others(&self) -> Duration {
        match &self.0.store {
            CacheStore::Redis(_) | CacheStore::Cluster(_) => self.0.local.bound,
            CacheStore::Memory(_) | CacheStore::Unusable(_) | CacheStore::Off(_) => Duration::ZERO,
        }
    }

    /// How much older than the store a value of the tier may be.
    #[cfg(feature = "local")]
    pub(crate) fn local_bound(&self) -> Duration {
        self.0.local.bound
    }

    /// Has the store answer questions, of which some may be dropped.
    #[cfg(feature = "local")]
    pub(crate) fn inquire(&self, inquiries: impl Iterator<Item = Inquiry>) {
        let (tier, bound) = (self.made_tier(), self.0.local.bound);
        let watcher = || Arc::<Tier>::downgrade(tier) as Weak<dyn crate::store::tracking::Watcher>;
        for Inquiry { question, answered } in inquiries {
            match &self.0.store {
                CacheStore::Memory(memory) => answered(memory.content(&question.name).as_ref(), None),
                CacheStore::Redis(redis) => redis.inquire(Inquiry { question, answered }, watcher, bound),
                CacheStore::Cluster(cluster) => cluster.inquire(Inquiry { question, answered }, watcher, bound),
                CacheStore::Unusable(_) | CacheStore::Off(_) => {}
            }
        }
    }

    /// Writes a text that is no slot into the namespace, and lets it live for a time.
    #[cfg(feature = "blocking")]
    pub(crate) fn write_note(&self, name: &str, text: &str, life: Duration) -> Result<(), Error> {
        let namespace = crate::key::escape_part(self.namespace());
        let key = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}:{name}") };
        match &self.0.store {
            CacheStore::Redis(redis) => {
                crate::poll::block_on::block_on(redis.blocking().write_note(&key, text, life, self.deadline()))
            }
            #[cfg(feature = "tokio")]
            CacheStore::Cluster(cluster) => {
                let by = self.deadline();
                let write = cluster.blocking().at_slot_of(&key, by, |node| node.write_note(&key, text, life, by));
                crate::poll::block_on::block_on(write)
            }
            CacheStore::Memory(_) | CacheStore::Unusable(_) | CacheStore::Off(_) => Ok(()),
        }
    }

    /// Delivers what is undelivered, and tries again until the deadline.
    #[cfg(feature = "tokio")]
    pub(crate) async fn flush(&self, deadline: Duration) -> Result<(), Error> {
        match &self.0.store {
            CacheStore::Redis(redis) => redis.tokio().flush(end_of(deadline)).await,
            CacheStore::Cluster(cluster) => Box::pin(cluster.tokio().flush(end_of(deadline))).await,
            CacheStore::Memory(_) | CacheStore::Unusable(_) | CacheStore::Off(_) => Ok(()),
        }
    }

    /// [`flush`](Self::flush), blocking.
    #[cfg(feature = "blocking")]
    pub(crate) fn flush_blocking(&self, deadline: Duration) -> Result<(), Error> {
        match &self.0.store {
            CacheStore::Redis(redis) => crate::poll::block_on::block_on(redis.blocking().flush(end_of(deadline))),
            #[cfg(feature = "tokio")]
            CacheStore::Cluster(cluster) => crate::poll::block_on::block_on(cluster.blocking().flush(end_of(deadline))),
            CacheStore::Memory(_) | CacheStore::Unusable(_) | CacheStore::Off(_) => Ok(()),
        }
    }
}

/// The moment when a duration that starts now ends. Moments have an end; a duration may be longer.
fn end_of(deadline: Duration) -> Instant {
    Instant::now() + deadline.min(Duration::from_secs(24 * 60 * 60))
}

/// A cache that may be gone.
#[cfg(any(feature = "blocking", feature = "local", feature = "opentelemetry"))]
#[derive(Clone)]
pub(crate) struct WeakContext(Weak<Inner>);

#[cfg(any(feature = "blocking", feature = "local", feature = "opentelemetry"))]
impl WeakContext {
    pub(crate) fn upgrade(&self) -> Option<Context> {
        self.0.upgrade().map(Context)
    }
}

/// No panic leaves a cache in a state that harms its next user: locks recover from a panic, and programs share a cache
/// with code that panics. The pointers to other code inside would otherwise hide this.
impl UnwindSafe for Context {}
impl RefUnwindSafe for Context {}

/// The debug output says `Cache`, which is the name that users know.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("url", &self.0.display)
            .field("namespace", &self.0.namespace)
            .field("timeout", &self.0.timeout)
            .finish_non_exhaustive()
    }
}
