//! Ways to run futures and calls: polled once, in frames of their own, on a grown stack, or with their panics caught.

pub(crate) mod block_on;
pub(crate) mod caught;
pub(crate) mod outlined;
pub(crate) mod stack;
