//! The state of the thread that delivers what could not be delivered at once.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The pause before the first attempt, which doubles with each that fails.
pub(crate) const SHORTEST: Duration = Duration::from_millis(100);

/// The state of the thread, and the messages to it.
#[derive(Debug, Default)]
pub(crate) struct Deliverer {
    state: Mutex<DelivererState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct DelivererState {
    is_running: bool,
    is_over: bool,
    /// True if more is undelivered than before.
    has_more: bool,
    /// True if something must be sent without a pause, because no attempt at it has failed.
    is_urgent: bool,
}

impl Deliverer {
    /// Notes that something is undelivered. `is_urgent` means that no attempt at it has failed. If the thread is not
    /// running, `start` starts it and returns true, unless that is impossible.
    pub(crate) fn wake(&self, is_urgent: bool, start: impl FnOnce() -> bool) {
        let mut state = self.lock();
        state.has_more = true;
        state.is_urgent |= is_urgent;
        if state.is_running {
            self.changed.notify_one();
        } else {
            state.is_running = start();
        }
    }

    /// Notes that the cache is dropped.
    pub(crate) fn end(&self) {
        self.lock().is_over = true;
        self.changed.notify_one();
    }

    /// Notes that the thread ends although something is undelivered.
    pub(crate) fn stopped(&self) {
        self.lock().is_running = false;
    }

    /// Waits, in the thread; returns true if more came meanwhile. `None` means that the cache is dropped.
    pub(crate) fn pause(&self, pause: Duration) -> Option<bool> {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), SHORTEST.min(pause), |state| !state.is_over && !state.is_urgent)
            .unwrap_or_else(PoisonError::into_inner);
        let rest = pause.saturating_sub(SHORTEST);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, rest, |state| !state.is_over && !state.has_more)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_urgent = false;
        (!state.is_over).then(|| std::mem::take(&mut state.has_more))
    }

    /// Notes that the thread ends if `is_done` returns true.
    pub(crate) fn ends_if(&self, is_done: impl FnOnce() -> bool) -> bool {
        let mut state = self.lock();
        // This is done under the lock: a later invalidation finds no thread running, and starts one.
        let is_done = is_done();
        state.is_running = !is_done;
        is_done
    }

    fn lock(&self) -> MutexGuard<'_, DelivererState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
