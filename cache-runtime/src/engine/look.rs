//! The meaning of a slot to a function: a value to serve, or a miss of one kind or another.

use bytes::Bytes;

use super::Engine;
use super::events;
use super::payload::{self, Stored};
use super::timer::Timer;
use super::typed::{Requests, Served};
use crate::key::Key;
use crate::plan::function::{Function, Plan, Terms};
use crate::plan::policy::{self, Freshness};
use crate::store::{Read, Store, Times};
use crate::stored::codec::CodecError;
use crate::stored::envelope::{self, Content, Head, Seal, Token, Value, Why};

/// The meaning of a slot's bytes to a function.
pub(super) enum Look<V> {
    Fresh(Value, V),
    Old(Old, V),
    Miss(Miss),
}

/// A value that is served, and is to be refreshed.
pub(super) struct Old {
    pub(super) refresh: Refresh,
    pub(super) is_stale: bool,
    pub(super) value: Value,
}

/// Why a slot holds nothing to serve.
pub(super) enum Miss {
    Empty,
    /// A call computes the value under this token.
    Leased(Token),
    /// The bytes are to be displaced by a compare-and-set.
    Unusable(Bytes),
    /// The value is too old to be served, except where the body fails.
    Fallback(Fallback),
}

/// A value for `stale_if_error`.
pub(super) struct Fallback {
    pub(super) refresh: Refresh,
    pub(super) value: Value,
    pub(super) bytes: Bytes,
}

impl Fallback {
    /// Decodes the value in a call's typed part; returns false if that fails.
    pub(super) async fn keep(&self, typed: &Requests<'_>) -> bool {
        typed.decode(&self.value, &self.bytes).await.unwrap_or(false)
    }
}

/// The state of a value's refresh.
#[derive(Clone, Copy)]
pub(super) struct Refresh {
    /// The id of the value.
    pub(super) id: Token,
    /// The token of the call that refreshes it.
    pub(super) by: Option<Token>,
    /// No call refreshes it, because one failed to a moment ago.
    pub(super) is_pausing: bool,
}

impl Refresh {
    fn of(bytes: &[u8], now: u64) -> Option<Refresh> {
        let Head::Value(mark) = envelope::head(bytes) else { return None };
        let by = mark.token.filter(|_| mark.until > now);
        Some(Refresh { id: mark.id, by, is_pausing: mark.until > now && mark.token.is_none() })
    }
}

/// The meaning of a slot's bytes, before a value is decoded.
pub(super) enum Inspection {
    Usable(Candidate),
    Miss(Miss),
}

/// A value that may be served, as far as its header tells.
pub(super) struct Candidate {
    value: Value,
    bytes: Bytes,
    /// The value is to be refreshed; the second part is true if it is past its lifetime.
    old: Option<(Refresh, bool)>,
}

impl Candidate {
    /// Decodes the value in a call, which keeps it. A hit does not move the candidate.
    #[inline]
    pub(super) fn decode_in(&self, function: &Function, call: &mut dyn Served) -> Result<bool, Undecodable> {
        payload::decode_in(function, Stored::of(&self.value, &self.bytes), call)
    }

    /// The value, without its payload, and the bytes that it was read from.
    #[cfg(feature = "local")]
    pub(super) fn parts(&self) -> (&Value, &Bytes) {
        (&self.value, &self.bytes)
    }

    /// How long the value's body ran.
    #[inline]
    pub(super) fn body_micros(&self) -> u32 {
        self.value.body_micros
    }

    /// Returns true if the value is past its lifetime.
    #[cfg(feature = "local")]
    pub(super) fn is_stale(&self) -> bool {
        self.old.is_some_and(|(_, is_stale)| is_stale)
    }

    /// How the value is to be refreshed, if it is old.
    pub(super) fn into_old(self) -> Option<Old> {
        let (refresh, is_stale) = self.old?;
        Some(Old { refresh, is_stale, value: self.value })
    }

    /// Returns true if the value is to be refreshed.
    pub(super) fn is_old(&self) -> bool {
        self.old.is_some()
    }

    /// Decodes the value in the typed part of a call, which keeps it.
    async fn keep(&self, typed: &Requests<'_>) -> Result<bool, Undecodable> {
        typed.decode(&self.value, &self.bytes).await
    }

    fn found<F>(self, decoded: F) -> Look<F> {
        match self.old {
            None => Look::Fresh(self.value, decoded),
            Some((refresh, is_stale)) => Look::Old(Old { refresh, is_stale, value: self.value }, decoded),
        }
    }
}

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// The present meaning of a slot to this function.
    pub(super) fn look<V>(&self, plan: &Plan<V>, key: &Key, read: Read) -> Look<V> {
        match self.inspect(&plan.terms, key, read) {
            Inspection::Usable(candidate) => self.decoded(plan, key, candidate, decode),
            Inspection::Miss(miss) => Look::Miss(miss),
        }
    }

    /// The meaning of a value that may be served.
    pub(super) fn decoded<V, F>(
        &self,
        plan: &Plan<V>,
        key: &Key,
        candidate: Candidate,
        decode: Decode<V, F>,
    ) -> Look<F> {
        match decode(plan, &candidate.value, &candidate.bytes) {
            Ok(Some(decoded)) => candidate.found(decoded),
            Ok(None) => Look::Miss(self.refused(&plan.terms, key, candidate, None)),
            Err(error) => Look::Miss(self.refused(&plan.terms, key, candidate, Some(&error))),
        }
    }

    /// The same in the typed part of a call, which keeps the value.
    pub(super) async fn keep(&self, key: &Key, candidate: Candidate, typed: &Requests<'_>) -> Look<()> {
        match candidate.keep(typed).await {
            Ok(true) => candidate.found(()),
            Ok(false) => Look::Miss(self.refused(typed.terms(), key, candidate, None)),
            Err(error) => Look::Miss(self.refused(typed.terms(), key, candidate, Some(&error))),
        }
    }

    /// A value cannot be served. Without an error, another function with this key stored a `None`.
    #[cold]
    pub(super) fn refused(&self, terms: &Terms, key: &Key, candidate: Candidate, error: Option<&Undecodable>) -> Miss {
        if let Some(error) = error {
            events::undecodable(terms.function, key, error);
        }
        self.unusable(terms, key, Why::Decode);
        Miss::Unusable(candidate.bytes)
    }

    /// A slot holds a value that cannot be used.
    #[cold]
    fn unusable(&self, terms: &Terms, key: &Key, why: Why) {
        self.cache.counters(terms.function).unusable(why);
        events::unusable(terms.function, key, why);
    }

    /// The meaning of a slot, before its value is decoded. The local tier learns of it.
    #[inline]
    pub(super) fn inspect(&self, terms: &Terms, key: &Key, read: Read) -> Inspection {
        let inspection = self.meaning(terms, key, read);
        #[cfg(feature = "local")]
        self.saw(terms, key, &inspection);
        inspection
    }

    fn meaning(&self, terms: &Terms, key: &Key, read: Read) -> Inspection {
        let Read { bytes, seal, own_seal, times: Times { latest, not_before } } = read;
        let Some(bytes) = bytes else { return Inspection::Miss(Miss::Empty) };
        let value = match envelope::parse(key, terms.function.identities(), &bytes) {
            // A value that is computed under other stamps is out of date before it is stored.
            Content::Lease(token, sealed) if seal == Some(sealed) => return Inspection::Miss(Miss::Leased(token)),
            Content::Value(value) if seal == Some(value.seal) && is_own(terms, &value, own_seal) => value,
            Content::Lease(..) => return Inspection::Miss(Miss::Unusable(bytes)),
            Content::Value(_) => {
                self.unusable(terms, key, Why::Tags);
                return Inspection::Miss(Miss::Unusable(bytes));
            }
            Content::Unusable(why) => {
                self.unusable(terms, key, why);
                return Inspection::Miss(Miss::Unusable(bytes));
            }
        };
        // A value that is fresh then is fresh now, so that most hits do not read the clock.
        if policy::freshness(terms, &value, latest, not_before) == Freshness::Fresh {
            return Inspection::Usable(Candidate { value, bytes, old: None });
        }
        let now = self.store.now(key);
        let freshness = policy::freshness(terms, &value, now, not_before);
        match (freshness, Refresh::of(&bytes, now)) {
            (Freshness::Fresh, _) => Inspection::Usable(Candidate { value, bytes, old: None }),
            (Freshness::Due, Some(refresh)) => {
                Inspection::Usable(Candidate { value, bytes, old: Some((refresh, false)) })
            }
            (Freshness::Stale, Some(refresh)) => {
                Inspection::Usable(Candidate { value, bytes, old: Some((refresh, true)) })
            }
            (Freshness::Fallback, Some(refresh)) => {
                Inspection::Miss(Miss::Fallback(Fallback { refresh, value, bytes }))
            }
            // The refresh began before the value went out of date.
            (Freshness::Expired, Some(Refresh { by: Some(token), .. })) => Inspection::Miss(Miss::Leased(token)),
            _ => {
                events::expired(terms.function, key);
                Inspection::Miss(Miss::Unusable(bytes))
            }
        }
    }
}

/// How a value is read. `Ok(None)` means that the function has no such value.
pub(super) type Decode<V, F> = fn(&Plan<V>, &Value, &Bytes) -> Result<Option<F>, Undecodable>;

/// A value that is intact, but cannot be decoded.
pub(super) struct Undecodable {
    pub(super) error: String,
    /// No other codec is left to write the value in.
    pub(super) is_final: bool,
}

/// Decodes a value. `Ok(None)` is a stored `None` where the type has none.
pub(super) fn decode<V>(plan: &Plan<V>, value: &Value, bytes: &Bytes) -> Result<Option<V>, Undecodable> {
    let mut decoded = None;
    payload::decode(plan.terms.function, Stored::of(value, bytes), &mut |stored| {
        decode_into(plan, stored, &mut decoded)
    })?;
    Ok(decoded)
}

/// Decodes a value into `decoded`, and returns false for a `None` if the function's values have none.
pub(super) fn decode_into<V>(plan: &Plan<V>, stored: Stored<'_>, decoded: &mut Option<V>) -> Result<bool, CodecError> {
    *decoded = match stored {
        Stored::Value(bytes, slot, rank) => Some((plan.codec.decode)(bytes, slot, rank)?),
        Stored::Compressed(..) => return Err(CodecError::new("its compression was not undone")),
        Stored::None => (plan.nones.none)(),
    };
    Ok(decoded.is_some())
}

/// Returns true if a value's own tags are those that the function asks for, and are unchanged.
fn is_own(terms: &Terms, value: &Value, read: Option<Seal>) -> bool {
    match value.own_seal {
        Some(seal) => terms.has_own_tags && read == Some(seal),
        None => !terms.has_own_tags,
    }
}
