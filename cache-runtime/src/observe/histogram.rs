//! Histograms with fixed buckets.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use super::snapshot::{Histogram, Merge};
use super::tally::{BLOCKS, block_of_thread};

/// The upper bounds of the buckets of durations, in seconds.
pub(super) const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The upper bounds of the buckets of sizes, in bytes.
pub(super) const BYTES: &[f64] =
    &[256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0, 67_108_864.0];

/// The most buckets of a histogram, with the one above all bounds.
const MOST: usize = 17;

/// A histogram, which is made by its first observation: most functions need few of theirs.
#[derive(Debug)]
pub(super) struct Buckets {
    bounds: &'static [f64],
    /// The unit of `sum`: how many of it are one of the unit of the bounds.
    scale: f64,
    filled: OnceLock<Box<Filled>>,
}

/// In cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Filled {
    counts: [AtomicU64; MOST],
    sum: AtomicU64,
}

impl Buckets {
    pub(super) fn of_seconds(bounds: &'static [f64]) -> Buckets {
        Buckets { bounds, scale: 1e6, filled: OnceLock::new() }
    }

    pub(super) fn of_bytes() -> Buckets {
        Buckets { bounds: BYTES, scale: 1.0, filled: OnceLock::new() }
    }

    /// Adds an observation: microseconds, or bytes.
    pub(super) fn observe(&self, amount: u64) {
        let filled = self.filled.get_or_init(Box::default);
        let value = amount as f64 / self.scale;
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        // A reader that sees the count sees the sum, too.
        filled.sum.fetch_add(amount, Relaxed);
        filled.counts[bucket].fetch_add(1, Release);
    }

    pub(super) fn read(&self) -> Histogram {
        let mut histogram = Histogram::of(self.bounds);
        if let Some(filled) = self.filled.get() {
            for (count, bucket) in histogram.counts.iter_mut().zip(&filled.counts) {
                *count = bucket.load(Acquire);
            }
            histogram.sum = filled.sum.load(Relaxed) as f64 / self.scale;
        }
        histogram
    }
}

/// A histogram to which each thread adds in a place that few others have: for what happens in hits.
#[derive(Debug)]
pub(super) struct Spread([Buckets; BLOCKS]);

impl Spread {
    pub(super) fn of_seconds(bounds: &'static [f64]) -> Spread {
        Spread(std::array::from_fn(|_| Buckets::of_seconds(bounds)))
    }

    /// Adds an observation in microseconds.
    pub(super) fn observe(&self, micros: u64) {
        self.0[block_of_thread()].observe(micros);
    }

    pub(super) fn read(&self) -> Histogram {
        let mut sum = self.0[0].read();
        for part in &self.0[1..] {
            sum.merge(&part.read());
        }
        sum
    }
}

/// Something that is made by its first use.
#[derive(Debug)]
pub(super) struct Lazy<T>(OnceLock<Box<T>>);

impl<T: Default> Lazy<T> {
    pub(super) fn get(&self) -> &T {
        self.0.get_or_init(Box::default)
    }

    pub(super) fn known(&self) -> Option<&T> {
        self.0.get().map(|made| &**made)
    }
}

impl<T> Default for Lazy<T> {
    fn default() -> Lazy<T> {
        Lazy(OnceLock::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        assert!(SECONDS.len() < MOST && BYTES.len() < MOST);
        let seconds = Buckets::of_seconds(SECONDS);
        assert_eq!(seconds.read().count(), 0);
        for micros in [0, 500, 501, 60_000_000, 60_000_001] {
            seconds.observe(micros);
        }
        let read = seconds.read();
        assert_eq!((read.counts[0], read.counts[1], read.counts[15], read.counts[16]), (2, 1, 1, 1));
        assert_eq!(read.count(), 5);
        assert!((read.sum - 120.001_002).abs() < 1e-9, "{}", read.sum);
        let bytes = Buckets::of_bytes();
        bytes.observe(256);
        bytes.observe(u64::from(u32::MAX));
        assert_eq!((bytes.read().counts[0], bytes.read().counts[10]), (1, 1));
    }
}
