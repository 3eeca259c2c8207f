//! How long a call waits for other calls, for how many, and which bodies it shares after that.

use std::time::{Duration, Instant};

use super::Flight;
use crate::stored::envelope::Token;

/// How long a call may still wait for other calls, and for how many.
#[derive(Debug)]
pub(crate) struct Patience {
    /// When it stops waiting for the calls that have leased the slot.
    pub(crate) until: Instant,
    /// How long it waits for each body of this process that it shares without a look at the slot.
    longest: Duration,
    /// The leases it waited for that count. They are few, because results that are not stored must not make callers run
    /// one after another.
    tokens: [Option<Token>; 2],
    /// How often it may still look at a slot that keeps changing.
    looks: usize,
    /// The call may look once more at a slot that was empty, because another call of this process may have taken it
    /// since.
    may_be_late: bool,
    /// How many bodies it waited for ended with an outcome that cannot be shared.
    failures: usize,
    /// The call runs its body whatever other calls do.
    is_alone: bool,
    /// It shares bodies that began after this moment by the key alone.
    since: Instant,
    most: usize,
}

pub(super) const LOOKS: usize = 4;

fn end(now: Instant, span: Duration) -> Instant {
    now.checked_add(span).unwrap_or(now)
}

/// After this many bodies whose outcomes cannot be shared, a call waits for no lease any more. From then on each
/// further failure lets twice as many calls run their bodies.
const FAILURES: usize = 2;

impl Patience {
    /// The patience of a call that began at this time of the system's clock. `now` is that of the clock that waits go
    /// by.
    pub(crate) fn new(began: Instant, now: Instant, longest: Duration) -> Patience {
        let until = end(now, longest);
        Patience {
            until,
            longest,
            tokens: [None; 2],
            looks: LOOKS,
            may_be_late: true,
            failures: 0,
            is_alone: false,
            since: began,
            most: 1,
        }
    }

    /// When the call stops waiting for a body of this process that it joins now, without a look at the slot.
    pub(crate) fn anew(&self, now: Instant) -> Instant {
        end(now, self.longest)
    }

    /// Counts a look at the slot. Returns false if there is none left; the call then computes without storing.
    pub(crate) fn take_look(&mut self) -> bool {
        let left = self.looks.checked_sub(1);
        self.looks = left.unwrap_or(0);
        left.is_some()
    }

    /// Counts the one further look at a slot that was empty, which another call of this process may have taken since.
    /// Returns false if that look was used already.
    pub(crate) fn take_late_look(&mut self) -> bool {
        std::mem::take(&mut self.may_be_late)
    }

    /// Returns true if the call may wait for this flight.
    pub(crate) fn allows(&mut self, token: Token, now: Instant) -> bool {
        if self.has_enough() || now >= self.until {
            return false;
        }
        if self.tokens.contains(&Some(token)) {
            return true;
        }
        let place = self.tokens.iter_mut().find(|place| place.is_none());
        place.map(|place| *place = Some(token)).is_some()
    }

    /// The flight's leader was cancelled, or failed in another process, so waiting for it does not count. When many
    /// callers give up or fail, each may have led for a moment.
    pub(crate) fn forgive(&mut self, token: Token) {
        self.looks = LOOKS;
        self.tokens.iter_mut().filter(|known| **known == Some(token)).for_each(|known| *known = None);
    }

    /// A body failed, or its value cannot be shared.
    pub(crate) fn fail(&mut self) {
        self.failures += 1;
        if self.has_enough() {
            self.let_more_run();
        }
    }

    /// Returns true if the call waits for no lease any more, because of failures.
    pub(crate) fn has_enough(&self) -> bool {
        self.is_alone || self.failures >= FAILURES
    }

    /// The flight that the call would wait for waits for the call itself.
    pub(crate) fn go_alone(&mut self) {
        self.is_alone = true;
    }

    /// Returns true if the call runs its body whatever other calls do.
    pub(crate) fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// Twice as many calls run a body next, so that not all do at the same moment, and none waits for all others in
    /// turn.
    fn let_more_run(&mut self) {
        self.most = self.most.saturating_mul(2);
    }

    /// The bodies of this process that the call may share without a look at the slot.
    pub(crate) fn any(&self, is_away: bool) -> Any {
        // The body that took too long still runs.
        Any { since: self.since, is_away: is_away && self.most == 1, most: self.most }
    }

    /// The call has waited enough for this flight, and shares a body that began later.
    pub(crate) fn leave(&mut self, flight: &Flight) {
        // The flight of another process is not shared that way. It may have been seen after another call of this process,
        // whose time was up sooner, had begun a body for all of them.
        if !flight.is_foreign() {
            self.since = self.since.max(flight.born);
        }
    }

    /// The same for a flight that it shared without a look at the slot.
    pub(crate) fn give_up(&mut self, flight: &Flight) {
        self.leave(flight);
        self.let_more_run();
    }
}

/// The bodies of this process that a call may share by the key alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Any {
    /// The call shares bodies that began after this moment.
    pub(crate) since: Instant,
    /// The store is away: the call also shares bodies that run, unless they were invalidated in this process.
    pub(crate) is_away: bool,
    /// If fewer bodies than this run, the call starts another one.
    pub(crate) most: usize,
}

impl Any {
    pub(super) fn includes(&self, flight: &Flight) -> bool {
        let state = flight.lock();
        let is_new = flight.born > self.since || (self.is_away && !state.voided && !state.returned);
        is_new && state.outcome.is_none() && !flight.is_foreign()
    }
}
