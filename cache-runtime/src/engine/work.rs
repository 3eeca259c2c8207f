//! The work that a call runs.

use std::future::Future;

use crate::engine::context::Context;
use crate::engine::flight::Ticket;
use crate::plan::function::Plan;
use crate::stored::envelope::Token;

/// The body of a function, with its arguments.
pub(crate) trait Work<V, E>: Sized {
    /// Runs the body for the call.
    fn run(self) -> impl Future<Output = Result<V, E>>;

    /// Runs the body in the background, with copies of the arguments, to replace the value `id`. Does nothing for
    /// functions that do not ask for that.
    fn run_in_background(&self, cache: &Context, plan: &Plan<V>, ticket: Ticket, id: Token) {
        let _ = (cache, plan, ticket, id);
    }
}

/// A body that is never refreshed in the background.
pub(crate) struct Body<F>(pub(crate) F);

impl<V, E, F, Fut> Work<V, E> for Body<F>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<V, E>>,
{
    fn run(self) -> impl Future<Output = Result<V, E>> {
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

impl<V, E, A, F, Fut, O> Work<V, E> for RefreshableBody<A, F, O>
where
    F: FnOnce(A) -> Fut,
    Fut: Future<Output = Result<V, E>>,
    O: Fn(&A, &Context, &Plan<V>, Ticket, Token),
{
    fn run(self) -> impl Future<Output = Result<V, E>> {
        (self.body)(self.args)
    }

    fn run_in_background(&self, cache: &Context, plan: &Plan<V>, ticket: Ticket, id: Token) {
        (self.start)(&self.args, cache, plan, ticket, id);
    }
}
