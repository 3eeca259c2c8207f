//! The deadlines of one runtime's exchanges.
//!
//! A tokio timer for each exchange is a tenth of what a hit costs, and nearly all of them end
//! long before. Here an exchange that waits has a place in a list, and one task wakes those whose
//! time is over: in health, it looks about as often as a deadline is long.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout_at;

/// How late a wake-up may be, so that many deadlines close together are one.
const SLACK: Duration = Duration::from_millis(2);

/// The exchange did not end in time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elapsed;

#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    list: Mutex<List>,
    /// A deadline is sooner than the task thought.
    sooner: Notify,
}

#[derive(Debug, Default)]
struct List {
    places: Vec<Place>,
    free: Vec<usize>,
    /// Places taken so far.
    taken: u64,
    /// When the task looks again; `None` if only once it is told to.
    next: Option<Instant>,
}

#[derive(Debug)]
struct Place {
    /// `None` for a free one.
    by: Option<Instant>,
    /// `None` once it was used.
    waker: Option<Waker>,
}

impl Deadlines {
    /// Runs an exchange until its deadline. It comes pinned, so that it is not moved once more.
    pub(crate) async fn within<F: Future>(&self, by: Instant, mut exchange: Pin<&mut F>) -> Result<F::Output, Elapsed> {
        let mut waiting = Waiting { deadlines: self, place: None };
        poll_fn(|context| match exchange.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => waiting.until(by, context).map(Err),
        })
        .await
    }

    /// Wakes whose time is over, for as long as the runtime lives. `usual` is how long deadlines
    /// mostly are.
    pub(crate) async fn keep(&self, usual: Duration) {
        let mut seen = 0;
        loop {
            match self.look(usual, &mut seen) {
                Some(next) => drop(timeout_at(next.into(), self.sooner.notified()).await),
                None => self.sooner.notified().await,
            }
        }
    }

    /// Wakes the late ones, and decides when to look again.
    fn look(&self, usual: Duration, seen: &mut u64) -> Option<Instant> {
        let now = Instant::now();
        let mut late = Vec::new();
        let mut list = self.list();
        let mut earliest: Option<Instant> = None;
        for place in &mut list.places {
            match place.by {
                Some(by) if by <= now => late.extend(place.waker.take()),
                Some(by) => earliest = Some(earliest.map_or(by, |earliest| earliest.min(by))),
                None => {}
            }
        }
        list.next = match earliest {
            Some(by) => Some(by.max(now + SLACK)),
            // Others may be about to come; after a while without any, there is nothing to keep.
            None if list.taken != *seen => Some(now + usual),
            None => None,
        };
        *seen = list.taken;
        let next = list.next;
        drop(list);
        late.into_iter().for_each(Waker::wake);
        next
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An exchange that may have a place in the list.
struct Waiting<'a> {
    deadlines: &'a Deadlines,
    place: Option<usize>,
}

impl Waiting<'_> {
    fn until(&mut self, by: Instant, context: &Context<'_>) -> Poll<Elapsed> {
        let Some(at) = self.place else {
            self.take_place(by, context);
            return Poll::Pending;
        };
        if by <= Instant::now() {
            return Poll::Ready(Elapsed);
        }
        let mut list = self.deadlines.list();
        let waker = &mut list.places[at].waker;
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    fn take_place(&mut self, by: Instant, context: &Context<'_>) {
        let place = Place { by: Some(by), waker: Some(context.waker().clone()) };
        let mut list = self.deadlines.list();
        let at = match list.free.pop() {
            Some(at) => {
                list.places[at] = place;
                at
            }
            None => {
                list.places.push(place);
                list.places.len() - 1
            }
        };
        list.taken += 1;
        let sooner = list.next.is_none_or(|next| by < next);
        if sooner {
            list.next = Some(by);
        }
        drop(list);
        self.place = Some(at);
        if sooner {
            self.deadlines.sooner.notify_one();
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(at) = self.place {
            let mut list = self.deadlines.list();
            list.places[at].by = None;
            // Dropped outside of the lock: it may be the last of a task.
            let waker = list.places[at].waker.take();
            list.free.push(at);
            drop(list);
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    const USUAL: Duration = Duration::from_millis(250);

    #[test]
    fn the_late_are_woken_once_and_leave_their_place() {
        let (deadlines, count) = (Deadlines::default(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let soon = Instant::now() + Duration::from_millis(5);
        let (mut first, mut second) = (pending::<()>(), pending::<()>());
        let mut late = Box::pin(deadlines.within(soon, Pin::new(&mut first)));
        let mut early = Box::pin(deadlines.within(soon + USUAL, Pin::new(&mut second)));
        assert!(late.as_mut().poll(&mut context).is_pending());
        assert!(early.as_mut().poll(&mut context).is_pending());
        let mut seen = 0;
        assert!(deadlines.look(USUAL, &mut seen).expect("two wait") >= soon);
        assert_eq!(count.0.load(SeqCst), 0);
        while Instant::now() < soon {
            std::thread::yield_now();
        }
        assert_eq!(deadlines.look(USUAL, &mut seen), Some(soon + USUAL));
        assert_eq!(deadlines.look(USUAL, &mut seen), Some(soon + USUAL));
        assert_eq!(count.0.load(SeqCst), 1);
        assert_eq!(late.as_mut().poll(&mut context), Poll::Ready(Err(Elapsed)));
        drop((late, early));
        assert_eq!(deadlines.list().free.len(), 2);
        assert_eq!(deadlines.look(USUAL, &mut seen), None, "nobody came since");
    }

    #[test]
    fn what_ends_in_time_needs_nobody() {
        let deadlines = Deadlines::default();
        let mut context = Context::from_waker(Waker::noop());
        let now = Instant::now();
        let exchange = pin!(async { 7 });
        let ended = pin!(deadlines.within(now, exchange));
        assert_eq!(ended.poll(&mut context), Poll::Ready(Ok(7)), "at the first poll, even too late");
        assert_eq!(deadlines.list().taken, 0);
    }

    #[test]
    fn a_sooner_deadline_calls_for_the_keeper() {
        let deadlines = Deadlines::default();
        let mut context = Context::from_waker(Waker::noop());
        let mut told = |by| {
            let mut exchange = pending::<()>();
            let waiting = pin!(deadlines.within(by, Pin::new(&mut exchange)));
            assert!(waiting.poll(&mut context).is_pending());
            pin!(deadlines.sooner.notified()).poll(&mut context).is_ready()
        };
        let now = Instant::now();
        assert!(told(now + USUAL), "the first one");
        assert!(!told(now + USUAL * 2), "a later one");
        assert!(told(now + USUAL / 2), "a sooner one");
    }
}
