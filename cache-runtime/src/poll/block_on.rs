//! Polls futures without an executor, for blocking stores and for the first step of a future.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
#[cfg(feature = "tokio")]
use std::time::Instant;

/// Returns the output of a future that is ready at its first poll. Every future over a blocking store is.
#[inline(always)]
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match step(future.as_mut()) {
        Poll::Ready(output) => output,
        // No store does this today. Waiting would be correct, and a panic would not.
        Poll::Pending => park(future),
    }
}

/// Polls once, with a waker that does nothing. The caller has to poll again.
pub(crate) fn step<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Lets the tasks that are ready run first. tokio's own function also waits for the I/O driver, and
/// works in no other executor.
#[cfg(feature = "tokio")]
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(feature = "tokio")]
/// Returns the output of a future that some other thread makes ready. `None` if that does not happen in time.
pub(crate) fn block_until<F: Future>(future: F, by: Instant) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = by.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}

#[cold]
fn park<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
