//! A round of a call: stored values are read, missing ids are leased, and for each of the others the round finds the
//! call that computes it.
//!
//! Each step sorts the ids that are still open: a value is found, or the call computes the id, or waits for the call that
//! does. An id that no step settles is left to the next round.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use bytes::Bytes;

use super::leases::{Assignment, LeaseRequest, LeaseSet};
use super::{Call, Open, Unasked, Waiter, decode_id};
use crate::engine::Engine;
use crate::engine::events;
use crate::engine::flight::{Joinable, Role};
use crate::engine::lease::Leased;
use crate::engine::look::{Inspection, Look, Miss};
use crate::engine::timer::Timer;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::observe::{BatchTally, CallResult};
use crate::plan::function::{Function, Plan, SingleFlight, Terms};
use crate::store::{MOST, Precondition, Read, Store, TakeReply, TakeRequest};
use crate::stored::envelope::{self, Lease, Seal, Token};

/// The assignment of the missing ids. Some may be left to the next round.
pub(super) struct Round<'a, S: Store> {
    pub(super) assignments: Vec<Assignment<'a, S>>,
    pub(super) waiters: Vec<Waiter<'a>>,
    /// The ids that one call of this process computes for the others.
    candidates: Vec<Candidate<'a>>,
    /// Nothing is left to a next round.
    is_last: bool,
}

/// An id that this call computes, unless another call of this process does.
struct Candidate<'a> {
    at: usize,
    key: &'a Key,
    /// The lease that was seen in its slot, if it is shared by that, or why not.
    seen: Result<Token, Unasked>,
    joinable: Joinable,
}

/// A slot to lease.
struct Vacancy<'a> {
    at: usize,
    key: &'a Key,
    precondition: Precondition,
    /// The seal of its tags, as they were read.
    seal: Option<Seal>,
}

/// The reply to a lease request. A lease that was not granted is not to be used.
struct LeaseReply<'a, S: Store> {
    at: usize,
    taken: Result<TakeReply, Error>,
    leased: Leased<'a, S>,
}

/// An id about which the store could not be asked.
type Failure<'a> = (usize, &'a Key, Error);

impl<'a, S: Store> Round<'a, S> {
    fn new(is_last: bool) -> Self {
        Round { assignments: Vec::new(), waiters: Vec::new(), candidates: Vec::new(), is_last }
    }
}

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Reads the stored values, and finds out which call computes the rest.
    pub(super) async fn round<'a, K, V>(
        &'a self,
        plan: &Plan<V>,
        call: &mut Call<'a, K, V>,
        positions: &[usize],
        is_last: bool,
    ) -> Round<'a, S> {
        let mut round = Round::new(is_last);
        for &at in positions {
            if let (Some(unasked), Some(key)) = (call.open.unasked.get(&at), &call.open.keys[at]) {
                self.join_local(&plan.terms, &call.open, &mut round, (at, key), *unasked);
            }
        }
        let (places, keys) = keyed(plan.terms.function, &call.open, positions, &mut round);
        let (by, ids) = (self.cache.deadline(), keys.len());
        let reads = self.store.read_many(&keys, by).await;
        let mut failures = Vec::new();
        let slots = places.into_iter().zip(keys);
        let vacancies = self.sort_reads(plan, call, slots.zip(reads), &mut round, &mut failures);
        let by = self.lease_deadline(&failures, by, ids);
        let replies = self.take_vacant(&plan.terms, vacancies, &mut failures, by).await;
        self.sort_replies(plan, call, replies, &mut round, &mut failures);
        for (at, key, error) in failures {
            events::uncached(plan.terms.function, key, &error);
            self.join_local(&plan.terms, &call.open, &mut round, (at, key), Unasked::new(Some(&error)));
        }
        self.settle_candidates(plan.terms.function, &call.open.tally, &mut round);
        round
    }

    /// Takes all slots, whatever they hold.
    pub(super) async fn round_anew<'a>(
        &'a self,
        terms: &Terms,
        keys: &'a [Option<Key>],
        positions: &[usize],
    ) -> Round<'a, S> {
        let mut round = Round::new(true);
        let usable: Vec<(usize, &Key)> = positions.iter().filter_map(|at| Some((*at, keys[*at].as_ref()?))).collect();
        let alone = positions.iter().filter(|at| keys[**at].is_none()).map(|at| Assignment::Alone(*at));
        round.assignments.extend(alone);
        for (_, key) in &usable {
            // The key's flights are voided before its own flight is among them, because the calls inside the body are
            // to find that one.
            self.cache.flights().void(key);
        }
        let vacancies =
            usable.into_iter().map(|(at, key)| Vacancy { at, key, precondition: Precondition::Any, seal: None });
        let mut failures = Vec::new();
        let by = self.cache.deadline();
        for LeaseReply { at, taken, leased } in self.take_vacant(terms, vacancies.collect(), &mut failures, by).await {
            match taken {
                Ok(_) => round.assignments.push(Assignment::Leased(at, leased)),
                Err(error) => failures.push((at, leased.key(), error)),
            }
        }
        for (at, key, error) in failures {
            events::uncached(terms.function, key, &error);
            round.assignments.push(Assignment::Alone(at));
        }
        round
    }

    /// Sorts the ids by the content of their slots; those to be leased are left.
    fn sort_reads<'a, K, V>(
        &self,
        plan: &Plan<V>,
        call: &mut Call<'a, K, V>,
        reads: impl Iterator<Item = ((usize, &'a Key), Result<Read, Error>)>,
        round: &mut Round<'a, S>,
        failures: &mut Vec<Failure<'a>>,
    ) -> Vec<Vacancy<'a>> {
        let mut vacancies = Vec::new();
        for ((at, key), read) in reads {
            let read = match read {
                Ok(read) => read,
                Err(error) => {
                    failures.push((at, key, error));
                    continue;
                }
            };
            let seal = read.seal;
            #[cfg(feature = "local")]
            let bytes = if plan.terms.local == 0 { None } else { read.bytes.clone() };
            let look = self.look_for(plan, key, read);
            #[cfg(feature = "local")]
            self.offer_found(plan, key, &look, bytes.as_deref());
            let precondition = match look {
                Look::Fresh(..) | Look::Old(..) => {
                    call.find(at, look);
                    continue;
                }
                Look::Miss(Miss::Leased(token)) => {
                    self.join(&plan.terms, &call.open, round, (at, key), token);
                    continue;
                }
                Look::Miss(Miss::Unusable(seen)) => Precondition::Unchanged(seen),
                Look::Miss(Miss::Fallback(old)) => Precondition::Unchanged(old.bytes),
                Look::Miss(Miss::Empty) => Precondition::Empty,
            };
            vacancies.push(Vacancy { at, key, precondition, seal });
        }
        vacancies
    }

    /// Offers a value that was found to the local tier.
    #[cfg(feature = "local")]
    fn offer_found<V>(&self, plan: &Plan<V>, key: &Key, look: &Look<Option<V>>, bytes: Option<&[u8]>) {
        match (look, bytes) {
            (Look::Fresh(value, Some(found)), Some(bytes)) if !value.negative => {
                self.offer_of_many(plan, key, value, bytes, found);
            }
            _ => {}
        }
    }

    /// Requests leases of slots in one round trip; before that, it requests the stamps of tags that have none.
    async fn take_vacant<'a>(
        &'a self,
        terms: &Terms,
        vacancies: Vec<Vacancy<'a>>,
        failures: &mut Vec<Failure<'a>>,
        by: Instant,
    ) -> Vec<LeaseReply<'a, S>> {
        let seals = self.seals(vacancies.iter().map(|vacancy| (vacancy.key, vacancy.seal)), by).await;
        let earlier = failures.len();
        let mut requests = Vec::with_capacity(vacancies.len());
        for (Vacancy { at, key, precondition, .. }, seal) in vacancies.into_iter().zip(seals) {
            match seal.and_then(|seal| self.claim(terms.lease, key, seal).request(Lease::new)) {
                Ok(leased) => requests.push(LeaseRequest { at, precondition, leased }),
                Err(error) => failures.push((at, key, error)),
            }
        }
        let by = self.lease_deadline(&failures[earlier..], by, requests.len());
        self.take_all(requests, by).await
    }

    /// The deadline of lease requests, after round trips with the deadline `by`. They share it, as those of a single call
    /// do, unless there are so many ids that each step takes several round trips.
    fn lease_deadline(&self, failures: &[Failure<'_>], by: Instant, ids: usize) -> Instant {
        let has_lost = failures.iter().any(|(_, _, error)| error.kind() == ErrorKind::Timeout);
        if has_lost {
            self.cache.short_deadline()
        } else if ids > MOST {
            self.cache.deadline()
        } else {
            by
        }
    }

    /// Sorts the ids by the replies to their lease requests.
    fn sort_replies<'a, K, V>(
        &self,
        plan: &Plan<V>,
        call: &mut Call<'a, K, V>,
        replies: Vec<LeaseReply<'a, S>>,
        round: &mut Round<'a, S>,
        failures: &mut Vec<Failure<'a>>,
    ) {
        for LeaseReply { at, taken, leased } in replies {
            let key = leased.key();
            match taken {
                Ok(TakeReply::Taken) => {
                    call.open.tally.decide(CallResult::Miss);
                    events::missed(plan.terms.function, key, "the slot holds nothing usable");
                    round.assignments.push(Assignment::Leased(at, leased));
                    continue;
                }
                // The request did not read the stamps of a value with tags of its own.
                Ok(TakeReply::Held(held)) if !held.bytes.as_deref().is_some_and(envelope::has_own_tags) => {
                    match self.look_for(plan, key, Read { seal: Some(leased.seal()), ..held }) {
                        look @ (Look::Fresh(..) | Look::Old(..)) => {
                            call.find(at, look);
                            continue;
                        }
                        Look::Miss(Miss::Leased(token)) => {
                            self.join(&plan.terms, &call.open, round, (at, key), token);
                            continue;
                        }
                        Look::Miss(_) => {}
                    }
                }
                Ok(TakeReply::Held(_) | TakeReply::Changed) => {}
                // The connection turned out to be closed, and is opened again.
                Err(error) if error.kind() == ErrorKind::Unreachable && !round.is_last => continue,
                Err(error) => {
                    failures.push((at, key, error));
                    continue;
                }
            }
            if round.is_last {
                self.join_local(&plan.terms, &call.open, round, (at, key), Unasked::new(None));
            }
        }
    }

    /// The seals of entries, as they were read. Tags without a stamp get one, all in one round trip.
    async fn seals<'k>(
        &self,
        entries: impl Iterator<Item = (&'k Key, Option<Seal>)>,
        by: Instant,
    ) -> Vec<Result<Seal, Error>> {
        let entries: Vec<_> = entries.collect();
        let new = entries.iter().filter(|(_, seal)| seal.is_none()).flat_map(|(key, _)| key.tags());
        let stamps = self.stamps(new.collect(), by).await;
        let seal_of = |key: &Key| {
            let stamps = stamps.as_ref().map_err(Error::clone)?;
            // The stamp of each tag was requested.
            Ok(Seal::of(key.tags().iter().filter_map(|tag| Some((tag.as_str(), &**stamps.get(tag)?)))))
        };
        entries.iter().map(|(key, seal)| seal.map_or_else(|| seal_of(key), Ok)).collect()
    }

    pub(super) async fn stamps(
        &self,
        tags: BTreeSet<&String>,
        mut by: Instant,
    ) -> Result<HashMap<String, Bytes>, Error> {
        let tags: Vec<String> = tags.into_iter().cloned().collect();
        let mut stamps = HashMap::with_capacity(tags.len());
        for part in tags.chunks(MOST) {
            let part_stamps = self.store.stamp(part, by).await?;
            stamps.extend(part.iter().cloned().zip(part_stamps));
            by = self.cache.deadline();
        }
        Ok(stamps)
    }

    /// Takes slots.
    async fn take_all<'a>(&'a self, leases: Vec<LeaseRequest<'a, S>>, by: Instant) -> Vec<LeaseReply<'a, S>> {
        if leases.is_empty() {
            return Vec::new();
        }
        let mut held = LeaseSet { store: &self.store, all: leases };
        let requests = held.all.iter().map(|LeaseRequest { precondition, leased, .. }| TakeRequest {
            key: leased.key(),
            lease: *leased.lease(),
            precondition: precondition.clone(),
        });
        let requests: Vec<TakeRequest<'_>> = requests.collect();
        let taken = self.store.take_many(&requests, by).await;
        drop(requests);
        let leases = std::mem::take(&mut held.all);
        let taken = leases.into_iter().zip(taken).map(|(LeaseRequest { at, mut leased, .. }, taken)| {
            // The store cleans up after a request that failed.
            leased.stands(matches!(taken, Ok(TakeReply::Taken)));
            LeaseReply { at, taken, leased }
        });
        taken.collect()
    }

    /// Waits for the flight whose token was read, unless the call has waited enough.
    fn join<'a>(
        &self,
        terms: &Terms,
        open: &Open<'_>,
        round: &mut Round<'a, S>,
        (at, key): (usize, &'a Key),
        token: Token,
    ) {
        if round.is_last || open.has_enough(at) {
            return self.join_local(terms, open, round, (at, key), Unasked::new(None));
        }
        match terms.single_flight {
            SingleFlight::Off => {
                decide(terms.function, key, &open.tally, Unasked::new(None));
                round.assignments.push(Assignment::Alone(at));
            }
            SingleFlight::Process => {
                let (seen, joinable) = (Ok(token), Joinable::Under(token));
                round.candidates.push(Candidate { at, key, seen, joinable });
            }
            SingleFlight::Shared => {
                let follower = self.cache.flights().follow(key, token);
                round.waiters.push(Waiter { at, key, seen: Ok(token), follower });
            }
        }
    }

    /// Waits for a computation of this process, without a look at the slot. Among the calls that no longer wait for the
    /// calls that have leased the slot, or that cannot ask the store, one computes for the others.
    fn join_local<'a>(
        &self,
        terms: &Terms,
        open: &Open<'_>,
        round: &mut Round<'a, S>,
        (at, key): (usize, &'a Key),
        unasked: Unasked,
    ) {
        let Unasked { is_away, .. } = unasked;
        if terms.single_flight == SingleFlight::Off || open.is_alone(at) {
            decide(terms.function, key, &open.tally, unasked);
            round.assignments.push(Assignment::Alone(at));
        } else {
            let joinable = Joinable::Any(open.any(at, is_away));
            round.candidates.push(Candidate { at, key, seen: Err(unasked), joinable });
        }
    }

    /// Finds out which ids this call computes for its process. Calls for the same ids do so one after the other, not id
    /// by id: else each of them would run its body for a part of the ids.
    fn settle_candidates(&self, function: &Function, tally: &BatchTally, round: &mut Round<'_, S>) {
        let mut candidates = std::mem::take(&mut round.candidates);
        candidates.sort_unstable_by_key(|candidate| candidate.at);
        for part in candidates.chunks(MOST) {
            let wanted = part.iter().map(|candidate| (candidate.key, candidate.joinable));
            let roles = self.cache.flights().follow_or_lead_all(wanted);
            for (&Candidate { at, key, seen, .. }, role) in part.iter().zip(roles) {
                match role {
                    Role::Follower(follower) => round.waiters.push(Waiter { at, key, seen, follower }),
                    Role::Leader(leader) => {
                        decide(function, key, tally, seen.err().unwrap_or_else(|| Unasked::new(None)));
                        round.assignments.push(Assignment::Process(at, leader));
                    }
                }
            }
        }
    }

    /// The meaning of a slot to a call for many ids: a value, or that there is none.
    pub(super) fn look_for<V>(&self, plan: &Plan<V>, key: &Key, read: Read) -> Look<Option<V>> {
        match self.inspect(&plan.terms, key, read) {
            Inspection::Usable(candidate) => self.decoded(plan, key, candidate, decode_id),
            Inspection::Miss(miss) => Look::Miss(miss),
        }
    }
}

/// The ids to look for. This call computes those without a key for itself.
fn keyed<'a, S: Store>(
    function: &Function,
    open: &Open<'a>,
    positions: &[usize],
    round: &mut Round<'a, S>,
) -> (Vec<usize>, Vec<&'a Key>) {
    let (mut places, mut keyed) = (Vec::with_capacity(positions.len()), Vec::with_capacity(positions.len()));
    for at in positions {
        match &open.keys[*at] {
            Some(_) if open.unasked.contains_key(at) => {}
            Some(key) => {
                places.push(*at);
                keyed.push(key);
            }
            None => {
                open.tally.decide(CallResult::Bypass);
                events::uncacheable(function, "the call has no entry in this cache");
                round.assignments.push(Assignment::Alone(*at));
            }
        }
    }
    (places, keyed)
}

/// A call computes an id, for itself or for its process.
fn decide(function: &Function, key: &Key, tally: &BatchTally, Unasked { result, why, .. }: Unasked) {
    tally.decide(result);
    match result {
        CallResult::Bypass => events::bypassed_because(function, key, why),
        _ => events::missed(function, key, why),
    }
}
