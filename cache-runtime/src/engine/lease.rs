//! A slot that this call may fill, and gives back when it cannot.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::envelope::{Lease, Token};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::store::{Acquired, Store};
use crate::ttl::Ttl;

/// A lease that stands, as far as this process knows. Dropped without `fill` or `release`, it
/// hands the slot back without waiting, so that a cancelled or panicking body leaves nothing.
#[must_use = "dropped, it gives the slot back"]
pub(crate) struct Leased<'a, S: Store> {
    store: &'a S,
    key: &'a Key,
    lease: Lease,
    since: u64,
    standing: bool,
}

impl<'a, S: Store> Leased<'a, S> {
    /// A lease that the server may have granted: from before the request, so that dropping the
    /// request half-way gives the slot back too.
    fn request(store: &'a S, key: &'a Key, millis: Duration) -> Result<Leased<'a, S>, Error> {
        let token = Token::random()
            .ok_or_else(|| Error::new(ErrorKind::Unsupported, "the operating system has no randomness to give"))?;
        let millis = u64::try_from(millis.as_millis()).unwrap_or(u64::MAX);
        Ok(Leased { store, key, lease: Lease::new(token, millis), since: store.now(), standing: true })
    }

    /// Takes an empty slot. The lease is to be used only with [`Acquired::Taken`].
    pub(crate) async fn acquire(
        store: &'a S,
        key: &'a Key,
        millis: Duration,
        by: Instant,
    ) -> Result<(Acquired, Leased<'a, S>), Error> {
        let mut leased = Leased::request(store, key, millis)?;
        let acquired = store.acquire(key, &leased.lease, by).await?;
        leased.standing = matches!(acquired, Acquired::Taken);
        Ok((acquired, leased))
    }

    /// Takes a slot that holds `seen`. The lease is to be used only with [`Acquired::Taken`].
    pub(crate) async fn displace(
        store: &'a S,
        key: &'a Key,
        seen: &Bytes,
        millis: Duration,
        by: Instant,
    ) -> Result<(Acquired, Leased<'a, S>), Error> {
        let mut leased = Leased::request(store, key, millis)?;
        let acquired = store.displace(key, seen, &leased.lease, by).await?;
        leased.standing = matches!(acquired, Acquired::Taken);
        Ok((acquired, leased))
    }

    /// Takes the slot whatever it holds.
    pub(crate) async fn take(
        store: &'a S,
        key: &'a Key,
        millis: Duration,
        by: Instant,
    ) -> Result<Leased<'a, S>, Error> {
        let leased = Leased::request(store, key, millis)?;
        store.take(key, &leased.lease, by).await?;
        Ok(leased)
    }

    pub(crate) fn key(&self) -> &'a Key {
        self.key
    }

    /// When it was asked for, in the store's clock.
    pub(crate) fn since(&self) -> u64 {
        self.since
    }

    /// Stores `value` if the lease still stands; false if it was voided.
    pub(crate) async fn fill(mut self, value: Vec<u8>, ttl: Ttl, by: Instant) -> Result<bool, Error> {
        // Dropped here, half-way: whatever was applied, giving back compares the lease.
        let filled = self.store.fill(self.key, &self.lease, value, ttl, by).await;
        // The store cleans up after a fill that failed.
        self.standing = false;
        filled
    }

    #[cfg(feature = "blocking")]
    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Starts the lease's time again; false if it was lost. A server that cannot be asked may
    /// still hold it.
    #[cfg(feature = "tokio")]
    pub(crate) async fn renew(&self, by: Instant) -> bool {
        self.store.renew(self.key, &self.lease, by).await.unwrap_or(true)
    }

    /// Leaves the slot to whoever empties it next.
    pub(crate) fn leave(mut self) {
        self.standing = false;
    }

    /// Gives the slot back without waiting for it. What this task asks next finds it empty.
    pub(crate) fn give_back(self) {
        drop(self);
    }
}

impl<S: Store> Drop for Leased<'_, S> {
    fn drop(&mut self) {
        if self.standing {
            self.store.abandon(self.key, &self.lease);
        }
    }
}
