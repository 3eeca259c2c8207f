//! The actions of the actors.

use super::state::{Actor, At, Data, EVICTION, Lease, Reply, Request, Slot, State, Token, Value};
use super::{Protocol, Role, Spec, Step, Tag};

impl Protocol {
    pub(super) fn take(&self, state: &mut State, step: Step) {
        match step {
            Step::Start(number) => self.begin(state, number),
            Step::StartInFlight(number, leader) => {
                let lease = state.actors[leader].lease;
                state.actors[number] = Actor { at: At::Following, lease, need: state.acknowledged, ..Actor::default() };
            }
            Step::StartOnRead(number, other) => {
                let at = state.actors[other].at;
                state.actors[number] = Actor { at, need: state.acknowledged, ..Actor::default() };
            }
            Step::Apply(number) => self.apply(state, number),
            Step::Receive(number) => {
                if let At::Answered(request, reply) = state.actors[number].at {
                    self.receive(state, number, request, reply);
                }
            }
            Step::Sample(number) => state.actors[number].version = Some(state.origin),
            Step::End(number) => self.end_body(state, number),
            Step::Write(number) => self.write(state, number),
            Step::Poll(number) if !self.rules.one_replaces_the_dead && state.slot == Slot::Empty => {
                self.compute(state, number);
            }
            Step::Poll(number) => {
                state.actors[number].lease = None;
                self.ask(state, number, Request::Read);
            }
            Step::GiveUp(number) => self.give_up(state, number),
            Step::TimeOut(number) => self.time_out(state, number),
            Step::ApplyLate(which) => {
                if let Some(request) = state.late[which].take() {
                    self.serve(state, request);
                }
            }
            Step::Expire => self.expire(state),
            Step::Lapse => self.lapse(state),
            Step::Evict => {
                state.left[EVICTION] -= 1;
                state.disturbed = true;
                state.stamp = None;
            }
            Step::Move => self.move_slot(state),
            Step::Lag => self.lag(state),
            Step::FailOver => self.fail_over(state),
            Step::LagStamp => self.lag_stamp(state),
            Step::FailOverStamp => self.fail_over_stamp(state),
            Step::Crash(process) => self.crash(state, process),
            Step::Cancel(number) => self.cancel(state, number),
            Step::HandOver(number, heir) => self.hand_over(state, number, heir),
        }
        self.uncover(state);
        self.note_gap(state);
    }

    fn begin(&self, state: &mut State, number: usize) {
        state.actors[number].need = state.acknowledged;
        state.disturbed |= !self.calls(number);
        match self.actors[number].role {
            Role::Reader | Role::Refresher => self.ask(state, number, Request::Read),
            Role::Writer if self.rules.write_takes_the_slot && self.stamps_leases() => {
                let stamp = self.new_stamp_in(state);
                self.ask(state, number, Request::Stamp(stamp, Slot::Empty));
            }
            Role::Writer if self.rules.write_takes_the_slot => self.take_any(state, number, None),
            Role::Writer | Role::Invalidator | Role::TagInvalidator | Role::Clearer => {
                state.actors[number].at = At::Body;
            }
        }
    }

    fn apply(&self, state: &mut State, number: usize) {
        if let At::Asked(request) = state.actors[number].at {
            state.actors[number].at = match self.next_command(state, request) {
                Some(next) => At::Asked(next),
                None => {
                    let reply = self.serve(state, request);
                    self.note_promise(state, number, request, reply);
                    At::Answered(request, reply)
                }
            };
            if self.tag == Tag::OfTheValue {
                self.excuse(state, number, request);
            }
        }
    }

    fn receive(&self, state: &mut State, number: usize, request: Request, reply: Reply) {
        let role = self.actors[number].role;
        match (role, request, reply) {
            (Role::Clearer, Request::ScanEnd(_), Reply::Yes) => self.ask(state, number, Request::Unlink),
            (Role::Invalidator | Role::TagInvalidator | Role::Clearer, ..)
            | (Role::Writer, Request::Unlink | Request::Set(..), _) => {
                state.acknowledge(number, role);
            }
            (_, Request::Stamp(new, seen), reply) => {
                let stamp = if let Reply::Stamped(held) = reply { held } else { new };
                if state.actors[number].lease.is_some() {
                    self.share_and_fill(state, number, Some(stamp));
                } else if role == Role::Writer {
                    self.take_any(state, number, Some(stamp));
                } else {
                    self.take_slot(state, number, seen, Some(stamp));
                }
            }
            (Role::Writer, Request::Fill(..), reply) => {
                if reply == Reply::Yes || !self.rules.refused_write_erases {
                    state.acknowledge(number, role);
                } else {
                    self.ask(state, number, Request::Unlink);
                }
            }
            // The write began too early and has ended already.
            (Role::Writer, ..) if state.actors[number].version.is_some() => self.fill(state, number),
            // If its stamp differs from the one that was read, the read stamp may be out of date.
            (_, Request::Acquire(lease), Reply::Found(slot, _)) if !self.is_under(slot, lease.stamp) => {
                self.read_again(state, number);
            }
            (_, request, Reply::Found(slot, stamp)) if request.reads() || matches!(request, Request::Acquire(_)) => {
                self.look(state, number, slot, stamp);
            }
            (_, Request::Acquire(_) | Request::Displace(..) | Request::Take(_), Reply::Yes) => {
                self.begin_body(state, number);
            }
            (_, Request::Displace(..), _) => {
                self.turn_away(state, number);
                self.read_again(state, number);
            }
            // This is the first half of a displacement without comparison.
            (_, Request::Unlink, _) if state.actors[number].version.is_none() => {
                let lease = Lease { token: self.new_token(state, number), stamp: None };
                self.ask(state, number, Request::Acquire(lease));
            }
            (_, Request::Mark(..), Reply::Yes) => state.actors[number].at = At::Body,
            (_, Request::Fill(..) | Request::Set(..), reply) => {
                if !self.rules.acceptance_is_no_licence {
                    match reply {
                        Reply::Yes => self.publish(state, number),
                        _ => self.turn_away(state, number),
                    }
                }
                state.finish(number);
            }
            _ => state.finish(number),
        }
    }

    fn is_under(&self, slot: Slot, stamp: Option<Token>) -> bool {
        match slot {
            Slot::Empty => true,
            Slot::Lease(lease) => lease.stamp == stamp,
            Slot::Value(value) => self.tag == Tag::None || (self.stamps_leases() && value.data.stamp == stamp),
        }
    }

    /// The next step of a call after its read.
    fn look(&self, state: &mut State, number: usize, slot: Slot, stamp: Option<Token>) {
        let Spec { role, shape, .. } = self.actors[number];
        state.actors[number] = state.actors[number].anew();
        match slot {
            Slot::Lease(lease) if self.waits_for(lease.stamp, stamp) => {
                state.actors[number].lease = Some(lease);
                state.actors[number].at = At::Polling;
                if let Some(leader) = self.flight(state, number, lease.token) {
                    match self.published(state, leader) {
                        Some(data) => self.share(state, number, lease.token, data),
                        None => state.actors[number].at = At::Following,
                    }
                }
            }
            Slot::Value(value)
                if value.data.shape == shape
                    && (!self.rules.hits_compare_the_stamp || self.counts(value.data.stamp, stamp)) =>
            {
                state.actors[number].version = Some(value.data.version);
                // A mark outside of the value is found when the new mark is set.
                let busy = value.mark.is_some_and(|mark| !mark.lapsed);
                state.finish(number);
                if role == Role::Refresher && !busy {
                    state.actors[number].background = true;
                    let stamp = value.data.stamp.filter(|_| self.stamps_leases());
                    let lease = Lease { token: self.new_token(state, number), stamp };
                    self.ask(state, number, Request::Mark(lease, value.id));
                }
            }
            _ => self.take_slot(state, number, slot, stamp),
        }
    }

    /// Asks for a lease that replaces the content that was read, or first for the stamp of the lease.
    fn take_slot(&self, state: &mut State, number: usize, seen: Slot, stamp: Option<Token>) {
        if self.stamps_leases() && stamp.is_none() && self.rules.absent_is_no_stamp {
            let stamp = self.new_stamp_in(state);
            self.ask(state, number, Request::Stamp(stamp, seen));
            return;
        }
        if seen != Slot::Empty && !self.rules.displace_in_one_step {
            self.ask(state, number, Request::Unlink);
            return;
        }
        let lease = Lease { token: self.new_token(state, number), stamp: stamp.filter(|_| self.stamps_leases()) };
        let request = match seen {
            Slot::Empty => Request::Acquire(lease),
            _ if self.rules.displace_by_comparison => Request::Displace(lease, seen),
            _ => Request::Take(lease),
        };
        self.ask(state, number, request);
    }

    /// Asks for a lease that replaces any content.
    fn take_any(&self, state: &mut State, number: usize, stamp: Option<Token>) {
        let lease = Lease { token: self.new_token(state, number), stamp };
        self.ask(state, number, Request::Take(lease));
    }

    pub(super) fn begin_body(&self, state: &mut State, number: usize) {
        state.actors[number].at = At::Body;
        if self.calls(number) && state.actors[number].lease.is_some() {
            state.runs = (state.runs + 1).min(2);
        }
        self.tell_of_body(state, number);
    }

    /// A body begins. The calls of its process that began earlier may share it by the key alone.
    pub(super) fn tell_of_body(&self, state: &mut State, number: usize) {
        if !self.impatient || !self.calls(number) || state.actors[number].background {
            return;
        }
        let body = match state.actors[number].lease {
            Some(lease) => lease.token,
            None => self.new_token(state, number),
        };
        state.actors[number].body = Some(body);
        for other in 0..self.actors.len() {
            let is_here = other != number && self.actors[other].process == self.actors[number].process;
            if is_here && self.calls(other) && state.actors[other].searches() {
                state.actors[other].body = Some(body);
            }
        }
    }

    /// A call stops waiting for the holders of leases. One call of its process then computes for the others.
    pub(super) fn give_up(&self, state: &mut State, number: usize) {
        let actor = &mut state.actors[number];
        // It has already waited long enough for that flight.
        actor.body = actor.body.filter(|body| actor.lease.is_none_or(|lease| lease.token != *body));
        match self.body_here(state, number) {
            Some(body) if self.rules.one_computes_for_its_others => {
                let need = state.actors[number].need;
                state.actors[number] = Actor { at: At::Sharing, need, body: Some(body), ..Actor::default() };
            }
            _ => self.compute(state, number),
        }
    }

    /// A call computes a result that is not stored.
    fn compute(&self, state: &mut State, number: usize) {
        state.herd |= self.body_here(state, number).is_some();
        state.actors[number] = state.actors[number].anew();
        self.begin_body(state, number);
    }

    fn end_body(&self, state: &mut State, number: usize) {
        if state.actors[number].lease.is_none() {
            let version = state.actors[number].version;
            for sharer in self.sharers(state, number) {
                state.actors[sharer].version = version;
                state.finish(sharer);
            }
            state.finish(number);
            return;
        }
        self.fill(state, number);
    }

    /// Stores the computed value, or first asks for its stamp.
    fn fill(&self, state: &mut State, number: usize) {
        let Actor { lease, background, .. } = state.actors[number];
        let stamp_comes_last = match self.tag {
            Tag::None => false,
            Tag::OfArguments => !self.stamps_leases() || (background && !self.rules.refresh_keeps_the_stamp),
            Tag::OfTheValue => true,
        };
        if stamp_comes_last {
            let stamp = self.new_stamp_in(state);
            self.ask(state, number, Request::Stamp(stamp, Slot::Empty));
        } else {
            self.share_and_fill(state, number, lease.and_then(|lease| lease.stamp));
        }
    }

    fn share_and_fill(&self, state: &mut State, number: usize, stamp: Option<Token>) {
        let Actor { lease, version, background, .. } = state.actors[number];
        let (lease, version) = lease.zip(version).expect("a result, and the right to store it");
        let data = Data { version, shape: self.actors[number].shape, stamp };
        let request = if !self.rules.conditional_fill {
            Request::Set(lease.token, data)
        } else if background {
            Request::Refill(lease, data)
        } else {
            Request::Fill(lease, data)
        };
        self.ask(state, number, request);
        if self.rules.acceptance_is_no_licence && self.calls(number) {
            self.publish(state, number);
        }
    }

    fn write(&self, state: &mut State, number: usize) {
        let role = self.actors[number].role;
        let actor = &mut state.actors[number];
        if role != Role::Writer && actor.version.is_some() {
            // Versions that others have written since count too, because `invalidate` is called only now.
            actor.version = Some(state.origin);
            let request = match role {
                Role::TagInvalidator => Request::UnlinkStamp,
                Role::Clearer => Request::Scan,
                _ => Request::Unlink,
            };
            self.ask(state, number, request);
            return;
        }
        state.origin += 1;
        actor.version = Some(state.origin);
        match (role, actor.at) {
            (Role::Writer, At::Body) if !self.rules.write_takes_the_slot => {
                let token = self.new_token(state, number);
                let data = Data { version: state.origin, shape: self.actors[number].shape, stamp: None };
                self.ask(state, number, Request::Set(token, data));
            }
            (Role::Writer, At::Body) if actor.lease.is_some() => self.fill(state, number),
            (Role::Writer, At::Body) => self.ask(state, number, Request::Unlink),
            _ => {}
        }
    }

    /// A value promises nothing about invalidations before the stamp of a tag made of the value was
    /// read. Its version counts as that of the last such invalidation.
    fn excuse(&self, state: &mut State, number: usize, request: Request) {
        match request {
            Request::UnlinkStamp => state.unlinked = state.unlinked.max(state.actors[number].version.unwrap_or(0)),
            Request::Stamp(..) => {
                let version = &mut state.actors[number].version;
                *version = version.map(|version| version.max(state.unlinked));
            }
            _ => {}
        }
    }

    /// The result that a leader has for calls that find its flight.
    fn published(&self, state: &State, leader: usize) -> Option<Data> {
        let (At::Asked(request) | At::Answered(request, _)) = state.actors[leader].at else { return None };
        match request {
            Request::Fill(_, data) | Request::Set(_, data) if self.rules.acceptance_is_no_licence => Some(data),
            _ => None,
        }
    }

    /// Gives a leader's result to its followers.
    fn publish(&self, state: &mut State, leader: usize) {
        let (At::Asked(request) | At::Answered(request, _)) = state.actors[leader].at else { return };
        let (Request::Fill(Lease { token, .. }, data) | Request::Set(token, data)) = request else { return };
        let followers = self.followers(state, leader).chain(self.sharers(state, leader));
        for follower in followers.collect::<Vec<_>>() {
            self.share(state, follower, token, data);
        }
    }

    /// A call gets the result of a flight.
    fn share(&self, state: &mut State, number: usize, token: Token, data: Data) {
        if self.tag == Tag::OfTheValue && self.rules.shared_values_are_compared {
            state.actors[number] = state.actors[number].anew();
            self.ask(state, number, Request::ReadStamp(Slot::Value(Value { data, id: token, mark: None })));
        } else {
            state.actors[number].version = Some(data.version);
            state.finish(number);
        }
    }

    /// Sends the followers of a flight without a result back to the server.
    pub(super) fn turn_away(&self, state: &mut State, leader: usize) {
        for follower in self.followers(state, leader).collect::<Vec<_>>() {
            self.read_again(state, follower);
        }
        for sharer in self.sharers(state, leader) {
            self.give_up(state, sharer);
        }
    }

    fn read_again(&self, state: &mut State, number: usize) {
        state.actors[number] = state.actors[number].anew();
        self.ask(state, number, Request::Read);
    }

    pub(super) fn ask(&self, state: &mut State, number: usize, request: Request) {
        let actor = &mut state.actors[number];
        actor.at = At::Asked(request);
        if let Some(lease) = request.lease() {
            actor.lease = Some(lease);
        }
    }

    fn new_token(&self, state: &mut State, number: usize) -> Token {
        if !self.rules.fresh_tokens {
            return Token::new(self.actors[number].process + 2);
        }
        state.next_token += 1;
        Token::new(state.next_token - 1)
    }

    fn new_stamp_in(&self, state: &mut State) -> Token {
        state.next_token += 1;
        self.new_stamp(state.next_token - 1)
    }

    pub(super) fn new_stamp(&self, number: u8) -> Token {
        if self.rules.fresh_stamps { Token::new(number) } else { Token::SAME }
    }
}
