//! Computations under way, and the calls of this process that wait for them.
//!
//! A *flight* is known by its key and the token of the lease that it computes under, or that another process computes
//! under. A call may share the outcome of a flight because its own read, sent after the call started, saw that token in
//! the slot: no invalidation came between the two. A key alone would not do. A call that cannot ask the store, or that
//! has waited enough for the calls that have leased the slot, shares a body that began after the call; once the store
//! is known to be away, it also shares one that has not returned yet, unless that one was invalidated in this process.
//!
//! Followers of both faces wait here: tasks with a waker, threads parked.

mod follower;
mod nested;
mod patience;
mod refreshing;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::thread::Thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

pub(crate) use self::follower::{Asking, Event, Follower};
pub(crate) use self::nested::{Edge, poll_within, within};
pub(crate) use self::patience::{Any, Patience};
pub(crate) use self::refreshing::{Refreshing, Ticket};
use crate::engine::sharing::Shared;
use crate::error::Error;
use crate::fork::Process;
use crate::key::{Extent, Key};
use crate::lock::briefly;
use crate::store::Read;
use crate::stored::envelope::Token;

/// The outcome of a flight.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// A value, sealed as in a slot, whether or not it could be stored.
    Value(Bytes),
    /// The value has to be looked for in the slot, because it has tags of its own, which may have been invalidated
    /// since its body returned.
    Stored,
    /// The body's error.
    Error(Arc<Mutex<Shared>>),
    /// An error that cannot be shared.
    Failed,
    /// A panic.
    Panicked,
    /// A value that cannot be shared.
    Unshared,
    /// The leader was cancelled.
    Abandoned,
    /// The content of the slot after another process had ended the flight. The read's number tells if it was sent after
    /// a follower joined.
    Read { number: u64, found: Read },
    /// The store cannot be asked any more.
    Away(Error),
}

/// Identifies a computation of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Id {
    /// This process computes under this lease; the flight goes to the followers if its leader is gone.
    Leased(Token),
    /// Another process computes under this lease.
    Watched(Token),
    /// This process computes while another one has this lease.
    Unleased(Token),
    /// The computation has no right to the slot: the store cannot be asked, or other calls had the slot for too long.
    Unasked(u64),
}

/// A computation.
#[derive(Debug)]
pub(crate) struct Flight {
    key: Arc<Key>,
    id: Id,
    /// When the flight was created. Its body begins later.
    born: Instant,
    state: Mutex<FlightState>,
    /// The flights that calls inside its body lead or wait for.
    awaits: nested::Awaits,
}

#[derive(Debug, Default)]
struct FlightState {
    outcome: Option<Outcome>,
    followers: usize,
    /// The wakers of the tasks among the followers.
    wakers: BTreeMap<u64, Waker>,
    next_waker: u64,
    /// The threads among the followers that wait. A condition variable would make each of them take the lock, too, one
    /// after the other.
    threads: Vec<Thread>,
    /// The flight was invalidated in this process: later calls do not share it by the key alone.
    voided: bool,
    /// The body has returned, and later calls do not share it by the key alone either: only encoding and storing are
    /// left.
    returned: bool,
    /// In a flight of another process, one follower at a time asks the store.
    asking: Option<Turn>,
    /// How many turns there were.
    turns: u64,
    /// How many reads were sent so far.
    reads: u64,
}

/// The follower that asks the store.
#[derive(Debug)]
struct Turn {
    number: u64,
    /// When it was last heard of.
    heard: Instant,
}

/// A follower that is not polled any more keeps its turn for this long, in addition to the time that a question may
/// take.
const SILENCE: Duration = Duration::from_secs(1);

/// The pause for each key that followers ask for, so that a cache asks no more often than 20,000 times a second for up
/// to 10,000 keys.
const PAUSE_PER_KEY: Duration = Duration::from_micros(50);

/// The flights of one cache.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    // Held for a look-up each. Hits do not come here.
    all: Mutex<All>,
    /// Leases of this process whose leaders ended last without an outcome. A leader was cancelled, and the slot may
    /// show its lease a moment longer than the flight lasts; or the lease was never granted.
    abandoned: Mutex<VecDeque<Token>>,
    unasked: AtomicU64,
    /// For how many flights of other processes a follower asks the store.
    asking: AtomicU32,
    process: Process,
}

/// The most leases of that kind that are remembered.
const ABANDONED: usize = 256;

/// The role of a call: it follows or leads.
#[derive(Debug)]
pub(crate) enum Role {
    Follower(Follower),
    Leader(Leader),
}

/// The flights that a call may share instead of running a body for the calls of its process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Joinable {
    /// Those under this token.
    Under(Token),
    Any(Any),
}

impl Flights {
    /// Starts a flight under a lease that is about to be requested, so that every call that sees the token finds the
    /// flight.
    pub(crate) fn lead(self: &Arc<Self>, key: &Key, token: Token) -> Leader {
        self.leader(&mut self.all(), key, Id::Leased(token))
    }

    /// Joins the flight of this token, which the caller's own read saw. If this process has no such flight, it joins
    /// one of another process that this process watches.
    pub(crate) fn follow(self: &Arc<Self>, key: &Key, token: Token) -> Follower {
        let mut all = self.all();
        let flight = known(&all, key, token).unwrap_or_else(|| {
            let watched = find(&all, key, Id::Watched(token)).cloned();
            watched.unwrap_or_else(|| add(&mut all, key, Id::Watched(token)))
        });
        self.join(flight)
    }

    /// Joins the flight of this token, or starts one for the calls of this process.
    pub(crate) fn follow_or_lead(self: &Arc<Self>, key: &Key, token: Token) -> Role {
        self.join_or_lead(&mut self.all(), key, Joinable::Under(token))
    }

    /// Joins a body that runs in this process, or starts one, without a look at the slot.
    pub(crate) fn follow_any_or_lead(self: &Arc<Self>, key: &Key, any: Any) -> Role {
        self.join_or_lead(&mut self.all(), key, Joinable::Any(any))
    }

    /// Does the same for many keys at once. Among calls for the same keys one leads all of them, because nothing comes
    /// in between.
    pub(crate) fn follow_or_lead_all<'k>(
        self: &Arc<Self>,
        wanted: impl ExactSizeIterator<Item = (&'k Key, Joinable)>,
    ) -> Vec<Role> {
        let mut roles = Vec::with_capacity(wanted.len());
        let mut all = self.all();
        roles.extend(wanted.map(|(key, joinable)| self.join_or_lead(&mut all, key, joinable)));
        roles
    }

    fn join_or_lead(self: &Arc<Self>, all: &mut All, key: &Key, joinable: Joinable) -> Role {
        let (found, id) = match joinable {
            Joinable::Under(token) => {
                let unleased = || find(all, key, Id::Unleased(token)).cloned();
                (known(all, key, token).or_else(unleased), Id::Unleased(token))
            }
            Joinable::Any(any) => {
                let shared = || all.get(key).into_iter().flatten().filter(|flight| any.includes(flight));
                let is_enough = shared().count() >= any.most;
                let least = is_enough.then(|| shared().min_by_key(|flight| flight.followers())).flatten();
                (least.cloned(), Id::Unasked(self.unasked.fetch_add(1, Relaxed)))
            }
        };
        match found {
            Some(flight) => Role::Follower(self.join(flight)),
            None => Role::Leader(self.leader(all, key, id)),
        }
    }

    /// Returns true if a call of this process computes the key, or waits for it.
    pub(crate) fn concern(&self, key: &Key) -> bool {
        self.all().contains_key(key)
    }

    /// How long a follower waits between two questions to the store, at least.
    pub(crate) fn pause_between_questions(&self) -> Duration {
        (PAUSE_PER_KEY * self.asking.load(Relaxed)).min(SILENCE / 2)
    }

    /// Returns true if a leader of this process was cancelled under this lease.
    pub(crate) fn was_abandoned(&self, token: Token) -> bool {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner).contains(&token)
    }

    fn abandon(&self, token: Token) {
        let mut abandoned = self.abandoned.lock().unwrap_or_else(PoisonError::into_inner);
        if abandoned.len() == ABANDONED {
            abandoned.pop_front();
        }
        abandoned.push_back(token);
    }

    /// The entry is invalidated in this process.
    pub(crate) fn void(&self, key: &Key) {
        for flight in self.all().get(key).into_iter().flatten() {
            flight.lock().voided = true;
        }
    }

    /// Entries, groups and tags are invalidated in this process. This looks at every flight under way.
    pub(crate) fn void_covered(&self, extent: &Extent) {
        for flight in self.all().values().flatten().filter(|flight| extent.covers(flight.key.as_str())) {
            flight.lock().voided = true;
        }
    }

    pub(crate) fn void_all(&self, keys: &[Key]) {
        let names: HashSet<&str> = keys.iter().map(Key::as_str).collect();
        // The flight's own key decides: another function's key with the same text may have other tags.
        let is_concerned = |flight: &&Arc<Flight>| flight.key.concerned_by().any(|name| names.contains(name));
        for flight in self.all().values().flatten().filter(is_concerned) {
            flight.lock().voided = true;
        }
    }

    fn leader(self: &Arc<Self>, all: &mut All, key: &Key, id: Id) -> Leader {
        let flight = add(all, key, id);
        let edge = Edge::leading(&flight);
        Leader { flights: Arc::clone(self), flight, _edge: edge, _within: None }
    }

    fn join(self: &Arc<Self>, flight: Arc<Flight>) -> Follower {
        let mut state = flight.lock();
        state.followers += 1;
        let waker = state.next_waker;
        state.next_waker += 1;
        let reads = state.reads;
        drop(state);
        Follower { flights: Arc::clone(self), flight, waker, reads }
    }

    fn remove(&self, flight: &Arc<Flight>) {
        if let Entry::Occupied(mut flights) = self.all().entry(Arc::clone(&flight.key)) {
            flights.get_mut().retain(|known| !Arc::ptr_eq(known, flight));
            if flights.get().is_empty() {
                flights.remove();
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, All> {
        let mut all = briefly(&self.all);
        if self.process.is_forked() {
            // Their leaders are threads of another process.
            all.clear();
        }
        all
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.all().is_empty()
    }
}

/// The flights by key; most keys have one.
type All = HashMap<Arc<Key>, Vec<Arc<Flight>>>;

fn find<'a>(all: &'a All, key: &Key, id: Id) -> Option<&'a Arc<Flight>> {
    all.get(key)?.iter().find(|flight| flight.id == id)
}

/// This process' flight under this lease. A flight that was invalidated in this process is watched like another
/// process' flight, because its outcome is out of date.
fn known(all: &All, key: &Key, token: Token) -> Option<Arc<Flight>> {
    let flight = find(all, key, Id::Leased(token))?;
    (!flight.lock().voided).then(|| Arc::clone(flight))
}

fn add(all: &mut All, key: &Key, id: Id) -> Arc<Flight> {
    let flight = Arc::new(Flight::new(key, id));
    let flights = all.entry(Arc::clone(&flight.key)).or_insert_with(|| Vec::with_capacity(1));
    flights.push(Arc::clone(&flight));
    flight
}

impl Flight {
    fn new(key: &Key, id: Id) -> Flight {
        Flight {
            key: Arc::new(key.clone()),
            id,
            born: Instant::now(),
            state: Mutex::default(),
            awaits: nested::Awaits::default(),
        }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// The body has returned.
    pub(crate) fn returned(&self) {
        self.lock().returned = true;
    }

    pub(crate) fn is_foreign(&self) -> bool {
        matches!(self.id, Id::Watched(_))
    }

    fn followers(&self) -> usize {
        self.lock().followers
    }

    fn lock(&self) -> MutexGuard<'_, FlightState> {
        briefly(&self.state)
    }

    /// Ends the flight, unless it has ended, and wakes all followers.
    fn end(&self, outcome: Outcome) {
        let mut state = self.lock();
        if state.outcome.is_none() {
            state.outcome = Some(outcome);
            self.tell(state);
        }
    }

    /// Wakes all followers, to look again.
    fn tell(&self, mut state: MutexGuard<'_, FlightState>) {
        let wakers = std::mem::take(&mut state.wakers);
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        threads.iter().for_each(Thread::unpark);
        wakers.into_values().for_each(Waker::wake);
    }
}

/// The right to end a flight. If it is dropped before that, the flight is left to the followers.
#[derive(Debug)]
#[must_use = "dropped, it abandons its followers"]
pub(crate) struct Leader {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
    _edge: Option<Edge>,
    /// The edge to the flight whose body is also this one's.
    _within: Option<Edge>,
}

impl Leader {
    pub(crate) fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    /// The body of this flight is that of another flight, too.
    pub(crate) fn runs_within(&mut self, flight: &Arc<Flight>) {
        if !Arc::ptr_eq(&self.flight, flight) {
            self._within = Some(Edge::within(&self.flight, flight));
        }
    }

    /// Returns true if any call waits.
    pub(crate) fn is_followed(&self) -> bool {
        self.flight.followers() > 0
    }

    /// Gives followers the outcome. The flight can still be joined until `self` is dropped, because the slot may show
    /// its token until then.
    pub(crate) fn publish(&self, outcome: Outcome) {
        self.flight.end(outcome);
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let is_panicking = thread::panicking();
        if let Id::Leased(token) = self.flight.id
            && !is_panicking
            && self.flight.lock().outcome.is_none()
        {
            self.flights.abandon(token);
        }
        self.flights.remove(&self.flight);
        self.flight.end(if is_panicking { Outcome::Panicked } else { Outcome::Abandoned });
    }
}

#[cfg(test)]
mod tests;
