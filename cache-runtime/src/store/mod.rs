//! The operations of a backend of bytes. The backend knows nothing about values or functions.
//!
//! A slot (one Redis key, or a field of a hash for an entry in a group) is empty, or holds a lease or a value;
//! `envelope` has their bytes. A value enters a slot only through [`Store::fill`], which the slot's current lease
//! permits: emptying or overwriting the slot in the meantime voids the fill.
//!
//! A lease has one of two places: an empty slot, where [`Store::take`] puts it, or the header of a value that stays
//! readable, where [`Store::mark`] puts it. The later operations on the lease depend on its place.
//!
//! A tag is identified by its *stamp*, random bytes in a slot of their own. An entry's tags are unchanged if the hash
//! over their stamps, the seal, equals that of the entry. Deleting a tag's stamp invalidates every entry under the tag,
//! because the next stamp is different.

use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;

pub(crate) use self::results::Results;
use crate::error::{Error, ErrorKind};
use crate::key::{Extent, Key};
use crate::plan::ttl::Ttl;
use crate::stored::envelope::{self, Lease, Seal, Token};

pub(crate) mod backend;
#[cfg(feature = "tokio")]
pub(crate) mod boxed;
#[cfg(all(test, feature = "tokio", feature = "blocking"))]
mod conformance;
pub(crate) mod memory;
pub(crate) mod redis;
mod results;
#[cfg(feature = "_rustls")]
pub(crate) mod tls;
#[cfg(feature = "local")]
pub(crate) mod tracking;
pub(crate) mod url;

/// The store's times for what it returns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// A time of the store's clock that is not before its reply: the deadline of the operation. A value that is fresh
    /// then is fresh now, so most hits do not read a clock.
    pub(crate) latest: u64,
    /// The horizon: values leased before this time are misses, because invalidations were lost when too many could not
    /// be delivered. 0 if none are.
    pub(crate) not_before: u64,
}

/// The result of `read`.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) bytes: Option<Bytes>,
    /// The seal of the tags that follow from the arguments; `None` if one of them has no stamp, which is true of no
    /// entry.
    pub(crate) seal: Option<Seal>,
    /// The seal of the tags that the value has of its own.
    pub(crate) own_seal: Option<Seal>,
    pub(crate) times: Times,
}

impl Read {
    /// The read of an entry without tags.
    pub(crate) fn untagged(bytes: Option<Bytes>, times: Times) -> Read {
        Read { bytes, seal: Some(Seal::default()), own_seal: Some(Seal::default()), times }
    }
}

/// The condition under which a slot is leased.
#[derive(Clone, Debug)]
pub(crate) enum Precondition {
    /// The slot is empty.
    Empty,
    /// The slot still holds these bytes, which the caller read as a miss. The first 64 bytes and the length are
    /// compared, so that a lease or a value written since then stays.
    Unchanged(Bytes),
    /// There is none: the slot may hold anything.
    Any,
}

/// A slot of a `take_many`.
#[derive(Clone, Debug)]
pub(crate) struct TakeRequest<'a> {
    pub(crate) key: &'a Key,
    pub(crate) lease: Lease,
    pub(crate) precondition: Precondition,
}

/// A lease of an `end_many`.
#[derive(Clone, Debug)]
pub(crate) struct EndRequest<'a> {
    pub(crate) key: &'a Key,
    pub(crate) lease: Lease,
    pub(crate) end: End,
}

/// The end of a lease.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// The value is stored. It replaces the one that the lease is in. The stamps of its tags live at least as long as
    /// it.
    Fill(Bytes, Ttl),
    /// The slot is emptied; [`Release`] applies to the value that the lease is in.
    Release(Release),
}

/// The result of `take`.
#[derive(Debug)]
pub(crate) enum TakeReply {
    /// The slot now holds this caller's lease.
    Taken,
    /// Another caller was first; the content of the slot, as if the entry had no tags.
    Held(Read),
    /// The slot changed since it was read: the caller reads again.
    Changed,
}

/// The result of `mark`.
#[derive(Debug)]
pub(crate) enum MarkReply {
    /// This caller refreshes the value.
    Taken,
    /// Another caller refreshes the value, or pauses after a failure, until this time of the store's clock in
    /// milliseconds.
    Until(u64),
    /// The slot holds another value, a lease, or nothing: the caller reads again.
    Changed,
}

/// The fate of the value that a released lease is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// The value stays, and no caller refreshes it for this number of milliseconds.
    Pause(u64),
    /// The value is removed.
    Remove,
}

/// The lifetime of the stamp of a tag under which no value was stored: longer than bodies run.
pub(crate) const STAMP_MILLIS: u64 = 3_600_000;

/// The way in which a slot is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadMode {
    /// The read may be coalesced with others. A key of the wrong type may look like an empty slot: the lease request
    /// then gets the error.
    Shared,
    /// A key of the wrong type is always an error.
    Exact,
}

/// The properties of a store that decide how the engine uses it, for one key at this moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Capabilities {
    /// A first look at the slot may also [take](Store::take_many) it when it is empty. If the slot is not empty, the
    /// result equals a read of an entry without tags.
    pub(crate) takes_first: bool,
    /// Simultaneous reads of this entry are coalesced, which makes a read cheaper than a [take](Store::take_many).
    pub(crate) shares_reads: bool,
}

/// The keys of the stamps of the tags that a value has of its own.
pub(crate) fn own_tags(key: &Key, value: &[u8]) -> Vec<String> {
    let names = envelope::own_tags(value);
    if names.is_empty() { Vec::new() } else { names.into_iter().map(|name| key.tag_key(name)).collect() }
}

/// The results of an operation on many slots: one for each request, in their order.
pub(crate) type Replies<R> = Results<Result<R, Error>>;

/// The most slots, or stamps, in one round trip. A single command for a million keys would keep a server from its other
/// clients for a second.
pub(crate) const MOST: usize = 1024;

/// A backend. Each operation ends by its deadline `by`, connecting included, and each may be dropped at any await: a
/// request that was sent may or may not have been applied. If a request or a fill of a lease fails, the store ensures
/// that the lease does not remain.
///
/// An operation on many slots, `…_many`, may take several round trips: `by` is the deadline of the first, and each
/// later one has the time-out of the store. After a failure it makes no more. The operations on one slot are provided: for a store, one request is a batch of one.
///
/// # Wrappers
///
/// A store may be made of other stores: a router over the nodes of a cluster, a tier in front of a server. Every
/// operation says which keys it is for, so that a router can choose the node: a key, or a tag's key, in an argument or in
/// each request of many, which it groups by node. [`clear`](Store::clear) and [`ping`](Store::ping) concern all nodes.
pub(crate) trait Store: Send + Sync {
    /// Returns the bytes in the slot, and the seals of its tags.
    fn read(&self, key: &Key, mode: ReadMode, by: Instant) -> impl Future<Output = Result<Read, Error>> + Send;

    /// Does [`read`](Store::read) for many slots, in mode [`Shared`](ReadMode::Shared).
    fn read_many(&self, keys: &[&Key], by: Instant) -> impl Future<Output = Replies<Read>> + Send;

    /// Returns the first [`HEAD_LEN`](crate::stored::envelope::HEAD_LEN) bytes in the slot, at the same cost whatever
    /// its size. It does not look for undelivered invalidations: a caller that acts on the result reads afterwards.
    fn peek(&self, key: &Key, by: Instant) -> impl Future<Output = Result<Option<Bytes>, Error>> + Send;

    /// Returns the stamps of the tags with these keys; a tag without a stamp gets one.
    fn stamp(&self, tags: &[String], by: Instant) -> impl Future<Output = Result<Vec<Bytes>, Error>> + Send;

    /// Takes slots that are empty or hold replaceable content, which voids every fill in flight.
    fn take_many(&self, requests: &[TakeRequest<'_>], by: Instant) -> impl Future<Output = Replies<TakeReply>> + Send;

    /// Takes the value `id`, which stays readable, to refresh it. `force` takes it from a caller that refreshes it or
    /// pauses. A value about to expire lives on for as long as the lease.
    fn mark(
        &self,
        key: &Key,
        id: Token,
        lease: &Lease,
        force: bool,
        by: Instant,
    ) -> impl Future<Output = Result<MarkReply, Error>> + Send;

    /// Ends leases that the slots still hold; for another slot, the result is false. See [`End`].
    fn end_many(&self, requests: &[EndRequest<'_>], by: Instant) -> impl Future<Output = Replies<bool>> + Send;

    /// Restarts the time of leases that the slots still hold; for another slot, the result is false. The value that a
    /// lease is in lives at least as long.
    fn renew_many(&self, leases: &[(Key, Lease)], by: Instant) -> impl Future<Output = Replies<bool>> + Send;

    /// Gives an end to leases in [`Slot`](crate::stored::envelope::LeasePlace::Slot)s that have none: their keys were made
    /// persistent, or restored from a dump, and their holders are gone. A lease that is held is renewed, and so has an
    /// end. Errors are left to the operations on these slots that follow.
    fn bound_many(&self, leases: &[(Key, Lease)], by: Instant) -> impl Future<Output = ()> + Send;

    /// Releases leases without waiting for it: for the `Drop` of a leader that was cancelled or panicked.
    fn abandon(&self, leases: Vec<(Key, Lease, Release)>);

    /// Empties the slots, which may be whole groups, or stamps, and returns the number of slots that held something. If
    /// it fails, the keys are kept and emptied before anything that they concern is read again.
    fn invalidate(&self, keys: &[Key], by: Instant) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Keeps the key to be invalidated before anything is read from it again: for a caller that cannot wait, or that
    /// failed to invalidate it.
    fn queue_invalidation(&self, key: &Key);

    /// Empties all slots of the extent that hold something from the start of this call to its end, leases included, and
    /// perhaps others of it; returns their number. Each round trip may take `each`. After a failure, the slots that it
    /// has not reached stay.
    fn clear(&self, extent: &Extent, each: Duration) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Returns the number of values in a group. It may stop once it has found `most`. Each round trip may take `each`.
    fn count(&self, group: &Key, most: u64, each: Duration) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Checks that the store answers, and that it lets the cache store entries as far as is known.
    fn ping(&self, by: Instant) -> impl Future<Output = Result<(), Error>> + Send;

    fn capabilities(&self, key: &Key) -> Capabilities;

    /// The reason why the slot can neither be filled nor given back at the moment, as far as is known.
    fn refuses_writes(&self, _: &Key) -> Option<Error> {
        None
    }

    /// Returns true if values stay in the allocations in which they are handed over.
    fn keeps_values(&self) -> bool {
        false
    }

    /// The store's clock, in milliseconds since the Unix epoch.
    fn now(&self, key: &Key) -> u64;

    /// Does [`take_many`](Store::take_many) for one slot.
    fn take(
        &self,
        key: &Key,
        lease: &Lease,
        precondition: &Precondition,
        by: Instant,
    ) -> impl Future<Output = Result<TakeReply, Error>> + Send {
        async move {
            let request = TakeRequest { key, lease: *lease, precondition: precondition.clone() };
            only(self.take_many(&[request], by).await)
        }
    }

    /// Stores `value` in place of the lease: does [`end_many`](Store::end_many) for one slot.
    fn fill(
        &self,
        key: &Key,
        lease: &Lease,
        value: Bytes,
        ttl: Ttl,
        by: Instant,
    ) -> impl Future<Output = Result<bool, Error>> + Send {
        async move { only(self.end_many(&[EndRequest { key, lease: *lease, end: End::Fill(value, ttl) }], by).await) }
    }

    /// Ends the lease without a value: does [`end_many`](Store::end_many) for one slot.
    #[cfg(test)]
    fn release(
        &self,
        key: &Key,
        lease: &Lease,
        release: Release,
        by: Instant,
    ) -> impl Future<Output = Result<bool, Error>> + Send {
        async move { only(self.end_many(&[EndRequest { key, lease: *lease, end: End::Release(release) }], by).await) }
    }

    /// Does [`renew_many`](Store::renew_many) for one lease.
    #[cfg(test)]
    fn renew(&self, key: &Key, lease: &Lease, by: Instant) -> impl Future<Output = Result<bool, Error>> + Send {
        async move { only(self.renew_many(&[(key.clone(), *lease)], by).await) }
    }
}

/// The result of the only request of a batch.
fn only<R>(replies: Replies<R>) -> Result<R, Error> {
    // A store returns as many results as there are requests.
    replies.only().unwrap_or_else(|| Err(Error::new(ErrorKind::Protocol, "the store returned no result")))
}
