//! The values of one function that this process keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::call::AGAIN;
use super::cell::{Stamped, holds};
use crate::key::Key;
use crate::plan::function::{Function, Terms};
use crate::plan::local::Decoded;
use crate::poll::coarse::Coarse;
use crate::store::tracking::Vouched;
use crate::stored::envelope::Token;

/// A value that this process keeps.
pub(super) struct Entry {
    pub(super) value: Decoded,
    pub(super) id: Token,
    /// The function that read the value. One with other settings does not take it.
    pub(super) function: &'static Function,
    pub(super) vouched: Vouched,
    pub(super) stamps: Box<[Stamped]>,
    /// False for a value that is kept, but may have changed.
    pub(super) is_live: AtomicBool,
    /// The end of its lifetime.
    pub(super) until: Coarse,
    /// The moment from which on the next call is to refresh it.
    pub(super) due: AtomicU64,
    /// The tags that follow from the arguments.
    pub(super) tags: Box<[String]>,
    pub(super) has_own_tags: bool,
    /// The bytes that it counts as.
    pub(super) weight: u64,
}

impl Entry {
    /// Returns true if the value may be served.
    #[inline]
    pub(super) fn is_good(&self, now: Coarse) -> bool {
        self.is_live.load(SeqCst)
            && now < self.until
            && holds(&self.vouched, now)
            && self.stamps.iter().all(|stamped| stamped.holds(now))
    }

    /// Returns true if a call of a function may take the value: another one, of the same name, may have other tags.
    #[inline]
    pub(super) fn is_of(&self, terms: &Terms, key: &Key) -> bool {
        std::ptr::eq(self.function, terms.function) || self.is_shared_with(terms, key)
    }

    fn is_shared_with(&self, terms: &Terms, key: &Key) -> bool {
        self.function.identities() == terms.function.identities()
            && self.has_own_tags == terms.has_own_tags
            && *self.tags == *key.tags()
    }

    /// Returns true for the one call that is to refresh the value.
    #[inline]
    pub(super) fn is_to_refresh(&self, now: Coarse) -> bool {
        let due = self.due.load(Relaxed);
        now.0 >= due && self.due.compare_exchange(due, now.0 + AGAIN, Relaxed, Relaxed).is_ok()
    }

    pub(super) fn suspend(&self) {
        self.is_live.store(false, SeqCst);
    }
}

/// The memory of an entry apart from its value: its key, and what the maps need. An estimate.
const OVERHEAD: u64 = 256;

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

/// The entries of one function, by key. Functions with one name share it.
pub(super) struct Map {
    /// Prefix and name of the function.
    pub(super) head: Box<str>,
    most: u64,
    /// The least weight of an entry, so that there are no more of them than allowed.
    least: AtomicU64,
    entries: Cache<Box<str>, Arc<Entry>, Weight>,
}

impl Map {
    /// `most` entries that take `room` bytes together.
    pub(super) fn new(head: &str, most: usize, room: u64) -> Map {
        let most = most.max(1) as u64;
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(most).unwrap_or(usize::MAX).min(1 << 20))
            .weight_capacity(room)
            .shards(LOCKS)
            .build();
        let entries = match options {
            Ok(options) => {
                Cache::with_options(options, Weight, DefaultHashBuilder::default(), DefaultLifecycle::default())
            }
            // Both capacities are set above.
            Err(_) => Cache::with_weighter(1, room, Weight),
        };
        Map { head: head.into(), most, least: AtomicU64::new(room.div_ceil(most)), entries }
    }

    /// Changes the room of the map.
    pub(super) fn resize(&self, room: u64) {
        self.least.store(room.div_ceil(self.most), Relaxed);
        self.entries.set_capacity(room);
    }

    /// The weight of an entry whose value takes these bytes.
    pub(super) fn weight(&self, key: &str, bytes: usize) -> u64 {
        ((bytes + 2 * key.len()) as u64 + OVERHEAD).max(self.least.load(Relaxed))
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
        self.entries.insert(key, entry);
    }

    pub(super) fn remove(&self, key: &str) -> Option<Arc<Entry>> {
        self.entries.remove(key).map(|(_, entry)| entry)
    }

    pub(super) fn clear(&self) {
        self.entries.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
