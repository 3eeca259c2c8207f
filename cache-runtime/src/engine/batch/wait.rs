//! Waiting for the ids that other calls compute.

use std::time::Instant;

use bytes::Bytes;

use super::{Call, Waiter, decode_id};
use crate::engine::Engine;
use crate::engine::events;
use crate::engine::flight::Outcome;
use crate::engine::follow::{BOUND_AFTER, Unended, Watched};
use crate::engine::look::{Look, Miss};
use crate::engine::timer::Timer;
use crate::key::Key;
use crate::observe::CallResult;
use crate::plan::function::{Plan, Terms};
use crate::plan::policy;
use crate::store::Store;
use crate::stored::envelope::{self, Content, Token};

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Waits for the ids that other calls compute, and returns true if one of those calls was cancelled, or gave up in
    /// another process. The ids that cannot be had from them stay open.
    pub(super) async fn wait_for_all<K, V>(
        &self,
        plan: &Plan<V>,
        call: &mut Call<'_, K, V>,
        waiting: Vec<Waiter<'_>>,
    ) -> bool {
        let began = self.timer.now();
        let after = |span| began.checked_add(span).unwrap_or(began);
        let (until, until_here) = (after(call.open.patience), after(call.open.longest));
        let (foreign, here): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|waiting| waiting.follower.flight().is_foreign());
        let mut is_excused = false;
        for waiting in here {
            let until = if waiting.seen.is_ok() { until } else { until_here };
            is_excused |= self.wait_here(plan, call, waiting, until).await;
        }
        is_excused |= self.wait_for_foreign(plan, call, foreign, until).await;
        call.open.patience = call.open.patience.saturating_sub(self.timer.now().saturating_duration_since(began));
        is_excused
    }

    /// Waits for an id that another call of this process computes, and returns true if that call was cancelled.
    async fn wait_here<K, V>(
        &self,
        plan: &Plan<V>,
        call: &mut Call<'_, K, V>,
        Waiter { at, key, seen, follower }: Waiter<'_>,
        until: Instant,
    ) -> bool {
        let token = seen.ok();
        match self.wait((plan.terms.function, key), watched(&plan.terms, token), &follower, until).await {
            Ok(Outcome::Value(bytes)) => match self.shared_for(plan, key, &bytes) {
                Some(found) => {
                    call.open.tally.decide(CallResult::Shared);
                    events::shared(plan.terms.function, key, "value");
                    call.found[at] = Some(found);
                }
                None => call.open.trouble(at).fail(),
            },
            Ok(Outcome::Abandoned) => match seen {
                Ok(_) => return true,
                // The lease may be one that was never granted. A call that can ask the store looks at the slot again.
                Err(unasked) if unasked.has_failed() => drop(call.open.unasked.insert(at, unasked)),
                Err(_) => {}
            },
            // The value is in the slot.
            Ok(Outcome::Stored) if token.is_some() => {}
            Ok(_) => call.open.trouble(at).fail(),
            Err(Unended::TooLong) if token.is_none() => call.open.trouble(at).give_up(follower.flight()),
            Err(Unended::TooLong) => call.open.trouble(at).leave(follower.flight()),
            Err(Unended::Cycle) => call.open.trouble(at).go_alone(),
        }
        false
    }

    /// Waits for the ids that other processes compute, and returns true if a leader among those does not count.
    async fn wait_for_foreign<K, V>(
        &self,
        plan: &Plan<V>,
        call: &mut Call<'_, K, V>,
        mut foreign: Vec<Waiter<'_>>,
        until: Instant,
    ) -> bool {
        let mut is_excused = false;
        let mut bound_at = self.timer.now().checked_add(BOUND_AFTER).filter(|at| *at < until);
        while let Some(first) = foreign.first() {
            let watched = watched(&plan.terms, first.seen.ok());
            let until = bound_at.unwrap_or(until);
            match self.wait((plan.terms.function, first.key), watched, &first.follower, until).await {
                Ok(_) => {}
                Err(Unended::TooLong) if bound_at.take().is_some() => {
                    self.bound_all(&plan.terms, &foreign).await;
                    continue;
                }
                Err(Unended::TooLong | Unended::Cycle) => break,
            }
            // A process that has ended one flight has probably ended others of them, too: one look tells.
            let ended = first.at;
            let keys: Vec<&Key> = foreign.iter().map(|waiting| waiting.key).collect();
            let reads = self.store.read_many(&keys, self.cache.deadline()).await;
            let mut left = Vec::new();
            for (waiting, read) in foreign.into_iter().zip(reads) {
                let Ok(read) = read else { continue };
                let excuses = waiting.seen.is_ok_and(|token| self.is_excused(plan.terms.function, token, &read));
                match self.look_for(plan, waiting.key, read) {
                    look @ (Look::Fresh(..) | Look::Old(..)) => call.find(waiting.at, look),
                    Look::Miss(Miss::Leased(token))
                        if waiting.seen.is_ok_and(|seen| seen == token)
                            && waiting.at != ended
                            && self.store.refuses_writes(waiting.key).is_none() =>
                    {
                        left.push(waiting);
                    }
                    Look::Miss(_) => is_excused |= excuses,
                }
            }
            foreign = left;
        }
        is_excused
    }

    /// Gives an end to those leases among these that have none.
    async fn bound_all(&self, terms: &Terms, foreign: &[Waiter<'_>]) {
        let keys: Vec<&Key> = foreign.iter().map(|waiting| waiting.key).collect();
        let reads = self.store.read_many(&keys, self.cache.deadline()).await;
        let found = keys.into_iter().zip(reads).filter_map(|(key, read)| Some((key, read.ok()?.bytes)));
        self.bound(found, policy::lease(terms.lease)).await;
    }

    /// The value that another call computed for its followers.
    fn shared_for<V>(&self, plan: &Plan<V>, key: &Key, bytes: &Bytes) -> Option<Option<V>> {
        match envelope::parse(key, plan.terms.function.identities(), bytes) {
            Content::Value(value) => decode_id(plan, &value, bytes).ok().flatten(),
            // Another function has this key, and other values.
            _ => None,
        }
    }
}

fn watched(terms: &Terms, token: Option<Token>) -> Option<Watched> {
    Some(Watched { token: token?, lease: policy::lease(terms.lease) })
}
