//! The verbs of the cache itself, about one entry. They report failures.

use std::borrow::Borrow;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Engine;
use super::compute::{Unsealed, own_tags};
use super::events::{self, Attempt};
use super::lease::Leased;
use super::look::Look;
use super::timer::Timer;
use crate::engine::flight::{Flights, Outcome, within};
use crate::error::{Error, ErrorKind};
use crate::key::{Extent, Key};
use crate::observe::InvalidationKind;
use crate::plan::erased::ValueOf;
use crate::plan::function::{Function, Plan, Terms};
use crate::plan::policy::{self, Pace};
use crate::plan::ttl::Ttl;
use crate::store::{Precondition, Read, ReadMode, Store};
use crate::stored::envelope::Value;

impl<S: Store, T: Timer> Engine<'_, S, T> {
    pub(crate) async fn get<V>(&self, plan: &Plan<V>, key: &Key) -> Result<Option<V>, Error> {
        Ok(self.fresh(plan, key).await?.map(|(_, value)| value))
    }

    /// [`get`](Self::get) for many entries.
    pub(crate) async fn get_all<V>(&self, entries: &[(&Plan<V>, &Key)]) -> Result<Vec<Option<V>>, Error> {
        let keys: Vec<&Key> = entries.iter().map(|(_, key)| *key).collect();
        let reads = self.store.read_many(&keys, self.cache.deadline()).await;
        let found = entries.iter().zip(reads).map(|((plan, key), read)| {
            plan.terms.function.owns_entries()?;
            Ok(self.fresh_of(plan, key, read?))
        });
        found.map(|found| found.map(|found| found.map(|(_, value)| value))).collect()
    }

    /// The rest of the fresh lifetime; `Duration::MAX` if the value lives for ever.
    pub(crate) async fn ttl<V>(&self, plan: &Plan<V>, key: &Key) -> Result<Option<Duration>, Error> {
        let found = self.fresh(plan, key).await?;
        Ok(found.map(|(value, _)| match policy::remaining(&value, self.store.now(key)) {
            Ttl::Millis(millis) => Duration::from_millis(millis),
            Ttl::Forever => Duration::MAX,
        }))
    }

    async fn fresh<V>(&self, plan: &Plan<V>, key: &Key) -> Result<Option<(Value, V)>, Error> {
        plan.terms.function.owns_entries()?;
        let read = self.store.read(key, ReadMode::Exact, self.cache.deadline()).await?;
        Ok(self.fresh_of(plan, key, read))
    }

    fn fresh_of<V>(&self, plan: &Plan<V>, key: &Key, read: Read) -> Option<(Value, V)> {
        match self.look(plan, key, read) {
            Look::Fresh(value, decoded) => Some((value, decoded)),
            Look::Old(old, decoded) if !old.is_stale => Some((old.value, decoded)),
            Look::Old(..) | Look::Miss(_) => None,
        }
    }

    /// Takes the slot, then fills it if nothing came in between: a value that was invalidated while it was on its way
    /// is not stored.
    pub(crate) async fn put<V>(&self, plan: &Plan<V>, key: &Key, value: &V) -> Result<bool, Error> {
        if self.cache.is_off() {
            return Ok(false);
        }
        self.cache.flights().void(key);
        let leased = self.take(plan.terms.function, plan.terms.lease, key).await?;
        let by = self.cache.deadline();
        let terms = &plan.terms;
        let names = own_tags(terms, key, &ValueOf { plan, value });
        let own = self.stamp_own(terms, key, names, by).await;
        // Both round trips share one deadline; a value is encoded in its own time.
        let left = by.saturating_duration_since(Instant::now());
        let own = own.ok_or(Unsealed::Untagged);
        match own.and_then(|own| self.encode(terms, &leased, &own, &ValueOf { plan, value }, Duration::ZERO)) {
            Ok((bytes, ttl)) => {
                leased.share(&bytes);
                let attempt = Attempt { key, bytes: bytes.len(), started: Instant::now() };
                let filled = leased.fill(bytes, ttl, Instant::now() + left).await;
                self.filled(terms, attempt, &filled);
                filled
            }
            Err(unsealed) => {
                leased.unstored(Outcome::Unshared);
                match unsealed {
                    Unsealed::NotToBeStored => Ok(false),
                    Unsealed::Unencodable(error) | Unsealed::TooLarge(error) => Err(error),
                    Unsealed::Untagged => Err(Error::new(ErrorKind::Codec, "its own tags cannot be stored")),
                }
            }
        }
    }

    /// Takes the slot whatever it holds.
    async fn take<'a>(&'a self, function: &Function, lease: Ttl, key: &'a Key) -> Result<Leased<'a, S>, Error> {
        function.owns_entries()?;
        let by = self.cache.deadline();
        let seal = self.stamp(key, by).await?;
        let (_, leased) = self.claim(lease, key, seal).take(&Precondition::Any, by).await?;
        Ok(leased)
    }

    pub(crate) async fn invalidate(&self, key: &Key) -> Result<bool, Error> {
        // Before the command is sent: from here on no call of this process gets the result of a body that runs.
        self.cache.flights().void(key);
        Ok(self.deliver(std::slice::from_ref(key), self.cache.deadline()).await? > 0)
    }

    /// Entries, groups and tags.
    pub(crate) async fn invalidate_all(&self, keys: &[Key]) -> Result<u64, Error> {
        // Before the command is sent: from here on no call of this process gets the result of a body that runs.
        self.cache.flights().void_all(keys);
        self.deliver(keys, self.cache.deadline()).await
    }

    /// Sends invalidations, and counts them.
    async fn deliver(&self, keys: &[Key], by: Instant) -> Result<u64, Error> {
        let delivered = self.store.invalidate(keys, by).await;
        for key in keys {
            self.cache.invalidations().count(kind_of(key), delivered.is_ok());
        }
        delivered
    }

    /// Empties all slots of an extent, and returns how many held something.
    pub(crate) async fn clear(&self, extent: &Extent) -> Result<u64, Error> {
        // The flights are voided before the first command is sent, as for an invalidation.
        self.cache.flights().void_covered(extent);
        self.store.clear(extent, self.cache.timeout()).await
    }

    /// Checks that the store answers, and lets its user store entries.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        self.store.ping(self.cache.deadline()).await
    }

    /// How many values a group holds.
    pub(crate) async fn count(&self, group: &Key, most: u64) -> Result<u64, Error> {
        self.store.count(group, most, self.cache.timeout()).await
    }

    /// Takes the slot, writes, and stores the value that `write` returns next to its own result, if nothing took the
    /// slot meanwhile. If that is in doubt, the slot is emptied.
    pub(crate) async fn write_through<V, B, O, E>(
        &self,
        plan: &Plan<V>,
        key: Result<&Key, Error>,
        write: impl AsyncFnOnce() -> Result<(O, B), E>,
    ) -> Result<(O, B), E>
    where
        B: Borrow<V>,
    {
        // Without a key, no call could have stored anything under it either.
        let Ok(key) = key else { return write().await };
        if self.cache.is_off() {
            return write().await;
        }
        let started = Instant::now();
        self.cache.flights().void(key);
        let leased = self.take_to_write(&plan.terms, key).await;
        // The write may have been committed at any point from here: until its outcome is in the
        // slot, dropping this future empties the slot.
        let mut doubt = Doubt { flights: self.cache.flights(), store: &self.store, key, settled: false };
        let writing = self.write_leased(&plan.terms, leased.as_ref(), write);
        // No await is in this `match`: the error need not be `Send`. The slot is emptied in the background, and shows
        // nothing until then.
        let written = match writing.await {
            Ok(written) => written,
            Err(error) => {
                drop(doubt);
                if let Some(leased) = leased {
                    leased.leave();
                }
                return Err(error);
            }
        };
        // A write that took its slot has lost no time yet.
        let mut until = self.cache.deadline();
        if let Some(leased) = leased {
            let by = until;
            let terms = &plan.terms;
            let names = {
                let value = ValueOf { plan, value: written.1.borrow() };
                own_tags(terms, key, &value)
            };
            let own = self.stamp_own(terms, key, names, by).await;
            // Both round trips share one deadline; a value is encoded in its own time.
            let left = by.saturating_duration_since(Instant::now());
            // No reference to the value is held over an await: it need not be `Sync`.
            let sealed = own.ok_or(Unsealed::Untagged).and_then(|own| {
                let value = ValueOf { plan, value: written.1.borrow() };
                self.encode(terms, &leased, &own, &value, Duration::ZERO)
            });
            until = Instant::now() + left;
            doubt.settled = self.store_written(terms, leased, sealed, started, until).await;
            // All round trips share one deadline, but an invalidation needs some time of its own.
            until = until.max(self.cache.short_deadline());
        }
        self.settle(plan.terms.function, doubt, until).await;
        Ok(written)
    }

    /// Empties the slot of a write if it may not show the outcome.
    async fn settle(&self, function: &Function, mut doubt: Doubt<'_, S>, by: Instant) {
        if doubt.settled {
            return;
        }
        // A value that a third party put there may be older than the write. If the invalidation fails, the store
        // keeps it and delivers it later.
        self.cache.flights().void(doubt.key);
        let emptied = self.deliver(std::slice::from_ref(doubt.key), by).await;
        doubt.settled = true;
        if let Err(error) = emptied {
            events::uninvalidated(function, doubt.key, &error);
        }
    }

    /// Takes the slot of a write; `None` if that fails.
    /// Runs the write, and renews the lease meanwhile.
    async fn write_leased<W>(
        &self,
        terms: &Terms,
        leased: Option<&Leased<'_, S>>,
        write: impl AsyncFnOnce() -> W,
    ) -> W {
        match leased {
            Some(leased) => {
                let writing = within(leased.flight(), async { write().await });
                self.timer.during(Pace::of(terms), &[leased], writing).await
            }
            None => write().await,
        }
    }

    async fn take_to_write<'a>(&'a self, terms: &Terms, key: &'a Key) -> Option<Leased<'a, S>> {
        let taken = self.take(terms.function, terms.lease, key).await;
        taken.map_err(|error| events::written_around(terms.function, key, &error)).ok()
    }

    /// Fills the slot with a written value. Returns true if the slot holds it then.
    async fn store_written(
        &self,
        terms: &Terms,
        leased: Leased<'_, S>,
        sealed: Result<(Bytes, Ttl), Unsealed>,
        started: Instant,
        by: Instant,
    ) -> bool {
        let (bytes, ttl) = match sealed {
            Ok(sealed) => sealed,
            Err(unsealed) => {
                self.unsealed(terms, leased.key(), &unsealed);
                leased.leave();
                return false;
            }
        };
        leased.share(&bytes);
        let attempt = Attempt { key: leased.key(), bytes: bytes.len(), started };
        let filled = leased.fill(bytes, ttl, by).await;
        self.filled(terms, attempt, &filled);
        filled.unwrap_or(false)
    }
}

fn kind_of(key: &Key) -> InvalidationKind {
    if key.is_of_tag() {
        InvalidationKind::Tag
    } else if key.is_of_group() {
        InvalidationKind::Group
    } else {
        InvalidationKind::Entry
    }
}

/// A write whose outcome the slot does not show.
struct Doubt<'a, S: Store> {
    flights: &'a Flights,
    store: &'a S,
    key: &'a Key,
    settled: bool,
}

impl<S: Store> Drop for Doubt<'_, S> {
    fn drop(&mut self) {
        // A computation that began during the write may have read the data from before it.
        self.flights.void(self.key);
        if !self.settled {
            self.store.queue_invalidation(self.key);
        }
    }
}
