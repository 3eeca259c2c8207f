//! The effects of mishaps.

use super::state::{Actor, At, CANCEL, CRASH, EXPIRY, Request, Slot, State, TIMEOUT};
use super::{Protocol, Role};

impl Protocol {
    pub(super) fn expire(&self, state: &mut State) {
        if let Slot::Lease(lease) = state.slot {
            if self.is_held(state, lease.token) {
                state.left[EXPIRY] -= 1;
                state.disturbed = true;
            }
        } else {
            state.left[EXPIRY] -= 1;
            state.disturbed |= state.mark().is_some();
        }
        state.slot = Slot::Empty;
    }

    pub(super) fn lapse(&self, state: &mut State) {
        if state.mark().is_some_and(|mark| self.is_held(state, mark.token)) {
            state.left[EXPIRY] -= 1;
            state.disturbed = true;
        }
        if let Some(mark) = state.mark_mut() {
            mark.lapsed = true;
        }
    }

    pub(super) fn crash(&self, state: &mut State, process: u8) {
        state.left[CRASH] -= 1;
        state.disturbed = true;
        for (number, spec) in self.actors.iter().enumerate() {
            let actor = state.actors[number];
            if spec.process != process || matches!(actor.at, At::Idle | At::Done | At::Gone) {
                continue;
            }
            state.leave_behind(actor.at);
            state.actors[number] = Actor { at: At::Gone, ..Actor::default() };
        }
    }

    pub(super) fn cancel(&self, state: &mut State, number: usize) {
        state.left[CANCEL] -= 1;
        let Actor { at, lease, .. } = state.actors[number];
        let sharers = self.sharers(state, number);
        match at {
            At::Body => lease.into_iter().for_each(|lease| state.add_late(Request::Release(lease))),
            // A sent request cannot be recalled. Calls that wait for the fill's result read for themselves.
            _ => {
                state.leave_behind(at);
                self.turn_away(state, number);
            }
        }
        state.actors[number] = Actor { at: At::Gone, ..Actor::default() };
        sharers.into_iter().for_each(|sharer| self.give_up(state, sharer));
    }

    pub(super) fn hand_over(&self, state: &mut State, number: usize, heir: usize) {
        state.left[CANCEL] -= 1;
        let sharers = self.sharers(state, number);
        state.actors[number] = Actor { at: At::Gone, ..Actor::default() };
        state.actors[heir].at = At::Body;
        self.tell_of_body(state, heir);
        sharers.into_iter().for_each(|sharer| self.give_up(state, sharer));
    }

    pub(super) fn time_out(&self, state: &mut State, number: usize) {
        state.left[TIMEOUT] -= 1;
        let Actor { at, lease, background, version, .. } = state.actors[number];
        let (At::Asked(request) | At::Answered(request, _)) = at else { return };
        state.leave_behind(at);
        let role = self.actors[number].role;
        match request {
            Request::Stamp(..) if !self.rules.stamps_are_sent_once => state.actors[number].at = At::Asked(request),
            Request::Stamp(..) if role == Role::Writer && version.is_some() => {
                self.ask(state, number, Request::Unlink);
            }
            // The body has ended, and its value is not stored.
            Request::Stamp(..) if background => state.finish(number),
            Request::Stamp(..) => match lease {
                Some(lease) => {
                    self.turn_away(state, number);
                    self.ask(state, number, Request::Release(lease));
                }
                None => self.begin_body(state, number),
            },
            Request::Acquire(_) | Request::Displace(..) | Request::Take(_) => {
                if self.rules.no_lease_no_store || !self.calls(number) {
                    self.turn_away(state, number);
                    state.actors[number].lease = None;
                }
                self.begin_body(state, number);
                if role == Role::Writer && version.is_some() {
                    self.ask(state, number, Request::Unlink);
                }
            }
            Request::Fill(..) | Request::Set(..) if role == Role::Writer => {
                self.ask(state, number, Request::Unlink);
            }
            Request::Fill(lease, _) => {
                self.turn_away(state, number);
                let compared = self.rules.clean_up_by_comparison;
                self.ask(state, number, if compared { Request::Release(lease) } else { Request::Unlink });
            }
            // The invalidator gets an error, and therefore no promise.
            Request::Unlink | Request::UnlinkStamp | Request::Scan | Request::ScanEnd(_) if !self.calls(number) => {
                state.actors[number] = Actor::done()
            }
            Request::Unlink if version.is_none() => self.begin_body(state, number),
            _ => state.finish(number),
        }
    }
}
