//! The effects at the server, and the events outside of the process.

use super::*;

impl Key {
    pub(super) const BOTH: [Self; 2] = [Self::Slot, Self::Stamp];
}

impl Events {
    pub(super) fn budgets(self) -> [u8; BUDGETS] {
        let Self { puts, unlinks, tag_unlinks, touches, flushes, losses, moves, silent_moves, failures, cancels } =
            self;
        [puts, unlinks, tag_unlinks, touches, flushes, losses, moves, silent_moves, failures, cancels]
    }
}

/// The possible events.
impl Local {
    pub(super) fn steps_outside(&self, state: &State, steps: &mut Vec<Step>) {
        let holds_value = matches!(state.slot, Slot::Value(_));
        let mut add = |budget: usize, may_happen: bool, event: Event| {
            if state.left[budget] > 0 && may_happen {
                steps.push(Step::Outside(event));
            }
        };
        add(PUT, true, Event::Put);
        add(UNLINK, state.slot != Slot::Empty, Event::Unlink);
        add(UNLINK_STAMP, state.stamp != 0, Event::UnlinkStamp);
        add(TOUCH, holds_value, Event::Touch);
        for node in 0..self.nodes {
            add(FLUSH, true, Event::Flush(node));
            add(LOSS, !state.nodes[node].is_lost, Event::Lose(node));
        }
        add(MOVE, self.nodes > 1, Event::Move(false));
        add(SILENT_MOVE, self.nodes > 1, Event::Move(true));
    }

    pub(super) fn happen(&self, state: &mut State, event: Event) {
        match event {
            Event::Put => {
                state.left[PUT] -= 1;
                state.origin += 1;
                let stamp = self.stamp_for_a_value(state);
                self.set_slot(state, Slot::Value(Value { version: state.origin, stamp }));
            }
            Event::Unlink => {
                state.left[UNLINK] -= 1;
                state.origin += 1;
                self.set_slot(state, Slot::Empty);
            }
            Event::UnlinkStamp => {
                state.left[UNLINK_STAMP] -= 1;
                state.origin += 1;
                self.set_stamp(state, 0);
            }
            Event::Touch => {
                state.left[TOUCH] -= 1;
                self.push(state, Key::Slot);
            }
            Event::Flush(node) => self.flush(state, node),
            Event::Lose(node) => {
                state.left[LOSS] -= 1;
                let node = &mut state.nodes[node];
                (node.to_server, node.to_process) = (Queue::new(), Queue::new());
                (node.registered, node.is_tracking, node.is_lost) = ([false; 2], false, true);
            }
            Event::Move(is_silent) => {
                state.left[if is_silent { SILENT_MOVE } else { MOVE }] -= 1;
                if !is_silent {
                    self.push(state, Key::Slot);
                }
                state.nodes[usize::from(state.home)].registered[Key::Slot as usize] = false;
                state.home = 1 - state.home;
                state.moves += 1;
            }
        }
    }

    fn flush(&self, state: &mut State, number: usize) {
        state.left[FLUSH] -= 1;
        // One push tells of all keys, and takes the place of theirs.
        state.nodes[number].registered = [false; 2];
        if usize::from(state.home) == number {
            self.set_slot(state, Slot::Empty);
        }
        if self.tag == Some(number) {
            self.set_stamp(state, 0);
        }
        let node = &mut state.nodes[number];
        if node.is_tracking {
            node.to_process.push(Message::PushAll);
        }
    }
}

/// The effects of commands.
impl Local {
    /// The node that has a key.
    pub(super) fn node_of(&self, state: &State, key: Key) -> usize {
        match key {
            Key::Slot => usize::from(state.home),
            Key::Stamp => self.tag.unwrap_or(0),
        }
    }

    pub(super) fn set_slot(&self, state: &mut State, slot: Slot) {
        let before = std::mem::replace(&mut state.slot, slot);
        if before == Slot::Empty && slot == Slot::Empty {
            return;
        }
        if let Slot::Value(value) = before {
            state.gone[usize::from(value.version)] = Some(state.now);
        }
        if let Slot::Value(value) = slot {
            state.gone[usize::from(value.version)] = None;
            state.stored = state.stored.max(value.version);
        }
        self.push(state, Key::Slot);
    }

    pub(super) fn set_stamp(&self, state: &mut State, stamp: u8) {
        let before = std::mem::replace(&mut state.stamp, stamp);
        if before == stamp {
            return;
        }
        if before != 0 {
            state.stamp_gone[usize::from(before)] = Some(state.now);
        }
        self.push(state, Key::Stamp);
    }

    /// The stamp for a new value, which is made if there is none.
    pub(super) fn stamp_for_a_value(&self, state: &mut State) -> u8 {
        if self.tag.is_some() && state.stamp == 0 {
            state.last_stamp += 1;
            self.set_stamp(state, state.last_stamp);
        }
        state.stamp
    }

    /// Removes what the invalidations of these keys name.
    pub(super) fn unlink_all(&self, state: &mut State, keys: [bool; 2]) {
        for key in Key::BOTH.into_iter().filter(|&key| keys[key as usize]) {
            self.unlink(state, key);
        }
    }

    pub(super) fn unlink(&self, state: &mut State, key: Key) {
        match key {
            Key::Slot => self.set_slot(state, Slot::Empty),
            Key::Stamp => self.set_stamp(state, 0),
        }
    }

    /// Tells the process of a change, once for each registration.
    fn push(&self, state: &mut State, key: Key) {
        let number = self.node_of(state, key);
        let node = &mut state.nodes[number];
        if std::mem::take(&mut node.registered[key as usize]) {
            node.to_process.push(Message::Push(key));
        }
    }

    /// A node serves the first request on the tracked connection.
    pub(super) fn serve(&self, state: &mut State, number: usize) {
        let Some(request) = state.nodes[number].to_server.remove(0) else { return };
        let mut register = |key: Key| {
            let node = &mut state.nodes[number];
            node.registered[key as usize] = node.is_tracking;
        };
        match request {
            Request::Confirm(call) => {
                // The other node redirects, which registers nothing.
                let is_here = usize::from(state.home) == number;
                if is_here {
                    register(Key::Slot);
                }
                let version = match state.slot {
                    Slot::Value(value) if is_here => Some(value.version),
                    _ => None,
                };
                if let Some(call) = call {
                    state.nodes[number].to_process.push(Message::Id(call, version));
                }
            }
            Request::ConfirmStamp(call) => {
                register(Key::Stamp);
                if let Some(call) = call {
                    state.nodes[number].to_process.push(Message::Stamp(call, state.stamp));
                }
            }
            Request::Probe(sent) => {
                let pong = Pong { sent, home: state.home, moves: state.moves };
                state.nodes[number].to_process.push(Message::Pong(pong));
            }
        }
    }
}
