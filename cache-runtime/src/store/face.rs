//! The store that a cache is configured with, in one of its two faces.

use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::memory::MemoryStore;
use super::{Acquired, Asked, Ended, Marked, Over, Read, Release, Store};
use crate::error::Error;
use crate::key::{Extent, Key};
use crate::plan::ttl::Ttl;
use crate::stored::envelope::{Lease, Token};

/// `R` is the Redis store for async or for blocking callers; memory serves both.
#[derive(Debug)]
pub(crate) enum Face<'a, R> {
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
                    Face::Memory(store) => store.$verb($($argument,)* by).await,
                    Face::Redis(store) => store.$verb($($argument,)* by).await,
                    Face::Unusable(error) => Err(Error::clone(error)),
                    Face::Off(error) => off!(error $(, $off)?),
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
                    Face::Memory(store) => store.$verb($argument).await,
                    Face::Redis(store) => store.$verb($argument).await,
                    Face::Unusable(error) => $argument.iter().map(|_| Err(Error::clone(error))).collect(),
                    Face::Off(error) => $argument.iter().map(|_| off!(error $(, $off)?)).collect(),
                }
            }
        }
    )*};
}

impl<R: Store> Store for Face<'_, R> {
    delegate! {
        read(key: &Key) -> Read, off Read::untagged(None);
        read_strictly(key: &Key) -> Read, off Read::untagged(None);
        stamp(tags: &[String]) -> Vec<Bytes>;
        peek(key: &Key) -> Option<Bytes>;
        take(key: &Key, lease: &Lease, over: &Over) -> Acquired;
        mark(key: &Key, id: Token, lease: &Lease, force: bool) -> Marked;
        fill(key: &Key, lease: &Lease, value: Bytes, ttl: Ttl) -> bool;
        renew(key: &Key, lease: &Lease) -> bool;
        release(key: &Key, lease: &Lease, release: Release) -> bool;
        invalidate(keys: &[Key]) -> u64, off 0;
        count(group: &Key) -> u64, off 0;
        ping() -> ();
    }

    delegate_many! {
        read_many(keys: &[&Key]) -> Read, off Read::untagged(None);
        take_many(slots: &[Asked<'_>]) -> Acquired;
        end_many(slots: &[Ended<'_>]) -> bool;
        renew_many(leases: &[(Key, Lease)]) -> bool;
    }

    async fn clear(&self, extent: &Extent, each: Duration) -> Result<u64, Error> {
        match self {
            Face::Memory(store) => store.clear(extent, each).await,
            Face::Redis(store) => store.clear(extent, each).await,
            Face::Unusable(error) => Err(Error::clone(error)),
            Face::Off(_) => Ok(0),
        }
    }

    fn may_take_first(&self, key: &Key) -> bool {
        match self {
            Face::Memory(store) => store.may_take_first(key),
            Face::Redis(store) => store.may_take_first(key),
            Face::Unusable(_) | Face::Off(_) => false,
        }
    }

    fn shares_reads(&self, key: &Key) -> bool {
        match self {
            Face::Memory(store) => store.shares_reads(key),
            Face::Redis(store) => store.shares_reads(key),
            Face::Unusable(_) | Face::Off(_) => false,
        }
    }

    fn abandon(&self, key: &Key, lease: &Lease, release: Release) {
        match self {
            Face::Memory(store) => store.abandon(key, lease, release),
            Face::Redis(store) => store.abandon(key, lease, release),
            Face::Unusable(_) | Face::Off(_) => {}
        }
    }

    fn abandon_many(&self, leases: Vec<(Key, Lease, Release)>) {
        match self {
            Face::Memory(store) => store.abandon_many(leases),
            Face::Redis(store) => store.abandon_many(leases),
            Face::Unusable(_) | Face::Off(_) => {}
        }
    }

    fn queue_invalidation(&self, key: &Key) {
        match self {
            Face::Memory(store) => store.queue_invalidation(key),
            Face::Redis(store) => store.queue_invalidation(key),
            Face::Unusable(_) | Face::Off(_) => {}
        }
    }

    fn at(&self, time: Instant) -> u64 {
        match self {
            Face::Memory(store) => store.at(time),
            Face::Redis(store) => store.at(time),
            Face::Unusable(_) | Face::Off(_) => 0,
        }
    }

    fn not_before(&self) -> u64 {
        match self {
            Face::Memory(store) => store.not_before(),
            Face::Redis(store) => store.not_before(),
            Face::Unusable(_) | Face::Off(_) => 0,
        }
    }
}
