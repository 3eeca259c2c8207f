//! The health of a server: shared by both faces and all runtimes of a cache, and logged once per change.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use super::breaker::{Breaker, Epoch, HalfOpen, Limits, Pauses, noise};
use super::clock::Clock;
use super::fault::{Blame, Fault};
use crate::error::{Error, ErrorKind};
use crate::lock::briefly;

/// A prober that is silent for this long, beyond its own pauses, is dead: its runtime ended, or nothing drives it.
const PROBER_DIES: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) server: String,
    pub(crate) clock: Clock,
    breaker: Breaker,
    writes: HalfOpen,
    writes_kind: AtomicU8,
    outage: Mutex<Outage>,
    /// The time at which an operation that finds the breaker open may start a prober, in the clock's ticks.
    prober_due: AtomicU64,
    /// True if an operation was refused since the last probe. Without one, and without anything to deliver, probing
    /// stops.
    wanted: AtomicBool,
    /// The messages that are logged once.
    told: AtomicU8,
}

#[derive(Debug, Default)]
struct Outage {
    /// The start of the outage in the clock's ticks; `None` in health.
    began: Option<u64>,
    closed: u64,
    told: Option<ErrorKind>,
    pauses: Pauses,
    next_probe: u64,
    prober: u64,
}

impl Health {
    pub(crate) fn new(server: String, limits: Limits) -> Health {
        Health {
            server,
            clock: Clock::new(),
            breaker: Breaker::new(limits),
            writes: HalfOpen::new(limits),
            writes_kind: AtomicU8::new(0),
            outage: Mutex::new(Outage { pauses: Pauses::new(limits), ..Outage::default() }),
            prober_due: AtomicU64::new(0),
            wanted: AtomicBool::new(false),
            told: AtomicU8::new(0),
        }
    }

    /// Lets an operation begin. `None` means that it fails at once, and that a probe may be due.
    pub(crate) fn admit(&self) -> Option<Epoch> {
        let epoch = self.breaker.admit();
        if epoch.is_none() && !self.wanted.load(Relaxed) {
            self.wanted.store(true, Relaxed);
        }
        epoch
    }

    /// The epoch of an operation that is attempted in any case.
    pub(crate) fn epoch(&self) -> Epoch {
        self.breaker.epoch()
    }

    pub(crate) fn is_down(&self) -> bool {
        self.breaker.admit().is_none()
    }

    /// Returns true if the breaker is open, and an operation of this epoch was admitted before it opened.
    #[cfg(feature = "blocking")]
    pub(crate) fn has_opened_since(&self, epoch: Epoch) -> bool {
        self.is_down() && !self.is_current(epoch)
    }

    /// Begins a new epoch for another server in this one's place. If the breaker is open, a probe is due.
    pub(crate) fn renew(&self) {
        let mut outage = self.outage();
        self.breaker.renew();
        outage.pauses.reset();
        outage.next_probe = 0;
        self.prober_due.store(0, Relaxed);
    }

    /// Lets operations pass again, because other nodes of the cluster say that the server is well. Failures open the breaker
    /// as before.
    #[cfg(feature = "tokio")]
    pub(crate) fn trust(&self) {
        self.renew();
        self.outage().closed = self.clock.ticks();
        self.breaker.close(self.breaker.epoch());
    }

    /// Returns true if no later epoch has begun.
    pub(crate) fn is_current(&self, epoch: Epoch) -> bool {
        self.breaker.epoch() == epoch
    }

    /// Notes that the server answered.
    pub(crate) fn succeeded(&self, epoch: Epoch) {
        if !self.breaker.succeeded(epoch) {
            return;
        }
        let mut outage = self.outage();
        if let Some(began) = outage.began.take() {
            outage.pauses.reset();
            outage.told = None;
            let away = Duration::from_millis(outage.closed.saturating_sub(began));
            drop(outage);
            tracing::info!(server = self.server, ?away, "Redis is back: results are cached again");
        }
    }

    /// Notes that an operation failed; returns true if the breaker opened.
    pub(crate) fn failed(&self, epoch: Epoch, fault: &Fault) -> bool {
        match fault.blame {
            Blame::Dropped | Blame::Late | Blame::Wait | Blame::Large(_) | Blame::Caller => return false,
            Blame::Command | Blame::Denied(_) | Blame::Script | Blame::TryAgain | Blame::Writes => {
                self.succeeded(epoch);
                return false;
            }
            // A server outside of a cluster redirects once it has become a node of one.
            Blame::Moved | Blame::Ask | Blame::ClusterDown => {}
            Blame::Server | Blame::Closed | Blame::Connection | Blame::Full | Blame::Role => {}
        }
        if !self.breaker.failed(epoch, fault.blame == Blame::Role) {
            return false;
        }
        let now = self.clock.ticks();
        let mut outage = self.outage();
        outage.began.get_or_insert(now);
        outage.next_probe = now + outage.pauses.next(noise()).as_millis() as u64;
        self.prober_due.store(outage.next_probe, Relaxed);
        self.tell(outage, &fault.error);
        true
    }

    /// Logs the reason of the outage, once per reason. No operation waits for the log.
    fn tell(&self, mut outage: MutexGuard<'_, Outage>, error: &Error) {
        let is_told = outage.told.replace(error.kind()) == Some(error.kind());
        drop(outage);
        if !is_told {
            tracing::warn!(
                server = self.server,
                %error,
                "Redis is away: functions run uncached until it is back"
            );
        }
    }

    /// Logs that a value is too large to be read.
    pub(crate) fn tell_too_large(&self, length: u64) {
        tracing::warn!(
            server = self.server,
            length,
            "a value takes longer to read than the time-out: its function runs uncached for a minute"
        );
    }

    /// Lets a write begin, or returns the reason against it.
    pub(crate) fn admit_write(&self) -> Result<(), Error> {
        if self.writes.admits(|| self.clock.ticks()) { Ok(()) } else { Err(self.refused()) }
    }

    /// The reason why nothing can be stored at the moment, as far as is known.
    pub(crate) fn refuses_writes(&self) -> Option<Error> {
        self.writes.is_open().then(|| self.refused())
    }

    fn refused(&self) -> Error {
        let kind = match self.writes_kind.load(Relaxed) {
            0 => ErrorKind::OutOfMemory,
            _ => ErrorKind::ReadOnly,
        };
        Error::new(kind, "a write was refused a moment ago, and this one was not sent")
    }

    pub(crate) fn wrote(&self) {
        if self.writes.succeeded() {
            tracing::info!(server = self.server, "Redis accepts writes: results are stored again");
        }
    }

    pub(crate) fn write_failed(&self, fault: &Fault) {
        if fault.blame != Blame::Writes {
            return;
        }
        let kind = u8::from(fault.error.kind() != ErrorKind::OutOfMemory);
        self.writes_kind.store(kind, Relaxed);
        if self.writes.failed(self.clock.ticks(), noise()) {
            tracing::warn!(
                server = self.server,
                error = %fault.error,
                "Redis accepts no writes: hits are served, new results are not stored"
            );
        }
    }

    /// Logs, once, commands that the server does not know or does not permit.
    pub(crate) fn tell_once(&self, error: &Error) {
        let bit = match error.kind() {
            ErrorKind::Protocol => 1,
            ErrorKind::Auth => 2,
            ErrorKind::Cluster => 4,
            // The function logs a key of the wrong type.
            _ => return,
        };
        if self.told.load(Relaxed) & bit == 0 && self.told.fetch_or(bit, Relaxed) & bit == 0 {
            tracing::warn!(
                server = self.server,
                %error,
                "Redis refused a command; further refusals of this kind are not logged"
            );
        }
    }

    /// Logs, once, that the server has no room for one more connection.
    pub(crate) fn tell_full(&self, error: &Error) {
        const FULL: u8 = 8;
        if self.told.load(Relaxed) & FULL == 0 && self.told.fetch_or(FULL, Relaxed) & FULL == 0 {
            tracing::warn!(
                server = self.server,
                %error,
                "Redis takes no more connections: calls share those that are open; further refusals are not logged"
            );
        }
    }

    /// Returns the right to probe when a probe is due, for one prober at a time.
    pub(crate) fn claim_probe(self: &Arc<Self>, at_once: bool) -> Option<Prober> {
        let now = self.clock.ticks();
        if !at_once && now < self.prober_due.load(Relaxed) {
            return None;
        }
        let mut outage = self.outage();
        if !self.is_down() || (!at_once && now < self.prober_due.load(Relaxed)) {
            return None;
        }
        if at_once {
            outage.next_probe = now;
        }
        outage.prober += 1;
        let pause = Duration::from_millis(outage.next_probe.saturating_sub(now));
        self.expect_prober(now, pause);
        Some(Prober { health: Arc::downgrade(self), number: outage.prober, pause })
    }

    /// Notes that a prober is running: another one is due only if this one falls silent.
    fn expect_prober(&self, now: u64, pause: Duration) {
        // An attempt may take the whole time-out for connecting.
        let silence = pause + PROBER_DIES * 3;
        self.prober_due.store(now + silence.as_millis() as u64, Relaxed);
    }

    fn outage(&self) -> MutexGuard<'_, Outage> {
        briefly(&self.outage)
    }
}

/// The right to probe. Dropping it lets another prober begin.
#[derive(Debug)]
pub(crate) struct Prober {
    health: Weak<Health>,
    number: u64,
    /// The pause until the first attempt.
    pub(crate) pause: Duration,
}

impl Prober {
    /// Returns true if the prober makes the attempt: another prober may have taken over.
    pub(crate) fn proceeds(&self, attempt_takes: Duration) -> bool {
        let Some(health) = self.health.upgrade() else { return false };
        let outage = health.outage();
        if outage.prober != self.number || !health.is_down() {
            return false;
        }
        health.expect_prober(health.clock.ticks(), attempt_takes);
        health.wanted.store(false, Relaxed);
        true
    }

    /// Notes that the attempt succeeded: operations pass again.
    pub(crate) fn succeeded(&self, epoch: Epoch) {
        let Some(health) = self.health.upgrade() else { return };
        let mut outage = health.outage();
        outage.closed = health.clock.ticks();
        health.breaker.close(epoch);
    }

    /// Notes that the attempt failed. Returns the pause until the next one, or `None` to leave it to the next operation
    /// that needs the server.
    pub(crate) fn failed(&mut self, fault: &Fault, undelivered: bool) -> Option<Duration> {
        let health = self.health.upgrade()?;
        let mut outage = health.outage();
        if outage.prober != self.number {
            return None;
        }
        let now = health.clock.ticks();
        let pause = outage.pauses.next(noise());
        outage.next_probe = now + pause.as_millis() as u64;
        let goes_on = undelivered || health.wanted.load(Relaxed);
        if goes_on {
            health.expect_prober(now, pause);
        }
        health.tell(outage, &fault.error);
        goes_on.then_some(pause)
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        let Some(health) = self.health.upgrade() else { return };
        let outage = health.outage();
        if outage.prober == self.number {
            health.prober_due.store(outage.next_probe, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::Denied;
    use super::*;

    fn refused() -> Fault {
        Fault::new(ErrorKind::Unreachable, Blame::Connection, "refused")
    }

    fn down() -> Arc<Health> {
        let health = Arc::new(Health::new("redis://test".to_owned(), Limits::default()));
        let epoch = health.epoch();
        assert_eq!((0..5).filter(|_| health.failed(epoch, &refused())).count(), 1);
        health
    }

    #[cfg(feature = "blocking")]
    #[test]
    fn an_operation_that_was_admitted_before_knows_of_the_opening() {
        let health = Arc::new(Health::new("redis://test".to_owned(), Limits::default()));
        let epoch = health.epoch();
        assert!(!health.has_opened_since(epoch));
        (0..5).for_each(|_| _ = health.failed(epoch, &refused()));
        assert!(health.has_opened_since(epoch));
        assert!(!health.has_opened_since(health.epoch()), "an invalidation is attempted");
    }

    #[test]
    fn one_prober_at_a_time() {
        let health = down();
        let first = health.claim_probe(true).expect("due");
        assert!(health.claim_probe(false).is_none(), "the first one is at work");
        assert!(first.proceeds(Duration::ZERO));
        drop(first);
        let second = health.claim_probe(false).expect("the first one is gone");
        let third = health.claim_probe(true).expect("an invalidation cannot wait");
        assert!(!second.proceeds(Duration::ZERO), "the third one took over");
        drop(second);
        assert!(health.claim_probe(false).is_none(), "the third one is still at work");
        third.succeeded(health.epoch());
        assert!(!health.is_down());
        drop(third);
        assert!(health.claim_probe(true).is_none(), "nothing to probe");
    }

    #[test]
    fn a_prober_goes_on_while_somebody_needs_the_server() {
        let health = down();
        let mut prober = health.claim_probe(true).expect("due");
        assert!(prober.proceeds(Duration::ZERO));
        assert!(health.admit().is_none());
        assert!(prober.failed(&refused(), false).is_some(), "an operation was refused");
        assert!(prober.proceeds(Duration::ZERO));
        assert!(prober.failed(&refused(), true).is_some(), "there is something to deliver");
        assert!(prober.proceeds(Duration::ZERO));
        assert!(prober.failed(&refused(), false).is_none());
    }

    #[test]
    fn errors_of_commands_are_no_failures_of_the_server() {
        let health = Health::new("redis://test".to_owned(), Limits::default());
        for blame in [
            Blame::Command,
            Blame::Denied(Denied::Key),
            Blame::Writes,
            Blame::Dropped,
            Blame::Wait,
            Blame::Large(1 << 28),
            Blame::Caller,
        ] {
            let fault = Fault::new(ErrorKind::WrongType, blame, "");
            assert!((0..50).all(|_| !health.failed(health.epoch(), &fault)));
        }
        assert!(!health.is_down());
        let fault = Fault::new(ErrorKind::ReadOnly, Blame::Role, "");
        assert!(health.failed(health.epoch(), &fault), "a replica is not asked five times");
    }

    #[test]
    fn a_full_server_still_answers() {
        let health = Health::new("redis://test".to_owned(), Limits::default());
        let fault = Fault::new(ErrorKind::OutOfMemory, Blame::Writes, "");
        for _ in 0..5 {
            assert!(health.admit_write().is_ok());
            health.write_failed(&fault);
        }
        let error = health.admit_write().expect_err("open");
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        assert!(health.admit().is_some());
        health.wrote();
        assert!(health.admit_write().is_ok());
    }
}
