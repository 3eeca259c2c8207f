//! Calls for many ids: a model with two slots, for the rules that a batch adds to the protocol.
//!
//! A call reads the slots of its ids, takes the empty ones, runs one body for all ids that it owns,
//! and stores the results. It does each of these in the order of its ids, and other actors may act in
//! between. Then it waits for the ids that other calls have leased. A call for one id does the same.
//! The contents of a slot, the loss of leases, and the sharing of flights are those of
//! [`protocol`](crate::protocol). Parts that `protocol` checks are left out here: timeouts, refreshes,
//! writes, tags.

mod steps;

use self::steps::slot;

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
