//! For async functions: timers in the same task.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Id};
use tokio::time::{Sleep, sleep_until};

use super::{Timer, keep};
use crate::engine::context::Context;
use crate::engine::flight::{Event, Follower};
use crate::engine::lease::Leased;
use crate::plan::policy::Pace;
use crate::poll::block_on::yield_now;
use crate::poll::outlined::outlined;
use crate::store::Store;

pub(crate) struct InTasks<'a>(pub(crate) &'a Context);

impl Timer for InTasks<'_> {
    const POLLS_BODY_FIRST: bool = true;

    async fn during<S: Store, T>(&self, pace: Pace, leases: &[&Leased<'_, S>], body: impl Future<Output = T>) -> T {
        let mut body = pin!(body);
        let mut renewals = None;
        let mut over = false;
        poll_fn(|context| {
            // The body is polled first, because one that is ready at once needs no timer.
            if let Poll::Ready(output) = body.as_mut().poll(context) {
                return Poll::Ready(output);
            }
            let renewals = renewals.get_or_insert_with(|| outlined(|| renew(pace, leases, self.0)));
            over = over || Pin::new(renewals).poll(context).is_ready();
            Poll::Pending
        })
        .await
    }

    /// tokio's clock, which tests pause. It then stands still while a task is ready, and runs ahead of the system's clock
    /// while all of them wait.
    fn now(&self) -> Instant {
        now()
    }

    async fn wait(&self, follower: &Follower, until: Instant) -> Event {
        let mut timer = None;
        poll_fn(|context| {
            if let Poll::Ready(event) = follower.poll(context.waker()) {
                return Poll::Ready(event);
            }
            match timer.get_or_insert_with(|| timer_at(until)) {
                Some(timer) => timer.as_mut().poll(context).map(|()| Event::TimeUp),
                None => Poll::Pending,
            }
        })
        .await
    }

    async fn pause(&self, pause: Duration) {
        match timer_at(now() + pause) {
            Some(timer) => timer.await,
            None => yield_now().await,
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn renew<S: Store>(pace: Pace, leases: &[&Leased<'_, S>], cache: &Context) {
    let Some(store) = leases.first().map(|leased| leased.store()) else { return };
    let started = now();
    let mut standing = Vec::new();
    let mut is_first = true;
    while now().saturating_duration_since(started) < pace.longest {
        let Some(timer) = timer_at(now() + pace.every) else { return };
        timer.await;
        if std::mem::take(&mut is_first) {
            standing = leases.iter().map(|leased| (leased.key().clone(), *leased.lease())).collect();
        }
        keep(store, &mut standing, cache.deadline()).await;
        if standing.is_empty() {
            return;
        }
    }
}

/// `None` where there are no timers: in other executors than tokio, and in a runtime built without
/// them. The memory store serves there, too; but waiting has no bound, and no lease is renewed.
fn timer_at(at: Instant) -> Option<Pin<Box<Sleep>>> {
    // Each runtime is asked once, because the answer is a panic.
    static WITHOUT: Mutex<Vec<Id>> = Mutex::new(Vec::new());
    let runtime = Handle::try_current().ok()?.id();
    let without = || WITHOUT.lock().unwrap_or_else(PoisonError::into_inner);
    if without().contains(&runtime) {
        return None;
    }
    let timer = std::panic::catch_unwind(AssertUnwindSafe(|| Box::pin(sleep_until(at.into()))));
    timer.map_err(|_| without().push(runtime)).ok()
}
