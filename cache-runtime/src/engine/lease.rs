//! A slot that this call may fill, and gives back when it cannot.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::engine::flight::{Flight, Flights, Leader, Outcome};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::plan::ttl::Ttl;
use crate::store::{Acquired, Marked, Over, Release, Store};
use crate::stored::envelope::{self, Lease, Seal, Token};

/// How long a value that could not be refreshed is left alone.
pub(crate) const PAUSE: Duration = Duration::from_millis(PAUSE_MILLIS);
pub(crate) const PAUSE_MILLIS: u64 = 1_000;

/// Asks for a lease, and once more for another one if the connection turns out to be closed: a
/// request for the same one might still arrive, and grant it after an invalidation.
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

/// What it takes to lease one slot.
pub(crate) struct Claim<'a, S: Store> {
    pub(super) store: &'a S,
    pub(super) flights: &'a Arc<Flights>,
    pub(super) key: &'a Key,
    /// Of what is computed under it.
    pub(super) seal: Seal,
    /// For how long at a time.
    pub(super) length: Duration,
}

impl<'a, S: Store> Claim<'a, S> {
    /// A lease that the server may have granted: from before the request, so that dropping the
    /// request half-way gives the slot back too, and so that whoever sees the token finds its
    /// flight.
    pub(super) fn request(&self, lease: impl FnOnce(Token, Seal, u64) -> Lease) -> Result<Leased<'a, S>, Error> {
        let (token, id) = Token::two().ok_or_else(Token::none)?;
        let millis = u64::try_from(self.length.as_millis()).unwrap_or(u64::MAX);
        let leader = self.flights.lead(self.key, token);
        let since = self.store.now();
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

    /// Takes the slot. The lease is to be used only with [`Acquired::Taken`].
    pub(crate) async fn take(&self, over: &Over, by: Instant) -> Result<(Acquired, Leased<'a, S>), Error> {
        let (acquired, mut leased) = ask!(self, Lease::new, |lease| self.store.take(self.key, lease, over, by));
        leased.standing = matches!(acquired, Acquired::Taken);
        Ok((acquired, leased))
    }

    /// Takes the right to replace the value `id`, which stays readable. The lease is to be used
    /// only with [`Marked::Taken`].
    pub(crate) async fn mark(&self, id: Token, force: bool, by: Instant) -> Result<(Marked, Leased<'a, S>), Error> {
        let (marked, mut leased) = ask!(self, Lease::in_value, |lease| self.store.mark(self.key, id, lease, force, by));
        leased.standing = matches!(marked, Marked::Taken);
        Ok((marked, leased))
    }
}

/// A lease that stands, as far as this process knows, and the flight under it. Dropped without
/// `fill` or `give_back`, it hands the slot back without waiting, so that a cancelled or panicking
/// body leaves nothing; its followers go on without it.
#[must_use = "dropped, it gives the slot back"]
pub(crate) struct Leased<'a, S: Store> {
    store: &'a S,
    key: &'a Key,
    lease: Lease,
    /// Of the value that is to be stored under it.
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

    /// When it was asked for, in the store's clock.
    pub(crate) fn since(&self) -> u64 {
        self.since
    }

    /// The stamps of what is computed under it.
    pub(crate) fn seal(&self) -> Seal {
        self.lease.seal()
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Whether other calls wait for this one.
    pub(crate) fn is_followed(&self) -> bool {
        self.leader.is_followed()
    }

    /// Tells them what came of it. They saw the lease in the slot: whether the value can be
    /// stored does not matter to them.
    pub(crate) fn publish(&self, outcome: Outcome) {
        self.leader.publish(outcome);
    }

    /// Gives followers a value that is about to be stored, if they need not look whether its own
    /// tags are what they were.
    pub(crate) fn share(&self, value: &Bytes) {
        if envelope::own_tags(value).is_empty() {
            self.publish(Outcome::Value(value.clone()));
        }
    }

    /// Stores `value` if the lease still stands; false if it was voided. Followers that got nothing
    /// yet look for it then.
    pub(crate) async fn fill(mut self, value: Bytes, ttl: Ttl, by: Instant) -> Result<bool, Error> {
        // Dropped here, half-way: whatever was applied, giving back compares the lease.
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

    /// Whether there is a lease to give back, from here on; whether there was one.
    pub(crate) fn stands(&mut self, stands: bool) -> bool {
        std::mem::replace(&mut self.standing, stands)
    }

    /// Leaves the slot to whoever empties it next; followers look for themselves.
    pub(crate) fn leave(mut self) {
        self.standing = false;
        self.publish(Outcome::Unshared);
    }

    /// Gives the slot back, without waiting for it, because the body failed: what this task asks
    /// next finds it empty, or the old value left alone for a while.
    pub(crate) fn failed(self, outcome: Outcome) {
        self.give_back(Release::Pause(PAUSE_MILLIS), outcome);
    }

    /// Gives the slot back, without waiting for it, because the value is not stored. What was
    /// there before is out of date.
    pub(crate) fn unstored(self, outcome: Outcome) {
        self.give_back(Release::Remove, outcome);
    }

    fn give_back(mut self, release: Release, outcome: Outcome) {
        // First: followers that get nothing from this find the slot free.
        self.abandon(release);
        self.publish(outcome);
    }

    fn abandon(&mut self, release: Release) {
        if std::mem::take(&mut self.standing) {
            self.store.abandon(self.key, &self.lease, release);
        }
    }
}

impl<S: Store> Drop for Leased<'_, S> {
    fn drop(&mut self) {
        // Before the followers are told, who look at the slot then.
        self.abandon(Release::Pause(if thread::panicking() { PAUSE_MILLIS } else { 0 }));
    }
}
