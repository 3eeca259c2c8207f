//! The steps that take time outside of the store: a body whose lease is kept, a flight of another call, a pause. Tasks
//! and threads each wait in their own way.

#[cfg(feature = "tokio")]
mod in_tasks;
#[cfg(feature = "blocking")]
mod on_threads;

use std::future::Future;
use std::time::{Duration, Instant};

#[cfg(feature = "tokio")]
pub(crate) use self::in_tasks::InTasks;
#[cfg(feature = "blocking")]
pub(crate) use self::on_threads::OnThreads;
use super::lease::Leased;
use crate::engine::flight::{Event, Follower};
use crate::key::Key;
use crate::plan::policy::Pace;
use crate::store::Store;
use crate::stored::envelope::Lease;

/// Renews leases, and forgets those that are lost. A server that cannot be asked may still hold its leases.
async fn keep<S: Store>(store: &S, leases: &mut Vec<(Key, Lease)>, by: Instant) {
    let mut renewed = store.renew_many(leases, by).await.into_iter();
    leases.retain(|_| renewed.next().is_none_or(|stands| stands.unwrap_or(true)));
}

/// The timer of one face.
pub(crate) trait Timer {
    /// True if a body may be polled once before [`during`](Self::during), which then is not needed for one that is ready
    /// at once.
    const POLLS_BODY_FIRST: bool;

    /// The body's output; its leases are renewed for as long as it runs.
    async fn during<S: Store, T>(&self, pace: Pace, leases: &[&Leased<'_, S>], body: impl Future<Output = T>) -> T;

    /// The clock that the waits go by.
    fn now(&self) -> Instant;

    /// Waits until the flight changes, or the time is up.
    async fn wait(&self, follower: &Follower, until: Instant) -> Event;

    async fn pause(&self, pause: Duration);
}
