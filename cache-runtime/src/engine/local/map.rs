//! The values of one function that this process keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use super::call::AGAIN;
use super::cell::{Stamped, holds};
use crate::observe::Counters;
use crate::plan::function::Function;
use crate::plan::local::Decoded;
use crate::poll::coarse::Coarse;
use crate::store::tracking::Vouched;
use crate::stored::envelope::Token;

/// Whether an entry is as the store has it.
#[derive(Debug)]
pub(super) struct EntryState(AtomicU8);

impl EntryState {
    /// It is.
    const LIVE: u8 = 0;
    /// It is kept, but may have changed.
    const SUSPENDED: u8 = 1;
    /// It has left its map, so that no change of it is noticed any more.
    const GONE: u8 = 2;

    pub(super) fn live() -> EntryState {
        EntryState(AtomicU8::new(EntryState::LIVE))
    }

    #[inline]
    fn is_live(&self) -> bool {
        self.0.load(SeqCst) == EntryState::LIVE
    }
}

/// A value that this process keeps.
pub(super) struct Entry {
    pub(super) value: Decoded,
    pub(super) id: Token,
    /// The function that read the value. One with other settings does not take it.
    pub(super) function: &'static Function,
    pub(super) vouched: Vouched,
    pub(super) stamps: Box<[Stamped]>,
    pub(super) state: EntryState,
    /// The end of its lifetime.
    pub(super) until: Coarse,
    /// The moment from which on the next call is to refresh it.
    pub(super) due: AtomicU64,
    /// The tags that follow from the arguments.
    pub(super) tags: Box<[String]>,
    pub(super) has_own_tags: bool,
    /// The size of its value, encoded and not compressed.
    pub(super) bytes: usize,
    /// The bytes that it counts as: at least its part of the room.
    pub(super) weight: u64,
    /// How long its body ran.
    pub(super) body_micros: u32,
}

impl Entry {
    /// Returns true if the value may be served.
    ///
    /// The order matters. A proof says that all changes up to some moment have been noted before the proof was; so the
    /// note is looked for after the proof. In the other order, a change and the next proof could come in between.
    #[inline]
    pub(super) fn is_good(&self, now: Coarse) -> bool {
        now < self.until
            && holds(&self.vouched, now)
            && self.stamps.iter().all(|stamped| stamped.holds(now))
            && self.state.is_live()
    }

    /// Returns true if a call of a function may take the value. Another function of the same name may read other values, and
    /// two calls with one key may have other tags: tags may be made of more than the key is.
    #[inline]
    pub(super) fn is_of(&self, function: &'static Function, has_own_tags: bool, tags: &[String]) -> bool {
        (std::ptr::eq(self.function, function) || self.is_shared_with(function, has_own_tags)) && *self.tags == *tags
    }

    #[cold]
    fn is_shared_with(&self, function: &'static Function, has_own_tags: bool) -> bool {
        self.function.identities() == function.identities() && self.has_own_tags == has_own_tags
    }

    /// Returns true for the one call that is to refresh the value.
    #[inline]
    pub(super) fn is_to_refresh(&self, now: Coarse) -> bool {
        let due = self.due.load(Relaxed);
        now.0 >= due && self.due.compare_exchange(due, now.0 + AGAIN, Relaxed, Relaxed).is_ok()
    }

    /// Returns true if changes may have been missed since the entry was confirmed.
    pub(super) fn is_of_earlier_proof(&self) -> bool {
        self.vouched.as_ref().is_some_and(|(proof, generation)| proof.generation() != *generation)
    }

    /// Returns true if it could be served before.
    pub(super) fn suspend(&self) -> bool {
        let EntryState(state) = &self.state;
        state.compare_exchange(EntryState::LIVE, EntryState::SUSPENDED, SeqCst, SeqCst).is_ok()
    }

    /// Notes that it leaves its map: a call that has found it there serves it no more. Returns true the first time.
    fn leave(&self) -> bool {
        self.state.0.swap(EntryState::GONE, SeqCst) != EntryState::GONE
    }
}

/// The memory of an entry apart from its value: its key, and what the maps need. An estimate.
const OVERHEAD: u64 = 256;

/// Fewer entries than this have the whole room.
const FEW: u64 = 1024;

/// The locks of a map. A value that is larger than this part of its map's room is not kept.
const LOCKS: usize = 8;

/// The weight of an entry, which does not change.
#[derive(Clone)]
struct Weight;

impl Weighter<Box<str>, Arc<Entry>> for Weight {
    fn weight(&self, _: &Box<str>, entry: &Arc<Entry>) -> u64 {
        entry.weight
    }
}

/// Counts the entries that are removed to make room.
#[derive(Clone)]
struct Evictions(Arc<Counters>);

impl Lifecycle<Box<str>, Arc<Entry>> for Evictions {
    /// What a request evicted, which is dropped without the lock. Most requests evict one entry or two.
    type RequestState = [Option<(Box<str>, Arc<Entry>)>; 2];

    fn on_evict(&self, evicted: &mut Self::RequestState, key: Box<str>, entry: Arc<Entry>) {
        // An entry that another one takes the place of has left already.
        if entry.leave() {
            self.0.local().evicted.fetch_add(1, Relaxed);
        }
        if let Some(place) = evicted.iter_mut().find(|place| place.is_none()) {
            *place = Some((key, entry));
        }
    }
}

/// The entries of one function, by key. Functions with one name share it.
pub(super) struct Map {
    /// Prefix and name of the function.
    pub(super) head: Box<str>,
    most: u64,
    /// The least weight of an entry, so that there are no more of them than allowed.
    least: AtomicU64,
    /// Those of the first function with this name.
    pub(super) counters: Arc<Counters>,
    entries: Cache<Box<str>, Arc<Entry>, Weight, DefaultHashBuilder, Evictions>,
}

impl Map {
    /// `most` entries that take `room` bytes together.
    pub(super) fn new(head: &str, most: usize, room: u64, counters: Arc<Counters>) -> Map {
        let most = most.max(1) as u64;
        let least = (room / most).max(1);
        // What was evicted is remembered by its hash, for as many entries as small ones could be.
        let estimate = most.min(room / OVERHEAD).max(1);
        let mut options = OptionsBuilder::new();
        options
            .estimated_items_capacity(usize::try_from(estimate).unwrap_or(usize::MAX))
            .weight_capacity(least * most)
            .shards(LOCKS);
        // A part of the room that is kept for new entries would be none of few.
        if most < FEW {
            options.hot_allocation(1.0);
        }
        let (hasher, evictions) = (DefaultHashBuilder::default(), Evictions(Arc::clone(&counters)));
        let entries = match options.build() {
            Ok(options) => Cache::with_options(options, Weight, hasher, evictions),
            // Both capacities are set above.
            Err(_) => Cache::with(1, room, Weight, hasher, evictions),
        };
        Map { head: head.into(), most, least: AtomicU64::new(least), counters, entries }
    }

    /// Changes the room of the map.
    pub(super) fn resize(&self, room: u64) {
        let least = (room / self.most).max(1);
        self.least.store(least, Relaxed);
        self.entries.set_capacity(least * self.most);
    }

    /// The weight of an entry whose value takes these bytes; `None` if it is too large to be kept.
    pub(super) fn weight(&self, key: &str, bytes: usize) -> Option<u64> {
        let weight = ((bytes + 2 * key.len()) as u64 + OVERHEAD).max(self.least.load(Relaxed));
        (weight <= self.entries.shard_capacity()).then_some(weight)
    }

    #[inline]
    pub(super) fn get(&self, key: &str) -> Option<Arc<Entry>> {
        self.entries.get(key)
    }

    /// The entry, without a note that it was used.
    pub(super) fn peek(&self, key: &str) -> Option<Arc<Entry>> {
        self.entries.peek(key)
    }

    pub(super) fn insert(&self, key: Box<str>, entry: Arc<Entry>) {
        if let Some(replaced) = self.peek(&key) {
            replaced.leave();
        }
        self.entries.insert(key, entry);
    }

    pub(super) fn remove(&self, key: &str) -> Option<Arc<Entry>> {
        self.peek(key)?.leave();
        self.entries.remove(key).map(|(_, entry)| entry)
    }

    pub(super) fn clear(&self) {
        self.entries.retain(|_, entry| {
            entry.leave();
            false
        });
    }

    /// The number of entries, and the bytes that they count as.
    pub(super) fn held(&self) -> (u64, u64) {
        (self.entries.len() as u64, self.entries.weight())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::observe::{Functions, Listener};
    use crate::plan::codec::CodecFns;
    use crate::plan::function::{Name, Prefix, Site, Slot};
    use crate::store::tracking::Proof;
    use crate::stored::codec::Auto;

    const BOUND: Duration = Duration::from_secs(1);

    fn function() -> &'static Function {
        static SLOT: Slot = Slot::new();
        let prefix = Prefix::Given { text: "map" };
        let site = Site { ident: "entry", prefix, name: Name::Given("entry"), shape: "", version: 0 };
        SLOT.function(&site, Location::caller(), "map::entry", &[], &CodecFns::<u64>::of::<Auto>())
    }

    fn entry(vouched: Vouched, weight: u64) -> Arc<Entry> {
        Arc::new(Entry {
            value: Arc::new(7_u64),
            id: Token::random().unwrap(),
            function: function(),
            vouched,
            stamps: Box::default(),
            state: EntryState::live(),
            until: Coarse(u64::MAX),
            due: AtomicU64::new(u64::MAX),
            tags: Box::default(),
            has_own_tags: false,
            bytes: 8,
            weight,
            body_micros: 0,
        })
    }

    /// A hit that looks while a change and the next proof are noted does not see the proof alone.
    #[test]
    fn a_change_is_seen_with_the_proof_after_it() {
        let known = || {
            let proof = Arc::new(Proof::new(BOUND));
            (entry(Some((Arc::clone(&proof), 0)), 1), proof)
        };
        let (current, over) = (Mutex::new(known()), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    let (entry, _) = current.lock().unwrap().clone();
                    let now = Coarse::now();
                    assert!((0..50).all(|_| !entry.is_good(now)));
                }
            });
            for _ in 0..200_000 {
                let (entry, proof) = current.lock().unwrap().clone();
                // The entry has no proof until it is suspended.
                entry.suspend();
                proof.extend(0, Coarse::now());
                *current.lock().unwrap() = known();
            }
            over.store(true, SeqCst);
        });
    }

    /// Changes of what has left a map are not noted, so a hit that has found it there does not serve it.
    #[test]
    fn what_leaves_is_not_served() {
        let counters = Arc::clone(Functions::new(Listener::default()).of(function()));
        let map = Map::new("map:entry", 10, 1 << 20, Arc::clone(&counters));
        let good = |entry: &Entry| entry.is_good(Coarse::now());
        let kept = |key: &str| {
            map.insert(key.into(), entry(None, map.weight(key, 8).unwrap()));
            let kept = map.get(key).unwrap();
            assert!(good(&kept));
            kept
        };
        let (removed, replaced) = (kept("removed"), kept("replaced"));
        assert!(map.remove("removed").is_some() && !good(&removed));
        let present = kept("replaced");
        assert!(!good(&replaced) && good(&present));
        assert_eq!(counters.local().evicted.load(Relaxed), 0, "it is not counted as evicted");
        map.clear();
        assert!(!good(&present) && map.is_empty());
        let many: Vec<_> = (0..100).map(|key| kept(&key.to_string())).collect();
        let (here, gone): (Vec<_>, Vec<_>) =
            many.iter().enumerate().partition(|(key, _)| map.peek(&key.to_string()).is_some());
        assert!(!here.is_empty() && here.iter().all(|(_, entry)| good(entry)));
        assert!(!gone.is_empty() && gone.iter().all(|(_, entry)| !good(entry)));
        assert_eq!(counters.local().evicted.load(Relaxed), gone.len() as u64);
    }
}
