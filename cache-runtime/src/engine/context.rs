//! The engine's view of a cache: its store, its time-out, and the flights and refreshes of this process.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
#[cfg(feature = "blocking")]
use std::sync::Weak;
use std::time::{Duration, Instant};

use super::events::Counters;
use super::flight::{Flights, Refreshing};
#[cfg(feature = "blocking")]
use super::renewer::Renewer;
use crate::error::Error;
use crate::store::backend::Backend;
use crate::store::memory::MemoryStore;
use crate::store::redis::Redis;
#[cfg(feature = "tokio")]
use crate::store::redis::cluster::Cluster;

/// A handle of a cache. Clones are the same cache.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    store: CacheStore,
    namespace: String,
    timeout: Duration,
    display: String,
    counters: Counters,
    flights: Arc<Flights>,
    refreshing: Arc<Refreshing>,
    #[cfg(feature = "blocking")]
    renewer: Renewer,
}

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
    pub(crate) fn new(store: CacheStore, namespace: String, timeout: Duration, display: String) -> Context {
        Context(Arc::new(Inner {
            store,
            namespace,
            timeout,
            display,
            counters: Counters::default(),
            flights: Arc::default(),
            refreshing: Arc::default(),
            #[cfg(feature = "blocking")]
            renewer: Renewer::default(),
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

    pub(crate) fn namespace(&self) -> &str {
        &self.0.namespace
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
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

    #[cfg(feature = "blocking")]
    pub(crate) fn downgrade(&self) -> WeakContext {
        WeakContext(Arc::downgrade(&self.0))
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn tokio_store(&self) -> Backend<'_, crate::store::redis::TokioStore> {
        match &self.0.store {
            CacheStore::Memory(memory) => Backend::Memory(memory),
            CacheStore::Redis(redis) => Backend::Redis(redis.tokio()),
            CacheStore::Cluster(cluster) => Backend::Cluster(cluster.any_tokio()),
            CacheStore::Unusable(error) => Backend::Unusable(error),
            CacheStore::Off(error) => Backend::Off(error),
        }
    }

    #[cfg(feature = "blocking")]
    pub(crate) fn blocking_store(&self) -> Backend<'_, crate::store::redis::BlockingStore> {
        match &self.0.store {
            CacheStore::Memory(memory) => Backend::Memory(memory),
            CacheStore::Redis(redis) => Backend::Redis(redis.blocking()),
            #[cfg(feature = "tokio")]
            CacheStore::Cluster(cluster) => Backend::Cluster(cluster.any_blocking()),
            CacheStore::Unusable(error) => Backend::Unusable(error),
            CacheStore::Off(error) => Backend::Off(error),
        }
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
#[cfg(feature = "blocking")]
pub(crate) struct WeakContext(Weak<Inner>);

#[cfg(feature = "blocking")]
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
