//! The writes of this process, as the tier sees them: a store that voids what a write concerns.

use std::future::Future;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Tier;
use crate::error::Error;
use crate::key::{Extent, Key};
use crate::store::{
    Capabilities, End, EndRequest, MarkReply, Precondition, Read, ReadMode, Release, Replies, Store, TakeReply,
    TakeRequest,
};
use crate::stored::envelope::{Lease, Token};

impl Tier {
    /// Removes what this process keeps under a name: an entry, or all under a tag.
    fn void(&self, name: &str) {
        // An offer that has looked for undelivered invalidations before this one adds no ticket after it.
        self.voids.fetch_add(1, SeqCst);
        let mut removed = Vec::new();
        let mut tickets = self.tickets(name);
        let dropped = tickets.remove(name);
        self.each_map(|map| {
            if let Some(entry) = map.remove(name) {
                map.counters.local().voided.fetch_add(1, Relaxed);
                removed.push(entry);
            }
        });
        drop(tickets);
        // Values may be large, and are dropped without the lock.
        drop((removed, dropped));
        if let Some(cell) = self.known_cell(name) {
            cell.void();
        }
    }

    fn void_all(&self) {
        self.voids.fetch_add(1, SeqCst);
        self.drop_tickets();
        self.each_map(|map| {
            map.counters.local().voided.fetch_add(map.held().0, Relaxed);
            map.clear();
        });
        let cells: Vec<_> = self.cells().by_name.values().filter_map(std::sync::Weak::upgrade).collect();
        for cell in cells {
            cell.void();
        }
    }
}

/// A store whose writes void what the tier of the cache keeps.
///
/// A write voids twice. Before it is sent, so that nothing from before it is served from then on; and when its future
/// ends, whether it has a reply or is dropped, because the store may have confirmed the old value in between.
pub(crate) struct Voiding<'a, S> {
    store: S,
    tier: &'a OnceLock<Arc<Tier>>,
}

/// Voids what a write concerns when it is made, and again when it is dropped.
struct Voided<'a, F: Fn(&Tier)> {
    tier: &'a OnceLock<Arc<Tier>>,
    void: F,
}

impl<F: Fn(&Tier)> Voided<'_, F> {
    fn apply(&self) {
        // The tier may have been made since the write began.
        if let Some(tier) = self.tier.get() {
            (self.void)(tier);
        }
    }
}

impl<F: Fn(&Tier)> Drop for Voided<'_, F> {
    fn drop(&mut self) {
        self.apply();
    }
}

impl<'a, S: Store> Voiding<'a, S> {
    pub(crate) fn new(store: S, tier: &'a OnceLock<Arc<Tier>>) -> Voiding<'a, S> {
        Voiding { store, tier }
    }

    /// A lease was put into slots that held nothing usable: what is kept of them is older.
    fn saw_taken(&self, requests: &[TakeRequest<'_>], replies: &Replies<TakeReply>) {
        let Some(tier) = self.tier.get() else { return };
        for (request, reply) in requests.iter().zip(replies.iter()) {
            if matches!(reply, Ok(TakeReply::Taken)) {
                tier.saw(request.key.as_str(), None);
            }
        }
    }

    fn voided<F: Fn(&Tier)>(&self, void: F) -> Voided<'a, F> {
        let voided = Voided { tier: self.tier, void };
        voided.apply();
        voided
    }
}

impl<S: Store> Store for Voiding<'_, S> {
    fn read(&self, key: &Key, mode: ReadMode, by: Instant) -> impl Future<Output = Result<Read, Error>> + Send {
        self.store.read(key, mode, by)
    }

    fn read_many(&self, keys: &[&Key], by: Instant) -> impl Future<Output = Replies<Read>> + Send {
        self.store.read_many(keys, by)
    }

    fn peek(&self, key: &Key, by: Instant) -> impl Future<Output = Result<Option<Bytes>, Error>> + Send {
        self.store.peek(key, by)
    }

    fn stamp(&self, tags: &[String], by: Instant) -> impl Future<Output = Result<Vec<Bytes>, Error>> + Send {
        self.store.stamp(tags, by)
    }

    async fn take_many(&self, requests: &[TakeRequest<'_>], by: Instant) -> Replies<TakeReply> {
        // A lease takes the place of a value where a write puts it, whatever is there.
        let _voided = self.voided(|tier| {
            let takes = requests.iter().filter(|request| matches!(request.precondition, Precondition::Any));
            takes.for_each(|request| tier.void(request.key.as_str()));
        });
        let replies = self.store.take_many(requests, by).await;
        self.saw_taken(requests, &replies);
        replies
    }

    fn mark(
        &self,
        key: &Key,
        id: Token,
        lease: &Lease,
        force: bool,
        by: Instant,
    ) -> impl Future<Output = Result<MarkReply, Error>> + Send {
        self.store.mark(key, id, lease, force, by)
    }

    async fn end_many(&self, requests: &[EndRequest<'_>], by: Instant) -> Replies<bool> {
        let _voided = self.voided(|tier| {
            let ends = requests.iter().filter(|request| !matches!(request.end, End::Release(Release::Pause(_))));
            ends.for_each(|request| tier.void(request.key.as_str()));
        });
        self.store.end_many(requests, by).await
    }

    fn renew_many(&self, leases: &[(Key, Lease)], by: Instant) -> impl Future<Output = Replies<bool>> + Send {
        self.store.renew_many(leases, by)
    }

    fn bound_many(&self, leases: &[(Key, Lease)], by: Instant) -> impl Future<Output = ()> + Send {
        self.store.bound_many(leases, by)
    }

    fn abandon(&self, leases: Vec<(Key, Lease, Release)>) {
        // The removal is sent later: until it is told, a call may bring back the old value, which the release removes.
        if let Some(tier) = self.tier.get() {
            let removed = leases.iter().filter(|(.., release)| *release == Release::Remove);
            removed.for_each(|(key, ..)| tier.void(key.as_str()));
        }
        self.store.abandon(leases);
    }

    async fn invalidate(&self, keys: &[Key], by: Instant) -> Result<u64, Error> {
        let _voided = self.voided(|tier| keys.iter().for_each(|key| tier.void(key.as_str())));
        self.store.invalidate(keys, by).await
    }

    fn queue_invalidation(&self, key: &Key) {
        let _voided = self.voided(|tier| tier.void(key.as_str()));
        self.store.queue_invalidation(key);
    }

    async fn clear(&self, extent: &Extent, each: Duration) -> Result<u64, Error> {
        let _voided = self.voided(Tier::void_all);
        self.store.clear(extent, each).await
    }

    fn count(&self, group: &Key, most: u64, each: Duration) -> impl Future<Output = Result<u64, Error>> + Send {
        self.store.count(group, most, each)
    }

    fn ping(&self, by: Instant) -> impl Future<Output = Result<(), Error>> + Send {
        self.store.ping(by)
    }

    fn capabilities(&self, key: &Key) -> Capabilities {
        self.store.capabilities(key)
    }

    fn refuses_writes(&self, key: &Key) -> Option<Error> {
        self.store.refuses_writes(key)
    }

    fn keeps_values(&self) -> bool {
        self.store.keeps_values()
    }

    fn now(&self, key: &Key) -> u64 {
        self.store.now(key)
    }
}
