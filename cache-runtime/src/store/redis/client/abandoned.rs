//! The leases that ended tasks could not give back.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::key::Key;
use crate::store::Release;
use crate::stored::envelope::Lease;

/// An abandoned lease.
pub(crate) type Abandoned = (Key, Lease, Release);

/// More orphans than this end in their own time.
const MOST: usize = 65_536;

/// The leases whose tasks were dropped, and the number of tasks.
#[derive(Debug, Default)]
pub(crate) struct AbandonedLeases {
    orphans: Mutex<Vec<Abandoned>>,
    tasks: AtomicUsize,
}

impl AbandonedLeases {
    pub(crate) fn has_orphans(&self) -> bool {
        !self.orphans().is_empty()
    }

    pub(crate) fn take_orphans(&self) -> Vec<Abandoned> {
        std::mem::take(&mut *self.orphans())
    }

    pub(crate) fn add_orphans(&self, leases: Vec<Abandoned>) {
        let mut orphans = self.orphans();
        let room = MOST.saturating_sub(orphans.len());
        orphans.extend(leases.into_iter().take(room));
    }

    pub(crate) fn task_began(&self) {
        self.tasks.fetch_add(1, Relaxed);
    }

    pub(crate) fn task_ended(&self) {
        self.tasks.fetch_sub(1, Relaxed);
    }

    /// Returns true if no task is running, and none has left anything.
    pub(crate) fn is_done(&self) -> bool {
        self.tasks.load(Relaxed) == 0 && !self.has_orphans()
    }

    fn orphans(&self) -> MutexGuard<'_, Vec<Abandoned>> {
        self.orphans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
