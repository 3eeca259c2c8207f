//! The deadlines of one runtime's exchanges.
//!
//! A timer of tokio's for each exchange is a tenth of what the exchange costs, nearly all of
//! which end long before. Here an exchange that waits is a place in a list, and one task wakes
//! those whose time is over: about as often as a deadline is long.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout_at;

/// The exchange did not end in time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elapsed;

#[derive(Debug)]
pub(crate) struct Deadlines {
    base: Instant,
    /// When the task looks at the list again, in microseconds since `base`.
    next: AtomicU64,
    sooner: Notify,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    places: Vec<Option<Waiting>>,
    free: Vec<usize>,
    /// Places taken so far.
    taken: u64,
}

#[derive(Debug)]
struct Waiting {
    by: Instant,
    waker: Waker,
}

impl Deadlines {
    pub(crate) fn new() -> Deadlines {
        Deadlines {
            base: Instant::now(),
            next: AtomicU64::new(u64::MAX),
            sooner: Notify::new(),
            list: Mutex::default(),
        }
    }

    /// Runs an exchange until its deadline.
    pub(crate) async fn within<F: Future>(&self, by: Instant, exchange: F) -> Result<F::Output, Elapsed> {
        let mut exchange = pin!(exchange);
        let mut place = Place { deadlines: self, at: None };
        poll_fn(|context| {
            if let Poll::Ready(output) = exchange.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            if place.wait(by, context) { Poll::Pending } else { Poll::Ready(Err(Elapsed)) }
        })
        .await
    }

    /// Wakes whose time is over, for as long as the runtime lives. `usual` is how long deadlines
    /// mostly are.
    pub(crate) async fn keep(&self, usual: Duration) {
        let mut seen = 0;
        loop {
            let now = Instant::now();
            let (earliest, taken) = self.wake_late_ones(now);
            let idle = earliest.is_none() && taken == seen;
            seen = taken;
            if idle {
                self.next.store(u64::MAX, SeqCst);
                // Whoever took a place since then may have seen the time before.
                if self.list().taken != seen {
                    continue;
                }
                self.sooner.notified().await;
                continue;
            }
            let next = earliest.unwrap_or(now + usual);
            self.next.store(self.ticks(next), SeqCst);
            if self.list().taken != seen && earliest.is_none() {
                // The newcomer's deadline may be sooner than the usual one.
                let (sooner, _) = self.wake_late_ones(now);
                let next = sooner.map_or(next, |sooner| sooner.min(next));
                self.next.store(self.ticks(next), SeqCst);
            }
            let _ = timeout_at(next.into(), self.sooner.notified()).await;
        }
    }

    /// The earliest deadline that is left, and how many places were taken so far.
    fn wake_late_ones(&self, now: Instant) -> (Option<Instant>, u64) {
        let mut late = Vec::new();
        let mut earliest: Option<Instant> = None;
        let taken = {
            let list = self.list();
            for waiting in list.places.iter().flatten() {
                if waiting.by <= now {
                    late.push(waiting.waker.clone());
                } else {
                    earliest = Some(earliest.map_or(waiting.by, |earliest| earliest.min(waiting.by)));
                }
            }
            list.taken
        };
        late.into_iter().for_each(Waker::wake);
        (earliest, taken)
    }

    fn ticks(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.base).as_micros() as u64
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
