//! What a process does not have from the one that it was forked from: its other threads, and sole use of its connections.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The process in which something is used.
#[derive(Debug, Default)]
pub(crate) struct Process(AtomicU32);

impl Process {
    /// Returns true for the first call in a process that was forked from the one of the call before.
    pub(crate) fn is_forked(&self) -> bool {
        let (this, before) = (std::process::id(), self.0.load(Relaxed));
        if before == this {
            return false;
        }
        self.0.store(this, Relaxed);
        before != 0
    }
}
