//! Invalidations that could not be delivered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The number of keys that are kept.
const MOST: usize = 65_536;

/// The largest difference between the clocks of processes: half of a slow round trip on either side, and more.
const MARGIN_MILLIS: u64 = 2_000;

/// A bounded set of keys to invalidate before anything is read from them again.
#[derive(Debug)]
pub(crate) struct Pending {
    /// True if `kept` holds anything, for the path of a hit.
    any: AtomicBool,
    not_before: AtomicU64,
    kept: Mutex<Kept>,
    most: usize,
}

#[derive(Debug, Default)]
struct Kept {
    /// Each key has the number of its latest addition: a delivery that began earlier does not count.
    keys: HashMap<Box<str>, u64>,
    additions: u64,
    /// True if some keys did not fit: values leased until now are misses once the server is back.
    lost: bool,
}

/// Some of the kept keys, to be delivered.
pub(crate) type KeptKeys = Vec<(Box<str>, u64)>;

impl Default for Pending {
    fn default() -> Self {
        Pending::new(MOST)
    }
}

impl Pending {
    fn new(most: usize) -> Pending {
        Pending { any: AtomicBool::new(false), not_before: AtomicU64::new(0), kept: Mutex::default(), most }
    }

    pub(crate) fn any(&self) -> bool {
        self.any.load(SeqCst)
    }

    pub(crate) fn add<'a>(&self, keys: impl IntoIterator<Item = &'a str>) {
        let mut kept = self.lock();
        for key in keys {
            kept.additions += 1;
            let addition = kept.additions;
            if let Some(known) = kept.keys.get_mut(key) {
                *known = addition;
            } else if kept.keys.len() < self.most {
                kept.keys.insert(key.into(), addition);
            } else {
                kept.lost = true;
            }
        }
        self.note(&kept);
    }

    /// Keeps the key if there is room: the key need not be delivered.
    pub(crate) fn add_if_room(&self, key: &str) {
        if self.lock().keys.len() < self.most {
            self.add([key]);
        }
    }

    /// Returns those of the keys that are kept.
    pub(crate) fn find_all<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> KeptKeys {
        if !self.any() {
            return KeptKeys::new();
        }
        let kept = self.lock();
        let known = |key: &str| kept.keys.get(key).map(|addition| (key.into(), *addition));
        keys.into_iter().filter_map(known).collect()
    }

    /// Returns true if one of the keys is kept, or was lost.
    pub(crate) fn concerns<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> bool {
        if !self.any() {
            return false;
        }
        let kept = self.lock();
        kept.lost || keys.into_iter().any(|key| kept.keys.contains_key(key))
    }

    /// The number of kept keys.
    pub(crate) fn len(&self) -> usize {
        if self.any() { self.lock().keys.len() } else { 0 }
    }

    /// All of the kept keys.
    pub(crate) fn all(&self) -> KeptKeys {
        self.lock().keys.iter().map(|(key, addition)| (key.clone(), *addition)).collect()
    }

    /// Removes the keys that the server confirmed.
    pub(crate) fn delivered(&self, keys: &KeptKeys) {
        if keys.is_empty() {
            return;
        }
        let mut kept = self.lock();
        for (key, addition) in keys {
            if kept.keys.get(key) == Some(addition) {
                kept.keys.remove(key);
            }
        }
        if kept.keys.is_empty() {
            // This frees the capacity that an outage needed.
            kept.keys = HashMap::new();
        }
        self.note(&kept);
    }

    /// Notes that the server answers: if keys were lost, everything leased so far is a miss.
    pub(crate) fn settle_losses(&self, now: u64) {
        let mut kept = self.lock();
        if kept.lost {
            kept.lost = false;
            self.not_before.fetch_max(now.saturating_add(MARGIN_MILLIS), Relaxed);
        }
        self.note(&kept);
    }

    /// Values leased before this time of the server are misses.
    pub(crate) fn not_before(&self) -> u64 {
        self.not_before.load(Relaxed)
    }

    fn note(&self, kept: &Kept) {
        self.any.store(kept.lost || !kept.keys.is_empty(), SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_delivered_is_gone() {
        let pending = Pending::default();
        assert!(!pending.any());
        pending.add(["a", "b"]);
        assert!(pending.any());
        let keys = pending.find_all(["a", "c"]);
        assert_eq!(keys.len(), 1);
        assert!(pending.concerns(["c", "a"]) && !pending.concerns(["c"]) && pending.len() == 2);
        pending.delivered(&keys);
        assert!(pending.find_all(["a"]).is_empty() && pending.any());
        pending.delivered(&pending.all());
        assert!(!pending.any());
    }

    #[test]
    fn a_key_added_again_meanwhile_stays() {
        let pending = Pending::default();
        pending.add(["a"]);
        let keys = pending.all();
        pending.add(["a"]);
        pending.delivered(&keys);
        assert!(!pending.find_all(["a"]).is_empty() && pending.any());
    }

    #[test]
    fn too_many_make_all_that_was_leased_a_miss() {
        let pending = Pending::new(2);
        pending.add(["a", "b"]);
        pending.settle_losses(1_000);
        assert_eq!(pending.not_before(), 0, "none lost");
        pending.add(["a", "c"]);
        pending.delivered(&pending.all());
        assert!(pending.any(), "the loss is still to be settled");
        pending.settle_losses(1_000);
        assert_eq!(pending.not_before(), 1_000 + MARGIN_MILLIS);
        assert!(!pending.any());
    }
}
