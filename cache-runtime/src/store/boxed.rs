//! A store of any type. Its operations are boxed futures: a call on another store has no room for them in its future, and
//! the crates with cached functions do not compile them.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Capabilities, EndRequest, MarkReply, Read, ReadMode, Release, Replies, Store, TakeReply, TakeRequest};
use crate::error::Error;
use crate::key::{Extent, Key};
use crate::stored::envelope::{Lease, Token};

/// A store of any type.
pub(crate) struct AnyStore(Box<dyn BoxedStore>);

impl AnyStore {
    pub(crate) fn new(store: impl Store + 'static) -> AnyStore {
        AnyStore(Box::new(store))
    }
}

/// The result of an operation, later.
type Boxed<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

/// Declares the operations of [`Store`], and makes each from that of a store.
macro_rules! boxed {
    (
        futures { $($verb:ident($($argument:ident: $type:ty),*) -> $output:ty;)* }
        direct { $($now:ident($($known:ident: $what:ty),*) $(-> $result:ty)?;)* }
    ) => {
        /// [`Store`], with boxed futures.
        trait BoxedStore: Send + Sync {
            $(fn $verb<'a>(&'a self, $($argument: $type),*) -> Boxed<'a, $output>;)*
            $(fn $now(&self, $($known: $what),*) $(-> $result)?;)*
        }

        impl<S: Store> BoxedStore for S {
            $(fn $verb<'a>(&'a self, $($argument: $type),*) -> Boxed<'a, $output> {
                Box::pin(Store::$verb(self, $($argument),*))
            })*
            $(fn $now(&self, $($known: $what),*) $(-> $result)? {
                Store::$now(self, $($known),*)
            })*
        }
    };
}

boxed! {
    futures {
        read(key: &'a Key, mode: ReadMode, by: Instant) -> Result<Read, Error>;
        read_many(keys: &'a [&'a Key], by: Instant) -> Replies<Read>;
        peek(key: &'a Key, by: Instant) -> Result<Option<Bytes>, Error>;
        stamp(tags: &'a [String], by: Instant) -> Result<Vec<Bytes>, Error>;
        take_many(requests: &'a [TakeRequest<'a>], by: Instant) -> Replies<TakeReply>;
        mark(key: &'a Key, id: Token, lease: &'a Lease, force: bool, by: Instant) -> Result<MarkReply, Error>;
        end_many(requests: &'a [EndRequest<'a>], by: Instant) -> Replies<bool>;
        renew_many(leases: &'a [(Key, Lease)], by: Instant) -> Replies<bool>;
        bound_many(leases: &'a [(Key, Lease)], by: Instant) -> ();
        invalidate(keys: &'a [Key], by: Instant) -> Result<u64, Error>;
        clear(extent: &'a Extent, each: Duration) -> Result<u64, Error>;
        count(group: &'a Key, most: u64, each: Duration) -> Result<u64, Error>;
        ping(by: Instant) -> Result<(), Error>;
    }
    direct {
        abandon(leases: Vec<(Key, Lease, Release)>);
        queue_invalidation(key: &Key);
        capabilities(key: &Key) -> Capabilities;
        refuses_writes(key: &Key) -> Option<Error>;
        now(key: &Key) -> u64;
    }
}

impl Store for AnyStore {
    async fn read(&self, key: &Key, mode: ReadMode, by: Instant) -> Result<Read, Error> {
        self.0.read(key, mode, by).await
    }

    async fn read_many(&self, keys: &[&Key], by: Instant) -> Replies<Read> {
        self.0.read_many(keys, by).await
    }

    async fn peek(&self, key: &Key, by: Instant) -> Result<Option<Bytes>, Error> {
        self.0.peek(key, by).await
    }

    async fn stamp(&self, tags: &[String], by: Instant) -> Result<Vec<Bytes>, Error> {
        self.0.stamp(tags, by).await
    }

    async fn take_many(&self, requests: &[TakeRequest<'_>], by: Instant) -> Replies<TakeReply> {
        self.0.take_many(requests, by).await
    }

    async fn mark(&self, key: &Key, id: Token, lease: &Lease, force: bool, by: Instant) -> Result<MarkReply, Error> {
        self.0.mark(key, id, lease, force, by).await
    }

    async fn end_many(&self, requests: &[EndRequest<'_>], by: Instant) -> Replies<bool> {
        self.0.end_many(requests, by).await
    }

    async fn renew_many(&self, leases: &[(Key, Lease)], by: Instant) -> Replies<bool> {
        self.0.renew_many(leases, by).await
    }

    async fn bound_many(&self, leases: &[(Key, Lease)], by: Instant) {
        self.0.bound_many(leases, by).await;
    }

    async fn invalidate(&self, keys: &[Key], by: Instant) -> Result<u64, Error> {
        self.0.invalidate(keys, by).await
    }

    async fn clear(&self, extent: &Extent, each: Duration) -> Result<u64, Error> {
        self.0.clear(extent, each).await
    }

    async fn count(&self, group: &Key, most: u64, each: Duration) -> Result<u64, Error> {
        self.0.count(group, most, each).await
    }

    async fn ping(&self, by: Instant) -> Result<(), Error> {
        self.0.ping(by).await
    }

    fn abandon(&self, leases: Vec<(Key, Lease, Release)>) {
        self.0.abandon(leases)
    }

    fn queue_invalidation(&self, key: &Key) {
        self.0.queue_invalidation(key)
    }

    fn capabilities(&self, key: &Key) -> Capabilities {
        self.0.capabilities(key)
    }

    fn refuses_writes(&self, key: &Key) -> Option<Error> {
        self.0.refuses_writes(key)
    }

    fn now(&self, key: &Key) -> u64 {
        self.0.now(key)
    }
}
