//! Numbers that many threads add to.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The number of blocks that threads share. A number that all threads write costs them more than a hit.
pub(super) const BLOCKS: usize = OWN + 16;

/// The number of the first blocks, which are those of one thread each: it need not count in one atomic step, which would
/// take a twentieth of a hit of the local tier. All later threads share the others.
const OWN: usize = 8;

/// Returns true if no other thread counts in this block.
#[inline]
pub(super) fn is_own(block: usize) -> bool {
    block < OWN
}

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
            let thread = NEXT.fetch_add(1, Relaxed);
            let next = if thread < OWN { thread } else { OWN + thread % (BLOCKS - OWN) };
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
    /// Adds one to the count, and `micros` to the sum. Returns true if the tally is full, and is to be taken. If it
    /// [is own](is_own), nothing but this thread adds to it or takes it.
    #[inline]
    pub(super) fn add(&self, micros: u32, is_own: bool) -> bool {
        let added = u64::from(micros) << COUNT_BITS | 1;
        let before = if is_own {
            let before = self.0.load(Relaxed);
            self.0.store(before + added, Relaxed);
            before
        } else {
            self.0.fetch_add(added, Relaxed)
        };
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
        for is_own in [true, false] {
            let tally = Tally::default();
            for added in 0..4 * FULL {
                assert_eq!(tally.add(u32::MAX, is_own), added >= FULL);
            }
            let expected = Total { count: 4 * FULL, micros: 4 * FULL * u64::from(u32::MAX) };
            assert_eq!(tally.total(), expected);
            assert_eq!(tally.take(), expected);
            assert_eq!(tally.take(), Total::default());
        }
    }

    #[test]
    fn no_two_threads_own_a_block() {
        let blocks: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4 * BLOCKS).map(|_| scope.spawn(block_of_thread)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(blocks.iter().all(|block| *block < BLOCKS));
        for own in 0..OWN {
            assert!(blocks.iter().filter(|block| **block == own).count() <= 1, "{blocks:?}");
        }
        for shared in OWN..BLOCKS {
            assert!(blocks.contains(&shared), "{blocks:?}");
        }
    }
}
