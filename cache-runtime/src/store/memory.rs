//! A store in this process: for programs and tests without a server, with the same rules.
//!
//! The store is bounded by bytes and evicts by second chance (the CLOCK algorithm): the oldest entry goes, unless it
//! was read since the last look. Expired entries go when an operation meets them. The entries of a group are in one
//! shard, which knows them.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::{Future, ready};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::{
    End, EndRequest, MarkReply, Precondition, Read, Release, STAMP_MILLIS, Store, TakeReply, TakeRequest, own_tags,
};
use crate::error::{Error, ErrorKind};
use crate::hash::hash;
use crate::key::{Address, Extent, Key};
use crate::plan::ttl::Ttl;
use crate::stored::envelope::{self, COMPARED, HEAD_LEN, Head, Lease, LeasePlace, Seal, Token};

/// The number of locks that threads share.
const SHARDS: usize = 16;

/// The cost of an entry in addition to its key and bytes: map and queue slots, reference counts.
const OVERHEAD: usize = 160;

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

#[derive(Debug, Default)]
struct Shard {
    slots: HashMap<Arc<str>, Slot>,
    /// Every key of `slots` once, and keys that are gone.
    queue: VecDeque<Arc<str>>,
    /// The keys of `slots` that are in a group, by its name.
    groups: HashMap<Box<str>, HashSet<Arc<str>>>,
}

#[derive(Debug)]
struct Slot {
    bytes: Bytes,
    /// A time of the store's clock; `u64::MAX` means never.
    expires_at: u64,
    read: bool,
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
        let now = self.now();
        let living = shard.slots.get_mut(key).filter(|slot| slot.expires_at > now);
        let (result, update) = decide(living);
        let growth = match update {
            Update::Keep => 0,
            Update::Remove => -shard.remove(key),
            Update::Put(bytes, ttl, read) => {
                let expires_at = match ttl {
                    Ttl::Millis(millis) => now.saturating_add(millis),
                    Ttl::Forever => u64::MAX,
                };
                shard.put(key, Slot { bytes, expires_at, read })
            }
        };
        drop(shard);
        if growth != 0 {
            let used = self.used_bytes.fetch_add(growth, Ordering::Relaxed) + growth;
            if growth > 0 && used > self.max_bytes {
                self.make_room(index, now);
            }
        }
        result
    }

    /// The bytes of a living slot, which count as read. `soon` is a time shortly after now: a slot that lives until
    /// then lives now, so the clock is rarely read.
    fn living(&self, key: &str, shard: usize, soon: u64) -> Option<Bytes> {
        let mut shard = self.lock(shard);
        let slot = shard.slots.get_mut(key)?;
        if slot.expires_at <= soon && slot.expires_at <= self.now() {
            return None;
        }
        slot.read = true;
        Some(slot.bytes.clone())
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
            Ttl::Millis(millis) => self.now().saturating_add(millis),
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
        let now = self.now();
        let members = shard.groups.remove(key).unwrap_or_default();
        let is_living = |member: &Arc<str>| shard.slots.get(member).is_some_and(|slot| slot.expires_at > now);
        let any_living = members.iter().any(is_living);
        let freed: i64 = members.iter().map(|member| shard.remove(member)).sum();
        drop(shard);
        self.used_bytes.fetch_sub(freed, Ordering::Relaxed);
        was_held || any_living
    }

    /// Empties the slots of an extent in one shard; returns how many held something.
    fn clear_shard(&self, index: usize, extent: &Extent) -> u64 {
        let mut shard = self.lock(index);
        let now = self.now();
        let covered: Vec<Arc<str>> = shard.slots.keys().filter(|key| extent.covers(key)).cloned().collect();
        let is_living = |key: &&Arc<str>| shard.slots.get(*key).is_some_and(|slot| slot.expires_at > now);
        let living = covered.iter().filter(is_living).count();
        let freed: i64 = covered.iter().map(|key| shard.remove(key)).sum();
        drop(shard);
        self.used_bytes.fetch_sub(freed, Ordering::Relaxed);
        living as u64
    }

    /// The rest of the slot's lifetime.
    #[cfg(test)]
    pub(crate) fn expiry(&self, key: &Key) -> Option<Ttl> {
        let now = self.now();
        let left = |slot: &mut Slot| match slot.expires_at {
            u64::MAX => Ttl::Forever,
            at => Ttl::Millis(at - now),
        };
        self.update(key.as_str(), |slot| (slot.map(left), Update::Keep))
    }

    /// Returns true if there is no slot, no queue that grew without bound, and nothing counted.
    #[cfg(test)]
    pub(crate) fn is_empty_inside(&self) -> bool {
        let is_empty = |shard: &Shard| shard.slots.is_empty() && shard.groups.is_empty() && shard.queue.len() <= 64;
        (0..SHARDS).all(|index| is_empty(&self.lock(index))) && self.used_bytes.load(Ordering::Relaxed) == 0
    }

    /// Evicts until the bound holds again, shard after shard, so that an entry gets its second chance against those of
    /// all shards. The shard that grew comes last: a value just stored stays if it can.
    fn make_room(&self, grown: usize, now: u64) {
        let mut fruitless = 0;
        while self.used_bytes.load(Ordering::Relaxed) > self.max_bytes && fruitless < 4 * SHARDS {
            let index = self.hand.fetch_add(1, Ordering::Relaxed) % SHARDS;
            let spared = index == grown && fruitless < 2 * SHARDS;
            let freed = if spared { 0 } else { self.lock(index).evict_one(now) };
            fruitless = if freed == 0 { fruitless + 1 } else { 0 };
            self.used_bytes.fetch_sub(freed, Ordering::Relaxed);
        }
    }
}

enum Update {
    Keep,
    Remove,
    /// The flag is true if the value counts as read already.
    Put(Bytes, Ttl, bool),
}

impl Shard {
    fn put(&mut self, key: &str, slot: Slot) -> i64 {
        let key: Arc<str> = key.into();
        let new = cost(&key, &slot);
        match self.slots.entry(Arc::clone(&key)) {
            Entry::Occupied(mut old) => {
                let freed = cost(&key, old.get());
                old.insert(slot);
                new - freed
            }
            Entry::Vacant(place) => {
                place.insert(slot);
                if let Address::Field { hash, .. } = Address::of(&key) {
                    match self.groups.get_mut(hash) {
                        Some(members) => drop(members.insert(Arc::clone(&key))),
                        None => drop(self.groups.insert(hash.into(), HashSet::from([Arc::clone(&key)]))),
                    }
                }
                self.queue.push_back(key);
                // Keys that are gone leave the queue here at the latest, so that its length stays proportional.
                if self.queue.len() > 2 * self.slots.len() + 16 {
                    self.compact();
                }
                new
            }
        }
    }

    fn remove(&mut self, key: &str) -> i64 {
        let Some((key, slot)) = self.slots.remove_entry(key) else { return 0 };
        if let Address::Field { hash, .. } = Address::of(&key)
            && let Some(members) = self.groups.get_mut(hash)
        {
            members.remove(&key);
            if members.is_empty() {
                self.groups.remove(hash);
            }
        }
        cost(&key, &slot)
    }

    /// Drops dead keys from the queue, and duplicates of a key.
    fn compact(&mut self) {
        let mut kept = std::collections::HashSet::with_capacity(self.slots.len());
        let slots = &self.slots;
        self.queue.retain(|key| slots.contains_key(key) && kept.insert(Arc::clone(key)));
    }

    /// Returns the number of freed bytes; 0 if nothing is here, or all of it was read lately.
    fn evict_one(&mut self, now: u64) -> i64 {
        for _ in 0..self.queue.len() {
            let Some(key) = self.queue.pop_front() else { break };
            match self.slots.get_mut(&key) {
                Some(slot) if slot.read && slot.expires_at > now => {
                    slot.read = false;
                    self.queue.push_back(key);
                }
                Some(_) => return self.remove(&key),
                None => {}
            }
        }
        0
    }
}

fn cost(key: &str, slot: &Slot) -> i64 {
    i64::try_from(key.len() + slot.bytes.len() + OVERHEAD).unwrap_or(i64::MAX)
}

impl Slot {
    fn holds(&self, lease: &Lease) -> bool {
        match (lease.place(), envelope::head(&self.bytes)) {
            (LeasePlace::Slot, _) => self.bytes == lease.bytes(),
            (LeasePlace::Value, Head::Value(mark)) => mark.token == Some(lease.token()),
            (LeasePlace::Value, _) => false,
        }
    }

    /// Marks a copy of the value, because readers may still have the bytes. Its length stays.
    fn mark(&mut self, token: Option<Token>, until: u64) {
        let mut bytes = self.bytes.to_vec();
        envelope::mark(&mut bytes, token, until);
        self.bytes = bytes.into();
    }

    /// Marks the value as leased from now on, and keeps it for as long.
    fn lease(&mut self, lease: &Lease, now: u64) {
        let until = now.saturating_add(lease.millis);
        self.mark(Some(lease.token()), until);
        self.expires_at = self.expires_at.max(until);
    }

    /// Ends the lease that the slot holds; returns the update of the slot.
    fn release(&mut self, lease: &Lease, release: Release, now: u64) -> Update {
        match (lease.place(), release) {
            (LeasePlace::Slot, _) | (LeasePlace::Value, Release::Remove) => Update::Remove,
            (LeasePlace::Value, Release::Pause(millis)) => {
                self.mark(None, now.saturating_add(millis));
                Update::Keep
            }
        }
    }
}

fn lease_update(lease: &Lease) -> Update {
    Update::Put(Bytes::copy_from_slice(lease.bytes()), Ttl::Millis(lease.millis), false)
}

/// Every operation is done when it returns: its future is ready, which the blocking face needs.
impl Store for MemoryStore {
    fn read(&self, key: &Key, by: Instant) -> impl Future<Output = Result<Read, Error>> + Send {
        let soon = self.at(by);
        let bytes = self.living(key.as_str(), self.shard_of(key.address()), soon);
        let seal = self.seal_of(key.tags(), soon);
        let own_seal = self.seal_of(&own_tags(key, bytes.as_deref().unwrap_or_default()), soon);
        ready(Ok(Read { bytes, seal, own_seal }))
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

    fn take(
        &self,
        key: &Key,
        lease: &Lease,
        precondition: &Precondition,
        _: Instant,
    ) -> impl Future<Output = Result<TakeReply, Error>> + Send {
        let compared = |bytes: &Bytes| bytes.slice(..bytes.len().min(COMPARED));
        let is_seen =
            |slot: &Slot, seen: &Bytes| slot.bytes.len() == seen.len() && compared(&slot.bytes) == compared(seen);
        ready(Ok(self.update(key.as_str(), |slot| match (slot, precondition) {
            (Some(slot), Precondition::Empty) => (TakeReply::Held(slot.bytes.clone()), Update::Keep),
            (Some(slot), Precondition::Unchanged(seen)) if !is_seen(slot, seen) => (TakeReply::Changed, Update::Keep),
            _ => (TakeReply::Taken, lease_update(lease)),
        })))
    }

    fn may_take_first(&self, _key: &Key) -> bool {
        // There is no round trip to save.
        false
    }

    fn shares_reads(&self, _key: &Key) -> bool {
        false
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
            let now = self.now();
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

    fn fill(
        &self,
        key: &Key,
        lease: &Lease,
        value: Bytes,
        ttl: Ttl,
        _: Instant,
    ) -> impl Future<Output = Result<bool, Error>> + Send {
        // An entry counts with its key and its overhead: a value above the bound is not stored.
        let too_large = i64::try_from(value.len() + OVERHEAD + key.as_str().len()).map_or(true, |n| n > self.max_bytes);
        let mut tags = own_tags(key, &value);
        let filled = self.update(key.as_str(), |slot| match slot.filter(|slot| slot.holds(lease)) {
            Some(slot) if too_large => (false, slot.release(lease, Release::Pause(0), self.now())),
            // Readers of the old value will probably read the new value.
            Some(slot) => (true, Update::Put(value, ttl, slot.read && lease.place() == LeasePlace::Value)),
            None => (false, Update::Keep),
        });
        if filled {
            tags.extend_from_slice(key.tags());
            self.keep_stamps(tags.iter().map(String::as_str), ttl);
        }
        ready(if filled || !too_large {
            Ok(filled)
        } else {
            Err(Error::new(ErrorKind::OutOfMemory, "the value is larger than the memory store"))
        })
    }

    fn renew(&self, key: &Key, lease: &Lease, _: Instant) -> impl Future<Output = Result<bool, Error>> + Send {
        ready(Ok(self.update(key.as_str(), |slot| match slot.filter(|slot| slot.holds(lease)) {
            Some(slot) if lease.place() == LeasePlace::Value => {
                slot.lease(lease, self.now());
                (true, Update::Keep)
            }
            Some(_) => (true, lease_update(lease)),
            None => (false, Update::Keep),
        })))
    }

    fn release(
        &self,
        key: &Key,
        lease: &Lease,
        release: Release,
        _: Instant,
    ) -> impl Future<Output = Result<bool, Error>> + Send {
        ready(Ok(self.update(key.as_str(), |slot| match slot.filter(|slot| slot.holds(lease)) {
            Some(slot) => (true, slot.release(lease, release, self.now())),
            None => (false, Update::Keep),
        })))
    }

    fn invalidate(&self, keys: &[Key], _: Instant) -> impl Future<Output = Result<u64, Error>> + Send {
        ready(Ok(keys.iter().map(|key| u64::from(self.empty(key.as_str()))).sum()))
    }

    async fn read_many(&self, keys: &[&Key]) -> Vec<Result<Read, Error>> {
        let (now, mut reads) = (Instant::now(), Vec::with_capacity(keys.len()));
        for key in keys {
            reads.push(self.read(key, now).await);
        }
        reads
    }

    async fn take_many(&self, slots: &[TakeRequest<'_>]) -> Vec<Result<TakeReply, Error>> {
        let mut taken = Vec::with_capacity(slots.len());
        for TakeRequest { key, lease, precondition } in slots {
            taken.push(self.take(key, lease, precondition, self.started).await);
        }
        taken
    }

    async fn end_many(&self, slots: &[EndRequest<'_>]) -> Vec<Result<bool, Error>> {
        let mut ended = Vec::with_capacity(slots.len());
        for EndRequest { key, lease, end } in slots {
            ended.push(match end {
                End::Fill(value, ttl) => self.fill(key, lease, value.clone(), *ttl, self.started).await,
                End::Release(release) => self.release(key, lease, *release, self.started).await,
            });
        }
        ended
    }

    async fn renew_many(&self, leases: &[(Key, Lease)]) -> Vec<Result<bool, Error>> {
        let mut renewed = Vec::with_capacity(leases.len());
        for (key, lease) in leases {
            renewed.push(self.renew(key, lease, self.started).await);
        }
        renewed
    }

    fn count(&self, group: &Key, _: Instant) -> impl Future<Output = Result<u64, Error>> + Send {
        let shard = self.lock(self.shard_index(group.as_str()));
        let now = self.now();
        let is_value = |member: &&Arc<str>| {
            let slot = shard.slots.get(*member).filter(|slot| slot.expires_at > now);
            slot.is_some_and(|slot| matches!(envelope::head(&slot.bytes), Head::Value(_)))
        };
        let count = shard.groups.get(group.as_str()).map_or(0, |members| members.iter().filter(is_value).count());
        ready(Ok(count as u64))
    }

    async fn clear(&self, extent: &Extent, _: Duration) -> Result<u64, Error> {
        Ok((0..SHARDS).map(|index| self.clear_shard(index, extent)).sum())
    }

    fn ping(&self, _: Instant) -> impl Future<Output = Result<(), Error>> + Send {
        ready(Ok(()))
    }

    fn abandon(&self, key: &Key, lease: &Lease, release: Release) {
        drop(self.release(key, lease, release, self.started));
    }

    fn abandon_many(&self, leases: Vec<(Key, Lease, Release)>) {
        for (key, lease, release) in leases {
            self.abandon(&key, &lease, release);
        }
    }

    fn queue_invalidation(&self, key: &Key) {
        drop(self.invalidate(std::slice::from_ref(key), self.started));
    }

    fn at(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.started);
        self.started_at + u64::try_from(since.as_millis()).unwrap_or(u64::MAX / 2)
    }

    fn not_before(&self) -> u64 {
        0
    }
}
