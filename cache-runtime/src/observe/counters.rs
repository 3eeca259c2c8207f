//! The counters of one function in one cache, and those of all functions.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

use super::histogram::{Buckets, SECONDS};
use super::listener::Listener;
use super::snapshot::{
    Bodies, Calls, Fills, FunctionStats, InvalidationStats, InvalidationsOfKind, LocalStats, Refreshes, Unusable,
};
use super::tally::{BLOCKS, Tally, Total, block_of_thread, is_own};
use crate::lock::briefly;
use crate::plan::function::Function;
use crate::stored::envelope::Why;

/// The result of a call, apart from the hits, which are counted together with the time that they save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallResult {
    /// A value past its lifetime was served.
    Stale,
    /// The result of another call of this process was served.
    Shared,
    /// Nothing usable was found.
    Miss,
    /// The store could not be asked, and the body runs.
    Bypass,
    /// The call was dropped before it had a result.
    Cancelled,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyResult {
    Ok,
    Err,
    None,
    Panic,
    Cancelled,
}

impl BodyResult {
    pub(super) fn name(self) -> &'static str {
        match self {
            BodyResult::Ok => "ok",
            BodyResult::Err => "err",
            BodyResult::None => "none",
            BodyResult::Panic => "panic",
            BodyResult::Cancelled => "cancelled",
        }
    }
}

/// What became of a value that a body returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FillResult {
    Stored,
    /// An invalidation came in between, or the lease was lost.
    Refused,
    /// The store failed.
    Failed,
    /// The function says that the value is not stored, or the value cannot be.
    NotCacheable,
    TooLarge,
}

/// How a refresh ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefreshResult {
    Stored,
    /// The body returned a value that was not stored.
    Unstored,
    /// The body failed.
    Failed,
    /// The body did not run: another call refreshes the value, or replaced it, or the store could not be asked.
    Skipped,
}

/// The counters of one function in one cache.
#[derive(Debug)]
pub(crate) struct Counters {
    head: Box<str>,
    prefix_len: usize,
    blocks: [Block; BLOCKS],
    /// The microseconds that were saved, apart from those in the blocks.
    saved: AtomicU64,
    bodies: [Buckets; 5],
    waits: Buckets,
    value_bytes: Buckets,
    fills: [AtomicU64; 5],
    refreshes: [AtomicU64; 4],
    refreshes_begun: AtomicU64,
    unusable: [AtomicU64; Why::COUNT],
    local: LocalCounters,
    listener: Listener,
}

/// The results of calls, in cache lines of their own. Some processors fetch two lines at a time.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Block {
    hits: Tally,
    local: Tally,
    others: [AtomicU64; 5],
    /// What was taken from the tallies.
    taken: Mutex<Taken>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    hits: Total,
    local: Total,
}

impl Block {
    /// Makes room in the tallies. Under the lock, so that no reader sees a number in neither place, or in both.
    #[cold]
    fn make_room(&self) {
        let mut taken = briefly(&self.taken);
        taken.hits = taken.hits.plus(self.hits.take());
        taken.local = taken.local.plus(self.local.take());
    }

    fn totals(&self) -> Taken {
        let taken = briefly(&self.taken);
        Taken { hits: taken.hits.plus(self.hits.total()), local: taken.local.plus(self.local.total()) }
    }
}

/// What the local tier does with the values of a function.
#[derive(Debug, Default)]
pub(crate) struct LocalCounters {
    pub(crate) admitted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) evicted: AtomicU64,
    pub(crate) pushed: AtomicU64,
    pub(crate) voided: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) generation: AtomicU64,
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Relaxed);
}

impl Counters {
    fn new(function: &Function, listener: &Listener) -> Counters {
        Counters {
            head: function.head().into(),
            prefix_len: function.prefix().len(),
            blocks: Default::default(),
            saved: AtomicU64::new(0),
            bodies: std::array::from_fn(|_| Buckets::of_seconds(SECONDS)),
            waits: Buckets::of_seconds(SECONDS),
            value_bytes: Buckets::of_bytes(),
            fills: Default::default(),
            refreshes: Default::default(),
            refreshes_begun: AtomicU64::new(0),
            unusable: Default::default(),
            local: LocalCounters::default(),
            listener: listener.clone(),
        }
    }

    fn block(&self) -> &Block {
        &self.blocks[block_of_thread()]
    }

    /// A value of the store was served, which its body took this long to compute.
    #[inline]
    pub(crate) fn hit(&self, micros: u32) {
        let at = block_of_thread();
        let block = &self.blocks[at];
        if block.hits.add(micros, is_own(at)) {
            block.make_room();
        }
    }

    /// The same for a value of the local tier.
    #[cfg(feature = "local")]
    #[inline]
    pub(crate) fn local_hit(&self, micros: u32) {
        let at = block_of_thread();
        let block = &self.blocks[at];
        if block.local.add(micros, is_own(at)) {
            block.make_room();
        }
    }

    /// The same for a value past its lifetime.
    pub(crate) fn stale_hit(&self, micros: u32) {
        self.call(CallResult::Stale);
        self.save(micros);
    }

    pub(crate) fn call(&self, result: CallResult) {
        self.calls(result, 1);
    }

    pub(crate) fn calls(&self, result: CallResult, count: u64) {
        add(&self.block().others[result as usize], count);
    }

    /// Hits have saved this, in addition to what was counted with them.
    pub(crate) fn save(&self, micros: u32) {
        add(&self.saved, micros.into());
    }

    pub(crate) fn body(&self, result: BodyResult, micros: u64) {
        self.bodies[result as usize].observe(micros);
        self.listener.body(&self.head, result.name(), micros);
    }

    pub(crate) fn waited(&self, micros: u64) {
        self.waits.observe(micros);
        self.listener.waited(&self.head, micros);
    }

    /// A value of this size was stored.
    pub(crate) fn stored(&self, bytes: usize) {
        self.fill(FillResult::Stored);
        self.value_bytes.observe(bytes as u64);
        self.listener.stored(&self.head, bytes as u64);
    }

    pub(crate) fn fill(&self, result: FillResult) {
        add(&self.fills[result as usize], 1);
    }

    pub(crate) fn refresh_begun(&self, count: u64) {
        add(&self.refreshes_begun, count);
    }

    pub(crate) fn refreshes(&self, result: RefreshResult, count: u64) {
        add(&self.refreshes[result as usize], count);
    }

    /// A slot held a value that cannot be used.
    pub(crate) fn unusable(&self, why: Why) {
        add(&self.unusable[why as usize], 1);
    }

    #[cfg(feature = "local")]
    pub(crate) fn local(&self) -> &LocalCounters {
        &self.local
    }

    fn read(&self) -> FunctionStats {
        let load = |counter: &AtomicU64| counter.load(Relaxed);
        let totals = self.blocks.iter().map(Block::totals);
        let taken = totals.fold(Taken::default(), |sum, block| Taken {
            hits: sum.hits.plus(block.hits),
            local: sum.local.plus(block.local),
        });
        let other = |result: CallResult| self.blocks.iter().map(|block| load(&block.others[result as usize])).sum();
        let micros = taken.hits.micros + taken.local.micros + load(&self.saved);
        let [ok, err, none, panic, cancelled] = std::array::from_fn(|at| self.bodies[at].read());
        let [stored, refused, failed, not_cacheable, too_large] = std::array::from_fn(|at| load(&self.fills[at]));
        let [refreshed, unstored, refresh_failed, skipped] = std::array::from_fn(|at| load(&self.refreshes[at]));
        let unusable = |why: Why| load(&self.unusable[why as usize]);
        FunctionStats {
            function: self.head.to_string(),
            prefix: self.head[..self.prefix_len].to_owned(),
            name: self.head[self.prefix_len + 1..].to_owned(),
            calls: Calls {
                local: taken.local.count,
                hit: taken.hits.count,
                stale: other(CallResult::Stale),
                shared: other(CallResult::Shared),
                miss: other(CallResult::Miss),
                bypass: other(CallResult::Bypass),
                cancelled: other(CallResult::Cancelled),
            },
            saved_seconds: micros as f64 / 1e6,
            bodies: Bodies { ok, err, none, panic, cancelled },
            waits: self.waits.read(),
            value_bytes: self.value_bytes.read(),
            fills: Fills { stored, refused, failed, not_cacheable, too_large },
            refreshes: Refreshes {
                stored: refreshed,
                unstored,
                failed: refresh_failed,
                skipped,
                begun: load(&self.refreshes_begun),
            },
            unusable: Unusable {
                format: unusable(Why::Format),
                version: unusable(Why::Version),
                codec: unusable(Why::Codec),
                r#type: unusable(Why::Type),
                checksum: unusable(Why::Checksum),
                tags: unusable(Why::Tags),
                decode: unusable(Why::Decode),
            },
            local: self.local.read(),
        }
    }
}

impl LocalCounters {
    fn read(&self) -> LocalStats {
        let load = |counter: &AtomicU64| counter.load(Relaxed);
        LocalStats {
            entries: 0,
            bytes: 0,
            admitted: load(&self.admitted),
            refused: load(&self.refused),
            evicted: load(&self.evicted),
            pushed: load(&self.pushed),
            voided: load(&self.voided),
            expired: load(&self.expired),
            generation: load(&self.generation),
        }
    }
}

/// The number of entries of the first part of a [`Functions`]; each further part has twice as many.
const FIRST: usize = 32;
const PARTS: usize = 27;

type Part = Box<[OnceLock<Arc<Counters>>]>;

/// The counters of all functions of one cache, by the functions' numbers. A look-up takes no lock, and no hash.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    parts: [OnceLock<Part>; PARTS],
    listener: Listener,
}

impl Functions {
    pub(crate) fn new(listener: Listener) -> Functions {
        Functions { parts: Default::default(), listener }
    }

    #[cfg(feature = "opentelemetry")]
    pub(crate) fn listener(&self) -> &Listener {
        &self.listener
    }

    /// The counters of a function, which are made by its first call.
    #[inline]
    pub(crate) fn of(&self, function: &Function) -> &Arc<Counters> {
        let at = function.number() as usize + FIRST;
        let part = (at / FIRST).ilog2() as usize;
        let size = FIRST << part;
        let entries = self.parts[part].get_or_init(|| (0..size).map(|_| OnceLock::new()).collect());
        entries[at - size].get_or_init(|| Arc::new(Counters::new(function, &self.listener)))
    }

    fn each(&self) -> impl Iterator<Item = &Counters> {
        self.parts.iter().filter_map(OnceLock::get).flatten().filter_map(OnceLock::get).map(|counters| &**counters)
    }

    /// The figures of all functions, by their heads. Functions with the same head are counted as one.
    pub(crate) fn read(&self) -> Vec<FunctionStats> {
        let mut all: Vec<FunctionStats> = self.each().map(Counters::read).collect();
        all.sort_by(|one, other| one.function.cmp(&other.function));
        let mut merged: Vec<FunctionStats> = Vec::with_capacity(all.len());
        for stats in all {
            match merged.last_mut() {
                Some(last) if last.function == stats.function => last.merge(&stats),
                _ => merged.push(stats),
            }
        }
        merged
    }
}

/// What an invalidation was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidationKind {
    Entry,
    Group,
    Tag,
}

/// The invalidations of one cache.
#[derive(Debug, Default)]
pub(crate) struct Invalidations {
    delivered: [AtomicU64; 3],
    failed: [AtomicU64; 3],
}

impl Invalidations {
    pub(crate) fn count(&self, kind: InvalidationKind, is_delivered: bool) {
        let counters = if is_delivered { &self.delivered } else { &self.failed };
        add(&counters[kind as usize], 1);
    }

    pub(crate) fn read(&self) -> InvalidationStats {
        let of = |kind: InvalidationKind| InvalidationsOfKind {
            delivered: self.delivered[kind as usize].load(Relaxed),
            failed: self.failed[kind as usize].load(Relaxed),
        };
        InvalidationStats {
            entry: of(InvalidationKind::Entry),
            group: of(InvalidationKind::Group),
            tag: of(InvalidationKind::Tag),
        }
    }
}
