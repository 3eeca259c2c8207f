//! The thread that renews the leases of blocking bodies.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::fork::Process;
use crate::key::Key;
use crate::plan::policy::Pace;
use crate::stored::envelope::Lease;

/// The leases of one cache that blocking bodies hold. A thread renews them while there are any;
/// it starts with the first and ends some time after the last.
#[derive(Debug, Default)]
pub(crate) struct Renewer {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<RenewerState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct RenewerState {
    /// The leases by the time when they are due.
    due: BTreeMap<(Instant, u64), Held>,
    next_id: u64,
    process: Process,
    running: bool,
    /// Until when the thread sleeps, while it does. It may find nothing due then.
    sleeps_until: Option<Instant>,
    /// When the last lease came, and the shortest time until one was due since the thread started.
    last: Option<(Instant, Duration)>,
}

#[derive(Debug)]
struct Held {
    leases: Vec<(Key, Lease)>,
    every: Duration,
    until: Instant,
}

/// How long the thread stays when nothing is held.
const IDLE: Duration = Duration::from_secs(30);

impl Renewer {
    /// Renews the leases of one body with `renew`, which removes those that are lost, until the guard is dropped.
    pub(crate) fn hold(
        &self,
        leases: Vec<(Key, Lease)>,
        pace: Pace,
        renew: impl Fn(&mut Vec<(Key, Lease)>) + Send + 'static,
    ) -> Guard {
        let now = Instant::now();
        let mut state = self.shared.lock();
        if state.process.is_forked() {
            // The thread, and the bodies that hold leases, are in the other process.
            state.due.clear();
            (state.running, state.sleeps_until, state.last) = (false, None, None);
        }
        let id = state.next_id;
        state.next_id += 1;
        let due = (now + pace.every, id);
        let held = Held { leases, every: pace.every, until: now + pace.longest };
        state.due.insert(due, held);
        let shortest = state.last.map_or(pace.every, |(_, shortest)| shortest.min(pace.every));
        state.last = Some((now, shortest));
        if !state.running {
            let shared = Arc::clone(&self.shared);
            let thread = thread::Builder::new().name("redis-cached renew".to_owned());
            // If no thread can be started, the lease ends in its own time.
            state.running = thread.spawn(move || shared.run(renew)).is_ok();
        }
        // Most bodies end long before that: waking the thread for each would cost more than all else.
        let oversleeps = state.sleeps_until.is_some_and(|until| due.0 < until);
        drop(state);
        if oversleeps {
            self.shared.changed.notify_one();
        }
        Guard { shared: Arc::clone(&self.shared), id }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, RenewerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep<'a>(&self, mut state: MutexGuard<'a, RenewerState>, duration: Duration) -> MutexGuard<'a, RenewerState> {
        state.sleeps_until = Some(Instant::now() + duration);
        let (mut state, _) = self.changed.wait_timeout(state, duration).unwrap_or_else(PoisonError::into_inner);
        state.sleeps_until = None;
        state
    }

    fn run(&self, renew: impl Fn(&mut Vec<(Key, Lease)>)) {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let Some((&(at, id), held)) = state.due.first_key_value() else {
                let Some((_, shortest)) = state.last.filter(|(came, _)| now.saturating_duration_since(*came) < IDLE)
                else {
                    (state.running, state.last) = (false, None);
                    return;
                };
                // The thread sleeps no longer than this, or the next body would have to wake it, and the one after that
                // again.
                state = self.sleep(state, shortest.min(IDLE));
                continue;
            };
            if at > now {
                state = self.sleep(state, at - now);
                continue;
            }
            let mut leases = held.leases.clone();
            drop(state);
            renew(&mut leases);
            state = self.lock();
            // The lease is gone if the body ended meanwhile.
            if let Some(held) = state.due.remove(&(at, id))
                && !leases.is_empty()
                && Instant::now() < held.until
            {
                state.due.insert((Instant::now() + held.every, id), Held { leases, ..held });
            }
        }
    }
}

/// Ends the renewals.
#[derive(Debug)]
pub(crate) struct Guard {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        // Few bodies run at the same time, and a lease moves whenever it is renewed.
        state.due.retain(|(_, id), _| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::key::KeyWriter;
    use crate::stored::envelope::{Seal, Token};

    const PACE: Pace = Pace { every: Duration::from_millis(5), longest: Duration::from_secs(60) };

    fn held() -> (Key, Lease) {
        let key = KeyWriter::new("", "renewer").finish().expect("a key");
        (key, Lease::new(Token::random().expect("randomness"), Seal::default(), 1_000))
    }

    #[test]
    fn a_lease_is_renewed_until_its_guard_is_dropped() {
        let renewer = Renewer::default();
        let (key, lease) = held();
        let (renewed, renewals) = mpsc::channel();
        let guard = renewer.hold(vec![(key, lease)], PACE, move |_| {
            let _ = renewed.send(());
        });
        for _ in 0..5 {
            renewals.recv_timeout(Duration::from_secs(20)).expect("a renewal");
        }
        drop(guard);
        assert!(renewer.shared.lock().due.is_empty());
    }

    /// Otherwise each body that ends at once would wake the thread, and find it asleep for long again.
    #[test]
    fn with_nothing_to_do_it_sleeps_no_longer_than_until_the_next_may_be_due() {
        let renewer = Renewer::default();
        let pace = Pace { every: Duration::from_secs(10), ..PACE };
        let sleeps_until = || {
            loop {
                if let Some(until) = renewer.shared.lock().sleeps_until {
                    return until;
                }
                thread::yield_now();
            }
        };
        let guard = renewer.hold(vec![held()], pace, |_| ());
        let before = sleeps_until();
        drop(guard);
        while sleeps_until() == before {
            renewer.shared.changed.notify_one();
        }
        assert!(sleeps_until() <= Instant::now() + pace.every);
    }

    #[test]
    fn a_lost_lease_is_let_go() {
        let renewer = Renewer::default();
        let (key, lease) = held();
        let (asked, questions) = mpsc::channel();
        let _guard = renewer.hold(vec![(key, lease)], PACE, move |leases| {
            let _ = asked.send(());
            leases.clear();
        });
        questions.recv_timeout(Duration::from_secs(20)).expect("it asks once");
        while !renewer.shared.lock().due.is_empty() {
            thread::yield_now();
        }
        assert!(questions.try_recv().is_err());
    }

    #[test]
    fn a_body_that_hangs_is_given_up() {
        let renewer = Renewer::default();
        let (key, lease) = held();
        let pace = Pace { longest: Duration::ZERO, ..PACE };
        let _guard = renewer.hold(vec![(key, lease)], pace, |_| ());
        while !renewer.shared.lock().due.is_empty() {
            thread::yield_now();
        }
    }
}
