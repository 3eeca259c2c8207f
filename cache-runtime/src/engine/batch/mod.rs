//! A call for many ids, each of which has an entry of its own.
//!
//! Stored values are read in one round trip, and the body runs for the ids that are missing. Those are leased, filled
//! and given back as single entries are, many in a round trip. A call waits for an id that another call computes only
//! when all ids that it owns itself are settled: of two calls that wait for each other's ids, both end.
//!
//! A call goes in rounds. [`round`] reads, leases and sorts the ids that are open, [`run`] runs the body for those that
//! this call computes, and [`wait`] waits for the others.
//!
//! The error of a body goes to its own caller alone: it may be the error of an id which a follower did not ask for.

mod leases;
mod round;
mod run;
mod wait;

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::leases::Assignment;
use self::round::Round;
use super::flight::{Any, Follower, Patience};
use super::ids::Ids;
use super::look::{Look, Old, Undecodable, decode};
use super::timer::Timer;
use super::{Engine, usable};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::observe::{BatchTally, CallResult};
use crate::plan::function::{Function, Plan};
use crate::plan::policy;
use crate::poll::outlined::outlined;
use crate::store::Store;
use crate::stored::envelope::{Token, Value};

/// How often a call looks for the missing ids. It waits twice for the calls that have leased an id, then it computes
/// the rest for its process. If a call that it waited for was cancelled, or failed in another process, it looks once
/// more.
const ROUNDS: usize = 3;

/// The state of a call for many ids.
struct Call<'c, K, V> {
    /// The ids, each of them once.
    ids: &'c [K],
    positions: &'c HashMap<K, usize>,
    /// The results by position. `Some(None)` is an id that has no value.
    found: Vec<Option<Option<V>>>,
    /// The pairs that bodies returned in addition to the requested ids.
    extra: Vec<(K, V)>,
    open: Open<'c>,
}

impl<K, V> Call<'_, K, V> {
    /// A look found what there is of an id; a miss changes nothing.
    fn find(&mut self, at: usize, look: Look<Option<V>>) {
        self.found[at] = match look {
            Look::Old(old, found) if old.is_stale => {
                self.open.tally.stale_hit(old.value.body_micros);
                Some(found)
            }
            Look::Fresh(value, found) | Look::Old(Old { value, .. }, found) => {
                self.open.tally.hit(value.body_micros);
                Some(found)
            }
            Look::Miss(_) => return,
        };
    }

    /// The positions of the ids that are not settled.
    fn open_positions(&self) -> Vec<usize> {
        let mut open = Vec::with_capacity(self.found.iter().filter(|found| found.is_none()).count());
        open.extend((0..self.ids.len()).filter(|at| self.found[*at].is_none()));
        open
    }
}

/// The part of the state that does not depend on the types of ids and values.
struct Open<'c> {
    /// The keys by position. `None`: the id cannot be cached.
    keys: &'c [Option<Key>],
    tally: BatchTally,
    began: Instant,
    /// How long the call waits for other calls.
    longest: Duration,
    /// How long it still waits for the calls that have leased an id.
    patience: Duration,
    /// The patience left for ids whose bodies failed, or took too long.
    troubled: HashMap<usize, Patience>,
    /// The ids that the call shares with its process alone from now on, because the store failed, and the flight that it
    /// joined without a look at the slot led to nothing. With a new lease request for each look, calls whose requests
    /// fail would keep following each other's, and none would run its body.
    unasked: HashMap<usize, Unasked>,
}

/// Why an id is computed for this process alone.
#[derive(Clone, Copy)]
struct Unasked {
    /// The store is away.
    is_away: bool,
    /// The result of the id if this call computes it, and why.
    result: CallResult,
    why: &'static str,
}

impl Unasked {
    fn new(error: Option<&Error>) -> Unasked {
        let is_away = error.is_some_and(|error| error.kind() == ErrorKind::CircuitOpen);
        let (result, why) = match error {
            Some(_) if is_away => (CallResult::Bypass, "the store is away"),
            Some(_) => (CallResult::Bypass, "a request to the store failed"),
            None => (CallResult::Miss, "the call shares no lease of another call, or has waited enough for one"),
        };
        Unasked { is_away, result, why }
    }

    /// Returns true if the store failed.
    fn has_failed(self) -> bool {
        matches!(self.result, CallResult::Bypass)
    }
}

impl<'c> Open<'c> {
    fn new(keys: &'c [Option<Key>], tally: BatchTally, longest: Duration) -> Self {
        Open {
            keys,
            tally,
            began: Instant::now(),
            longest,
            patience: longest,
            troubled: HashMap::new(),
            unasked: HashMap::new(),
        }
    }

    fn trouble(&mut self, at: usize) -> &mut Patience {
        // The call waits for an id until its own time is up.
        self.troubled.entry(at).or_insert_with(|| Patience::new(self.began, self.began, self.longest))
    }

    /// Returns true if this call computes an id whatever other calls do.
    fn is_alone(&self, at: usize) -> bool {
        self.troubled.get(&at).is_some_and(Patience::is_alone)
    }

    /// Returns true if the call waits for no lease of an id any more, because of failures.
    fn has_enough(&self, at: usize) -> bool {
        self.troubled.get(&at).is_some_and(Patience::has_enough)
    }

    /// The bodies of this process that compute an id for this call, too, without a look at its slot.
    fn any(&self, at: usize, is_away: bool) -> Any {
        let patience = self.troubled.get(&at).map(|patience| patience.any(is_away));
        patience.unwrap_or(Any { since: self.began, is_away, most: 1 })
    }
}

/// An id that another call computes.
struct Waiter<'a> {
    at: usize,
    key: &'a Key,
    /// The lease that was seen in its slot, or why no lease counts.
    seen: Result<Token, Unasked>,
    follower: Follower,
}

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Makes a call: it returns the pairs that are stored and those that `body` returns for the other ids, in the order
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
        let positions = given.once_each();
        let Ids { ids, keys } = given;
        let keys: Vec<_> = keys.into_iter().map(|key| usable(self.cache, plan.terms.function, key)).collect();
        let tally = self.tally(plan.terms.function, &keys, anew);
        let mut call = Call {
            ids: &ids,
            positions: &positions,
            found: ids.iter().map(|_| None).collect(),
            extra: Vec::new(),
            open: Open::new(&keys, tally, policy::wait(&plan.terms)),
        };
        #[cfg(feature = "local")]
        if !anew {
            self.find_locally(plan, &keys, &call.open.tally, &mut call.found);
        }
        let mut number = 1;
        loop {
            let open = call.open_positions();
            if open.is_empty() {
                break;
            }
            let Round { mut assignments, mut waiters, .. } = if anew {
                outlined(|| self.round_anew(&plan.terms, &keys, &open)).await
            } else {
                let is_last = number >= ROUNDS || call.open.patience.is_zero();
                outlined(|| self.round(plan, &mut call, &open, is_last)).await
            };
            if !assignments.is_empty() {
                // The body gets the ids in the order in which they were given.
                assignments.sort_by_key(Assignment::at);
                // A reference to the body across an await would require a body that is `Sync`.
                let ids = assignments.iter().map(|assignment| ids[assignment.at()].clone()).collect();
                self.compute_all(plan, &mut call, assignments, Instant::now(), body(ids)).await?;
            }
            // A body may have returned more ids than it was asked for.
            waiters.retain(|waiter| call.found[waiter.at].is_none());
            if waiters.is_empty() {
                number += 1;
                continue;
            }
            let is_excused = outlined(|| self.wait_for_all(plan, &mut call, waiters)).await;
            number += usize::from(!is_excused);
        }
        let Call { found, extra, open, .. } = call;
        open.tally.end();
        drop(open);
        Ok(in_order(ids, found, extra))
    }

    fn tally(&self, function: &Function, keys: &[Option<Key>], anew: bool) -> BatchTally {
        // Ids without a key are not refreshed, because nothing is stored.
        let counted = if anew { keys.iter().flatten().count() } else { keys.len() };
        BatchTally::new(self.cache.functions().of(function), counted, anew)
    }
}

/// The pairs that were found, in the order of the ids, and then those that no id was given for.
fn in_order<K, V>(ids: Vec<K>, found: Vec<Option<Option<V>>>, mut extra: Vec<(K, V)>) -> Vec<(K, V)> {
    let mut pairs = Vec::with_capacity(ids.len() + extra.len());
    pairs.extend(ids.into_iter().zip(found).filter_map(|(id, found)| Some((id, found??))));
    pairs.append(&mut extra);
    pairs
}

/// A stored `None` is an id without a value, unless the value's type has a `None` of its own.
fn decode_id<V>(plan: &Plan<V>, value: &Value, bytes: &Bytes) -> Result<Option<Option<V>>, Undecodable> {
    if value.negative {
        return Ok(Some((plan.nones.none)()));
    }
    Ok(decode(plan, value, bytes)?.map(Some))
}
