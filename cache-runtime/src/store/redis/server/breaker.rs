//! The circuit breaker, and the backoff between attempts. It has no clock of its own, and does no I/O.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The shortest pause before an attempt.
const SHORTEST: Duration = Duration::from_millis(100);

/// What a program may set about a breaker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The number of consecutive failures that opens it.
    pub(crate) failures: u32,
    /// The longest pause before an attempt.
    pub(crate) longest_pause: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { failures: 5, longest_pause: Duration::from_secs(2) }
    }
}

/// The pauses between attempts: each failure doubles the pause, and jitter makes it differ between processes.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    failures: u32,
    limits: Limits,
}

impl Pauses {
    pub(crate) fn new(limits: Limits) -> Pauses {
        Pauses { failures: 0, limits }
    }

    /// The next pause. `noise` is any random number.
    pub(crate) fn next(&mut self, noise: u64) -> Duration {
        let full = SHORTEST.saturating_mul(1 << self.failures.min(8)).min(self.limits.longest_pause);
        self.failures = self.failures.saturating_add(1);
        // The pause is between three quarters and the whole of it.
        let quarter = full.as_micros() as u64 / 4;
        full - Duration::from_micros(noise % (quarter + 1))
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Random enough to spread processes over a pause.
pub(crate) fn noise() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

/// The breaker of a server. Each opening begins a new *epoch*: an operation or connection of an earlier epoch no longer
/// says anything about the server.
///
/// A single word holds the whole state, so that the gate of every operation is one load: `epoch << 32 | failures`, with
/// [`OPEN`] for open and [`TRIAL`] set between a successful probe and the first operation that succeeds.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    word: AtomicU64,
    limits: Limits,
}

/// The passage of one operation through the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch(u32);

impl Epoch {
    pub(crate) fn number(self) -> u64 {
        self.0.into()
    }
}

const OPEN: u32 = 1 << 31;
const TRIAL: u32 = 1 << 30;

impl Breaker {
    pub(crate) fn new(limits: Limits) -> Breaker {
        Breaker { word: AtomicU64::new(0), limits }
    }

    /// Returns `None` while open.
    pub(crate) fn admit(&self) -> Option<Epoch> {
        let word = self.word.load(Relaxed);
        (word as u32 & OPEN == 0).then_some(Epoch((word >> 32) as u32))
    }

    /// The epoch, open or not.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch((self.word.load(Relaxed) >> 32) as u32)
    }

    /// Notes a success; true if it is the first since the breaker closed.
    pub(crate) fn succeeded(&self, epoch: Epoch) -> bool {
        let word = self.word.load(Relaxed);
        if word == Self::word(epoch, 0) {
            return false;
        }
        self.change(epoch, |state| (state & OPEN == 0).then_some(0)).is_some_and(|was| was & TRIAL != 0)
    }

    /// Notes a failure; true if it opened the breaker. `at_once` does not count.
    pub(crate) fn failed(&self, epoch: Epoch, at_once: bool) -> bool {
        let mut opened = false;
        let changed = self.word.fetch_update(Relaxed, Relaxed, |word| {
            let state = word as u32;
            opened = false;
            if (word >> 32) as u32 != epoch.0 || state & OPEN != 0 {
                return None;
            }
            let failures = (state & !TRIAL) + 1;
            if at_once || failures >= self.limits.failures {
                opened = true;
                return Some(Self::word(Epoch(epoch.0.wrapping_add(1)), OPEN));
            }
            Some(Self::word(epoch, state & TRIAL | failures))
        });
        changed.is_ok() && opened
    }

    /// Notes that a probe succeeded; returns true if it closed the breaker.
    pub(crate) fn close(&self, epoch: Epoch) -> bool {
        self.change(epoch, |state| (state & OPEN != 0).then_some(TRIAL)).is_some()
    }

    /// Begins a new epoch for another server: open stays open, and failures count anew.
    pub(crate) fn renew(&self) {
        let renewed = |word: u64| {
            let epoch = Epoch((word >> 32) as u32);
            Self::word(Epoch(epoch.0.wrapping_add(1)), word as u32 & (OPEN | TRIAL))
        };
        let _ = self.word.fetch_update(Relaxed, Relaxed, |word| Some(renewed(word)));
    }

    fn change(&self, epoch: Epoch, next: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        let changed = self.word.fetch_update(Relaxed, Relaxed, |word| {
            let same = (word >> 32) as u32 == epoch.0;
            next(word as u32).filter(|_| same).map(|state| Self::word(epoch, state))
        });
        changed.ok().map(|word| word as u32)
    }

    fn word(epoch: Epoch, state: u32) -> u64 {
        u64::from(epoch.0) << 32 | u64::from(state)
    }
}

/// A breaker that needs no probe: while open, one attempt passes after each pause. Times are milliseconds on any clock
/// that does not go back.
#[derive(Debug, Default)]
pub(crate) struct HalfOpen {
    failures: AtomicU32,
    /// The time of the next attempt; 0 while closed.
    next_at: AtomicU64,
    limits: Limits,
}

impl HalfOpen {
    pub(crate) fn new(limits: Limits) -> HalfOpen {
        HalfOpen { failures: AtomicU32::new(0), next_at: AtomicU64::new(0), limits }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.next_at.load(Relaxed) != 0
    }

    pub(crate) fn admits(&self, now: impl FnOnce() -> u64) -> bool {
        let at = self.next_at.load(Relaxed);
        if at == 0 {
            return true;
        }
        let now = now();
        // The caller that moves the time makes the attempt.
        let next_at = now + self.limits.longest_pause.as_millis() as u64;
        now >= at && self.next_at.compare_exchange(at, next_at, Relaxed, Relaxed).is_ok()
    }

    /// Notes a success; true if it closed the breaker.
    pub(crate) fn succeeded(&self) -> bool {
        if self.failures.load(Relaxed) == 0 {
            return false;
        }
        self.failures.store(0, Relaxed);
        self.next_at.swap(0, Relaxed) != 0
    }

    /// Notes a failure; true if it opened the breaker.
    pub(crate) fn failed(&self, now: u64, noise: u64) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failures < self.limits.failures {
            return false;
        }
        let mut pauses = Pauses { failures: failures - self.limits.failures, limits: self.limits };
        let next_at = now + pauses.next(noise).as_millis() as u64;
        self.next_at.swap(next_at.max(1), Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(breaker: &Breaker, times: u32) -> u32 {
        let epoch = breaker.epoch();
        (0..times).filter(|_| breaker.failed(epoch, false)).count() as u32
    }

    #[test]
    fn five_failures_in_a_row_open_it() {
        let breaker = Breaker::default();
        assert_eq!(fail(&breaker, 4), 0);
        assert!(!breaker.succeeded(breaker.epoch()), "nothing to recover from");
        assert_eq!(fail(&breaker, 4), 0);
        assert!(breaker.admit().is_some());
        assert_eq!(fail(&breaker, 1), 1);
        assert!(breaker.admit().is_none());
        assert_eq!(fail(&breaker, 10), 0, "open already");
    }

    #[test]
    fn what_began_before_the_opening_does_not_count_after_it() {
        let breaker = Breaker::default();
        let old = breaker.epoch();
        assert!(breaker.failed(old, true));
        assert!(!breaker.succeeded(old));
        assert!(breaker.admit().is_none(), "an old success closes nothing");
        assert!(breaker.close(breaker.epoch()));
        assert!((0..10).all(|_| !breaker.failed(old, true)));
        assert!(breaker.admit().is_some(), "old failures open nothing");
    }

    #[test]
    fn recovery_is_the_first_success_after_the_probe() {
        let breaker = Breaker::default();
        assert!(breaker.failed(breaker.epoch(), true));
        let epoch = breaker.epoch();
        assert!(!breaker.succeeded(epoch), "an open breaker closes by its probe alone");
        assert!(breaker.close(epoch));
        assert!(!breaker.close(epoch), "closed already");
        assert!(!breaker.failed(epoch, false));
        assert!(breaker.succeeded(epoch));
        assert!(!breaker.succeeded(epoch));
    }

    #[test]
    fn a_failed_trial_opens_it_again() {
        let breaker = Breaker::default();
        assert!(breaker.failed(breaker.epoch(), true));
        assert!(breaker.close(breaker.epoch()));
        assert_eq!(fail(&breaker, 5), 1);
        assert!(breaker.admit().is_none());
    }

    #[test]
    fn pauses_grow_to_two_seconds() {
        let mut pauses = Pauses::default();
        let millis: Vec<_> = (0..7).map(|_| pauses.next(0).as_millis()).collect();
        assert_eq!(millis, [100, 200, 400, 800, 1600, 2000, 2000]);
        pauses.reset();
        assert_eq!(pauses.next(0).as_millis(), 100);
        for noise in [1, 12_345_678_901, u64::MAX] {
            let mut pauses = Pauses::default();
            let pause = pauses.next(noise).as_millis();
            assert!((75..=100).contains(&pause), "{pause}");
        }
    }

    #[test]
    fn half_open_lets_one_attempt_through_after_each_pause() {
        let breaker = HalfOpen::default();
        for attempt in 1..=5 {
            assert!(breaker.admits(|| 0));
            assert_eq!(breaker.failed(1_000, 0), attempt == 5);
        }
        assert!(!breaker.admits(|| 1_099));
        assert!(breaker.admits(|| 1_100));
        assert!(!breaker.admits(|| 1_100), "one attempt only");
        assert!(!breaker.failed(1_100, 0), "open already");
        assert!(!breaker.admits(|| 1_299), "a longer pause");
        assert!(breaker.admits(|| 1_300));
        assert!(breaker.succeeded());
        assert!(breaker.admits(|| 1_300) && breaker.admits(|| 1_300));
    }

    #[test]
    fn a_success_in_between_keeps_half_open_closed() {
        let breaker = HalfOpen::default();
        for _ in 0..20 {
            assert!(!breaker.failed(0, 0));
            assert!(!breaker.failed(0, 0));
            assert!(!breaker.succeeded());
        }
        assert!(breaker.admits(|| 0));
    }
}
