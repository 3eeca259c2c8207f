//! Ways to run futures and calls: polled once, together, in frames of their own, on a grown stack, or with their panics caught; and a
//! clock.

pub(crate) mod block_on;
pub(crate) mod caught;
#[cfg(feature = "local")]
pub(crate) mod coarse;
#[cfg(feature = "tokio")]
pub(crate) mod join;
pub(crate) mod outlined;
pub(crate) mod stack;
