//! A call that found nothing usable. It takes the slot, waits for the call that has it, or runs its body without
//! storing the result.
//!
//! [`step`] is the state machine that decides between these, over the bytes of slots alone: that code is compiled once
//! for all functions. It ends in a [`Resolution`]. If the call cannot use that, because a value cannot be decoded, the
//! machine goes on from another state.
//!
//! ```text
//!                        first look skipped        first look failed
//!                               │                         │
//!  first look                   ▼      taken              ▼
//!      │   ┌─ empty, ──────► Take ─────► Compute        Away ───┐
//!      ▼   │  unusable         │                          ▲     │
//!    Miss ─┤                   │ changed, or held         │     ▼
//!      ▲   ├─ leased ──► Wait ─┼──────► Look ─── error ───┘   Local ──► Compute, Shared, Error
//!      │   │               │   │          │                     ▲
//!      │   │   failed,     │   │          │ read                │ waited enough,
//!      ├───┼── handed over─┘   │          ▼                     │ no looks left
//!      │   │                   └─────► Inspect ──► Candidate    │
//!      │   └─ fallback ─► marked: Compute │                     │
//!      └──────────────────────────────────┴─────────────────────┘
//! ```
//!
//! A wait ends in `Shared` or `Error` where the leader's result reaches its followers. An error of the store leads to
//! `Away` from each state.

mod step;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;

use self::step::Step;
use super::Engine;
use super::events::Event;
use super::follow::Settlement;
use super::lease::Leased;
use super::look::{Candidate, Fallback, Look, Miss, decode};
use super::timer::Timer;
use crate::engine::flight::Leader;
use crate::engine::sharing::{Errors, Shared};
use crate::error::Error;
use crate::key::Key;
use crate::plan::function::Plan;
use crate::store::Store;
use crate::stored::envelope::{self, Seal};

/// The result of a call's first look at the slot.
pub(super) enum Start {
    /// There was no hit; the seal is that of the tags then.
    Miss(Miss, Option<Seal>),
    /// The call did not look: it requests the lease at once.
    Skipped,
    Failed(Error),
}

/// How a call that missed goes on.
pub(super) enum Resolution<'a, S: Store> {
    /// A value of the store, after all. A value that cannot be decoded is to be displaced.
    Candidate(Candidate),
    /// The old value, because a refresh failed a moment ago. It is displaced, too, if it cannot be decoded.
    Paused(Fallback),
    /// The old value, because the refresh that the call waited for failed.
    Failed(Fallback),
    /// The value that another call computed.
    Shared(Bytes),
    /// Another call's error.
    Error(Arc<Mutex<Shared>>),
    Compute(Mandate<'a, S>, Cause),
}

impl<S: Store> Resolution<'_, S> {
    fn of(settlement: Settlement, cause: Cause) -> Self {
        match settlement {
            Settlement::Value(bytes) => Resolution::Shared(bytes),
            Settlement::Error(shared) => Resolution::Error(shared),
            Settlement::Lead(leader) => Resolution::Compute(Mandate::Process(leader), cause),
            Settlement::Alone => Resolution::Compute(Mandate::Alone, cause),
        }
    }
}

/// The calls for which a body runs.
pub(super) enum Mandate<'a, S: Store> {
    /// The body runs for all calls: its value may be stored.
    Leased(Leased<'a, S>),
    /// The body runs for the calls of this process.
    Process(Leader),
    /// The body runs for the call itself.
    Alone,
}

/// The reason why a body runs.
#[derive(Clone, Copy)]
pub(super) enum Cause {
    Miss,
    /// The store could not be asked.
    Bypass,
}

impl From<Cause> for Event {
    fn from(cause: Cause) -> Event {
        match cause {
            Cause::Miss => Event::Miss,
            Cause::Bypass => Event::Bypass,
        }
    }
}

/// The result of a miss.
#[allow(clippy::large_enum_variant, reason = "it is moved once, and a box would cost each miss an allocation")]
pub(super) enum MissOutcome<'a, S: Store, V, E> {
    Ended(Result<V, E>),
    /// The body runs; the fallback is an old value in case it fails.
    Compute(Mandate<'a, S>, Option<Fallback>),
}

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Finds out what the call returns without its body, or for which calls its body runs.
    pub(super) async fn miss<'a, V, E>(
        &'a self,
        plan: &Plan<V>,
        key: &'a Key,
        start: Start,
        by: Instant,
        errors: Errors<E>,
    ) -> MissOutcome<'a, S, V, E> {
        let served = |event, value| {
            self.record(plan.function, event);
            MissOutcome::Ended(Ok(value))
        };
        let (mut progress, mut step) = self.start(plan.terms(), key, start, by, errors.accepts());
        loop {
            // No await is in this `match`: neither value nor error need be `Send`.
            step = match self.resolve(&mut progress, step).await {
                Resolution::Candidate(candidate) => match candidate.decoded(plan, key, decode) {
                    Look::Old(old, value) if old.is_stale => return served(Event::StaleHit, value),
                    Look::Fresh(_, value) | Look::Old(_, value) => return served(Event::Hit, value),
                    Look::Miss(miss) => progress.looked(miss),
                },
                Resolution::Paused(old) => match old.decoded(plan) {
                    Some(value) => return served(Event::StaleHit, value),
                    None => Step::Miss(Miss::Unusable(old.bytes)),
                },
                Resolution::Failed(old) => match old.decoded(plan) {
                    Some(value) => return served(Event::StaleHit, value),
                    None => progress.looked(Miss::Unusable(old.bytes)),
                },
                Resolution::Shared(bytes) => match self.shared(plan, key, &bytes) {
                    Some(value) => return served(Event::Shared, value),
                    None => progress.not_ours(),
                },
                Resolution::Error(shared) => match errors.take(&shared) {
                    Some(error) => {
                        self.record(plan.function, Event::Shared);
                        return MissOutcome::Ended(self.or_stale(plan, progress.fallback, error));
                    }
                    None => progress.not_ours(),
                },
                Resolution::Compute(mandate, cause) => {
                    self.record(plan.function, cause.into());
                    return MissOutcome::Compute(mandate, progress.fallback);
                }
            };
        }
    }

    /// Returns the old value instead of an error.
    pub(super) fn or_stale<V, E>(&self, plan: &Plan<V>, fallback: Option<Fallback>, error: E) -> Result<V, E> {
        let value = fallback.and_then(|old| old.decoded(plan)).ok_or(error)?;
        self.record(plan.function, Event::StaleHit);
        Ok(value)
    }

    /// The value that another call computed for its followers.
    fn shared<V>(&self, plan: &Plan<V>, key: &Key, bytes: &Bytes) -> Option<V> {
        match envelope::parse(key, plan.function.identities(), bytes) {
            envelope::Content::Value(value) => decode(plan, &value, bytes).ok().flatten(),
            // The value belongs to another function with this key, which has other values.
            _ => None,
        }
    }
}
