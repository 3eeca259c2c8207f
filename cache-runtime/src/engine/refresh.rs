//! Running the body although there is a value, because the caller says so, or in the background because the value is
//! old. The old value stays readable meanwhile.

use std::future::{Future, poll_fn};
use std::time::Duration;

use super::Engine;
use super::events::{self, Role};
use super::lease::{Leased, PAUSE};
use super::look::Old;
use super::miss::Mandate;
use super::timer::Timer;
use super::typed::{Conductor as _, End, Requests, Served};
use super::work::{Returns, Run, Work};
use crate::engine::flight::Ticket;
use crate::engine::sharing::Errors;
use crate::error::Error;
use crate::key::Key;
use crate::observe::{RefreshResult, RefreshTally};
use crate::plan::function::{Plan, Terms};
use crate::plan::ttl::Ttl;
use crate::poll::caught::caught;
use crate::poll::outlined::outlined;
use crate::store::{MarkReply, Precondition, ReadMode, Store, TakeReply};
use crate::stored::envelope::{self, Head, Seal, Token};

/// How often a value may be replaced during a refresh before the refresh takes the slot itself.
const LOOKS: usize = 3;

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Runs the body whatever is stored, and stores its value.
    pub(super) async fn refresh(&self, key: &Key, typed: &Requests<'_>) -> End {
        let terms = typed.terms();
        let counters = self.cache.counters(terms.function);
        match outlined(|| self.take_over(terms.lease, key)).await {
            Ok(leased) => {
                let tally = RefreshTally::begin(counters);
                let led = outlined(|| self.lead(leased, Role::Refresh, typed)).await;
                if led.end == End::Value {
                    tally.ended(led.is_stored);
                }
                led.end
            }
            Err(error) => {
                events::uncached(terms.function, key, &error);
                let tally = RefreshTally::begin(counters);
                let end = outlined(|| self.compute(key, Mandate::Alone, typed)).await;
                if end == End::Value {
                    tally.ended(false);
                }
                end
            }
        }
    }

    /// The right to replace the content of the slot, taken from the call that has it.
    async fn take_over<'a>(&'a self, lease: Ttl, key: &'a Key) -> Result<Leased<'a, S>, Error> {
        let by = self.cache.deadline();
        let claim = self.claim(lease, key, self.stamp(key, by).await?);
        for _ in 0..LOOKS {
            let head = self.store.peek(key, by).await?;
            let Some(Head::Value(mark)) = head.as_deref().map(envelope::head) else { break };
            match claim.mark(mark.id, true, by).await {
                Ok((MarkReply::Taken, leased)) => return Ok(leased),
                Ok(_) => {}
                // Without the right to mark a value, its slot is taken.
                Err(error) if error.is_of_one_call() => break,
                Err(error) => return Err(error),
            }
        }
        let (_, leased) = claim.take(&Precondition::Any, by).await?;
        Ok(leased)
    }

    /// Starts a refresh of an old value, unless one runs, or failed a moment ago.
    pub(super) fn refresh_in_background(&self, terms: &Terms, key: &Key, old: &Old, call: &dyn Served) {
        if old.refresh.by.is_some() || old.refresh.is_pausing {
            return;
        }
        if let Some(ticket) = self.cache.refreshing().claim(key.clone(), old.refresh.id, old.value.seal) {
            let ticket = ticket.in_span(events::refresh_span(terms.function));
            let started = caught(|| call.refresh_in_background(self.cache, ticket, old.refresh.id));
            if let Err(panicked) = started {
                events::uncopied(terms.function, &panicked);
            }
        }
    }

    /// The refresh that runs in the background.
    pub(super) async fn refresh_now<V, E, R, W, Fut>(
        &self,
        plan: &Plan<V>,
        ticket: Ticket,
        id: Token,
        errors: Errors<E>,
        returns: Returns<V, E, R>,
        work: W,
    ) where
        W: Work<V, Fut>,
        Fut: Future<Output = R> + Unpin,
    {
        let typed = Requests::new(&plan.terms);
        let span = ticket.span().clone();
        let mut conductor = outlined(|| self.refresh_by_ticket(ticket, id, &typed));
        let mut run = Run::new(errors, returns, work);
        poll_fn(|context| span.in_scope(|| conductor.drive(&typed, &mut run.under(plan), context))).await;
    }

    async fn refresh_by_ticket(&self, mut ticket: Ticket, id: Token, typed: &Requests<'_>) {
        let key = ticket.key().clone();
        let terms = typed.terms();
        let counters = self.cache.counters(terms.function);
        match self.right_to_refresh(terms, &key, ticket.seal(), id).await {
            Ok((MarkReply::Taken, leased)) => {
                let tally = RefreshTally::begin(counters);
                let led = self.lead(leased, Role::Refresh, typed).await;
                if led.end == End::Value {
                    tally.ended(led.is_stored);
                } else {
                    events::refresh_failed(terms.function, &key);
                    ticket.pause(PAUSE);
                }
            }
            Ok((MarkReply::Until(until), _)) => {
                counters.refreshes(RefreshResult::Skipped, 1);
                ticket.pause(Duration::from_millis(until.saturating_sub(self.store.now(&key))));
            }
            // The value is gone, or replaced: the call that meets the new one decides.
            Ok((MarkReply::Changed, _)) => counters.refreshes(RefreshResult::Skipped, 1),
            Err(error) => {
                counters.refreshes(RefreshResult::Skipped, 1);
                events::uncached(terms.function, &key, &error);
                ticket.pause(PAUSE);
            }
        }
    }

    /// The right to refresh the value `id`: its mark, or its slot if the server refuses the commands of a mark.
    async fn right_to_refresh<'a>(
        &'a self,
        terms: &Terms,
        key: &'a Key,
        seal: Seal,
        id: Token,
    ) -> Result<(MarkReply, Leased<'a, S>), Error> {
        let by = self.cache.deadline();
        let claim = self.claim(terms.lease, key, seal);
        let error = match claim.mark(id, false, by).await {
            Err(error) if error.is_of_one_call() => error,
            outcome => return outcome,
        };
        events::unmarked(terms.function, key, &error);
        let found = self.store.read(key, ReadMode::Shared, by).await?.bytes.unwrap_or_default();
        // If the slot does not hold this value, it is left to the next call that reads it.
        let is_the_same = matches!(envelope::head(&found), Head::Value(mark) if mark.id == id);
        let precondition = if is_the_same { Precondition::Unchanged(found) } else { return Err(error) };
        let (reply, leased) = claim.take(&precondition, by).await?;
        let marked = if matches!(reply, TakeReply::Taken) { MarkReply::Taken } else { MarkReply::Changed };
        Ok((marked, leased))
    }
}
