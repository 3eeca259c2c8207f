//! Running the body for the ids that one call computes, and storing the values that it returns.

use std::collections::HashSet;
use std::future::Future;
use std::hash::Hash;
use std::time::{Duration, Instant};

use tracing::Instrument;

use super::Call;
use super::leases::{Assignment, HoldsLease, LeaseSet};
use crate::engine::Engine;
use crate::engine::compute::{Unsealed, own_tags, unstored, unstored_none};
use crate::engine::events::{self, Attempt, Role};
use crate::engine::flight::{Outcome, within};
use crate::engine::lease::{Leased, PAUSE_MILLIS};
use crate::engine::timer::Timer;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::observe::{BatchTally, BodyResult, BodyTimer};
use crate::plan::erased::ValueOf;
use crate::plan::function::{Function, Plan, Terms};
use crate::plan::policy::Pace;
use crate::poll::outlined::outlined;
use crate::store::{End, EndRequest, MOST, Release, Store};
use crate::stored::envelope::{OwnTags, Seal};

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Runs the body for the ids that this call computes, and stores the values that it returns. No value is borrowed
    /// across an await: it need not be `Sync`.
    pub(super) async fn compute_all<'a, K, V, E>(
        &'a self,
        plan: &Plan<V>,
        call: &mut Call<'_, K, V>,
        assignments: Vec<Assignment<'a, S>>,
        started: Instant,
        body: impl Future<Output = Result<Vec<(K, V)>, E>>,
    ) -> Result<(), E>
    where
        K: Eq + Hash,
    {
        let mut assignments = LeaseSet { store: &self.store, all: assignments };
        call.open.tally.runs();
        let role = if call.open.tally.is_refresh() { Role::Refresh } else { Role::Leader };
        let span = events::body_span(plan.terms.function, None, role);
        let mut timer = BodyTimer::start(self.cache.counters(plan.terms.function), span.clone());
        let body = body.instrument(span);
        let pairs = match self.run_under(Pace::of(&plan.terms), &mut assignments.all, body).await {
            Ok(pairs) => pairs,
            Err(error) => {
                timer.ended(BodyResult::Err);
                call.open.tally.end();
                give_up(plan.terms.function, call, &assignments.all);
                self.fail_all(assignments);
                return Err(error);
            }
        };
        let ran = timer.ended(BodyResult::Ok);
        let values = sorted(call, &assignments.all, pairs);
        let names = own_names(plan, &assignments.all, &values);
        let (own, left) = match plan.tags {
            Some(_) => outlined(|| self.own_of_all(plan, names)).await,
            None => (assignments.all.iter().map(|_| Some(OwnTags::default())).collect(), self.cache.timeout()),
        };
        let ended = self.seal_all(plan, &assignments.all, &values, &own, ran);
        if !ended.is_empty() {
            // If this is dropped half-way, the leases give their slots back, whatever was applied.
            let done = outlined(|| self.store.end_many(&ended, Instant::now() + left)).await;
            self.all_filled(&plan.terms, &mut call.open.tally, &ended, &done, started);
            drop(ended);
            // The store cleans up after a fill that failed.
            for leased in assignments.all.iter_mut().filter_map(HoldsLease::leased) {
                leased.stands(false);
                leased.publish(Outcome::Stored);
            }
        }
        for (assignment, (value, _)) in assignments.all.iter().zip(values) {
            // The store failed when the id was to be refreshed.
            if matches!(assignment, Assignment::Alone(at) if call.open.keys[*at].is_some()) {
                call.open.tally.refreshed(false);
            }
            call.found[assignment.at()] = Some(value);
        }
        Ok(())
    }

    /// Counts what became of the values that were to be stored.
    fn all_filled(
        &self,
        terms: &Terms,
        tally: &mut BatchTally,
        ended: &[EndRequest<'_>],
        done: &[Result<bool, Error>],
        started: Instant,
    ) {
        for (ended, done) in ended.iter().zip(done) {
            if let End::Fill(bytes, _) = &ended.end {
                let attempt = Attempt { key: ended.key, bytes: bytes.len(), started };
                self.filled(terms, attempt, done);
            }
            let is_stored = matches!((&ended.end, done), (End::Fill(..), Ok(true)));
            tally.refreshed(is_stored);
        }
    }

    /// Runs the body under all its leases, as that of one flight which the others wait for.
    async fn run_under<R>(
        &self,
        pace: Pace,
        assignments: &mut [Assignment<'_, S>],
        body: impl Future<Output = R>,
    ) -> R {
        let Some(flight) = assignments.iter().find_map(Assignment::flight).cloned() else { return body.await };
        for assignment in assignments.iter_mut() {
            match assignment {
                Assignment::Leased(_, leased) => leased.leader().runs_within(&flight),
                Assignment::Process(_, leader) => leader.runs_within(&flight),
                Assignment::Alone(_) => {}
            }
        }
        let leases = assignments.iter().filter_map(|assignment| match assignment {
            Assignment::Leased(_, leased) => Some(leased),
            Assignment::Process(..) | Assignment::Alone(_) => None,
        });
        let leases: Vec<&Leased<'_, S>> = leases.collect();
        let output = self.timer.during(pace, &leases, within(&flight, body)).await;
        assignments.iter().filter_map(Assignment::flight).for_each(|flight| flight.returned());
        output
    }

    /// The body failed.
    fn fail_all<'a>(&self, mut assignments: LeaseSet<'a, S, Assignment<'a, S>>) {
        // The slots are given back first, so that followers that get nothing from this find them free.
        assignments.give_back(Release::Pause(PAUSE_MILLIS));
        for assignment in &assignments.all {
            match assignment {
                Assignment::Leased(_, leased) => leased.publish(Outcome::Failed),
                Assignment::Process(_, leader) => leader.publish(Outcome::Failed),
                Assignment::Alone(_) => {}
            }
        }
    }

    /// Gives followers the computed values, and finds out how each lease ends: a value is stored, or the slot is given
    /// back.
    fn seal_all<'a, V>(
        &self,
        plan: &Plan<V>,
        assignments: &[Assignment<'a, S>],
        values: &[Computed<V>],
        own: &[Option<OwnTags>],
        ran: Duration,
    ) -> Vec<EndRequest<'a>> {
        let terms = &plan.terms;
        let mut ended = Vec::with_capacity(assignments.len());
        for ((assignment, (value, is_whole)), own) in assignments.iter().zip(values).zip(own) {
            // The tags of the value may have been invalidated by now, and no call could tell.
            let is_tagged = own.as_ref().is_none_or(|own| !own.is_empty());
            let share = |key: &Key, is_followed| match value {
                Some(value) if *is_whole && !is_tagged => {
                    unstored(plan.terms.function, key, is_followed, &ValueOf { plan, value })
                }
                Some(_) => Outcome::Unshared,
                None => absent(plan, key, is_followed),
            };
            match assignment {
                Assignment::Leased(_, leased) => {
                    let sealed = match (value, own) {
                        (Some(_), _) if !is_whole => {
                            events::unstored(
                                plan.terms.function,
                                leased.key(),
                                "its body returned this id more than once",
                            );
                            Err(Unsealed::NotToBeStored)
                        }
                        (Some(value), Some(own)) => self.encode(terms, leased, own, &ValueOf { plan, value }, ran),
                        (Some(_), None) => Err(Unsealed::Untagged),
                        // A stored `None` would be taken for a value.
                        (None, _) if (plan.nones.none)().is_some() => Err(Unsealed::NotToBeStored),
                        (None, _) => self.seal_none(terms, leased, ran),
                    };
                    let end = match sealed {
                        Ok((bytes, ttl)) => {
                            leased.share(&bytes);
                            End::Fill(bytes, ttl)
                        }
                        Err(unsealed) => {
                            self.unsealed(terms, leased.key(), &unsealed);
                            terms.function.left_unstored();
                            leased.publish(share(leased.key(), leased.is_followed()));
                            End::Release(Release::Remove)
                        }
                    };
                    ended.push(EndRequest { key: leased.key(), lease: *leased.lease(), end });
                }
                Assignment::Process(_, leader) => leader.publish(share(leader.flight().key(), leader.is_followed())),
                Assignment::Alone(_) => {}
            }
        }
        ended
    }

    /// The tags that values have of their own, with their stamps; `None` if they cannot be had. The time that is left to
    /// store the values is returned, too: both share one deadline unless they take several round trips.
    async fn own_of_all<V>(&self, plan: &Plan<V>, names: Vec<OwnNames<'_>>) -> (Vec<Option<OwnTags>>, Duration) {
        let by = self.cache.deadline();
        let stamps = self.stamps(names.iter().flat_map(|(_, _, keys)| keys).collect(), by).await;
        let until = match &stamps {
            Ok(_) if names.len() > MOST => self.cache.deadline(),
            Ok(_) => by,
            // The slots are given back.
            Err(_) => by.max(self.cache.short_deadline()),
        };
        let left = until.saturating_duration_since(Instant::now());
        let told = names.iter().find_map(|(key, ..)| *key);
        let own = match (stamps, told) {
            (Ok(stamps), _) => {
                let own = names.into_iter().map(|(key, names, keys)| {
                    let names = names?;
                    let stamped = keys.iter().filter_map(|tag| Some((tag.as_str(), &**stamps.get(tag)?)));
                    let own = OwnTags::new(names, Seal::of(stamped));
                    if let (None, Some(key)) = (&own, key) {
                        events::unencodable(
                            plan.terms.function,
                            key,
                            &Error::new(ErrorKind::Codec, "it has too many tags"),
                        );
                    }
                    own
                });
                own.collect()
            }
            (Err(error), key) => {
                if let Some(key) = key {
                    events::uncached(plan.terms.function, key, &error);
                }
                names.iter().map(|_| None).collect()
            }
        };
        (own, left)
    }
}

/// The value that the body returned for an id. The second part is true if that is all of it.
type Computed<V> = (Option<V>, bool);

/// Finds the assignment of each value. The others are returned as they are.
fn sorted<K: Eq + Hash, V, S: Store>(
    call: &mut Call<'_, K, V>,
    assignments: &[Assignment<'_, S>],
    pairs: Vec<(K, V)>,
) -> Vec<Computed<V>> {
    let mut assignment_at: Vec<Option<usize>> = vec![None; call.ids.len()];
    for (index, assignment) in assignments.iter().enumerate() {
        assignment_at[assignment.at()] = Some(index);
    }
    let mut values: Vec<Computed<V>> = assignments.iter().map(|_| (None, true)).collect();
    for (id, value) in pairs {
        match call.positions.get(&id).map(|at| (*at, assignment_at[*at])) {
            Some((_, Some(index))) => match &mut values[index] {
                (place @ None, _) => *place = Some(value),
                (Some(_), is_whole) => {
                    *is_whole = false;
                    call.extra.push((id, value));
                }
            },
            // Another call computes it, or it was found: either is as good.
            Some((at, None)) => drop(call.found[at].get_or_insert(Some(value))),
            None => call.extra.push((id, value)),
        }
    }
    values
}

/// The tags that a value has of its own: their names, if they can be had, and the keys of their stamps. The value's key
/// is included if it is to be stored.
type OwnNames<'a> = (Option<&'a Key>, Option<Vec<String>>, Vec<String>);

fn own_names<'a, V, S: Store>(
    plan: &Plan<V>,
    assignments: &[Assignment<'a, S>],
    values: &[Computed<V>],
) -> Vec<OwnNames<'a>> {
    let names = assignments.iter().zip(values).map(|(assignment, (value, _))| match (assignment, value) {
        (Assignment::Leased(_, leased), Some(value)) => {
            let names = own_tags(&plan.terms, leased.key(), &ValueOf { plan, value });
            let keys = names.iter().flatten().map(|name| leased.key().tag_key(name)).collect();
            (Some(leased.key()), names, keys)
        }
        _ => (None, Some(Vec::new()), Vec::new()),
    });
    names.collect()
}

/// The outcome for followers of an id without a value that is not stored. No other process sees these bytes.
fn absent<V>(plan: &Plan<V>, key: &Key, is_followed: bool) -> Outcome {
    if !is_followed || (plan.nones.none)().is_some() {
        return Outcome::Unshared;
    }
    unstored_none(plan.terms.function, key)
}

/// The body failed, and with it the call: the ids that it waited for, or would have looked for again, are missed, too.
fn give_up<K, V, S: Store>(function: &Function, call: &Call<'_, K, V>, assignments: &[Assignment<'_, S>]) {
    let computed: HashSet<usize> = assignments.iter().map(Assignment::at).collect();
    for (at, (key, found)) in call.open.keys.iter().zip(&call.found).enumerate() {
        if let (Some(key), None, false) = (key, found, computed.contains(&at)) {
            events::missed(function, key, "the body failed for other ids of the call");
        }
    }
}
