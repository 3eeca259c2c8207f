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
mod renewal;
#[cfg(feature = "tokio")]
pub(crate) mod tokio;
mod verbs;

use std::future::Future;
use std::time::Instant;

use bytes::Bytes;

use self::lease::Leased;
use self::renewal::{LEASE, Renewal};
use crate::cache::{Cache, count};
use crate::codec::Root;
use crate::envelope::{self, Header, Slot, Token, Value};
use crate::error::{Error, ErrorKind};
use crate::function::{Function, Once, Plan};
use crate::key::Key;
use crate::policy;
use crate::store::{Acquired, Store};
use crate::ttl::Ttl;

/// How often a call looks at a slot that changes under its hands before it computes unstored.
const LOOKS: usize = 3;

/// A cache, through one of its faces.
pub(crate) struct Engine<'a, S, R> {
    cache: &'a Cache,
    store: S,
    renewal: R,
}

impl<S: Store, R: Renewal> Engine<'_, S, R> {
    /// One call of a cached function.
    pub(crate) async fn call<V, E, F, Fut>(&self, plan: &Plan<V>, key: Result<Key, Error>, body: F) -> Result<V, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
    {
        let counters = self.cache.counters();
        let by = self.cache.deadline();
        let found = match usable(plan.function, key) {
            None => Found::Nowhere,
            Some(key) => match self.store.read(&key, by).await {
                Ok(None) => Found::Missing(key, Missing::Empty),
                Ok(Some(bytes)) => match self.read(plan, &key, bytes) {
                    Read::Fresh(_, value) => {
                        count(&counters.hits);
                        return Ok(value);
                    }
                    Read::Missing(missing) => Found::Missing(key, missing),
                },
                Err(error) => {
                    tell(plan.function, &key, &error);
                    Found::Nowhere
                }
            },
        };
        // Boxed, so that a hit does not carry around what a miss needs, the body's future among it.
        Box::pin(async move {
            match found {
                Found::Missing(key, missing) => self.miss(plan, &key, missing, by, body).await,
                Found::Nowhere => {
                    count(&counters.bypasses);
                    body().await
                }
            }
        })
        .await
    }

    /// A call that found nothing usable in its slot.
    async fn miss<V, E, F, Fut>(
        &self,
        plan: &Plan<V>,
        key: &Key,
        missing: Missing,
        by: Instant,
        body: F,
    ) -> Result<V, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
    {
        let counters = self.cache.counters();
        match self.acquire(plan, key, missing, by).await {
            Ok(Look::Hit(value)) => {
                count(&counters.hits);
                Ok(value)
            }
            Ok(Look::Leased(leased)) => {
                count(&counters.misses);
                self.compute(plan, leased, body).await
            }
            Ok(Look::Busy) => {
                count(&counters.misses);
                body().await
            }
            Err(error) => {
                tell(plan.function, key, &error);
                count(&counters.bypasses);
                body().await
            }
        }
    }

    /// Runs the body whatever is stored, and stores what it returns.
    pub(crate) async fn refresh<V, E, F, Fut>(&self, plan: &Plan<V>, key: Result<Key, Error>, body: F) -> Result<V, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
    {
        let Some(key) = usable(plan.function, key) else { return body().await };
        match Leased::take(&self.store, &key, LEASE, self.cache.deadline()).await {
            Ok(leased) => self.compute(plan, leased, body).await,
            Err(error) => {
                tell(plan.function, &key, &error);
                body().await
            }
        }
    }

    /// Takes the slot, unless somebody else was there in the meantime.
    async fn acquire<'a, V>(
        &'a self,
        plan: &Plan<V>,
        key: &'a Key,
        mut missing: Missing,
        by: Instant,
    ) -> Result<Look<'a, S, V>, Error> {
        for _ in 0..LOOKS {
            let (acquired, leased) = match missing {
                Missing::Empty => Leased::acquire(&self.store, key, LEASE, by).await?,
                Missing::Unusable(seen) => Leased::displace(&self.store, key, &seen, LEASE, by).await?,
                Missing::Leased => return Ok(Look::Busy),
            };
            let found = match acquired {
                Acquired::Taken => return Ok(Look::Leased(leased)),
                Acquired::Held(bytes) => Some(bytes),
                Acquired::Changed => self.store.read(key, by).await?,
            };
            missing = match found.map(|bytes| self.read(plan, key, bytes)) {
                Some(Read::Fresh(_, value)) => return Ok(Look::Hit(value)),
                Some(Read::Missing(missing)) => missing,
                None => Missing::Empty,
            };
        }
        Ok(Look::Busy)
    }

    /// What bytes from a slot are to this function, now.
    fn read<V>(&self, plan: &Plan<V>, key: &Key, bytes: Bytes) -> Read<V> {
        match envelope::parse(key, plan.function.identity(), &bytes) {
            Slot::Lease => Read::Missing(Missing::Leased),
            Slot::Value(value) if policy::is_fresh(&value, self.store.now(), self.store.not_before()) => {
                match decode(plan, &value, &bytes) {
                    Ok(decoded) => Read::Fresh(value, decoded),
                    Err(error) => {
                        // Intact, of this type, and yet: its `Serialize` and `Deserialize`
                        // disagree, so that no call would ever hit.
                        if plan.function.first(Once::Decode) {
                            tracing::warn!(
                                key = key.as_str(),
                                error,
                                "a value cannot be read back; further ones are not told"
                            );
                        }
                        Read::Missing(Missing::Unusable(bytes))
                    }
                }
            }
            Slot::Value(_) | Slot::Unusable => Read::Missing(Missing::Unusable(bytes)),
        }
    }

    /// Runs the body under a lease, and fills the slot with its value or gives the lease back.
    async fn compute<V, E, F, Fut>(&self, plan: &Plan<V>, leased: Leased<'_, S>, body: F) -> Result<V, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
    {
        let started = Instant::now();
        // Dropped here, by cancellation or a panic, `leased` gives the slot back. The result lives
        // in this `match` alone: no await is in it, so the error need not be `Send`.
        let value = match self.renewal.during(&leased, async { body().await }).await {
            Ok(value) => value,
            Err(error) => {
                leased.give_back();
                return Err(error);
            }
        };
        match self.seal(plan, &leased, &value, started) {
            None => leased.give_back(),
            Some((bytes, ttl)) => {
                let filled = leased.fill(bytes, ttl, self.cache.deadline()).await;
                self.count_fill(&filled);
            }
        }
        Ok(value)
    }

    fn count_fill(&self, filled: &Result<bool, Error>) {
        let counters = self.cache.counters();
        count(if matches!(filled, Ok(true)) { &counters.stored } else { &counters.refused });
    }

    /// The bytes to store, and for how long; `None` for a value that is not stored.
    fn seal<V>(&self, plan: &Plan<V>, leased: &Leased<'_, S>, value: &V, started: Instant) -> Option<(Vec<u8>, Ttl)> {
        match self.encode(plan, leased, value, started) {
            Ok(sealed) => sealed,
            Err(error) => {
                if plan.function.first(Once::Encode) {
                    tracing::warn!(key = leased.key().as_str(), %error, "a value is not stored; further ones are not told");
                }
                None
            }
        }
    }

    /// As [`seal`](Self::seal), with the reason where a value cannot be encoded.
    fn encode<V>(
        &self,
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
        let now = self.store.now();
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
}

/// What a call found that is no hit.
enum Found {
    /// Nothing usable in the slot of this key.
    Missing(Key, Missing),
    /// There is no slot to look at.
    Nowhere,
}

/// What a slot holds that is no hit.
enum Missing {
    Empty,
    Leased,
    /// To be displaced, by comparison with these bytes.
    Unusable(Bytes),
}

/// What bytes from a slot are to a function.
enum Read<V> {
    Fresh(Value, V),
    Missing(Missing),
}

/// How taking a slot ended.
enum Look<'a, S: Store, V> {
    /// Somebody filled it: a fresh value.
    Hit(V),
    /// It is ours to fill.
    Leased(Leased<'a, S>),
    /// Somebody else computes it, or it changes too fast.
    Busy,
}

fn decode<V>(plan: &Plan<V>, value: &Value, bytes: &[u8]) -> Result<V, String> {
    if value.negative {
        return (plan.nones.none)().ok_or_else(|| "`None` of a type without".to_owned());
    }
    (plan.codec.decode)(envelope::payload(bytes)).map_err(|error| error.to_string())
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
