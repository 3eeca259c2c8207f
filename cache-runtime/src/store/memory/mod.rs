//! A store in this process: for programs and tests without a server, with the same rules.
//!
//! The store is bounded by the memory that it takes, tables and keys included, and evicts by second chance (the CLOCK algorithm): the oldest entry goes, unless it
//! was read since the last look. Expired entries go when an operation meets them. The entries of a group are in one
//! shard, which knows them.

mod shard;
mod weight;

use std::future::{Future, ready};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use self::shard::{Shard, Slot, Update, lease_update};
use super::{
    Capabilities, End, EndRequest, MarkReply, Precondition, Read, ReadMode, Release, Replies, STAMP_MILLIS, Store,
    TakeReply, TakeRequest, Times, own_tags,
};
use crate::error::{Error, ErrorKind};
use crate::hash::hash;
use crate::key::{Address, Extent, Key};
use crate::plan::ttl::Ttl;
use crate::stored::envelope::layout::COMPARED;
use crate::stored::envelope::{self, HEAD_LEN, Head, Lease, LeasePlace, Seal, Token};

/// The number of locks that threads share.
const SHARDS: usize = 16;

#[derive(Debug)]
pub(crate) struct MemoryStore {
    shards: [Mutex<Shard>; SHARDS],
    /// The random seed of the hash that spreads keys over the shards. An attacker that finds keys in one shard only
    /// makes threads wait for a lock: the maps have a hash that resists it.
    seed: u64,
    max_bytes: i64,
    /// The bytes of all shards together, so that one large value can use the room of all.
    used_bytes: AtomicI64,
    /// The shard that makes room next.
    hand: AtomicUsize,
    started: Instant,
    started_at: u64,
}

impl MemoryStore {
    pub(crate) fn new(max_bytes: u64) -> MemoryStore {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        MemoryStore {
            shards: Default::default(),
            seed: RandomState::new().hash_one(0),
            max_bytes: i64::try_from(max_bytes).unwrap_or(i64::MAX),
            used_bytes: AtomicI64::new(0),
            hand: AtomicUsize::new(0),
            started: Instant::now(),
            started_at: u64::try_from(since_epoch.as_millis()).unwrap_or(0),
        }
    }

    /// Milliseconds since the Unix epoch.
    fn clock(&self) -> u64 {
        self.at(Instant::now())
    }

    fn at(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.started);
        self.started_at + u64::try_from(since.as_millis()).unwrap_or(u64::MAX / 2)
    }

    fn shard_index(&self, key: &str) -> usize {
        self.shard_of(Address::of(key))
    }

    /// The shard of an address; all slots of a group are in one.
    fn shard_of(&self, address: Address<'_>) -> usize {
        let (Address::Key(whole) | Address::Field { hash: whole, .. }) = address;
        hash(self.seed, whole.as_bytes()) as usize % SHARDS
    }

    fn lock(&self, index: usize) -> MutexGuard<'_, Shard> {
        // A panic while the lock is held leaves a map that is still a map.
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `decide` on the slot's living bytes under its lock, and applies the update that it returns.
    fn update<T>(&self, key: &str, decide: impl FnOnce(Option<&mut Slot>) -> (T, Update)) -> T {
        let index = self.shard_index(key);
        let mut shard = self.lock(index);
        let now = self.clock();
        let living = shard.slots.get_mut(key).filter(|slot| slot.expires_at > now);
        let (result, update) = decide(living);
        let before = shard.weight();
        match update {
            Update::Keep => return result,
            Update::Remove => shard.remove(key),
            Update::Put(bytes, ttl, read) => {
                let expires_at = match ttl {
                    Ttl::Millis(millis) => now.saturating_add(millis),
                    Ttl::Forever => u64::MAX,
                };
                shard.put(key, Slot { bytes, expires_at, read });
            }
        }
        if self.changed(before, shard) {
            self.make_room(index, now);
        }
        result
    }

    /// Counts what a change of a shard, which weighed `before`, did to the memory of all. Returns true if it grew above the
    /// bound.
    fn changed(&self, before: usize, shard: MutexGuard<'_, Shard>) -> bool {
        let growth = shard.weight() as i64 - before as i64;
        drop(shard);
        let used = self.used_bytes.fetch_add(growth, Ordering::Relaxed) + growth;
        growth > 0 && used > self.max_bytes
    }

    /// The bytes of a living slot, which count as read. `soon` is a time shortly after now: a slot that lives until
    /// then lives now, so the clock is rarely read.
    fn living(&self, key: &str, shard: usize, soon: u64) -> Option<Bytes> {
        let mut shard = self.lock(shard);
        let slot = shard.slots.get_mut(key)?;
        if slot.expires_at <= soon && slot.expires_at <= self.clock() {
            return None;
        }
        slot.read = true;
        Some(slot.bytes.clone())
    }

    /// The bytes of a slot or a stamp.
    #[cfg(feature = "local")]
    pub(crate) fn content(&self, name: &str) -> Option<Bytes> {
        self.living(name, self.shard_index(name), u64::MAX)
    }

    /// `by` is a time shortly after now; see [`living`](Self::living).
    fn read_now(&self, key: &Key, by: Instant) -> Read {
        let soon = self.at(by);
        let bytes = self.living(key.as_str(), self.shard_of(key.address()), soon);
        let seal = self.seal_of(key.tags(), soon);
        let own_seal = self.seal_of(&own_tags(key, bytes.as_deref().unwrap_or_default()), soon);
        Read { bytes, seal, own_seal, times: Times { latest: soon, not_before: 0 } }
    }

    fn take_now(&self, TakeRequest { key, lease, precondition }: &TakeRequest<'_>, by: Instant) -> TakeReply {
        let times = Times { latest: self.at(by), not_before: 0 };
        let compared = |bytes: &Bytes| bytes.slice(..bytes.len().min(COMPARED.end));
        let is_unchanged =
            |slot: &Slot, seen: &Bytes| slot.bytes.len() == seen.len() && compared(&slot.bytes) == compared(seen);
        self.update(key.as_str(), |slot| match (slot, precondition) {
            (Some(slot), Precondition::Empty) => {
                (TakeReply::Held(Read::untagged(Some(slot.bytes.clone()), times)), Update::Keep)
            }
            (Some(slot), Precondition::Unchanged(seen)) if !is_unchanged(slot, seen) => {
                (TakeReply::Changed, Update::Keep)
            }
            _ => (TakeReply::Taken, lease_update(lease)),
        })
    }

    fn fill_now(&self, key: &Key, lease: &Lease, value: Bytes, ttl: Ttl) -> Result<bool, Error> {
        // A value above the bound is not stored.
        let weight = weight::content(value.len()) + weight::key_alone(key.as_str());
        let too_large = i64::try_from(weight).map_or(true, |weight| weight > self.max_bytes);
        let mut tags = own_tags(key, &value);
        let filled = self.update(key.as_str(), |slot| match slot.filter(|slot| slot.holds(lease)) {
            Some(slot) if too_large => (false, slot.release(lease, Release::Pause(0), self.clock())),
            // Readers of the old value will probably read the new value.
            Some(slot) => (true, Update::Put(value, ttl, slot.read && lease.place() == LeasePlace::Value)),
            None => (false, Update::Keep),
        });
        if filled {
            tags.extend_from_slice(key.tags());
            self.keep_stamps(tags.iter().map(String::as_str), ttl);
        }
        if filled || !too_large {
            Ok(filled)
        } else {
            Err(Error::new(ErrorKind::OutOfMemory, "the value is larger than the memory store"))
        }
    }

    fn renew_now(&self, key: &Key, lease: &Lease) -> bool {
        self.update(key.as_str(), |slot| match slot.filter(|slot| slot.holds(lease)) {
            Some(slot) if lease.place() == LeasePlace::Value => {
                slot.lease(lease, self.clock());
                (true, Update::Keep)
            }
            Some(_) => (true, lease_update(lease)),
            None => (false, Update::Keep),
        })
    }

    fn release_now(&self, key: &Key, lease: &Lease, release: Release) -> bool {
        self.update(key.as_str(), |slot| match slot.filter(|slot| slot.holds(lease)) {
            Some(slot) => (true, slot.release(lease, release, self.clock())),
            None => (false, Update::Keep),
        })
    }

    /// The seal of tags, by the keys of their stamps.
    fn seal_of(&self, tags: &[String], soon: u64) -> Option<Seal> {
        if tags.is_empty() {
            return Some(Seal::default());
        }
        let stamp = |tag: &String| self.living(tag, self.shard_of(Address::Key(tag)), soon);
        let stamped: Option<Vec<_>> = tags.iter().map(|tag| Some((tag.as_str(), stamp(tag)?))).collect();
        Some(Seal::of(stamped?.iter().map(|(tag, stamp)| (*tag, &**stamp))))
    }

    /// Ensures that the stamps live as long as an entry under them.
    fn keep_stamps<'a>(&self, tags: impl Iterator<Item = &'a str>, ttl: Ttl) {
        let until = match ttl {
            Ttl::Millis(millis) => self.clock().saturating_add(millis),
            Ttl::Forever => u64::MAX,
        };
        for tag in tags {
            self.update(tag, |slot| {
                if let Some(slot) = slot {
                    slot.expires_at = slot.expires_at.max(until);
                }
                ((), Update::Keep)
            });
        }
    }

    /// Empties a slot, or all those of a group; returns true if there was anything.
    fn empty(&self, key: &str) -> bool {
        let was_held = self.update(key, |slot| (slot.is_some(), Update::Remove));
        let index = self.shard_index(key);
        let mut shard = self.lock(index);
        let now = self.clock();
        let before = shard.weight();
        let members = shard.take_group(key);
        let is_living = |member: &Arc<str>| shard.slots.get(member).is_some_and(|slot| slot.expires_at > now);
        let any_living = members.keys().any(is_living);
        members.keys().for_each(|member| shard.remove(member));
        self.changed(before, shard);
        was_held || any_living
    }

    /// Empties the slots of an extent in one shard; returns how many held something.
    fn clear_shard(&self, index: usize, extent: &Extent) -> u64 {
        let mut shard = self.lock(index);
        let now = self.clock();
        let covered: Vec<Arc<str>> = shard.slots.keys().filter(|key| extent.covers(key)).cloned().collect();
        let is_living = |key: &&Arc<str>| shard.slots.get(*key).is_some_and(|slot| slot.expires_at > now);
        let living = covered.iter().filter(is_living).count();
        let before = shard.weight();
        covered.iter().for_each(|key| shard.remove(key));
        self.changed(before, shard);
        living as u64
    }

    /// The rest of the slot's lifetime.
    #[cfg(test)]
    pub(crate) fn expiry(&self, key: &Key) -> Option<Ttl> {
        let now = self.clock();
        let left = |slot: &mut Slot| match slot.expires_at {
            u64::MAX => Ttl::Forever,
            at => Ttl::Millis(at - now),
        };
        self.update(key.as_str(), |slot| (slot.map(left), Update::Keep))
    }

    /// Returns true if there is no slot, and nothing that grew without bound, and if the counts agree.
    #[cfg(test)]
    pub(crate) fn is_empty_inside(&self) -> bool {
        let is_empty = |shard: &Shard| shard.slots.is_empty() && shard.groups.is_empty() && shard.weight() < 4_096;
        let weight: usize = (0..SHARDS).map(|index| self.lock(index).weight()).sum();
        (0..SHARDS).all(|index| is_empty(&self.lock(index))) && self.used_bytes.load(Ordering::Relaxed) == weight as i64
    }

    /// Evicts until the bound holds again, shard after shard, so that an entry gets its second chance against those of
    /// all shards. The shard that grew comes last: a value just stored stays if it can.
    fn make_room(&self, grown: usize, now: u64) {
        let mut fruitless = 0;
        while self.used_bytes.load(Ordering::Relaxed) > self.max_bytes && fruitless < 4 * SHARDS {
            let index = self.hand.fetch_add(1, Ordering::Relaxed) % SHARDS;
            let spared = index == grown && fruitless < 2 * SHARDS;
            let mut shard = self.lock(index);
            let before = shard.weight();
            let has_evicted = !spared && shard.evict_one(now);
            self.changed(before, shard);
            fruitless = if has_evicted { 0 } else { fruitless + 1 };
        }
    }
}

/// Every operation is done when it returns: its future is ready, which the blocking face needs.
impl Store for MemoryStore {
    fn read(&self, key: &Key, _: ReadMode, by: Instant) -> impl Future<Output = Result<Read, Error>> + Send {
        ready(Ok(self.read_now(key, by)))
    }

    fn stamp(&self, tags: &[String], _: Instant) -> impl Future<Output = Result<Vec<Bytes>, Error>> + Send {
        let stamp = |tag: &String| {
            let new = Token::random()?;
            Some(self.update(tag, |slot| match slot {
                Some(slot) => (slot.bytes.clone(), Update::Keep),
                None => {
                    let bytes = Bytes::copy_from_slice(new.bytes());
                    (bytes.clone(), Update::Put(bytes, Ttl::Millis(STAMP_MILLIS), true))
                }
            }))
        };
        ready(tags.iter().map(stamp).collect::<Option<_>>().ok_or_else(Token::none))
    }

    fn peek(&self, key: &Key, _: Instant) -> impl Future<Output = Result<Option<Bytes>, Error>> + Send {
        // This is no read of the value. The head is a copy, because a slice would keep all of the bytes.
        let head = |slot: &mut Slot| Bytes::copy_from_slice(&slot.bytes[..slot.bytes.len().min(HEAD_LEN)]);
        ready(Ok(self.update(key.as_str(), |slot| (slot.map(head).filter(|head| !head.is_empty()), Update::Keep))))
    }

    fn mark(
        &self,
        key: &Key,
        id: Token,
        lease: &Lease,
        force: bool,
        _: Instant,
    ) -> impl Future<Output = Result<MarkReply, Error>> + Send {
        debug_assert_eq!(lease.place(), LeasePlace::Value);
        ready(Ok(self.update(key.as_str(), |slot| {
            let now = self.clock();
            let marked = match slot.map(|slot| (envelope::head(&slot.bytes), slot)) {
                Some((Head::Value(mark), slot)) if mark.id == id => {
                    if force || mark.until <= now || mark.token == Some(lease.token()) {
                        slot.lease(lease, now);
                        MarkReply::Taken
                    } else {
                        MarkReply::Until(mark.until)
                    }
                }
                _ => MarkReply::Changed,
            };
            (marked, Update::Keep)
        })))
    }

    fn invalidate(&self, keys: &[Key], _: Instant) -> impl Future<Output = Result<u64, Error>> + Send {
        ready(Ok(keys.iter().map(|key| u64::from(self.empty(key.as_str()))).sum()))
    }

    fn read_many(&self, keys: &[&Key], by: Instant) -> impl Future<Output = Replies<Read>> + Send {
        ready(keys.iter().map(|key| Ok(self.read_now(key, by))).collect())
    }

    fn take_many(&self, requests: &[TakeRequest<'_>], by: Instant) -> impl Future<Output = Replies<TakeReply>> + Send {
        ready(requests.iter().map(|request| Ok(self.take_now(request, by))).collect())
    }

    fn end_many(&self, requests: &[EndRequest<'_>], _: Instant) -> impl Future<Output = Replies<bool>> + Send {
        let end = |EndRequest { key, lease, end }: &EndRequest<'_>| match end {
            End::Fill(value, ttl) => self.fill_now(key, lease, value.clone(), *ttl),
            End::Release(release) => Ok(self.release_now(key, lease, *release)),
        };
        ready(requests.iter().map(end).collect())
    }

    fn renew_many(&self, leases: &[(Key, Lease)], _: Instant) -> impl Future<Output = Replies<bool>> + Send {
        ready(leases.iter().map(|(key, lease)| Ok(self.renew_now(key, lease))).collect())
    }

    async fn bound_many(&self, _: &[(Key, Lease)], _: Instant) {
        // No client but this store writes its slots.
    }

    fn count(&self, group: &Key, _: u64, _: Duration) -> impl Future<Output = Result<u64, Error>> + Send {
        let shard = self.lock(self.shard_index(group.as_str()));
        let now = self.clock();
        let is_value = |member: &&Arc<str>| {
            let slot = shard.slots.get(*member).filter(|slot| slot.expires_at > now);
            slot.is_some_and(|slot| matches!(envelope::head(&slot.bytes), Head::Value(_)))
        };
        let count = shard.groups.get(group.as_str()).map_or(0, |members| members.keys().filter(is_value).count());
        ready(Ok(count as u64))
    }

    async fn clear(&self, extent: &Extent, _: Duration) -> Result<u64, Error> {
        Ok((0..SHARDS).map(|index| self.clear_shard(index, extent)).sum())
    }

    fn ping(&self, _: Instant) -> impl Future<Output = Result<(), Error>> + Send {
        ready(Ok(()))
    }

    fn abandon(&self, leases: Vec<(Key, Lease, Release)>) {
        for (key, lease, release) in leases {
            self.release_now(&key, &lease, release);
        }
    }

    fn queue_invalidation(&self, key: &Key) {
        drop(self.invalidate(std::slice::from_ref(key), self.started));
    }

    fn capabilities(&self, _: &Key) -> Capabilities {
        // There is no round trip to save.
        Capabilities::default()
    }

    fn keeps_values(&self) -> bool {
        true
    }

    fn now(&self, _: &Key) -> u64 {
        self.clock()
    }
}
