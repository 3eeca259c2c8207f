//! The blocking face of the engine: the same futures, over stores that never make them wait.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::__private::ResultLike;
use crate::cache::Cache;
use crate::error::Error;
use crate::function::Plan;
use crate::key::Key;

/// The output of a future that is ready when it is first polled: over a blocking store each is.
pub(crate) fn once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        // No store does this. If one ever does, waiting is right and a panic is not.
        Poll::Pending => park(future),
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cold]
fn park<F: Future>(mut future: std::pin::Pin<&mut F>) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// A call of a function whose value is stored as it is.
pub fn call_value<V>(cache: &Cache, plan: Plan<V>, key: Result<Key, Error>, body: impl FnOnce() -> V) -> V {
    let body = || ready(Ok::<V, Infallible>(body()));
    let Ok(value) = once(super::call(cache, &cache.blocking(), &plan, key, body));
    value
}

/// A call of a function of whose `Result` the `Ok` is stored.
pub fn call_result<R: ResultLike>(
    cache: &Cache,
    plan: Plan<R::Ok>,
    key: Result<Key, Error>,
    body: impl FnOnce() -> R,
) -> R {
    let body = || ready(body().into_result());
    R::from_result(once(super::call(cache, &cache.blocking(), &plan, key, body)))
}

/// As [`call_value`], whatever is stored.
pub fn refresh_value<V>(cache: &Cache, plan: Plan<V>, key: Result<Key, Error>, body: impl FnOnce() -> V) -> V {
    let body = || ready(Ok::<V, Infallible>(body()));
    let Ok(value) = once(super::refresh(cache, &cache.blocking(), &plan, key, body));
    value
}

/// As [`call_result`], whatever is stored.
pub fn refresh_result<R: ResultLike>(
    cache: &Cache,
    plan: Plan<R::Ok>,
    key: Result<Key, Error>,
    body: impl FnOnce() -> R,
) -> R {
    let body = || ready(body().into_result());
    R::from_result(once(super::refresh(cache, &cache.blocking(), &plan, key, body)))
}
