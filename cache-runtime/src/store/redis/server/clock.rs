//! The server's clock, in this process' estimate.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The most that two clocks may part in a second.
const DRIFT_PER_MILLION: u128 = 200;

/// Milliseconds of the server, from its `TIME` and a clock that does not go back.
#[derive(Debug)]
pub(crate) struct Clock {
    base: Instant,
    /// Server microseconds at `base`.
    offset: AtomicI64,
    last: Mutex<Option<Sample>>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    round_trip: Duration,
}

impl Sample {
    /// The possible error of this sample by now, in either direction.
    fn doubt(&self, now: Instant) -> Duration {
        let age = now.saturating_duration_since(self.at).as_micros();
        self.round_trip / 2 + Duration::from_micros((age * DRIFT_PER_MILLION / 1_000_000) as u64)
    }
}

impl Clock {
    /// The client's own clock, until the server's is known.
    pub(crate) fn new() -> Clock {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { base: Instant::now(), offset: AtomicI64::new(since.as_micros() as i64), last: Mutex::new(None) }
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    /// Does the same for a time that the caller has already read.
    pub(crate) fn at(&self, now: Instant) -> u64 {
        let micros = self.offset.load(Relaxed).saturating_add(self.since_base(now));
        u64::try_from(micros).unwrap_or(0) / 1000
    }

    /// Milliseconds since this clock was made.
    pub(crate) fn ticks(&self) -> u64 {
        self.base.elapsed().as_millis() as u64
    }

    /// Milliseconds since this clock was made, at a time that the caller has already read.
    pub(crate) fn ticks_at(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.base).as_millis() as u64
    }

    /// Notes that the server reported `micros` between two moments.
    pub(crate) fn sample(&self, micros: i64, sent: Instant, received: Instant) {
        let round_trip = received.saturating_duration_since(sent);
        let middle = sent + round_trip / 2;
        let offset = micros.saturating_sub(self.since_base(middle));
        let sample = Sample { at: received, round_trip };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = *last {
            let doubt = known.doubt(received);
            let apart = self.offset.load(Relaxed).abs_diff(offset);
            let contradicts = apart > (doubt + round_trip / 2).as_micros() as u64;
            // A quick reply is more exact than a slow one; a contradiction means that the clock was reset.
            if round_trip / 2 > doubt && !contradicts {
                return;
            }
        }
        self.offset.store(offset, Relaxed);
        *last = Some(sample);
    }

    fn since_base(&self, now: Instant) -> i64 {
        now.saturating_duration_since(self.base).as_micros() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn after(clock: &Clock, millis: u64) -> Instant {
        clock.base + Duration::from_millis(millis)
    }

    #[test]
    fn half_of_the_round_trip_is_the_way_there() {
        let clock = Clock::new();
        clock.sample(5 * SECOND, after(&clock, 100), after(&clock, 120));
        assert_eq!(clock.at(after(&clock, 110)), 5_000);
        assert_eq!(clock.at(after(&clock, 1_110)), 6_000);
    }

    #[test]
    fn a_slow_reply_does_not_replace_a_quick_one() {
        let clock = Clock::new();
        clock.sample(5 * SECOND, after(&clock, 100), after(&clock, 102));
        // The request took all of the 200 ms.
        clock.sample(5 * SECOND + 220_000, after(&clock, 121), after(&clock, 321));
        assert_eq!(clock.at(after(&clock, 101)), 5_000);
    }

    #[test]
    fn a_clock_that_was_set_is_followed() {
        let clock = Clock::new();
        clock.sample(5 * SECOND, after(&clock, 100), after(&clock, 102));
        clock.sample(500 * SECOND, after(&clock, 200), after(&clock, 300));
        assert_eq!(clock.at(after(&clock, 250)), 500_000);
        clock.sample(5 * SECOND, after(&clock, 400), after(&clock, 500));
        assert_eq!(clock.at(after(&clock, 450)), 5_000);
    }

    #[test]
    fn absurd_times_do_not_overflow() {
        let clock = Clock::new();
        for micros in [i64::MIN, i64::MAX, 0, -1] {
            clock.sample(micros, after(&clock, 100), after(&clock, 102));
            clock.at(after(&clock, 200));
        }
    }
}
