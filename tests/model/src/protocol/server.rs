//! The effects of requests on the server.

use super::state::{At, Data, Lease, Mark, Reply, Request, Slot, State, Token, Value};
use super::{Protocol, Tag};

impl Protocol {
    /// The command that follows this one in a pipeline. Other commands may come between the two.
    pub(super) fn next_command(&self, state: &State, request: Request) -> Option<Request> {
        let is_tagged = match self.tag {
            Tag::None => false,
            Tag::OfArguments => true,
            // The client sends it when it knows the tag. Only time lies between.
            Tag::OfTheValue => matches!(state.slot, Slot::Value(_)),
        };
        match request {
            Request::Read if is_tagged && self.rules.slot_before_stamp => Some(Request::ReadStamp(state.slot)),
            Request::Read if is_tagged => Some(Request::ReadSlot(state.stamp)),
            Request::Scan => Some(Request::ScanEnd(self.is_scanned(state.slot))),
            _ => None,
        }
    }

    pub(super) fn serve(&self, state: &mut State, request: Request) -> Reply {
        match request {
            Request::Read => return Reply::Found(state.slot, None),
            Request::ReadStamp(slot) => return Reply::Found(slot, state.stamp),
            Request::ReadSlot(stamp) => return Reply::Found(state.slot, stamp),
            Request::Stamp(new, _) => match state.stamp {
                Some(stamp) => return Reply::Stamped(stamp),
                None => state.stamp = Some(new),
            },
            Request::UnlinkStamp => state.stamp = None,
            Request::Acquire(lease) => {
                if state.slot != Slot::Empty {
                    // The content is judged by the stamp that its reader knows.
                    return Reply::Found(state.slot, lease.stamp);
                }
                self.put(state, Slot::Lease(lease));
            }
            Request::Displace(lease, seen) => {
                if state.slot != Slot::Empty && !is_same(state.slot, seen) {
                    return Reply::No;
                }
                self.put(state, Slot::Lease(lease));
            }
            Request::Take(lease) => self.put(state, Slot::Lease(lease)),
            Request::Unlink => state.slot = Slot::Empty,
            // An iteration has two commands; see `next_command`.
            Request::Scan | Request::ScanEnd(false) => return Reply::No,
            Request::ScanEnd(true) => {}
            Request::Fill(lease, data) => {
                if state.slot != Slot::Lease(lease) {
                    return Reply::No;
                }
                state.accept(lease.token);
                self.store(state, lease.token, data);
            }
            Request::Set(token, data) => self.store(state, token, data),
            Request::Release(lease) => {
                if state.slot != Slot::Lease(lease) {
                    return Reply::No;
                }
                state.slot = Slot::Empty;
            }
            Request::Mark(Lease { token, .. }, id) => {
                let Slot::Value(value) = &mut state.slot else { return Reply::No };
                let apart = self.field || !self.rules.mark_in_the_value;
                let mark = if apart { &mut state.side } else { &mut value.mark };
                if value.id != id || mark.is_some_and(|mark| !mark.lapsed) {
                    return Reply::No;
                }
                *mark = Some(Mark { token, lapsed: false });
            }
            Request::Refill(Lease { token, .. }, data) => {
                let has_value = matches!(state.slot, Slot::Value(_)) || !self.rules.refill_needs_a_value;
                if !has_value || state.mark().is_none_or(|mark| mark.token != token) {
                    return Reply::No;
                }
                state.accept(token);
                state.side = None;
                self.store(state, token, data);
            }
        }
        Reply::Yes
    }

    fn is_scanned(&self, slot: Slot) -> bool {
        match slot {
            Slot::Empty => false,
            Slot::Lease(_) => self.rules.clear_removes_leases,
            Slot::Value(_) => true,
        }
    }

    /// An iteration with `SCAN` need not return a slot that was empty in between.
    pub(super) fn note_gap(&self, state: &mut State) {
        if !self.is_scanned(state.slot) {
            for actor in &mut state.actors {
                if actor.at == At::Asked(Request::ScanEnd(true)) {
                    actor.at = At::Asked(Request::ScanEnd(false));
                }
            }
        }
    }

    fn store(&self, state: &mut State, id: Token, data: Data) {
        self.put(state, Slot::Value(Value { data, id, mark: None }));
    }

    fn put(&self, state: &mut State, slot: Slot) {
        state.slot = slot;
        if self.field && self.rules.writes_erase_the_companion {
            state.side = None;
        }
    }
}

/// Tells whether the bytes are equal. A mark whose time is over has the same bytes as before.
fn is_same(held: Slot, seen: Slot) -> bool {
    match (held, seen) {
        (Slot::Value(held), Slot::Value(seen)) => {
            let bytes = |value: Value| (value.id, value.mark.map(|mark| mark.token));
            bytes(held) == bytes(seen)
        }
        _ => held == seen,
    }
}
