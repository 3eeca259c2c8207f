//! The protocol of one call: look, take the slot, run the body, fill; or wait for whoever does.
//!
//! Written once as async code over a [`Store`] and a [`Timer`]. Those of plain functions block, and
//! their futures are ready when they are first polled, and so is a call over them: [`blocking`]
//! polls it once.
//!
//! What a value has to pass to be stored: the body began after the slot was leased, and the slot
//! still holds that lease at the fill. An invalidation in between, by anyone, empties the slot,
//! and the fill is refused. What a call has to pass to get the value of another's body: its own
//! read, sent after it started, saw that body's lease.

mod batch;
#[cfg(feature = "blocking")]
pub(crate) mod blocking;
mod compute;
pub(crate) mod context;
pub(crate) mod events;
pub(crate) mod flight;
mod follow;
pub(crate) mod ids;
mod lease;
mod look;
mod miss;
mod refresh;
#[cfg(feature = "blocking")]
pub(crate) mod renewer;
pub(crate) mod scope;
pub(crate) mod sharing;
mod timer;
#[cfg(feature = "tokio")]
pub(crate) mod tokio;
mod verbs;
mod work;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Instant;

use bytes::Bytes;

use self::events::Event;
use self::lease::Claim;
use self::look::{Look, Old};
use self::miss::{MissOutcome, Start};
use self::timer::Timer;
use self::work::Work;
use crate::engine::context::Context;
use crate::engine::sharing::Errors;
use crate::error::Error;
use crate::key::Key;
use crate::plan::function::{Function, Plan, Terms};
use crate::plan::policy;
use crate::plan::ttl::Ttl;
use crate::poll::outlined::{outlined, poll_apart};
use crate::poll::stack::is_deep;
use crate::store::Store;
use crate::stored::envelope::Seal;

/// A cache, through one of its faces.
pub(crate) struct Engine<'a, S, T> {
    cache: &'a Context,
    store: S,
    timer: T,
}

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// One call of a cached function; `into` makes what it returns of the result.
    ///
    /// Not an `async fn`, whose future would hold its arguments twice. The first look is over, and its frame has
    /// returned, when a body runs.
    // Inlined, it makes the future where that is awaited; else all of it is copied, twice.
    #[inline(always)]
    pub(crate) fn call<V, E, W: Work<V, E>, O>(
        self,
        plan: Plan<V>,
        key: Result<Key, Error>,
        errors: Errors<E>,
        work: W,
        into: fn(Result<V, E>) -> O,
    ) -> impl Future<Output = O> {
        let key = usable(self.cache, plan.function, key);
        async move {
            let Some(slot) = &key else {
                self.record(plan.function, Event::Bypass);
                return into(work.run().await);
            };
            let by = self.cache.deadline();
            let start = {
                let mut look = pin!(self.first_look(&plan, slot, by));
                match poll_fn(|context| poll_apart(look.as_mut(), context)).await {
                    FirstLook::Fresh(value) => return into(Ok(value)),
                    FirstLook::Old(old, value) => {
                        self.refresh_behind(&plan, slot, &old, &work);
                        return into(Ok(value));
                    }
                    FirstLook::Missed(start) => start,
                }
            };
            if is_deep() {
                self.record(plan.function, Event::Bypass);
                return into(outlined(|| work.run()).await);
            }
            // No await is in this `match`: neither value nor error need be `Send`.
            let (mandate, fallback) = match outlined(|| self.miss(&plan, slot, start, by, errors)).await {
                MissOutcome::Ended(result) => return into(result),
                MissOutcome::Compute(mandate, fallback) => (mandate, fallback),
            };
            let computed = self.compute(&plan, slot, mandate, errors, work).await;
            into(computed.or_else(|error| self.or_stale(&plan, fallback, error)))
        }
    }

    /// What the slot holds, before anything else is tried.
    async fn first_look<V>(&self, plan: &Plan<V>, key: &Key, by: Instant) -> FirstLook<V> {
        if plan.function.expects_nothing() && self.may_take_first(&plan.terms(), key) {
            return FirstLook::Missed(Start::Skipped);
        }
        let read = match self.store.read(key, by).await {
            Ok(read) => read,
            Err(error) => return FirstLook::Missed(Start::Failed(error)),
        };
        let seal = read.seal;
        match self.look(plan, key, read, by) {
            Look::Fresh(_, value) => {
                plan.function.found_something();
                self.record(plan.function, Event::Hit);
                FirstLook::Fresh(value)
            }
            Look::Old(old, value) => {
                self.record(plan.function, if old.is_stale { Event::StaleHit } else { Event::Hit });
                FirstLook::Old(old, value)
            }
            Look::Miss(miss) => FirstLook::Missed(Start::Miss(miss, seal)),
        }
    }

    /// Whether to ask for the lease at once, which tells what the slot holds if it is not empty:
    /// where the function's last calls often found nothing, this saves each miss a round trip. To look and to
    /// take in one step is to do one after the other with nothing in between.
    fn may_take_first(&self, terms: &Terms, key: &Key) -> bool {
        // Who finds an old value this way would not refresh it.
        terms.refresh_ahead.is_none()
            && terms.stale_while_revalidate == Ttl::Millis(0)
            && self.store.may_take_first(key)
            // Of many calls for one key, all but the first find its lease: they read, which is cheaper.
            && !self.cache.flights().concern(key)
    }

    /// What is computed under the claim has the stamps of `seal`.
    fn claim<'a>(&'a self, lease: Ttl, key: &'a Key, seal: Seal) -> Claim<'a, S> {
        Claim { store: &self.store, flights: self.cache.flights(), key, seal, length: policy::lease(lease) }
    }

    /// The seal of an entry's tags; those that have no stamp get one.
    async fn stamp(&self, key: &Key, by: Instant) -> Result<Seal, Error> {
        match key.tags() {
            [] => Ok(Seal::default()),
            tags => self.store.stamp(tags, by).await.map(|stamps| sealed(tags, &stamps)),
        }
    }
}

/// The value of a function that has no error.
fn infallible<V>(result: Result<V, Infallible>) -> V {
    let Ok(value) = result;
    value
}

/// What came of a call's first look.
enum FirstLook<V> {
    Fresh(V),
    /// To be served, and refreshed.
    Old(Old, V),
    Missed(Start),
}

/// The seal of tags with these stamps.
fn sealed(tags: &[String], stamps: &[Bytes]) -> Seal {
    Seal::of(tags.iter().zip(stamps).map(|(tag, stamp)| (tag.as_str(), &**stamp)))
}

/// The key, if this function's values can be stored under it.
fn usable(cache: &Context, function: &Function, key: Result<Key, Error>) -> Option<Key> {
    if cache.is_off() {
        return None;
    }
    if let Some(reason) = function.refusal() {
        events::refused_type(function, reason);
        return None;
    }
    key.map_err(|error| events::unusable_key(function, &error)).ok()
}
