//! Keeping a lease while its body runs.
//!
//! A lease is short, so that a process that dies holds nobody up for long; a body may be long.
//! What renews differs between the faces: a timer beside the body's future, or a thread.

use std::future::Future;
use std::time::Duration;

use super::lease::Leased;
use crate::store::Store;

/// How long a slot stays leased if its holder says nothing more.
pub(super) const LEASE: Duration = Duration::from_secs(10);

/// How often the holder says something: two renewals may be lost.
pub(crate) const EVERY: Duration = Duration::from_millis(3_300);

/// How long a body is kept up with: one that hangs must not hold its slot for ever.
pub(crate) const LONGEST: Duration = Duration::from_secs(600);

/// Renews a lease for as long as a body runs.
pub(crate) trait Renewal {
    /// The body's output.
    async fn during<S: Store, T>(&self, leased: &Leased<'_, S>, body: impl Future<Output = T>) -> T;
}

#[cfg(feature = "tokio")]
pub(crate) use alongside::Alongside;

#[cfg(feature = "tokio")]
mod alongside {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;
    use std::time::Instant;

    use super::*;

    /// For async bodies: a timer in the same task.
    pub(crate) struct Alongside;

    impl Renewal for Alongside {
        async fn during<S: Store, T>(&self, leased: &Leased<'_, S>, body: impl Future<Output = T>) -> T {
            let mut body = pin!(body);
            let mut renewals = pin!(renew(leased));
            let mut over = false;
            poll_fn(|context| {
                // The body first: one that is ready at once costs no timer.
                if let Poll::Ready(output) = body.as_mut().poll(context) {
                    return Poll::Ready(output);
                }
                over = over || renewals.as_mut().poll(context).is_ready();
                Poll::Pending
            })
            .await
        }
    }

    async fn renew<S: Store>(leased: &Leased<'_, S>) {
        // Other executors bring no timer; they have no store that needs one, either.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let started = Instant::now();
        while started.elapsed() < LONGEST {
            tokio::time::sleep(EVERY).await;
            if !leased.renew(Instant::now() + EVERY).await {
                return;
            }
        }
    }
}
