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

use crate::error::Error;
use crate::key::{Extent, Key};
use crate::plan::ttl::Ttl;
use crate::stored::envelope::{self, Lease, Seal, Token};

pub(crate) mod backend;
#[cfg(all(test, feature = "tokio", feature = "blocking"))]
mod conformance;
pub(crate) mod memory;
pub(crate) mod redis;
pub(crate) mod url;

/// The result of `read`.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) bytes: Option<Bytes>,
    /// The seal of the tags that follow from the arguments; `None` if one of them has no stamp, which is true of no
    /// entry.
    pub(crate) seal: Option<Seal>,
    /// The seal of the tags that the value has of its own.
    pub(crate) own_seal: Option<Seal>,
}

impl Read {
    /// The read of an entry without tags.
    pub(crate) fn untagged(bytes: Option<Bytes>) -> Read {
        Read { bytes, seal: Some(Seal::default()), own_seal: Some(Seal::default()) }
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
#[derive(Debug)]
pub(crate) struct TakeRequest<'a> {
    pub(crate) key: &'a Key,
    pub(crate) lease: Lease,
    pub(crate) precondition: Precondition,
}

/// A lease of an `end_many`.
#[derive(Debug)]
pub(crate) struct EndRequest<'a> {
    pub(crate) key: &'a Key,
    pub(crate) lease: Lease,
    pub(crate) end: End,
}

/// The end of a lease.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Fill(Bytes, Ttl),
    Release(Release),
}

/// The result of `take`.
#[derive(Debug)]
pub(crate) enum TakeReply {
    /// The slot now holds this caller's lease.
    Taken,
    /// Another caller was first; the bytes that the slot holds.
    Held(Bytes),
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

/// The keys of the stamps of the tags that a value has of its own.
pub(crate) fn own_tags(key: &Key, value: &[u8]) -> Vec<String> {
    let names = envelope::own_tags(value);
    if names.is_empty() { Vec::new() } else { names.into_iter().map(|name| key.tag_key(name)).collect() }
}

/// A backend. Each operation ends by its deadline `by`, connecting included, and each may be dropped at any await: a
/// request that was sent may or may not have been applied. If a request or a fill of a lease fails, the store ensures
/// that the lease does not remain.
pub(crate) trait Store: Send + Sync {
    /// Returns the bytes in the slot, and the seals of its tags. A key of the wrong type is an error, or looks like an
    /// empty slot: the lease request then gets the error.
    fn read(&self, key: &Key, by: Instant) -> impl Future<Output = Result<Read, Error>> + Send;

    /// Does the same as [`read`](Self::read), but a key of the wrong type is always an error.
    fn read_strictly(&self, key: &Key, by: Instant) -> impl Future<Output = Result<Read, Error>> + Send {
        self.read(key, by)
    }

    /// Returns the stamps of the tags with these keys; a tag without a stamp gets one.
    fn stamp(&self, tags: &[String], by: Instant) -> impl Future<Output = Result<Vec<Bytes>, Error>> + Send;

    /// Returns the first [`HEAD_LEN`](crate::stored::envelope::HEAD_LEN) bytes in the slot, at the same cost whatever
    /// its size. It does not look for undelivered invalidations: a caller that acts on the result reads afterwards.
    fn peek(&self, key: &Key, by: Instant) -> impl Future<Output = Result<Option<Bytes>, Error>> + Send;

    /// Takes a slot that is empty or holds replaceable content, which voids every fill in flight.
    fn take(
        &self,
        key: &Key,
        lease: &Lease,
        precondition: &Precondition,
        by: Instant,
    ) -> impl Future<Output = Result<TakeReply, Error>> + Send;

    /// Returns true if a first look at the slot may also [take](Store::take) it when it is empty. If the slot is not
    /// empty, the result equals a read of an entry without tags.
    fn may_take_first(&self, key: &Key) -> bool;

    /// Returns true if simultaneous reads of this entry are coalesced, which makes a read cheaper than a
    /// [take](Store::take).
    fn shares_reads(&self, key: &Key) -> bool;

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

    /// Stores `value` if the slot still holds `lease`; otherwise returns false. The new value replaces the one that the
    /// lease is in. The stamps of its tags live at least as long as it.
    fn fill(
        &self,
        key: &Key,
        lease: &Lease,
        value: Bytes,
        ttl: Ttl,
        by: Instant,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Restarts the lease's time if the slot still holds it; otherwise returns false. The value that the lease is in
    /// lives at least as long.
    fn renew(&self, key: &Key, lease: &Lease, by: Instant) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Empties the slot if it still holds `lease`; otherwise returns false. `release` applies to the value that the
    /// lease is in.
    fn release(
        &self,
        key: &Key,
        lease: &Lease,
        release: Release,
        by: Instant,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Empties the slots, which may be whole groups, or stamps, and returns the number of slots that held something. If
    /// it fails, the keys are kept and emptied before anything that they concern is read again.
    fn invalidate(&self, keys: &[Key], by: Instant) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Does [`read`](Store::read) for many slots. Like the other operations on many slots, it may take several round
    /// trips, each with its own time-out; after a failure it makes no more.
    fn read_many(&self, keys: &[&Key]) -> impl Future<Output = Vec<Result<Read, Error>>> + Send;

    /// Does [`take`](Store::take) for many slots.
    fn take_many(&self, slots: &[TakeRequest<'_>]) -> impl Future<Output = Vec<Result<TakeReply, Error>>> + Send;

    /// Does [`fill`](Store::fill) or [`release`](Store::release) for many slots.
    fn end_many(&self, slots: &[EndRequest<'_>]) -> impl Future<Output = Vec<Result<bool, Error>>> + Send;

    /// Does [`renew`](Store::renew) for many leases.
    fn renew_many(&self, leases: &[(Key, Lease)]) -> impl Future<Output = Vec<Result<bool, Error>>> + Send;

    /// Returns the number of values in a group.
    fn count(&self, group: &Key, by: Instant) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Empties all slots of the extent that hold something from the start of this call to its end, leases included, and
    /// perhaps others of it; returns their number. Each round trip may take `each`. After a failure, the slots that it
    /// has not reached stay.
    fn clear(&self, extent: &Extent, each: Duration) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Checks that the store answers at all.
    fn ping(&self, by: Instant) -> impl Future<Output = Result<(), Error>> + Send;

    /// Releases the lease without waiting for it: for the `Drop` of a leader that was cancelled or panicked.
    fn abandon(&self, key: &Key, lease: &Lease, release: Release);

    /// Does the same for many leases.
    fn abandon_many(&self, leases: Vec<(Key, Lease, Release)>);

    /// Keeps the key to be invalidated before anything is read from it again: for a caller that cannot wait, or that
    /// failed to invalidate it.
    fn queue_invalidation(&self, key: &Key);

    /// The store's clock, in milliseconds since the Unix epoch.
    fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    /// The store's clock at a time that the caller has already read.
    fn at(&self, time: Instant) -> u64;

    /// Values leased before this time (in the store's clock) are misses; 0 if none are. It is set when invalidations
    /// were lost because too many could not be delivered.
    fn not_before(&self) -> u64;
}
