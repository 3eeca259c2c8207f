//! The possible steps of a state, and its properties.

use super::state::{
    ACTORS, Actor, At, CANCEL, CRASH, Data, EVICTION, EXPIRY, LATE, Promises, Request, Slot, State, TIMEOUT, Token,
    Value,
};
use super::{Initial, Mishaps, Property, Protocol, Role, Spec, Tag};
use crate::check::Model;
use crate::words;

/// A step. Actors are numbered as in [`Protocol::actors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An actor begins.
    Start(usize),
    /// A call begins by joining another's flight without a read. Only broken rules allow it.
    StartInFlight(usize, usize),
    /// A call begins by sharing another's read. Only broken rules allow it.
    StartOnRead(usize, usize),
    /// The server applies an actor's request.
    Apply(usize),
    /// An actor receives its reply.
    Receive(usize),
    /// A body reads the origin.
    Sample(usize),
    /// A body ends.
    End(usize),
    /// A write changes the origin.
    Write(usize),
    /// A call that waits reads again.
    Poll(usize),
    /// A call stops waiting for the holders of leases.
    GiveUp(usize),
    /// An actor stops waiting for a reply.
    TimeOut(usize),
    /// A late request is applied.
    ApplyLate(usize),
    /// The content of the slot expires.
    Expire,
    /// The time of a refresh mark is over.
    Lapse,
    /// The stamp is evicted, or expires.
    Evict,
    /// The content of the slot moves to another node.
    Move,
    /// From now on no write reaches the replica of the slot's node.
    Lag,
    /// The replica of the slot's node takes over.
    FailOver,
    /// From now on no write reaches the replica of the stamp's node.
    LagStamp,
    /// The replica of the stamp's node takes over.
    FailOverStamp,
    /// A process dies.
    Crash(u8),
    /// A leader without followers is cancelled, or panics.
    Cancel(usize),
    /// A leader is cancelled, or panics, and a follower goes on with its lease.
    HandOver(usize, usize),
}

impl Model for Protocol {
    type State = State;
    type Step = Step;
    type Property = Property;

    const PROGRESS: Property = Property::Progress;

    fn start(&self) -> State {
        let Mishaps { expiries, timeouts, crashes, cancels, evictions, moves, losses, stamp_losses } = self.mishaps;
        assert!(self.actors.len() <= ACTORS, "at most {ACTORS} actors");
        let (slot, stamp, next_token) = match self.initial {
            Initial::Empty => (Slot::Empty, None, 1),
            Initial::Value(shape) => {
                let stamp = (self.tag != Tag::None).then(|| self.new_stamp(2));
                let data = Data { version: 0, shape, stamp };
                (Slot::Value(Value { data, id: Token::new(1), mark: None }), stamp, if stamp.is_some() { 3 } else { 2 })
            }
        };
        State {
            origin: 0,
            slot,
            side: None,
            stamp,
            late: [None; LATE],
            actors: [Actor::default(); ACTORS],
            copy: Slot::Empty,
            replica: None,
            stamp_replica: None,
            left: [expiries, timeouts, crashes, cancels, evictions, moves, losses, stamp_losses],
            next_token,
            acknowledged: Promises::default(),
            unlinked: 0,
            applied: Promises::default(),
            disturbed: false,
            runs: 0,
            accepted: 0,
            stale_return: false,
            herd: false,
            accepted_twice: false,
        }
    }

    fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        for (number, actor) in self.each(state) {
            self.steps_of(state, number, actor, steps);
        }
        for (number, late) in state.late.iter().enumerate() {
            // Equal requests have the same effect.
            if late.is_some() && !state.late[..number].contains(late) {
                steps.push(Step::ApplyLate(number));
            }
        }
        let may_expire = match state.slot {
            Slot::Empty => false,
            Slot::Lease(lease) => {
                self.rules.leases_expire && (state.left[EXPIRY] > 0 || !self.is_held(state, lease.token))
            }
            Slot::Value(_) => state.left[EXPIRY] > 0,
        };
        if may_expire {
            steps.push(Step::Expire);
        }
        if let Some(mark) = state.mark()
            && !mark.lapsed
            && (state.left[EXPIRY] > 0 || !self.is_held(state, mark.token))
        {
            steps.push(Step::Lapse);
        }
        if state.left[EVICTION] > 0 && state.stamp.is_some() {
            steps.push(Step::Evict);
        }
        self.cluster_steps(state, steps);
        if state.left[CRASH] > 0 {
            let processes = self.actors.iter().map(|spec| spec.process).max().unwrap_or(0);
            // The death of a process in which all calls wait for others has no effect.
            let at_work = |p| self.each(state).any(|(n, a)| self.actors[n].process == p && a.is_at_work());
            steps.extend((0..=processes).filter(|&p| at_work(p)).map(Step::Crash));
        }
    }

    fn next(&self, before: &State, step: Step) -> State {
        let mut state = *before;
        self.take(&mut state, step);
        state
    }

    fn canonical(&self, mut state: State) -> State {
        state.forget_bodies();
        state.late.sort_unstable_by_key(|late| (late.is_none(), *late));
        if self.rules.fresh_tokens {
            state.rename_tokens();
        }
        let mut begin = 0;
        for alike in self.actors.chunk_by(PartialEq::eq) {
            state.actors[begin..begin + alike.len()].sort_unstable();
            begin += alike.len();
        }
        if self.rules.fresh_tokens {
            state.rename_tokens();
            state.late.sort_unstable_by_key(|late| (late.is_none(), *late));
        }
        state
    }

    fn holds(&self, property: Property, state: &State) -> bool {
        match property {
            Property::NoStaleReturn => !state.stale_return,
            Property::NoStaleStored => !matches!(state.slot, Slot::Value(Value { data, .. })
                    if data.version < state.acknowledged.latest() && self.counts(data.stamp, state.stamp)),
            Property::OneFillPerToken => {
                let leads = |t| self.each(state).filter(|(_, a)| a.is_at_work() && a.has(t)).count();
                !state.accepted_twice && !matches!(state.slot, Slot::Lease(lease) if leads(lease.token) > 1)
            }
            Property::OneBodyAtOnce => {
                let at_once = |background| {
                    let runs = |(n, a): &(usize, &Actor)| {
                        a.at == At::Body && a.lease.is_some() && a.background == background && self.calls(*n)
                    };
                    self.each(state).filter(runs).count()
                };
                // A value under refresh may be displaced, computed anew and refreshed again.
                let refreshes_count = self.has_one_shape();
                state.disturbed || (at_once(false) <= 1 && (at_once(true) <= 1 || !refreshes_count))
            }
            Property::OneRun => {
                let undisturbed = !state.disturbed && state.left == self.start().left;
                !undisturbed || !self.has_one_shape() || state.runs <= 1
            }
            Property::OneForItsOthers => !state.herd,
            Property::Progress => true,
        }
    }

    fn finished(&self, state: &State) -> bool {
        self.each(state).all(|(_, actor)| matches!(actor.at, At::Done | At::Gone))
    }

    fn describe(&self, before: &State, step: Step, after: &State) -> String {
        words::describe(self, before, step, after)
    }
}

/// The possible steps.
impl Protocol {
    fn steps_of(&self, state: &State, number: usize, actor: &Actor, steps: &mut Vec<Step>) {
        match actor.at {
            At::Idle => self.starts(state, number, steps),
            At::Asked(request) => {
                steps.push(Step::Apply(number));
                let prepares = request.lease().is_some() || matches!(request, Request::Stamp(..));
                if !self.rules.body_after_acknowledgement && prepares && actor.version.is_none() {
                    steps.push(if self.calls(number) { Step::Sample(number) } else { Step::Write(number) });
                }
            }
            At::Answered(..) => steps.push(Step::Receive(number)),
            At::Polling => {
                // Another read of the same lease changes nothing.
                if !matches!(state.slot, Slot::Lease(lease)
                    if actor.has(lease.token) && self.waits_for(lease.stamp, state.stamp))
                {
                    steps.push(Step::Poll(number));
                }
                if self.impatient {
                    steps.push(Step::GiveUp(number));
                }
            }
            At::Body if !self.calls(number) => steps.push(Step::Write(number)),
            At::Body if actor.version.is_none() => steps.push(Step::Sample(number)),
            At::Body => steps.push(Step::End(number)),
            At::Following if self.impatient => steps.push(Step::GiveUp(number)),
            At::Following | At::Sharing | At::Done | At::Gone => {}
        }
        if let At::Asked(request) | At::Answered(request, _) = actor.at
            && state.left[TIMEOUT] > 0
            && self.may_time_out(number, request)
        {
            steps.push(Step::TimeOut(number));
        }
        let leads = actor.lease.is_some() || (actor.at == At::Body && actor.body.is_some());
        if state.left[CANCEL] > 0 && self.calls(number) && leads && !actor.background {
            match actor.at {
                At::Body => {
                    let before = steps.len();
                    if self.rules.hand_over {
                        steps.extend(self.followers(state, number).map(|heir| Step::HandOver(number, heir)));
                    }
                    if steps.len() == before {
                        steps.push(Step::Cancel(number));
                    }
                }
                At::Asked(Request::Fill(..) | Request::Set(..)) => steps.push(Step::Cancel(number)),
                _ => {}
            }
        }
    }

    fn starts(&self, state: &State, number: usize, steps: &mut Vec<Step>) {
        let Spec { role, process, .. } = self.actors[number];
        let writers_are_done = || {
            let mut writers = self.each(state).filter(|(n, _)| self.actors[*n].role == Role::Writer);
            writers.all(|(_, a)| matches!(a.at, At::Done | At::Gone))
        };
        if role == Role::Invalidator && self.invalidate_last && !writers_are_done() {
            return;
        }
        steps.push(Step::Start(number));
        if !self.calls(number) {
            return;
        }
        for (other, actor) in self.each(state) {
            if self.actors[other].process != process || !self.calls(other) {
                continue;
            }
            let joins_unread = !self.rules.join_only_what_was_read || !self.rules.acceptance_is_no_licence;
            if joins_unread && actor.lease.is_some_and(|lease| self.flight(state, number, lease.token) == Some(other)) {
                steps.push(Step::StartInFlight(number, other));
            }
            if !self.rules.no_shared_reads && matches!(actor.at, At::Answered(request, _) if request.reads()) {
                steps.push(Step::StartOnRead(number, other));
            }
        }
    }

    fn may_time_out(&self, number: usize, request: Request) -> bool {
        match (self.actors[number].role, request) {
            // A call whose read fails runs the body and stores nothing, like a call that stops waiting.
            (_, request) if request.reads() => false,
            // The last request of a write through is repeated until it is acknowledged.
            (Role::Writer, Request::Unlink) => false,
            _ => true,
        }
    }
}

/// Questions about a state.
impl Protocol {
    pub(super) fn each<'a>(&self, state: &'a State) -> impl Iterator<Item = (usize, &'a Actor)> + use<'a> {
        state.actors.iter().take(self.actors.len()).enumerate()
    }

    pub(super) fn calls(&self, number: usize) -> bool {
        matches!(self.actors[number].role, Role::Reader | Role::Refresher)
    }

    fn has_one_shape(&self) -> bool {
        let shapes = self.actors.iter().map(|spec| spec.shape);
        let initial = match self.initial {
            Initial::Value(shape) => Some(shape),
            Initial::Empty => None,
        };
        let mut shapes = shapes.chain(initial);
        let first = shapes.next();
        shapes.all(|shape| Some(shape) == first)
    }

    /// Tells whether content with one stamp is valid under the other.
    pub(super) fn counts(&self, stamp: Option<Token>, current: Option<Token>) -> bool {
        self.tag == Tag::None || (stamp == current && (current.is_some() || !self.rules.absent_is_no_stamp))
    }

    /// Tells whether calls wait for a lease.
    pub(super) fn waits_for(&self, stamp: Option<Token>, current: Option<Token>) -> bool {
        !self.stamps_leases() || !self.rules.followers_compare_the_stamp || self.counts(stamp, current)
    }

    /// Tells whether the stamp is known before the body starts.
    pub(super) fn stamps_leases(&self) -> bool {
        self.tag == Tag::OfArguments && self.rules.stamp_before_the_body
    }

    /// The leader of the flight with this token in the process of an actor.
    pub(super) fn flight(&self, state: &State, number: usize, token: Token) -> Option<usize> {
        let leads = |(other, actor): &(usize, &Actor)| {
            *other != number
                && self.actors[*other].process == self.actors[number].process
                && self.calls(*other)
                && !actor.background
                && actor.has(token)
                // A lease that is given back has no flight any more.
                && !matches!(actor.at, At::Asked(Request::Release(_)) | At::Answered(Request::Release(_), _))
                && actor.is_at_work()
        };
        self.each(state).find(leads).map(|(other, _)| other)
    }

    pub(super) fn followers(&self, state: &State, leader: usize) -> impl Iterator<Item = usize> {
        let lease = state.actors[leader].lease;
        let process = self.actors[leader].process;
        self.each(state)
            .filter(move |(n, a)| {
                a.at == At::Following && lease.is_some() && a.lease == lease && self.actors[*n].process == process
            })
            .map(|(n, _)| n)
    }

    /// The body of its process that a call may share without a read of the slot.
    pub(super) fn body_here(&self, state: &State, number: usize) -> Option<Token> {
        let Spec { process, .. } = self.actors[number];
        let known = state.actors[number].body;
        let runs = |(other, actor): &(usize, &Actor)| {
            *other != number
                && self.actors[*other].process == process
                && self.calls(*other)
                && actor.at == At::Body
                && actor.body.is_some()
                && (actor.body == known || !self.rules.share_what_began_later)
        };
        self.each(state).find(runs).and_then(|(_, actor)| actor.body)
    }

    /// The calls that share a body without a read of the slot.
    pub(super) fn sharers(&self, state: &State, leader: usize) -> Vec<usize> {
        let Actor { body, .. } = state.actors[leader];
        let shares = |(_, actor): &(usize, &Actor)| actor.at == At::Sharing && body.is_some() && actor.body == body;
        self.each(state).filter(shares).map(|(number, _)| number).collect()
    }

    /// Tells whether an actor works under a token.
    pub(super) fn is_held(&self, state: &State, token: Token) -> bool {
        self.each(state).any(|(_, actor)| actor.has(token) && actor.is_at_work())
    }
}
