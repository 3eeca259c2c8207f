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

use self::step::{Progress, Step};
use super::Engine;
use super::events;
use super::follow::Settlement;
use super::lease::Leased;
use super::look::{Candidate, Fallback, Look, Miss, Old};
use super::timer::Timer;
use super::typed::{End, Requests};
use crate::engine::flight::Leader;
use crate::engine::sharing::{Accepts, Shared};
use crate::error::Error;
use crate::key::Key;
use crate::observe::{CallResult, Undecided};
use crate::plan::function::Terms;
use crate::poll::outlined::outlined;
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

impl Cause {
    fn log(self, terms: &Terms, key: &Key, progress: &Progress<'_>) {
        match self {
            Cause::Miss => events::missed(terms.function, key, progress.why),
            Cause::Bypass => events::bypassed(terms.function, key, progress.failure.as_ref()),
        }
    }

    fn count(self, progress: &Progress<'_>, undecided: &mut Undecided<'_>) {
        match &progress.fallback {
            // The old value may be served after all.
            Some(_) => undecided.likely(self.into()),
            None => undecided.decide(self.into()),
        }
    }
}

impl From<Cause> for CallResult {
    fn from(cause: Cause) -> CallResult {
        match cause {
            Cause::Miss => CallResult::Miss,
            Cause::Bypass => CallResult::Bypass,
        }
    }
}

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Goes on with a call that found nothing usable in its first look.
    pub(super) async fn miss(
        &self,
        key: &Key,
        start: Start,
        by: Instant,
        accepts: Accepts,
        typed: &Requests<'_>,
    ) -> End {
        let terms = typed.terms();
        let mut undecided = Undecided::new(self.cache.counters(terms.function));
        let (mut progress, mut step) = self.start(terms, key, start, by, accepts);
        loop {
            step = match self.resolve(&mut progress, step).await {
                Resolution::Candidate(candidate) => match self.keep(key, candidate, typed).await {
                    Look::Old(old, ()) if old.is_stale => {
                        undecided.stale_hit(old.value.body_micros);
                        return End::Value;
                    }
                    Look::Fresh(value, ()) | Look::Old(Old { value, .. }, ()) => {
                        undecided.hit(value.body_micros);
                        return End::Value;
                    }
                    Look::Miss(miss) => progress.looked(miss),
                },
                Resolution::Paused(old) => match old.keep(typed).await {
                    true => return stale(undecided, &old),
                    false => Step::Miss(Miss::Unusable(old.bytes)),
                },
                Resolution::Failed(old) => match old.keep(typed).await {
                    true => return stale(undecided, &old),
                    false => progress.looked(Miss::Unusable(old.bytes)),
                },
                Resolution::Shared(bytes) => match self.keep_shared(key, &bytes, typed).await {
                    true => {
                        undecided.decide(CallResult::Shared);
                        events::shared(terms.function, key, "value");
                        return End::Value;
                    }
                    false => progress.not_ours(),
                },
                Resolution::Error(shared) => match typed.keep_error(shared).await {
                    true => {
                        undecided.likely(CallResult::Shared);
                        events::shared(terms.function, key, "error");
                        return or_stale(End::Error, progress.fallback, undecided, typed).await;
                    }
                    false => progress.not_ours(),
                },
                Resolution::Compute(mandate, cause) => {
                    cause.log(terms, key, &progress);
                    cause.count(&progress, &mut undecided);
                    let end = outlined(|| self.compute(key, mandate, typed)).await;
                    return or_stale(end, progress.fallback, undecided, typed).await;
                }
            };
        }
    }

    /// Takes the value that another call computed for its followers.
    async fn keep_shared(&self, key: &Key, bytes: &Bytes, typed: &Requests<'_>) -> bool {
        match envelope::parse(key, typed.terms().function.identities(), bytes) {
            envelope::Content::Value(value) => typed.decode(&value, bytes).await.unwrap_or(false),
            // The value belongs to another function with this key, which has other values.
            _ => false,
        }
    }
}

/// The old value is served.
fn stale(mut undecided: Undecided<'_>, old: &Fallback) -> End {
    undecided.stale_hit(old.value.body_micros);
    End::Value
}

/// Returns the old value instead of an error.
async fn or_stale(end: End, fallback: Option<Fallback>, undecided: Undecided<'_>, typed: &Requests<'_>) -> End {
    match (end, fallback) {
        (End::Error, Some(old)) if old.keep(typed).await => stale(undecided, &old),
        (end, _) => end,
    }
}
