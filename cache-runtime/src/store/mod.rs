//! What a backend of bytes can do, and nothing about values or functions.
//!
//! A slot (one Redis key) is empty, or holds a lease or a value; `envelope` has their bytes. A
//! value enters a slot only through [`Store::fill`], which the slot's current lease permits:
//! whoever empties or overwrites the slot in the meantime voids the fill.
//!
//! A lease has one of two places: an empty slot, which [`Store::acquire`], [`Store::displace`] and
//! [`Store::take`] put it into, or the header of a value that stays readable, [`Store::mark`].
//! What is done with it afterwards goes by its place.

use std::future::Future;
use std::time::Instant;

use bytes::Bytes;

use crate::envelope::{Lease, Token};
use crate::error::Error;
use crate::key::Key;
use crate::ttl::Ttl;

#[cfg(all(test, feature = "tokio", feature = "blocking"))]
mod conformance;
pub(crate) mod face;
pub(crate) mod memory;
pub(crate) mod redis;
pub(crate) mod url;

/// What `acquire` and `displace` found.
#[derive(Debug)]
pub(crate) enum Acquired {
    /// The slot holds our lease now.
    Taken,
    /// Somebody was there first; the bytes that the slot holds.
    Held(Bytes),
    /// The slot changed since it was read (only `displace`): read again.
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

/// A backend. Each operation ends by its deadline `by`, connecting included, and each may be
/// dropped at any await: what was sent may or may not have been applied. Where one that asks for a
/// lease or fills it fails, the store sees to it that the lease does not stay behind.
pub(crate) trait Store: Send + Sync {
    /// The bytes in the slot.
    fn read(&self, key: &Key, by: Instant) -> impl Future<Output = Result<Option<Bytes>, Error>> + Send;

    /// The first [`HEAD_LEN`](crate::envelope::HEAD_LEN) bytes in the slot, at the same cost
    /// whatever its size. It does not look for undelivered invalidations: whoever acts on what it
    /// tells reads afterwards.
    fn peek(&self, key: &Key, by: Instant) -> impl Future<Output = Result<Option<Bytes>, Error>> + Send;

    /// Takes an empty slot.
    fn acquire(&self, key: &Key, lease: &Lease, by: Instant) -> impl Future<Output = Result<Acquired, Error>> + Send;

    /// Takes a slot that holds `seen`, something that is a miss for the caller. Compares the
    /// first 64 bytes and the length, so that a lease or a value written since then stays.
    fn displace(
        &self,
        key: &Key,
        seen: &Bytes,
        lease: &Lease,
        by: Instant,
    ) -> impl Future<Output = Result<Acquired, Error>> + Send;

    /// Takes the slot whatever it holds, voiding every fill in flight.
    fn take(&self, key: &Key, lease: &Lease, by: Instant) -> impl Future<Output = Result<(), Error>> + Send;

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
    /// lease is in goes.
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

    /// Empties the slots; how many held something. Where it fails, the keys are kept and emptied
    /// before anything is read from them again.
    fn invalidate(&self, keys: &[Key], by: Instant) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Whether the store answers at all.
    fn ping(&self, by: Instant) -> impl Future<Output = Result<(), Error>> + Send;

    /// Releases the lease without waiting for it: for the `Drop` of a leader that was cancelled
    /// or panicked.
    fn abandon(&self, key: &Key, lease: &Lease, release: Release);

    /// Keeps the key to be invalidated before anything is read from it again: for a caller that
    /// cannot wait, or whose own attempt failed.
    fn queue_invalidation(&self, key: &Key);

    /// The store's clock, in milliseconds since the Unix epoch.
    fn now(&self) -> u64;

    /// Values leased before this time (in the store's clock) are misses; 0 if none are. Set when
    /// invalidations were lost because too many could not be delivered.
    fn not_before(&self) -> u64;
}
