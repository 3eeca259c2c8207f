//! A slot that this call may fill. The call gives it back if it cannot.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::engine::flight::{Flight, Flights, Leader, Outcome};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::plan::ttl::Ttl;
use crate::store::{MarkReply, Precondition, Release, Store, TakeReply};
use crate::stored::envelope::{self, Lease, Seal, Token};

/// How long a value that could not be refreshed is left alone.
pub(crate) const PAUSE: Duration = Duration::from_millis(PAUSE_MILLIS);
pub(crate) const PAUSE_MILLIS: u64 = 1_000;

/// Requests a lease, and once more another one if the connection turns out to be closed: a request for the same one
/// might still arrive, and grant it after an invalidation.
macro_rules! ask {
    ($claim:expr, $kind:expr, |$lease:ident| $ask:expr) => {{
        let mut leased = $claim.request($kind)?;
        let mut tries = 2;
        loop {
            tries -= 1;
            let asked = {
                let $lease = &leased.lease;
                $ask.await
            };
            match asked {
                Ok(answer) => break (answer, leased),
                Err(error) => {
                    // The store cleans up after a request that failed.
                    leased.standing = false;
                    if tries == 0 || error.kind() != ErrorKind::Unreachable {
                        return Err(error);
                    }
                }
            }
            leased = $claim.request($kind)?;
        }
    }};
}

/// Everything that is needed to lease one slot.
pub(crate) struct Claim<'a, S: Store> {
    pub(super) store: &'a S,
    pub(super) flights: &'a Arc<Flights>,
    pub(super) key: &'a Key,
    /// The seal of the value that is computed under the lease.
    pub(super) seal: Seal,
    /// How long the lease lasts at a time.
    pub(super) length: Duration,
}

impl<'a, S: Store> Claim<'a, S> {
    /// A lease that the server may have granted. It exists from before the request, so that dropping the request
    /// half-way gives the slot back too, and so that every call that sees the token finds its flight.
    pub(super) fn request(&self, lease: impl FnOnce(Token, Seal, u64) -> Lease) -> Result<Leased<'a, S>, Error> {
        let (token, id) = Token::two().ok_or_else(Token::none)?;
        let millis = u64::try_from(self.length.as_millis()).unwrap_or(u64::MAX);
        let leader = self.flights.lead(self.key, token);
        let since = self.store.now(self.key);
        Ok(Leased {
            store: self.store,
            key: self.key,
            lease: lease(token, self.seal, millis),
            id,
            since,
            standing: true,
            leader,
        })
    }

    /// Takes the slot. The lease is to be used only with [`TakeReply::Taken`].
    pub(crate) async fn take(
        &self,
        precondition: &Precondition,
        by: Instant,
    ) -> Result<(TakeReply, Leased<'a, S>), Error> {
        let (reply, mut leased) = ask!(self, Lease::new, |lease| self.store.take(self.key, lease, precondition, by));
        leased.standing = matches!(reply, TakeReply::Taken);
        Ok((reply, leased))
    }

    /// Takes the right to replace the value `id`, which stays readable. The lease is to be used only with
    /// [`MarkReply::Taken`].
    pub(crate) async fn mark(&self, id: Token, force: bool, by: Instant) -> Result<(MarkReply, Leased<'a, S>), Error> {
        let (marked, mut leased) = ask!(self, Lease::in_value, |lease| self.store.mark(self.key, id, lease, force, by));
        leased.standing = matches!(marked, MarkReply::Taken);
        Ok((marked, leased))
    }
}

/// A lease that stands, as far as this process knows, and the flight under it. If it is dropped without `fill` or
/// `give_back`, it gives the slot back without waiting for the reply. A cancelled or panicking body therefore leaves
/// nothing, and its followers go on without it.
#[must_use = "dropped, it gives the slot back"]
pub(crate) struct Leased<'a, S: Store> {
    store: &'a S,
    key: &'a Key,
    lease: Lease,
    /// The id of the value that is to be stored under the lease.
    id: Token,
    since: u64,
    standing: bool,
    leader: Leader,
}

impl<'a, S: Store> Leased<'a, S> {
    pub(crate) fn key(&self) -> &'a Key {
        self.key
    }

    pub(crate) fn flight(&self) -> &Arc<Flight> {
        self.leader.flight()
    }

    /// The id of the value that is to be stored.
    pub(crate) fn id(&self) -> Token {
        self.id
    }

    /// When the lease was requested, in the store's clock.
    pub(crate) fn since(&self) -> u64 {
        self.since
    }

    /// The seal of the value that is computed under the lease.
    pub(crate) fn seal(&self) -> Seal {
        self.lease.seal()
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Returns true if other calls wait for this one.
    pub(crate) fn is_followed(&self) -> bool {
        self.leader.is_followed()
    }

    /// Gives the followers the outcome. They saw the lease in the slot, so it does not matter to them if the value can
    /// be stored.
    pub(crate) fn publish(&self, outcome: Outcome) {
        self.leader.publish(outcome);
    }

    /// Gives followers a value that is about to be stored, unless they have to check first that its own tags are
    /// unchanged.
    pub(crate) fn share(&self, value: &Bytes) {
        if envelope::own_tags(value).is_empty() {
            self.publish(Outcome::Value(value.clone()));
        }
    }

    /// Stores `value` if the lease still stands, and returns false if it was voided. Followers without an outcome look
    /// for the value then.
    pub(crate) async fn fill(mut self, value: Bytes, ttl: Ttl, by: Instant) -> Result<bool, Error> {
        // If this is dropped half-way, giving back compares the lease, whatever was applied.
        let filled = self.store.fill(self.key, &self.lease, value, ttl, by).await;
        // The store cleans up after a fill that failed.
        self.standing = false;
        self.publish(Outcome::Stored);
        filled
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn store(&self) -> &'a S {
        self.store
    }

    pub(crate) fn leader(&mut self) -> &mut Leader {
        &mut self.leader
    }

    /// Sets if there is a lease to give back from here on, and returns if there was one.
    pub(crate) fn stands(&mut self, stands: bool) -> bool {
        std::mem::replace(&mut self.standing, stands)
    }

    /// Leaves the slot to the next call that empties it; followers look for themselves.
    pub(crate) fn leave(mut self) {
        self.standing = false;
        self.publish(Outcome::Unshared);
    }

    /// Gives the slot back, without waiting for the reply, because the body failed. The next request of this task finds
    /// it empty, or finds the old value, which is left alone for a while.
    pub(crate) fn failed(self, outcome: Outcome) {
        self.give_back(Release::Pause(PAUSE_MILLIS), outcome);
    }

    /// Gives the slot back, without waiting for the reply, because the value is not stored. The value that was there
    /// before is out of date.
    pub(crate) fn unstored(self, outcome: Outcome) {
        self.give_back(Release::Remove, outcome);
    }

    fn give_back(mut self, release: Release, outcome: Outcome) {
        // The slot is given back first, so that followers that get nothing from this find it free.
        self.abandon(release);
        self.publish(outcome);
    }

    fn abandon(&mut self, release: Release) {
        if std::mem::take(&mut self.standing) {
            self.store.abandon(vec![(self.key.clone(), self.lease, release)]);
        }
    }
}

impl<S: Store> Drop for Leased<'_, S> {
    fn drop(&mut self) {
        // The slot is given back before the followers are told, because they look at it then.
        self.abandon(Release::Pause(if thread::panicking() { PAUSE_MILLIS } else { 0 }));
    }
}
