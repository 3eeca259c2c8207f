//! What is counted at the end of something, however it ends: with a result, by cancellation, or by a panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use tracing::Span;

use super::counters::{BodyResult, CallResult, Counters, RefreshResult};

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A call that has no result yet. If it is dropped, it counts with the result that is likely so far.
#[derive(Debug)]
pub(crate) struct Undecided<'a> {
    counters: &'a Counters,
    likely: Option<CallResult>,
}

impl<'a> Undecided<'a> {
    pub(crate) fn new(counters: &'a Counters) -> Undecided<'a> {
        Undecided { counters, likely: Some(CallResult::Cancelled) }
    }

    /// Notes the result unless another one follows.
    pub(crate) fn likely(&mut self, result: CallResult) {
        self.likely = Some(result);
    }

    pub(crate) fn decide(&mut self, result: CallResult) {
        self.likely = None;
        self.counters.call(result);
    }

    pub(crate) fn hit(&mut self, micros: u32) {
        self.likely = None;
        self.counters.hit(micros);
    }

    pub(crate) fn stale_hit(&mut self, micros: u32) {
        self.likely = None;
        self.counters.stale_hit(micros);
    }
}

impl Drop for Undecided<'_> {
    fn drop(&mut self) {
        if let Some(result) = self.likely {
            self.counters.call(result);
        }
    }
}

/// The time that a body takes, and its span.
#[derive(Debug)]
pub(crate) struct BodyTimer<'a> {
    counters: &'a Counters,
    started: Instant,
    span: Span,
    has_ended: bool,
}

impl<'a> BodyTimer<'a> {
    pub(crate) fn start(counters: &'a Counters, span: Span) -> BodyTimer<'a> {
        BodyTimer { counters, started: Instant::now(), span, has_ended: false }
    }

    /// The span in which the body runs.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// The body has returned; returns how long it ran.
    pub(crate) fn ended(&mut self, result: BodyResult) -> Duration {
        self.has_ended = true;
        let ran = self.started.elapsed();
        self.counters.body(result, micros(ran));
        self.span.record("outcome", result.name());
        ran
    }
}

impl Drop for BodyTimer<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.ended(if thread::panicking() { BodyResult::Panic } else { BodyResult::Cancelled });
        }
    }
}

/// The time that a call waits for another one.
#[derive(Debug)]
pub(crate) struct WaitTimer<'a> {
    counters: &'a Counters,
    started: Instant,
}

impl<'a> WaitTimer<'a> {
    pub(crate) fn start(counters: &'a Counters) -> WaitTimer<'a> {
        WaitTimer { counters, started: Instant::now() }
    }
}

impl Drop for WaitTimer<'_> {
    fn drop(&mut self) {
        self.counters.waited(micros(self.started.elapsed()));
    }
}

/// A refresh whose body runs. If it is dropped, it has failed.
#[derive(Debug)]
pub(crate) struct RefreshTally<'a> {
    counters: &'a Counters,
    result: RefreshResult,
}

impl<'a> RefreshTally<'a> {
    pub(crate) fn begin(counters: &'a Counters) -> RefreshTally<'a> {
        counters.refresh_begun(1);
        RefreshTally { counters, result: RefreshResult::Failed }
    }

    /// The body returned a value.
    pub(crate) fn ended(mut self, is_stored: bool) {
        self.result = if is_stored { RefreshResult::Stored } else { RefreshResult::Unstored };
    }
}

impl Drop for RefreshTally<'_> {
    fn drop(&mut self) {
        self.counters.refreshes(self.result, 1);
    }
}

/// The results of a call for many ids, of which each counts as a call. Ids that have no result when it is dropped were
/// cancelled.
#[derive(Debug)]
pub(crate) struct BatchTally {
    counters: Arc<Counters>,
    /// The ids that have no result.
    left: AtomicU64,
    /// The ids are refreshed, and do not count as calls.
    is_refresh: bool,
    /// The longest duration of a body that computed one of the values that were found.
    longest: AtomicU32,
    has_run: AtomicBool,
    has_ended: AtomicBool,
}

impl BatchTally {
    pub(crate) fn new(counters: &Arc<Counters>, ids: usize, is_refresh: bool) -> BatchTally {
        if is_refresh {
            counters.refresh_begun(ids as u64);
        }
        BatchTally {
            counters: Arc::clone(counters),
            left: AtomicU64::new(ids as u64),
            is_refresh,
            longest: AtomicU32::new(0),
            has_run: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_refresh(&self) -> bool {
        self.is_refresh
    }

    fn one_less(&self) {
        self.left.fetch_sub(1, Relaxed);
    }

    /// The body runs for some of the ids.
    pub(crate) fn runs(&self) {
        self.has_run.store(true, Relaxed);
    }

    /// The call returns. Ids without a result found nothing usable: the body failed, or returned them for others.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Relaxed);
    }

    pub(crate) fn decide(&self, result: CallResult) {
        self.one_less();
        self.counters.call(result);
    }

    /// A value was found, which its body took this long to compute.
    pub(crate) fn hit(&self, micros: u32) {
        self.one_less();
        self.counters.hit(0);
        self.longest.fetch_max(micros, Relaxed);
    }

    /// The same in the local tier.
    #[cfg(feature = "local")]
    pub(crate) fn local_hit(&self, micros: u32) {
        self.one_less();
        self.counters.local_hit(0);
        self.longest.fetch_max(micros, Relaxed);
    }

    /// A value past its lifetime was found.
    pub(crate) fn stale_hit(&self, micros: u32) {
        self.decide(CallResult::Stale);
        self.longest.fetch_max(micros, Relaxed);
    }

    /// An id was refreshed; does nothing in a call that refreshes nothing.
    pub(crate) fn refreshed(&self, is_stored: bool) {
        if self.is_refresh {
            self.one_less();
            self.counters.refreshes(if is_stored { RefreshResult::Stored } else { RefreshResult::Unstored }, 1);
        }
    }
}

impl Drop for BatchTally {
    fn drop(&mut self) {
        match (*self.left.get_mut(), self.is_refresh) {
            (0, _) => {}
            (left, false) if *self.has_ended.get_mut() => self.counters.calls(CallResult::Miss, left),
            (left, false) => self.counters.calls(CallResult::Cancelled, left),
            (left, true) => self.counters.refreshes(RefreshResult::Failed, left),
        }
        // One body would have run for all ids. If one ran all the same, it is not known what was saved.
        if !*self.has_run.get_mut() {
            self.counters.save(*self.longest.get_mut());
        }
    }
}
