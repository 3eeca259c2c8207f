//! One call for many ids, each of which has an entry of its own.
//!
//! What is stored is read in one round trip, and the body runs for the ids that are missing. Those
//! are leased, filled and given back as single entries are, many in a round trip. An id that
//! somebody else computes is waited for, but only when all ids that this call owns are settled: of
//! two calls that wait for each other's ids, both end.
//!
//! The error of a body goes to its own caller alone: it may be that of an id which a follower did not
//! ask for.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::compute::{own_tags, unstored};
use super::events::{self, Attempt, Event};
use super::follow::Unended;
use super::lease::{Leased, PAUSE_MILLIS};
use super::look::{Clock, Inspection, Look, Miss, Undecodable, decode};
use super::timer::Timer;
use super::{Engine, usable};
use crate::engine::flight::{Any, Flight, Follower, Leader, Outcome, Patience, Role, within};
use crate::engine::ids::Ids;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::plan::function::{Plan, SingleFlight};
use crate::plan::policy::{self, Pace};
use crate::poll::outlined::outlined;
use crate::store::{Acquired, Asked, End, Ended, Over, Read, Release, Store};
use crate::stored::envelope::{self, Lease, OwnTags, Seal, Slot, Token, Value};

/// How often a call looks for what is missing: twice it waits for those that have leased an id, then it
/// computes what is left, for its process. When one that it waited for was cancelled, it looks once more.
const ROUNDS: usize = 3;

/// What a call knows of its ids.
struct Call<'c, K, V> {
    /// Each once.
    ids: &'c [K],
    /// `None`: it cannot be cached.
    keys: &'c [Option<Key>],
    places: &'c HashMap<K, usize>,
    /// By place. `Some(None)` is an id that has no value.
    found: Vec<Option<Option<V>>>,
    /// What bodies returned beside what they were asked for.
    beside: Vec<(K, V)>,
    began: Instant,
    /// For so long it waits for others.
    longest: Duration,
    /// For so long it still waits for those that have leased an id.
    patience: Duration,
    /// Of the ids whose bodies failed, or took too long.
    troubled: HashMap<usize, Patience>,
}

impl<K, V> Call<'_, K, V> {
    fn trouble(&mut self, at: usize) -> &mut Patience {
        self.troubled.entry(at).or_insert_with(|| Patience::new(self.began, self.longest))
    }

    /// Whether an id is computed whatever others do.
    fn is_alone(&self, at: usize) -> bool {
        self.troubled.get(&at).is_some_and(Patience::is_alone)
    }

    /// Whether the call waits for no lease of an id any more, because of failures.
    fn has_enough(&self, at: usize) -> bool {
        self.troubled.get(&at).is_some_and(Patience::has_enough)
    }

    /// Which bodies of this process compute an id for this call, too, without a look at its slot.
    fn any(&self, at: usize, is_away: bool) -> Any {
        let patience = self.troubled.get(&at).map(|patience| patience.any(is_away));
        patience.unwrap_or(Any { since: self.began, is_away, most: 1 })
    }

    fn open(&self) -> Vec<usize> {
        let mut open = Vec::with_capacity(self.found.iter().filter(|found| found.is_none()).count());
        open.extend((0..self.ids.len()).filter(|at| self.found[*at].is_none()));
        open
    }
}

/// Who computes an id that is missing, by its place.
enum Turn<'a, S: Store> {
    /// This call, for all.
    Lead(usize, Leased<'a, S>),
    /// This call, for its process.
    LeadHere(usize, Leader),
    /// This call, for itself.
    Alone(usize),
}

impl<S: Store> Turn<'_, S> {
    fn flight(&self) -> Option<&Arc<Flight>> {
        match self {
            Turn::Lead(_, leased) => Some(leased.flight()),
            Turn::LeadHere(_, leader) => Some(leader.flight()),
            Turn::Alone(_) => None,
        }
    }

    fn at(&self) -> usize {
        let (Turn::Lead(at, _) | Turn::LeadHere(at, _) | Turn::Alone(at)) = self;
        *at
    }
}

/// What may hold a lease.
trait MayLead<'a, S: Store> {
    fn leased(&mut self) -> Option<&mut Leased<'a, S>>;
}

impl<'a, S: Store> MayLead<'a, S> for Turn<'a, S> {
    fn leased(&mut self) -> Option<&mut Leased<'a, S>> {
        match self {
            Turn::Lead(_, leased) => Some(leased),
            Turn::LeadHere(..) | Turn::Alone(_) => None,
        }
    }
}

/// A slot that is asked for.
struct Asking<'a, S: Store> {
    at: usize,
    over: Over,
    leased: Leased<'a, S>,
}

impl<'a, S: Store> MayLead<'a, S> for Asking<'a, S> {
    fn leased(&mut self) -> Option<&mut Leased<'a, S>> {
        Some(&mut self.leased)
    }
}

/// Leases of one call. Those that stand when this is dropped, by cancellation or a panic, are given
/// back together.
struct Held<'a, S: Store, L: MayLead<'a, S>> {
    store: &'a S,
    all: Vec<L>,
}

impl<'a, S: Store, L: MayLead<'a, S>> Held<'a, S, L> {
    fn give_back(&mut self, release: Release) {
        let mut leases = Vec::new();
        for leased in self.all.iter_mut().filter_map(L::leased) {
            if leased.stands(false) {
                leases.push((leased.key().clone(), *leased.lease(), release));
            }
        }
        if !leases.is_empty() {
            self.store.abandon_many(leases);
        }
    }
}

impl<'a, S: Store, L: MayLead<'a, S>> Drop for Held<'a, S, L> {
    fn drop(&mut self) {
        // Before the followers are told, who look at the slots then.
        self.give_back(Release::Pause(if thread::panicking() { PAUSE_MILLIS } else { 0 }));
    }
}

/// An id that somebody else computes.
struct Waiting<'a> {
    at: usize,
    key: &'a Key,
    /// `None` where the store could not be asked.
    token: Option<Token>,
    follower: Follower,
}

/// What becomes of the ids that are missing. Some may be left to the next round.
struct Turns<'a, S: Store> {
    computed: Vec<Turn<'a, S>>,
    waiting: Vec<Waiting<'a>>,
}

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// A call: the pairs of what is stored and of what `body` returns for the other ids, in the order
    /// of the ids. With `anew` the body runs for all of them.
    pub(crate) async fn batch<K, V, E, F, Fut>(
        &self,
        plan: &Plan<V>,
        mut given: Ids<K>,
        anew: bool,
        body: F,
    ) -> Result<Vec<(K, V)>, E>
    where
        K: Clone + Eq + Hash,
        F: Fn(Vec<K>) -> Fut,
        Fut: Future<Output = Result<Vec<(K, V)>, E>>,
    {
        let places = given.once_each();
        let Ids { ids, keys } = given;
        let keys: Vec<_> = keys.into_iter().map(|key| usable(self.cache, plan.function, key)).collect();
        let mut call = Call {
            ids: &ids,
            keys: &keys,
            places: &places,
            found: ids.iter().map(|_| None).collect(),
            beside: Vec::new(),
            began: Instant::now(),
            longest: policy::wait(&plan.terms()),
            patience: policy::wait(&plan.terms()),
            troubled: HashMap::new(),
        };
        let mut round = 1;
        loop {
            let open = call.open();
            if open.is_empty() {
                break;
            }
            let Turns { mut computed, mut waiting } = if anew {
                outlined(|| self.turns_anew(plan, &keys, &open)).await
            } else {
                let is_last = round >= ROUNDS || call.patience.is_zero();
                outlined(|| self.turns(plan, &mut call, &open, is_last)).await
            };
            if !computed.is_empty() {
                // In the order in which they were given.
                computed.sort_by_key(Turn::at);
                // A reference to the body across an await would ask for a body that is `Sync`.
                let ids = computed.iter().map(|turn| ids[turn.at()].clone()).collect();
                self.compute_all(plan, &mut call, computed, Instant::now(), body(ids)).await?;
            }
            // A body may have returned more than it was asked for.
            waiting.retain(|waiting| call.found[waiting.at].is_none());
            if waiting.is_empty() {
                round += 1;
                continue;
            }
            let was_cancelled = outlined(|| self.wait_for_all(plan, &mut call, waiting)).await;
            round += usize::from(!was_cancelled);
        }
        let Call { found, mut beside, .. } = call;
        let mut pairs = Vec::with_capacity(ids.len() + beside.len());
        pairs.extend(ids.into_iter().zip(found).filter_map(|(id, found)| Some((id, found??))));
        pairs.append(&mut beside);
        Ok(pairs)
    }

    /// Reads what is stored, and finds out who computes the rest.
    async fn turns<'a, K, V>(
        &'a self,
        plan: &Plan<V>,
        call: &mut Call<'a, K, V>,
        open: &[usize],
        is_last: bool,
    ) -> Turns<'a, S> {
        let mut turns = Turns { computed: Vec::new(), waiting: Vec::new() };
        let (mut asked, mut away) = (Vec::new(), Vec::new());
        let keys = call.keys;
        for at in open.iter().filter(|at| keys[**at].is_none()) {
            self.record(plan.function, Event::Bypass);
            turns.computed.push(Turn::Alone(*at));
        }
        let (mut places, mut asked_for) = (Vec::with_capacity(open.len()), Vec::with_capacity(open.len()));
        for at in open {
            if let Some(key) = &keys[*at] {
                places.push(*at);
                asked_for.push(key);
            }
        }
        let reads = self.store.read_many(&asked_for).await;
        let now = self.store.now();
        for ((at, key), read) in places.into_iter().zip(asked_for).zip(reads) {
            let read = match read {
                Ok(read) => read,
                Err(error) => {
                    away.push((at, key, error));
                    continue;
                }
            };
            let seal = read.seal;
            match self.look_for(plan, key, read, now) {
                Look::Fresh(_, found) | Look::Old(_, found) => {
                    self.record(plan.function, Event::Hit);
                    call.found[at] = Some(found);
                }
                Look::Miss(Miss::Leased(token)) => self.join(plan, call, &mut turns, (at, key), token, is_last),
                Look::Miss(Miss::Unusable(seen)) => asked.push((at, key, Over::Seen(seen), seal)),
                Look::Miss(Miss::Fallback(old)) => asked.push((at, key, Over::Seen(old.bytes), seal)),
                Look::Miss(Miss::Empty) => asked.push((at, key, Over::Nothing, seal)),
            }
        }
        let seals = self.seals(asked.iter().map(|(_, key, _, seal)| (*key, *seal))).await;
        let mut leases = Vec::with_capacity(asked.len());
        for ((at, key, over, _), seal) in asked.into_iter().zip(seals) {
            match seal.and_then(|seal| self.claim(plan.lease, key, seal).request(Lease::new)) {
                Ok(leased) => leases.push(Asking { at, over, leased }),
                Err(error) => away.push((at, key, error)),
            }
        }
        for (at, taken, leased) in self.take_all(leases).await {
            let key = leased.key();
            match taken {
                Ok(Acquired::Taken) => {
                    self.record(plan.function, Event::Miss);
                    turns.computed.push(Turn::Lead(at, leased));
                    continue;
                }
                // Of other stamps than its own tags' nothing is known that is new.
                Ok(Acquired::Held(bytes)) if envelope::own_tags(&bytes).is_empty() => {
                    let read = Read { seal: Some(leased.seal()), ..Read::untagged(Some(bytes)) };
                    match self.look_for(plan, key, read, self.store.now()) {
                        Look::Fresh(_, found) | Look::Old(_, found) => {
                            self.record(plan.function, Event::Hit);
                            call.found[at] = Some(found);
                            continue;
                        }
                        Look::Miss(Miss::Leased(token)) => {
                            self.join(plan, call, &mut turns, (at, key), token, is_last);
                            continue;
                        }
                        Look::Miss(_) => {}
                    }
                }
                Ok(Acquired::Held(_) | Acquired::Changed) => {}
                // Over a connection that turned out to be closed, and is made anew.
                Err(error) if error.kind() == ErrorKind::Unreachable && !is_last => continue,
                Err(error) => {
                    away.push((at, key, error));
                    continue;
                }
            }
            if is_last {
                self.join_here(plan, call, &mut turns, (at, key), None);
            }
        }
        for (at, key, error) in away {
            events::uncached(plan.function, key, &error);
            self.join_here(plan, call, &mut turns, (at, key), Some(&error));
        }
        turns
    }

    /// Takes all slots, whatever they hold.
    async fn turns_anew<'a, V>(&'a self, plan: &Plan<V>, keys: &'a [Option<Key>], open: &[usize]) -> Turns<'a, S> {
        let mut turns = Turns { computed: Vec::new(), waiting: Vec::new() };
        let usable: Vec<(usize, &Key)> = open.iter().filter_map(|at| Some((*at, keys[*at].as_ref()?))).collect();
        let alone = open.iter().filter(|at| keys[**at].is_none()).map(|at| Turn::Alone(*at));
        turns.computed.extend(alone);
        let seals = self.seals(usable.iter().map(|(_, key)| (*key, None))).await;
        let mut leases = Vec::with_capacity(usable.len());
        for ((at, key), seal) in usable.into_iter().zip(seals) {
            // Before its own flight is one of them, which what is called in the body is to find.
            self.cache.flights().void(key);
            match seal.and_then(|seal| self.claim(plan.lease, key, seal).request(Lease::new)) {
                Ok(leased) => leases.push(Asking { at, over: Over::Anything, leased }),
                Err(error) => {
                    events::uncached(plan.function, key, &error);
                    turns.computed.push(Turn::Alone(at));
                }
            }
        }
        for (at, taken, leased) in self.take_all(leases).await {
            turns.computed.push(match taken {
                Ok(_) => {
                    self.record(plan.function, Event::Refresh);
                    Turn::Lead(at, leased)
                }
                Err(error) => {
                    events::uncached(plan.function, leased.key(), &error);
                    Turn::Alone(at)
                }
            });
        }
        turns
    }

    /// The seals of entries, as they were read; the tags of those that have none get their stamps,
    /// all in one round trip.
    async fn seals<'k>(&self, entries: impl Iterator<Item = (&'k Key, Option<Seal>)>) -> Vec<Result<Seal, Error>> {
        let entries: Vec<_> = entries.collect();
        let new = entries.iter().filter(|(_, seal)| seal.is_none()).flat_map(|(key, _)| key.tags());
        let stamps = self.stamps(new.collect()).await;
        let seal_of = |key: &Key| {
            let stamps = stamps.as_ref().map_err(Error::clone)?;
            // Each was asked for.
            Ok(Seal::of(key.tags().iter().filter_map(|tag| Some((tag.as_str(), &**stamps.get(tag)?)))))
        };
        entries.iter().map(|(key, seal)| seal.map_or_else(|| seal_of(key), Ok)).collect()
    }

    async fn stamps(&self, tags: BTreeSet<&String>) -> Result<HashMap<String, Bytes>, Error> {
        /// So many in one round trip.
        const MOST: usize = 1024;
        let tags: Vec<String> = tags.into_iter().cloned().collect();
        let mut stamps = HashMap::with_capacity(tags.len());
        for part in tags.chunks(MOST) {
            let part_stamps = self.store.stamp(part, self.cache.deadline()).await?;
            stamps.extend(part.iter().cloned().zip(part_stamps));
        }
        Ok(stamps)
    }

    /// Takes slots; a lease that was not granted is not to be used.
    async fn take_all<'a>(
        &'a self,
        leases: Vec<Asking<'a, S>>,
    ) -> Vec<(usize, Result<Acquired, Error>, Leased<'a, S>)> {
        if leases.is_empty() {
            return Vec::new();
        }
        let mut held = Held { store: &self.store, all: leases };
        let asked = held.all.iter().map(|Asking { over, leased, .. }| Asked {
            key: leased.key(),
            lease: *leased.lease(),
            over: over.clone(),
        });
        let asked: Vec<Asked<'_>> = asked.collect();
        let taken = self.store.take_many(&asked).await;
        drop(asked);
        let leases = std::mem::take(&mut held.all);
        let taken = leases.into_iter().zip(taken).map(|(Asking { at, mut leased, .. }, taken)| {
            // The store cleans up after a request that failed.
            leased.stands(matches!(taken, Ok(Acquired::Taken)));
            (at, taken, leased)
        });
        taken.collect()
    }

    /// Waits for the flight whose token was read, unless the call has waited enough.
    fn join<'a, K, V>(
        &self,
        plan: &Plan<V>,
        call: &Call<'a, K, V>,
        turns: &mut Turns<'a, S>,
        (at, key): (usize, &'a Key),
        token: Token,
        is_last: bool,
    ) {
        if is_last || call.has_enough(at) {
            return self.join_here(plan, call, turns, (at, key), None);
        }
        let flights = self.cache.flights();
        let role = match plan.single_flight {
            SingleFlight::Off => None,
            SingleFlight::Process => Some(flights.follow_or_lead(key, token)),
            SingleFlight::Shared => Some(Role::Follower(flights.follow(key, token))),
        };
        if !matches!(role, Some(Role::Follower(_))) {
            self.record(plan.function, Event::Miss);
        }
        turns.add(at, key, Some(token), role);
    }

    /// Waits for what runs in this process, without a look at the slot: of the calls that wait no longer for
    /// those that have leased it, or that cannot ask, one computes for the others.
    fn join_here<'a, K, V>(
        &self,
        plan: &Plan<V>,
        call: &Call<'a, K, V>,
        turns: &mut Turns<'a, S>,
        (at, key): (usize, &'a Key),
        error: Option<&Error>,
    ) {
        let is_away = error.is_some_and(|error| error.kind() == ErrorKind::CircuitOpen);
        let role = match plan.single_flight {
            SingleFlight::Off => None,
            _ if call.is_alone(at) => None,
            SingleFlight::Process | SingleFlight::Shared => {
                Some(self.cache.flights().follow_any_or_lead(key, call.any(at, is_away)))
            }
        };
        if !matches!(role, Some(Role::Follower(_))) {
            self.record(plan.function, if error.is_some() { Event::Bypass } else { Event::Miss });
        }
        turns.add(at, key, None, role);
    }

    /// Runs the body for the ids that this call computes, and stores what it returns. No value is
    /// borrowed across an await: it need not be `Sync`.
    async fn compute_all<'a, K, V, E>(
        &'a self,
        plan: &Plan<V>,
        call: &mut Call<'_, K, V>,
        turns: Vec<Turn<'a, S>>,
        started: Instant,
        body: impl Future<Output = Result<Vec<(K, V)>, E>>,
    ) -> Result<(), E>
    where
        K: Eq + Hash,
    {
        let mut turns = Held { store: &self.store, all: turns };
        let pairs = match self.run_under(Pace::of(&plan.terms()), &mut turns.all, body).await {
            Ok(pairs) => pairs,
            Err(error) => {
                self.fail_all(turns);
                return Err(error);
            }
        };
        let values = sorted(call, &turns.all, pairs);
        let names = own_names(plan, &turns.all, &values);
        let own = match plan.tags {
            Some(_) => outlined(|| self.own_of_all(plan, names)).await,
            None => turns.all.iter().map(|_| Some(OwnTags::default())).collect(),
        };
        let ended = self.seal_all(plan, &turns.all, &values, &own, started);
        if !ended.is_empty() {
            // Dropped here, half-way, the leases give their slots back: whatever was applied.
            let done = outlined(|| self.store.end_many(&ended)).await;
            for (ended, done) in ended.iter().zip(&done) {
                if let End::Fill(bytes, _) = &ended.end {
                    let attempt = Attempt { key: ended.key, bytes: bytes.len(), started };
                    self.filled(&plan.terms(), attempt, done);
                }
            }
            drop(ended);
            // The store cleans up after a fill that failed.
            for leased in turns.all.iter_mut().filter_map(MayLead::leased) {
                leased.stands(false);
                leased.publish(Outcome::Stored);
            }
        }
        for (turn, (value, _)) in turns.all.iter().zip(values) {
            call.found[turn.at()] = Some(value);
        }
        Ok(())
    }

    /// Runs the body under all its leases, as that of one flight which the others wait for.
    async fn run_under<R>(&self, pace: Pace, turns: &mut [Turn<'_, S>], body: impl Future<Output = R>) -> R {
        let Some(flight) = turns.iter().find_map(Turn::flight).cloned() else { return body.await };
        for turn in turns.iter_mut() {
            match turn {
                Turn::Lead(_, leased) => leased.leader().runs_within(&flight),
                Turn::LeadHere(_, leader) => leader.runs_within(&flight),
                Turn::Alone(_) => {}
            }
        }
        let leases = turns.iter().filter_map(|turn| match turn {
            Turn::Lead(_, leased) => Some(leased),
            Turn::LeadHere(..) | Turn::Alone(_) => None,
        });
        let leases: Vec<&Leased<'_, S>> = leases.collect();
        let output = self.timer.during(pace, &leases, within(&flight, body)).await;
        turns.iter().filter_map(Turn::flight).for_each(|flight| flight.returned());
        output
    }

    /// The body failed.
    fn fail_all<'a>(&self, mut turns: Held<'a, S, Turn<'a, S>>) {
        // First: followers that get nothing from this find the slots free.
        turns.give_back(Release::Pause(PAUSE_MILLIS));
        for turn in &turns.all {
            match turn {
                Turn::Lead(_, leased) => leased.publish(Outcome::Failed),
                Turn::LeadHere(_, leader) => leader.publish(Outcome::Failed),
                Turn::Alone(_) => {}
            }
        }
    }

    /// Gives followers what was computed, and finds out how each lease ends: a value is stored, or
    /// the slot is given back.
    fn seal_all<'a, V>(
        &self,
        plan: &Plan<V>,
        turns: &[Turn<'a, S>],
        values: &[Computed<V>],
        own: &[Option<OwnTags>],
        started: Instant,
    ) -> Vec<Ended<'a>> {
        let mut ended = Vec::with_capacity(turns.len());
        for ((turn, (value, is_whole)), own) in turns.iter().zip(values).zip(own) {
            // Whose tags may have been invalidated by now, and nobody could tell.
            let is_tagged = own.as_ref().is_none_or(|own| !own.is_empty());
            let share = |key: &Key, is_followed| match value {
                Some(value) if *is_whole && !is_tagged => unstored(plan, key, is_followed, value),
                Some(_) => Outcome::Unshared,
                None => absent(plan, key, is_followed),
            };
            match turn {
                Turn::Lead(_, leased) => {
                    let sealed = match value {
                        Some(_) if !is_whole => {
                            events::unstored(plan.function, leased.key(), "its body returned this id more than once");
                            None
                        }
                        Some(value) => own.as_ref().and_then(|own| self.seal(plan, leased, own, value, started)),
                        None => self.seal_none(plan, leased, started),
                    };
                    let end = match sealed {
                        Some((bytes, ttl)) => {
                            leased.share(&bytes);
                            End::Fill(bytes, ttl)
                        }
                        None => {
                            leased.publish(share(leased.key(), leased.is_followed()));
                            End::Release(Release::Remove)
                        }
                    };
                    ended.push(Ended { key: leased.key(), lease: *leased.lease(), end });
                }
                Turn::LeadHere(_, leader) => leader.publish(share(leader.flight().key(), leader.is_followed())),
                Turn::Alone(_) => {}
            }
        }
        ended
    }

    /// The tags that values have of their own, with their stamps: `None` where they cannot be had.
    async fn own_of_all<V>(&self, plan: &Plan<V>, names: Vec<OwnNames<'_>>) -> Vec<Option<OwnTags>> {
        let stamps = self.stamps(names.iter().flat_map(|(_, _, keys)| keys).collect()).await;
        let told = names.iter().find_map(|(key, ..)| *key);
        match (stamps, told) {
            (Ok(stamps), _) => {
                let own = names.into_iter().map(|(key, names, keys)| {
                    let names = names?;
                    let stamped = keys.iter().filter_map(|tag| Some((tag.as_str(), &**stamps.get(tag)?)));
                    let own = OwnTags::new(names, Seal::of(stamped));
                    if let (None, Some(key)) = (&own, key) {
                        events::unencodable(plan.function, key, &Error::new(ErrorKind::Codec, "it has too many tags"));
                    }
                    own
                });
                own.collect()
            }
            (Err(error), key) => {
                if let Some(key) = key {
                    events::uncached(plan.function, key, &error);
                }
                names.iter().map(|_| None).collect()
            }
        }
    }

    /// Waits for what others compute; whether one of them was cancelled. What cannot be had from them
    /// stays open.
    async fn wait_for_all<K, V>(&self, plan: &Plan<V>, call: &mut Call<'_, K, V>, waiting: Vec<Waiting<'_>>) -> bool {
        let began = Instant::now();
        let after = |span| began.checked_add(span).unwrap_or(began);
        let (until, until_here) = (after(call.patience), after(call.longest));
        let (foreign, here): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|waiting| waiting.follower.flight().is_foreign());
        let mut was_cancelled = false;
        for waiting in here {
            let until = if waiting.token.is_some() { until } else { until_here };
            was_cancelled |= self.wait_here(plan, call, waiting, until).await;
        }
        was_cancelled |= self.wait_for_foreign(plan, call, foreign, until).await;
        call.patience = call.patience.saturating_sub(began.elapsed());
        was_cancelled
    }

    /// Waits for what another call of this process computes; whether that was cancelled.
    async fn wait_here<K, V>(
        &self,
        plan: &Plan<V>,
        call: &mut Call<'_, K, V>,
        Waiting { at, key, token, follower }: Waiting<'_>,
        until: Instant,
    ) -> bool {
        match self.wait(key, token, &follower, until).await {
            Ok(Outcome::Value(bytes)) => match self.shared_for(plan, key, &bytes) {
                Some(found) => {
                    self.record(plan.function, Event::Shared);
                    call.found[at] = Some(found);
                }
                None => call.trouble(at).fail(),
            },
            // Without a token it may be one that was never granted.
            Ok(Outcome::Abandoned) => return token.is_some(),
            // It is in the slot.
            Ok(Outcome::Stored) if token.is_some() => {}
            Ok(_) => call.trouble(at).fail(),
            Err(Unended::TooLong) if token.is_none() => call.trouble(at).give_up(follower.flight()),
            Err(Unended::TooLong) => call.trouble(at).leave(follower.flight()),
            Err(Unended::Cycle) => call.trouble(at).go_alone(),
        }
        false
    }

    /// Waits for what other processes compute; whether one that was cancelled in this process was among
    /// them.
    async fn wait_for_foreign<K, V>(
        &self,
        plan: &Plan<V>,
        call: &mut Call<'_, K, V>,
        mut foreign: Vec<Waiting<'_>>,
        until: Instant,
    ) -> bool {
        let mut was_cancelled = false;
        while let Some(first) = foreign.first() {
            if self.wait(first.key, first.token, &first.follower, until).await.is_err() {
                break;
            }
            // Its lease had not been given back yet when this call saw it.
            was_cancelled |= first.token.is_some_and(|token| self.cache.flights().was_abandoned(token));
            // Who has ended one has ended others of them, too: one look tells.
            let ended = first.at;
            let reads = self.store.read_many(&foreign.iter().map(|waiting| waiting.key).collect::<Vec<_>>()).await;
            let mut left = Vec::new();
            for (waiting, read) in foreign.into_iter().zip(reads) {
                let Ok(read) = read else { continue };
                match self.look_for(plan, waiting.key, read, self.store.now()) {
                    Look::Fresh(_, found) | Look::Old(_, found) => {
                        self.record(plan.function, Event::Hit);
                        call.found[waiting.at] = Some(found);
                    }
                    Look::Miss(Miss::Leased(token)) if Some(token) == waiting.token && waiting.at != ended => {
                        left.push(waiting);
                    }
                    Look::Miss(_) => {}
                }
            }
            foreign = left;
        }
        was_cancelled
    }

    /// What a slot is to a call for many ids: a value, or that there is none.
    fn look_for<V>(&self, plan: &Plan<V>, key: &Key, read: Read, now: u64) -> Look<Option<V>> {
        match self.inspect(&plan.terms(), key, read, Clock::Now(now)) {
            Inspection::Usable(candidate) => candidate.decoded(plan, key, decode_for),
            Inspection::Miss(miss) => Look::Miss(miss),
        }
    }

    /// What another call computed for its followers.
    fn shared_for<V>(&self, plan: &Plan<V>, key: &Key, bytes: &Bytes) -> Option<Option<V>> {
        match envelope::parse(key, plan.function.identities(), bytes) {
            Slot::Value(value) => decode_for(plan, &value, bytes).ok().flatten(),
            // Another function with this key, whose values are others.
            _ => None,
        }
    }
}

impl<'a, S: Store> Turns<'a, S> {
    fn add(&mut self, at: usize, key: &'a Key, token: Option<Token>, role: Option<Role>) {
        match role {
            Some(Role::Follower(follower)) => self.waiting.push(Waiting { at, key, token, follower }),
            Some(Role::Leader(leader)) => self.computed.push(Turn::LeadHere(at, leader)),
            None => self.computed.push(Turn::Alone(at)),
        }
    }
}

/// What the body returned for an id, and whether that is all of it.
type Computed<V> = (Option<V>, bool);

/// Finds out which value is that of which turn. The others are returned as they are.
fn sorted<K: Eq + Hash, V, S: Store>(
    call: &mut Call<'_, K, V>,
    turns: &[Turn<'_, S>],
    pairs: Vec<(K, V)>,
) -> Vec<Computed<V>> {
    let mut turn_at: Vec<Option<usize>> = vec![None; call.ids.len()];
    for (index, turn) in turns.iter().enumerate() {
        turn_at[turn.at()] = Some(index);
    }
    let mut values: Vec<Computed<V>> = turns.iter().map(|_| (None, true)).collect();
    for (id, value) in pairs {
        match call.places.get(&id).map(|at| (*at, turn_at[*at])) {
            Some((_, Some(index))) => match &mut values[index] {
                (place @ None, _) => *place = Some(value),
                (Some(_), is_whole) => {
                    *is_whole = false;
                    call.beside.push((id, value));
                }
            },
            // Somebody else computes it, or it was found: either is as good.
            Some((at, None)) => drop(call.found[at].get_or_insert(Some(value))),
            None => call.beside.push((id, value)),
        }
    }
    values
}

/// The tags that a value has of its own: their names, if they can be had, and the keys of their stamps. With the value's
/// key, if it is to be stored.
type OwnNames<'a> = (Option<&'a Key>, Option<Vec<String>>, Vec<String>);

fn own_names<'a, V, S: Store>(plan: &Plan<V>, turns: &[Turn<'a, S>], values: &[Computed<V>]) -> Vec<OwnNames<'a>> {
    let names = turns.iter().zip(values).map(|(turn, (value, _))| match (turn, value) {
        (Turn::Lead(_, leased), Some(value)) => {
            let names = own_tags(plan, leased.key(), value);
            let keys = names.iter().flatten().map(|name| leased.key().tag_key(name)).collect();
            (Some(leased.key()), names, keys)
        }
        _ => (None, Some(Vec::new()), Vec::new()),
    });
    names.collect()
}

/// A stored `None` is an id without a value, unless the value's type has a `None` of its own.
fn decode_for<V>(plan: &Plan<V>, value: &Value, bytes: &[u8]) -> Result<Option<Option<V>>, Undecodable> {
    if value.negative {
        return Ok(Some((plan.nones.none)()));
    }
    Ok(decode(plan, value, bytes)?.map(Some))
}

/// What followers get of an id without a value that is not stored. Nobody else sees these bytes.
fn absent<V>(plan: &Plan<V>, key: &Key, is_followed: bool) -> Outcome {
    if !is_followed || (plan.nones.none)().is_some() {
        return Outcome::Unshared;
    }
    super::compute::unstored_none(plan, key)
}
