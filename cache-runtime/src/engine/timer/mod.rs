//! What takes time beside the store: a body whose lease is kept, a flight of somebody else's, a
//! pause. Tasks and threads do each in their own way.

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
use crate::envelope::Lease;
use crate::flight::{Event, Follower};
use crate::key::Key;
use crate::store::Store;

/// How long a body is kept up with, unless its lease is long: one that hangs must not hold its
/// slot for ever.
const LONGEST: Duration = Duration::from_secs(600);

/// How often a lease is renewed: two renewals may be lost.
fn every(lease: Duration) -> Duration {
    lease / 3
}

/// For how long a lease is renewed.
fn longest(lease: Duration) -> Duration {
    LONGEST.max(lease * 2)
}

/// Renews leases, and forgets those that are lost. A server that cannot be asked may still hold them.
async fn keep<S: Store>(store: &S, leases: &mut Vec<(Key, Lease)>, by: Instant) {
    let stand: Vec<bool> = match leases.as_slice() {
        [(key, lease)] => vec![store.renew(key, lease, by).await.unwrap_or(true)],
        leases => store.renew_many(leases).await.into_iter().map(|stands| stands.unwrap_or(true)).collect(),
    };
    let mut stand = stand.into_iter();
    leases.retain(|_| stand.next().unwrap_or(true));
}

/// Of one face.
pub(crate) trait Timer {
    /// The body's output; its leases are renewed for as long as it runs.
    async fn during<S: Store, T>(&self, leases: &[&Leased<'_, S>], body: impl Future<Output = T>) -> T;

    /// What happens to the flight, or that the time is up.
    async fn wait(&self, follower: &Follower, until: Instant) -> Event;

    async fn pause(&self, pause: Duration);
}
