//! The lives of stamps, as far as this process knows them, so that a fill does not extend a stamp that outlives its
//! entry.
//!
//! A stamp is known by its bytes, because the next stamp of its tag has another life. Wrong knowledge, such as that of a
//! stamp that was evicted or whose extension a failover lost, makes the entries under the stamp misses early, and nothing
//! else: an entry whose stamp is gone is a miss whatever any process remembers.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::hash::hash;
use crate::store::redis::server::breaker::Epoch;

/// The most tags in each of the two generations: a table for so many has 2¹⁴ places, and takes half a megabyte.
const MOST: usize = 14_000;

/// The bytes of a stamp that this library makes.
type Stamp = [u8; 16];

/// A stamp, and the time of the server's clock until which it lives, in milliseconds; `u64::MAX` if it has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownStamp {
    pub(crate) stamp: Stamp,
    pub(crate) until: u64,
}

/// The stamps that one server has. The number of them is bounded: when the `recent` ones are as many as may be, the
/// `older` ones are forgotten, and they take their place.
#[derive(Debug)]
pub(crate) struct KnownStamps {
    /// A tag is known by its hash. Two tags with one hash forget each other's stamps.
    seed: u64,
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    /// Nothing that was known in another epoch counts: the server may have lost its latest writes since then.
    epoch: Option<Epoch>,
    recent: HashMap<u64, KnownStamp>,
    older: HashMap<u64, KnownStamp>,
}

impl Default for KnownStamps {
    fn default() -> KnownStamps {
        KnownStamps { seed: RandomState::new().hash_one(0), generations: Mutex::default() }
    }
}

impl KnownStamps {
    /// The stamp that the tag had when its life was last heard of.
    pub(crate) fn find(&self, epoch: Epoch, tag: &str) -> Option<KnownStamp> {
        let hash = hash(self.seed, tag.as_bytes());
        let mut generations = self.lock();
        if generations.epoch != Some(epoch) {
            return None;
        }
        if let Some(known) = generations.recent.get(&hash) {
            return Some(*known);
        }
        let known = generations.older.remove(&hash)?;
        generations.add(hash, known);
        Some(known)
    }

    /// Notes that the tag has this stamp, which lives until then by the server's clock.
    pub(crate) fn note(&self, epoch: Epoch, tag: &str, stamp: &[u8], until: u64) {
        // A stamp of another length was written by another program.
        let Ok(stamp) = Stamp::try_from(stamp) else { return };
        let hash = hash(self.seed, tag.as_bytes());
        let mut generations = self.lock();
        if generations.epoch != Some(epoch) {
            *generations = Generations { epoch: Some(epoch), ..Generations::default() };
        }
        // Replies may be read in another order than that of their requests.
        let known = generations.recent.get(&hash).filter(|known| known.stamp == stamp);
        let until = known.map_or(until, |known| known.until.max(until));
        generations.add(hash, KnownStamp { stamp, until });
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // A panic while the lock is held leaves maps that are still maps.
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn add(&mut self, hash: u64, known: KnownStamp) {
        if self.recent.len() == MOST && !self.recent.contains_key(&hash) {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(hash, known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::redis::server::breaker::Breaker;

    const EPOCH: fn() -> Epoch = || Breaker::default().epoch();

    fn known(stamp: u8, until: u64) -> Option<KnownStamp> {
        Some(KnownStamp { stamp: [stamp; 16], until })
    }

    #[test]
    fn the_longest_life_of_the_latest_stamp_is_known() {
        let stamps = KnownStamps::default();
        assert_eq!(stamps.find(EPOCH(), "a"), None);
        stamps.note(EPOCH(), "a", &[1; 16], 5);
        stamps.note(EPOCH(), "a", &[1; 16], 3);
        assert_eq!(stamps.find(EPOCH(), "a"), known(1, 5));
        stamps.note(EPOCH(), "a", &[2; 16], 3);
        assert_eq!(stamps.find(EPOCH(), "a"), known(2, 3), "another stamp has another life");
        stamps.note(EPOCH(), "b", b"of another program", 9);
        assert_eq!(stamps.find(EPOCH(), "b"), None);
    }

    #[test]
    fn nothing_is_known_in_another_epoch() {
        let (stamps, breaker) = (KnownStamps::default(), Breaker::default());
        stamps.note(breaker.epoch(), "a", &[1; 16], 5);
        assert!(breaker.failed(breaker.epoch(), true));
        assert_eq!(stamps.find(breaker.epoch(), "a"), None);
        stamps.note(breaker.epoch(), "b", &[1; 16], 5);
        assert_eq!((stamps.find(breaker.epoch(), "a"), stamps.find(breaker.epoch(), "b")), (None, known(1, 5)));
    }

    #[test]
    fn tags_in_use_are_kept_and_the_others_are_bounded() {
        let stamps = KnownStamps::default();
        for number in 0..10 * MOST {
            stamps.note(EPOCH(), &format!("tag:{number}"), &[1; 16], 5);
            stamps.note(EPOCH(), "idle", &[2; 16], 5);
            if number == 0 {
                stamps.note(EPOCH(), "used", &[3; 16], 5);
            }
            assert_eq!(stamps.find(EPOCH(), "used"), known(3, 5), "{number}");
        }
        let generations = stamps.lock();
        assert!(generations.recent.len() <= MOST && generations.older.len() <= MOST);
        let most = (1 << 14) / 8 * 7;
        assert!(generations.recent.capacity() <= most && generations.older.capacity() <= most);
    }
}
