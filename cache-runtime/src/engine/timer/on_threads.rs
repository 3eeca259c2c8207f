//! For plain functions: a thread of the cache keeps leases, and callers wait in theirs.

use std::future::Future;
use std::time::{Duration, Instant};

use super::{Timer, every, keep, longest};
use crate::cache::Cache;
use crate::engine::lease::Leased;
use crate::flight::{Event, Follower};
use crate::once::once;
use crate::renewer::Pace;
use crate::store::Store;

pub(crate) struct OnThreads<'a>(pub(crate) &'a Cache);

impl Timer for OnThreads<'_> {
    async fn during<S: Store, T>(&self, leases: &[&Leased<'_, S>], body: impl Future<Output = T>) -> T {
        let Some(first) = leases.first() else { return body.await };
        let cache = self.0.downgrade();
        let pace = Pace { every: every(first.length()), longest: longest(first.length()) };
        let held = leases.iter().map(|leased| (leased.key().clone(), *leased.lease())).collect();
        let _held = self.0.renewer().hold(held, pace, move |leases| match cache.upgrade() {
            Some(cache) => once(keep(&cache.blocking(), leases, cache.deadline())),
            None => leases.clear(),
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
