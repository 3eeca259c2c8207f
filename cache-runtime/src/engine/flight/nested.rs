//! Calls inside bodies, and the waits between them.
//!
//! A call would wait for itself if it waited for a flight that waits, through any chain, for the body around the call.
//! This module detects that, and the call computes instead. A call that a body hands to another task or thread is not
//! detected; there the bound on waiting ends the wait.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use super::Flight;

thread_local! {
    /// The flight whose body runs here, the innermost one.
    static CURRENT: RefCell<Option<Arc<Flight>>> = const { RefCell::new(None) };
}

/// Held while the edges of all caches are read and added, because their flights may wait for each other.
static GRAPH: Mutex<()> = Mutex::new(());

/// The flights that one waits for.
pub(super) type Awaits = Mutex<Vec<Arc<Flight>>>;

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
    to: Arc<Flight>,
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
        from.awaits().push(Arc::clone(to));
        Edge { from, to: Arc::clone(to) }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let mut awaits = self.from.awaits();
        if let Some(at) = awaits.iter().position(|flight| Arc::ptr_eq(flight, &self.to)) {
            awaits.swap_remove(at);
        }
    }
}

/// A call would wait for itself.
#[derive(Debug)]
pub(crate) struct Cycle;

impl Flight {
    fn awaits(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Flight>>> {
        self.awaits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if `from` waits for `to`, or is `to`.
fn reaches(from: &Arc<Flight>, to: &Arc<Flight>) -> bool {
    let (mut seen, mut open) = (Vec::new(), vec![Arc::clone(from)]);
    while let Some(flight) = open.pop() {
        if Arc::ptr_eq(&flight, to) {
            return true;
        }
        if !seen.iter().any(|known| Arc::ptr_eq(known, &flight)) {
            open.extend(flight.awaits().iter().cloned());
            seen.push(flight);
        }
    }
    false
}
