//! Judges each call, and counts.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::Cache;

use super::origin::Floor;
use super::row::Row;

/// A call or a verb that takes longer hangs. A lease lasts ten seconds, and a call may wait for the lease of a process that
/// lost its server.
pub(super) const HUNG: Duration = Duration::from_secs(30);
/// The ends of so many bodies are remembered.
const BODIES: usize = 40_000;
/// A busy machine may interrupt a body that long between its last step and its end.
const SLACK: Duration = Duration::from_millis(200);
/// The time between two looks at the cache and at the calls that run.
const LOOK: Duration = Duration::from_millis(20);
/// So many findings of each kind are shown.
const SHOWN: u64 = 5;

/// The harm that a fault may do, as the documentation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Nothing is stale.
    None,
    /// The server is away: a call may get the result of a body of its process that had not ended when it began.
    Away,
    /// The same, and acknowledged invalidations may be lost.
    Loses,
}

impl Harm {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Harm::None => "none",
            Harm::Away => "away",
            Harm::Loses => "loses",
        }
    }

    pub(super) fn parse(word: &str) -> Harm {
        let all = [Harm::None, Harm::Away, Harm::Loses];
        all.into_iter().find(|harm| harm.word() == word).expect("a harm")
    }
}

/// The fault that goes on. The number tells two times apart between which a window was opened or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    number: u64,
    harm: Option<Harm>,
    /// The harm before the last change.
    last: Option<Harm>,
}

/// The beginning of a call or a verb.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Instant,
    window: Window,
}

/// The names of the counts.
pub(crate) const COLUMNS: [&str; 10] =
    ["calls", "hits", "bodies", "failed", "wrong", "stale", "lost", "shared", "hung", "slowest"];

#[derive(Default)]
struct Counts {
    calls: AtomicU64,
    bodies: AtomicU64,
    failed: AtomicU64,
    wrong: AtomicU64,
    stale: AtomicU64,
    /// Stale because a failover may have lost the invalidation.
    lost: AtomicU64,
    /// Stale because a call of a process that could not ask shared a body.
    shared: AtomicU64,
    hung: AtomicU64,
    slowest_micros: AtomicU64,
}

struct Body {
    number: u64,
    ended: Instant,
}

struct Running {
    since: Instant,
    what: String,
    is_hung: bool,
}

pub(super) struct Judge {
    window: Mutex<Window>,
    counts: Counts,
    /// The number of bodies begun.
    bodies: AtomicU64,
    ended: Mutex<VecDeque<Body>>,
    running: Mutex<BTreeMap<u64, Running>>,
    next_run: AtomicU64,
    /// The cache that is watched, its bypasses, and when they last grew.
    cache: Mutex<Option<(Cache, u64)>>,
    bypassed: Mutex<Option<Instant>>,
    shown: AtomicU64,
}

/// Looks for calls that hang, and for calls that could not ask the cache, from now on.
pub(super) fn watch(judge: &Arc<Judge>) {
    let judge = Arc::clone(judge);
    thread::spawn(move || {
        loop {
            thread::sleep(LOOK);
            judge.look();
        }
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Judge {
    pub(super) fn new() -> Judge {
        Judge {
            window: Mutex::new(Window { number: 0, harm: None, last: None }),
            counts: Counts::default(),
            bodies: AtomicU64::new(0),
            ended: Mutex::new(VecDeque::with_capacity(BODIES)),
            running: Mutex::default(),
            next_run: AtomicU64::new(0),
            cache: Mutex::default(),
            bypassed: Mutex::default(),
            shown: AtomicU64::new(0),
        }
    }

    pub(super) fn open(&self, harm: Harm) {
        self.change(Some(harm));
    }

    pub(super) fn close(&self) {
        self.change(None);
    }

    fn change(&self, harm: Option<Harm>) {
        let mut window = lock(&self.window);
        *window = Window { number: window.number + 1, harm, last: window.harm };
    }

    pub(super) fn watch_cache(&self, cache: &Cache) {
        *lock(&self.cache) = Some((cache.clone(), cache.stats().bypasses));
    }

    /// The beginning of a call.
    pub(super) fn now(&self) -> Moment {
        Moment { at: Instant::now(), window: *lock(&self.window) }
    }

    /// The worst that a fault may have done since then; `None` if there was no fault.
    pub(super) fn harm_since(&self, began: Moment) -> Option<Harm> {
        let window = *lock(&self.window);
        let last = window.last.filter(|_| window.number != began.window.number);
        [began.window.harm, window.harm, last].into_iter().flatten().max_by_key(|harm| *harm as u8)
    }

    /// Notes that something runs, as long as the result lives.
    pub(super) fn run(&self, what: impl FnOnce() -> String) -> Run<'_> {
        let number = self.next_run.fetch_add(1, Relaxed);
        let running = Running { since: Instant::now(), what: what(), is_hung: false };
        lock(&self.running).insert(number, running);
        Run { judge: self, number }
    }

    pub(super) fn begin_body(&self) -> u64 {
        self.counts.bodies.fetch_add(1, Relaxed);
        self.bodies.fetch_add(1, Relaxed)
    }

    pub(super) fn end_body(&self, number: u64) {
        let mut ended = lock(&self.ended);
        if ended.len() == BODIES {
            ended.pop_front();
        }
        ended.push_back(Body { number, ended: Instant::now() });
    }

    /// A call ended, whatever it returned.
    pub(super) fn ended(&self, began: Moment) {
        self.counts.calls.fetch_add(1, Relaxed);
        self.counts.slowest_micros.fetch_max(began.at.elapsed().as_micros() as u64, Relaxed);
    }

    pub(super) fn failed(&self, what: &str) {
        self.counts.failed.fetch_add(1, Relaxed);
        self.show("failed", &what);
    }

    pub(super) fn wrong(&self, what: &impl Display) {
        self.counts.wrong.fetch_add(1, Relaxed);
        self.show("wrong", what);
    }

    /// Judges a value. `shares` is the own process if calls of this kind share bodies.
    pub(super) fn value(&self, got: &Row, floor: Floor, began: Moment, shares: Option<u64>, how: &str) {
        if got.version >= floor.version && got.version >= floor.unless_lost {
            return;
        }
        let counter = if shares.is_some_and(|process| self.is_shared(got, began, process)) {
            &self.counts.shared
        } else if got.version >= floor.version {
            &self.counts.lost
        } else {
            self.show_stale(got, floor, began, how);
            &self.counts.stale
        };
        counter.fetch_add(1, Relaxed);
    }

    /// True if the call could not ask the cache, and got the value of a body of its process that ran when it began.
    fn is_shared(&self, got: &Row, began: Moment, process: u64) -> bool {
        let Some((of, number)) = got.body else { return false };
        let ended = self.end_of(number);
        let ran = of == process && ended.is_some_and(|ended| ended + SLACK >= began.at);
        let is_away = match self.harm_since(began) {
            Some(Harm::Away | Harm::Loses) => true,
            Some(Harm::None) => false,
            // A busy machine may take longer than the time-out.
            None => lock(&self.bypassed).is_some_and(|at| at + Duration::from_secs(1) >= began.at),
        };
        ran && is_away
    }

    fn show_stale(&self, got: &Row, floor: Floor, began: Moment, how: &str) {
        let Row { version, body, .. } = got;
        let (after, harm) = (began.at.elapsed(), self.harm_since(began));
        let least = floor.version;
        let bodies = self.bodies.load(Relaxed);
        let ended = body.and_then(|(_, number)| self.end_of(number)).map(|ended| ended.elapsed());
        self.show(
            "stale",
            &format!(
                "{how} got {version} after {after:?} where {least} was promised, harm {harm:?}; of the body \
                 {body:?}, which ended {ended:?} ago if it is one of this process; {bodies} bodies began here"
            ),
        );
    }

    /// The end of a body of this process, if it is remembered.
    fn end_of(&self, number: u64) -> Option<Instant> {
        lock(&self.ended).iter().rev().find(|body| body.number == number).map(|body| body.ended)
    }

    fn show(&self, kind: &str, what: &impl Display) {
        if self.shown.fetch_add(1, Relaxed) < SHOWN * 4 {
            eprintln!("{kind}: {what}");
        }
    }

    fn look(&self) {
        if let Some((cache, bypasses)) = &mut *lock(&self.cache) {
            let now = cache.stats().bypasses;
            if now > *bypasses {
                *bypasses = now;
                *lock(&self.bypassed) = Some(Instant::now());
            }
        }
        for running in lock(&self.running).values_mut() {
            if !running.is_hung && running.since.elapsed() > HUNG {
                running.is_hung = true;
                self.counts.hung.fetch_add(1, Relaxed);
                self.show("hung", &running.what);
            }
        }
    }

    /// The counts since the last call, in the order of [`COLUMNS`].
    pub(super) fn take_counts(&self, hits: u64) -> [u64; COLUMNS.len()] {
        let Counts { calls, bodies, failed, wrong, stale, lost, shared, hung, slowest_micros } = &self.counts;
        let take = |counter: &AtomicU64| counter.swap(0, Relaxed);
        [
            take(calls),
            hits,
            take(bodies),
            take(failed),
            take(wrong),
            take(stale),
            take(lost),
            take(shared),
            take(hung),
            take(slowest_micros),
        ]
    }
}

/// Something that runs, and must end.
pub(super) struct Run<'a> {
    judge: &'a Judge,
    number: u64,
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        lock(&self.judge.running).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u64 = 1;
    const FLOOR: Floor = Floor { version: 5, unless_lost: 7 };

    fn judged(harm: Option<Harm>, version: u64, body: Option<(u64, u64)>, shares: Option<u64>) -> [u64; 3] {
        let judge = Judge::new();
        if let Some(harm) = harm {
            judge.open(harm);
        }
        let number = judge.begin_body();
        let began = judge.now();
        judge.end_body(number);
        judge.value(&Row::new(3, version, body, false), FLOOR, began, shares, "a call");
        let counts = judge.take_counts(0);
        ["stale", "lost", "shared"].map(|name| counts[COLUMNS.iter().position(|column| *column == name).unwrap()])
    }

    #[test]
    fn a_value_below_the_floor_is_stale() {
        let all = [None, Some(Harm::None), Some(Harm::Away), Some(Harm::Loses)];
        for harm in all {
            assert_eq!(judged(harm, 7, None, Some(OWN)), [0, 0, 0], "{harm:?}");
            assert_eq!(judged(harm, 6, None, Some(OWN)), [0, 1, 0], "{harm:?}");
            assert_eq!(judged(harm, 4, None, Some(OWN)), [1, 0, 0], "{harm:?}");
            assert_eq!(
                judged(harm, 4, Some((OWN + 1, 0)), Some(OWN)),
                [1, 0, 0],
                "a body of another process, {harm:?}"
            );
        }
    }

    #[test]
    fn a_call_that_could_not_ask_may_share_a_body_that_ran_when_it_began() {
        let of_own = Some((OWN, 0));
        assert_eq!(judged(Some(Harm::Away), 4, of_own, Some(OWN)), [0, 0, 1]);
        assert_eq!(judged(Some(Harm::Away), 4, of_own, None), [1, 0, 0], "a verb");
        assert_eq!(judged(Some(Harm::None), 4, of_own, Some(OWN)), [1, 0, 0], "nothing is away");
        assert_eq!(judged(None, 4, of_own, Some(OWN)), [1, 0, 0], "nothing is away");
    }

    #[test]
    fn a_fault_that_came_and_went_counts() {
        let judge = Judge::new();
        let began = judge.now();
        assert_eq!(judge.harm_since(began), None);
        judge.open(Harm::Loses);
        judge.close();
        assert_eq!(judge.harm_since(began), Some(Harm::Loses));
        assert_eq!(judge.harm_since(judge.now()), None);
    }
}
