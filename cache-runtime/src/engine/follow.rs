//! Waiting for the computation of another call, of this process or of another.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Engine;
use super::timer::Timer;
use crate::engine::flight::{Asking, Edge, Event, Follower, Leader, Outcome, Patience, Role};
use crate::engine::sharing::{Accepts, Shared};
use crate::error::Error;
use crate::key::Key;
use crate::observe::WaitTimer;
use crate::plan::function::{Function, SingleFlight, Terms};
use crate::plan::policy;
use crate::store::{Read, ReadMode, Store};
use crate::stored::envelope::{self, Head, Lease, Token};

/// The first pause before the store is asked whether another process has ended its computation, with a question of fifty
/// bytes.
const FIRST: Duration = Duration::from_micros(500);

/// Pauses double up to this while few keys are asked for. Each lasts about a millisecond longer, because the tasks'
/// timers count whole milliseconds.
const PAUSE: Duration = Duration::from_millis(1);

/// After this time it is checked, once, that the server will end the lease. A leader that is gone leaves it to that.
pub(super) const BOUND_AFTER: Duration = Duration::from_millis(100);

/// The result of waiting for the flight of a lease.
pub(super) enum WaitOutcome {
    Settled(Settlement),
    /// The body's error cannot be shared with this call.
    Failed,
    /// The body panicked, and its lease is left in the slot.
    Panicked,
    /// The body returned something that cannot be shared.
    Unshared,
    /// The leader is gone, and its lease is left in the slot.
    HandedOver,
    /// The present content of the slot.
    Found(Read),
    /// The slot is to be looked at again.
    Changed,
    /// The call has waited enough for the calls that lease the slot.
    Enough,
    Away(Error),
}

/// The action of a call that does not look at the slot again.
pub(super) enum Settlement {
    /// It returns this value, sealed as in a slot.
    Value(Bytes),
    /// It returns the body's error, which can be copied.
    Error(Arc<Mutex<Shared>>),
    /// No call of this process computes the key, so this one does.
    Lead(Leader),
    /// It runs its body, whatever other calls do.
    Alone,
}

/// A lease that a call waits for.
#[derive(Clone, Copy)]
pub(super) struct Watched {
    pub(super) token: Token,
    /// How long the leases of the function last at a time.
    pub(super) lease: Duration,
}

/// The reason why waiting for a flight did not end with an outcome.
pub(super) enum Unended {
    TooLong,
    /// The flight would have waited for this very call.
    Cycle,
}

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Waits for the flight whose token the call saw in the slot.
    pub(super) async fn follow(
        &self,
        terms: &Terms,
        key: &Key,
        token: Token,
        accepts: Accepts,
        patience: &mut Patience,
    ) -> WaitOutcome {
        if terms.single_flight == SingleFlight::Off {
            return WaitOutcome::Settled(Settlement::Alone);
        }
        if !patience.allows(token, self.timer.now()) {
            return WaitOutcome::Enough;
        }
        let flights = self.cache.flights();
        let follower = match terms.single_flight {
            SingleFlight::Process => match flights.follow_or_lead(key, token) {
                Role::Follower(follower) => follower,
                Role::Leader(leader) => return WaitOutcome::Settled(Settlement::Lead(leader)),
            },
            _ => flights.follow(key, token),
        };
        let watched = Watched { token, lease: policy::lease(terms.lease) };
        let outcome = match self.wait((terms.function, key), Some(watched), &follower, patience.until).await {
            Ok(outcome) => outcome,
            Err(Unended::TooLong) => {
                patience.leave(follower.flight());
                return WaitOutcome::Enough;
            }
            Err(Unended::Cycle) => return WaitOutcome::Settled(Settlement::Alone),
        };
        match outcome {
            Outcome::Value(bytes) => WaitOutcome::Settled(Settlement::Value(bytes)),
            Outcome::Stored => WaitOutcome::Changed,
            Outcome::Error(shared) if accepts.this(&shared) => WaitOutcome::Settled(Settlement::Error(shared)),
            Outcome::Error(_) | Outcome::Failed => {
                patience.fail();
                WaitOutcome::Failed
            }
            Outcome::Panicked => {
                patience.fail();
                if follower.may_take_over() { WaitOutcome::Panicked } else { WaitOutcome::Failed }
            }
            Outcome::Unshared => {
                patience.fail();
                WaitOutcome::Unshared
            }
            Outcome::Abandoned => {
                patience.forgive(token);
                if follower.may_take_over() { WaitOutcome::HandedOver } else { WaitOutcome::Changed }
            }
            Outcome::Read { number, found } => {
                if self.is_excused(terms.function, token, &found) {
                    patience.forgive(token);
                }
                if follower.precedes(number) { WaitOutcome::Found(found) } else { WaitOutcome::Changed }
            }
            Outcome::Away(error) => WaitOutcome::Away(error),
        }
    }

    /// Waits for a computation of this process, without a look at the slot. Among the calls that no longer wait for the
    /// calls that have leased the slot, or that cannot ask the store, one computes for the others.
    pub(super) async fn follow_local(
        &self,
        (function, key): (&Function, &Key),
        is_away: bool,
        accepts: Accepts,
        patience: &mut Patience,
    ) -> Settlement {
        while !patience.is_alone() {
            let follower = match self.cache.flights().follow_any_or_lead(key, patience.any(is_away)) {
                Role::Follower(follower) => follower,
                Role::Leader(leader) => return Settlement::Lead(leader),
            };
            match self.wait((function, key), None, &follower, patience.anew(self.timer.now())).await {
                Ok(Outcome::Value(bytes)) => return Settlement::Value(bytes),
                Ok(Outcome::Error(shared)) if accepts.this(&shared) => return Settlement::Error(shared),
                Ok(Outcome::Abandoned) => {}
                Ok(_) => patience.fail(),
                Err(Unended::TooLong) => patience.give_up(follower.flight()),
                Err(Unended::Cycle) => break,
            }
        }
        Settlement::Alone
    }

    /// Waits for the outcome of the flight.
    pub(super) async fn wait(
        &self,
        (function, key): (&Function, &Key),
        watched: Option<Watched>,
        follower: &Follower,
        until: Instant,
    ) -> Result<Outcome, Unended> {
        // The ids of a call for many end together. To look for circles costs as much as there are such ids.
        if let Some(outcome) = follower.outcome() {
            return Ok(outcome);
        }
        let _edge = Edge::waiting(follower.flight()).map_err(|_| Unended::Cycle)?;
        let _timer = WaitTimer::start(self.cache.counters(function));
        loop {
            match self.timer.wait(follower, follower.check_by(self.timer.now(), until)).await {
                Event::Ended(outcome) => return Ok(outcome),
                Event::TimeUp if self.timer.now() >= until => return Err(Unended::TooLong),
                Event::TimeUp => {}
                Event::Ask(asking) => {
                    let Some(watched) = watched else { return Err(Unended::TooLong) };
                    self.ask(key, watched, asking, until).await.ok_or(Unended::TooLong)?;
                }
            }
        }
    }

    /// Asks the store until another process has ended its computation; `None` if that takes too
    /// long.
    async fn ask(&self, key: &Key, watched: Watched, asking: Asking, until: Instant) -> Option<()> {
        let (begun, mut pause) = (self.timer.now(), FIRST);
        let mut bound_after = Some(BOUND_AFTER.min(until.saturating_duration_since(begun) / 2));
        loop {
            let now = self.timer.now();
            let left = until.saturating_duration_since(now);
            if left.is_zero() {
                return None;
            }
            self.timer.pause(pause.min(left)).await;
            let passed = now.saturating_duration_since(begun);
            pause = (pause * 2).min(PAUSE).max(self.cache.flights().pause_between_questions());
            asking.asks(self.cache.timeout());
            let outcome = match self.store.peek(key, self.cache.deadline()).await {
                Ok(head) if self.is_held(key, head.as_deref(), watched.token) => {
                    // Its holder cannot store a value, or give the lease back, either.
                    if let Some(error) = self.store.refuses_writes(key) {
                        asking.ended(Outcome::Away(error));
                        return Some(());
                    }
                    if bound_after.take_if(|after| passed >= *after).is_some() {
                        self.bound([(key, head)], watched.lease).await;
                    }
                    continue;
                }
                Ok(_) => {
                    let number = asking.number();
                    match self.store.read(key, ReadMode::Shared, self.cache.deadline()).await {
                        Ok(found) => Outcome::Read { number, found },
                        Err(error) => Outcome::Away(error),
                    }
                }
                Err(error) => Outcome::Away(error),
            };
            asking.ended(outcome);
            return Some(());
        }
    }

    /// Gives an end to those leases among the contents of these slots that have none.
    pub(super) async fn bound<'k>(&self, found: impl IntoIterator<Item = (&'k Key, Option<Bytes>)>, length: Duration) {
        let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let leases = found.into_iter().filter_map(|(key, bytes)| match envelope::head(&bytes?) {
            Head::Lease(token, seal) => Some((key.clone(), Lease::new(token, seal, millis))),
            Head::Value(_) | Head::Other => None,
        });
        let leases: Vec<_> = leases.collect();
        if !leases.is_empty() {
            self.store.bound_many(&leases, self.cache.deadline()).await;
        }
    }

    /// Returns true if the lease of another process has ended in a way that does not count: its leader failed or was
    /// given up, as far as a call can tell. A leader whose value is not stored leaves the same traces, so it counts if
    /// the function has such values.
    pub(super) fn is_excused(&self, function: &Function, token: Token, found: &Read) -> bool {
        // A lease of this process had not been given back yet when the call saw it.
        if self.cache.flights().was_abandoned(token) {
            return true;
        }
        let is_there = match found.bytes.as_deref().map(envelope::head) {
            Some(Head::Lease(held, _)) => held == token,
            Some(Head::Value(mark)) => mark.token == Some(token),
            Some(Head::Other) | None => false,
        };
        !is_there && !function.leaves_unstored()
    }

    fn is_held(&self, key: &Key, head: Option<&[u8]>, token: Token) -> bool {
        match head.map(envelope::head) {
            Some(Head::Lease(held, _)) => held == token,
            Some(Head::Value(mark)) => mark.token == Some(token) && mark.until > self.store.now(key),
            Some(Head::Other) | None => false,
        }
    }
}
