//! The body that a call runs, and the part of the call that knows the function's types.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{self, Poll};

use super::look::decode_into;
use super::payload::Stored;
use super::typed::{Conductor, Requests, Returned, Served, Typed};
use crate::engine::context::Context;
use crate::engine::flight::Ticket;
use crate::engine::sharing::{Accepts, Errors, Shared};
use crate::plan::erased::{StoredValue, ValueOf};
use crate::plan::function::Plan;
#[cfg(feature = "local")]
use crate::plan::local::{Decoded, Times};
use crate::plan::result::ResultLike;
#[cfg(feature = "local")]
use crate::poll::caught::caught;
use crate::stored::codec::CodecError;
use crate::stored::envelope::Token;

/// The body of a function, with its arguments. `Fut` is the future of a body that runs.
///
/// It is no associated type: the future of a call would contain a projection, of which the compiler cannot tell that it
/// is `Send` if the return type has lifetimes.
pub(crate) trait Work<V, Fut> {
    /// Begins to run the body. A plain body ends in here.
    fn start(self) -> Fut;

    /// Runs the body in the background, with copies of the arguments, to replace the value `id`. Does nothing for
    /// functions that do not ask for that.
    fn run_in_background(&self, cache: &Context, plan: &Plan<V>, ticket: Ticket, id: Token) {
        let _ = (cache, plan, ticket, id);
    }
}

/// A body that is never refreshed in the background.
pub(crate) struct Body<F>(pub(crate) F);

impl<V, F, Fut> Work<V, Fut> for Body<F>
where
    F: FnOnce() -> Fut,
{
    fn start(self) -> Fut {
        (self.0)()
    }
}

/// A body that may be refreshed in the background: a closure that runs it with its arguments, and one that starts a
/// refresh with copies of them.
///
/// The bounds with `'static` are on `start` and not on [`Work::run_in_background`]: with them on the implementation below, the
/// compiler cannot tell that the future of a call is `Send`.
pub(crate) struct RefreshableBody<A, F, O> {
    pub(crate) args: A,
    pub(crate) body: F,
    pub(crate) start: O,
}

impl<V, A, F, Fut, O> Work<V, Fut> for RefreshableBody<A, F, O>
where
    F: FnOnce(A) -> Fut,
    O: Fn(&A, &Context, &Plan<V>, Ticket, Token),
{
    fn start(self) -> Fut {
        (self.body)(self.args)
    }

    fn run_in_background(&self, cache: &Context, plan: &Plan<V>, ticket: Ticket, id: Token) {
        (self.start)(&self.args, cache, plan, ticket, id);
    }
}

/// How a return type and a result turn into each other.
pub(crate) struct Returns<V, E, R> {
    pub(crate) split: fn(R) -> Result<V, E>,
    pub(crate) join: fn(Result<V, E>) -> R,
}

impl<V, E, R> Clone for Returns<V, E, R> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<V, E, R> Copy for Returns<V, E, R> {}

impl<V> Returns<V, std::convert::Infallible, V> {
    /// The value is stored as it is.
    pub(crate) fn value() -> Self {
        Returns {
            split: Ok,
            join: |result| {
                let Ok(value) = result;
                value
            },
        }
    }
}

impl<R: ResultLike> Returns<R::Ok, R::Err, R> {
    /// The `Ok` is stored.
    pub(crate) fn result() -> Self {
        Returns { split: R::into_result, join: R::from_result }
    }
}

/// The part of a call that depends on the function's types.
pub(super) struct Run<V, E, R, W, Fut> {
    errors: Errors<E>,
    returns: Returns<V, E, R>,
    /// The body, until it runs.
    work: Option<W>,
    /// The body, while it runs.
    running: Option<Fut>,
    value: Option<V>,
}

// Nothing in it is pinned.
impl<V, E, R, W, Fut> Unpin for Run<V, E, R, W, Fut> {}

impl<V, E, R, W, Fut> Run<V, E, R, W, Fut>
where
    W: Work<V, Fut>,
    Fut: Future<Output = R> + Unpin,
{
    pub(super) fn new(errors: Errors<E>, returns: Returns<V, E, R>, work: W) -> Self {
        Run { errors, returns, work: Some(work), running: None, value: None }
    }

    /// The errors of other calls that this one can use.
    pub(super) fn accepts(&self) -> Accepts {
        self.errors.accepts()
    }

    /// The value that is kept.
    pub(super) fn returned(&mut self) -> R {
        self.result(None)
    }

    fn result(&mut self, error: Option<E>) -> R {
        (self.returns.join)(match (self.value.take(), error) {
            (Some(value), _) => Ok(value),
            (None, Some(error)) => Err(error),
            (None, None) => unreachable!("a call ends with a value or an error"),
        })
    }

    /// The call in this poll.
    // The error lives in the frame of one poll alone, so that it need not be `Send`.
    pub(super) fn under<'r>(&'r mut self, plan: &'r Plan<V>) -> Polled<'r, V, E, R, W, Fut> {
        Polled { plan, run: self, error: None }
    }

    /// Makes a call.
    pub(super) fn poll(
        &mut self,
        plan: &Plan<V>,
        conductor: &mut dyn Conductor,
        requests: &Requests<'_>,
        context: &mut task::Context<'_>,
    ) -> Poll<R> {
        let mut polled = self.under(plan);
        match conductor.drive(requests, &mut polled, context) {
            Poll::Ready(()) => Poll::Ready(polled.run.result(polled.error)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Drops the body of a call that is cancelled.
///
/// It is declared after the steps of the call, and so dropped before them: the body ends before its lease is given back,
/// which lets another body begin.
pub(super) struct EndsBody<'r, V, E, R, W, Fut>(pub(super) &'r mut Run<V, E, R, W, Fut>);

impl<V, E, R, W, Fut> Drop for EndsBody<'_, V, E, R, W, Fut> {
    fn drop(&mut self) {
        self.0.running = None;
    }
}

/// A call in one poll, with the error that the poll gave it.
pub(super) struct Polled<'r, V, E, R, W, Fut> {
    plan: &'r Plan<V>,
    run: &'r mut Run<V, E, R, W, Fut>,
    error: Option<E>,
}

impl<V, E, R, W, Fut> Served for Polled<'_, V, E, R, W, Fut>
where
    W: Work<V, Fut>,
{
    fn keep(&mut self, stored: Stored<'_>) -> Result<bool, CodecError> {
        decode_into(self.plan, stored, &mut self.run.value)
    }

    #[cfg(feature = "local")]
    fn to_keep(&self, times: Times) -> Option<Decoded> {
        let (local, value) = (self.plan.local?, self.run.value.as_ref()?);
        // A `Clone` that panics keeps nothing.
        caught(|| (local.kept)(value, times)).ok()
    }

    #[cfg(feature = "local")]
    fn keep_copy(&mut self, kept: &Decoded) -> bool {
        self.run.value = self.plan.local.and_then(|local| caught(|| (local.cloned)(&**kept)).ok()?);
        self.run.value.is_some()
    }

    fn refresh_in_background(&self, cache: &Context, ticket: Ticket, id: Token) {
        if let Some(work) = &self.run.work {
            work.run_in_background(cache, self.plan, ticket, id);
        }
    }
}

impl<V, E, R, W, Fut> Typed for Polled<'_, V, E, R, W, Fut>
where
    W: Work<V, Fut>,
    Fut: Future<Output = R> + Unpin,
{
    fn poll_body(&mut self, context: &mut task::Context<'_>) -> Poll<Returned> {
        if let Some(work) = self.run.work.take() {
            self.run.running = Some(work.start());
        }
        let Some(running) = &mut self.run.running else { return Poll::Pending };
        let Poll::Ready(returned) = Pin::new(running).poll(context) else { return Poll::Pending };
        self.run.running = None;
        Poll::Ready(match (self.run.returns.split)(returned) {
            Ok(value) => {
                let is_none = (self.plan.nones.is_none)(&value);
                self.run.value = Some(value);
                if is_none { Returned::None } else { Returned::Value }
            }
            Err(error) => {
                self.error = Some(error);
                Returned::Error
            }
        })
    }

    fn keep_error(&mut self, shared: &Mutex<Shared>) -> bool {
        self.error = self.run.errors.take(shared);
        self.error.is_some()
    }

    fn share_error(&self) -> Option<Shared> {
        self.error.as_ref().and_then(|error| self.run.errors.share(error))
    }

    fn with_value(&self, use_value: &mut dyn FnMut(&dyn StoredValue)) {
        if let Some(value) = &self.run.value {
            use_value(&ValueOf { plan: self.plan, value });
        }
    }
}
