//! Ways to run futures and calls: polled once, in frames of their own, on a grown stack, or with their panics caught.

pub(crate) mod caught;
pub(crate) mod once;
pub(crate) mod outlined;
pub(crate) mod stack;
