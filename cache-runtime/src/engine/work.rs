//! What a call runs.

use std::future::Future;

use crate::cache::Cache;
use crate::envelope::Token;
use crate::flight::Ticket;
use crate::function::Plan;

/// The body of a function, with its arguments.
pub(crate) trait Work<V, E>: Sized {
    /// Runs it for the call.
    fn run(self) -> impl Future<Output = Result<V, E>>;

    /// Runs it for nobody, in the background, to replace the value `id`: with copies of the
    /// arguments. Does nothing for functions that ask for no such thing.
    fn run_behind(&self, cache: &Cache, plan: &Plan<V>, ticket: Ticket, id: Token) {
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

/// A body that may be refreshed in the background: what runs it with its arguments, and what makes
/// copies of them first.
pub(crate) struct Behind<A, F, O> {
    pub(crate) args: A,
    pub(crate) body: F,
    pub(crate) own: O,
}
