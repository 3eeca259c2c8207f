//! The steps of the actors.

use super::*;

/// The effects of the steps.
impl Batches {
    pub(super) fn take(&self, state: &mut State, step: Step) {
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
    pub(super) fn each<'a>(&self, state: &'a State) -> impl Iterator<Item = (usize, &'a Actor)> + use<'a> {
        state.actors.iter().take(self.actors.len()).enumerate()
    }

    pub(super) fn calls(&self, number: usize) -> bool {
        matches!(self.actors[number].role, Role::Caller(_))
    }

    /// The id that the next command of a call is for.
    pub(super) fn command(&self, actor: &Actor, number: usize) -> Option<usize> {
        let Role::Caller(ids) = self.actors[number].role else { return None };
        let mut ids = ids.iter().copied();
        match actor.at {
            At::Filling(done) => ids.filter(|&id| actor.ids[id] == Id::Owned).nth(done),
            _ => ids.find(|&id| actor.ids[id] == Id::Open),
        }
    }

    /// Tells whether no other call still computes the ids that a call waits for.
    pub(super) fn is_over(&self, state: &State, number: usize) -> bool {
        (0..IDS).all(|id| {
            let Id::Awaited(owner) = state.actors[number].ids[id] else { return true };
            let is_here = self.actors[usize::from(owner)].process == self.actors[number].process;
            let runs = is_here && state.actors[usize::from(owner)].ids[id] == Id::Owned;
            !runs && state.slots[id] != Slot::Lease(owner)
        })
    }

    pub(super) fn words(&self, before: &State, step: Step, after: &State) -> String {
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
    pub(super) fn leads_any(&self) -> bool {
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

pub(super) fn slot(slot: Slot) -> String {
    match slot {
        Slot::Empty => "nothing".to_owned(),
        Slot::Lease(owner) => format!("lease of call {}", owner + 1),
        Slot::Value(version) => format!("value v{version}"),
    }
}
