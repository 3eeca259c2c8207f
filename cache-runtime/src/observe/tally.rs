//! Numbers that many threads add to.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The number of blocks that threads share. A number that all threads write costs them more than a hit.
pub(super) const BLOCKS: usize = 16;

/// The block of this thread.
#[inline]
pub(super) fn block_of_thread() -> usize {
    thread_local! {
        static BLOCK: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    // Nothing is dropped with it, so that a thread that is ending has it, too.
    BLOCK.with(|block| match block.get() {
        usize::MAX => {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            let next = NEXT.fetch_add(1, Relaxed) % BLOCKS;
            block.set(next);
            next
        }
        known => known,
    })
}

/// A count, and a sum of microseconds, in one word: a hit adds to both at once.
///
/// The low bits are the count, and the others the sum. When the count comes to [`FULL`], both are moved to where there is
/// more room. The sum cannot overflow before that: it has room for more than four times as many of the largest addends.
#[derive(Debug, Default)]
pub(super) struct Tally(AtomicU64);

const COUNT_BITS: u32 = 20;
const FULL: u64 = 1 << 10;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// What a tally was added up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) count: u64,
    pub(super) micros: u64,
}

impl Total {
    fn of(word: u64) -> Total {
        Total { count: word & COUNT, micros: word >> COUNT_BITS }
    }

    pub(super) fn plus(self, other: Total) -> Total {
        Total { count: self.count + other.count, micros: self.micros + other.micros }
    }
}

impl Tally {
    /// Adds one to the count, and `micros` to the sum. Returns true if the tally is full, and is to be taken.
    #[inline]
    pub(super) fn add(&self, micros: u32) -> bool {
        let before = self.0.fetch_add(u64::from(micros) << COUNT_BITS | 1, Relaxed);
        before & COUNT >= FULL
    }

    pub(super) fn take(&self) -> Total {
        Total::of(self.0.swap(0, Relaxed))
    }

    pub(super) fn total(&self) -> Total {
        Total::of(self.0.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_addends_fit() {
        let tally = Tally::default();
        for added in 0..4 * FULL {
            assert_eq!(tally.add(u32::MAX), added >= FULL);
        }
        let expected = Total { count: 4 * FULL, micros: 4 * FULL * u64::from(u32::MAX) };
        assert_eq!(tally.total(), expected);
        assert_eq!(tally.take(), expected);
        assert_eq!(tally.take(), Total::default());
    }
}
