//! The thread that delivers what could not be delivered at once.
//!
//! Async and plain functions share it: a runtime may end, or sleep, while the process lives. It starts with the first
//! invalidation that fails, and ends when all are delivered or the cache is dropped.

use std::future::Future;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::breaker::Epoch;
use super::delivery::LONGEST;
use super::fault::Fault;
use super::transport::{Build, Decode, Load, Transport, patience};
use super::wire::Wire;
use super::{RedisStore, Shared};
use crate::poll::once::once;

/// The pause before the first attempt, which doubles with each that fails.
const SHORTEST: Duration = Duration::from_millis(100);
/// With the time that an attempt takes, this is how long after the server's return it is delivered at the latest.
const LONG: Duration = Duration::from_millis(800);
/// The same, where the server is well and refuses what is left.
const REFUSED: Duration = Duration::from_secs(30);

/// Whether the thread runs, and what it is told.
#[derive(Debug, Default)]
pub(super) struct Deliverer {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_running: bool,
    is_over: bool,
    /// More is undelivered than before.
    has_more: bool,
    /// Something is to be sent without a pause: no attempt at it has failed.
    is_urgent: bool,
}

impl Deliverer {
    /// Something is undelivered, and an attempt at it has failed.
    pub(super) fn wake(self: &Arc<Self>, shared: &Weak<Shared>) {
        self.wake_if(false, shared);
    }

    /// Something is undelivered, and is to be sent at once.
    pub(super) fn wake_at_once(self: &Arc<Self>, shared: &Weak<Shared>) {
        self.wake_if(true, shared);
    }

    fn wake_if(self: &Arc<Self>, is_urgent: bool, shared: &Weak<Shared>) {
        let mut state = self.lock();
        state.has_more = true;
        state.is_urgent |= is_urgent;
        if state.is_running {
            self.changed.notify_one();
            return;
        }
        let (deliverer, shared) = (Arc::clone(self), Weak::clone(shared));
        let thread = thread::Builder::new().name("redis-cached deliver".to_owned());
        // Where no thread can be had, the next read of a key delivers it, and the next failure tries again.
        state.is_running = thread.spawn(move || deliverer.run(&shared)).is_ok();
    }

    /// The cache is dropped.
    pub(super) fn end(&self) {
        self.lock().is_over = true;
        self.changed.notify_one();
    }

    fn run(&self, shared: &Weak<Shared>) {
        let mut pause = SHORTEST;
        while let Some(has_more) = self.pause(pause) {
            let Some(shared) = shared.upgrade() else { break };
            let store = RedisStore::new(&shared, Lone::new(&shared));
            once(store.release_orphans());
            let delivered = once(store.deliver(shared.health.epoch(), Instant::now() + LONGEST));
            // Before the last reference to what is shared may go: its end takes the same lock.
            let is_done = self.ends_if(|| !shared.pending.any() && !shared.abandoned.has_orphans());
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

    /// Waits; whether more came meanwhile. `None`: the cache is dropped.
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
        // Under the lock: what comes later finds no thread running, and starts one.
        let is_done = is_done();
        state.is_running = !is_done;
        is_done
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection for one thread.
struct Lone {
    shared: Arc<Shared>,
    wire: Mutex<Option<Wire>>,
}

impl Lone {
    fn new(shared: &Arc<Shared>) -> Lone {
        Lone { shared: Arc::clone(shared), wire: Mutex::new(None) }
    }
}

impl Transport for Lone {
    async fn exchange(
        &self,
        _epoch: Epoch,
        _load: Load,
        build: Build<'_>,
        decode: Decode<'_>,
        by: Instant,
    ) -> Result<(), Fault> {
        let mut held = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wire = match held.take() {
            Some(wire) => wire,
            None => Wire::open(&self.shared, by.min(Instant::now() + patience(self.shared.timeout)))?,
        };
        let request = build(self.shared.allowed(wire.features));
        let outcome = wire.send(&request, by).and_then(decode);
        if !outcome.as_ref().is_err_and(Fault::spoils_connection) {
            *held = Some(wire);
        }
        outcome
    }

    async fn reconnect(&self, _epoch: Epoch, _by: Instant) -> Result<(), Fault> {
        Ok(())
    }

    /// What the other faces need in the background, they start.
    fn background(&self, _task: impl Future<Output = ()> + Send + 'static) {}

    async fn pause(duration: Duration) {
        thread::sleep(duration);
    }
}
