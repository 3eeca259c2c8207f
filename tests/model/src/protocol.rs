//! The protocol: what can happen to one slot, and what must never.

use std::fmt;
use std::num::NonZeroU8;

use crate::check::Model;
use crate::words;

/// What the callers, the writers and the server keep to. Each rule can be switched off alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A call joins a flight only if its own read saw the flight's token. Without: it joins
    /// whatever flight of the key runs in its process.
    pub join_only_what_was_read: bool,
    /// That a fill was accepted says nothing about who may have the result. Without: a call joins
    /// whatever flight of the key runs, and takes the result if the fill is accepted.
    pub acceptance_is_no_licence: bool,
    /// A call reads for itself. Without: it shares a read that another call has sent.
    pub no_shared_reads: bool,
    /// Bytes that are a miss give way to a lease in one step. Without: `UNLINK`, then acquire.
    pub displace_in_one_step: bool,
    /// They give way only if they are still the ones that were read. Without: the lease is set
    /// whatever the slot holds.
    pub displace_by_comparison: bool,
    /// A fill is accepted only while the slot holds its token. Without: a plain `SET`.
    pub conditional_fill: bool,
    /// Every lease has a token of its own. Without: one token for each process.
    pub fresh_tokens: bool,
    /// A body starts once its lease is acknowledged. Without: it may start once the lease is asked
    /// for.
    pub body_after_acknowledgement: bool,
    /// Whoever was not told that it has the lease stores nothing. Without: it fills all the same.
    pub no_lease_no_store: bool,
    /// A write takes the slot, then fills on condition. Without: write, then a plain `SET`.
    pub write_takes_the_slot: bool,
    /// A write whose fill is refused erases what is in the slot. Without: it leaves it there.
    pub refused_write_erases: bool,
    /// After a fill of unknown fate, only the own lease is deleted. Without: `UNLINK`.
    pub clean_up_by_comparison: bool,
    /// A refresh marks the header of the value itself, or the companion of the value's field.
    /// Without: a key beside it, which is left alone by everybody else.
    pub mark_in_the_value: bool,
    /// Whoever writes a field erases its companion. Without: only refreshes touch it.
    pub writes_erase_the_companion: bool,
    /// A refresh is stored only where there still is a value. Without: its mark suffices.
    pub refill_needs_a_value: bool,
    /// The followers of a cancelled leader go on. Without: they wait for it.
    pub hand_over: bool,
    /// Leases expire. Without: they stay.
    pub leases_expire: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            join_only_what_was_read: true,
            acceptance_is_no_licence: true,
            no_shared_reads: true,
            displace_in_one_step: true,
            displace_by_comparison: true,
            conditional_fill: true,
            fresh_tokens: true,
            body_after_acknowledgement: true,
            no_lease_no_store: true,
            write_takes_the_slot: true,
            refused_write_erases: true,
            clean_up_by_comparison: true,
            mark_in_the_value: true,
            writes_erase_the_companion: true,
            refill_needs_a_value: true,
            hand_over: true,
            leases_expire: true,
        }
    }
}

/// What an actor does, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Calls the function.
    Reader,
    /// Calls the function, is content with a value that is there, and refreshes it thereafter.
    Refresher,
    /// Changes the origin, then invalidates the entry.
    Invalidator,
    /// Changes the origin through the entry.
    Writer,
}

/// One actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spec {
    /// What it does.
    pub role: Role,
    /// The process it is part of: flights are shared within one.
    pub process: u8,
    /// Its version of the type: a value of another shape is a miss.
    pub shape: u8,
}

/// What is in the slot at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initial {
    /// Nothing.
    Empty,
    /// A current value of this shape.
    Value(u8),
}

/// How often each misfortune happens at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mishaps {
    /// A lease expires while its holder is at work, or a value does. (A lease that nobody holds
    /// expires in any case.)
    pub expiries: u8,
    /// A client stops waiting for a reply; a request that was not applied yet is applied later.
    pub timeouts: u8,
    /// A process vanishes, with all its calls.
    pub crashes: u8,
    /// A leader's future is dropped.
    pub cancels: u8,
}

/// A configuration of the model.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// The rules in force.
    pub rules: Rules,
    /// Who takes part. Actors that are alike stand side by side: they are interchangeable, which
    /// saves states.
    pub actors: Vec<Spec>,
    /// What is in the slot at first.
    pub initial: Initial,
    /// Whether the slot is a field of a hash. Then refresh marks are in a companion field, and
    /// invalidations leave that alone, as `HDEL` from a tool that knows nothing of it would.
    pub field: bool,
    /// What goes wrong.
    pub mishaps: Mishaps,
    /// Whether a call that waits for another process may stop waiting and compute, unstored.
    pub impatient: bool,
    /// Whether invalidators wait for all writers, to show what happens long after a write.
    pub invalidate_last: bool,
}

impl Protocol {
    /// All rules, an empty slot, and no mishaps.
    #[must_use]
    pub fn new(actors: impl IntoIterator<Item = Spec>) -> Self {
        Self {
            rules: Rules::default(),
            actors: actors.into_iter().collect(),
            initial: Initial::Empty,
            field: false,
            mishaps: Mishaps::default(),
            impatient: false,
            invalidate_last: false,
        }
    }
}

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// A call that started after an invalidation or a write through returned never returns a value
    /// computed from an older version.
    NoStaleReturn,
    /// Nor is such a value in the slot, where a later call would find it.
    NoStaleStored,
    /// A token has one leader, and one fill with it is accepted.
    OneFillPerToken,
    /// Unless a lease expired, a process died or somebody wrote, no two bodies run at once under
    /// leases, and no two refreshes.
    OneBodyAtOnce,
    /// If moreover nothing timed out, was cancelled or expired, and all agree on the type, the
    /// body runs once.
    OneRun,
    /// From every state, every call can still come to its end.
    Progress,
}

impl Property {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NoStaleReturn,
        Self::NoStaleStored,
        Self::OneFillPerToken,
        Self::OneBodyAtOnce,
        Self::OneRun,
        Self::Progress,
    ];
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoStaleReturn => "no call returns a value older than an invalidation that returned before it",
            Self::NoStaleStored => "no value older than an invalidation that returned is stored",
            Self::OneFillPerToken => "a token has one leader and one accepted fill",
            Self::OneBodyAtOnce => "no two bodies run at once",
            Self::OneRun => "the body runs once",
            Self::Progress => "every call can still come to its end",
        })
    }
}

/// What tells leases, marks and values apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub(crate) NonZeroU8);

impl Token {
    fn new(number: u8) -> Self {
        Self(NonZeroU8::new(number).expect("numbered from one"))
    }

    fn bit(self) -> u32 {
        1 << self.0.get()
    }
}

/// What a body made of what the origin held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Data {
    /// The origin's version that the body saw.
    pub version: u8,
    /// The version of the type.
    pub shape: u8,
}

/// A stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value {
    /// Its content.
    pub data: Data,
    /// Which value it is: the token of the fill that stored it, which is as unique as an id.
    pub id: Token,
    /// The refresh that has marked it.
    pub mark: Option<Mark>,
}

/// The mark of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark {
    /// Whose it is.
    pub token: Token,
    /// Whether its time is over, so that another refresh may replace it. Until then it counts.
    pub lapsed: bool,
}

/// What the slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// Nothing.
    Empty,
    /// A lease.
    Lease(Token),
    /// A value.
    Value(Value),
}

/// A command or a script: the server applies it at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    /// `GET`
    Read,
    /// `SET … NX GET PX`: the lease if the slot is empty, else what it holds.
    Acquire(Token),
    /// The lease if the slot holds just this value.
    Displace(Token, Value),
    /// The lease whatever the slot holds.
    Take(Token),
    /// `UNLINK`
    Unlink,
    /// The value if the slot holds the token.
    Fill(Token, Data),
    /// The value whatever the slot holds; the token is the new value's id. Only broken rules.
    Set(Token, Data),
    /// Delete if the slot holds the token.
    Release(Token),
    /// Mark the value with this id, unless another mark stands.
    Mark(Token, Token),
    /// The value if the slot holds one with this mark.
    Refill(Token, Data),
}

/// What the server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reply {
    /// What the slot held.
    Found(Slot),
    /// It was done.
    Yes,
    /// The condition did not hold.
    No,
}

/// Where an actor is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum At {
    /// Not begun.
    #[default]
    Idle,
    /// It has sent a request, which is not applied yet.
    Asked(Request),
    /// The request is applied, and the reply on its way.
    Answered(Request, Reply),
    /// It waits for somebody else's lease, and reads again now and then.
    Polling,
    /// It waits for a flight in its own process.
    Following,
    /// Its body, or its write, runs.
    Body,
    /// Returned.
    Done,
    /// Cancelled, or its process died.
    Gone,
}

/// An actor's own state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Actor {
    /// Where it is.
    pub at: At,
    /// The token it computes under or waits for.
    pub token: Option<Token>,
    /// The origin's version that its body saw or its write made.
    pub version: Option<u8>,
    /// The last version whose invalidation had returned when the call started.
    pub need: u8,
    /// Whether the call has returned and the refresh runs behind it.
    pub background: bool,
}

const ACTORS: usize = 6;
const LATE: usize = 4;

/// Everything that decides what happens next, and what the properties ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The version the origin holds.
    pub origin: u8,
    /// The slot.
    pub slot: Slot,
    /// The refresh mark, where it is not in the value itself.
    pub side: Option<Mark>,
    /// Requests nobody waits for any more, which will be applied some time.
    pub late: [Option<Request>; LATE],
    /// In the order of [`Protocol::actors`].
    pub actors: [Actor; ACTORS],
    /// What can still go wrong.
    left: [u8; 4],
    next_token: u8,
    /// The last version whose invalidation, or write through, has returned.
    pub acknowledged: u8,
    /// Something has happened after which two bodies may run at once.
    disturbed: bool,
    /// Bodies begun under leases, up to two.
    runs: u8,
    /// The tokens with which a fill was accepted, a bit for each.
    accepted: u32,
    stale_return: bool,
    accepted_twice: bool,
}

const EXPIRY: usize = 0;
const TIMEOUT: usize = 1;
const CRASH: usize = 2;
const CANCEL: usize = 3;

/// One thing that happens. Actors are numbered as in [`Protocol::actors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An actor begins.
    Start(usize),
    /// A call begins by joining another's flight, unread. Only broken rules.
    StartInFlight(usize, usize),
    /// A call begins by sharing another's read. Only broken rules.
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
    /// A call stops waiting for others.
    GiveUp(usize),
    /// An actor stops waiting for a reply.
    TimeOut(usize),
    /// A late request is applied.
    ApplyLate(usize),
    /// What is in the slot expires.
    Expire,
    /// The time of a refresh mark is over.
    Lapse,
    /// A process dies.
    Crash(u8),
    /// A leader is cancelled and nobody follows it.
    Cancel(usize),
    /// A leader is cancelled and a follower goes on with its lease.
    HandOver(usize, usize),
}

impl Model for Protocol {
    type State = State;
    type Step = Step;
    type Property = Property;

    const PROGRESS: Property = Property::Progress;

    fn start(&self) -> State {
        let Mishaps { expiries, timeouts, crashes, cancels } = self.mishaps;
        assert!(self.actors.len() <= ACTORS, "at most {ACTORS} actors");
        let (slot, next_token) = match self.initial {
            Initial::Empty => (Slot::Empty, 1),
            Initial::Value(shape) => {
                let id = Token::new(1);
                let data = Data { version: 0, shape };
                (Slot::Value(Value { data, id, mark: None }), 2)
            }
        };
        State {
            origin: 0,
            slot,
            side: None,
            late: [None; LATE],
            actors: [Actor::default(); ACTORS],
            left: [expiries, timeouts, crashes, cancels],
            next_token,
            acknowledged: 0,
            disturbed: false,
            runs: 0,
            accepted: 0,
            stale_return: false,
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
            Slot::Lease(token) => self.rules.leases_expire && (state.left[EXPIRY] > 0 || !self.is_held(state, token)),
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
        if state.left[CRASH] > 0 {
            let processes = self.actors.iter().map(|spec| spec.process).max().unwrap_or(0);
            // A process in which all calls wait for others leaves nothing behind when it dies.
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
            Property::NoStaleStored => {
                !matches!(state.slot, Slot::Value(value) if value.data.version < state.acknowledged)
            }
            Property::OneFillPerToken => {
                let leads = |t| self.each(state).filter(|(_, a)| a.is_at_work() && a.token == Some(t)).count();
                !state.accepted_twice && !matches!(state.slot, Slot::Lease(token) if leads(token) > 1)
            }
            Property::OneBodyAtOnce => {
                let at_once = |background| {
                    let runs = |(n, a): &(usize, &Actor)| {
                        a.at == At::Body && a.token.is_some() && a.background == background && self.calls(*n)
                    };
                    self.each(state).filter(runs).count()
                };
                // A value under refresh may be displaced, computed anew and refreshed again.
                let refreshes_count = self.has_one_shape();
                state.disturbed || (at_once(false) <= 1 && (at_once(true) <= 1 || !refreshes_count))
            }
            Property::OneRun => {
                let Mishaps { expiries, timeouts, crashes, cancels } = self.mishaps;
                let undisturbed = !state.disturbed && state.left == [expiries, timeouts, crashes, cancels];
                !undisturbed || !self.has_one_shape() || state.runs <= 1
            }
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

/// What can happen.
impl Protocol {
    fn steps_of(&self, state: &State, number: usize, actor: &Actor, steps: &mut Vec<Step>) {
        match actor.at {
            At::Idle => self.starts(state, number, steps),
            At::Asked(request) => {
                steps.push(Step::Apply(number));
                if !self.rules.body_after_acknowledgement && request.asks_for_lease() && actor.version.is_none() {
                    steps.push(if self.calls(number) { Step::Sample(number) } else { Step::Write(number) });
                }
            }
            At::Answered(..) => steps.push(Step::Receive(number)),
            At::Polling => {
                // To read the same lease again changes nothing.
                if !matches!(state.slot, Slot::Lease(token) if actor.token == Some(token)) {
                    steps.push(Step::Poll(number));
                }
                if self.impatient {
                    steps.push(Step::GiveUp(number));
                }
            }
            At::Body if !self.calls(number) => steps.push(Step::Write(number)),
            At::Body if actor.version.is_none() => steps.push(Step::Sample(number)),
            At::Body => steps.push(Step::End(number)),
            At::Following | At::Done | At::Gone => {}
        }
        if let At::Asked(request) | At::Answered(request, _) = actor.at
            && state.left[TIMEOUT] > 0
            && self.may_time_out(number, request)
        {
            steps.push(Step::TimeOut(number));
        }
        if state.left[CANCEL] > 0 && self.calls(number) && actor.token.is_some() && !actor.background {
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
            if joins_unread && actor.token.is_some_and(|token| self.flight(state, number, token) == Some(other)) {
                steps.push(Step::StartInFlight(number, other));
            }
            if !self.rules.no_shared_reads && matches!(actor.at, At::Answered(Request::Read, _)) {
                steps.push(Step::StartOnRead(number, other));
            }
        }
    }

    fn may_time_out(&self, number: usize, request: Request) -> bool {
        match (self.actors[number].role, request) {
            // A call whose read fails runs the body and stores nothing: what a call does that
            // gives up waiting.
            (_, Request::Read) => false,
            // The last word of a write through is repeated until it is heard.
            (Role::Writer, Request::Unlink) => false,
            _ => true,
        }
    }
}

/// What happens.
impl Protocol {
    fn take(&self, state: &mut State, step: Step) {
        match step {
            Step::Start(number) => {
                state.actors[number].need = state.acknowledged;
                state.disturbed |= !self.calls(number);
                match self.actors[number].role {
                    Role::Reader | Role::Refresher => self.ask(state, number, Request::Read),
                    Role::Writer if self.rules.write_takes_the_slot => {
                        let token = self.new_token(state, number);
                        self.ask(state, number, Request::Take(token));
                    }
                    Role::Writer | Role::Invalidator => state.actors[number].at = At::Body,
                }
            }
            Step::StartInFlight(number, leader) => {
                let token = state.actors[leader].token;
                state.actors[number] = Actor { at: At::Following, token, need: state.acknowledged, ..Actor::default() };
            }
            Step::StartOnRead(number, other) => {
                let at = state.actors[other].at;
                state.actors[number] = Actor { at, need: state.acknowledged, ..Actor::default() };
            }
            Step::Apply(number) => {
                if let At::Asked(request) = state.actors[number].at {
                    let reply = self.serve(state, request);
                    state.actors[number].at = At::Answered(request, reply);
                }
            }
            Step::Receive(number) => {
                if let At::Answered(request, reply) = state.actors[number].at {
                    self.receive(state, number, request, reply);
                }
            }
            Step::Sample(number) => state.actors[number].version = Some(state.origin),
            Step::End(number) => self.end_body(state, number),
            Step::Write(number) => self.write(state, number),
            Step::Poll(number) => {
                state.actors[number].token = None;
                self.ask(state, number, Request::Read);
            }
            Step::GiveUp(number) => {
                state.actors[number].token = None;
                self.begin_body(state, number);
            }
            Step::TimeOut(number) => self.time_out(state, number),
            Step::ApplyLate(which) => {
                if let Some(request) = state.late[which].take() {
                    self.serve(state, request);
                }
            }
            Step::Expire => {
                if let Slot::Lease(token) = state.slot {
                    if self.is_held(state, token) {
                        state.left[EXPIRY] -= 1;
                        state.disturbed = true;
                    }
                } else {
                    state.left[EXPIRY] -= 1;
                    state.disturbed |= state.mark().is_some();
                }
                state.slot = Slot::Empty;
            }
            Step::Lapse => {
                if state.mark().is_some_and(|mark| self.is_held(state, mark.token)) {
                    state.left[EXPIRY] -= 1;
                    state.disturbed = true;
                }
                if let Some(mark) = state.mark_mut() {
                    mark.lapsed = true;
                }
            }
            Step::Crash(process) => {
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
            Step::Cancel(number) => {
                state.left[CANCEL] -= 1;
                let Actor { at, token, .. } = state.actors[number];
                match at {
                    At::Body => state.add_late(Request::Release(token.expect("only leaders are cancelled"))),
                    // What is sent is sent. Whoever waits for the fill's fate reads for itself.
                    _ => {
                        state.leave_behind(at);
                        self.turn_away(state, number);
                    }
                }
                state.actors[number] = Actor { at: At::Gone, ..Actor::default() };
            }
            Step::HandOver(number, heir) => {
                state.left[CANCEL] -= 1;
                state.actors[number] = Actor { at: At::Gone, ..Actor::default() };
                state.actors[heir].at = At::Body;
            }
        }
    }

    /// What the server does with a request.
    fn serve(&self, state: &mut State, request: Request) -> Reply {
        match request {
            Request::Read => return Reply::Found(state.slot),
            Request::Acquire(token) => {
                if state.slot != Slot::Empty {
                    return Reply::Found(state.slot);
                }
                self.put(state, Slot::Lease(token));
            }
            Request::Displace(token, seen) => {
                // A mark that has lapsed since is the same bytes.
                let bytes = |value: Value| (value.id, value.mark.map(|mark| mark.token));
                match state.slot {
                    Slot::Value(value) if bytes(value) == bytes(seen) => self.put(state, Slot::Lease(token)),
                    _ => return Reply::No,
                }
            }
            Request::Take(token) => self.put(state, Slot::Lease(token)),
            Request::Unlink => state.slot = Slot::Empty,
            Request::Fill(token, data) => {
                if state.slot != Slot::Lease(token) {
                    return Reply::No;
                }
                state.accept(token);
                self.store(state, token, data);
            }
            Request::Set(token, data) => self.store(state, token, data),
            Request::Release(token) => {
                if state.slot != Slot::Lease(token) {
                    return Reply::No;
                }
                state.slot = Slot::Empty;
            }
            Request::Mark(token, id) => {
                let Slot::Value(value) = &mut state.slot else { return Reply::No };
                let apart = self.field || !self.rules.mark_in_the_value;
                let mark = if apart { &mut state.side } else { &mut value.mark };
                if value.id != id || mark.is_some_and(|mark| !mark.lapsed) {
                    return Reply::No;
                }
                *mark = Some(Mark { token, lapsed: false });
            }
            Request::Refill(token, data) => {
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

    fn store(&self, state: &mut State, id: Token, data: Data) {
        self.put(state, Slot::Value(Value { data, id, mark: None }));
    }

    fn put(&self, state: &mut State, slot: Slot) {
        state.slot = slot;
        if self.field && self.rules.writes_erase_the_companion {
            state.side = None;
        }
    }

    fn receive(&self, state: &mut State, number: usize, request: Request, reply: Reply) {
        let role = self.actors[number].role;
        match (role, request, reply) {
            (Role::Invalidator, ..) | (Role::Writer, Request::Unlink | Request::Set(..), _) => {
                state.acknowledge(number);
            }
            (Role::Writer, Request::Fill(..), reply) => {
                if reply == Reply::Yes || !self.rules.refused_write_erases {
                    state.acknowledge(number);
                } else {
                    self.ask(state, number, Request::Unlink);
                }
            }
            // The write began too early and is done.
            (Role::Writer, ..) if state.actors[number].version.is_some() => self.fill(state, number),
            (_, Request::Acquire(_) | Request::Read, Reply::Found(slot)) => self.look(state, number, slot),
            (_, Request::Acquire(_) | Request::Displace(..) | Request::Take(_), Reply::Yes) => {
                self.begin_body(state, number);
            }
            (_, Request::Displace(..), _) => {
                self.turn_away(state, number);
                self.read_again(state, number);
            }
            // The first half of a displacement without comparison.
            (_, Request::Unlink, _) if state.actors[number].version.is_none() => {
                let token = self.new_token(state, number);
                self.ask(state, number, Request::Acquire(token));
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

    /// What a call does about what it has read.
    fn look(&self, state: &mut State, number: usize, slot: Slot) {
        let Spec { role, shape, .. } = self.actors[number];
        let need = state.actors[number].need;
        state.actors[number] = Actor { need, ..Actor::default() };
        match slot {
            Slot::Empty => {
                let token = self.new_token(state, number);
                self.ask(state, number, Request::Acquire(token));
            }
            Slot::Lease(token) => {
                let leader = self.flight(state, number, token);
                state.actors[number].token = Some(token);
                state.actors[number].at = At::Polling;
                if let Some(leader) = leader {
                    let result = state.actors[leader].version;
                    let published = self.rules.acceptance_is_no_licence && state.actors[leader].at != At::Body;
                    match result.filter(|_| published) {
                        Some(version) => {
                            state.actors[number].version = Some(version);
                            state.finish(number);
                        }
                        None => state.actors[number].at = At::Following,
                    }
                }
            }
            Slot::Value(value) if value.data.shape != shape => {
                if !self.rules.displace_in_one_step {
                    self.ask(state, number, Request::Unlink);
                    return;
                }
                let token = self.new_token(state, number);
                let compared = self.rules.displace_by_comparison;
                let request = if compared { Request::Displace(token, value) } else { Request::Take(token) };
                self.ask(state, number, request);
            }
            Slot::Value(value) => {
                state.actors[number].version = Some(value.data.version);
                // One that is apart is met when the mark is set.
                let busy = value.mark.is_some_and(|mark| !mark.lapsed);
                state.finish(number);
                if role == Role::Refresher && !busy {
                    state.actors[number].background = true;
                    let token = self.new_token(state, number);
                    self.ask(state, number, Request::Mark(token, value.id));
                }
            }
        }
    }

    fn begin_body(&self, state: &mut State, number: usize) {
        state.actors[number].at = At::Body;
        if self.calls(number) && state.actors[number].token.is_some() {
            state.runs = (state.runs + 1).min(2);
        }
    }

    fn end_body(&self, state: &mut State, number: usize) {
        if state.actors[number].token.is_none() {
            state.finish(number);
            return;
        }
        if self.rules.acceptance_is_no_licence {
            self.publish(state, number);
        }
        self.fill(state, number);
    }

    fn fill(&self, state: &mut State, number: usize) {
        let Actor { token, version, background, .. } = state.actors[number];
        let (token, version) = token.zip(version).expect("a result, and the right to store it");
        let data = Data { version, shape: self.actors[number].shape };
        let request = if !self.rules.conditional_fill {
            Request::Set(token, data)
        } else if background {
            Request::Refill(token, data)
        } else {
            Request::Fill(token, data)
        };
        self.ask(state, number, request);
    }

    fn write(&self, state: &mut State, number: usize) {
        let actor = &mut state.actors[number];
        if self.actors[number].role == Role::Invalidator && actor.version.is_some() {
            // What others have written since counts too: `invalidate` is called only now.
            actor.version = Some(state.origin);
            self.ask(state, number, Request::Unlink);
            return;
        }
        state.origin += 1;
        actor.version = Some(state.origin);
        match (self.actors[number].role, actor.at) {
            (Role::Writer, At::Body) if !self.rules.write_takes_the_slot => {
                let token = self.new_token(state, number);
                let data = Data { version: state.origin, shape: self.actors[number].shape };
                self.ask(state, number, Request::Set(token, data));
            }
            (Role::Writer, At::Body) if actor.token.is_some() => self.fill(state, number),
            (Role::Writer, At::Body) => self.ask(state, number, Request::Unlink),
            _ => {}
        }
    }

    fn time_out(&self, state: &mut State, number: usize) {
        state.left[TIMEOUT] -= 1;
        let at = state.actors[number].at;
        let (At::Asked(request) | At::Answered(request, _)) = at else { return };
        state.leave_behind(at);
        let role = self.actors[number].role;
        match request {
            Request::Acquire(_) | Request::Displace(..) | Request::Take(_) => {
                if self.rules.no_lease_no_store || !self.calls(number) {
                    self.turn_away(state, number);
                    state.actors[number].token = None;
                }
                self.begin_body(state, number);
                if role == Role::Writer && state.actors[number].version.is_some() {
                    self.ask(state, number, Request::Unlink);
                }
            }
            Request::Fill(..) | Request::Set(..) if role == Role::Writer => {
                self.ask(state, number, Request::Unlink);
            }
            Request::Fill(token, _) => {
                self.turn_away(state, number);
                let compared = self.rules.clean_up_by_comparison;
                self.ask(state, number, if compared { Request::Release(token) } else { Request::Unlink });
            }
            // The invalidator is told that it failed, and has no promise.
            Request::Unlink if role == Role::Invalidator => state.actors[number] = Actor::done(),
            Request::Unlink if state.actors[number].version.is_none() => self.begin_body(state, number),
            _ => state.finish(number),
        }
    }

    /// Gives a leader's result to those who follow it.
    fn publish(&self, state: &mut State, leader: usize) {
        let version = state.actors[leader].version;
        for follower in self.followers(state, leader).collect::<Vec<_>>() {
            state.actors[follower].version = version;
            state.finish(follower);
        }
    }

    /// Sends those who follow a flight that has come to nothing back to the server.
    fn turn_away(&self, state: &mut State, leader: usize) {
        for follower in self.followers(state, leader).collect::<Vec<_>>() {
            self.read_again(state, follower);
        }
    }

    fn read_again(&self, state: &mut State, number: usize) {
        let need = state.actors[number].need;
        state.actors[number] = Actor { need, ..Actor::default() };
        self.ask(state, number, Request::Read);
    }

    fn ask(&self, state: &mut State, number: usize, request: Request) {
        let actor = &mut state.actors[number];
        actor.at = At::Asked(request);
        if let Request::Acquire(token) | Request::Displace(token, _) | Request::Take(token) | Request::Mark(token, _) =
            request
        {
            actor.token = Some(token);
        }
    }

    fn new_token(&self, state: &mut State, number: usize) -> Token {
        if !self.rules.fresh_tokens {
            return Token::new(self.actors[number].process + 2);
        }
        state.next_token += 1;
        Token::new(state.next_token - 1)
    }
}

/// Questions about a state.
impl Protocol {
    fn each<'a>(&self, state: &'a State) -> impl Iterator<Item = (usize, &'a Actor)> + use<'a> {
        state.actors.iter().take(self.actors.len()).enumerate()
    }

    fn calls(&self, number: usize) -> bool {
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

    /// Who leads the flight with this token in the process of an actor.
    fn flight(&self, state: &State, number: usize, token: Token) -> Option<usize> {
        let leads = |(other, actor): &(usize, &Actor)| {
            *other != number
                && self.actors[*other].process == self.actors[number].process
                && self.calls(*other)
                && !actor.background
                && actor.token == Some(token)
                && actor.is_at_work()
        };
        self.each(state).find(leads).map(|(other, _)| other)
    }

    fn followers(&self, state: &State, leader: usize) -> impl Iterator<Item = usize> {
        let token = state.actors[leader].token;
        let process = self.actors[leader].process;
        self.each(state)
            .filter(move |(n, a)| {
                a.at == At::Following && token.is_some() && a.token == token && self.actors[*n].process == process
            })
            .map(|(n, _)| n)
    }

    /// Whether somebody is at work under a token.
    fn is_held(&self, state: &State, token: Token) -> bool {
        self.each(state).any(|(_, actor)| actor.token == Some(token) && actor.is_at_work())
    }
}

impl Actor {
    fn done() -> Self {
        Self { at: At::Done, ..Self::default() }
    }

    /// Whether its token, if it has one, is its own.
    fn is_at_work(&self) -> bool {
        matches!(self.at, At::Asked(_) | At::Answered(..) | At::Body)
    }
}

impl Request {
    fn asks_for_lease(self) -> bool {
        matches!(self, Self::Acquire(_) | Self::Displace(..) | Self::Take(_) | Self::Mark(..))
    }
}

impl State {
    fn mark(mut self) -> Option<Mark> {
        self.mark_mut().copied()
    }

    fn mark_mut(&mut self) -> Option<&mut Mark> {
        match &mut self.slot {
            Slot::Value(Value { mark: Some(mark), .. }) => Some(mark),
            _ => self.side.as_mut(),
        }
    }

    fn accept(&mut self, token: Token) {
        self.accepted_twice |= self.accepted & token.bit() != 0;
        self.accepted |= token.bit();
    }

    /// An invalidation, or a write through, returns.
    fn acknowledge(&mut self, number: usize) {
        self.acknowledged = self.acknowledged.max(self.actors[number].version.unwrap_or(0));
        self.actors[number] = Actor::done();
    }

    /// A call returns, unless it has before.
    fn finish(&mut self, number: usize) {
        let Actor { version, need, background, .. } = self.actors[number];
        self.stale_return |= !background && version.is_some_and(|version| version < need);
        self.actors[number] = Actor::done();
    }

    /// Nobody waits any more for what is under way.
    fn leave_behind(&mut self, at: At) {
        if let At::Asked(request) = at
            && request != Request::Read
        {
            self.add_late(request);
        }
    }

    fn add_late(&mut self, request: Request) {
        let room = self.late.iter_mut().find(|late| late.is_none());
        *room.expect("room for as many late requests as mishaps make") = Some(request);
    }

    /// Numbers the tokens by where they occur.
    fn rename_tokens(&mut self) {
        let mut names = [0; 32];
        let mut next = 1;
        let mut accepted = 0;
        let before = self.accepted;
        self.for_each_token(&mut |token| {
            let name = &mut names[usize::from(token.0.get())];
            if *name == 0 {
                *name = next;
                next += 1;
            }
            let renamed = Token::new(*name);
            if before & token.bit() != 0 {
                accepted |= renamed.bit();
            }
            *token = renamed;
        });
        self.accepted = accepted;
        self.next_token = next;
    }

    fn for_each_token(&mut self, visit: &mut impl FnMut(&mut Token)) {
        self.slot.for_each_token(visit);
        self.side.iter_mut().for_each(|mark| visit(&mut mark.token));
        for actor in &mut self.actors {
            actor.token.iter_mut().for_each(&mut *visit);
            match &mut actor.at {
                At::Asked(request) => request.for_each_token(visit),
                At::Answered(request, reply) => {
                    request.for_each_token(visit);
                    if let Reply::Found(slot) = reply {
                        slot.for_each_token(visit);
                    }
                }
                _ => {}
            }
        }
        self.late.iter_mut().flatten().for_each(|late| late.for_each_token(visit));
    }
}

impl Slot {
    fn for_each_token(&mut self, visit: &mut impl FnMut(&mut Token)) {
        match self {
            Self::Empty => {}
            Self::Lease(token) => visit(token),
            Self::Value(value) => value.for_each_token(visit),
        }
    }
}

impl Value {
    fn for_each_token(&mut self, visit: &mut impl FnMut(&mut Token)) {
        visit(&mut self.id);
        self.mark.iter_mut().for_each(|mark| visit(&mut mark.token));
    }
}

impl Request {
    fn for_each_token(&mut self, visit: &mut impl FnMut(&mut Token)) {
        match self {
            Self::Read | Self::Unlink => {}
            Self::Acquire(token)
            | Self::Take(token)
            | Self::Fill(token, _)
            | Self::Set(token, _)
            | Self::Release(token)
            | Self::Refill(token, _) => visit(token),
            Self::Displace(token, value) => {
                visit(token);
                value.for_each_token(visit);
            }
            Self::Mark(token, id) => {
                visit(token);
                visit(id);
            }
        }
    }
}
