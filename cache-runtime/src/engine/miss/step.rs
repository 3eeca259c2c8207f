//! The states of a miss, and the way from each to the next.

use std::time::Instant;

use bytes::Bytes;

use super::super::Engine;
use super::super::events;
use super::super::follow::WaitOutcome;
use super::super::look::{Fallback, Inspection, Miss};
use super::super::timer::Timer;
use super::{Cause, Mandate, Resolution, Start};
use crate::engine::flight::Patience;
use crate::engine::sharing::Accepts;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::plan::function::{Function, SingleFlight, Terms};
use crate::plan::policy;
use crate::store::{MarkReply, Precondition, Read, ReadMode, Store, TakeReply};
use crate::stored::envelope::{self, Lease, Seal, Token};

/// The state of a miss.
pub(super) enum Step<'a, S: Store> {
    /// The call asks for the lease without a look: the request also reads the slot.
    TakeUnseen,
    /// The slot held this a moment ago.
    Miss(Miss),
    /// The call waits for what is computed under this token.
    Wait(Token),
    /// The slot is to be looked at.
    Look,
    /// The slot holds this.
    Inspect(Read),
    /// The store cannot be asked.
    Away(Error),
    /// The call shares a body of this process, or runs one.
    Local(Reason),
    Resolved(Resolution<'a, S>),
}

/// Why a call does not look at the slot any more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It has waited enough for the calls that lease the slot, or the slot changed too often.
    Enough,
    /// The store failed.
    Failed,
    /// The store is known to be away.
    Away,
}

/// The data of a miss in addition to its step.
pub(super) struct Progress<'a> {
    terms: &'a Terms,
    key: &'a Key,
    /// The errors of other calls that the call can use.
    accepts: Accepts,
    by: Instant,
    /// The seal of the tags at the last look.
    seal: Option<Seal>,
    patience: Patience,
    /// The lease that the call waited for last.
    awaited: Option<Token>,
    /// An old value, in case the body fails.
    pub(super) fallback: Option<Fallback>,
    /// The function, until it is known what the call found first.
    predictor: Option<&'static Function>,
    /// The last reason why there was nothing to serve.
    pub(super) why: &'static str,
    /// Why the store could not be asked.
    pub(super) failure: Option<Error>,
}

impl Progress<'_> {
    fn predict(&mut self, found: impl FnOnce(&Function)) {
        if let Some(function) = self.predictor.take() {
            found(function);
        }
    }

    /// A look has ended in a miss. After a few looks, a slot that changes all the time is left alone.
    pub(super) fn looked<'a, S: Store>(&mut self, miss: Miss) -> Step<'a, S> {
        if self.patience.take_look() { Step::Miss(miss) } else { Step::Local(Reason::Enough) }
    }

    /// The call waited for the value or the error of another function with this key, which has other types.
    pub(super) fn not_ours<'a, S: Store>(&mut self) -> Step<'a, S> {
        if self.awaited.is_none() {
            self.patience.fail();
        }
        let miss = self.abandoned_lease();
        self.looked(miss)
    }

    /// The lease of a call that is gone. It is displaced if it is still in the slot.
    fn abandoned_lease(&self) -> Miss {
        let seal = self.seal.unwrap_or_default();
        self.awaited
            .map_or(Miss::Empty, |token| Miss::Unusable(Bytes::copy_from_slice(Lease::new(token, seal, 0).bytes())))
    }
}

impl<S: Store, T: Timer> Engine<'_, S, T> {
    pub(super) fn start<'a>(
        &'a self,
        terms: &'a Terms,
        key: &'a Key,
        start: Start,
        by: Instant,
        accepts: Accepts,
    ) -> (Progress<'a>, Step<'a, S>) {
        // The first thing that the call did was to set its deadline.
        let began = by.checked_sub(self.cache.timeout()).unwrap_or(by);
        let patience = Patience::new(began, self.timer.now(), policy::wait(terms));
        let (seal, awaited, fallback, predictor) = (None, None, None, Some(terms.function));
        let (why, failure) = ("the slot is empty", None);
        let mut progress =
            Progress { terms, key, accepts, by, seal, patience, awaited, fallback, predictor, why, failure };
        let step = match start {
            Start::Miss(miss, seal) => {
                progress.seal = seal;
                progress.looked(miss)
            }
            Start::Skipped => Step::TakeUnseen,
            Start::Failed(error) => Step::Away(error),
        };
        (progress, step)
    }

    /// Goes from state to state until it is known how the call goes on.
    pub(super) async fn resolve<'a>(&'a self, progress: &mut Progress<'a>, mut step: Step<'a, S>) -> Resolution<'a, S> {
        loop {
            let next = match step {
                Step::TakeUnseen => self.take_unseen(progress).await,
                Step::Miss(miss) => self.go_on_from(progress, miss).await,
                Step::Wait(token) => self.wait_for(progress, token).await,
                Step::Look => self.store.read(progress.key, ReadMode::Shared, progress.by).await.map(Step::Inspect),
                Step::Inspect(read) => Ok(self.inspect_again(progress, read)),
                Step::Away(error) => Ok(away(progress, error)),
                Step::Local(reason) => Ok(Step::Resolved(self.share_local(progress, reason).await)),
                Step::Resolved(resolution) => return resolution,
            };
            step = next.unwrap_or_else(Step::Away);
        }
    }

    /// State `TakeUnseen`.
    async fn take_unseen<'a>(&'a self, progress: &mut Progress<'a>) -> Result<Step<'a, S>, Error> {
        progress.seal = Some(Seal::default());
        progress.patience.take_late_look();
        match self.take_slot(progress, Precondition::Empty).await {
            // The slot may hold a value nevertheless.
            Err(error) if refuses_writes(&error) => Ok(Step::Look),
            taken => taken,
        }
    }

    /// State `Miss`.
    async fn go_on_from<'a>(&'a self, progress: &mut Progress<'a>, miss: Miss) -> Result<Step<'a, S>, Error> {
        progress.why = match &miss {
            Miss::Empty => "the slot is empty",
            Miss::Leased(_) => "another call computes the value",
            Miss::Unusable(_) => "the slot holds nothing usable",
            Miss::Fallback(_) => "the value is past its lifetime",
        };
        match miss {
            // Another call of this process came first, and its lease is in the slot by now.
            Miss::Empty if progress.patience.take_late_look() && self.is_concerned(progress.key) => Ok(Step::Look),
            Miss::Empty => self.take_slot(progress, Precondition::Empty).await,
            Miss::Unusable(seen) => self.take_slot(progress, Precondition::Unchanged(seen)).await,
            Miss::Leased(token) => {
                progress.predict(Function::found_something);
                Ok(Step::Wait(token))
            }
            Miss::Fallback(old) if old.refresh.is_pausing => Ok(Step::Resolved(Resolution::Paused(old))),
            Miss::Fallback(old) => match old.refresh.by {
                Some(token) => {
                    progress.fallback = Some(old);
                    Ok(Step::Wait(token))
                }
                None => self.mark_fallback(progress, old).await,
            },
        }
    }

    /// Takes the slot, unless it changed.
    async fn take_slot<'a>(
        &'a self,
        progress: &mut Progress<'a>,
        precondition: Precondition,
    ) -> Result<Step<'a, S>, Error> {
        let Progress { terms, key, by, .. } = *progress;
        // The stamps are acknowledged before the body begins, as the lease is.
        let seal = match progress.seal {
            Some(seal) => seal,
            None => self.stamp(key, by).await?,
        };
        progress.seal = Some(seal);
        Ok(match self.claim(terms.lease, key, seal).take(&precondition, by).await? {
            (TakeReply::Taken, leased) => {
                if matches!(precondition, Precondition::Empty) {
                    progress.predict(Function::found_nothing);
                }
                Step::Resolved(Resolution::Compute(Mandate::Leased(leased), Cause::Miss))
            }
            // If the bytes have another seal, they may be out of date, or these stamps may.
            (TakeReply::Held(held), _)
                if held.bytes.as_deref().is_some_and(|bytes| envelope::is_sealed(bytes, seal)) =>
            {
                Step::Inspect(Read { seal: Some(seal), ..held })
            }
            (TakeReply::Held(_) | TakeReply::Changed, _) => Step::Look,
        })
    }

    /// Takes the right to replace an old value, which stays in case the body fails.
    async fn mark_fallback<'a>(&'a self, progress: &mut Progress<'a>, old: Fallback) -> Result<Step<'a, S>, Error> {
        let claim = self.claim(progress.terms.lease, progress.key, old.value.seal);
        match claim.mark(old.refresh.id, false, progress.by).await {
            Ok((MarkReply::Taken, leased)) => {
                progress.fallback = Some(old);
                Ok(Step::Resolved(Resolution::Compute(Mandate::Leased(leased), Cause::Miss)))
            }
            Ok((MarkReply::Until(_) | MarkReply::Changed, _)) => Ok(Step::Look),
            // Without the right to mark it, the call takes its slot.
            Err(error) if error.is_of_one_call() => {
                let seen = old.bytes.clone();
                progress.fallback = Some(old);
                Ok(Step::Miss(Miss::Unusable(seen)))
            }
            Err(error) => Err(error),
        }
    }

    /// State `Wait`.
    async fn wait_for<'a>(&'a self, progress: &mut Progress<'a>, token: Token) -> Result<Step<'a, S>, Error> {
        progress.awaited = Some(token);
        let Progress { terms, key, accepts, .. } = *progress;
        let outcome = self.follow(terms, key, token, accepts, &mut progress.patience).await;
        // The call may have waited for long.
        progress.by = self.cache.deadline();
        Ok(match outcome {
            WaitOutcome::Failed | WaitOutcome::Panicked if progress.fallback.is_some() => {
                progress.fallback.take().map_or(Step::Look, |old| Step::Resolved(Resolution::Failed(old)))
            }
            // Among the calls that waited, one runs its body, and the others wait for that.
            WaitOutcome::Failed | WaitOutcome::Unshared => Step::Miss(Miss::Empty),
            WaitOutcome::Panicked | WaitOutcome::HandedOver => Step::Miss(progress.abandoned_lease()),
            WaitOutcome::Enough => Step::Local(Reason::Enough),
            WaitOutcome::Found(read) => Step::Inspect(read),
            WaitOutcome::Changed => Step::Look,
            WaitOutcome::Away(error) => Step::Away(error),
            WaitOutcome::Settled(settlement) => Step::Resolved(Resolution::of(settlement, Cause::Miss)),
        })
    }

    /// State `Inspect`.
    fn inspect_again<'a>(&self, progress: &mut Progress<'a>, read: Read) -> Step<'a, S> {
        progress.predict(Function::found_something);
        progress.seal = read.seal;
        match self.inspect(progress.terms, progress.key, read) {
            Inspection::Usable(candidate) => Step::Resolved(Resolution::Candidate(candidate)),
            Inspection::Miss(miss) => progress.looked(miss),
        }
    }

    /// State `Local`.
    async fn share_local<'a>(&'a self, progress: &mut Progress<'a>, reason: Reason) -> Resolution<'a, S> {
        let cause = if reason == Reason::Enough { Cause::Miss } else { Cause::Bypass };
        if progress.terms.single_flight == SingleFlight::Off {
            return Resolution::Compute(Mandate::Alone, cause);
        }
        progress.awaited = None;
        let is_away = reason == Reason::Away;
        let settlement = self
            .follow_local((progress.terms.function, progress.key), is_away, progress.accepts, &mut progress.patience)
            .await;
        progress.by = self.cache.deadline();
        Resolution::of(settlement, cause)
    }

    /// Returns true if another call of this process computes the key, so that a look at its lease costs less than a
    /// lease request.
    fn is_concerned(&self, key: &Key) -> bool {
        self.store.capabilities(key).shares_reads && self.cache.flights().concern(key)
    }
}

/// State `Away`.
fn away<'a, S: Store>(progress: &mut Progress<'_>, error: Error) -> Step<'a, S> {
    events::uncached(progress.terms.function, progress.key, &error);
    let is_known = error.kind() == ErrorKind::CircuitOpen;
    progress.failure = Some(error);
    Step::Local(if is_known { Reason::Away } else { Reason::Failed })
}

/// Returns true if reads may be answered all the same.
fn refuses_writes(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::OutOfMemory | ErrorKind::ReadOnly | ErrorKind::Auth | ErrorKind::Protocol)
}
