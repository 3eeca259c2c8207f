//! The sizes of values, as far as they are known: large values travel apart from small ones.
//!
//! A request shows its size. A reply does not before it arrives, so the keys of each function are assumed to be like
//! those that were read before.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::key::Key;
use crate::store::redis::request::Load;

/// A value of more bytes than this is large: on the same connection, small ones would wait for it.
const LARGE: usize = 16 * 1024;

/// After this number of reads without a large value, a function's values are assumed to be small again.
const REMEMBERED: u8 = 64;

/// The mark of a function whose values are too large to be read.
const TOO_LARGE: u8 = u8::MAX;

/// The time for which values that were too large to be read are not read again.
const UNREAD: Duration = Duration::from_secs(60);

/// The number of places that a hash spreads functions over. Functions in the same place are assumed to be alike.
const PLACES: usize = 1024;

#[derive(Debug)]
pub(crate) struct Sizes {
    /// The number of reads until the values are assumed to be small, or [`TOO_LARGE`].
    left: Box<[AtomicU8]>,
    /// When the values of a place that is too large are read again, in milliseconds since `began`.
    unread_until: Box<[AtomicU64]>,
    began: Instant,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes {
            left: (0..PLACES).map(|_| AtomicU8::new(0)).collect(),
            unread_until: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            began: Instant::now(),
        }
    }
}

impl Sizes {
    /// The load of a value that is written.
    pub(crate) fn writing(size: usize) -> Load {
        Load { sent: size, is_large: size > LARGE, is_too_large: false }
    }

    /// The load of the value that is going to be read.
    pub(crate) fn reading(&self, key: &Key) -> Load {
        let left = self.place(key).load(Relaxed);
        Load { sent: 0, is_large: left > 0, is_too_large: left == TOO_LARGE && self.is_unread(key) }
    }

    /// Notes that a value of the key's function, and which one is not known, was too large to be read in time.
    pub(crate) fn timed_out(&self, key: &Key) {
        note(self.place(key), LARGE + 1);
    }

    /// Notes that this value was too large to be read in time. Returns true if that was not known.
    pub(crate) fn is_too_large(&self, key: &Key) -> bool {
        let until = self.began.elapsed() + UNREAD;
        self.unread_until[index(key)].store(until.as_millis() as u64, Relaxed);
        self.place(key).swap(TOO_LARGE, Relaxed) != TOO_LARGE
    }

    #[cold]
    fn is_unread(&self, key: &Key) -> bool {
        let is_unread = u128::from(self.unread_until[index(key)].load(Relaxed)) > self.began.elapsed().as_millis();
        if !is_unread {
            self.place(key).store(REMEMBERED, Relaxed);
        }
        is_unread
    }

    /// Notes that a slot held a value of this many bytes.
    pub(crate) fn found(&self, key: &Key, size: usize) {
        note(self.place(key), size);
    }

    /// Does the same for many slots, most of which have the neighbour's function.
    pub(crate) fn found_all<'k>(&self, found: impl IntoIterator<Item = (&'k Key, usize)>) {
        let mut last: Option<(&Key, &AtomicU8)> = None;
        for (key, size) in found {
            let place = match last {
                Some((last, place)) if key.is_kin(last) => place,
                _ => self.place(key),
            };
            note(place, size);
            last = Some((key, place));
        }
    }

    fn place(&self, key: &Key) -> &AtomicU8 {
        &self.left[index(key)]
    }
}

fn index(key: &Key) -> usize {
    key.family() as usize % PLACES
}

/// Simultaneous countdowns may lose a step.
fn note(place: &AtomicU8, size: usize) {
    match place.load(Relaxed) {
        TOO_LARGE => {}
        _ if size > LARGE => place.store(REMEMBERED, Relaxed),
        0 => {}
        left => place.store(left - 1, Relaxed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyWriter;

    fn key(head: &str, argument: u32) -> Key {
        KeyWriter::new("", head).arg("id", &argument).finish().unwrap()
    }

    #[test]
    fn a_function_is_as_large_as_its_values_were() {
        let sizes = Sizes::default();
        let is_large = |head| sizes.reading(&key(head, 1)).is_large;
        assert!(!is_large("a"));
        sizes.found(&key("a", 2), LARGE + 1);
        assert!(is_large("a") && !is_large("b"));
        (1..REMEMBERED).for_each(|_| sizes.found(&key("a", 3), LARGE));
        assert!(is_large("a"), "one of the last ones was");
        sizes.found(&key("a", 3), 0);
        assert!(!is_large("a"));
    }

    #[test]
    fn each_of_many_is_its_own_function_s() {
        let sizes = Sizes::default();
        let keys = [key("a", 1), key("a", 2), key("b", 1), key("c", 1), key("b", 2)];
        sizes.found_all(keys.iter().zip([1, 1, LARGE + 1, 1, 1]));
        let is_large = |head| sizes.reading(&key(head, 1)).is_large;
        assert!(!is_large("a") && is_large("b") && !is_large("c"));
    }

    #[test]
    fn what_is_too_large_is_not_read_for_a_while() {
        let sizes = Sizes::default();
        assert!(sizes.is_too_large(&key("a", 1)) && !sizes.is_too_large(&key("a", 2)));
        let reading = |head| sizes.reading(&key(head, 3));
        assert!(reading("a").is_too_large && reading("a").is_large && !reading("b").is_too_large);
        sizes.found(&key("a", 1), 1);
        assert!(reading("a").is_too_large, "a small value does not say that all are");
        sizes.unread_until[index(&key("a", 1))].store(0, Relaxed);
        assert!(!reading("a").is_too_large && reading("a").is_large);
    }

    #[test]
    fn what_is_written_is_as_large_as_it_is() {
        assert!(!Sizes::writing(LARGE).is_large);
        assert!(Sizes::writing(LARGE + 1).is_large);
    }
}
