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
use super::work::Work;
use super::{Clock, Engine, Fallback, Look, Missing, Seen, Sight, decode, length, tell};
use crate::cache::count;
use crate::envelope::{self, Seal};
use crate::error::{Error, ErrorKind};
use crate::flight::{Leader, Patience};
use crate::function::{Function, Plan, SingleFlight, Terms};
use crate::key::Key;
use crate::sharing::{Accepts, Errors, Shared};
use crate::store::{Acquired, Marked, Over, Read, Store};

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

/// For whom a body runs.
enum Runs<'a, S: Store> {
    All(Leased<'a, S>),
    /// Those of this process.
    Process(Leader),
    Itself,
}

/// How far a call has come.
struct Search {
    /// What its last look at the slot found.
    missing: Missing,
    /// Of the tags then.
    seal: Option<Seal>,
    by: Instant,
    /// When the call began.
    began: Instant,
    patience: Patience,
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

    fn looks(&mut self) -> bool {
        std::mem::take(&mut self.is_looking) || self.patience.take_look()
    }
}

impl<S: Store, T: Timer> Engine<'_, S, T> {
    pub(super) async fn miss<V, E, W: Work<V, E>>(
        &self,
        plan: &Plan<V>,
        key: Key,
        first: First,
        by: Instant,
        errors: Errors<E>,
        work: W,
    ) -> Result<V, E> {
        let key = &key;
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
            began: by.checked_sub(self.cache.timeout()).unwrap_or(by),
            patience: Patience::new(length(terms.lease)),
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
            Ok(value)
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
                    None => break Runs::Itself,
                },
                Turn::Shared(bytes) => match self.shared(plan, key, &bytes) {
                    Some(value) => return served(&counters.shared, value),
                    None => break Runs::Itself,
                },
                Turn::Error(shared) => match errors.take(&shared) {
                    Some(error) => {
                        count(&counters.shared);
                        return self.or_stale(plan, search.fallback, error);
                    }
                    None => break Runs::Itself,
                },
                Turn::Compute(runs) => break runs,
            }
        };
        count(if search.is_away { &counters.bypasses } else { &counters.misses });
        let computed = match runs {
            Runs::All(leased) => self.lead(plan, leased, errors, work).await,
            Runs::Process(leader) => self.lead_here(plan, key, leader, errors, work).await,
            Runs::Itself => work.run().await,
        };
        computed.or_else(|error| self.or_stale(plan, search.fallback, error))
    }

    /// The old value instead of an error.
    fn or_stale<V, E>(&self, plan: &Plan<V>, fallback: Option<Fallback>, error: E) -> Result<V, E> {
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
        self.turn_away(terms, key, &error, search.began, accepts, &mut search.patience).await
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
                let token = match std::mem::replace(&mut search.missing, Missing::Empty) {
                    // Somebody in this process came first: its lease is in the slot by now.
                    Missing::Empty if std::mem::take(&mut search.may_be_late) && self.is_concerned(key) => {
                        break self.store.read(key, search.by).await?;
                    }
                    missing @ (Missing::Empty | Missing::Unusable(_)) => {
                        // Acknowledged before the body begins, as the lease is.
                        let stamped = match search.seal {
                            Some(seal) => seal,
                            None => self.stamp(key, search.by).await?,
                        };
                        search.seal = Some(stamped);
                        let claim = self.claim(terms.lease, key, stamped);
                        let over = match missing {
                            Missing::Unusable(seen) => Over::Seen(seen),
                            _ => Over::Nothing,
                        };
                        let is_first = std::mem::take(&mut search.is_skipped);
                        let taken = match claim.take(&over, search.by).await {
                            // There may be a value nevertheless.
                            Err(error) if is_first && refuses_writes(&error) => {
                                break self.store.read(key, search.by).await?;
                            }
                            taken => taken?,
                        };
                        match taken {
                            (Acquired::Taken, leased) => {
                                if matches!(over, Over::Nothing) {
                                    search.tell(terms.function, Function::found_nothing);
                                }
                                return Ok(Turn::Compute(Runs::All(leased)));
                            }
                            // Where it is of other stamps than these, they may be out of date.
                            (Acquired::Held(bytes), _) if envelope::is_sealed(&bytes, stamped) => {
                                break Read { bytes: Some(bytes), seal: search.seal, own_seal: Some(Seal::default()) };
                            }
                            (Acquired::Held(_) | Acquired::Changed, _) => {
                                break self.store.read(key, search.by).await?;
                            }
                        }
                    }
                    Missing::Leased(token) => {
                        search.tell(terms.function, Function::found_something);
                        token
                    }
                    Missing::Fallback(old) if old.refresh.is_pausing => return Ok(Turn::Paused(old)),
                    Missing::Fallback(old) => match old.refresh.by {
                        Some(token) => {
                            search.fallback = Some(old);
                            token
                        }
                        None => {
                            let claim = self.claim(terms.lease, key, old.value.seal);
                            match claim.mark(old.refresh.id, false, search.by).await {
                                Ok((Marked::Taken, leased)) => {
                                    search.fallback = Some(old);
                                    return Ok(Turn::Compute(Runs::All(leased)));
                                }
                                Ok((Marked::Until(_) | Marked::Changed, _)) => {
                                    break self.store.read(key, search.by).await?;
                                }
                                // Without the right to mark it, its slot is taken.
                                Err(error) if error.is_of_one_call() => {
                                    search.missing = Missing::Unusable(old.bytes.clone());
                                    search.fallback = Some(old);
                                    continue;
                                }
                                Err(error) => return Err(error),
                            }
                        }
                    },
                };
                let seen = (token, search.seal.unwrap_or_default());
                let followed = self.follow(terms.single_flight, key, seen, accepts, &mut search.patience).await;
                // It may have waited for long.
                search.by = self.cache.deadline();
                match followed {
                    Followed::Value(bytes) => return Ok(Turn::Shared(bytes)),
                    Followed::Error(shared) => return Ok(Turn::Error(shared)),
                    // Without an old value, whoever is first stores what it returns; nobody waits.
                    Followed::Failed => match search.fallback.take() {
                        Some(old) => return Ok(Turn::Failed(old)),
                        None => search.missing = Missing::Empty,
                    },
                    Followed::Unshared => search.missing = Missing::Empty,
                    Followed::HandedOver(seen) => search.missing = Missing::Unusable(seen),
                    Followed::Found(found) => break found,
                    Followed::Again => break self.store.read(key, search.by).await?,
                    Followed::LeadHere(leader) => return Ok(Turn::Compute(Runs::Process(leader))),
                    Followed::Alone => return Ok(Turn::Compute(Runs::Itself)),
                    Followed::Away(error) => return Err(error),
                }
            };
            search.tell(terms.function, Function::found_something);
            search.seal = found.seal;
            match self.sight(terms, key, found, Clock::By(search.by)) {
                Sight::Value(seen) => return Ok(Turn::Found(seen)),
                Sight::Missing(missing) => search.missing = missing,
            }
        }
        Ok(Turn::Compute(Runs::Itself))
    }

    /// Whether another call of this process is at it, and a look at its lease costs less than to ask for another one.
    fn is_concerned(&self, key: &Key) -> bool {
        self.store.shares_reads(key) && self.cache.flights().concern(key)
    }

    /// What the call does where the store cannot be asked.
    async fn turn_away<'a>(
        &'a self,
        terms: &Terms,
        key: &Key,
        error: &Error,
        began: Instant,
        accepts: Accepts,
        patience: &mut Patience,
    ) -> Turn<'a, S> {
        tell(terms.function, key, error);
        if terms.single_flight == SingleFlight::Off {
            return Turn::Compute(Runs::Itself);
        }
        let is_away = error.kind() == ErrorKind::CircuitOpen;
        match self.follow_any(key, began, is_away, accepts, patience).await {
            Followed::LeadHere(leader) => Turn::Compute(Runs::Process(leader)),
            Followed::Value(bytes) => Turn::Shared(bytes),
            Followed::Error(shared) => Turn::Error(shared),
            _ => Turn::Compute(Runs::Itself),
        }
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
