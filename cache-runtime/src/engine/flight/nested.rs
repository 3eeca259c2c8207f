//! Calls inside bodies, and the waits between them.
//!
//! A call would wait for itself if it waited for a flight that waits, through any chain, for the body around the call.
//! This module detects that, and the call computes instead. A call that a body hands to another task or thread is not
//! detected; there the bound on waiting ends the wait.

use std::cell::RefCell;
use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use super::Flight;

thread_local! {
    /// The flight whose body runs here, the innermost one.
    static CURRENT: RefCell<Option<Arc<Flight>>> = const { RefCell::new(None) };
}

/// Held while the edges of all caches are read and added, because their flights may wait for each other.
static GRAPH: Mutex<()> = Mutex::new(());

/// The flights that one waits for. A body that makes a call for many ids waits for a flight of each, so an edge knows its
/// place here.
#[derive(Debug, Default)]
pub(super) struct Awaits(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    all: Vec<Option<Arc<Flight>>>,
    empty: Vec<usize>,
}

impl Awaits {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn add(&mut self, flight: &Arc<Flight>) -> usize {
        let flight = Some(Arc::clone(flight));
        match self.empty.pop() {
            Some(at) => {
                self.all[at] = flight;
                at
            }
            None => {
                self.all.push(flight);
                self.all.len() - 1
            }
        }
    }

    fn remove(&mut self, at: usize) {
        if self.all.len() == self.empty.len() + 1 {
            self.all.clear();
            self.empty.clear();
        } else {
            self.all[at] = None;
            self.empty.push(at);
        }
    }
}

fn current() -> Option<Arc<Flight>> {
    // A thread that is ending has no current flight.
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Runs `body` as that of `flight`.
pub(crate) async fn within<F: Future>(flight: &Arc<Flight>, body: F) -> F::Output {
    let mut body = pin!(body);
    poll_fn(|context| poll_within(flight, &mut || body.as_mut().poll(context))).await
}

/// Polls a body as that of `flight`.
pub(crate) fn poll_within<R>(flight: &Arc<Flight>, poll: &mut dyn FnMut() -> Poll<R>) -> Poll<R> {
    let _entered = Entered::new(flight);
    let output = poll();
    if output.is_ready() {
        flight.returned();
    }
    output
}

struct Entered(Option<Arc<Flight>>);

impl Entered {
    fn new(flight: &Arc<Flight>) -> Entered {
        let outer = CURRENT.try_with(|current| current.replace(Some(Arc::clone(flight))));
        Entered(outer.ok().flatten())
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let outer = self.0.take();
        let _ = CURRENT.try_with(|current| current.replace(outer));
    }
}

/// An edge: one flight waits for another, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Edge {
    from: Arc<Flight>,
    /// The place among those that `from` waits for.
    at: usize,
}

impl Edge {
    /// The call leads `flight` inside of a body: that body waits for it.
    pub(super) fn leading(flight: &Arc<Flight>) -> Option<Edge> {
        current().map(|from| Edge::new(from, flight))
    }

    /// The body of `outer` runs for `flight`, too: every call that waits for `flight` waits for `outer`.
    pub(super) fn within(flight: &Arc<Flight>, outer: &Arc<Flight>) -> Edge {
        Edge::new(Arc::clone(flight), outer)
    }

    /// The call is about to wait for `flight`. Returns `Err` if that flight waits for the body around the call, and
    /// `Ok(None)` if there is no such body.
    pub(crate) fn waiting(flight: &Arc<Flight>) -> Result<Option<Edge>, Cycle> {
        let Some(from) = current() else { return Ok(None) };
        let _graph = GRAPH.lock().unwrap_or_else(PoisonError::into_inner);
        if reaches(flight, &from) { Err(Cycle) } else { Ok(Some(Edge::new(from, flight))) }
    }

    fn new(from: Arc<Flight>, to: &Arc<Flight>) -> Edge {
        let at = from.awaits.places().add(to);
        Edge { from, at }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.from.awaits.places().remove(self.at);
    }
}

/// A call would wait for itself.
#[derive(Debug)]
pub(crate) struct Cycle;

/// Returns true if `from` waits for `to`, or is `to`.
fn reaches(from: &Arc<Flight>, to: &Arc<Flight>) -> bool {
    let (mut seen, mut open) = (HashSet::new(), vec![Arc::clone(from)]);
    while let Some(flight) = open.pop() {
        #[cfg(test)]
        tests::LOOKS.set(tests::LOOKS.get() + 1);
        if Arc::ptr_eq(&flight, to) {
            return true;
        }
        if seen.insert(Arc::as_ptr(&flight).addr()) {
            open.extend(flight.awaits.places().all.iter().flatten().cloned());
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::{Flights, Leader};
    use super::*;
    use crate::key::KeyWriter;
    use crate::stored::envelope::Token;

    thread_local! {
        /// How many flights were looked at.
        pub(super) static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    fn lead(flights: &Arc<Flights>, name: &str) -> Leader {
        let key = KeyWriter::new("", name).finish().expect("a key");
        flights.lead(&key, Token::random().expect("randomness"))
    }

    fn inside<R>(leader: &Leader, mut body: impl FnMut() -> R) -> R {
        match poll_within(leader.flight(), &mut || Poll::Ready(body())) {
            Poll::Ready(output) => output,
            Poll::Pending => unreachable!("it is ready"),
        }
    }

    /// A call for many ids inside of a body: each id has a flight, and one look for circles sees each of them once.
    #[test]
    fn the_edges_of_many_ids_cost_little_each() {
        const IDS: usize = 10_000;
        let flights = Arc::<Flights>::default();
        let (outer, other) = (lead(&flights, "outer"), lead(&flights, "other"));
        LOOKS.set(0);
        let mut inner: Vec<Leader> =
            inside(&outer, || (0..IDS).map(|id| lead(&flights, &format!("inner:{id}"))).collect());
        let body = Arc::clone(inner[0].flight());
        inner.iter_mut().for_each(|leader| leader.runs_within(&body));
        assert!(inside(&other, || Edge::waiting(outer.flight()).is_ok()));
        assert!(LOOKS.get() <= 3 * IDS, "{} for {IDS} ids", LOOKS.get());
        drop(inner);
        assert!(outer.flight().awaits.places().all.is_empty());
    }

    #[test]
    fn each_edge_ends_on_its_own() {
        let flights = Arc::<Flights>::default();
        let (from, one, two) = (lead(&flights, "from"), lead(&flights, "one"), lead(&flights, "two"));
        let edge = |to: &Leader| Edge::within(from.flight(), to.flight());
        let reaches = |to: &Leader| reaches(from.flight(), to.flight());
        let (first, second, third) = (edge(&one), edge(&one), edge(&two));
        drop(first);
        assert!(reaches(&one) && reaches(&two));
        let fourth = edge(&two);
        drop(third);
        assert!(reaches(&one) && reaches(&two));
        drop(second);
        assert!(!reaches(&one) && reaches(&two));
        drop(fourth);
        assert!(!reaches(&one) && !reaches(&two));
    }
}
