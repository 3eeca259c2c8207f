//! The local tier: decoded values in a process, which the server keeps coherent.
//!
//! One process has a tier with one entry, which may have a tag. It reads and writes over connections whose commands take
//! any time, and it has a tracked connection to each node, on which the server pushes the keys that change. Calls read,
//! compute and fill. They offer the value that they found or stored, and a keeper confirms it: it reads the id in the
//! slot again, on the tracked connection, so that the server registers the key. What other processes do is one step.
//!
//! A message on a tracked connection is handled in wire order: a push at once, and a reply goes to an inbox from which a
//! task takes it at any later moment. A task looks at the ticket of a confirmation, inserts the entry, and looks once
//! more; between these steps calls, writes and pushes go on.
//!
//! The steps of calls and writes are in `calls`, those of the keeper in `keeper`, and the effects at the server in
//! `server`. The slots, leases and bodies are those of [`protocol`](crate::protocol), in fewer steps.

mod calls;
mod keeper;
mod rules;
mod server;
mod state;
mod words;

use std::fmt;

use self::state::{
    BUDGETS, CALLS, CANCEL, FAILURE, FLUSH, LOSS, MOVE, NODES, PUT, SILENT_MOVE, STAMPS, TOUCH, UNLINK, UNLINK_STAMP,
    VERSIONS, WRITES,
};
use crate::check::Model;

pub use self::rules::Rules;
pub use self::state::{
    Admission, Answer, At, Call, Cell, Entry, Found, Key, Message, Node, Phase, Pong, Queue, Request, Slot,
    StampTicket, State, Ticket, Value, Write,
};

/// A write of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Changes the origin, and invalidates the entry.
    Invalidate,
    /// Changes the origin, and invalidates the tag.
    InvalidateTag,
    /// Changes the origin, computes the value anew, and stores it.
    Refresh,
}

/// The steps that may come between those by which the keeper admits a value: it looks, inserts, and looks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interleaving {
    /// None, because of a lock.
    Nothing,
    /// Those of calls and writes, because the driver of the connections runs on the keeper's thread.
    Writes,
    /// Those of calls and writes, and the handling of pushes.
    WritesAndPushes,
}

/// The limit on the number of each kind of event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Another process stores a new value.
    pub puts: u8,
    /// Another process invalidates the entry.
    pub unlinks: u8,
    /// Another process invalidates the tag.
    pub tag_unlinks: u8,
    /// The value is marked, or its life extended: a push without a change.
    pub touches: u8,
    /// A node loses its data: `FLUSHALL`.
    pub flushes: u8,
    /// A tracked connection is lost.
    pub losses: u8,
    /// The slot moves to the other node, key by key, with pushes.
    pub moves: u8,
    /// The slot moves to the other node, and the old one deletes it without a push.
    pub silent_moves: u8,
    /// An invalidation of the process does not reach the server, or its reply is lost.
    pub failures: u8,
    /// A write of the process is cancelled.
    pub cancels: u8,
}

/// A configuration of the model.
#[derive(Clone, Debug)]
pub struct Local {
    /// The rules in force.
    pub rules: Rules,
    /// The number of calls that go to the server, up to three. Calls that the tier serves have no limit.
    pub calls: usize,
    /// The writes of the process, up to two.
    pub writes: Vec<Kind>,
    /// The node of the tag's stamp, if the entry has a tag.
    pub tag: Option<usize>,
    /// The number of nodes, one or two. The slot is at the first one.
    pub nodes: usize,
    /// The slot is empty at first.
    pub is_empty: bool,
    /// The number of units of time.
    pub time: u8,
    /// The bound, in these units.
    pub bound: u8,
    /// The time from which the entry is due to be refreshed.
    pub due: Option<u8>,
    /// The steps that may come between those of an admission.
    pub interleaving: Interleaving,
    /// A hit takes several steps. Otherwise it takes one.
    pub hits_in_steps: bool,
    /// The events.
    pub events: Events,
}

impl Local {
    /// A process with this number of calls, all rules, and nothing else.
    #[must_use]
    pub fn new(calls: usize) -> Self {
        Self {
            rules: Rules::default(),
            calls,
            writes: Vec::new(),
            tag: None,
            nodes: 1,
            is_empty: false,
            time: 0,
            bound: 1,
            due: None,
            interleaving: Interleaving::WritesAndPushes,
            hits_in_steps: false,
            events: Events::default(),
        }
    }
}

/// A property that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// No call that begins after a write of its process has returned is served what was there before.
    NothingFromBefore,
    /// Nothing is served that went from the server longer ago than the bound: the value, or the stamp of its tag.
    WithinTheBound,
    /// No call that begins after another one of its process has returned is served an older value than that one found or
    /// stored, or one that was gone when it read.
    NothingOlder,
    /// One call leaves the tier because an entry is due.
    OneAtDue,
    /// All calls and writes that have begun can end.
    Progress,
}

impl Property {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::NothingFromBefore, Self::WithinTheBound, Self::NothingOlder, Self::OneAtDue, Self::Progress];
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingFromBefore => "after a write of the process, nothing from before it is served",
            Self::WithinTheBound => "nothing is served that went longer ago than the bound",
            Self::NothingOlder => "after a newer value, no older one is served",
            Self::OneAtDue => "one call leaves the tier when an entry is due",
            Self::Progress => "every call and write can end",
        })
    }
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A call begins, and the tier serves it.
    Hit,
    /// A call begins, and finds the entry in the map.
    Find,
    /// The first half of its look.
    Look,
    /// The second half, after which it is served.
    Served,
    /// A call begins and goes to the server. `true`: because the entry is due.
    Call(usize, bool),
    /// The server applies the command of a call.
    Apply(usize),
    /// A call receives the reply.
    Receive(usize),
    /// A call makes its offer.
    Offer(usize),
    /// A write of the process begins.
    Begin(usize),
    /// The server applies its command.
    ApplyWrite(usize),
    /// The write gives up, and keeps its invalidation for later.
    Fail(usize),
    /// The first half of its last void.
    Void(usize),
    /// The second half, after which it returns.
    Return(usize),
    /// A write is cancelled.
    Cancel(usize),
    /// A node serves a request on the tracked connection.
    Serve(usize),
    /// The driver handles a message of a node.
    Handle(usize),
    /// A task takes a reply of a node out of the inbox.
    Consume(usize, usize),
    /// The keeper inserts what it admits.
    Insert,
    /// The keeper looks once more.
    LookAgain,
    /// The keeper sends a heartbeat to a node.
    Probe(usize),
    /// The keeper connects to a node again.
    Reconnect(usize),
    /// The server applies the undelivered invalidations, which the keeper has sent.
    Deliver,
    /// The keeper is told of that.
    Delivered,
    /// Something happens outside of the process.
    Outside(Event),
    /// A unit of time passes.
    Tick,
}

/// An event outside of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Another process stores a new value.
    Put,
    /// Another process invalidates the entry.
    Unlink,
    /// Another process invalidates the tag.
    UnlinkStamp,
    /// The value is marked, or its life extended.
    Touch,
    /// A node loses its data.
    Flush(usize),
    /// A tracked connection is lost.
    Lose(usize),
    /// The slot moves. `true`: without a push.
    Move(bool),
}

impl Model for Local {
    type State = State;
    type Step = Step;
    type Property = Property;

    const PROGRESS: Property = Property::Progress;

    fn start(&self) -> State {
        assert!(self.calls <= CALLS && self.writes.len() <= WRITES && self.nodes <= NODES, "too many actors");
        let stamp = u8::from(self.tag.is_some());
        let node = Node {
            to_server: Queue::new(),
            to_process: Queue::new(),
            inbox: Queue::new(),
            registered: [false; 2],
            is_tracking: true,
            is_lost: false,
            horizon: 0,
        };
        State {
            now: 0,
            origin: 1,
            slot: if self.is_empty { Slot::Empty } else { Slot::Value(Value { version: 1, stamp }) },
            stamp,
            last_stamp: stamp,
            home: 0,
            moves: 0,
            nodes: [node; NODES],
            map: 0,
            known_moves: 0,
            entry: None,
            cell: None,
            found: None,
            tickets: [None; CALLS],
            stamp_ticket: None,
            admission: None,
            undelivered: [false; 2],
            delivered: [false; 2],
            calls: [Call { at: At::Idle, voided: [false; 2], oldest: 0 }; CALLS],
            writes: [Write { at: Phase::Idle, version: 0 }; WRITES],
            left: self.events.budgets(),
            floor: 0,
            stored: u8::from(!self.is_empty),
            newest: 0,
            gone: [None; VERSIONS],
            stamp_gone: [None; STAMPS],
            is_stale: false,
            is_late: false,
            is_older: false,
            is_herd: false,
        }
    }

    fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        self.steps_of_calls(state, steps);
        self.steps_of_writes(state, steps);
        self.steps_of_the_keeper(state, steps);
        self.steps_outside(state, steps);
        if state.now < self.time {
            steps.push(Step::Tick);
        }
    }

    fn next(&self, before: &State, step: Step) -> State {
        let mut state = *before;
        match step {
            Step::Hit => self.hit(&mut state),
            Step::Find => self.find(&mut state),
            Step::Look => self.look_first(&mut state),
            Step::Served => self.served(&mut state),
            Step::Call(call, is_due) => self.call(&mut state, call, is_due),
            Step::Apply(call) => self.apply(&mut state, call),
            Step::Receive(call) => self.receive(&mut state, call),
            Step::Offer(call) => self.make_offer(&mut state, call),
            Step::Begin(write) => self.begin(&mut state, write),
            Step::ApplyWrite(write) => self.apply_write(&mut state, write),
            Step::Fail(write) => self.fail(&mut state, write),
            Step::Void(write) => self.void_first(&mut state, write),
            Step::Return(write) => self.return_write(&mut state, write),
            Step::Cancel(write) => {
                state.left[CANCEL] -= 1;
                state.writes[write].at = Phase::Done;
            }
            Step::Serve(node) => self.serve(&mut state, node),
            Step::Handle(node) => self.handle(&mut state, node),
            Step::Consume(node, at) => self.consume(&mut state, node, at),
            Step::Insert => self.insert(&mut state),
            Step::LookAgain => self.look_again(&mut state),
            Step::Probe(node) => state.nodes[node].to_server.push(Request::Probe(state.now)),
            Step::Reconnect(node) => self.reconnect(&mut state, node),
            Step::Deliver => self.deliver(&mut state),
            Step::Delivered => Key::BOTH.into_iter().for_each(|key| {
                let is_delivered = std::mem::take(&mut state.delivered[key as usize]);
                state.undelivered[key as usize] &= !is_delivered;
            }),
            Step::Outside(event) => self.happen(&mut state, event),
            Step::Tick => state.now += 1,
        }
        self.follow_found(before, &mut state, step);
        state.forget();
        state
    }

    fn canonical(&self, state: State) -> State {
        state
    }

    fn holds(&self, property: Property, state: &State) -> bool {
        match property {
            Property::NothingFromBefore => !state.is_stale,
            Property::WithinTheBound => !state.is_late,
            Property::NothingOlder => !state.is_older,
            Property::OneAtDue => !state.is_herd,
            Property::Progress => true,
        }
    }

    fn finished(&self, state: &State) -> bool {
        let calls = state.calls.iter().all(|call| !call.is_under_way());
        calls && state.writes.iter().all(|write| matches!(write.at, Phase::Idle | Phase::Done))
    }

    fn describe(&self, before: &State, step: Step, after: &State) -> String {
        words::describe(self, before, step, after)
    }
}
