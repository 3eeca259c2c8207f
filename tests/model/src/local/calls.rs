//! The steps of calls and of the process's own writes.

use super::*;

/// The possible steps.
impl Local {
    pub(super) fn steps_of_calls(&self, state: &State, steps: &mut Vec<Step>) {
        // A hit changes nothing, unless it is wrong, or the first one of a value.
        if self.hits_in_steps {
            self.steps_of_a_hit(state, steps);
        } else if self.serves(state) && (self.is_news(state) || self.violates(state) != [false; 3]) {
            steps.push(Step::Hit);
        }
        // The calls are alike, so they begin in their order.
        if let Some(next) = (0..self.calls).find(|&call| state.calls[call].at == At::Idle) {
            steps.push(Step::Call(next, false));
            let is_due = self.is_valid(state) && self.is_due(state);
            if is_due && state.entry.is_some_and(|entry| entry.asked == 0 || !self.rules.one_at_due) {
                steps.push(Step::Call(next, true));
            }
        }
        for (number, call) in state.calls.iter().enumerate() {
            match call.at {
                At::Asked(_) | At::Filling(_) => steps.push(Step::Apply(number)),
                At::Answered(..) | At::Filled(..) => steps.push(Step::Receive(number)),
                At::Offering(_) => steps.push(Step::Offer(number)),
                At::Idle | At::Done => {}
            }
        }
    }

    pub(super) fn steps_of_writes(&self, state: &State, steps: &mut Vec<Step>) {
        if state.delivered != [false; 2] {
            steps.push(Step::Delivered);
        } else if state.undelivered != [false; 2] {
            steps.push(Step::Deliver);
        }
        for (number, kind) in self.writes.iter().enumerate() {
            let at = state.writes[number].at;
            match at {
                Phase::Idle => steps.push(Step::Begin(number)),
                Phase::Asked => steps.push(Step::ApplyWrite(number)),
                Phase::Applied(_) | Phase::Kept => steps.push(Step::Void(number)),
                Phase::Voiding(_) => steps.push(Step::Return(number)),
                Phase::Done => {}
            }
            if matches!(at, Phase::Asked | Phase::Applied(_)) {
                if state.left[FAILURE] > 0 && *kind != Kind::Refresh {
                    steps.push(Step::Fail(number));
                }
                if state.left[CANCEL] > 0 {
                    steps.push(Step::Cancel(number));
                }
            }
        }
    }
}

/// Hits in steps, of which there is one at a time.
impl Local {
    fn steps_of_a_hit(&self, state: &State, steps: &mut Vec<Step>) {
        match state.found {
            None if state.entry.is_some_and(|entry| entry.is_live && entry.is_published) => steps.push(Step::Find),
            None => {}
            Some(Found { has_looked: false, .. }) => steps.push(Step::Look),
            Some(_) => steps.push(Step::Served),
        }
    }

    pub(super) fn find(&self, state: &mut State) {
        state.found = state.entry.map(|entry| Found {
            entry,
            is_kept: true,
            has_looked: false,
            began: state.now,
            promised: [state.floor, state.newest],
        });
    }

    /// Tells whether there is a proof that holds for this time.
    fn is_proven(&self, state: &State, node: usize, now: u8) -> bool {
        now <= state.nodes[node].horizon + self.bound
    }

    fn has_proofs(&self, state: &State, found: &Found) -> bool {
        let proven = |node| self.is_proven(state, node, found.began);
        proven(usize::from(found.entry.node)) && self.tag.is_none_or(proven)
    }

    fn is_as_found(&self, state: &State, found: &Found) -> bool {
        let stamp = found.entry.value.stamp;
        let is_stamped = state.cell.is_some_and(|cell| cell.is_live && cell.is_published && cell.stamp == stamp);
        found.entry.is_live && (self.tag.is_none() || is_stamped)
    }

    pub(super) fn look_first(&self, state: &mut State) {
        let Some(mut found) = state.found else { return };
        let is_well = match self.rules.proof_first {
            true => self.has_proofs(state, &found),
            false => self.is_as_found(state, &found),
        };
        found.has_looked = true;
        state.found = is_well.then_some(found);
    }

    pub(super) fn served(&self, state: &mut State) {
        let Some(found) = state.found.take() else { return };
        let is_well = match self.rules.proof_first {
            true => self.is_as_found(state, &found),
            false => self.has_proofs(state, &found),
        };
        if is_well && !self.is_closed(state) {
            let [floor, newest] = found.promised;
            self.note(state, found.entry.value, found.began, floor, newest);
        }
    }

    /// What a step means for the entry that a hit has found.
    pub(super) fn follow_found(&self, before: &State, state: &mut State, step: Step) {
        let Some(found) = state.found.as_mut().filter(|found| found.is_kept) else { return };
        let is_inserted = before.entry.is_some() && matches!(step, Step::Insert | Step::Consume(..));
        match state.entry.filter(|entry| entry.value == found.entry.value) {
            Some(entry) if !is_inserted || !entry.is_live => found.entry.is_live = entry.is_live,
            Some(_) if before.entry == state.entry => {}
            _ => {
                found.is_kept = false;
                found.entry.is_live &= !self.rules.leaving;
            }
        }
    }
}

/// Hits.
impl Local {
    /// Tells whether the tier may serve the entry now.
    fn is_valid(&self, state: &State) -> bool {
        let Some(entry) = state.entry.filter(|entry| entry.is_live && entry.is_published) else { return false };
        let is_proven = |node: usize| !self.rules.horizon || self.is_proven(state, node, state.now);
        let under_tag = self.tag.is_none_or(|node| {
            let cell = state.cell.filter(|cell| cell.is_live && cell.is_published);
            let proven = !self.rules.tag_horizon || is_proven(node);
            proven && cell.is_some_and(|cell| cell.stamp == entry.value.stamp)
        });
        under_tag && is_proven(usize::from(entry.node)) && !self.is_closed(state)
    }

    /// Tells whether the tier is closed because of an undelivered invalidation.
    pub(super) fn is_closed(&self, state: &State) -> bool {
        self.rules.pending && state.undelivered != [false; 2]
    }

    fn is_due(&self, state: &State) -> bool {
        self.due.is_some_and(|due| state.now >= due)
    }

    /// Tells whether a call that begins now is served.
    #[must_use]
    pub fn serves(&self, state: &State) -> bool {
        let is_left = self.is_due(state) && state.entry.is_some_and(|entry| entry.asked == 0);
        self.is_valid(state) && !is_left
    }

    fn is_news(&self, state: &State) -> bool {
        state.entry.is_some_and(|entry| entry.value.version > state.newest)
    }

    /// Tells which of the first three properties a hit violates now.
    fn violates(&self, state: &State) -> [bool; 3] {
        let Some(Entry { value, .. }) = state.entry else { return [false; 3] };
        self.violations(state, value, state.now, state.floor, state.newest)
    }

    /// The same for a call that began at this time, when these versions were promised.
    fn violations(&self, state: &State, value: Value, began: u8, floor: u8, newest: u8) -> [bool; 3] {
        let is_past = |gone: Option<u8>| gone.is_some_and(|gone| began > gone + self.bound);
        let is_late =
            is_past(state.gone[usize::from(value.version)]) || is_past(state.stamp_gone[usize::from(value.stamp)]);
        [value.version < floor, is_late, value.version < newest]
    }

    pub(super) fn hit(&self, state: &mut State) {
        if let Some(Entry { value, .. }) = state.entry {
            self.note(state, value, state.now, state.floor, state.newest);
        }
    }

    fn note(&self, state: &mut State, value: Value, began: u8, floor: u8, newest: u8) {
        let [is_stale, is_late, is_older] = self.violations(state, value, began, floor, newest);
        state.is_stale |= is_stale;
        state.is_late |= is_late;
        state.is_older |= is_older;
        state.newest = state.newest.max(value.version);
    }
}

/// Calls that go to the server.
impl Local {
    pub(super) fn call(&self, state: &mut State, number: usize, is_due: bool) {
        state.calls[number].at = At::Asked(state.undelivered);
        if let Some(entry) = state.entry.as_mut().filter(|_| is_due) {
            entry.asked = (entry.asked + 1).min(2);
            state.is_herd |= entry.asked > 1;
        }
    }

    pub(super) fn apply(&self, state: &mut State, number: usize) {
        let mine = Slot::Lease(number as u8);
        state.calls[number].at = match state.calls[number].at {
            At::Asked(carried) => {
                self.unlink_all(state, carried);
                let home = state.home;
                let answer = self.read(state, mine);
                state.calls[number].oldest = match answer {
                    Answer::Found(value) => value.version,
                    Answer::Taken(_) | Answer::Busy => state.stored + 1,
                };
                At::Answered(carried, answer, home)
            }
            At::Filling(value) => {
                let is_accepted = state.slot == mine;
                if is_accepted {
                    state.calls[number].oldest = value.version;
                    self.set_slot(state, Slot::Value(value));
                }
                At::Filled(value, is_accepted)
            }
            at => at,
        };
    }

    /// Reads the slot, and takes it if there is nothing valid.
    fn read(&self, state: &mut State, lease: Slot) -> Answer {
        let is_valid = |value: Value| self.tag.is_none() || (value.stamp == state.stamp && state.stamp != 0);
        match state.slot {
            Slot::Value(value) if is_valid(value) => Answer::Found(value),
            Slot::Lease(_) => Answer::Busy,
            Slot::Value(_) | Slot::Empty => {
                let stamp = self.stamp_for_a_value(state);
                self.set_slot(state, lease);
                Answer::Taken(stamp)
            }
        }
    }

    pub(super) fn receive(&self, state: &mut State, number: usize) {
        match state.calls[number].at {
            At::Answered(carried, answer, home) => {
                Key::BOTH.into_iter().filter(|&key| carried[key as usize]).for_each(|key| {
                    state.undelivered[key as usize] = false;
                });
                if home != state.map {
                    self.follow(state, home);
                }
                match answer {
                    Answer::Found(value) => {
                        self.shows(state, Some(value));
                        self.offer_and_return(state, number, value);
                    }
                    Answer::Taken(stamp) => {
                        self.shows(state, None);
                        // The body begins now, and reads the origin at once. It finds a version of its own there,
                        // which is the id of the value.
                        state.origin += 1;
                        let value = Value { version: state.origin, stamp };
                        state.calls[number].at = At::Filling(value);
                        if !self.rules.offer_after_fill {
                            self.offer(state, number, value);
                        }
                    }
                    // The call computes without a lease, and stores nothing.
                    Answer::Busy => {
                        self.shows(state, None);
                        self.returns(state, number);
                    }
                }
            }
            At::Filled(value, true) if self.rules.offer_after_fill => {
                self.shows(state, Some(value));
                self.offer_and_return(state, number, value);
            }
            At::Filled(..) => self.returns(state, number),
            _ => {}
        }
    }

    /// The slot is at another node than the process knew.
    pub(super) fn follow(&self, state: &mut State, home: u8) {
        state.map = home;
        if self.rules.moves {
            self.suspend(state);
            state.tickets = [None; CALLS];
        }
    }

    pub(super) fn suspend(&self, state: &mut State) {
        if let Some(entry) = &mut state.entry {
            entry.is_live = false;
        }
    }

    /// What a call was told speaks against other values.
    fn shows(&self, state: &mut State, value: Option<Value>) {
        let (voids, drops) = match value {
            Some(_) => (self.rules.read_voids, self.rules.newest),
            None => (self.rules.miss_voids, self.rules.miss_voids),
        };
        if voids && state.entry.map(|entry| entry.value) != value {
            state.entry = None;
        }
        if drops {
            state.tickets = [None; CALLS];
        }
    }

    fn returns(&self, state: &mut State, number: usize) {
        state.newest = state.newest.max(state.calls[number].oldest);
        state.calls[number].at = At::Done;
    }

    fn offer_and_return(&self, state: &mut State, number: usize, value: Value) {
        let [slot, stamp] = state.calls[number].voided;
        let is_refused = self.rules.offer_epoch && (slot || (self.rules.tag_epoch && stamp));
        if !is_refused && !self.rules.offer_in_one_step {
            state.calls[number].at = At::Offering(value);
            return;
        }
        if !is_refused {
            self.offer(state, number, value);
        }
        self.returns(state, number);
    }

    pub(super) fn make_offer(&self, state: &mut State, number: usize) {
        let At::Offering(value) = state.calls[number].at else { return };
        self.offer(state, number, value);
        self.returns(state, number);
    }

    fn offer(&self, state: &mut State, number: usize, value: Value) {
        self.offer_stamp(state, number, value.stamp);
        let known = state.entry.filter(|entry| entry.value == value);
        if known.is_some_and(|entry| entry.is_live && entry.is_published) {
            return;
        }
        let node = state.map;
        let is_revived = known.is_some() && !self.rules.revive;
        if is_revived || !self.rules.confirm {
            state.entry = Some(Entry { value, node, is_live: true, is_published: true, asked: 0 });
            return;
        }
        state.tickets[number] = Some(Ticket { value, node });
        let node = &mut state.nodes[usize::from(node)];
        if !node.is_lost {
            node.to_server.push(Request::Confirm(Some(number as u8)));
        }
    }

    /// The stamp is confirmed if there is no live cell for it.
    fn offer_stamp(&self, state: &mut State, number: usize, stamp: u8) {
        let Some(node) = self.tag else { return };
        if state.cell.is_some_and(|cell| cell.is_live && cell.is_published && cell.stamp == stamp) {
            return;
        }
        if !self.rules.tag_confirm {
            state.cell = Some(Cell { stamp, is_live: true, is_published: true });
            return;
        }
        let call = number as u8;
        state.stamp_ticket = Some(StampTicket { call, stamp });
        let node = &mut state.nodes[node];
        if !node.is_lost {
            node.to_server.push(Request::ConfirmStamp(Some(call)));
        }
    }
}

/// Writes of the process.
impl Local {
    fn key_of(&self, number: usize) -> Key {
        match self.writes[number] {
            Kind::InvalidateTag => Key::Stamp,
            Kind::Invalidate | Kind::Refresh => Key::Slot,
        }
    }

    pub(super) fn begin(&self, state: &mut State, number: usize) {
        state.origin += 1;
        state.writes[number] = Write { at: Phase::Asked, version: state.origin };
        if self.rules.void_before {
            self.refuse(state, self.key_of(number));
            self.remove(state, self.key_of(number));
        }
    }

    pub(super) fn apply_write(&self, state: &mut State, number: usize) {
        let version = state.writes[number].version;
        let is_accepted = match (self.writes[number], state.slot) {
            (Kind::Refresh, Slot::Value(value)) if value.version < version => {
                let stamp = value.stamp;
                self.set_slot(state, Slot::Value(Value { version, stamp }));
                true
            }
            (Kind::Refresh, _) => false,
            (Kind::Invalidate | Kind::InvalidateTag, _) => {
                self.unlink(state, self.key_of(number));
                true
            }
        };
        state.writes[number].at = Phase::Applied(is_accepted);
    }

    pub(super) fn fail(&self, state: &mut State, number: usize) {
        state.left[FAILURE] -= 1;
        state.undelivered[self.key_of(number) as usize] = true;
        state.writes[number].at = Phase::Kept;
    }

    pub(super) fn deliver(&self, state: &mut State) {
        state.delivered = state.undelivered;
        self.unlink_all(state, state.delivered);
    }

    fn voids_after(&self, number: usize) -> bool {
        if self.writes[number] == Kind::Refresh { self.rules.fill_voids } else { self.rules.void_after }
    }

    pub(super) fn void_first(&self, state: &mut State, number: usize) {
        let is_accepted = matches!(state.writes[number].at, Phase::Applied(true) | Phase::Kept);
        if self.voids_after(number) {
            match self.rules.ticket_first {
                true => self.refuse(state, self.key_of(number)),
                false => self.remove(state, self.key_of(number)),
            }
        }
        state.writes[number].at = Phase::Voiding(is_accepted);
    }

    pub(super) fn return_write(&self, state: &mut State, number: usize) {
        if self.voids_after(number) {
            match self.rules.ticket_first {
                true => self.remove(state, self.key_of(number)),
                false => self.refuse(state, self.key_of(number)),
            }
        }
        let Write { at, version } = state.writes[number];
        if at == Phase::Voiding(true) {
            state.floor = state.floor.max(version);
            if self.writes[number] == Kind::Refresh {
                state.newest = state.newest.max(version);
            }
        }
        state.writes[number] = Write { at: Phase::Done, version: 0 };
    }

    /// One half of a void: what was read before it is not admitted.
    fn refuse(&self, state: &mut State, key: Key) {
        for call in state.calls.iter_mut().filter(|call| call.is_under_way()) {
            call.voided[key as usize] = true;
        }
        if let Some(admission) = state.admission.as_mut().filter(|admission| admission.what == key) {
            admission.is_voided = true;
        }
        if self.rules.void_pending {
            match key {
                Key::Slot => state.tickets = [None; CALLS],
                Key::Stamp => state.stamp_ticket = None,
            }
        }
    }

    /// The other half: what is there is not served.
    fn remove(&self, state: &mut State, key: Key) {
        match key {
            Key::Slot => state.entry = None,
            Key::Stamp => state.cell = None,
        }
    }
}
