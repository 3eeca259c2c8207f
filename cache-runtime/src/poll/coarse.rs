//! A clock that is cheap to read.

use std::time::Duration;
#[cfg(not(target_os = "linux"))]
use std::time::Instant;

/// A moment, in milliseconds since some start. It may be some milliseconds late, and does not go back.
///
/// On Linux this is `CLOCK_MONOTONIC_COARSE`, which takes a fifth of the time of [`Instant::now`](std::time::Instant::now).
/// The time during which a process is stopped counts; the time during which the machine is suspended does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Coarse(pub(crate) u64);

impl Coarse {
    #[cfg(target_os = "linux")]
    #[inline]
    pub(crate) fn now() -> Coarse {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
        Coarse(now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000)
    }

    /// The moment by the exact clock, which costs as much as [`Instant::now`](std::time::Instant::now).
    #[cfg(target_os = "linux")]
    #[cold]
    pub(crate) fn exact() -> Coarse {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Coarse(now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000)
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn exact() -> Coarse {
        Coarse::now()
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn now() -> Coarse {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        Coarse(START.get_or_init(Instant::now).elapsed().as_millis() as u64)
    }

    pub(crate) fn after(self, time: Duration) -> Coarse {
        Coarse(self.0.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
    }
}
