//! The mishaps of a cluster: slots that move, and replicas that take over without the latest writes.

use super::state::{At, LOSS, MOVE, Promises, Replica, Reply, Request, STAMP_LOSS, Slot, StampReplica, State};
use super::{Protocol, Step};

impl Protocol {
    pub(super) fn cluster_steps(&self, state: &State, steps: &mut Vec<Step>) {
        if state.left[MOVE] > 0 && state.slot != Slot::Empty {
            steps.push(Step::Move);
        }
        match state.replica {
            Some(_) => steps.push(Step::FailOver),
            None if state.left[LOSS] > 0 => steps.push(Step::Lag),
            None => {}
        }
        match state.stamp_replica {
            Some(_) => steps.push(Step::FailOverStamp),
            None if state.left[STAMP_LOSS] > 0 => steps.push(Step::LagStamp),
            None => {}
        }
    }

    /// The content moves in one step, because a command acts at the node that has the key. A command that is redirected
    /// is one that is not applied yet.
    pub(super) fn move_slot(&self, state: &mut State) {
        state.left[MOVE] -= 1;
        if !self.rules.one_copy {
            state.copy = state.slot;
        }
    }

    /// A node that has nothing for the key redirects to the other one.
    pub(super) fn uncover(&self, state: &mut State) {
        if state.slot == Slot::Empty {
            state.slot = std::mem::replace(&mut state.copy, Slot::Empty);
        }
    }

    pub(super) fn lag(&self, state: &mut State) {
        state.replica = Some(Replica { slot: state.slot, side: state.side, applied: state.applied.slot });
    }

    pub(super) fn lag_stamp(&self, state: &mut State) {
        state.stamp_replica = Some(StampReplica { stamp: state.stamp, applied: state.applied.stamp });
    }

    pub(super) fn fail_over(&self, state: &mut State) {
        let Some(replica) = state.replica.take() else { return };
        state.left[LOSS] -= 1;
        state.disturbed = true;
        (state.slot, state.side, state.applied.slot) = (replica.slot, replica.side, replica.applied);
        let is_lost = |at: At| match at {
            // What an iteration has not found may be there again.
            At::Asked(Request::ScanEnd(false)) => true,
            At::Answered(request, _) => request != Request::UnlinkStamp,
            _ => false,
        };
        self.end_promises(state, |promises| &mut promises.slot, is_lost, replica.applied);
    }

    pub(super) fn fail_over_stamp(&self, state: &mut State) {
        let Some(replica) = state.stamp_replica.take() else { return };
        state.left[STAMP_LOSS] -= 1;
        state.disturbed = true;
        (state.stamp, state.applied.stamp) = (replica.stamp, replica.applied);
        let is_lost = |at: At| matches!(at, At::Answered(Request::UnlinkStamp, _));
        self.end_promises(state, |promises| &mut promises.stamp, is_lost, replica.applied);
    }

    /// Notes the version whose promise stands with a write that was applied.
    pub(super) fn note_promise(&self, state: &mut State, number: usize, request: Request, reply: Reply) {
        let may_be_lost = self.mishaps.losses > 0 || self.mishaps.stamp_losses > 0;
        let stands = match request {
            // A clear that finds nothing promises as much as one that erases.
            Request::Unlink | Request::UnlinkStamp | Request::ScanEnd(false) => true,
            Request::Fill(..) => reply == Reply::Yes,
            _ => false,
        };
        if may_be_lost && stands && !self.calls(number) {
            state.applied.add(self.actors[number].role, state.actors[number].version);
        }
    }

    /// A node lost writes. Of the promises by writes to it, those remain that its replica knows. A writer whose write is
    /// lost before it is told of it promises no more than these.
    fn end_promises(
        &self,
        state: &mut State,
        at_the_node: impl Fn(&mut Promises) -> &mut u8,
        is_lost: impl Fn(At) -> bool,
        known: u8,
    ) {
        if !self.rules.promises_end_with_their_writes {
            return;
        }
        let end = |promises: &mut Promises| {
            let last = at_the_node(promises);
            *last = known.min(*last);
        };
        end(&mut state.acknowledged);
        for (number, actor) in state.actors.iter_mut().enumerate().take(self.actors.len()) {
            end(&mut actor.need);
            if is_lost(actor.at) && !self.calls(number) {
                actor.version = actor.version.map(|version| version.min(known));
            }
        }
    }
}
