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
mod fills;
pub(crate) mod flight;
mod follow;
pub(crate) mod ids;
mod lease;
mod miss;
mod refresh;
#[cfg(feature = "blocking")]
pub(crate) mod renewer;
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

use self::lease::Claim;
use self::miss::{First, Searched};
use self::timer::Timer;
use self::work::Work;
use crate::api::cache::{Cache, count};
use crate::engine::sharing::Errors;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::plan::function::{Function, Once, Plan, Terms};
use crate::plan::policy::{self, State};
use crate::plan::ttl::Ttl;
use crate::poll::outlined::{outlined, poll_apart};
use crate::poll::stack::is_deep;
use crate::store::{Read, Store};
use crate::stored::envelope::{self, Head, Seal, Slot, Token, Value};

/// A cache, through one of its faces.
pub(crate) struct Engine<'a, S, T> {
    cache: &'a Cache,
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
            let counters = self.cache.counters();
            let Some(slot) = &key else {
                count(&counters.bypasses);
                return into(work.run().await);
            };
            let by = self.cache.deadline();
            let first = {
                let mut look = pin!(self.first_look(&plan, slot, by));
                match poll_fn(|context| poll_apart(look.as_mut(), context)).await {
                    FirstLook::Fresh(value) => return into(Ok(value)),
                    FirstLook::Old(old, value) => {
                        self.refresh_behind(&plan, slot, &old, &work);
                        return into(Ok(value));
                    }
                    FirstLook::Missed(first) => first,
                }
            };
            if is_deep() {
                count(&counters.bypasses);
                return into(outlined(|| work.run()).await);
            }
            // No await is in this `match`: neither value nor error need be `Send`.
            let (runs, fallback) = match outlined(|| self.search(&plan, slot, first, by, errors)).await {
                Searched::Ended(result) => return into(result),
                Searched::Compute(runs, fallback) => (runs, fallback),
            };
            let computed = self.compute(&plan, slot, runs, errors, work).await;
            into(computed.or_else(|error| self.or_stale(&plan, fallback, error)))
        }
    }

    /// What the slot holds, before anything else is tried.
    async fn first_look<V>(&self, plan: &Plan<V>, key: &Key, by: Instant) -> FirstLook<V> {
        if plan.function.expects_nothing() && self.may_take_first(&plan.terms(), key) {
            return FirstLook::Missed(First::Skipped);
        }
        let read = match self.store.read(key, by).await {
            Ok(read) => read,
            Err(error) => return FirstLook::Missed(First::Failed(error)),
        };
        let counters = self.cache.counters();
        let seal = read.seal;
        match self.look(plan, key, read, by) {
            Look::Fresh(_, value) => {
                plan.function.found_something();
                count(&counters.hits);
                FirstLook::Fresh(value)
            }
            Look::Old(old, value) => {
                count(if old.is_stale { &counters.stale } else { &counters.hits });
                FirstLook::Old(old, value)
            }
            Look::Missing(missing) => FirstLook::Missed(First::Missing(missing, seal)),
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

    /// What a slot is to this function, now; it was read before `by`.
    fn look<V>(&self, plan: &Plan<V>, key: &Key, read: Read, by: Instant) -> Look<V> {
        match self.sight(&plan.terms(), key, read, Clock::By(by)) {
            Sight::Value(seen) => seen.decoded(plan, key, decode),
            Sight::Missing(missing) => Look::Missing(missing),
        }
    }

    /// What a slot is, before its value is decoded.
    fn sight(&self, terms: &Terms, key: &Key, read: Read, clock: Clock) -> Sight {
        let Read { bytes, seal, own_seal } = read;
        let Some(bytes) = bytes else { return Sight::Missing(Missing::Empty) };
        let value = match envelope::parse(key, terms.function.identities(), &bytes) {
            // What is computed under other stamps is out of date before it is there.
            Slot::Lease(token, sealed) if seal == Some(sealed) => return Sight::Missing(Missing::Leased(token)),
            Slot::Value(value) if seal == Some(value.seal) && is_own(terms, &value, own_seal) => value,
            Slot::Lease(..) | Slot::Value(_) | Slot::Unusable => return Sight::Missing(Missing::Unusable(bytes)),
        };
        let not_before = self.store.not_before();
        let (soon, now) = match clock {
            Clock::By(by) => (self.store.at(by), None),
            Clock::Now(now) => (now, Some(now)),
        };
        // What is fresh then is fresh, and mostly the clock need not be read.
        if policy::state(terms, &value, soon, not_before) == State::Fresh {
            return Sight::Value(Seen { value, bytes, old: None });
        }
        let now = now.unwrap_or_else(|| self.store.now());
        let state = policy::state(terms, &value, now, not_before);
        match (state, Refresh::of(&bytes, now)) {
            (State::Fresh, _) => Sight::Value(Seen { value, bytes, old: None }),
            (State::Due, Some(refresh)) => Sight::Value(Seen { value, bytes, old: Some((refresh, false)) }),
            (State::Stale, Some(refresh)) => Sight::Value(Seen { value, bytes, old: Some((refresh, true)) }),
            (State::Fallback, Some(refresh)) => Sight::Missing(Missing::Fallback(Fallback { refresh, value, bytes })),
            // Somebody was at it before it went out of date.
            (State::Expired, Some(Refresh { by: Some(token), .. })) => Sight::Missing(Missing::Leased(token)),
            _ => Sight::Missing(Missing::Unusable(bytes)),
        }
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
    Missed(First),
}

/// What a slot holds that is no hit.
enum Missing {
    Empty,
    /// Somebody computes it under this token.
    Leased(Token),
    /// To be displaced, by comparison with these bytes.
    Unusable(Bytes),
    /// Too old to be served, except where the body fails.
    Fallback(Fallback),
}

/// A value for `stale_if_error`.
struct Fallback {
    refresh: Refresh,
    value: Value,
    bytes: Bytes,
}

/// Of when a slot is looked at.
#[derive(Clone, Copy)]
enum Clock {
    /// Now, which is not after this.
    By(Instant),
    /// The store's milliseconds.
    Now(u64),
}

/// What bytes from a slot are, before a value is decoded.
enum Sight {
    Value(Seen),
    Missing(Missing),
}

/// A value that is good, as far as its header tells.
struct Seen {
    value: Value,
    bytes: Bytes,
    /// To be refreshed, and whether it is past its lifetime.
    old: Option<(Refresh, bool)>,
}

impl Seen {
    fn decoded<V, F>(self, plan: &Plan<V>, key: &Key, decode: Decode<V, F>) -> Look<F> {
        let Seen { value, bytes, old } = self;
        match decode(plan, &value, &bytes) {
            // Of another function with this key, which has a `None`.
            Ok(None) => Look::Missing(Missing::Unusable(bytes)),
            Ok(Some(decoded)) => match old {
                None => Look::Fresh(value, decoded),
                Some((refresh, is_stale)) => Look::Old(Old { refresh, is_stale, value }, decoded),
            },
            Err(error) => {
                tell_decode(plan.function, key, &error);
                Look::Missing(Missing::Unusable(bytes))
            }
        }
    }
}

/// A value that is served, and to be refreshed.
struct Old {
    refresh: Refresh,
    is_stale: bool,
    value: Value,
}

/// Who refreshes a value.
#[derive(Clone, Copy)]
struct Refresh {
    /// The value's.
    id: Token,
    /// Somebody does, under this token.
    by: Option<Token>,
    /// Nobody does, but somebody tried a moment ago.
    is_pausing: bool,
}

impl Refresh {
    fn of(bytes: &[u8], now: u64) -> Option<Refresh> {
        let Head::Value(mark) = envelope::head(bytes) else { return None };
        let by = mark.token.filter(|_| mark.until > now);
        Some(Refresh { id: mark.id, by, is_pausing: mark.until > now && mark.token.is_none() })
    }
}

/// What bytes from a slot are to a function.
enum Look<V> {
    Fresh(Value, V),
    Old(Old, V),
    Missing(Missing),
}

/// How a value is read: `Ok(None)` if it is not one that the function has.
type Decode<V, F> = fn(&Plan<V>, &Value, &[u8]) -> Result<Option<F>, Unreadable>;

/// A value that is intact, and cannot be decoded.
struct Unreadable {
    error: String,
    /// No other codec is left to write it in.
    is_final: bool,
}

/// `Ok(None)`: a stored `None`, of a type without.
fn decode<V>(plan: &Plan<V>, value: &Value, bytes: &[u8]) -> Result<Option<V>, Unreadable> {
    if value.negative {
        return Ok((plan.nones.none)());
    }
    match plan.decode(envelope::payload(bytes), value.rank) {
        Ok(decoded) => Ok(Some(decoded)),
        Err(error) => Err(Unreadable { error: error.to_string(), is_final: !plan.function.gives_up(value.rank) }),
    }
}

/// Whether a value's own tags are those that the function asks for, and as they were.
fn is_own(terms: &Terms, value: &Value, read: Option<Seal>) -> bool {
    match value.own_seal {
        Some(seal) => terms.has_own_tags && read == Some(seal),
        None => !terms.has_own_tags,
    }
}

/// The seal of tags with these stamps.
fn sealed(tags: &[String], stamps: &[Bytes]) -> Seal {
    Seal::of(tags.iter().zip(stamps).map(|(tag, stamp)| (tag.as_str(), &**stamp)))
}

/// The key, if this function's values can be stored under it.
fn usable(cache: &Cache, function: &Function, key: Result<Key, Error>) -> Option<Key> {
    if cache.is_off() {
        return None;
    }
    if let Some(reason) = function.refusal() {
        if function.first(Once::Refusal) {
            tracing::warn!(function = function.head(), reason, "this function runs uncached");
        }
        return None;
    }
    key.map_err(|error| {
        if function.first(Once::Key) {
            tracing::warn!(function = function.head(), %error, "a call runs uncached; further ones are not told");
        }
    })
    .ok()
}

/// Says once per function what its store has no line for: those tell changes of state.
fn tell(function: &Function, key: &Key, error: &Error) {
    let once = match error.kind() {
        ErrorKind::WrongType => Once::WrongType,
        ErrorKind::Unsupported => Once::Unsupported,
        _ if error.is_of_one_call() => Once::Refused,
        _ => return,
    };
    if function.first(once) {
        tracing::warn!(key = key.as_str(), %error, "a call runs uncached; further ones are not told");
    }
}

/// Intact, of this type, and yet: its `Serialize` and `Deserialize` disagree, so that no call would ever
/// hit.
fn tell_decode(function: &Function, key: &Key, Unreadable { error, is_final }: &Unreadable) {
    if *is_final && function.first(Once::Decode) {
        tracing::warn!(key = key.as_str(), error, "a value cannot be read back; further ones are not told");
    }
}
