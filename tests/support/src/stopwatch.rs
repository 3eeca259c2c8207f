//! Measures how long something takes in a thread, apart from what a busy machine adds.

use std::time::{Duration, Instant};

/// Measures from its start, in the thread that started it.
#[derive(Debug)]
pub struct Stopwatch {
    begun: Instant,
    waited: Duration,
}

/// How long something took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// By the clock.
    pub elapsed: Duration,
    /// The part in which the thread was ready to run, and the machine ran others.
    pub waited: Duration,
}

impl Stopwatch {
    /// Starts to measure.
    pub fn start() -> Stopwatch {
        Stopwatch { begun: Instant::now(), waited: waited_for_a_processor() }
    }

    /// How long it has taken since the start.
    pub fn took(&self) -> Took {
        let elapsed = self.begun.elapsed();
        Took { elapsed, waited: waited_for_a_processor().saturating_sub(self.waited).min(elapsed) }
    }
}

impl Took {
    /// The time that it took by itself.
    pub fn own(self) -> Duration {
        self.elapsed.saturating_sub(self.waited)
    }
}

/// How long this thread has been ready to run and did not run, as Linux counts it (`Documentation/scheduler/sched-stats`).
/// Zero where the system does not tell.
fn waited_for_a_processor() -> Duration {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = counts.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}
