//! The timers of plain functions: a thread of the cache keeps leases, and callers wait in their own threads.

use std::future::Future;
use std::time::{Duration, Instant};

use super::{Timer, keep};
use crate::engine::context::Context;
use crate::engine::flight::{Event, Follower};
use crate::engine::lease::Leased;
use crate::plan::policy::Pace;
use crate::poll::block_on::block_on;
use crate::store::Store;

pub(crate) struct OnThreads<'a>(pub(crate) &'a Context);

impl Timer for OnThreads<'_> {
    // The body runs to its end when it is polled.
    const POLLS_BODY_FIRST: bool = false;

    async fn during<S: Store, T>(&self, pace: Pace, leases: &[&Leased<'_, S>], body: impl Future<Output = T>) -> T {
        if leases.is_empty() {
            return body.await;
        }
        let cache = self.0.downgrade();
        let held = leases.iter().map(|leased| (leased.key().clone(), *leased.lease())).collect();
        let _held = self.0.renewer().hold(held, pace, move |leases| match cache.upgrade() {
            Some(cache) => block_on(keep(&cache.blocking_store(), leases, cache.deadline())),
            None => leases.clear(),
        });
        body.await
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    async fn wait(&self, follower: &Follower, until: Instant) -> Event {
        follower.block(until)
    }

    async fn pause(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}
