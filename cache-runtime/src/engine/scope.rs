//! Scopes: parts of a program whose functions use a cache of their own. A thread is in a scope while it polls a future of
//! that scope, or runs its closure.

use std::cell::{Cell, RefCell};
#[cfg(feature = "tokio")]
use std::future::Future;
#[cfg(feature = "tokio")]
use std::pin::Pin;
#[cfg(feature = "tokio")]
use std::task::{self, Poll};

use super::context::Context;

thread_local! {
    /// The cache of the innermost scope that this thread is in.
    static SCOPE: RefCell<Option<Context>> = const { RefCell::new(None) };

    /// True if the thread is in a scope. Calls without a scope read this, which is cheaper because it has no
    /// destructor.
    static IS_SCOPED: Cell<bool> = const { Cell::new(false) };
}

/// The cache of the scope that this thread is in.
#[inline]
pub(crate) fn scoped() -> Option<Context> {
    if IS_SCOPED.get() { innermost() } else { None }
}

#[cold]
fn innermost() -> Option<Context> {
    // A thread that is ending is in no scope.
    SCOPE.try_with(|scope| scope.borrow().clone()).ok().flatten()
}

/// Exchanges the innermost scope of this thread.
fn exchange(cache: Option<Context>) -> Option<Context> {
    let is_scoped = cache.is_some();
    let before = SCOPE.try_with(|scope| scope.replace(cache));
    IS_SCOPED.set(is_scoped && before.is_ok());
    before.ok().flatten()
}

/// A future that is polled and dropped in the scope of a cache.
#[cfg(feature = "tokio")]
pub(crate) fn in_scope<F: Future>(cache: Context, future: F) -> impl Future<Output = F::Output> + use<F> {
    Carried(Some(cache)).into_task(future)
}

/// Runs a closure inside of the scope of a cache.
#[cfg(feature = "blocking")]
pub(crate) fn within<R>(cache: &Context, closure: impl FnOnce() -> R) -> R {
    Carried(Some(cache.clone())).run(closure)
}

/// The part of the present scope that a background task takes along.
#[derive(Debug)]
pub(crate) struct Carried(Option<Context>);

impl Carried {
    pub(crate) fn here() -> Carried {
        Carried(scoped())
    }

    /// The task, in the scope that was around the call that started it, or outside of any.
    #[cfg(feature = "tokio")]
    pub(crate) fn into_task<F: Future>(self, task: F) -> impl Future<Output = F::Output> + use<F> {
        Scoped { cache: self.0, future: Some(Box::pin(task)) }
    }

    #[cfg(feature = "blocking")]
    pub(crate) fn run<R>(self, task: impl FnOnce() -> R) -> R {
        let _entered = Entered::new(self.0);
        task()
    }
}

/// A future that is polled and dropped inside of a scope, or outside of any.
#[cfg(feature = "tokio")]
struct Scoped<F> {
    cache: Option<Context>,
    /// The future is present until the drop.
    future: Option<Pin<Box<F>>>,
}

#[cfg(feature = "tokio")]
impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<F::Output> {
        let _entered = Entered::new(self.cache.clone());
        match &mut self.future {
            Some(future) => future.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

#[cfg(feature = "tokio")]
impl<F> Drop for Scoped<F> {
    fn drop(&mut self) {
        // Destructors inside may call functions, too.
        let _entered = Entered::new(self.cache.take());
        self.future = None;
    }
}

/// The thread is in a scope, or in none, until this is dropped.
struct Entered(Option<Context>);

impl Entered {
    fn new(inner: Option<Context>) -> Entered {
        Entered(exchange(inner))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // The inner cache, of which this may be the last handle, is dropped when the variable is free.
        drop(exchange(self.0.take()));
    }
}
