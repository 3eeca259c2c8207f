//! Which server is the master, by what sentinels say at different times. Pure: it has no clock of its own, and no I/O.
//!
//! Sentinels do not learn of a switch at the same time, and one that was cut off may tell an old master for long. Each
//! switch has a number, the *config epoch*, which only grows: the higher one counts. Without numbers, an address that
//! was left before needs agreement. So does a lower number, because the sentinels may have been set up anew.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The host and the port of a server.
pub(super) type Address = (String, u16);

/// The time for which sentinels must agree, and no other one may contradict, before an older address counts.
const AGREED: Duration = Duration::from_secs(3);

/// The number of left addresses that are remembered.
const LEFT: usize = 8;

/// The answer of one sentinel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) address: Address,
    /// `None` if the sentinel does not tell it.
    pub(super) epoch: Option<u64>,
}

#[derive(Debug)]
pub(super) struct View {
    known: Option<Known>,
    /// The addresses that were left, the latest last.
    left: VecDeque<Address>,
    /// By sentinel: the other address that it tells.
    doubts: Vec<Option<Doubt>>,
}

#[derive(Debug)]
struct Known {
    address: Address,
    epoch: Option<u64>,
    /// The last time at which a sentinel said so.
    confirmed: Instant,
}

#[derive(Debug)]
struct Doubt {
    address: Address,
    since: Instant,
}

impl View {
    pub(super) fn new(sentinels: usize) -> View {
        View { known: None, left: VecDeque::new(), doubts: (0..sentinels).map(|_| None).collect() }
    }

    /// The address of the master.
    pub(super) fn master(&self) -> Option<&Address> {
        self.known.as_ref().map(|known| &known.address)
    }

    /// Notes the answer of a sentinel; returns true if there is another master now.
    pub(super) fn heard(&mut self, sentinel: usize, statement: Statement, now: Instant) -> bool {
        let Statement { address, epoch } = statement;
        let is_newer = match &mut self.known {
            None => true,
            Some(known) if known.address == address => {
                known.epoch = known.epoch.max(epoch);
                known.confirmed = now;
                self.forget(sentinel);
                return false;
            }
            Some(known) => match (known.epoch, epoch) {
                (Some(known), Some(told)) => told > known,
                _ => !self.left.contains(&address),
            },
        };
        if !is_newer && !self.is_agreed(sentinel, &address, now) {
            return false;
        }
        if let Some(known) = self.known.take() {
            self.left.retain(|left| *left != address);
            self.left.push_back(known.address);
            if self.left.len() > LEFT {
                self.left.pop_front();
            }
        }
        self.doubts.iter_mut().for_each(|doubt| *doubt = None);
        self.known = Some(Known { address, epoch, confirmed: now });
        true
    }

    /// Notes that a sentinel says nothing.
    pub(super) fn forget(&mut self, sentinel: usize) {
        if let Some(doubt) = self.doubts.get_mut(sentinel) {
            *doubt = None;
        }
    }

    /// Notes a doubt, and returns true if two sentinels, or the only one, have had it for long while none confirmed what
    /// is known.
    fn is_agreed(&mut self, sentinel: usize, address: &Address, now: Instant) -> bool {
        let needed = self.doubts.len().min(2);
        if let Some(doubt) = self.doubts.get_mut(sentinel)
            && doubt.as_ref().is_none_or(|doubt| doubt.address != *address)
        {
            *doubt = Some(Doubt { address: address.clone(), since: now });
        }
        let is_long = |since: Instant| now.saturating_duration_since(since) >= AGREED;
        let agree = |doubt: &&Doubt| doubt.address == *address && is_long(doubt.since);
        self.known.as_ref().is_none_or(|known| is_long(known.confirmed))
            && self.doubts.iter().flatten().filter(agree).count() >= needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Watched {
        view: View,
        now: Instant,
    }

    impl Watched {
        fn by(sentinels: usize) -> Watched {
            Watched { view: View::new(sentinels), now: Instant::now() }
        }

        fn hears(&mut self, sentinel: usize, host: &str, epoch: impl Into<Option<u64>>) -> bool {
            let statement = Statement { address: (host.to_owned(), 1), epoch: epoch.into() };
            self.view.heard(sentinel, statement, self.now)
        }

        fn passes(&mut self, time: Duration) {
            self.now += time;
        }

        fn master(&self) -> &str {
            &self.view.master().expect("known").0
        }
    }

    #[test]
    fn the_higher_epoch_counts() {
        let mut watched = Watched::by(3);
        assert!(watched.hears(0, "a", 1));
        assert!(!watched.hears(1, "a", 1));
        assert!(watched.hears(2, "b", 2), "a switch");
        // The two others have not heard of it, for long, and a second switch comes back to the first master.
        for _ in 0..20 {
            watched.passes(Duration::from_secs(1));
            assert!(!watched.hears(2, "b", 2));
            assert!(!watched.hears(0, "a", 1) && !watched.hears(1, "a", 1), "stale");
        }
        assert!(watched.hears(0, "a", 3));
        assert!(!watched.hears(2, "b", 2), "stale");
        assert_eq!(watched.master(), "a");
    }

    #[test]
    fn the_first_answer_may_be_stale() {
        let mut watched = Watched::by(2);
        assert!(watched.hears(0, "a", 4));
        assert!(watched.hears(1, "b", 5));
        assert_eq!(watched.master(), "b");
    }

    #[test]
    fn without_numbers_only_the_way_back_needs_agreement() {
        let mut watched = Watched::by(3);
        assert!(watched.hears(0, "a", None));
        assert!(watched.hears(1, "b", None), "new");
        assert!(!watched.hears(0, "a", None), "left");
        watched.passes(AGREED);
        assert!(!watched.hears(0, "a", None), "one sentinel");
        assert!(!watched.hears(2, "a", None), "not for long");
        watched.passes(AGREED);
        assert!(watched.hears(0, "a", None), "both, for long");
        assert!(watched.hears(0, "c", None), "new");
    }

    #[test]
    fn sentinels_that_were_set_up_anew_are_believed_when_none_contradicts() {
        let mut watched = Watched::by(3);
        assert!(watched.hears(0, "a", 7));
        assert!(!watched.hears(0, "b", 0) && !watched.hears(1, "b", 0));
        watched.passes(AGREED);
        assert!(!watched.hears(2, "a", 7));
        assert!(!watched.hears(0, "b", 0), "contradicted a moment ago");
        watched.passes(AGREED);
        watched.view.forget(1);
        assert!(!watched.hears(0, "b", 0), "alone");
        assert!(!watched.hears(1, "b", 0));
        watched.passes(AGREED);
        assert!(watched.hears(1, "b", 0));
        assert!(!watched.hears(0, "a", 0), "the number is that of the new set-up");
        assert!(watched.hears(0, "c", 1));
    }

    #[test]
    fn the_only_sentinel_is_believed_after_a_while() {
        let mut watched = Watched::by(1);
        assert!(watched.hears(0, "a", 7));
        assert!(!watched.hears(0, "b", 0));
        watched.passes(AGREED);
        assert!(watched.hears(0, "b", 0));
    }

    #[test]
    fn few_left_addresses_are_remembered() {
        let mut watched = Watched::by(1);
        for number in 0..100 {
            assert!(watched.hears(0, &format!("host-{number}"), None));
        }
        assert_eq!(watched.view.left.len(), LEFT);
    }
}
