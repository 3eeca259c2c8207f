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
#[cfg(feature = "local")]
pub(crate) mod local;
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
pub(crate) mod work;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{self, Poll};
use std::time::Instant;

use bytes::Bytes;

use self::events::Role;
use self::lease::Claim;
#[cfg(not(feature = "local"))]
use self::look::Undecodable;
use self::look::{Candidate, Inspection};
use self::miss::Start;
use self::timer::Timer;
use self::typed::{End, Requests, Served, Steps};
use self::work::{EndsBody, Returns, Run, Work};
use crate::engine::context::Context;
use crate::engine::sharing::{Accepts, Errors};
use crate::error::Error;
use crate::key::Key;
use crate::observe::{BodyTimer, CallResult, Undecided};
use crate::plan::function::{Function, Plan, Terms};
use crate::plan::policy;
use crate::plan::ttl::Ttl;
use crate::poll::outlined::outlined;
use crate::poll::stack::is_deep;
use crate::store::{Read, ReadMode, Store};
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
        let key = usable(self.cache, plan.terms.function, key);
        // A future holds what it captures and what it makes of that.
        let mut run = Run::new(errors, returns, work);
        async move {
            let begin = match (&key, verb) {
                (Some(key), Verb::Call) => {
                    let by = self.cache.deadline();
                    let start = if self.skips_look(&plan.terms, key) {
                        Some(Start::Skipped)
                    } else {
                        let mut read = pin!(self.store.read(key, ReadMode::Shared, by));
                        let looking = poll_fn(|context| {
                            self.poll_look(read.as_mut(), &plan.terms, key, &mut run.under(&plan), context)
                        });
                        // A call that is cancelled here is counted, too.
                        let undecided = self.undecided(plan.terms.function);
                        let start = looking.await;
                        std::mem::forget(undecided);
                        start
                    };
                    let Some(start) = start else { return run.returned() };
                    Some(Begin::Miss(start, by, run.accepts()))
                }
                (_, Verb::Refresh) => Some(Begin::Refresh),
                (None, Verb::Call) => None,
            };
            let requests = Requests::new(&plan.terms);
            let mut conductor = self.conductor(key.as_ref(), begin, &requests);
            let run = EndsBody(&mut run);
            poll_fn(|context| run.0.poll(&plan, &mut conductor, &requests, context)).await
        }
    }

    /// Counts a call as cancelled if it is dropped before its first look is over.
    // Inlined, the look-up of the counters would be compiled for each cached function.
    #[inline(never)]
    fn undecided(&self, function: &Function) -> Undecided<'_> {
        Undecided::new(self.cache.counters(function))
    }

    /// The steps of a call after its first look.
    fn conductor<'a>(
        &'a self,
        key: Option<&'a Key>,
        begin: Option<Begin>,
        requests: &'a Requests<'a>,
    ) -> Steps<'a, impl Future<Output = End> + 'a> {
        let begin = begin.filter(|begin| matches!(begin, Begin::Refresh) || !is_deep());
        let counters = self.cache.counters(requests.terms().function);
        let function = requests.terms().function;
        if begin.is_none() {
            counters.call(CallResult::Bypass);
            let why = if key.is_some() { "calls are nested too deeply" } else { "the call has no entry in this cache" };
            events::uncacheable(function, why);
        }
        let role = if begin.is_some() { Role::Refresh } else { Role::Alone };
        let (Some(key), Some(begin)) = (key, begin) else {
            return Steps::Body(BodyTimer::start(counters, events::body_span(function, key, role)));
        };
        Steps::Taken(outlined(|| async move {
            match begin {
                Begin::Miss(start, by, accepts) => self.miss(key, start, by, accepts, requests).await,
                Begin::Refresh => self.refresh(key, requests).await,
            }
        }))
    }

    /// Polls the read of the first look; then decodes the value that it found, and has it refreshed if it is old.
    /// `None` means that the call keeps the value.
    ///
    /// This frame has returned before a body runs, and what was found is not moved out of it.
    #[inline(never)]
    fn poll_look(
        &self,
        read: Pin<&mut impl Future<Output = Result<Read, Error>>>,
        terms: &Terms,
        key: &Key,
        call: &mut dyn Served,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Start>> {
        let read = match read.poll(context) {
            Poll::Ready(Ok(read)) => read,
            Poll::Ready(Err(error)) => return Poll::Ready(Some(Start::Failed(error))),
            Poll::Pending => return Poll::Pending,
        };
        let seal = read.seal;
        let miss = match self.inspect(terms, key, read) {
            Inspection::Usable(candidate) => match self.decode(terms, key, &candidate, call) {
                Ok(true) if candidate.is_old() => {
                    self.serve_old(terms, key, candidate, call);
                    return Poll::Ready(None);
                }
                Ok(true) => {
                    terms.function.found_something();
                    self.cache.counters(terms.function).hit(candidate.body_micros());
                    return Poll::Ready(None);
                }
                refused => self.refused(terms, key, candidate, refused.as_ref().err()),
            },
            Inspection::Miss(miss) => miss,
        };
        Poll::Ready(Some(Start::Miss(miss, seal)))
    }

    /// Decodes a value in a call, which keeps it, and offers it to the local tier.
    #[cfg(not(feature = "local"))]
    #[inline]
    fn decode(
        &self,
        terms: &Terms,
        _: &Key,
        candidate: &Candidate,
        call: &mut dyn Served,
    ) -> Result<bool, Undecodable> {
        candidate.decode_in(terms.function, call)
    }

    /// The call keeps an old value, which is refreshed in the background.
    fn serve_old(&self, terms: &Terms, key: &Key, candidate: Candidate, call: &dyn Served) {
        if let Some(old) = candidate.into_old() {
            let (counters, micros) = (self.cache.counters(terms.function), old.value.body_micros);
            if old.is_stale {
                counters.stale_hit(micros)
            } else {
                counters.hit(micros)
            }
            self.refresh_in_background(terms, key, &old, call);
        }
    }

    /// Returns true if the call does not look at the slot before it requests the lease.
    fn skips_look(&self, terms: &Terms, key: &Key) -> bool {
        terms.function.expects_nothing() && self.may_take_first(terms, key)
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
