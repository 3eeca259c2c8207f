//! Running the body for other calls too, and storing its result.

use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;

use super::events::{self, Attempt, MOST_BYTES};
use super::lease::Leased;
use super::miss::Mandate;
use super::timer::Timer;
use super::work::Work;
use super::{Engine, sealed};
use crate::engine::flight::{Leader, Outcome, within};
use crate::engine::sharing::Errors;
use crate::error::{Error, ErrorKind};
use crate::key::{self, Key};
use crate::plan::function::{Function, Plan, Terms};
use crate::plan::policy::{self, Pace};
use crate::plan::ttl::Ttl;
use crate::poll::caught::caught;
use crate::poll::outlined::{OneOf, outlined};
use crate::store::Store;
use crate::stored::codec::{Rank, Root};
use crate::stored::envelope::{self, Header, Identity, OwnTags, Seal, Token};

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Runs the body for the calls that wait for it.
    pub(super) fn compute<V, E, W: Work<V, E>>(
        &self,
        plan: &Plan<V>,
        key: &Key,
        mandate: Mandate<'_, S>,
        errors: Errors<E>,
        work: W,
    ) -> impl Future<Output = Result<V, E>> {
        match mandate {
            Mandate::Leased(leased) => OneOf::First(outlined(|| self.lead(plan, leased, errors, work))),
            Mandate::Process(leader) => OneOf::Second(outlined(|| self.lead_here(plan, key, leader, errors, work))),
            Mandate::Alone => OneOf::Third(outlined(|| work.run())),
        }
    }

    /// Runs the body under a lease, and fills the slot with its value or gives the lease back.
    pub(super) async fn lead<V, E, W: Work<V, E>>(
        &self,
        plan: &Plan<V>,
        leased: Leased<'_, S>,
        errors: Errors<E>,
        work: W,
    ) -> Result<V, E> {
        let started = Instant::now();
        let pace = Pace::of(&plan.terms());
        // If this is dropped here, by cancellation or a panic, `leased` gives the slot back. The result lives in this
        // `match` alone: no await is in it, so the error need not be `Send`.
        let value = match self.timer.during(pace, &[&leased], within(leased.flight(), async { work.run().await })).await
        {
            Ok(value) => value,
            Err(error) => {
                let outcome = failure(leased.is_followed(), errors, &error);
                leased.failed(outcome);
                return Err(error);
            }
        };
        let names = own_tags(plan, leased.key(), &value);
        let has_tags = names.as_ref().is_none_or(|names| !names.is_empty());
        // All that follows shares one deadline; a value is encoded in its own time.
        let mut left = self.cache.timeout();
        let own = if has_tags {
            let (terms, key) = (plan.terms(), leased.key());
            let by = self.cache.deadline();
            let own = outlined(|| self.stamp_own(terms, key, names, by)).await;
            left = by.saturating_duration_since(Instant::now());
            own
        } else {
            Some(OwnTags::none(plan.tags.is_some()))
        };
        match own.and_then(|own| self.seal(plan, &leased, &own, &value, started)) {
            Some((bytes, ttl)) => {
                leased.share(&bytes);
                let attempt = Attempt { key: leased.key(), bytes: bytes.len(), started };
                let by = Instant::now() + left;
                let filled = outlined(|| leased.fill(bytes, ttl, by)).await;
                self.filled(&plan.terms(), attempt, &filled);
            }
            // The value's tags may have been invalidated by now, and no call could tell.
            None if has_tags => leased.unstored(Outcome::Unshared),
            None => {
                let outcome = unstored(plan, leased.key(), leased.is_followed(), &value);
                leased.unstored(outcome);
            }
        }
        Ok(value)
    }

    /// Runs the body for the calls of this process, without a right to store its value.
    pub(super) async fn lead_here<V, E, W: Work<V, E>>(
        &self,
        plan: &Plan<V>,
        key: &Key,
        leader: Leader,
        errors: Errors<E>,
        work: W,
    ) -> Result<V, E> {
        match within(leader.flight(), async { work.run().await }).await {
            Ok(value) => {
                leader.publish(unstored(plan, key, leader.is_followed(), &value));
                Ok(value)
            }
            Err(error) => {
                leader.publish(failure(leader.is_followed(), errors, &error));
                Err(error)
            }
        }
    }

    /// The bytes to store, and for how long; `None` for a value that is not stored.
    pub(super) fn seal<V>(
        &self,
        plan: &Plan<V>,
        leased: &Leased<'_, S>,
        own: &OwnTags,
        value: &V,
        started: Instant,
    ) -> Option<(Bytes, Ttl)> {
        match self.encode(plan, leased, own, value, started) {
            Ok(sealed) => sealed,
            Err(error) => {
                events::unencodable(plan.function, leased.key(), &error);
                None
            }
        }
    }

    /// The tags that a value has of its own, with their stamps. `None` means that they cannot be had, and that the
    /// value must not be stored. This does not look at the value, which therefore need not be `Sync`.
    pub(super) async fn stamp_own(
        &self,
        terms: Terms,
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

    /// This is [`seal`](Self::seal), but it returns the reason if a value cannot be encoded.
    pub(super) fn encode<V>(
        &self,
        plan: &Plan<V>,
        leased: &Leased<'_, S>,
        own: &OwnTags,
        value: &V,
        started: Instant,
    ) -> Result<Option<(Bytes, Ttl)>, Error> {
        let ttl = caught(|| policy::lifetime(plan, value, leased.id().as_random()));
        let Some(ttl) = ttl.map_err(|panicked| unencodable(&format!("`ttl` or `cache_if`: {panicked}")))? else {
            return Ok(None);
        };
        let Some((buffer, kind)) = payload(plan, own, value)? else { return Ok(None) };
        if buffer.len() > MOST_BYTES {
            return Err(unencodable(&format!("it takes {} bytes, and Redis stores no more than 512 MB", buffer.len())));
        }
        Ok(Some(self.finish(&plan.terms(), leased, ttl, kind, buffer, started)))
    }

    /// The bytes to store for an id that has no value.
    pub(super) fn seal_none<V>(
        &self,
        plan: &Plan<V>,
        leased: &Leased<'_, S>,
        started: Instant,
    ) -> Option<(Bytes, Ttl)> {
        // A stored `None` would be taken for a value.
        if (plan.nones.none)().is_some() {
            return None;
        }
        let ttl = policy::lifetime_of_none(plan, leased.id().as_random())?;
        let buffer = envelope::buffer(&OwnTags::none(plan.tags.is_some()));
        Some(self.finish(&plan.terms(), leased, ttl, Payload::None, buffer, started))
    }

    fn finish(
        &self,
        terms: &Terms,
        leased: &Leased<'_, S>,
        ttl: Ttl,
        kind: Payload,
        mut buffer: Vec<u8>,
        started: Instant,
    ) -> (Bytes, Ttl) {
        let now = self.store.now(leased.key());
        let header = Header {
            identity: kind.identity(terms.function),
            seal: leased.seal(),
            leased_at: leased.since(),
            filled_at: now,
            fresh_until: policy::fresh_until(ttl, now),
            body_millis: u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX),
            negative: matches!(kind, Payload::None),
        };
        envelope::seal(leased.key(), leased.id(), &header, &mut buffer);
        (buffer.into(), policy::kept(terms, ttl))
    }
}

/// The outcome for followers of a value that is not stored. No other process sees these bytes.
pub(super) fn unstored<V>(plan: &Plan<V>, key: &Key, is_followed: bool, value: &V) -> Outcome {
    if !is_followed {
        return Outcome::Unshared;
    }
    match payload(plan, &OwnTags::default(), value) {
        Ok(Some((buffer, kind))) => unstored_bytes(plan.function, key, buffer, kind),
        _ => Outcome::Unshared,
    }
}

/// The same for an id that has no value.
pub(super) fn unstored_none<V>(plan: &Plan<V>, key: &Key) -> Outcome {
    unstored_bytes(plan.function, key, envelope::buffer(&OwnTags::default()), Payload::None)
}

fn unstored_bytes(function: &Function, key: &Key, mut buffer: Vec<u8>, kind: Payload) -> Outcome {
    let Some(id) = Token::random() else { return Outcome::Unshared };
    let header = Header {
        identity: kind.identity(function),
        seal: Seal::default(),
        leased_at: 0,
        filled_at: 0,
        fresh_until: 0,
        body_millis: 0,
        negative: matches!(kind, Payload::None),
    };
    envelope::seal(key, id, &header, &mut buffer);
    Outcome::Value(buffer.into())
}

/// The part of the bytes that follows the header.
#[derive(Clone, Copy)]
enum Payload {
    /// A value, which the codec of this rank wrote.
    Value(Rank),
    /// Nothing: a stored `None`.
    None,
}

impl Payload {
    fn identity(self, function: &Function) -> Identity {
        match self {
            Payload::Value(rank) => function.identity(rank),
            Payload::None => function.identity(Rank::First),
        }
    }
}

/// The encoded value, after room for its header. `None` is returned for a `None` or an `Err` that a generic function
/// hides from the attribute in its type parameter.
fn payload<V>(plan: &Plan<V>, own: &OwnTags, value: &V) -> Result<Option<(Vec<u8>, Payload)>, Error> {
    let mut buffer = envelope::buffer(own);
    if (plan.nones.is_none)(value) {
        return Ok(Some((buffer, Payload::None)));
    }
    let root = caught(|| (plan.codec.root)(value));
    if root.map_err(|panicked| unencodable(&format!("its `Serialize`: {panicked}")))? != Root::Other {
        return Ok(None);
    }
    match plan.encode(value, &mut buffer) {
        Ok(rank) => Ok(Some((buffer, Payload::Value(rank)))),
        Err(error) => Err(unencodable(&error)),
    }
}

#[cold]
fn unencodable(reason: &dyn Display) -> Error {
    Error::new(ErrorKind::Codec, reason.to_string())
}

/// The names of the tags that a value has of its own; `None` if they cannot be had.
pub(super) fn own_tags<V>(plan: &Plan<V>, key: &Key, value: &V) -> Option<Vec<String>> {
    let Some(tags) = plan.tags else { return Some(Vec::new()) };
    let tags = caught(|| tags(value)).map_err(|panicked| {
        events::unencodable(plan.function, key, &unencodable(&format!("`tags`: {panicked}")));
    });
    let mut names: Vec<String> = tags.ok()?.iter().map(|tag| key::tag_name(tag)).collect();
    names.sort_unstable();
    names.dedup();
    Some(names)
}

fn failure<E>(is_followed: bool, errors: Errors<E>, error: &E) -> Outcome {
    let shared = if is_followed { errors.share(error) } else { None };
    shared.map_or(Outcome::Failed, |shared| Outcome::Error(Arc::new(Mutex::new(shared))))
}
