//! Running the body although there is a value: because the caller says so, or in the background
//! because the value is old. The old one stays readable meanwhile.

use std::future::Future;
use std::time::Duration;

use super::lease::{Leased, PAUSE};
use super::timer::Timer;
use super::work::Work;
use super::{Engine, Old, tell, usable};
use crate::api::cache::count;
use crate::engine::flight::Ticket;
use crate::engine::sharing::Errors;
use crate::error::Error;
use crate::key::Key;
use crate::plan::function::{Once, Plan};
use crate::plan::ttl::Ttl;
use crate::poll::caught::caught;
use crate::poll::outlined::outlined;
use crate::store::{Marked, Over, Store};
use crate::stored::envelope::{self, Head, Token};

/// How often a value may be replaced under the hands of a refresh before it takes the slot itself.
const LOOKS: usize = 3;

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Runs the body whatever is stored, and stores what it returns; `into` makes what is returned of the result.
    pub(crate) fn refresh<V, E, W: Work<V, E>, O>(
        self,
        plan: Plan<V>,
        key: Result<Key, Error>,
        errors: Errors<E>,
        work: W,
        into: fn(Result<V, E>) -> O,
    ) -> impl Future<Output = O> {
        let key = usable(plan.function, key);
        async move {
            let Some(key) = &key else { return into(work.run().await) };
            match outlined(|| self.take_over(plan.lease, key)).await {
                Ok(leased) => {
                    count(&self.cache.counters().refreshes);
                    into(outlined(|| self.lead(&plan, leased, errors, work)).await)
                }
                Err(error) => {
                    tell(plan.function, key, &error);
                    into(work.run().await)
                }
            }
        }
    }

    /// The right to replace what is there, taken from whoever has it.
    async fn take_over<'a>(&'a self, lease: Ttl, key: &'a Key) -> Result<Leased<'a, S>, Error> {
        let by = self.cache.deadline();
        let claim = self.claim(lease, key, self.stamp(key, by).await?);
        for _ in 0..LOOKS {
            let head = self.store.peek(key, by).await?;
            let Some(Head::Value(mark)) = head.as_deref().map(envelope::head) else { break };
            match claim.mark(mark.id, true, by).await {
                Ok((Marked::Taken, leased)) => return Ok(leased),
                Ok(_) => {}
                // Without the right to mark a value, its slot is taken.
                Err(error) if error.is_of_one_call() => break,
                Err(error) => return Err(error),
            }
        }
        let (_, leased) = claim.take(&Over::Anything, by).await?;
        Ok(leased)
    }

    /// Starts a refresh of an old value, unless one runs, or failed a moment ago.
    pub(super) fn refresh_behind<V, E, W: Work<V, E>>(&self, plan: &Plan<V>, key: &Key, old: &Old, work: &W) {
        if old.refresh.by.is_some() || old.refresh.is_pausing {
            return;
        }
        if let Some(ticket) = self.cache.refreshing().claim(key.clone(), old.refresh.id, old.value.seal) {
            let started = caught(|| work.run_behind(self.cache, plan, ticket, old.refresh.id));
            if let Err(panicked) = started
                && plan.function.first(Once::Refresh)
            {
                tracing::warn!(
                    function = plan.function.head(),
                    "a refresh in the background needs copies of the arguments: {panicked}; further ones are not told"
                );
            }
        }
    }

    /// What runs in the background then.
    pub(super) async fn refresh_now<V, E, W: Work<V, E>>(
        &self,
        plan: &Plan<V>,
        mut ticket: Ticket,
        id: Token,
        errors: Errors<E>,
        work: W,
    ) {
        let key = ticket.key().clone();
        match self.claim(plan.lease, &key, ticket.seal()).mark(id, false, self.cache.deadline()).await {
            Ok((Marked::Taken, leased)) => {
                count(&self.cache.counters().refreshes);
                if self.lead(plan, leased, errors, work).await.is_err() {
                    if plan.function.first(Once::Refresh) {
                        tracing::warn!(
                            key = key.as_str(),
                            "a refresh in the background failed, and the old value stays; further ones are not told"
                        );
                    }
                    ticket.pause(PAUSE);
                }
            }
            Ok((Marked::Until(until), _)) => {
                ticket.pause(Duration::from_millis(until.saturating_sub(self.store.now())));
            }
            // Gone, or replaced: whoever meets the new one decides.
            Ok((Marked::Changed, _)) => {}
            Err(error) => {
                tell(plan.function, &key, &error);
                ticket.pause(PAUSE);
            }
        }
    }
}
