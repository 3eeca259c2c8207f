//! Computations under way, and the calls of this process that wait for them.
//!
//! A *flight* is known by its key and the token of the lease that it computes under, or that
//! another process computes under. A call may share what a flight ends with because its own read,
//! sent after it started, saw that token in the slot: no invalidation came between the two. A
//! key alone would not do. Where the store cannot be asked, a call shares what began after itself;
//! and once the store is known to be away, whatever was not invalidated in this process.
//!
//! Followers of both faces wait here: tasks with a waker, threads at a condition variable.

mod nested;
mod refreshing;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

pub(crate) use self::nested::{Edge, within};
pub(crate) use self::refreshing::{Refreshing, Ticket};
use crate::envelope::Token;
use crate::error::Error;
use crate::key::Key;
use crate::sharing::Shared;

/// What a flight ends with.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// A value, sealed as in a slot, whether or not it could be stored.
    Value(Bytes),
    /// The body's error.
    Error(Arc<Mutex<Shared>>),
    /// An error that cannot be shared, or a panic.
    Failed,
    /// A value that cannot be shared.
    Unshared,
    /// Its leader was cancelled.
    Abandoned,
    /// What the slot held when another process had ended it. The read's number tells whether it
    /// was sent after a follower joined.
    Read { number: u64, found: Option<Bytes> },
    /// The store cannot be asked any more.
    Away(Error),
}

/// One computation.
#[derive(Debug)]
pub(crate) struct Flight {
    key: Key,
    /// `None`: under no lease, because the store cannot be asked.
    token: Option<Token>,
    /// The lease is this process', and goes to the followers if its leader is gone.
    is_ours: bool,
    /// Its body begins later.
    born: Instant,
    state: Mutex<State>,
    /// For the threads among the followers.
    changed: Condvar,
    /// What calls inside of its body lead or wait for.
    awaits: nested::Awaits,
}

#[derive(Debug, Default)]
struct State {
    outcome: Option<Outcome>,
    followers: usize,
    /// Of the tasks among the followers.
    wakers: BTreeMap<u64, Waker>,
    next_waker: u64,
    /// Invalidated in this process: later calls do not share it by the key alone.
    voided: bool,
    /// Led by another process: one follower at a time asks the store.
    foreign: Option<Watch>,
}

#[derive(Debug, Default)]
struct Watch {
    asking: bool,
    /// How many reads were sent so far.
    reads: u64,
}

/// The flights of one cache.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    // Held for a look-up each. Hits do not come here.
    all: Mutex<HashMap<Key, Vec<Arc<Flight>>>>,
}

/// Whether a call follows or leads.
#[derive(Debug)]
pub(crate) enum Role {
    Follower(Follower),
    Leader(Leader),
}

impl Flights {
    /// Starts a flight under a lease that is about to be asked for: whoever sees the token
    /// finds it.
    pub(crate) fn lead(self: &Arc<Self>, key: &Key, token: Token) -> Leader {
        self.leader(&mut self.all(), Flight { is_ours: true, ..Flight::new(key, Some(token), None) })
    }

    /// Joins the flight of this token, which the caller's own read saw; where there is none in
    /// this process, one of another that this process watches.
    pub(crate) fn follow(self: &Arc<Self>, key: &Key, token: Token) -> Follower {
        let mut all = self.all();
        let known = find(&all, key, |flight| flight.token == Some(token));
        let flight = known.unwrap_or_else(|| {
            let flight = Arc::new(Flight::new(key, Some(token), Some(Watch::default())));
            all.entry(key.clone()).or_default().push(Arc::clone(&flight));
            flight
        });
        self.join(flight)
    }

    /// Joins the flight of this token, or starts one for the calls of this process.
    pub(crate) fn follow_or_lead(self: &Arc<Self>, key: &Key, token: Token) -> Role {
        let mut all = self.all();
        match find(&all, key, |flight| flight.token == Some(token)) {
            Some(flight) => Role::Follower(self.join(flight)),
            None => Role::Leader(self.leader(&mut all, Flight::new(key, Some(token), None))),
        }
    }

    /// Joins a body that runs in this process, or starts one, without a look at the slot: one that
    /// began after the call did, at `began`; while the store `is_away`, any that was not
    /// invalidated in this process.
    pub(crate) fn follow_any_or_lead(self: &Arc<Self>, key: &Key, began: Instant, is_away: bool) -> Role {
        let mut all = self.all();
        let is_shared = |flight: &Flight| {
            let state = flight.lock();
            let is_new = flight.born > began || (is_away && !state.voided);
            is_new && state.outcome.is_none() && state.foreign.is_none()
        };
        match find(&all, key, is_shared) {
            Some(flight) => Role::Follower(self.join(flight)),
            None => Role::Leader(self.leader(&mut all, Flight::new(key, None, None))),
        }
    }

    /// The key is invalidated in this process.
    pub(crate) fn void(&self, key: &Key) {
        for flight in self.all().get(key).into_iter().flatten() {
            flight.lock().voided = true;
        }
    }

    fn leader(self: &Arc<Self>, all: &mut HashMap<Key, Vec<Arc<Flight>>>, flight: Flight) -> Leader {
        let flight = Arc::new(flight);
        all.entry(flight.key.clone()).or_default().push(Arc::clone(&flight));
        let edge = Edge::leading(&flight);
        Leader { flights: Arc::clone(self), flight, _edge: edge }
    }

    fn join(self: &Arc<Self>, flight: Arc<Flight>) -> Follower {
        let mut state = flight.lock();
        state.followers += 1;
        let waker = state.next_waker;
        state.next_waker += 1;
        let reads = state.foreign.as_ref().map_or(0, |watch| watch.reads);
        drop(state);
        Follower { flights: Arc::clone(self), flight, waker, reads }
    }

    fn remove(&self, flight: &Arc<Flight>) {
        let mut all = self.all();
        if let Some(flights) = all.get_mut(&flight.key) {
            flights.retain(|other| !Arc::ptr_eq(other, flight));
            if flights.is_empty() {
                all.remove(&flight.key);
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Key, Vec<Arc<Flight>>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.all().is_empty()
    }
}

fn find(
    all: &HashMap<Key, Vec<Arc<Flight>>>,
    key: &Key,
    mut is_it: impl FnMut(&Flight) -> bool,
) -> Option<Arc<Flight>> {
    all.get(key)?.iter().find(|flight| is_it(flight)).cloned()
}

impl Flight {
    fn new(key: &Key, token: Option<Token>, foreign: Option<Watch>) -> Flight {
        let state = State { foreign, ..State::default() };
        Flight {
            key: key.clone(),
            token,
            is_ours: false,
            born: Instant::now(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            awaits: nested::Awaits::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it, unless it has ended, and tells everybody.
    fn end(&self, outcome: Outcome) {
        let mut state = self.lock();
        state.outcome.get_or_insert(outcome);
        self.tell(state);
    }

    /// Wakes all followers, to look again.
    fn tell(&self, mut state: MutexGuard<'_, State>) {
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.changed.notify_all();
        wakers.into_values().for_each(Waker::wake);
    }
}

/// The right to end a flight. Dropped before, it leaves the flight to the followers.
#[derive(Debug)]
#[must_use = "dropped, it abandons its followers"]
pub(crate) struct Leader {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
    _edge: Option<Edge>,
}

impl Leader {
    pub(crate) fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    /// Whether anybody waits.
    pub(crate) fn is_followed(&self) -> bool {
        self.flight.lock().followers > 0
    }

    /// Gives followers the outcome. The flight can still be joined until `self` is dropped: the
    /// slot may show its token until then.
    pub(crate) fn publish(&self, outcome: Outcome) {
        self.flight.end(outcome);
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.flights.remove(&self.flight);
        self.flight.end(if thread::panicking() { Outcome::Failed } else { Outcome::Abandoned });
    }
}

/// A call that waits for a flight.
#[derive(Debug)]
pub(crate) struct Follower {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
    waker: u64,
    /// How many reads had been sent when it joined.
    reads: u64,
}

/// What a follower waits for.
#[derive(Debug)]
pub(crate) enum Event {
    Ended(Outcome),
    /// Nobody asks the store for this flight of another process: it is on this follower.
    Ask(Asking),
    TimeUp,
}

impl Follower {
    pub(crate) fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    /// Whether the lease that it waits for is this process'.
    pub(crate) fn may_take_over(&self) -> bool {
        self.flight.is_ours
    }

    /// Whether a read of this number was sent after this follower joined.
    pub(crate) fn precedes(&self, number: u64) -> bool {
        number > self.reads
    }

    fn event(&self, state: &mut State) -> Option<Event> {
        if let Some(outcome) = &state.outcome {
            return Some(Event::Ended(outcome.clone()));
        }
        match &mut state.foreign {
            Some(watch) if !watch.asking => {
                watch.asking = true;
                Some(Event::Ask(Asking { flights: Arc::clone(&self.flights), flight: Arc::clone(&self.flight) }))
            }
            _ => None,
        }
    }

    /// For a task.
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

    /// For a thread.
    #[cfg(feature = "blocking")]
    pub(crate) fn block(&self, until: Instant) -> Event {
        let mut state = self.flight.lock();
        loop {
            if let Some(event) = self.event(&mut state) {
                return event;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Event::TimeUp;
            }
            state = self.flight.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut state = self.flight.lock();
        state.wakers.remove(&self.waker);
        state.followers -= 1;
        let unwatched = state.followers == 0 && state.foreign.is_some();
        drop(state);
        if unwatched {
            // Somebody may have joined meanwhile, and goes on without being found: no harm done.
            self.flights.remove(&self.flight);
        }
    }
}

/// The turn to ask the store whether another process has ended its flight. Dropped, the turn goes
/// to another follower.
#[derive(Debug)]
pub(crate) struct Asking {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
}

impl Asking {
    /// A read is about to be sent: its number.
    pub(crate) fn number(&self) -> u64 {
        let mut state = self.flight.lock();
        state.foreign.as_mut().map_or(0, |watch| {
            watch.reads += 1;
            watch.reads
        })
    }

    /// It has ended, or cannot be told any more.
    pub(crate) fn ended(self, outcome: Outcome) {
        self.flights.remove(&self.flight);
        self.flight.end(outcome);
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut state = self.flight.lock();
        if let Some(watch) = &mut state.foreign {
            watch.asking = false;
        }
        self.flight.tell(state);
    }
}

/// How long a call may still wait for others, and for how many.
#[derive(Debug)]
pub(crate) struct Patience {
    pub(crate) until: Instant,
    tokens: Vec<Token>,
    exhausted: bool,
}

/// Results that are not stored must not make callers run one after another.
const MOST_TOKENS: usize = 2;

impl Patience {
    pub(crate) fn new(longest: Duration) -> Patience {
        let now = Instant::now();
        Patience { until: now.checked_add(longest).unwrap_or(now), tokens: Vec::new(), exhausted: false }
    }

    /// Whether the call may wait for this flight.
    pub(crate) fn allows(&mut self, token: Token) -> bool {
        if self.exhausted || Instant::now() >= self.until {
            return false;
        }
        if self.tokens.contains(&token) {
            return true;
        }
        if self.tokens.len() == MOST_TOKENS {
            return false;
        }
        self.tokens.push(token);
        true
    }

    /// The flight was abandoned: waiting for it does not count.
    pub(crate) fn forgive(&mut self, token: Token) {
        self.tokens.retain(|known| *known != token);
    }

    /// A body failed, or its value cannot be shared: no more waiting.
    pub(crate) fn exhaust(&mut self) {
        self.exhausted = true;
    }
}

#[cfg(test)]
mod tests;
