//! The tier in a call.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::front::Front;
use super::map::Entry;
use super::tickets::{Tags, Ticket};
use super::{Known, Tier};
use crate::engine::context::Context;
use crate::engine::look::{Candidate, Inspection, Undecodable};
use crate::engine::timer::Timer;
use crate::engine::typed::{Requests, Served};
use crate::engine::{Engine, Verb};
use crate::error::Error;
use crate::key::{Key, KeyWriter};
use crate::observe::{BatchTally, Counters};
use crate::plan::function::{Plan, Terms};
use crate::plan::local::{Decoded, LocalFns};
use crate::plan::policy;
use crate::plan::result::ResultLike;
use crate::poll::caught::{caught, caught_unless, is_plain, is_shared};
use crate::poll::coarse::Coarse;
use crate::store::tracking::{About, Answered, Inquiry, Question, Vouched};
use crate::store::{self, Store};
use crate::stored::envelope::{self, Content, Head, Seal, Token, Value};

/// An entry is confirmed again after this time at the latest: it stays in use at the server, which evicts what seems
/// idle; and a server that lost track of it does harm for no longer.
const LONGEST: u64 = 60_000;

/// The pause after which another call tries to refresh a value that is due, in milliseconds: no call does for as long after
/// a refresh that failed.
pub(super) const AGAIN: u64 = 1_000;

/// More than the coarse clock lags, in milliseconds.
const LAG: u64 = 8;

/// A value that a call read, and that may be kept.
pub(crate) struct Offer<'a> {
    pub(crate) key: &'a Key,
    pub(crate) terms: &'a Terms,
    pub(crate) id: Token,
    pub(crate) value: &'a Value,
    pub(crate) bytes: &'a [u8],
    pub(crate) decoded: Decoded,
    /// The present time of the store.
    pub(crate) now: u64,
}

/// The value of a call that this process keeps, in front of the call; else its key.
#[inline]
pub fn kept_value<V>(
    cache: &Context,
    plan: &Plan<V>,
    key: Result<Key, Error>,
    verb: Verb,
) -> Result<V, Result<Key, Error>> {
    let (Ok(of), Some(local), Verb::Call) = (&key, &plan.local, verb) else { return Err(key) };
    // Another function has its name: what is kept under it is not its own.
    if plan.terms.function.refusal().is_some() {
        return Err(key);
    }
    match cache.local_hit(local, &plan.terms, of) {
        Some(value) => {
            // The next key of this thread needs no allocation.
            key.map(Key::recycle).ok();
            Ok(value)
        }
        None => Err(key),
    }
}

/// The value that this process keeps, in front of the call. `write` writes the key, which has no tags.
#[inline]
pub fn kept_value_at<V>(cache: &Context, plan: &Plan<V>, verb: Verb, write: impl FnOnce(&mut KeyWriter)) -> Option<V> {
    let (Some(local), Verb::Call) = (&plan.local, verb) else { return None };
    let (known, mut front) = cache.local_key(&plan.terms)?;
    write(&mut front.writer);
    let hit = cache.local_entry_at(known, &mut front).and_then(|entry| {
        // A `Clone` that panics makes no hit.
        let value = caught_unless(is_plain::<V>() || is_shared::<V>(), || (local.cloned)(&*entry.value)).ok()??;
        known.counters.local_hit(entry.body_micros);
        Some(value)
    });
    front.keep();
    hit
}

/// [`kept_value_at`] of a function that returns a `Result`, of which the `Ok` is kept.
#[inline]
pub fn kept_result_at<R: ResultLike>(
    cache: &Context,
    plan: &Plan<R::Ok>,
    verb: Verb,
    write: impl FnOnce(&mut KeyWriter),
) -> Option<R> {
    kept_value_at(cache, plan, verb, write).map(|value| R::from_result(Ok(value)))
}

/// [`kept_value`] of a function that returns a `Result`, of which the `Ok` is kept.
#[inline]
pub fn kept_result<R: ResultLike>(
    cache: &Context,
    plan: &Plan<R::Ok>,
    key: Result<Key, Error>,
    verb: Verb,
) -> Result<R, Result<Key, Error>> {
    kept_value(cache, plan, key, verb).map(|value| R::from_result(Ok(value)))
}

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Notes what a look found.
    #[inline]
    pub(in crate::engine) fn saw(&self, terms: &Terms, key: &Key, inspection: &Inspection) {
        if terms.local != 0 {
            let id = match inspection {
                Inspection::Usable(candidate) => id_of(candidate.parts().1),
                Inspection::Miss(_) => None,
            };
            self.cache.saw(key, id);
        }
    }

    /// Decodes a value in a call, which keeps it, and offers it to the tier. A value that this process has is not decoded
    /// again.
    #[inline]
    pub(in crate::engine) fn decode(
        &self,
        terms: &Terms,
        key: &Key,
        candidate: &Candidate,
        call: &mut dyn Served,
    ) -> Result<bool, Undecodable> {
        if terms.local == 0 {
            return candidate.decode_in(terms.function, call);
        }
        self.decode_to_keep(terms, key, candidate, call)
    }

    /// Offers a value that was stored just now to the tier.
    pub(in crate::engine) async fn offer_stored(&self, key: &Key, bytes: &Bytes, typed: &Requests<'_>) {
        if self.cache.may_keep(typed.terms(), key, bytes)
            && let Some(decoded) = typed.to_keep(envelope::times(bytes)).await
        {
            self.offer_bytes(typed.terms(), key, bytes, decoded);
        }
    }

    fn offer_bytes(&self, terms: &Terms, key: &Key, bytes: &Bytes, decoded: Decoded) {
        let Content::Value(value) = envelope::parse(key, terms.function.identities(), bytes) else { return };
        let Some(id) = id_of(bytes) else { return };
        self.cache.offer(Offer { key, terms, id, value: &value, bytes, decoded, now: self.store.now(key) });
    }

    /// The values of a call for many ids that this process keeps.
    pub(in crate::engine) fn find_locally<V>(
        &self,
        plan: &Plan<V>,
        keys: &[Option<Key>],
        tally: &BatchTally,
        found: &mut [Option<Option<V>>],
    ) {
        let Some(local) = plan.local.as_ref().filter(|_| plan.terms.local != 0) else { return };
        for (key, found) in keys.iter().zip(found) {
            if let Some(key) = key {
                *found = self.cache.kept(local, &plan.terms, key).map(|(value, entry, _)| {
                    tally.local_hit(entry.body_micros);
                    Some(value)
                });
            }
        }
    }

    /// Offers a value that a call for many ids read.
    pub(in crate::engine) fn offer_of_many<V>(&self, plan: &Plan<V>, key: &Key, value: &Value, bytes: &[u8], read: &V) {
        if let (Some(local), Some(id)) = (&plan.local, id_of(bytes))
            && self.cache.may_keep(&plan.terms, key, bytes)
            && let Ok(decoded) = caught(|| (local.kept)(read, envelope::times(bytes)))
        {
            let terms = &plan.terms;
            self.cache.offer(Offer { key, terms, id, value, bytes, decoded, now: self.store.now(key) });
        }
    }

    fn decode_to_keep(
        &self,
        terms: &Terms,
        key: &Key,
        candidate: &Candidate,
        call: &mut dyn Served,
    ) -> Result<bool, Undecodable> {
        let (value, bytes) = candidate.parts();
        let Some(id) = id_of(bytes) else { return candidate.decode_in(terms.function, call) };
        let kept = self.cache.local_value(terms, key, id).filter(|kept| call.keep_copy(kept));
        let is_kept = kept.is_some() || candidate.decode_in(terms.function, call)?;
        if is_kept && !candidate.is_stale() && self.cache.may_keep(terms, key, bytes) {
            let decoded = kept.or_else(|| call.to_keep(envelope::times(bytes)));
            if let Some(decoded) = decoded {
                let now = self.store.now(key);
                self.cache.offer(Offer { key, terms, id, value, bytes, decoded, now });
            }
        }
        Ok(is_kept)
    }
}

/// The id of a value.
fn id_of(bytes: &[u8]) -> Option<Token> {
    match envelope::head(bytes) {
        Head::Value(mark) => Some(mark.id),
        Head::Lease(..) | Head::Other => None,
    }
}

impl Context {
    /// A copy of the value that this process keeps, if it may be served.
    #[inline]
    pub(crate) fn local_hit<V>(&self, local: &LocalFns<V>, terms: &Terms, key: &Key) -> Option<V> {
        let (value, entry, counters) = self.kept(local, terms, key)?;
        counters.local_hit(entry.body_micros);
        Some(value)
    }

    /// The same with its entry, and the counters of the function.
    #[inline]
    fn kept<V>(&self, local: &LocalFns<V>, terms: &Terms, key: &Key) -> Option<(V, Arc<Entry>, &Counters)> {
        let (entry, counters) = self.local_entry(terms, key)?;
        // A `Clone` that panics makes no hit.
        let value = caught(|| (local.cloned)(&*entry.value)).ok()??;
        Some((value, entry, counters))
    }

    /// Starts the key of an entry, if the function may have entries here.
    #[inline]
    fn local_key(&self, terms: &Terms) -> Option<(&Known, Box<Front>)> {
        let known = self.tier().get()?.known(terms);
        Some((known, Front::take(known.stem.as_deref()?)))
    }

    /// The value of the key that was written, if it may be served. It is compiled once for all functions.
    fn local_entry_at<'f>(&self, known: &Known, front: &'f mut Front) -> Option<&'f Entry> {
        let found = front.good(known, Coarse::now())?;
        if self.has_undelivered() { None } else { Some(found) }
    }

    /// The value that this process keeps, if it may be served. It is compiled once for all functions.
    fn local_entry(&self, terms: &Terms, key: &Key) -> Option<(Arc<Entry>, &Counters)> {
        let found = self.tier().get()?.good(terms, key, Coarse::now())?;
        if self.has_undelivered() { None } else { Some(found) }
    }

    /// The decoded value with this id, if this process has it. It need not be decoded again.
    pub(crate) fn local_value(&self, terms: &Terms, key: &Key, id: Token) -> Option<Decoded> {
        self.tier().get()?.kept(terms, key, id).map(|entry| Arc::clone(&entry.value))
    }

    /// Returns true if a value may be kept: it is not copied for nothing.
    fn may_keep(&self, terms: &Terms, key: &Key, bytes: &[u8]) -> bool {
        terms.local != 0
            && !self.has_undelivered()
            && self.made_tier().map(terms).weight(key.as_str(), envelope::raw_len(bytes)).is_some()
    }

    /// Notes what the store had in a slot: another value than the one that is kept. A call that began after this one
    /// ended must not get an older value than this one.
    pub(crate) fn saw(&self, key: &Key, id: Option<Token>) {
        if let Some(tier) = self.tier().get() {
            tier.saw(key.as_str(), id);
        }
    }

    /// Offers a value, which is kept once the store confirms it.
    pub(crate) fn offer(&self, offer: Offer<'_>) {
        let tier = self.made_tier();
        // The order matters. A write whose invalidation is in doubt is noted as undelivered before it voids for the second
        // time: this offer sees one or the other, or its ticket is voided.
        let voids = tier.voids();
        if self.has_undelivered() || tier.is_asked_or_kept(&offer) {
            return;
        }
        let names = store::own_tags(offer.key, offer.bytes);
        let Some(ticket) = tier.ticket(&offer, names) else { return };
        let now = Coarse::now();
        let asked: Vec<_> = ticket
            .tags
            .iter()
            .flat_map(|tags| &tags.cells)
            .filter_map(|(name, cell)| Some((name.clone(), Arc::clone(cell), cell.ask(now)?)))
            .collect();
        let Some(pending) = tier.pending(offer.key.as_str(), ticket, voids) else { return };
        let stamps = asked.into_iter().map(|(name, cell, number)| {
            let question = Question { name: name.into(), about: About::Stamp };
            let answered = Box::new(move |answer: Option<&Bytes>, vouched: Vouched| {
                cell.answered(number, answer, vouched);
            });
            (question, answered as Answered)
        });
        let context = self.downgrade();
        let head = Question { name: (*pending.key).into(), about: About::Head };
        let concluded = Box::new(move |answer: Option<&Bytes>, vouched: Vouched| {
            // A cache that is gone keeps nothing.
            let is_closed = || context.upgrade().is_none_or(|context| context.has_undelivered());
            pending.conclude(answer.map(|bytes| &**bytes), vouched, is_closed);
        });
        let inquiries = stamps.chain(std::iter::once((head, concluded as Answered)));
        self.inquire(inquiries.map(|(question, answered)| Inquiry { question, answered }));
    }
}

impl Tier {
    pub(super) fn saw(&self, key: &str, id: Option<Token>) {
        let mut removed = Vec::new();
        let mut tickets = self.tickets(key);
        let dropped = if tickets.is_for_other(key, id) { tickets.remove(key) } else { None };
        self.each_map(|map| {
            if map.peek(key).is_some_and(|entry| Some(entry.id) != id) {
                removed.extend(map.remove(key));
            }
        });
        drop(tickets);
        drop((removed, dropped));
    }

    /// Returns true if the value is being confirmed, or is kept and may be served: a call that read it before, and ends after
    /// others have offered it, does not make the store be asked again.
    fn is_asked_or_kept(&self, Offer { terms, key, id, .. }: &Offer<'_>) -> bool {
        // Under the lock: a value that is no longer being confirmed is there.
        let tickets = self.tickets(key.as_str());
        let is_good = |entry: Arc<Entry>| entry.is_good(Coarse::now());
        tickets.is_for(key.as_str(), *id) || self.kept(terms, key, *id).is_some_and(is_good)
    }

    /// The ticket for a value that is offered; `None` if it is not to be kept.
    fn ticket(&self, offer: &Offer<'_>, own_tags: Vec<String>) -> Option<Ticket> {
        let Offer { terms, value, now, .. } = offer;
        let left = value.fresh_until.saturating_sub(*now).min(LONGEST).checked_sub(LAG)?;
        let present = Coarse::now();
        let after = |millis| present.after(Duration::from_millis(millis));
        let due = policy::due_in(terms, value, *now);
        let own_seal = if own_tags.is_empty() { Seal::default() } else { value.own_seal.unwrap_or_default() };
        let tags = |names: &[String], seal| {
            let cells = names.iter().map(|name| (name.clone(), self.cell(name))).collect();
            Tags { cells, seal }
        };
        let map = self.map(terms);
        let bytes = envelope::raw_len(offer.bytes);
        let weight = map.weight(offer.key.as_str(), bytes)?;
        Some(Ticket {
            number: self.number(),
            map: Arc::clone(map),
            value: Arc::clone(&offer.decoded),
            id: offer.id,
            function: terms.function,
            has_own_tags: terms.has_own_tags,
            tags: [tags(offer.key.tags(), value.seal), tags(&own_tags, own_seal)],
            until: after(left),
            body_micros: value.body_micros,
            due: due.map_or(Coarse(u64::MAX), |due| after(if due == 0 { AGAIN } else { due })),
            bytes,
            weight,
        })
    }
}
