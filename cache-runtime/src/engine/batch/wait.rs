//! Waiting for the ids that other calls compute.

use std::time::Instant;

use bytes::Bytes;

use super::{Call, Waiter, decode_id};
use crate::engine::Engine;
use crate::engine::events::Event;
use crate::engine::flight::Outcome;
use crate::engine::follow::Unended;
use crate::engine::look::{Look, Miss};
use crate::engine::timer::Timer;
use crate::key::Key;
use crate::plan::function::Plan;
use crate::store::Store;
use crate::stored::envelope::{self, Content};

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Waits for the ids that other calls compute, and returns true if one of those calls was cancelled. The ids that
    /// cannot be had from them stay open.
    pub(super) async fn wait_for_all<K, V>(
        &self,
        plan: &Plan<V>,
        call: &mut Call<'_, K, V>,
        waiting: Vec<Waiter<'_>>,
    ) -> bool {
        let began = Instant::now();
        let after = |span| began.checked_add(span).unwrap_or(began);
        let (until, until_here) = (after(call.open.patience), after(call.open.longest));
        let (foreign, here): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|waiting| waiting.follower.flight().is_foreign());
        let mut was_cancelled = false;
        for waiting in here {
            let until = if waiting.token.is_some() { until } else { until_here };
            was_cancelled |= self.wait_here(plan, call, waiting, until).await;
        }
        was_cancelled |= self.wait_for_foreign(plan, call, foreign, until).await;
        call.open.patience = call.open.patience.saturating_sub(began.elapsed());
        was_cancelled
    }

    /// Waits for an id that another call of this process computes, and returns true if that call was cancelled.
    async fn wait_here<K, V>(
        &self,
        plan: &Plan<V>,
        call: &mut Call<'_, K, V>,
        Waiter { at, key, token, follower }: Waiter<'_>,
        until: Instant,
    ) -> bool {
        match self.wait(key, token, &follower, until).await {
            Ok(Outcome::Value(bytes)) => match self.shared_for(plan, key, &bytes) {
                Some(found) => {
                    self.record(plan.terms.function, Event::Shared);
                    call.found[at] = Some(found);
                }
                None => call.open.trouble(at).fail(),
            },
            // Without a token the lease may be one that was never granted.
            Ok(Outcome::Abandoned) => return token.is_some(),
            // The value is in the slot.
            Ok(Outcome::Stored) if token.is_some() => {}
            Ok(_) => call.open.trouble(at).fail(),
            Err(Unended::TooLong) if token.is_none() => call.open.trouble(at).give_up(follower.flight()),
            Err(Unended::TooLong) => call.open.trouble(at).leave(follower.flight()),
            Err(Unended::Cycle) => call.open.trouble(at).go_alone(),
        }
        false
    }

    /// Waits for the ids that other processes compute, and returns true if one that was cancelled in this process was
    /// among them.
    async fn wait_for_foreign<K, V>(
        &self,
        plan: &Plan<V>,
        call: &mut Call<'_, K, V>,
        mut foreign: Vec<Waiter<'_>>,
        until: Instant,
    ) -> bool {
        let mut was_cancelled = false;
        while let Some(first) = foreign.first() {
            if self.wait(first.key, first.token, &first.follower, until).await.is_err() {
                break;
            }
            // The lease had not been given back yet when this call saw it.
            was_cancelled |= first.token.is_some_and(|token| self.cache.flights().was_abandoned(token));
            // A process that has ended one flight has probably ended others of them, too: one look tells.
            let ended = first.at;
            let keys: Vec<&Key> = foreign.iter().map(|waiting| waiting.key).collect();
            let reads = self.store.read_many(&keys, self.cache.deadline()).await;
            let mut left = Vec::new();
            for (waiting, read) in foreign.into_iter().zip(reads) {
                let Ok(read) = read else { continue };
                match self.look_for(plan, waiting.key, read) {
                    Look::Fresh(_, found) | Look::Old(_, found) => {
                        self.record(plan.terms.function, Event::Hit);
                        call.found[waiting.at] = Some(found);
                    }
                    Look::Miss(Miss::Leased(token)) if Some(token) == waiting.token && waiting.at != ended => {
                        left.push(waiting);
                    }
                    Look::Miss(_) => {}
                }
            }
            foreign = left;
        }
        was_cancelled
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
