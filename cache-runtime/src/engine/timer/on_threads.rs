//! For plain functions: a thread of the cache keeps leases, and callers wait in theirs.

use std::future::Future;
use std::time::{Duration, Instant};

use super::{Timer, every, longest};
use crate::cache::Cache;
use crate::engine::lease::Leased;
use crate::flight::{Event, Follower};
use crate::once::once;
use crate::renewer::Pace;
use crate::store::Store;

pub(crate) struct OnThreads<'a>(pub(crate) &'a Cache);

impl Timer for OnThreads<'_> {
    async fn during<S: Store, T>(&self, leased: &Leased<'_, S>, body: impl Future<Output = T>) -> T {
        let cache = self.0.downgrade();
        let pace = Pace { every: every(leased.length()), longest: longest(leased.length()) };
        let _held = self.0.renewer().hold(leased.key(), leased.lease(), pace, move |key, lease| {
            let Some(cache) = cache.upgrade() else { return false };
            // A server that cannot be asked may still hold the lease.
            once(cache.blocking().renew(key, lease, cache.deadline())).unwrap_or(true)
        });
        body.await
    }

    async fn wait(&self, follower: &Follower, until: Instant) -> Event {
        follower.block(until)
    }

    async fn pause(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}
