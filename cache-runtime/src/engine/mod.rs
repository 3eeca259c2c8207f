//! The protocol of one call: look at the slot, lease it, run the body and fill it; or wait for the call that does.
//!
//! The protocol is written once, as async code over a [`Store`] and a [`Timer`]. Those of plain functions block, so
//! their futures are ready when they are first polled. A call over them is ready then, too: [`blocking`] polls it once.
//!
//! A value is stored only if its body began after the slot was leased, and the slot still holds that lease at the fill.
//! An invalidation in between, by any process, empties the slot, and the fill is refused. A call gets the value of
//! another call's body only if its own read, sent after it started, saw that body's lease.

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
mod payload;
mod refresh;
#[cfg(feature = "blocking")]
pub(crate) mod renewer;
pub(crate) mod scope;
pub(crate) mod sharing;
mod timer;
#[cfg(feature = "tokio")]
pub(crate) mod tokio;
mod typed;
mod verbs;
mod work;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Instant;

use bytes::Bytes;

use self::events::Event;
use self::lease::Claim;
use self::look::{Candidate, Inspection, Look};
use self::miss::Start;
use self::timer::Timer;
use self::typed::{End, Requests, Served};
use self::work::{Returns, Run, Work};
use crate::engine::context::Context;
use crate::engine::sharing::{Accepts, Errors};
use crate::error::Error;
use crate::key::Key;
use crate::plan::function::{Function, Plan, Terms};
use crate::plan::policy;
use crate::plan::ttl::Ttl;
use crate::poll::outlined::{Outlined, outlined, poll_apart};
use crate::poll::stack::is_deep;
use crate::store::{ReadMode, Store};
use crate::stored::envelope::Seal;

/// A cache, through one of its faces.
pub(crate) struct Engine<'a, S, T> {
    cache: &'a Context,
    store: S,
    timer: T,
}

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Makes a call of a cached function.
    ///
    /// This is not an `async fn`, whose future would hold its arguments twice. When a body runs, the first look is
    /// over, and its frame has returned.
    // If it is inlined, the future is made where it is awaited; otherwise all of it is copied twice.
    #[inline(always)]
    pub(crate) fn call<V, E, R, W, Fut>(
        self,
        verb: Verb,
        plan: Plan<V>,
        key: Result<Key, Error>,
        errors: Errors<E>,
        returns: Returns<V, E, R>,
        work: W,
    ) -> impl Future<Output = R>
    where
        W: Work<V, Fut>,
        Fut: Future<Output = R> + Unpin,
    {
        let key = usable(self.cache, plan.function, key);
        // A future holds what it captures and what it makes of that.
        let mut run = Run::new(plan, errors, returns, work);
        async move {
            let requests = Requests::new(run.terms());
            let begin = match (&key, verb) {
                (Some(key), Verb::Call) => {
                    let by = self.cache.deadline();
                    let looked = {
                        let mut look = pin!(self.first_look(requests.terms(), key, by));
                        poll_fn(|context| poll_apart(look.as_mut(), context)).await
                    };
                    match self.found(requests.terms(), key, looked, &mut run) {
                        Found::Served => return run.returned(),
                        Found::Missed(start) => Some(Begin::Miss(start, by, run.accepts())),
                    }
                }
                (_, Verb::Refresh) => Some(Begin::Refresh),
                (None, Verb::Call) => None,
            };
            let mut conductor = self.conductor(key.as_ref(), begin, &requests);
            poll_fn(|context| run.poll(&mut conductor, &requests, context)).await
        }
    }

    /// The steps of a call after its first look; `None` if its body has to run directly.
    fn conductor<'a>(
        &'a self,
        key: Option<&'a Key>,
        begin: Option<Begin>,
        requests: &'a Requests,
    ) -> Option<Outlined<impl Future<Output = End> + 'a>> {
        let begin = begin.filter(|begin| matches!(begin, Begin::Refresh) || !is_deep());
        if begin.is_none() {
            self.record(requests.terms().function, Event::Bypass);
        }
        let (key, begin) = (key?, begin?);
        Some(outlined(|| async move {
            match begin {
                Begin::Miss(start, by, accepts) => self.miss(key, start, by, accepts, requests).await,
                Begin::Refresh => self.refresh(key, requests).await,
            }
        }))
    }

    /// Reads the slot, before anything else is tried.
    async fn first_look(&self, terms: &Terms, key: &Key, by: Instant) -> FirstLook {
        if terms.function.expects_nothing() && self.may_take_first(terms, key) {
            return FirstLook::Missed(Start::Skipped);
        }
        let read = match self.store.read(key, ReadMode::Shared, by).await {
            Ok(read) => read,
            Err(error) => return FirstLook::Missed(Start::Failed(error)),
        };
        let seal = read.seal;
        match self.inspect(terms, key, read) {
            Inspection::Usable(candidate) => FirstLook::Usable(candidate, seal),
            Inspection::Miss(miss) => FirstLook::Missed(Start::Miss(miss, seal)),
        }
    }

    /// Decodes the value that the first look found, and has it refreshed if it is old.
    fn found(&self, terms: &Terms, key: &Key, looked: FirstLook, call: &mut dyn Served) -> Found {
        let (candidate, seal) = match looked {
            FirstLook::Usable(candidate, seal) => (candidate, seal),
            FirstLook::Missed(start) => return Found::Missed(start),
        };
        match candidate.kept(terms.function, key, call) {
            Look::Fresh(..) => {
                terms.function.found_something();
                self.record(terms.function, Event::Hit);
                Found::Served
            }
            Look::Old(old, ()) => {
                self.record(terms.function, if old.is_stale { Event::StaleHit } else { Event::Hit });
                self.refresh_in_background(terms, key, &old, call);
                Found::Served
            }
            Look::Miss(miss) => Found::Missed(Start::Miss(miss, seal)),
        }
    }

    /// Returns true if the call is to request the lease at once; the reply shows the slot if it is not empty. Where the
    /// function's last calls often found nothing, this saves each miss a round trip. To look and to take in one step is
    /// the same as to do one after the other with nothing in between.
    fn may_take_first(&self, terms: &Terms, key: &Key) -> bool {
        // A call that finds an old value this way would not refresh it.
        terms.refresh_ahead.is_none()
            && terms.stale_while_revalidate == Ttl::Millis(0)
            && self.store.capabilities(key).takes_first
            // When many calls miss one key, only the first takes the lease; the others read it, which is cheaper.
            && !self.cache.flights().concern(key)
    }

    /// The claim to a slot. A value that is computed under it has the stamps of `seal`.
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

/// What a call does if a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It returns the value.
    Call,
    /// It runs the body all the same.
    Refresh,
}

/// How the steps of a call begin.
enum Begin {
    /// The first look found nothing usable. The call has this deadline, and can use these errors of other calls.
    Miss(Start, Instant, Accepts),
    Refresh,
}

/// The result of a call's first look.
enum FirstLook {
    /// The slot held a value, and its tags had this seal.
    Usable(Candidate, Option<Seal>),
    Missed(Start),
}

/// The result of a call's first look, after a value was decoded.
enum Found {
    /// The call keeps the value.
    Served,
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
