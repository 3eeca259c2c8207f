//! The steps of the keeper: the tracked connections, and the admission of what they confirm.

use super::*;

/// The possible steps.
impl Local {
    pub(super) fn steps_of_the_keeper(&self, state: &State, steps: &mut Vec<Step>) {
        match state.admission {
            Some(admission) if admission.is_inserted => steps.push(Step::LookAgain),
            Some(_) => steps.push(Step::Insert),
            None => {}
        }
        if state.admission.is_some() && self.interleaving != Interleaving::WritesAndPushes {
            // The driver runs on the thread of the task.
            let has_requests = |node: &usize| state.nodes[*node].to_server.first().is_some();
            steps.extend((0..self.nodes).filter(has_requests).map(Step::Serve));
            return;
        }
        for (number, node) in state.nodes.iter().enumerate().take(self.nodes) {
            if node.to_server.first().is_some() {
                steps.push(Step::Serve(number));
            }
            if node.to_process.first().is_some() {
                steps.push(Step::Handle(number));
            }
            if state.admission.is_none() {
                steps.extend(node.inbox.iter().enumerate().map(|(at, _)| Step::Consume(number, at)));
            }
            // A proof that is not newer has no effect.
            if node.horizon < state.now && !node.is_lost && !node.is_probed() {
                steps.push(Step::Probe(number));
            }
            if node.is_lost {
                steps.push(Step::Reconnect(number));
            }
        }
    }
}

impl Node {
    fn is_probed(&self) -> bool {
        let is_pong = |message: Message| matches!(message, Message::Pong(_));
        self.to_server.iter().any(|request| matches!(request, Request::Probe(_)))
            || self.to_process.iter().chain(self.inbox.iter()).any(is_pong)
    }
}

/// The tracked connections.
impl Local {
    /// The driver handles a push at once, and dispatches a reply.
    pub(super) fn handle(&self, state: &mut State, number: usize) {
        let Some(message) = state.nodes[number].to_process.remove(0) else { return };
        match message {
            Message::Push(Key::Slot) => {
                if self.rules.overtaken {
                    self.drop_tickets(state, number);
                }
                if self.rules.push {
                    self.suspend(state);
                }
            }
            Message::Push(Key::Stamp) => {
                if self.rules.overtaken {
                    state.stamp_ticket = None;
                }
                if self.rules.tag {
                    self.suspend_cell(state);
                }
            }
            Message::PushAll => {
                if self.rules.null {
                    self.suspend_node(state, number);
                }
            }
            reply => state.nodes[number].inbox.push(reply),
        }
    }

    /// Nothing that a node has confirmed, or will confirm on this connection, counts any more.
    fn suspend_node(&self, state: &mut State, number: usize) {
        self.drop_tickets(state, number);
        if state.entry.is_some_and(|entry| usize::from(entry.node) == number) {
            self.suspend(state);
        }
        if self.tag == Some(number) {
            state.stamp_ticket = None;
            self.suspend_cell(state);
        }
    }

    fn suspend_cell(&self, state: &mut State) {
        if let Some(cell) = &mut state.cell {
            cell.is_live = false;
        }
    }

    fn drop_tickets(&self, state: &mut State, number: usize) {
        for ticket in &mut state.tickets {
            *ticket = ticket.filter(|ticket| usize::from(ticket.node) != number);
        }
    }

    pub(super) fn reconnect(&self, state: &mut State, number: usize) {
        if self.rules.generation {
            self.suspend_node(state, number);
        }
        let node = &mut state.nodes[number];
        node.is_lost = false;
        node.is_tracking = self.rules.tracking;
    }

    fn answered(&self, state: &mut State, number: usize, pong: Pong) {
        let is_news = match self.rules.no_move_between {
            true => pong.moves > state.known_moves,
            false => pong.home != state.map,
        };
        if is_news && self.rules.moves {
            state.known_moves = pong.moves;
            self.follow(state, pong.home);
        }
        let sent = if self.rules.probe_sent { pong.sent } else { state.now };
        let node = &mut state.nodes[number];
        node.horizon = node.horizon.max(sent);
    }
}

/// Admissions.
impl Local {
    pub(super) fn consume(&self, state: &mut State, number: usize, at: usize) {
        let Some(reply) = state.nodes[number].inbox.remove(at) else { return };
        match reply {
            Message::Id(call, version) => {
                let Some(ticket) = state.tickets[usize::from(call)] else { return };
                let is_confirmed = version == Some(ticket.value.version) && !self.is_closed(state);
                self.look(state, Key::Slot, call, ticket, is_confirmed);
            }
            Message::Stamp(call, stamp) => {
                let Some(StampTicket { stamp: offered, .. }) = state.stamp_ticket else { return };
                let ticket = Ticket { value: Value { version: 0, stamp }, node: number as u8 };
                self.look(state, Key::Stamp, call, ticket, stamp == offered && !self.is_closed(state));
            }
            Message::Pong(pong) => self.answered(state, number, pong),
            Message::Push(_) | Message::PushAll => {}
        }
    }

    fn look(&self, state: &mut State, what: Key, call: u8, ticket: Ticket, is_confirmed: bool) {
        if !is_confirmed || !self.rules.look_at_ticket {
            self.take_ticket(state, what, call);
        }
        if !is_confirmed {
            return;
        }
        state.admission = Some(Admission { what, call, ticket, is_inserted: false, is_voided: false });
        if self.interleaving == Interleaving::Nothing {
            self.insert(state);
            if state.admission.is_some() {
                self.look_again(state);
            }
        }
    }

    fn take_ticket(&self, state: &mut State, what: Key, call: u8) -> bool {
        match what {
            Key::Slot => state.tickets[usize::from(call)].take().is_some(),
            Key::Stamp => {
                let ticket = state.stamp_ticket.filter(|ticket| ticket.call == call);
                if ticket.is_some() {
                    state.stamp_ticket = None;
                }
                ticket.is_some()
            }
        }
    }

    pub(super) fn insert(&self, state: &mut State) {
        let Some(admission) = state.admission.as_mut() else { return };
        admission.is_inserted = true;
        let Admission { what, call, ticket: Ticket { value, node }, .. } = *admission;
        let is_published = !self.rules.second_look || !self.rules.publish_after_look;
        match what {
            Key::Slot => state.entry = Some(Entry { value, node, is_live: true, is_published, asked: 0 }),
            Key::Stamp => state.cell = Some(Cell { stamp: value.stamp, is_live: true, is_published }),
        }
        if !self.rules.second_look {
            self.take_ticket(state, what, call);
            state.admission = None;
        }
    }

    pub(super) fn look_again(&self, state: &mut State) {
        let Some(admission) = state.admission.take() else { return };
        let Admission { what, call, ticket: Ticket { value, .. }, is_voided, .. } = admission;
        let stands = if self.rules.look_at_ticket { self.take_ticket(state, what, call) } else { !is_voided };
        // A void may have removed it, and then nothing is published.
        match (what, &mut state.entry, &mut state.cell) {
            (Key::Slot, Some(entry), _) if stands => entry.is_published = true,
            (Key::Slot, Some(entry), _) if entry.value == value => state.entry = None,
            (Key::Stamp, _, Some(cell)) if stands => cell.is_published = true,
            (Key::Stamp, _, Some(cell)) if cell.stamp == value.stamp => state.cell = None,
            _ => {}
        }
    }
}
