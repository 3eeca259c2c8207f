//! Calls for many ids: a model with two slots, for the rules that a batch adds to the protocol.
//!
//! A call reads the slots of its ids, takes the empty ones, runs one body for all ids that it owns,
//! and stores the results. It does each of these in the order of its ids, and other actors may act in
//! between. Then it waits for the ids that other calls have leased. A call for one id does the same.
//! The contents of a slot, the loss of leases, and the sharing of flights are those of
//! [`protocol`](crate::protocol). Parts that `protocol` checks are left out here: timeouts, refreshes,
//! writes, tags.

use crate::check::Model;
use crate::protocol::Property;

/// The number of slots.
const IDS: usize = 2;
const ACTORS: usize = 4;

/// The rules of batches. Each rule can be switched off alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A call computes and stores what it owns before it waits for others. Without: it waits first,
    /// and then runs its body.
    pub fill_before_waiting: bool,
    /// Each value is stored if its own lease stands. Without: all are if one does.
    pub each_by_its_lease: bool,
    /// A call that is cancelled gives back all its leases, and leases expire. Without: it gives back
    /// the first, and the others stay.
    pub all_are_given_back: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { fill_before_waiting: true, each_by_its_lease: true, all_are_given_back: true }
    }
}

/// The role of an actor, which acts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Calls the function for these ids, in this order.
    Caller(&'static [usize]),
    /// Changes the origin, then invalidates the entry of an id.
    Invalidator(usize),
}

/// An actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its role.
    pub role: Role,
    /// Its process.
    pub process: u8,
}

/// The limit on the number of each kind of mishap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mishaps {
    /// A lease expires while its holder is at work, or a value does.
    pub expiries: u8,
    /// A process dies.
    pub crashes: u8,
    /// A call is cancelled, once.
    pub cancels: u8,
}

/// A configuration of the model.
#[derive(Clone, Debug)]
pub struct Batches {
    /// The rules in force.
    pub rules: Rules,
    /// The actors.
    pub actors: Vec<Spec>,
    /// The mishaps.
    pub mishaps: Mishaps,
}

impl Batches {
    /// All rules, and no mishaps.
    #[must_use]
    pub fn new(actors: impl IntoIterator<Item = Spec>) -> Self {
        Self { rules: Rules::default(), actors: actors.into_iter().collect(), mishaps: Mishaps::default() }
    }
}

/// The content of a slot. A call has at most one lease of an id, so its number identifies the lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Nothing.
    #[default]
    Empty,
    /// The lease of this actor.
    Lease(u8),
    /// A value that was computed from this version.
    Value(u8),
}

/// The state of an id in a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Id {
    /// Nothing is known yet.
    #[default]
    Open,
    /// The server's reply, which is not received yet.
    Told(Slot),
    /// The call leads it.
    Owned,
    /// This other actor leads it.
    Awaited(u8),
    /// There is a value of this version.
    Found(u8),
}

/// The phase of an actor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum At {
    /// It has not begun.
    #[default]
    Idle,
    /// It reads the slots of its open ids.
    Reading,
    /// It takes the slots that it has read as empty.
    Taking,
    /// Its body runs.
    Body,
    /// It stores the values of the ids that it owns; this number of fills was applied.
    Filling(usize),
    /// It waits.
    Waiting,
    /// It has sent an invalidation.
    Unlinking,
    /// The invalidation is applied.
    Unlinked,
    /// It has returned.
    Done,
    /// It was cancelled, or its process died.
    Gone,
}

/// An actor's own state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Actor {
    /// Its phase.
    pub at: At,
    /// Its knowledge of each id.
    pub ids: [Id; IDS],
    /// The version that its body saw or its write made.
    pub version: Option<u8>,
    /// The invalidated version of each id when it began.
    need: [u8; IDS],
}

/// A state: all data that determines the next steps, and that the properties inspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The version the origin holds.
    pub origin: u8,
    /// The slots.
    pub slots: [Slot; IDS],
    /// The states of the actors, in the order of [`Batches::actors`].
    pub actors: [Actor; ACTORS],
    /// The leases that are being given back, by their owners.
    late: [Option<u8>; IDS],
    acknowledged: [u8; IDS],
    left: [u8; 3],
    disturbed: bool,
    /// Bodies begun for each id, up to two.
    runs: [u8; IDS],
    stale_return: bool,
}

const EXPIRY: usize = 0;
const CRASH: usize = 1;
const CANCEL: usize = 2;

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An actor begins.
    Start(usize),
    /// The server applies the next command of an actor.
    Apply(usize),
    /// An actor receives all its replies.
    Receive(usize),
    /// A body reads the origin.
    Sample(usize),
    /// A body ends.
    End(usize),
    /// The wait of a call is over, and it reads again.
    Again(usize),
    /// The content of a slot expires.
    Expire(usize),
    /// A lease is given back.
    Release(usize),
    /// A call is cancelled.
    Cancel(usize),
    /// A process dies.
    Crash(u8),
}

impl Model for Batches {
    type State = State;
    type Step = Step;
    type Property = Property;

    const PROGRESS: Property = Property::Progress;

    fn start(&self) -> State {
        let Mishaps { expiries, crashes, cancels } = self.mishaps;
        assert!(self.actors.len() <= ACTORS && cancels <= 1, "at most {ACTORS} actors, and one that is cancelled");
        State {
            origin: 0,
            slots: [Slot::Empty; IDS],
            actors: [Actor::default(); ACTORS],
            late: [None; IDS],
            acknowledged: [0; IDS],
            left: [expiries, crashes, cancels],
            disturbed: false,
            runs: [0; IDS],
            stale_return: false,
        }
    }

    fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        for (number, actor) in self.each(state) {
            match actor.at {
                At::Idle => steps.push(Step::Start(number)),
                At::Reading | At::Taking | At::Filling(_) => {
                    let is_applied = self.command(actor, number).is_none();
                    steps.push(if is_applied { Step::Receive(number) } else { Step::Apply(number) });
                }
                At::Unlinking => steps.push(Step::Apply(number)),
                At::Unlinked => steps.push(Step::Receive(number)),
                At::Body if actor.version.is_none() => steps.push(Step::Sample(number)),
                At::Body => steps.push(Step::End(number)),
                At::Waiting if self.is_over(state, number) => steps.push(Step::Again(number)),
                At::Waiting | At::Done | At::Gone => {}
            }
            if state.left[CANCEL] > 0 && self.calls(number) && actor.leads_any() {
                steps.push(Step::Cancel(number));
            }
        }
        for id in 0..IDS {
            let may_expire = match state.slots[id] {
                Slot::Empty => false,
                Slot::Lease(owner) if state.actors[usize::from(owner)].ids[id] != Id::Owned => {
                    self.rules.all_are_given_back
                }
                _ => state.left[EXPIRY] > 0,
            };
            if may_expire {
                steps.push(Step::Expire(id));
            }
            if state.late[id].is_some() {
                steps.push(Step::Release(id));
            }
        }
        if state.left[CRASH] > 0 {
            let processes = self.actors.iter().map(|spec| spec.process).max().unwrap_or(0);
            let leads = |p| self.each(state).any(|(n, a)| self.actors[n].process == p && a.leads_any());
            steps.extend((0..=processes).filter(|&p| leads(p)).map(Step::Crash));
        }
    }

    fn next(&self, before: &State, step: Step) -> State {
        let mut state = *before;
        self.take(&mut state, step);
        state
    }

    fn canonical(&self, state: State) -> State {
        state
    }

    fn holds(&self, property: Property, state: &State) -> bool {
        let all = |holds: &dyn Fn(usize) -> bool| (0..IDS).all(holds);
        match property {
            Property::NoStaleReturn => !state.stale_return,
            Property::NoStaleStored => {
                all(&|id| !matches!(state.slots[id], Slot::Value(version) if version < state.acknowledged[id]))
            }
            Property::OneBodyAtOnce => {
                let runs = |id: usize| move |(_, a): &(usize, &Actor)| a.at == At::Body && a.ids[id] == Id::Owned;
                state.disturbed || all(&|id| self.each(state).filter(runs(id)).count() <= 1)
            }
            Property::OneRun => {
                let undisturbed = !state.disturbed && state.left == self.start().left;
                !undisturbed || all(&|id| state.runs[id] <= 1)
            }
            Property::OneFillPerToken | Property::OneForItsOthers | Property::Progress => true,
        }
    }

    fn finished(&self, state: &State) -> bool {
        self.each(state).all(|(_, actor)| matches!(actor.at, At::Done | At::Gone))
    }

    fn describe(&self, before: &State, step: Step, after: &State) -> String {
        let what = self.words(before, step, after);
        if (before.origin, before.slots) == (after.origin, after.slots) {
            return what;
        }
        let [first, second] = after.slots.map(slot);
        format!("{what}  [origin v{}; 1: {first}; 2: {second}]", after.origin)
    }
}

/// The effects of the steps.
impl Batches {
    fn take(&self, state: &mut State, step: Step) {
        match step {
            Step::Start(number) => match self.actors[number].role {
                Role::Caller(_) => {
                    state.actors[number].need = state.acknowledged;
                    state.actors[number].at = At::Reading;
                }
                Role::Invalidator(_) => {
                    state.disturbed = true;
                    state.origin += 1;
                    state.actors[number] = Actor { at: At::Unlinking, version: Some(state.origin), ..Actor::default() };
                }
            },
            Step::Apply(number) => self.apply(state, number),
            Step::Receive(number) => self.receive(state, number),
            Step::Sample(number) => state.actors[number].version = Some(state.origin),
            Step::End(number) => {
                state.actors[number].at = At::Filling(0);
                self.publish(state, number);
            }
            Step::Again(number) => {
                for id in &mut state.actors[number].ids {
                    if matches!(id, Id::Awaited(_)) {
                        *id = Id::Open;
                    }
                }
                state.actors[number].at = At::Reading;
            }
            Step::Expire(id) => {
                let is_held = match state.slots[id] {
                    Slot::Lease(owner) => state.actors[usize::from(owner)].ids[id] == Id::Owned,
                    _ => true,
                };
                state.left[EXPIRY] -= u8::from(is_held);
                state.disturbed |= is_held;
                state.slots[id] = Slot::Empty;
            }
            Step::Release(id) => {
                let owner = state.late[id].take();
                if owner.is_some_and(|owner| state.slots[id] == Slot::Lease(owner)) {
                    state.slots[id] = Slot::Empty;
                }
            }
            Step::Cancel(number) => self.cancel(state, number),
            Step::Crash(process) => self.crash(state, process),
        }
    }

    fn cancel(&self, state: &mut State, number: usize) {
        state.left[CANCEL] -= 1;
        let owned = (0..IDS).filter(|&id| state.actors[number].ids[id] == Id::Owned);
        for id in owned.take(if self.rules.all_are_given_back { IDS } else { 1 }) {
            state.late[id] = Some(number as u8);
        }
        state.actors[number] = Actor { at: At::Gone, ..Actor::default() };
    }

    fn crash(&self, state: &mut State, process: u8) {
        state.left[CRASH] -= 1;
        state.disturbed = true;
        for (number, spec) in self.actors.iter().enumerate() {
            if spec.process == process && !matches!(state.actors[number].at, At::Idle | At::Done | At::Gone) {
                state.actors[number] = Actor { at: At::Gone, ..Actor::default() };
            }
        }
    }

    fn apply(&self, state: &mut State, number: usize) {
        let actor = state.actors[number];
        let me = number as u8;
        match (actor.at, self.command(&actor, number)) {
            (At::Taking, Some(id)) if state.slots[id] == Slot::Empty => {
                state.slots[id] = Slot::Lease(me);
                state.actors[number].ids[id] = Id::Owned;
            }
            (At::Reading | At::Taking, Some(id)) => state.actors[number].ids[id] = Id::Told(state.slots[id]),
            (At::Filling(done), Some(id)) => {
                let stands = |id: usize| state.slots[id] == Slot::Lease(me);
                if stands(id) || (!self.rules.each_by_its_lease && (0..IDS).any(stands)) {
                    state.slots[id] = Slot::Value(actor.version.expect("a body has ended"));
                }
                state.actors[number].at = At::Filling(done + 1);
            }
            _ => {
                let Role::Invalidator(id) = self.actors[number].role else { return };
                state.slots[id] = Slot::Empty;
                state.actors[number].at = At::Unlinked;
            }
        }
    }

    fn receive(&self, state: &mut State, number: usize) {
        let Role::Caller(ids) = self.actors[number].role else {
            let Role::Invalidator(id) = self.actors[number].role else { return };
            let version = state.actors[number].version.unwrap_or(0);
            state.acknowledged[id] = state.acknowledged[id].max(version);
            state.actors[number] = Actor { at: At::Done, ..Actor::default() };
            return;
        };
        let at = state.actors[number].at;
        if matches!(at, At::Filling(_)) {
            let version = state.actors[number].version.expect("a body has ended");
            for &id in ids {
                if state.actors[number].ids[id] == Id::Owned {
                    self.find(state, number, id, version);
                }
            }
            state.actors[number].version = None;
            self.wait_or_return(state, number);
            return;
        }
        for &id in ids {
            let Id::Told(slot) = state.actors[number].ids[id] else { continue };
            match slot {
                Slot::Empty => state.actors[number].ids[id] = Id::Open,
                Slot::Value(version) => self.find(state, number, id, version),
                Slot::Lease(owner) => self.join(state, number, id, owner),
            }
        }
        let known = state.actors[number].ids;
        let has_open = ids.iter().any(|&id| known[id] == Id::Open);
        let waits = known.iter().any(|id| matches!(id, Id::Awaited(_)));
        if has_open && matches!(at, At::Reading) {
            state.actors[number].at = At::Taking;
        } else if state.actors[number].leads_any() && (self.rules.fill_before_waiting || !waits) {
            state.actors[number].at = At::Body;
            for (runs, known) in state.runs.iter_mut().zip(known) {
                *runs = (*runs + u8::from(known == Id::Owned)).min(2);
            }
        } else {
            self.wait_or_return(state, number);
        }
    }

    /// A call saw the lease of another.
    fn join(&self, state: &mut State, number: usize, id: usize, owner: u8) {
        let leader = state.actors[usize::from(owner)];
        let is_here = self.actors[usize::from(owner)].process == self.actors[number].process;
        match leader.version {
            // The value is stored now, and the followers already have it.
            Some(version) if is_here && matches!(leader.at, At::Filling(_)) && leader.ids[id] == Id::Owned => {
                self.find(state, number, id, version);
            }
            _ => state.actors[number].ids[id] = Id::Awaited(owner),
        }
    }

    fn find(&self, state: &mut State, number: usize, id: usize, version: u8) {
        state.stale_return |= version < state.actors[number].need[id];
        state.actors[number].ids[id] = Id::Found(version);
    }

    fn wait_or_return(&self, state: &mut State, number: usize) {
        let Role::Caller(ids) = self.actors[number].role else { return };
        let is_found = ids.iter().all(|&id| matches!(state.actors[number].ids[id], Id::Found(_)));
        if is_found {
            state.actors[number] = Actor { at: At::Done, ..Actor::default() };
        } else {
            state.actors[number].at = At::Waiting;
        }
    }

    /// Gives a result to the calls of the process that wait for it now or later.
    fn publish(&self, state: &mut State, leader: usize) {
        let Actor { ids, version, .. } = state.actors[leader];
        let version = version.expect("a body has ended");
        for number in (0..self.actors.len()).filter(|&n| self.actors[n].process == self.actors[leader].process) {
            for id in (0..IDS).filter(|&id| ids[id] == Id::Owned) {
                if state.actors[number].ids[id] == Id::Awaited(leader as u8) {
                    self.find(state, number, id, version);
                }
            }
            if state.actors[number].at == At::Waiting {
                self.wait_or_return(state, number);
            }
        }
    }
}

/// Questions about a state.
impl Batches {
    fn each<'a>(&self, state: &'a State) -> impl Iterator<Item = (usize, &'a Actor)> + use<'a> {
        state.actors.iter().take(self.actors.len()).enumerate()
    }

    fn calls(&self, number: usize) -> bool {
        matches!(self.actors[number].role, Role::Caller(_))
    }

    /// The id that the next command of a call is for.
    fn command(&self, actor: &Actor, number: usize) -> Option<usize> {
        let Role::Caller(ids) = self.actors[number].role else { return None };
        let mut ids = ids.iter().copied();
        match actor.at {
            At::Filling(done) => ids.filter(|&id| actor.ids[id] == Id::Owned).nth(done),
            _ => ids.find(|&id| actor.ids[id] == Id::Open),
        }
    }

    /// Tells whether no other call still computes the ids that a call waits for.
    fn is_over(&self, state: &State, number: usize) -> bool {
        (0..IDS).all(|id| {
            let Id::Awaited(owner) = state.actors[number].ids[id] else { return true };
            let is_here = self.actors[usize::from(owner)].process == self.actors[number].process;
            let runs = is_here && state.actors[usize::from(owner)].ids[id] == Id::Owned;
            !runs && state.slots[id] != Slot::Lease(owner)
        })
    }

    fn words(&self, before: &State, step: Step, after: &State) -> String {
        let who = |number: usize| format!("{} {}", if self.calls(number) { "call" } else { "invalidator" }, number + 1);
        let then = |number: usize| match after.actors[number].at {
            At::Reading => "it reads".to_owned(),
            At::Taking => "it takes what is empty".to_owned(),
            At::Body => "its body starts".to_owned(),
            At::Filling(_) => "it stores what it owns".to_owned(),
            At::Waiting => "it waits".to_owned(),
            At::Done if self.calls(number) => format!("it returns {}", before.actors[number].result()),
            At::Done => format!("it returns Ok for v{}", before.actors[number].version.unwrap_or(0)),
            At::Idle | At::Unlinking | At::Unlinked | At::Gone => "it goes on".to_owned(),
        };
        match step {
            Step::Start(number) => match self.actors[number].role {
                Role::Caller(ids) => {
                    let ids: Vec<String> = ids.iter().map(|id| (id + 1).to_string()).collect();
                    format!(
                        "{} (process {}) calls for {}",
                        who(number),
                        self.actors[number].process + 1,
                        ids.join(", ")
                    )
                }
                Role::Invalidator(id) => {
                    format!("{} writes v{} to the origin; it sends UNLINK of {}", who(number), after.origin, id + 1)
                }
            },
            Step::Apply(number) => {
                let actor = &before.actors[number];
                let id = self.command(actor, number).map_or_else(String::new, |id| (id + 1).to_string());
                match actor.at {
                    At::Reading => format!("the server reads {id} for {}", who(number)),
                    At::Taking => format!("the server applies SET NX GET of {id} of {}", who(number)),
                    At::Filling(_) => format!("the server applies fill of {id} of {}", who(number)),
                    _ => format!("the server applies UNLINK of {}", who(number)),
                }
            }
            Step::Receive(number) => format!("{} is told; {}", who(number), then(number)),
            Step::Sample(number) => format!("the body of {} reads v{} from the origin", who(number), before.origin),
            Step::End(number) => format!("the body of {} ends; {}", who(number), then(number)),
            Step::Again(number) => format!("{} reads again", who(number)),
            Step::Expire(id) => format!("{} of {} expires", slot(before.slots[id]), id + 1),
            Step::Release(id) => format!("the server applies release of {}", id + 1),
            Step::Cancel(number) => format!("{} is cancelled", who(number)),
            Step::Crash(process) => format!("process {} dies", process + 1),
        }
    }
}

impl Actor {
    fn leads_any(&self) -> bool {
        self.ids.contains(&Id::Owned)
    }

    /// The result of a call that receives the reply to its last command.
    fn result(&self) -> String {
        let version = |id: Id| match id {
            Id::Found(version) | Id::Told(Slot::Value(version)) => Some(version),
            Id::Owned => self.version,
            Id::Open | Id::Told(_) | Id::Awaited(_) => None,
        };
        let versions = (1..).zip(self.ids).filter_map(|(id, known)| Some(format!("v{} of {id}", version(known)?)));
        versions.collect::<Vec<_>>().join(" and ")
    }
}

fn slot(slot: Slot) -> String {
    match slot {
        Slot::Empty => "nothing".to_owned(),
        Slot::Lease(owner) => format!("lease of call {}", owner + 1),
        Slot::Value(version) => format!("value v{version}"),
    }
}
