//! Running the body for other calls too, and storing its result.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tracing::Span;

use super::events::{self, Attempt, MOST_BYTES, Role};
use super::lease::Leased;
use super::miss::Mandate;
use super::payload::{self, Encoded, Payload};
use super::timer::Timer;
use super::typed::{End, Requests, Returned};
use super::{Engine, sealed};
use crate::engine::flight::{Leader, Outcome};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::observe::{BodyTimer, FillResult};
use crate::plan::erased::StoredValue;
use crate::plan::function::{Function, Terms};
use crate::plan::policy::{self, Pace};
use crate::plan::ttl::Ttl;
use crate::poll::outlined::outlined;
use crate::store::Store;
use crate::stored::envelope::{self, Header, OwnTags, Seal, Token};

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Runs the body for the calls that wait for it.
    pub(super) async fn compute(&self, key: &Key, mandate: Mandate<'_, S>, typed: &Requests<'_>) -> End {
        match mandate {
            Mandate::Leased(leased) => self.lead(leased, Role::Leader, typed).await.end,
            Mandate::Process(leader) => self.lead_here(key, leader, typed).await,
            Mandate::Alone => {
                let mut timer = self.body_timer(typed.terms(), key, Role::Alone);
                let returned = typed.run(None, timer.span(), false).await;
                timer.ended(returned.into());
                end(returned)
            }
        }
    }

    /// Runs the body under a lease, and fills the slot with its value or gives the lease back.
    pub(super) async fn lead(&self, leased: Leased<'_, S>, role: Role, typed: &Requests<'_>) -> Led {
        let started = Instant::now();
        let mut timer = self.body_timer(typed.terms(), leased.key(), role);
        // If this is dropped here, by cancellation or a panic, `leased` gives the slot back.
        let returned = self.run_leased(&leased, timer.span(), typed).await;
        let body = timer.ended(returned.into());
        if !returned.is_value() {
            let outcome = failure(leased.is_followed(), typed).await;
            leased.failed(outcome);
            return Led { end: End::Error, is_stored: false };
        }
        let (own, has_tags, left) = self.own_tags_of(&leased, typed).await;
        let sealed = match own {
            Some(own) => self.sealed(&leased, own, body, typed).await,
            None => Err(Unsealed::Untagged),
        };
        match sealed {
            Ok((bytes, ttl)) => {
                leased.share(&bytes);
                let attempt = Attempt { key: leased.key(), bytes: bytes.len(), started };
                #[cfg(feature = "local")]
                let (key, stored) = (leased.key(), (typed.terms().local != 0).then(|| bytes.clone()));
                let filled = leased.fill(bytes, ttl, Instant::now() + left).await;
                self.filled(typed.terms(), attempt, &filled);
                #[cfg(feature = "local")]
                if let (Ok(true), Some(stored)) = (&filled, stored) {
                    self.offer_stored(key, &stored, typed).await;
                }
                Led { end: End::Value, is_stored: matches!(filled, Ok(true)) }
            }
            Err(unsealed) => {
                self.unsealed(typed.terms(), leased.key(), &unsealed);
                typed.terms().function.left_unstored();
                // The value's tags may have been invalidated by now, and no call could tell.
                let outcome = match has_tags {
                    true => Outcome::Unshared,
                    false => unstored_by(leased.key(), leased.is_followed(), typed).await,
                };
                leased.unstored(outcome);
                Led { end: End::Value, is_stored: false }
            }
        }
    }

    pub(super) fn body_timer(&self, terms: &Terms, key: &Key, role: Role) -> BodyTimer<'_> {
        let span = events::body_span(terms.function, Some(key), role);
        BodyTimer::start(self.cache.counters(terms.function), span)
    }

    /// Runs the body for the calls of this process, without a right to store its value.
    async fn lead_here(&self, key: &Key, leader: Leader, typed: &Requests<'_>) -> End {
        let mut timer = self.body_timer(typed.terms(), key, Role::Leader);
        let returned = typed.run(Some(leader.flight()), timer.span(), false).await;
        timer.ended(returned.into());
        if returned.is_value() {
            leader.publish(unstored_by(key, leader.is_followed(), typed).await);
        } else {
            leader.publish(failure(leader.is_followed(), typed).await);
        }
        end(returned)
    }

    /// Runs the body while the lease is renewed.
    async fn run_leased(&self, leased: &Leased<'_, S>, span: &Span, typed: &Requests<'_>) -> Returned {
        let flight = leased.flight();
        if T::POLLS_BODY_FIRST
            && let Some(returned) = typed.start(flight, span).await
        {
            return returned;
        }
        let body = typed.run(Some(flight), span, T::POLLS_BODY_FIRST);
        self.timer.during(Pace::of(typed.terms()), &[leased], body).await
    }

    /// The tags that the value has of its own, whether it has some, and the time that is left to store it.
    async fn own_tags_of(&self, leased: &Leased<'_, S>, typed: &Requests<'_>) -> (Option<OwnTags>, bool, Duration) {
        let terms = typed.terms();
        if !terms.has_own_tags {
            return (Some(OwnTags::none(false)), false, self.cache.timeout());
        }
        let names = reported(terms, leased.key(), typed.own_tags().await);
        if names.as_ref().is_some_and(Vec::is_empty) {
            return (Some(OwnTags::none(true)), false, self.cache.timeout());
        }
        // All that follows shares one deadline; a value is encoded in its own time.
        let by = self.cache.deadline();
        let own = outlined(|| self.stamp_own(terms, leased.key(), names, by)).await;
        (own, true, by.saturating_duration_since(Instant::now()))
    }

    /// The bytes to store, and for how long.
    async fn sealed(
        &self,
        leased: &Leased<'_, S>,
        own: OwnTags,
        body: Duration,
        typed: &Requests<'_>,
    ) -> Result<(Bytes, Ttl), Unsealed> {
        let encoded = typed.encode(own, leased.id().as_random()).await;
        Ok(self.finish(typed.terms(), leased, self.storable(typed.terms(), encoded)?, body))
    }

    /// Counts a value that is not stored, and logs the reason if it is an error.
    pub(super) fn unsealed(&self, terms: &Terms, key: &Key, unsealed: &Unsealed) {
        let result = match unsealed {
            Unsealed::NotToBeStored => {
                events::not_stored(terms.function, key, &"the function says so");
                FillResult::NotCacheable
            }
            Unsealed::Unencodable(error) => {
                events::unencodable(terms.function, key, error);
                FillResult::NotCacheable
            }
            Unsealed::TooLarge(error) => {
                events::unencodable(terms.function, key, error);
                FillResult::TooLarge
            }
            Unsealed::Untagged => FillResult::Failed,
        };
        self.cache.counters(terms.function).fill(result);
    }

    /// The tags that a value has of its own, with their stamps. `None` means that they cannot be had, and that the
    /// value must not be stored. This does not look at the value, which therefore need not be `Sync`.
    pub(super) async fn stamp_own(
        &self,
        terms: &Terms,
        key: &Key,
        names: Option<Vec<String>>,
        by: Instant,
    ) -> Option<OwnTags> {
        let names = names?;
        if names.is_empty() {
            return Some(OwnTags::none(terms.has_own_tags));
        }
        let keys: Vec<String> = names.iter().map(|name| key.tag_key(name)).collect();
        match self.store.stamp(&keys, by).await {
            Ok(stamps) => OwnTags::new(names, sealed(&keys, &stamps)).or_else(|| {
                events::unencodable(terms.function, key, &Error::new(ErrorKind::Codec, "it has too many tags"));
                None
            }),
            Err(error) => {
                events::uncached(terms.function, key, &error);
                None
            }
        }
    }

    /// The bytes to store for a value, and for how long. `body` is how long its body ran, which is nothing for a value that
    /// no body computed.
    pub(super) fn encode(
        &self,
        terms: &Terms,
        leased: &Leased<'_, S>,
        own: &OwnTags,
        value: &dyn StoredValue,
        body: Duration,
    ) -> Result<(Bytes, Ttl), Unsealed> {
        let encoded = payload::encode(terms, value, own, leased.id().as_random());
        Ok(self.finish(terms, leased, self.storable(terms, encoded)?, body))
    }

    /// The bytes to store for an id that has no value.
    pub(super) fn seal_none(
        &self,
        terms: &Terms,
        leased: &Leased<'_, S>,
        body: Duration,
    ) -> Result<(Bytes, Ttl), Unsealed> {
        let ttl = policy::lifetime_of_none(terms, leased.id().as_random()).ok_or(Unsealed::NotToBeStored)?;
        let buffer = envelope::buffer(&OwnTags::none(terms.has_own_tags));
        let encoded = Encoded { buffer, kind: Payload::None, raw_at: None, ttl };
        Ok(self.finish(terms, leased, (encoded, false), body))
    }

    /// The encoded value, and true if it is compressed, if Redis can store it.
    fn storable(&self, terms: &Terms, encoded: Result<Option<Encoded>, Error>) -> Result<(Encoded, bool), Unsealed> {
        let encoded = encoded.map_err(Unsealed::Unencodable)?.ok_or(Unsealed::NotToBeStored)?;
        let compression = terms.compress.unwrap_or_else(|| self.cache.compression());
        let (encoded, is_compressed) = encoded.compressed(compression);
        let length = encoded.buffer.len();
        if length > MOST_BYTES {
            let detail = format!("it takes {length} bytes, and Redis stores no more than 512 MB");
            return Err(Unsealed::TooLarge(Error::new(ErrorKind::Codec, detail)));
        }
        Ok((encoded, is_compressed))
    }

    fn finish(
        &self,
        terms: &Terms,
        leased: &Leased<'_, S>,
        (encoded, is_compressed): (Encoded, bool),
        body: Duration,
    ) -> (Bytes, Ttl) {
        let Encoded { mut buffer, kind, ttl, .. } = encoded;
        let now = self.store.now(leased.key());
        let header = Header {
            identity: kind.identity(terms.function),
            seal: leased.seal(),
            leased_at: leased.since(),
            filled_at: now,
            fresh_until: policy::fresh_until(ttl, now),
            body_micros: u32::try_from(body.as_micros()).unwrap_or(u32::MAX),
            negative: matches!(kind, Payload::None),
            compressed: is_compressed,
        };
        envelope::seal(leased.key(), leased.id(), &header, &mut buffer);
        // It is kept without the room that it grew in. An allocator may copy all of it to save a little.
        if self.store.keeps_values() && buffer.capacity() - buffer.len() > buffer.len() / 1024 {
            buffer.shrink_to_fit();
        }
        (buffer.into(), policy::kept(terms, ttl))
    }
}

/// The end of a body that ran under a lease.
#[derive(Clone, Copy)]
pub(super) struct Led {
    pub(super) end: End,
    /// The slot holds the body's value.
    pub(super) is_stored: bool,
}

/// Why a value is not stored.
pub(super) enum Unsealed {
    /// The function says so.
    NotToBeStored,
    Unencodable(Error),
    TooLarge(Error),
    /// The tags that it has of its own cannot be had.
    Untagged,
}

fn end(returned: Returned) -> End {
    if returned.is_value() { End::Value } else { End::Error }
}

/// The outcome for followers of the body's error.
async fn failure(is_followed: bool, typed: &Requests<'_>) -> Outcome {
    let shared = if is_followed { typed.share_error().await } else { None };
    shared.map_or(Outcome::Failed, |shared| Outcome::Error(Arc::new(Mutex::new(shared))))
}

/// The outcome for followers of the body's value, which is not stored.
async fn unstored_by(key: &Key, is_followed: bool, typed: &Requests<'_>) -> Outcome {
    let encoded = if is_followed { typed.encode_unstored().await } else { None };
    encoded.map_or(Outcome::Unshared, |encoded| unstored_bytes(typed.terms().function, key, encoded))
}

/// The outcome for followers of a value that is not stored. No other process sees these bytes.
pub(super) fn unstored(function: &Function, key: &Key, is_followed: bool, value: &dyn StoredValue) -> Outcome {
    if !is_followed {
        return Outcome::Unshared;
    }
    match payload::payload(function, value, &OwnTags::default()) {
        Ok(Some(encoded)) => unstored_bytes(function, key, encoded),
        _ => Outcome::Unshared,
    }
}

/// The same for an id that has no value.
pub(super) fn unstored_none(function: &Function, key: &Key) -> Outcome {
    let buffer = envelope::buffer(&OwnTags::default());
    unstored_bytes(function, key, Encoded { buffer, kind: Payload::None, raw_at: None, ttl: Ttl::Forever })
}

fn unstored_bytes(function: &Function, key: &Key, Encoded { mut buffer, kind, .. }: Encoded) -> Outcome {
    let Some(id) = Token::random() else { return Outcome::Unshared };
    let header = Header {
        identity: kind.identity(function),
        seal: Seal::default(),
        leased_at: 0,
        filled_at: 0,
        fresh_until: 0,
        body_micros: 0,
        negative: matches!(kind, Payload::None),
        compressed: false,
    };
    envelope::seal(key, id, &header, &mut buffer);
    Outcome::Value(buffer.into())
}

/// The names of the tags that a value has of its own; `None` if they cannot be had.
pub(super) fn own_tags(terms: &Terms, key: &Key, value: &dyn StoredValue) -> Option<Vec<String>> {
    if terms.has_own_tags { reported(terms, key, payload::own_tags(value)) } else { Some(Vec::new()) }
}

fn reported(terms: &Terms, key: &Key, names: Result<Vec<String>, Error>) -> Option<Vec<String>> {
    names.map_err(|error| events::unencodable(terms.function, key, &error)).ok()
}
