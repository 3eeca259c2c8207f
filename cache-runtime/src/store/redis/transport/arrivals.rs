//! The bytes that arrive on a connection: they tell a large reply that is under way from a server that hangs.

#[cfg(feature = "tokio")]
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A reply of fewer bytes is not the reason for a time-out.
const LARGE: u64 = 64 * 1024;

/// Returns true if a bulk string of this length may be the reason for a time-out.
pub(crate) fn is_large(length: u64) -> bool {
    length >= LARGE
}

/// The bytes that have arrived, as the callers that wait see them. One task writes it.
#[cfg(feature = "tokio")]
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    received: AtomicU64,
    under_way: AtomicU64,
}

#[cfg(feature = "tokio")]
impl Arrivals {
    /// Notes that bytes arrived, and the length of the bulk string of which a part has arrived, or 0.
    pub(crate) fn note(&self, bytes: usize, under_way: usize) {
        self.received.store(self.received.load(Relaxed).wrapping_add(bytes as u64), Relaxed);
        self.under_way.store(under_way as u64, Relaxed);
    }

    /// The number of bytes so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// The length of a large bulk string that is under way, if bytes arrived since then.
    pub(crate) fn large_since(&self, received: u64) -> Option<u64> {
        let length = self.under_way.load(Relaxed);
        (is_large(length) && self.received() != received).then_some(length)
    }
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use super::*;

    #[test]
    fn a_large_reply_under_way_is_no_hang() {
        let arrivals = Arrivals::default();
        let before = arrivals.received();
        assert_eq!(arrivals.large_since(before), None);
        arrivals.note(100, 1 << 30);
        assert_eq!(arrivals.large_since(before), Some(1 << 30));
        assert_eq!(arrivals.large_since(arrivals.received()), None, "nothing arrived since");
        arrivals.note(100, 200);
        assert_eq!(arrivals.large_since(before), None, "a small one");
    }
}
