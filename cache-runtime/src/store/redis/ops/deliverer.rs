//! The thread that delivers the invalidations that could not be delivered at once.
//!
//! Async and plain functions share it: a runtime may end, or sleep, while the process lives. It starts with the first
//! invalidation that fails, and ends when all are delivered or the cache is dropped.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::poll::block_on::block_on;
use crate::store::redis::client::{Client, RedisStore};
use crate::store::redis::ops::delivery::LONGEST;
use crate::store::redis::transport::Lone;

/// The pause before the first attempt, which doubles with each that fails.
const SHORTEST: Duration = Duration::from_millis(100);
/// With the time that an attempt takes, this is the longest delay of the delivery after the server's return.
const LONG: Duration = Duration::from_millis(800);
/// The pause when the server is well and refuses the rest.
const REFUSED: Duration = Duration::from_secs(30);

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
    /// Notes that something is undelivered, and that an attempt at it has failed.
    pub(crate) fn wake(self: &Arc<Self>, client: &Weak<Client>) {
        self.wake_if(false, client);
    }

    /// Notes that something is undelivered, and must be sent at once.
    pub(crate) fn wake_at_once(self: &Arc<Self>, client: &Weak<Client>) {
        self.wake_if(true, client);
    }

    fn wake_if(self: &Arc<Self>, is_urgent: bool, client: &Weak<Client>) {
        let mut state = self.lock();
        state.has_more = true;
        state.is_urgent |= is_urgent;
        if state.is_running {
            self.changed.notify_one();
            return;
        }
        let (deliverer, client) = (Arc::clone(self), Weak::clone(client));
        let thread = thread::Builder::new().name("redis-cached deliver".to_owned());
        // If no thread can be started, the next read of a key delivers it, and the next failure tries again.
        state.is_running = thread.spawn(move || deliverer.run(&client)).is_ok();
    }

    /// Notes that the cache is dropped.
    pub(crate) fn end(&self) {
        self.lock().is_over = true;
        self.changed.notify_one();
    }

    fn run(&self, client: &Weak<Client>) {
        let mut pause = SHORTEST;
        while let Some(has_more) = self.pause(pause) {
            let Some(client) = client.upgrade() else { break };
            let store = RedisStore::new(&client, Lone::new(&client.server));
            block_on(store.release_orphans());
            let delivered = block_on(store.deliver(client.server.health.epoch(), Instant::now() + LONGEST));
            // This comes before the drop of the last reference to the client, because its end takes the same lock.
            let is_done = self.ends_if(|| !client.pending.any() && !client.abandoned.has_orphans());
            drop(store);
            if is_done {
                return;
            }
            let longest = match delivered {
                Ok(Some(refused)) if refused.is_denied() => REFUSED,
                _ => LONG,
            };
            pause = if has_more { SHORTEST } else { pause }.saturating_mul(2).min(longest);
        }
        self.lock().is_running = false;
    }

    /// Waits; returns true if more came meanwhile. `None` means that the cache is dropped.
    fn pause(&self, pause: Duration) -> Option<bool> {
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

    fn ends_if(&self, is_done: impl FnOnce() -> bool) -> bool {
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
