//! The store of a cache, as one of its two faces reaches it.

use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::memory::MemoryStore;
use super::{EndRequest, MarkReply, Precondition, Read, Release, Store, TakeReply, TakeRequest};
use crate::error::Error;
use crate::key::{Extent, Key};
use crate::plan::ttl::Ttl;
use crate::stored::envelope::{Lease, Token};

/// `R` is the Redis store for async or for blocking callers; memory serves both.
#[derive(Debug)]
pub(crate) enum Backend<'a, R> {
    Memory(&'a MemoryStore),
    Redis(&'a R),
    Unusable(&'a Error),
    /// Holds nothing and stores nothing; the error is the answer of every operation that would store something.
    Off(&'a Error),
}

/// The answer of a cache that is off.
macro_rules! off {
    ($error:ident) => {
        Err(Error::clone($error))
    };
    ($error:ident, $answer:expr) => {{
        let _: &Error = $error;
        Ok($answer)
    }};
}

/// Delegates each operation to the store of the face.
macro_rules! delegate {
    ($($verb:ident($($argument:ident: $type:ty),*) -> $output:ty $(, off $off:expr)?;)*) => {$(
        fn $verb(&self, $($argument: $type,)* by: Instant) -> impl Future<Output = Result<$output, Error>> + Send {
            async move {
                match self {
                    Backend::Memory(store) => store.$verb($($argument,)* by).await,
                    Backend::Redis(store) => store.$verb($($argument,)* by).await,
                    Backend::Unusable(error) => Err(Error::clone(error)),
                    Backend::Off(error) => off!(error $(, $off)?),
                }
            }
        }
    )*};
}

macro_rules! delegate_many {
    ($($verb:ident($argument:ident: $type:ty) -> $output:ty $(, off $off:expr)?;)*) => {$(
        fn $verb(&self, $argument: $type) -> impl Future<Output = Vec<Result<$output, Error>>> + Send {
            async move {
                match self {
                    Backend::Memory(store) => store.$verb($argument).await,
                    Backend::Redis(store) => store.$verb($argument).await,
                    Backend::Unusable(error) => $argument.iter().map(|_| Err(Error::clone(error))).collect(),
                    Backend::Off(error) => $argument.iter().map(|_| off!(error $(, $off)?)).collect(),
                }
            }
        }
    )*};
}

impl<R: Store> Store for Backend<'_, R> {
    delegate! {
        read(key: &Key) -> Read, off Read::untagged(None);
        read_strictly(key: &Key) -> Read, off Read::untagged(None);
        stamp(tags: &[String]) -> Vec<Bytes>;
        peek(key: &Key) -> Option<Bytes>;
        take(key: &Key, lease: &Lease, precondition: &Precondition) -> TakeReply;
        mark(key: &Key, id: Token, lease: &Lease, force: bool) -> MarkReply;
        fill(key: &Key, lease: &Lease, value: Bytes, ttl: Ttl) -> bool;
        renew(key: &Key, lease: &Lease) -> bool;
        release(key: &Key, lease: &Lease, release: Release) -> bool;
        invalidate(keys: &[Key]) -> u64, off 0;
        count(group: &Key) -> u64, off 0;
        ping() -> ();
    }

    delegate_many! {
        read_many(keys: &[&Key]) -> Read, off Read::untagged(None);
        take_many(slots: &[TakeRequest<'_>]) -> TakeReply;
        end_many(slots: &[EndRequest<'_>]) -> bool;
        renew_many(leases: &[(Key, Lease)]) -> bool;
    }

    async fn clear(&self, extent: &Extent, each: Duration) -> Result<u64, Error> {
        match self {
            Backend::Memory(store) => store.clear(extent, each).await,
            Backend::Redis(store) => store.clear(extent, each).await,
            Backend::Unusable(error) => Err(Error::clone(error)),
            Backend::Off(_) => Ok(0),
        }
    }

    fn may_take_first(&self, key: &Key) -> bool {
        match self {
            Backend::Memory(store) => store.may_take_first(key),
            Backend::Redis(store) => store.may_take_first(key),
            Backend::Unusable(_) | Backend::Off(_) => false,
        }
    }

    fn shares_reads(&self, key: &Key) -> bool {
        match self {
            Backend::Memory(store) => store.shares_reads(key),
            Backend::Redis(store) => store.shares_reads(key),
            Backend::Unusable(_) | Backend::Off(_) => false,
        }
    }

    fn abandon(&self, key: &Key, lease: &Lease, release: Release) {
        match self {
            Backend::Memory(store) => store.abandon(key, lease, release),
            Backend::Redis(store) => store.abandon(key, lease, release),
            Backend::Unusable(_) | Backend::Off(_) => {}
        }
    }

    fn abandon_many(&self, leases: Vec<(Key, Lease, Release)>) {
        match self {
            Backend::Memory(store) => store.abandon_many(leases),
            Backend::Redis(store) => store.abandon_many(leases),
            Backend::Unusable(_) | Backend::Off(_) => {}
        }
    }

    fn queue_invalidation(&self, key: &Key) {
        match self {
            Backend::Memory(store) => store.queue_invalidation(key),
            Backend::Redis(store) => store.queue_invalidation(key),
            Backend::Unusable(_) | Backend::Off(_) => {}
        }
    }

    fn at(&self, time: Instant) -> u64 {
        match self {
            Backend::Memory(store) => store.at(time),
            Backend::Redis(store) => store.at(time),
            Backend::Unusable(_) | Backend::Off(_) => 0,
        }
    }

    fn not_before(&self) -> u64 {
        match self {
            Backend::Memory(store) => store.not_before(),
            Backend::Redis(store) => store.not_before(),
            Backend::Unusable(_) | Backend::Off(_) => 0,
        }
    }
}
