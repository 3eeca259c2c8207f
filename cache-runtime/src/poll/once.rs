//! Polling by hand: for stores that never make a caller wait, and for first steps at once.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// The output of a future that is ready when it is first polled: over a blocking store each is.
#[inline(always)]
pub(crate) fn once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match step(future.as_mut()) {
        Poll::Ready(output) => output,
        // No store does this. If one ever does, waiting is right and a panic is not.
        Poll::Pending => park(future),
    }
}

/// One poll that wakes nobody: whoever goes on polls again.
pub(crate) fn step<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Lets the tasks that are ready run first. Not tokio's, which waits for the driver, too, and serves no
/// other executor.
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
