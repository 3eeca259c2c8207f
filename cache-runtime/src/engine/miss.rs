//! A call that found nothing usable: it takes the slot, waits for whoever has it, or runs its body
//! without storing what it returns.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;

use super::follow::Followed;
use super::lease::Leased;
use super::timer::Timer;
use super::work::Work;
use super::{Engine, Fallback, Look, Missing, decode, lease, tell};
use crate::cache::count;
use crate::envelope::{self, Seal};
use crate::error::{Error, ErrorKind};
use crate::flight::{Leader, Patience};
use crate::function::{Plan, SingleFlight};
use crate::key::Key;
use crate::sharing::{Errors, Shared};
use crate::store::{Acquired, Marked, Over, Read, Store};

/// What a call does in the end.
enum Turn<'a, S: Store, V> {
    /// It takes a value out of the store, after all.
    Hit(V),
    /// It takes what another call computed.
    Shared(V),
    /// It takes another call's error.
    Failed(Arc<Mutex<Shared>>),
    /// It takes the old value, because a refresh failed a moment ago.
    Stale(V),
    /// It computes for all.
    Lead(Leased<'a, S>),
    /// It computes for this process.
    LeadHere(Leader),
    /// It computes for itself.
    Alone,
    /// As `LeadHere`, because the store is away.
    LeadAway(Leader),
    /// As `Alone`, because the store refuses.
    Bypass,
}

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// `found` is what the call's own read found, or why it failed.
    pub(super) async fn miss<V, E, W: Work<V, E>>(
        &self,
        plan: &Plan<V>,
        key: &Key,
        found: Result<(Missing, Option<Seal>), Error>,
        by: Instant,
        errors: Errors<E>,
        work: W,
    ) -> Result<V, E> {
        let mut fallback = None;
        let mut patience = Patience::new(lease(plan));
        // The call asked for its deadline first of all.
        let began = by.checked_sub(self.cache.timeout()).unwrap_or(by);
        let turn = match found {
            Ok(found) => self.turn(plan, key, found, by, errors, &mut patience, &mut fallback).await,
            Err(error) => Err(error),
        };
        let turn = match turn {
            Ok(turn) => turn,
            Err(error) => self.turn_away(plan, key, &error, began, errors, &mut patience).await,
        };
        self.take_turn(plan, key, turn, fallback, errors, work).await
    }

    async fn take_turn<V, E, W: Work<V, E>>(
        &self,
        plan: &Plan<V>,
        key: &Key,
        turn: Turn<'_, S, V>,
        fallback: Option<Fallback>,
        errors: Errors<E>,
        work: W,
    ) -> Result<V, E> {
        let counters = self.cache.counters();
        let turn = match turn {
            // By itself, because no await is in this `match`: the error need not be `Send`.
            Turn::Failed(shared) => match errors.take(&shared) {
                Some(error) => {
                    count(&counters.shared);
                    return self.or_stale(plan, fallback, error);
                }
                None => Turn::Alone,
            },
            turn => turn,
        };
        let computed = match turn {
            Turn::Hit(value) => {
                count(&counters.hits);
                return Ok(value);
            }
            Turn::Shared(value) => {
                count(&counters.shared);
                return Ok(value);
            }
            Turn::Stale(value) => {
                count(&counters.stale);
                return Ok(value);
            }
            Turn::Lead(leased) => {
                count(&counters.misses);
                self.lead(plan, leased, errors, work).await
            }
            Turn::LeadHere(leader) => {
                count(&counters.misses);
                self.lead_here(plan, key, leader, errors, work).await
            }
            Turn::Alone | Turn::Failed(_) => {
                count(&counters.misses);
                work.run().await
            }
            Turn::LeadAway(leader) => {
                count(&counters.bypasses);
                self.lead_here(plan, key, leader, errors, work).await
            }
            Turn::Bypass => {
                count(&counters.bypasses);
                work.run().await
            }
        };
        computed.or_else(|error| self.or_stale(plan, fallback, error))
    }

    /// The old value instead of an error.
    fn or_stale<V, E>(&self, plan: &Plan<V>, fallback: Option<Fallback>, error: E) -> Result<V, E> {
        let value = fallback.and_then(|old| old.value(plan)).ok_or(error)?;
        count(&self.cache.counters().stale);
        Ok(value)
    }

    /// Finds out what the call does. An error is the store's.
    #[expect(clippy::too_many_arguments, reason = "one call's state, in one place")]
    async fn turn<'a, V, E>(
        &'a self,
        plan: &Plan<V>,
        key: &'a Key,
        (mut missing, mut seal): (Missing, Option<Seal>),
        mut by: Instant,
        errors: Errors<E>,
        patience: &mut Patience,
        fallback: &mut Option<Fallback>,
    ) -> Result<Turn<'a, S, V>, Error> {
        while patience.take_look() {
            // Those that end without a look at the slot go round here.
            let found = loop {
                let token = match missing {
                    Missing::Empty | Missing::Unusable(_) => {
                        // Acknowledged before the body begins, as the lease is.
                        let stamped = match seal {
                            Some(seal) => seal,
                            None => self.stamp(key, by).await?,
                        };
                        seal = Some(stamped);
                        let claim = self.claim(plan, key, stamped);
                        let over = match missing {
                            Missing::Unusable(seen) => Over::Seen(seen),
                            _ => Over::Nothing,
                        };
                        match claim.take(&over, by).await? {
                            (Acquired::Taken, leased) => return Ok(Turn::Lead(leased)),
                            // Where it is of other stamps than these, they may be out of date.
                            (Acquired::Held(bytes), _) if envelope::is_sealed(&bytes, stamped) => {
                                break Read { bytes: Some(bytes), seal, own_seal: Some(Seal::default()) };
                            }
                            (Acquired::Held(_) | Acquired::Changed, _) => break self.store.read(key, by).await?,
                        }
                    }
                    Missing::Leased(token) => token,
                    Missing::Fallback(old) if old.refresh.is_pausing => match old.value(plan) {
                        Some(value) => return Ok(Turn::Stale(value)),
                        None => {
                            missing = Missing::Unusable(old.bytes);
                            continue;
                        }
                    },
                    Missing::Fallback(old) => match old.refresh.by {
                        Some(token) => {
                            *fallback = Some(old);
                            token
                        }
                        None => match self.claim(plan, key, old.value.seal).mark(old.refresh.id, false, by).await? {
                            (Marked::Taken, leased) => {
                                *fallback = Some(old);
                                return Ok(Turn::Lead(leased));
                            }
                            (Marked::Until(_) | Marked::Changed, _) => break self.store.read(key, by).await?,
                        },
                    },
                };
                let followed = self.follow(plan, key, (token, seal.unwrap_or_default()), errors, patience).await;
                // It may have waited for long.
                by = self.cache.deadline();
                match followed {
                    Followed::Value(bytes) => {
                        return Ok(self.shared(plan, key, &bytes).map_or(Turn::Alone, Turn::Shared));
                    }
                    Followed::Error(shared) => return Ok(Turn::Failed(shared)),
                    Followed::Failed if fallback.is_some() => {
                        let old = fallback.take().and_then(|old| old.value(plan));
                        return Ok(old.map_or(Turn::Alone, Turn::Stale));
                    }
                    // Whoever is first stores what it returns; nobody waits.
                    Followed::Failed | Followed::Unshared => missing = Missing::Empty,
                    Followed::HandedOver(seen) => missing = Missing::Unusable(seen),
                    Followed::Found(found) => break found,
                    Followed::Again => break self.store.read(key, by).await?,
                    Followed::LeadHere(leader) => return Ok(Turn::LeadHere(leader)),
                    Followed::Alone => return Ok(Turn::Alone),
                    Followed::Away(error) => return Err(error),
                }
            };
            seal = found.seal;
            missing = match self.look(plan, key, found, by) {
                Look::Old(old, value) if old.is_stale => return Ok(Turn::Stale(value)),
                Look::Fresh(_, value) | Look::Old(_, value) => return Ok(Turn::Hit(value)),
                Look::Missing(missing) => missing,
            };
        }
        Ok(Turn::Alone)
    }

    /// What the call does where the store cannot be asked.
    async fn turn_away<'a, V, E>(
        &'a self,
        plan: &Plan<V>,
        key: &Key,
        error: &Error,
        began: Instant,
        errors: Errors<E>,
        patience: &mut Patience,
    ) -> Turn<'a, S, V> {
        tell(plan.function, key, error);
        if plan.single_flight == SingleFlight::Off {
            return Turn::Bypass;
        }
        let is_away = error.kind() == ErrorKind::CircuitOpen;
        match self.follow_any(key, began, is_away, errors, patience).await {
            Followed::LeadHere(leader) => Turn::LeadAway(leader),
            Followed::Value(bytes) => self.shared(plan, key, &bytes).map_or(Turn::Bypass, Turn::Shared),
            Followed::Error(shared) => Turn::Failed(shared),
            _ => Turn::Bypass,
        }
    }

    /// The value that another call computed for its followers.
    fn shared<V>(&self, plan: &Plan<V>, key: &Key, bytes: &Bytes) -> Option<V> {
        match envelope::parse(key, plan.function.identity(), bytes) {
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
