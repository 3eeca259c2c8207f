//! What a backend of bytes can do, and nothing about values or functions.
//!
//! A slot (one Redis key, or a field of a hash for an entry in a group) is empty, or holds a lease
//! or a value; `envelope` has their bytes. A value enters a slot only through [`Store::fill`], which the slot's current lease permits:
//! whoever empties or overwrites the slot in the meantime voids the fill.
//!
//! A lease has one of two places: an empty slot, which [`Store::take`] puts it into, or the header of a value that stays readable, [`Store::mark`].
//! What is done with it afterwards goes by its place.
//!
//! A tag is told by its *stamp*, random bytes in a slot of their own. An entry's tags are as they
//! were if the hash over their stamps, its seal, is that of the entry. Whoever empties a stamp's slot
//! invalidates all entries under the tag: the next stamp is another one.

use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::error::Error;
use crate::key::{Extent, Key};
use crate::plan::ttl::Ttl;
use crate::stored::envelope::{self, Lease, Seal, Token};

#[cfg(all(test, feature = "tokio", feature = "blocking"))]
mod conformance;
pub(crate) mod face;
pub(crate) mod memory;
pub(crate) mod redis;
pub(crate) mod url;

/// What `read` found.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) bytes: Option<Bytes>,
    /// Of the tags that follow from the arguments; `None` if one of them has no stamp, which is
    /// what no entry has.
    pub(crate) seal: Option<Seal>,
    /// Of the tags that the value has of its own.
    pub(crate) own_seal: Option<Seal>,
}

impl Read {
    /// Of an entry without tags.
    pub(crate) fn untagged(bytes: Option<Bytes>) -> Read {
        Read { bytes, seal: Some(Seal::default()), own_seal: Some(Seal::default()) }
    }
}

/// What a lease may take the place of.
#[derive(Clone, Debug)]
pub(crate) enum Over {
    /// Nothing: the slot is empty.
    Nothing,
    /// Something that is a miss for the caller, as it was read. The first 64 bytes and the length are
    /// compared, so that a lease or a value written since then stays.
    Seen(Bytes),
    /// Whatever is there.
    Anything,
}

/// One of many slots that are taken.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) key: &'a Key,
    pub(crate) lease: Lease,
    pub(crate) over: Over,
}

/// One of many leases that end.
#[derive(Debug)]
pub(crate) struct Ended<'a> {
    pub(crate) key: &'a Key,
    pub(crate) lease: Lease,
    pub(crate) end: End,
}

/// How a lease ends.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Fill(Bytes, Ttl),
    Release(Release),
}

/// What `take` found.
#[derive(Debug)]
pub(crate) enum Acquired {
    /// The slot holds our lease now.
    Taken,
    /// Somebody was there first; the bytes that the slot holds.
    Held(Bytes),
    /// The slot changed since it was read: read again.
    Changed,
}

/// What `mark` found.
#[derive(Debug)]
pub(crate) enum Marked {
    /// The value is ours to refresh.
    Taken,
    /// Somebody refreshes it, or failed to and pauses, until then: milliseconds of the store's
    /// clock.
    Until(u64),
    /// Another value, a lease, or nothing: read again.
    Changed,
}

/// What becomes of the value that a released lease is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// It stays, and nobody is to refresh it for so many milliseconds.
    Pause(u64),
    /// It goes.
    Remove,
}

/// How long the stamp of a tag lives that no value was stored under: longer than bodies run.
pub(crate) const STAMP_MILLIS: u64 = 3_600_000;

/// The keys of the stamps of the tags that a value has of its own.
pub(crate) fn own_tags(key: &Key, value: &[u8]) -> Vec<String> {
    let names = envelope::own_tags(value);
    if names.is_empty() { Vec::new() } else { names.into_iter().map(|name| key.tag_key(name)).collect() }
}

/// A backend. Each operation ends by its deadline `by`, connecting included, and each may be
/// dropped at any await: what was sent may or may not have been applied. Where one that asks for a
/// lease or fills it fails, the store sees to it that the lease does not stay behind.
pub(crate) trait Store: Send + Sync {
    /// The bytes in the slot, and the seals of its tags. A key of another type is an error, or seems to be an
    /// empty slot: who then asks for its lease is told.
    fn read(&self, key: &Key, by: Instant) -> impl Future<Output = Result<Read, Error>> + Send;

    /// [`read`](Self::read), where a key of another type is an error.
    fn read_strictly(&self, key: &Key, by: Instant) -> impl Future<Output = Result<Read, Error>> + Send {
        self.read(key, by)
    }

    /// The stamps of these tags, by the keys of them; those that have none get one.
    fn stamp(&self, tags: &[String], by: Instant) -> impl Future<Output = Result<Vec<Bytes>, Error>> + Send;

    /// The first [`HEAD_LEN`](crate::stored::envelope::HEAD_LEN) bytes in the slot, at the same cost
    /// whatever its size. It does not look for undelivered invalidations: whoever acts on what it
    /// tells reads afterwards.
    fn peek(&self, key: &Key, by: Instant) -> impl Future<Output = Result<Option<Bytes>, Error>> + Send;

    /// Takes a slot that is empty, or holds what may be taken away, voiding every fill in flight.
    fn take(
        &self,
        key: &Key,
        lease: &Lease,
        over: &Over,
        by: Instant,
    ) -> impl Future<Output = Result<Acquired, Error>> + Send;

    /// Whether a first look at the slot may as well [take](Store::take) it if it is empty. Where that
    /// finds something, it is as good as a read of an entry without tags.
    fn may_take_first(&self, key: &Key) -> bool;

    /// Whether those who read this entry at the same moment share a read, so that one costs less than to
    /// [take](Store::take) it.
    fn shares_reads(&self, key: &Key) -> bool;

    /// Takes the value `id`, which stays readable, to refresh it; `force` takes it from whoever
    /// does so already, or pauses. A value about to expire lives on for as long as the lease.
    fn mark(
        &self,
        key: &Key,
        id: Token,
        lease: &Lease,
        force: bool,
        by: Instant,
    ) -> impl Future<Output = Result<Marked, Error>> + Send;

    /// Stores `value` if the slot still holds `lease`; false if it does not. The value that the
    /// lease is in goes. The stamps of its tags live at least as long as it.
    fn fill(
        &self,
        key: &Key,
        lease: &Lease,
        value: Bytes,
        ttl: Ttl,
        by: Instant,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Starts the lease's time again if the slot still holds it; false if it does not. The value
    /// that the lease is in lives at least as long.
    fn renew(&self, key: &Key, lease: &Lease, by: Instant) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Empties the slot if it still holds `lease`; false if it does not. `release` is for the value
    /// that the lease is in.
    fn release(
        &self,
        key: &Key,
        lease: &Lease,
        release: Release,
        by: Instant,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Empties the slots, which may be whole groups, or stamps; how many held something. Where it
    /// fails, the keys are kept and emptied before anything that they concern is read again.
    fn invalidate(&self, keys: &[Key], by: Instant) -> impl Future<Output = Result<u64, Error>> + Send;

    /// [`read`](Store::read), of many slots. Like the others of many, it may take several round trips,
    /// each of which has its own time-out; after one that failed no more are made.
    fn read_many(&self, keys: &[&Key]) -> impl Future<Output = Vec<Result<Read, Error>>> + Send;

    /// [`take`](Store::take), of many slots.
    fn take_many(&self, slots: &[Asked<'_>]) -> impl Future<Output = Vec<Result<Acquired, Error>>> + Send;

    /// [`fill`](Store::fill) or [`release`](Store::release), of many slots.
    fn end_many(&self, slots: &[Ended<'_>]) -> impl Future<Output = Vec<Result<bool, Error>>> + Send;

    /// [`renew`](Store::renew), of many leases.
    fn renew_many(&self, leases: &[(Key, Lease)]) -> impl Future<Output = Vec<Result<bool, Error>>> + Send;

    /// How many values a group holds.
    fn count(&self, group: &Key, by: Instant) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Empties all slots of the extent that hold something from the start of this call to its end, leases included, and
    /// perhaps others of it; how many. Each of its round trips may take `each`. What it has not reached when it fails
    /// stays.
    fn clear(&self, extent: &Extent, each: Duration) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Whether the store answers at all.
    fn ping(&self, by: Instant) -> impl Future<Output = Result<(), Error>> + Send;

    /// Releases the lease without waiting for it: for the `Drop` of a leader that was cancelled
    /// or panicked.
    fn abandon(&self, key: &Key, lease: &Lease, release: Release);

    /// The same, of many leases.
    fn abandon_many(&self, leases: Vec<(Key, Lease, Release)>);

    /// Keeps the key to be invalidated before anything is read from it again: for a caller that
    /// cannot wait, or whose own attempt failed.
    fn queue_invalidation(&self, key: &Key);

    /// The store's clock, in milliseconds since the Unix epoch.
    fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    /// The same, at a time that somebody read already.
    fn at(&self, time: Instant) -> u64;

    /// Values leased before this time (in the store's clock) are misses; 0 if none are. Set when
    /// invalidations were lost because too many could not be delivered.
    fn not_before(&self) -> u64;
}
