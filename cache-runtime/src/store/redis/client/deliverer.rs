//! The state of the task that delivers what could not be delivered at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::fork::Process;
use crate::store::redis::keeper::Signal;

/// The pause before the first attempt, which doubles with each that fails.
pub(crate) const SHORTEST: Duration = Duration::from_millis(100);

/// The state of the task, and the messages to it.
#[derive(Debug, Default)]
pub(crate) struct Deliverer {
    state: Mutex<DelivererState>,
    changed: Signal,
    process: Process,
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

/// The task, while it runs. `None` once it has ended.
#[derive(Debug)]
pub(crate) struct Running(Option<Arc<Deliverer>>);

impl Running {
    /// Waits; returns true if more came meanwhile. `None` means that the cache is dropped.
    pub(crate) async fn pause(&self, pause: Duration) -> Option<bool> {
        self.0.as_ref()?.pause(pause).await
    }

    /// Ends the task if `is_done` returns true.
    pub(crate) fn unless(mut self, is_done: impl FnOnce() -> bool) -> Option<Running> {
        let deliverer = self.0.take()?;
        let mut state = deliverer.lock();
        // This is done under the lock: a later invalidation finds no task running, and starts one.
        state.is_running = !is_done();
        let goes_on = state.is_running;
        drop(state);
        goes_on.then_some(Running(Some(deliverer)))
    }
}

impl Drop for Running {
    /// The task was dropped, or panicked.
    fn drop(&mut self) {
        if let Some(deliverer) = &self.0 {
            deliverer.lock().is_running = false;
        }
    }
}

impl Deliverer {
    /// Notes that something is undelivered. `is_urgent` means that no attempt at it has failed. Returns the right to run
    /// the task if it is not running.
    pub(crate) fn wake(self: &Arc<Self>, is_urgent: bool) -> Option<Running> {
        let mut state = self.lock();
        state.has_more = true;
        state.is_urgent |= is_urgent;
        if self.process.is_forked() {
            // The task runs in another process.
            state.is_running = false;
        }
        if std::mem::replace(&mut state.is_running, true) {
            self.changed.notify();
            return None;
        }
        Some(Running(Some(Arc::clone(self))))
    }

    /// Notes that the cache is dropped.
    pub(crate) fn end(&self) {
        self.lock().is_over = true;
        self.changed.notify();
    }

    async fn pause(&self, pause: Duration) -> Option<bool> {
        let begun = Instant::now();
        self.wait_until(begun + SHORTEST.min(pause), |state| state.is_urgent).await;
        self.wait_until(begun + pause, |state| state.has_more).await;
        let mut state = self.lock();
        state.is_urgent = false;
        (!state.is_over).then(|| std::mem::take(&mut state.has_more))
    }

    /// Waits until the condition holds, or the cache is dropped, and no longer than until this time.
    async fn wait_until(&self, by: Instant, condition: fn(&DelivererState) -> bool) {
        loop {
            let holds = {
                let state = self.lock();
                state.is_over || condition(&state)
            };
            let left = by.saturating_duration_since(Instant::now());
            if holds || left.is_zero() {
                return;
            }
            self.changed.wait(left).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, DelivererState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
