//! The task that writes a connection's commands and reads the replies.
//!
//! A command is written when this task runs next. A call that returns at once after it handed over a command may be
//! the last thing that its runtime or its process does, so such a call polls the driver itself.
//!
//! Two threads may therefore poll, and a lock keeps them apart. It is nearly always free, and then costs what any other
//! exclusion would: two atomic operations, in a poll that makes system calls.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};
use std::thread;

use tokio::task::{AbortHandle, unconstrained};

/// Ends the task that drives a connection, together with it.
pub(super) struct Driver {
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// `None` once the connection is closed.
struct Shared(Mutex<Option<Running>>);

struct Running {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The waker of the task, once it has run.
    waker: Option<Waker>,
}

/// The number of times that a call that wants to write waits for the task, which runs on another thread at the moment.
const TRIES: usize = 100;

impl Driver {
    /// Starts the task in the current runtime.
    pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Driver {
        let shared = Arc::new(Shared(Mutex::new(Some(Running { future: Box::pin(future), waker: None }))));
        let task = tokio::spawn(Task(Arc::clone(&shared))).abort_handle();
        Driver { shared, task }
    }

    /// Writes the commands that the connection has accepted, while that is possible without waiting.
    pub(super) fn write_now(&self) {
        let Some(mut state) = (0..TRIES).find_map(|_| self.shared.try_lock()) else { return };
        let Some(Running { future, waker: Some(waker) }) = &mut *state else { return };
        // This waker wakes the task, which polls on from here.
        let waker = waker.clone();
        let polled = pin!(unconstrained(poll_fn(|context| future.as_mut().poll(context))));
        if polled.poll(&mut Context::from_waker(&waker)).is_ready() {
            let ended = state.take();
            drop(state);
            drop(ended);
            waker.wake();
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This does not wait for the lock: a waker that the task calls may run code that comes here.
    fn try_lock(&self) -> Option<MutexGuard<'_, Option<Running>>> {
        match self.0.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                thread::yield_now();
                None
            }
        }
    }

    fn end(&self) {
        let ended = self.lock().take();
        drop(ended);
    }
}

struct Task(Arc<Shared>);

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        let Some(Running { future, waker }) = &mut *state else { return Poll::Ready(()) };
        if !waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        future.as_mut().poll(context)
    }
}

impl Drop for Task {
    /// The task or its runtime ended: the connection is closed with it.
    fn drop(&mut self) {
        self.0.end();
    }
}
