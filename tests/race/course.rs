//! The state that a process of a race shares, and its verdict.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::{Duration, Instant};

use redis_cached::Cache;

use crate::processes::PROCESSES;
use crate::subject::Found;
use crate::written::{Known, Written};
use crate::{All, One, Setup, Write, random, random_part};
use test_support::PATIENCE;

/// The number of events that each process has to see before it ends, whatever the time.
pub(crate) const WRITES: u64 = 120;
pub(crate) const HITS: u64 = 20;

const REST: Duration = Duration::from_millis(1);

/// The version that readers of an id rely on.
#[derive(Clone, Copy)]
pub(crate) struct Floor {
    /// Lower versions are stale.
    pub(crate) version: u64,
    /// The values of bodies up to this one are stale.
    pub(crate) number: u64,
    /// The version of the last write that has returned, in whatever process, and the time since.
    pub(crate) latest: (u64, Duration),
    pub(crate) of: Of,
}

/// The reason for a floor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of {
    /// A write of whatever process has returned.
    Write,
    /// A write of this process has returned.
    OwnWrite,
    /// A write of another process returned longer ago than the bound.
    Bound,
    /// A call of this process has returned it.
    Seen,
}

impl Floor {
    pub(crate) fn of(version: u64, number: u64) -> Floor {
        Floor { version, number, latest: (version, Duration::ZERO), of: Of::Write }
    }
}

pub(crate) struct Course {
    pub(crate) server: String,
    pub(crate) origin: String,
    pub(crate) process: u64,
    pub(crate) cache: Cache,
    pub(crate) until: Instant,
    pub(crate) setup: Setup,
    pub(crate) counts: Counts,
    /// The writes of all processes, if functions have `local`.
    written: Option<Written>,
    /// By id: the newest version that a call of this process has returned.
    seen: Vec<AtomicU64>,
    /// The ages of late values: the time from the return of the write to the call, in microseconds.
    ages: Mutex<Vec<u64>>,
}

#[derive(Default)]
pub(crate) struct Counts {
    reads: AtomicU64,
    pub(crate) bodies: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    writes: AtomicU64,
    through: AtomicU64,
    undelivered: AtomicU64,
    /// Values that a `put` could not store.
    unstored: AtomicU64,
    stale: AtomicU64,
    /// Older than another process' last write, within the bound.
    late: AtomicU64,
}

/// The counters of readers and writers, and of the hits.
pub(crate) const COLUMNS: [&str; 11] = [
    "reads",
    "hits",
    "bodies",
    "cancelled",
    "invalidations",
    "write-throughs",
    "undelivered",
    "unstored",
    "stale",
    "local hits",
    "late",
];

impl Course {
    pub(crate) fn new(
        [server, origin, written]: [String; 3],
        process: u64,
        cache: Cache,
        until: Instant,
        setup: Setup,
    ) -> Course {
        let ids = setup.classes * setup.together;
        let written = setup.bound.map(|_| Written::open(written.as_ref(), ids));
        let seen = (0..ids).map(|_| AtomicU64::new(0)).collect();
        let (counts, ages) = (Counts::default(), Mutex::default());
        Course { server, origin, process, cache, until, setup, counts, written, seen, ages }
    }

    pub(crate) fn row(&self) -> [u64; COLUMNS.len()] {
        let Counts { reads, bodies, cancelled, writes, through, undelivered, unstored, stale, late } = &self.counts;
        let load = |counter: &AtomicU64| counter.load(Relaxed);
        [
            load(reads),
            self.hits(),
            load(bodies),
            load(cancelled),
            load(writes),
            load(through),
            load(undelivered),
            load(unstored),
            load(stale),
            self.cache.stats().local_hits,
            load(late),
        ]
    }

    /// The ages of late values.
    pub(crate) fn ages(&self) -> Vec<u64> {
        self.ages.lock().unwrap().clone()
    }

    /// The floors of ids in this process, if each process has its own.
    pub(crate) fn own_floors(&self, ids: &[u64]) -> Option<Vec<Floor>> {
        let (bound, written) = (self.setup.bound?, self.written.as_ref()?);
        let floors = ids.iter().map(|id| {
            // What a call that is over has returned is a floor, too; it is asked for first.
            let seen = self.seen[*id as usize].load(SeqCst);
            let Known { settled, latest } = written.known(*id, bound);
            let is_own = id / self.setup.together % PROCESSES == self.process;
            let (version, of) = if is_own { (latest.0, Of::OwnWrite) } else { (settled, Of::Bound) };
            let (version, of) = if seen > version { (seen, Of::Seen) } else { (version, of) };
            Floor { version, number: 0, latest, of }
        });
        Some(floors.collect())
    }

    /// Notes the time at which writes have returned, if each process has its own floors.
    pub(crate) fn has_noted(&self, new: &[(u64, u64)]) -> bool {
        let Some(written) = &self.written else { return false };
        new.iter().for_each(|(id, version)| written.note(*id, *version));
        true
    }

    /// One of so many calls is no plain call for one id, or followed by a rest. What a process keeps is asked for often.
    pub(crate) fn variety(&self) -> u64 {
        if self.written.is_some() { 64 } else { 8 }
    }

    /// The rest of a reader before its next call: readers that are answered from memory let others run now and then.
    pub(crate) fn rest_of_reader(&self) -> Duration {
        let rests = self.written.is_some() && random(32) == 0;
        self.pause() + if rests { REST } else { Duration::ZERO }
    }

    /// The rest of a writer before its next write.
    pub(crate) fn rest_of_writer(&self) -> Duration {
        let rest = random_part(self.setup.rest);
        if self.has_written() { rest + self.pause() } else { rest }
    }

    /// Zero until time is up. On a machine that is too busy for hits, the race then leaves it more and more to others.
    fn pause(&self) -> Duration {
        self.until.elapsed() / 32
    }

    fn has_written(&self) -> bool {
        self.counts.writes.load(Relaxed) >= WRITES
    }

    /// Old values among them.
    fn hits(&self) -> u64 {
        let stats = self.cache.stats();
        stats.hits + stats.stale
    }

    /// Until time is up and enough has happened.
    pub(crate) fn goes_on(&self) -> bool {
        let is_kept = self.setup.bound.is_none() || self.cache.stats().local_hits >= HITS;
        let enough = self.has_written() && self.hits() >= HITS && is_kept;
        let late = self.until.elapsed();
        late.is_zero() || (!enough && late < 3 * PATIENCE)
    }

    pub(crate) fn judge_call(&self, id: u64, floor: Floor, got: Found, how: &str) {
        self.judge(id, if self.setup.judge_calls { floor } else { Floor::of(0, 0) }, got, how);
    }

    /// Whatever the order in which a call for many ids returns them.
    pub(crate) fn judge_many(&self, ids: &[u64], floors: &[Floor], got: &[(u64, Found)], how: &str) {
        assert_eq!(got.len(), ids.len(), "each of {ids:?} once");
        for (id, got) in got {
            let at = ids.iter().position(|asked| asked == id).expect("one that was asked for");
            self.judge_call(*id, floors[at], *got, how);
        }
    }

    pub(crate) fn judge(&self, id: u64, floor: Floor, got: Found, how: &str) {
        self.counts.reads.fetch_add(1, Relaxed);
        let is_stale = got.version < floor.version || got.number <= floor.number;
        // A body may run while its version is being written, and lose its slot to an older one. What a call gets that began
        // after the write is in the store for all.
        if got.version <= floor.latest.0 {
            self.seen[id as usize].fetch_max(got.version, SeqCst);
        }
        if !is_stale && got.version < floor.latest.0 {
            self.counts.late.fetch_add(1, Relaxed);
            self.ages.lock().unwrap().push(floor.latest.1.as_micros() as u64);
        }
        if is_stale && self.counts.stale.fetch_add(1, Relaxed) < 3 {
            let (Found { version, number }, Floor { version: least, number: void, latest, of }) = (got, floor);
            eprintln!(
                "stale: {how} of {id} got {version} and {least} was promised by {of:?}, of body {number} and those to \
                 {void} were void; {latest:?} is the last"
            );
        }
    }

    pub(crate) fn note(&self, how: Write, promised: bool) {
        let counter = match how {
            Write::Single(One::Through) => &self.counts.through,
            Write::Single(One::FailingThrough | One::CancelledThrough) | Write::Together(All::Cancelled) => return,
            _ if promised => &self.counts.writes,
            Write::Single(One::Put) => &self.counts.unstored,
            _ => &self.counts.undelivered,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// The classes that this process writes, half of them by threads.
    pub(crate) fn written(&self, by_thread: bool) -> impl Iterator<Item = Vec<u64>> {
        let (process, setup) = (self.process, self.setup);
        (0..setup.classes)
            .filter(move |class| class % PROCESSES == process && (class / PROCESSES % 2 == 1) == by_thread)
            .map(move |class| (class * setup.together..(class + 1) * setup.together).collect())
    }

    pub(crate) fn random_id(&self) -> u64 {
        random(self.setup.classes * self.setup.together)
    }

    /// Some ids, each once, in any order.
    pub(crate) fn random_ids(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = (0..self.setup.classes * self.setup.together).collect();
        for at in (1..ids.len()).rev() {
            ids.swap(at, random(at as u64 + 1) as usize);
        }
        ids.truncate(1 + random(self.setup.most) as usize);
        ids
    }
}
