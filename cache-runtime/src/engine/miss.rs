//! A call that found nothing usable: it takes the slot, waits for whoever has it, or runs its body
//! without storing what it returns.
//!
//! Which of these it is takes most of the code, and is found out without the type of values: that
//! code is compiled once, and not for each function.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;

use super::follow::Followed;
use super::lease::Leased;
use super::timer::Timer;
use super::{Clock, Engine, Fallback, Look, Missing, Seen, Sight, decode, tell};
use crate::api::cache::count;
use crate::engine::flight::{Leader, Patience};
use crate::engine::sharing::{Accepts, Errors, Shared};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::plan::function::{Function, Plan, SingleFlight, Terms};
use crate::plan::policy;
use crate::store::{Acquired, Marked, Over, Read, Store};
use crate::stored::envelope::{self, Lease, Seal, Token};

/// What came of a call's first look at the slot.
pub(super) enum First {
    /// No hit; the seal is that of the tags then.
    Missing(Missing, Option<Seal>),
    /// It did not look: it asks for the lease at once.
    Skipped,
    Failed(Error),
}

/// What a call does next.
enum Turn<'a, S: Store> {
    /// It takes a value out of the store, after all. One that cannot be decoded is to be displaced.
    Found(Seen),
    /// It takes the old value, because a refresh failed a moment ago. The same.
    Paused(Fallback),
    /// It takes the old value, because the refresh that it waited for failed.
    Failed(Fallback),
    /// It takes what another call computed.
    Shared(Bytes),
    /// It takes another call's error.
    Error(Arc<Mutex<Shared>>),
    /// It computes.
    Compute(Runs<'a, S>),
}

impl<S: Store> Turn<'_, S> {
    /// What comes of waiting that is over.
    fn of(followed: Followed) -> Self {
        match followed {
            Followed::Value(bytes) => Turn::Shared(bytes),
            Followed::Error(shared) => Turn::Error(shared),
            Followed::LeadHere(leader) => Turn::Compute(Runs::Process(leader)),
            _ => Turn::Compute(Runs::Itself),
        }
    }
}

/// How a search goes on.
enum Next<'a, S: Store> {
    Turn(Turn<'a, S>),
    /// The call waits for what is computed under this token.
    Wait(Token),
    /// The slot holds this.
    Found(Read),
    /// The slot is to be looked at.
    Look,
    /// The slot held this a moment ago.
    Missing(Missing),
}

/// For whom a body runs.
pub(super) enum Runs<'a, S: Store> {
    All(Leased<'a, S>),
    /// Those of this process.
    Process(Leader),
    Itself,
}

/// What came of a call's search.
#[allow(clippy::large_enum_variant, reason = "it is moved once, and a box would cost each miss an allocation")]
pub(super) enum Searched<'a, S: Store, V, E> {
    Ended(Result<V, E>),
    /// The body runs; with an old value for the case that it fails.
    Compute(Runs<'a, S>, Option<Fallback>),
}

/// How far a call has come.
struct Search {
    /// What its last look at the slot found.
    missing: Missing,
    /// Of the tags then.
    seal: Option<Seal>,
    by: Instant,
    patience: Patience,
    /// What it waited for last, if that was a lease.
    awaited: Option<Token>,
    /// An old value for the case that the body fails.
    fallback: Option<Fallback>,
    /// It has not looked yet.
    is_skipped: bool,
    /// Others may have leased the slot since it looked.
    may_be_late: bool,
    /// The last look is not over.
    is_looking: bool,
    /// The store cannot be asked.
    is_away: bool,
    /// The function knows what the call found: its first look counts.
    is_told: bool,
}

impl Search {
    fn tell(&mut self, function: &Function, found: impl FnOnce(&Function)) {
        if !std::mem::replace(&mut self.is_told, true) {
            found(function);
        }
    }

    /// The lease of a call that is gone, to be displaced in case that it is still in the slot.
    fn left_behind(&self) -> Missing {
        let seal = self.seal.unwrap_or_default();
        self.awaited.map_or(Missing::Empty, |token| {
            Missing::Unusable(Bytes::copy_from_slice(Lease::new(token, seal, 0).bytes()))
        })
    }

    /// What it waited for is the value or the error of another function with this key, whose types are others.
    fn go_on(&mut self) {
        match self.awaited {
            Some(_) => self.missing = self.left_behind(),
            None => self.patience.fail(),
        }
    }

    fn looks(&mut self) -> bool {
        std::mem::take(&mut self.is_looking) || self.patience.take_look()
    }
}

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Finds out what the call returns without its body, or for whom its body runs.
    pub(super) async fn search<'a, V, E>(
        &'a self,
        plan: &Plan<V>,
        key: &'a Key,
        first: First,
        by: Instant,
        errors: Errors<E>,
    ) -> Searched<'a, S, V, E> {
        let (terms, counters) = (plan.terms(), self.cache.counters());
        let is_skipped = matches!(first, First::Skipped);
        let (missing, seal, mut error) = match first {
            First::Missing(missing, seal) => (missing, seal, None),
            First::Skipped => (Missing::Empty, Some(Seal::default()), None),
            First::Failed(error) => (Missing::Empty, None, Some(error)),
        };
        let mut search = Search {
            missing,
            seal,
            by,
            // The call asked for its deadline first of all.
            patience: Patience::new(by.checked_sub(self.cache.timeout()).unwrap_or(by), policy::wait(&terms)),
            awaited: None,
            fallback: None,
            is_skipped,
            may_be_late: !is_skipped,
            // What asks for the lease looks.
            is_looking: is_skipped,
            is_away: false,
            is_told: false,
        };
        let served = |counter, value| {
            count(counter);
            Searched::Ended(Ok(value))
        };
        let runs = loop {
            // No await is in this `match`: neither value nor error need be `Send`.
            match self.next(&terms, key, &mut search, error.take(), errors.accepts()).await {
                Turn::Found(seen) => match seen.decoded(plan, key, decode) {
                    Look::Old(old, value) if old.is_stale => return served(&counters.stale, value),
                    Look::Fresh(_, value) | Look::Old(_, value) => return served(&counters.hits, value),
                    Look::Missing(missing) => search.missing = missing,
                },
                Turn::Paused(old) => match old.value(plan) {
                    Some(value) => return served(&counters.stale, value),
                    None => {
                        search.missing = Missing::Unusable(old.bytes);
                        search.is_looking = true;
                    }
                },
                Turn::Failed(old) => match old.value(plan) {
                    Some(value) => return served(&counters.stale, value),
                    None => search.missing = Missing::Unusable(old.bytes),
                },
                Turn::Shared(bytes) => match self.shared(plan, key, &bytes) {
                    Some(value) => return served(&counters.shared, value),
                    None => search.go_on(),
                },
                Turn::Error(shared) => match errors.take(&shared) {
                    Some(error) => {
                        count(&counters.shared);
                        return Searched::Ended(self.or_stale(plan, search.fallback, error));
                    }
                    None => search.go_on(),
                },
                Turn::Compute(runs) => break runs,
            }
        };
        count(if search.is_away { &counters.bypasses } else { &counters.misses });
        Searched::Compute(runs, search.fallback)
    }

    /// The old value instead of an error.
    pub(super) fn or_stale<V, E>(&self, plan: &Plan<V>, fallback: Option<Fallback>, error: E) -> Result<V, E> {
        let value = fallback.and_then(|old| old.value(plan)).ok_or(error)?;
        count(&self.cache.counters().stale);
        Ok(value)
    }

    /// `error`: why the call's own read failed.
    async fn next<'a>(
        &'a self,
        terms: &Terms,
        key: &'a Key,
        search: &mut Search,
        error: Option<Error>,
        accepts: Accepts,
    ) -> Turn<'a, S> {
        let error = match error {
            Some(error) => error,
            None => match self.turn(terms, key, search, accepts).await {
                Ok(turn) => return turn,
                Err(error) => error,
            },
        };
        search.is_away = true;
        tell(terms.function, key, &error);
        self.turn_here(terms, key, error.kind() == ErrorKind::CircuitOpen, search, accepts).await
    }

    /// Finds out what the call does. An error is the store's.
    async fn turn<'a>(
        &'a self,
        terms: &Terms,
        key: &'a Key,
        search: &mut Search,
        accepts: Accepts,
    ) -> Result<Turn<'a, S>, Error> {
        while search.looks() {
            // Those that end without a look at the slot go round here.
            let found = loop {
                let next = match self.look_or_lease(terms, key, search).await? {
                    Next::Wait(token) => self.wait_for(terms, key, token, search, accepts).await?,
                    next => next,
                };
                match next {
                    Next::Turn(turn) => return Ok(turn),
                    Next::Found(found) => break found,
                    Next::Look => break self.store.read(key, search.by).await?,
                    Next::Missing(missing) => search.missing = missing,
                    Next::Wait(token) => search.missing = Missing::Leased(token),
                }
            };
            search.tell(terms.function, Function::found_something);
            search.seal = found.seal;
            match self.sight(terms, key, found, Clock::By(search.by)) {
                Sight::Value(seen) => return Ok(Turn::Found(seen)),
                Sight::Missing(missing) => search.missing = missing,
            }
        }
        Ok(self.turn_here(terms, key, false, search, accepts).await)
    }

    /// Goes on from what the last look at the slot found.
    async fn look_or_lease<'a>(
        &'a self,
        terms: &Terms,
        key: &'a Key,
        search: &mut Search,
    ) -> Result<Next<'a, S>, Error> {
        match std::mem::replace(&mut search.missing, Missing::Empty) {
            // Somebody in this process came first: its lease is in the slot by now.
            Missing::Empty if std::mem::take(&mut search.may_be_late) && self.is_concerned(key) => Ok(Next::Look),
            Missing::Empty => self.lease(terms, key, Over::Nothing, search).await,
            Missing::Unusable(seen) => self.lease(terms, key, Over::Seen(seen), search).await,
            Missing::Leased(token) => {
                search.tell(terms.function, Function::found_something);
                Ok(Next::Wait(token))
            }
            Missing::Fallback(old) if old.refresh.is_pausing => Ok(Next::Turn(Turn::Paused(old))),
            Missing::Fallback(old) => {
                if let Some(token) = old.refresh.by {
                    search.fallback = Some(old);
                    return Ok(Next::Wait(token));
                }
                let claim = self.claim(terms.lease, key, old.value.seal);
                match claim.mark(old.refresh.id, false, search.by).await {
                    Ok((Marked::Taken, leased)) => {
                        search.fallback = Some(old);
                        Ok(Next::Turn(Turn::Compute(Runs::All(leased))))
                    }
                    Ok((Marked::Until(_) | Marked::Changed, _)) => Ok(Next::Look),
                    // Without the right to mark it, its slot is taken.
                    Err(error) if error.is_of_one_call() => {
                        let seen = old.bytes.clone();
                        search.fallback = Some(old);
                        Ok(Next::Missing(Missing::Unusable(seen)))
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Takes the slot, unless it changed.
    async fn lease<'a>(
        &'a self,
        terms: &Terms,
        key: &'a Key,
        over: Over,
        search: &mut Search,
    ) -> Result<Next<'a, S>, Error> {
        // Acknowledged before the body begins, as the lease is.
        let stamped = match search.seal {
            Some(seal) => seal,
            None => self.stamp(key, search.by).await?,
        };
        search.seal = Some(stamped);
        let is_first = std::mem::take(&mut search.is_skipped);
        let taken = match self.claim(terms.lease, key, stamped).take(&over, search.by).await {
            // There may be a value nevertheless.
            Err(error) if is_first && refuses_writes(&error) => return Ok(Next::Look),
            taken => taken?,
        };
        Ok(match taken {
            (Acquired::Taken, leased) => {
                if matches!(over, Over::Nothing) {
                    search.tell(terms.function, Function::found_nothing);
                }
                Next::Turn(Turn::Compute(Runs::All(leased)))
            }
            // Where it is of other stamps than these, they may be out of date.
            (Acquired::Held(bytes), _) if envelope::is_sealed(&bytes, stamped) => {
                Next::Found(Read { bytes: Some(bytes), seal: search.seal, own_seal: Some(Seal::default()) })
            }
            (Acquired::Held(_) | Acquired::Changed, _) => Next::Look,
        })
    }

    /// Waits for the call that computes under this token.
    async fn wait_for<'a>(
        &'a self,
        terms: &Terms,
        key: &Key,
        token: Token,
        search: &mut Search,
        accepts: Accepts,
    ) -> Result<Next<'a, S>, Error> {
        search.awaited = Some(token);
        let followed = self.follow(terms.single_flight, key, token, accepts, &mut search.patience).await;
        // It may have waited for long.
        search.by = self.cache.deadline();
        Ok(match followed {
            Followed::Failed | Followed::Panicked if search.fallback.is_some() => {
                search.fallback.take().map_or(Next::Look, |old| Next::Turn(Turn::Failed(old)))
            }
            // One of those that waited runs its body, and the others wait for that.
            Followed::Failed | Followed::Unshared => Next::Missing(Missing::Empty),
            Followed::Panicked | Followed::HandedOver => Next::Missing(search.left_behind()),
            Followed::Enough => Next::Turn(self.turn_here(terms, key, false, search, accepts).await),
            Followed::Found(found) => Next::Found(found),
            Followed::Again => Next::Look,
            Followed::Away(error) => return Err(error),
            followed => Next::Turn(Turn::of(followed)),
        })
    }

    /// Whether another call of this process is at it, and a look at its lease costs less than to ask for another one.
    fn is_concerned(&self, key: &Key) -> bool {
        self.store.shares_reads(key) && self.cache.flights().concern(key)
    }

    /// What the call does where the store cannot be asked, or it has waited enough for those that have leased
    /// the slot.
    async fn turn_here<'a>(
        &'a self,
        terms: &Terms,
        key: &Key,
        is_away: bool,
        search: &mut Search,
        accepts: Accepts,
    ) -> Turn<'a, S> {
        if terms.single_flight == SingleFlight::Off {
            return Turn::Compute(Runs::Itself);
        }
        search.awaited = None;
        let followed = self.follow_here(key, is_away, accepts, &mut search.patience).await;
        search.by = self.cache.deadline();
        Turn::of(followed)
    }

    /// The value that another call computed for its followers.
    fn shared<V>(&self, plan: &Plan<V>, key: &Key, bytes: &Bytes) -> Option<V> {
        match envelope::parse(key, plan.function.identities(), bytes) {
            envelope::Slot::Value(value) => decode(plan, &value, bytes).ok().flatten(),
            // Another function with this key, whose values are others.
            _ => None,
        }
    }
}

impl Fallback {
    fn value<V>(&self, plan: &Plan<V>) -> Option<V> {
        decode(plan, &self.value, &self.bytes).ok().flatten()
    }
}

/// Whether reads may be answered all the same.
fn refuses_writes(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::OutOfMemory | ErrorKind::ReadOnly | ErrorKind::Auth | ErrorKind::Protocol)
}
