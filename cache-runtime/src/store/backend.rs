//! The store of a cache, as one of its two faces reaches it.

use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;

#[cfg(feature = "tokio")]
use super::boxed::AnyStore;
use super::memory::MemoryStore;
use super::{
    Capabilities, EndRequest, MarkReply, Read, ReadMode, Release, Replies, Store, TakeReply, TakeRequest, Times,
};
use crate::error::Error;
use crate::key::{Extent, Key};
use crate::stored::envelope::{Lease, Token};

/// `R` is the Redis store for async or for blocking callers; memory serves both.
pub(crate) enum Backend<'a, R> {
    Memory(&'a MemoryStore),
    Redis(&'a R),
    #[cfg(feature = "tokio")]
    Cluster(&'a AnyStore),
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

/// Delegates each operation to the store.
macro_rules! delegate {
    ($($verb:ident($($argument:ident: $type:ty),*) -> $output:ty $(, off $off:expr)?;)*) => {$(
        fn $verb(&self, $($argument: $type),*) -> impl Future<Output = Result<$output, Error>> + Send {
            async move {
                match self {
                    Backend::Memory(store) => store.$verb($($argument),*).await,
                    Backend::Redis(store) => store.$verb($($argument),*).await,
                    #[cfg(feature = "tokio")]
                    Backend::Cluster(store) => store.$verb($($argument),*).await,
                    Backend::Unusable(error) => Err(Error::clone(error)),
                    Backend::Off(error) => off!(error $(, $off)?),
                }
            }
        }
    )*};
}

macro_rules! delegate_many {
    ($($verb:ident($argument:ident: $type:ty) -> $output:ty $(, off $off:expr)?;)*) => {$(
        fn $verb(&self, $argument: $type, by: Instant) -> impl Future<Output = Replies<$output>> + Send {
            async move {
                match self {
                    Backend::Memory(store) => store.$verb($argument, by).await,
                    Backend::Redis(store) => store.$verb($argument, by).await,
                    #[cfg(feature = "tokio")]
                    Backend::Cluster(store) => store.$verb($argument, by).await,
                    Backend::Unusable(error) => $argument.iter().map(|_| Err(Error::clone(error))).collect(),
                    Backend::Off(error) => $argument.iter().map(|_| off!(error $(, $off)?)).collect(),
                }
            }
        }
    )*};
}

macro_rules! delegate_now {
    ($($verb:ident($($argument:ident: $type:ty),*) $(-> $output:ty)?, else $other:expr;)*) => {$(
        fn $verb(&self, $($argument: $type),*) $(-> $output)? {
            match self {
                Backend::Memory(store) => store.$verb($($argument),*),
                Backend::Redis(store) => store.$verb($($argument),*),
                #[cfg(feature = "tokio")]
                Backend::Cluster(store) => store.$verb($($argument),*),
                Backend::Unusable(_) | Backend::Off(_) => $other,
            }
        }
    )*};
}

impl<R: Store> Store for Backend<'_, R> {
    delegate! {
        read(key: &Key, mode: ReadMode, by: Instant) -> Read, off Read::untagged(None, Times::default());
        peek(key: &Key, by: Instant) -> Option<Bytes>;
        stamp(tags: &[String], by: Instant) -> Vec<Bytes>;
        mark(key: &Key, id: Token, lease: &Lease, force: bool, by: Instant) -> MarkReply;
        invalidate(keys: &[Key], by: Instant) -> u64, off 0;
        clear(extent: &Extent, each: Duration) -> u64, off 0;
        count(group: &Key, most: u64, each: Duration) -> u64, off 0;
        ping(by: Instant) -> ();
    }

    delegate_many! {
        read_many(keys: &[&Key]) -> Read, off Read::untagged(None, Times::default());
        take_many(requests: &[TakeRequest<'_>]) -> TakeReply;
        end_many(requests: &[EndRequest<'_>]) -> bool;
        renew_many(leases: &[(Key, Lease)]) -> bool;
    }

    async fn bound_many(&self, leases: &[(Key, Lease)], by: Instant) {
        match self {
            Backend::Redis(store) => store.bound_many(leases, by).await,
            #[cfg(feature = "tokio")]
            Backend::Cluster(store) => store.bound_many(leases, by).await,
            Backend::Memory(_) | Backend::Unusable(_) | Backend::Off(_) => {}
        }
    }

    delegate_now! {
        abandon(leases: Vec<(Key, Lease, Release)>), else ();
        queue_invalidation(key: &Key), else ();
        capabilities(key: &Key) -> Capabilities, else Capabilities::default();
        refuses_writes(key: &Key) -> Option<Error>, else None;
        now(key: &Key) -> u64, else 0;
        keeps_values() -> bool, else false;
    }
}
