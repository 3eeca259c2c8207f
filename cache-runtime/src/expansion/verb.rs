//! How a `…_refresh` tells its function to refresh: the two have one call into the engine, which is compiled once.

use std::cell::Cell;
#[cfg(feature = "tokio")]
use std::future::Future;

use crate::engine::Verb;

thread_local! {
    /// The call that begins next on this thread refreshes.
    static REFRESHES: Cell<bool> = const { Cell::new(false) };
}

/// Lets the call that begins next on this thread refresh. A function follows whose first statement is [`verb`].
pub fn refresh_next() {
    REFRESHES.set(true);
}

/// What this call does.
#[inline]
pub fn verb() -> Verb {
    // A call that does not refresh only reads.
    if REFRESHES.get() {
        REFRESHES.set(false);
        return Verb::Refresh;
    }
    Verb::Call
}

/// Lets the call of an `async fn` refresh: it begins when its future is first polled.
#[cfg(feature = "tokio")]
pub fn refreshing<F: Future>(call: F) -> impl Future<Output = F::Output> {
    // Without the box, the future would have room for two calls.
    let call = Box::pin(call);
    async move {
        refresh_next();
        call.await
    }
}
