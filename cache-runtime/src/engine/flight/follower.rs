//! The calls that wait for a flight, and the one among them that asks the store.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
#[cfg(feature = "tokio")]
use std::task::{Poll, Waker};
#[cfg(feature = "blocking")]
use std::thread;
use std::time::{Duration, Instant};

use super::{Flight, FlightState, Flights, Id, Outcome, SILENCE, Turn};

/// A call that waits for a flight.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(super) flights: Arc<Flights>,
    pub(super) flight: Arc<Flight>,
    pub(super) waker: u64,
    /// How many reads had been sent when the call joined.
    pub(super) reads: u64,
}

/// The next action of a follower.
#[derive(Debug)]
pub(crate) enum Event {
    Ended(Outcome),
    /// No follower asks the store for this flight of another process, so this follower has to.
    Ask(Asking),
    TimeUp,
}

impl Follower {
    pub(crate) fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    /// Returns true if the lease that it waits for is this process'.
    pub(crate) fn may_take_over(&self) -> bool {
        matches!(self.flight.id, Id::Leased(_))
    }

    /// The outcome of the flight, if it has ended.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.flight.lock().outcome.clone()
    }

    /// When to look again, at the latest: the follower that asks the store may have fallen silent, which wakes no other
    /// follower.
    pub(crate) fn check_by(&self, now: Instant, until: Instant) -> Instant {
        let slice = now + SILENCE;
        if self.flight.is_foreign() && slice < until { slice } else { until }
    }

    /// Returns true if a read of this number was sent after this follower joined.
    pub(crate) fn precedes(&self, number: u64) -> bool {
        number > self.reads
    }

    fn event(&self, state: &mut FlightState) -> Option<Event> {
        if let Some(outcome) = &state.outcome {
            return Some(Event::Ended(outcome.clone()));
        }
        let is_asked = state.asking.as_ref().is_some_and(|turn| turn.heard.elapsed() < SILENCE);
        if !self.flight.is_foreign() || is_asked {
            return None;
        }
        state.turns += 1;
        let turn = state.turns;
        state.asking = Some(Turn { number: turn, heard: Instant::now() });
        let (flights, flight) = (Arc::clone(&self.flights), Arc::clone(&self.flight));
        flights.asking.fetch_add(1, Relaxed);
        Some(Event::Ask(Asking { flights, flight, turn }))
    }

    /// Waits in a task.
    #[cfg(feature = "tokio")]
    pub(crate) fn poll(&self, waker: &Waker) -> Poll<Event> {
        let mut state = self.flight.lock();
        match self.event(&mut state) {
            Some(event) => Poll::Ready(event),
            None => {
                state
                    .wakers
                    .entry(self.waker)
                    .and_modify(|known| known.clone_from(waker))
                    .or_insert_with(|| waker.clone());
                Poll::Pending
            }
        }
    }

    /// Waits in a thread.
    #[cfg(feature = "blocking")]
    pub(crate) fn block(&self, until: Instant) -> Event {
        let me = thread::current();
        loop {
            let mut state = self.flight.lock();
            state.threads.retain(|thread| thread.id() != me.id());
            if let Some(event) = self.event(&mut state) {
                return event;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Event::TimeUp;
            }
            state.threads.push(me.clone());
            drop(state);
            thread::park_timeout(left);
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut state = self.flight.lock();
        state.wakers.remove(&self.waker);
        state.followers -= 1;
        let unwatched = state.followers == 0 && self.flight.is_foreign();
        drop(state);
        if unwatched {
            // A call that joined meanwhile goes on although the flight cannot be found any more, which does no harm.
            self.flights.remove(&self.flight);
        }
    }
}

/// The turn to ask the store if another process has ended its flight. If it is dropped, or silent for too long, it goes
/// to another follower.
#[derive(Debug)]
pub(crate) struct Asking {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
    turn: u64,
}

impl Asking {
    /// A question is about to be sent, which takes no longer than `patience`.
    pub(crate) fn asks(&self, patience: Duration) {
        if let Some(turn) = &mut self.flight.lock().asking
            && turn.number == self.turn
        {
            turn.heard = Instant::now() + patience;
        }
    }

    /// A read is about to be sent; returns its number.
    pub(crate) fn number(&self) -> u64 {
        let mut state = self.flight.lock();
        state.reads += 1;
        state.reads
    }

    /// The flight has ended, or cannot be watched any more.
    pub(crate) fn ended(self, outcome: Outcome) {
        self.flights.remove(&self.flight);
        self.flight.end(outcome);
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.flights.asking.fetch_sub(1, Relaxed);
        let mut state = self.flight.lock();
        if state.asking.as_ref().is_some_and(|turn| turn.number == self.turn) {
            state.asking = None;
            self.flight.tell(state);
        }
    }
}
