//! The protocol of one call: look, take the slot, run the body, fill.
//!
//! Written once as async code over a [`Store`]. A blocking store's futures are ready when they
//! are first polled, and so is a call over it: [`blocking`] polls it once.
//!
//! What a value has to pass to be stored: the body began after the slot was leased, and the slot
//! still holds that lease at the fill. An invalidation in between, by anyone, empties the slot,
//! and the fill is refused.

#[cfg(feature = "blocking")]
pub(crate) mod blocking;
mod lease;
#[cfg(feature = "tokio")]
pub(crate) mod tokio;
pub(crate) mod verbs;

use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::lease::Leased;
use crate::cache::{Cache, count};
use crate::codec::Root;
use crate::envelope::{self, Header, Slot, Token, Value};
use crate::error::{Error, ErrorKind};
use crate::function::{Function, Once, Plan};
use crate::key::Key;
use crate::policy;
use crate::store::{Acquired, Store};
use crate::ttl::Ttl;

/// How long a slot stays leased if its holder says nothing more.
const LEASE: Duration = Duration::from_secs(60);

/// How often a call looks at a slot that changes under its hands before it computes unstored.
const LOOKS: usize = 3;

/// One call of a cached function.
pub(crate) async fn call<S, V, E, F, Fut>(
    cache: &Cache,
    store: &S,
    plan: &Plan<V>,
    key: Result<Key, Error>,
    body: F,
) -> Result<V, E>
where
    S: Store,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<V, E>>,
{
    let Some(key) = usable(plan.function, key) else {
        count(&cache.counters().bypasses);
        return body().await;
    };
    match look(cache, store, plan, &key).await {
        Ok(Look::Hit(value)) => {
            count(&cache.counters().hits);
            Ok(value)
        }
        Ok(Look::Leased(leased)) => {
            count(&cache.counters().misses);
            compute(cache, plan, leased, body).await
        }
        Ok(Look::Busy) => {
            count(&cache.counters().misses);
            body().await
        }
        Err(error) => {
            tell(plan.function, &key, &error);
            count(&cache.counters().bypasses);
            body().await
        }
    }
}

/// Runs the body whatever is stored, and stores what it returns.
pub(crate) async fn refresh<S, V, E, F, Fut>(
    cache: &Cache,
    store: &S,
    plan: &Plan<V>,
    key: Result<Key, Error>,
    body: F,
) -> Result<V, E>
where
    S: Store,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<V, E>>,
{
    let Some(key) = usable(plan.function, key) else { return body().await };
    match Leased::take(store, &key, LEASE, cache.deadline()).await {
        Ok(leased) => compute(cache, plan, leased, body).await,
        Err(error) => {
            tell(plan.function, &key, &error);
            body().await
        }
    }
}

/// What a call found in its slot.
enum Look<'a, S: Store, V> {
    /// A fresh value.
    Hit(V),
    /// Nothing usable; the slot is ours to fill.
    Leased(Leased<'a, S>),
    /// Nothing usable; somebody else computes it, or the slot changes too fast.
    Busy,
}

async fn look<'a, S: Store, V>(
    cache: &Cache,
    store: &'a S,
    plan: &Plan<V>,
    key: &'a Key,
) -> Result<Look<'a, S, V>, Error> {
    let by = cache.deadline();
    let mut found = store.read(key, by).await?;
    for _ in 0..LOOKS {
        let (acquired, leased) = match found {
            None => Leased::acquire(store, key, LEASE, by).await?,
            Some(bytes) => match read(store, plan, key, bytes) {
                Read::Fresh(_, value) => return Ok(Look::Hit(value)),
                Read::Leased => return Ok(Look::Busy),
                Read::Unusable(bytes) => Leased::displace(store, key, &bytes, LEASE, by).await?,
            },
        };
        found = match acquired {
            Acquired::Taken => return Ok(Look::Leased(leased)),
            Acquired::Held(bytes) => Some(bytes),
            Acquired::Changed => store.read(key, by).await?,
        };
    }
    Ok(Look::Busy)
}

/// What bytes from a slot are to this function, now.
pub(crate) enum Read<V> {
    Fresh(Value, V),
    Leased,
    /// A miss: to be displaced, by comparison with these bytes.
    Unusable(Bytes),
}

pub(crate) fn read<S: Store, V>(store: &S, plan: &Plan<V>, key: &Key, bytes: Bytes) -> Read<V> {
    match envelope::parse(key, plan.function.identity(), bytes.clone()) {
        Slot::Lease => Read::Leased,
        Slot::Value(value) if policy::is_fresh(&value, store.now(), store.not_before()) => {
            let decoded =
                if value.negative { (plan.nones.none)() } else { (plan.codec.decode)(value.payload()).ok() };
            match decoded {
                Some(decoded) => Read::Fresh(value, decoded),
                None => Read::Unusable(bytes),
            }
        }
        Slot::Value(_) | Slot::Unusable => Read::Unusable(bytes),
    }
}

/// Runs the body under a lease, and fills the slot with its value or gives the lease back.
async fn compute<S, V, E, F, Fut>(cache: &Cache, plan: &Plan<V>, leased: Leased<'_, S>, body: F) -> Result<V, E>
where
    S: Store,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<V, E>>,
{
    let started = Instant::now();
    // Dropped here, by cancellation or a panic, `leased` gives the slot back.
    let result = body().await;
    let sealed = match &result {
        Ok(value) => seal(plan, &leased, value, started),
        Err(_) => None,
    };
    let by = cache.deadline();
    match sealed {
        None => leased.release(by).await,
        Some((bytes, ttl)) => match leased.fill(bytes, ttl, by).await {
            Ok(true) => count(&cache.counters().stored),
            Ok(false) | Err(_) => count(&cache.counters().refused),
        },
    }
    result
}

/// The bytes to store, and for how long; `None` for a value that is not stored.
fn seal<S: Store, V>(plan: &Plan<V>, leased: &Leased<'_, S>, value: &V, started: Instant) -> Option<(Vec<u8>, Ttl)> {
    match encode(plan, leased, value, started) {
        Ok(sealed) => sealed,
        Err(error) => {
            if plan.function.first(Once::Encode) {
                tracing::warn!(key = leased.key().as_str(), %error, "values of this function are not stored");
            }
            None
        }
    }
}

/// As [`seal`], with the reason where a value cannot be encoded.
fn encode<S: Store, V>(
    plan: &Plan<V>,
    leased: &Leased<'_, S>,
    value: &V,
    started: Instant,
) -> Result<Option<(Vec<u8>, Ttl)>, Error> {
    let Some(id) = Token::random() else { return Ok(None) };
    let Some(ttl) = policy::lifetime(plan, value, id.as_random()) else { return Ok(None) };
    let negative = (plan.nones.is_none)(value);
    let mut buffer = envelope::buffer();
    if !negative {
        // What a generic function hides from the attribute: a `None` or an `Err` in its type
        // parameter.
        if !matches!((plan.codec.root)(value), Root::Other) {
            return Ok(None);
        }
        (plan.codec.encode)(value, &mut buffer).map_err(|error| Error::new(ErrorKind::Codec, error.to_string()))?;
    }
    let now = leased.store().now();
    let header = Header {
        identity: *plan.function.identity(),
        leased_at: leased.since(),
        filled_at: now,
        fresh_until: policy::fresh_until(ttl, now),
        body_millis: u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX),
        negative,
    };
    envelope::seal(leased.key(), id, &header, &mut buffer);
    Ok(Some((buffer, ttl)))
}

/// The key, if this function's values can be stored under it.
fn usable(function: &Function, key: Result<Key, Error>) -> Option<Key> {
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
        _ => return,
    };
    if function.first(once) {
        tracing::warn!(key = key.as_str(), %error, "a call runs uncached; further ones are not told");
    }
}
