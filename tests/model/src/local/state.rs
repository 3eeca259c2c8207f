//! The states.

/// The largest number of calls, of writes, and of nodes.
pub(super) const CALLS: usize = 3;
pub(super) const WRITES: usize = 2;
pub(super) const NODES: usize = 2;
/// More than the highest version, and the highest stamp.
pub(super) const VERSIONS: usize = 12;
pub(super) const STAMPS: usize = 5;

/// What a write, a push or a void concerns: the entry's key, or the key of its tag's stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The slot of the entry.
    Slot,
    /// The stamp of its tag.
    Stamp,
}

/// A computed value: the version of the origin that it shows, and the stamp of its tag, or 0 without a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    /// The version, which is also the value's id.
    pub version: u8,
    /// The stamp.
    pub stamp: u8,
}

/// The content of the slot at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Nothing.
    Empty,
    /// The lease of a call.
    Lease(u8),
    /// A value.
    Value(Value),
}

/// A request on a tracked connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Reads the id in the slot, for the ticket of this call. `None`: the ticket was dropped since.
    Confirm(Option<u8>),
    /// Reads the stamp, for the ticket of this call.
    ConfirmStamp(Option<u8>),
    /// A heartbeat that was sent at this time.
    Probe(u8),
}

/// A message from a server on a tracked connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// A key has changed.
    Push(Key),
    /// All keys have changed.
    PushAll,
    /// The version in the slot, for the ticket of this call.
    Id(u8, Option<u8>),
    /// The stamp, for the ticket of this call.
    Stamp(u8, u8),
    /// The answer to a heartbeat.
    Pong(Pong),
}

/// The answer to a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pong {
    /// The time at which the heartbeat was sent.
    pub sent: u8,
    /// The node that had the slot.
    pub home: u8,
    /// How often the slot had moved.
    pub moves: u8,
}

/// The items of a connection or of the inbox, from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Queue<T, const N: usize>([Option<T>; N]);

impl<T: Copy, const N: usize> Queue<T, N> {
    pub(super) const fn new() -> Self {
        Self([None; N])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = T> + use<'_, T, N> {
        self.0.iter().flatten().copied()
    }

    pub(super) fn push(&mut self, item: T) {
        let free = self.0.iter_mut().find(|place| place.is_none());
        *free.expect("a queue is long enough") = Some(item);
    }

    pub(super) fn first(&self) -> Option<T> {
        self.0[0]
    }

    pub(super) fn remove(&mut self, at: usize) -> Option<T> {
        let item = self.0[at].take();
        self.0[at..].rotate_left(1);
        item
    }

    pub(super) fn change(&mut self, change: impl Fn(T) -> Option<T>) {
        let mut kept = Self::new();
        self.iter().filter_map(change).for_each(|item| kept.push(item));
        *self = kept;
    }
}

/// A node of the server, and the tracked connection to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// Requests on their way to the server.
    pub to_server: Queue<Request, 7>,
    /// Messages on their way to the process.
    pub to_process: Queue<Message, 8>,
    /// Replies that the driver has dispatched, and that no task has consumed yet. Any of them may be next.
    pub inbox: Queue<Message, 4>,
    /// The keys that the server pushes once, the slot and the stamp.
    pub registered: [bool; 2],
    /// The server tracks the connection.
    pub is_tracking: bool,
    /// The server has lost the connection, and the process does not know that.
    pub is_lost: bool,
    /// The time of the last proof of life.
    pub horizon: u8,
}

/// The entry of the local tier. An entry that is not live is suspended: it keeps its value, and is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The value.
    pub value: Value,
    /// The node that has confirmed it.
    pub node: u8,
    /// It may be served.
    pub is_live: bool,
    /// It was looked at once more after it was inserted.
    pub is_published: bool,
    /// The number of calls that left the tier because the entry is due, up to two.
    pub asked: u8,
}

/// A hit in steps: what a call has found in the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Found {
    /// The entry. It is not served if it is not live.
    pub entry: Entry,
    /// It is still in the map, where changes reach it.
    pub is_kept: bool,
    /// The first half of the look is done.
    pub has_looked: bool,
    /// The time when the call began.
    pub began: u8,
    /// The versions that were promised then.
    pub promised: [u8; 2],
}

/// The shared state of the entries under the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cell {
    /// The stamp.
    pub stamp: u8,
    /// Entries under the stamp may be served.
    pub is_live: bool,
    /// It was looked at once more after it was set.
    pub is_published: bool,
}

/// A confirmation under way. Its number is that of the call that offered the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The value.
    pub value: Value,
    /// The node that is asked.
    pub node: u8,
}

/// The confirmation of a stamp under way, for the offer of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StampTicket {
    /// The call.
    pub call: u8,
    /// The stamp.
    pub stamp: u8,
}

/// What the keeper is about to admit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Admission {
    /// The entry, or the cell.
    pub what: Key,
    /// The call that offered it.
    pub call: u8,
    /// What was confirmed.
    pub ticket: Ticket,
    /// It is inserted, and not looked at once more yet.
    pub is_inserted: bool,
    /// A write of the process voided it since.
    pub is_voided: bool,
}

/// A reply to a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// A value.
    Found(Value),
    /// Nothing valid: the call has the lease now, and this is the stamp.
    Taken(u8),
    /// The lease of another call.
    Busy,
}

/// The phase of a call that goes to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// It has not begun.
    Idle,
    /// It has sent a read, behind the undelivered invalidations of these keys.
    Asked([bool; 2]),
    /// The read is applied, at this node.
    Answered([bool; 2], Answer, u8),
    /// Its body has read the origin, and it has sent a fill.
    Filling(Value),
    /// The fill is applied, and was accepted or refused.
    Filled(Value, bool),
    /// The offer of the value was compared with the voids, and is not made yet.
    Offering(Value),
    /// It has returned.
    Done,
}

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// Its phase.
    pub at: At,
    /// Its keys that were voided since it began.
    pub voided: [bool; 2],
    /// The oldest version that was not gone when it read.
    pub oldest: u8,
}

/// The phase of a write of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It has not begun.
    Idle,
    /// It has sent its command.
    Asked,
    /// The command is applied, and was accepted or refused.
    Applied(bool),
    /// It waits no longer: the invalidation is kept, to be delivered later.
    Kept,
    /// The first half of the last void is done; the write was accepted or refused.
    Voiding(bool),
    /// It has returned, or was cancelled.
    Done,
}

/// A write of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    /// Its phase.
    pub at: Phase,
    /// The version that it makes.
    pub version: u8,
}

/// A state: all data that determines the next steps, and that the properties inspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) now: u8,
    pub(super) origin: u8,
    pub(super) slot: Slot,
    /// The stamp of the tag, or 0.
    pub(super) stamp: u8,
    pub(super) last_stamp: u8,
    /// The node that has the slot, and how often it has moved.
    pub(super) home: u8,
    pub(super) moves: u8,
    pub(super) nodes: [Node; NODES],
    /// What the process knows of `home` and `moves`.
    pub(super) map: u8,
    pub(super) known_moves: u8,
    pub(super) entry: Option<Entry>,
    pub(super) cell: Option<Cell>,
    pub(super) found: Option<Found>,
    pub(super) tickets: [Option<Ticket>; CALLS],
    pub(super) stamp_ticket: Option<StampTicket>,
    pub(super) admission: Option<Admission>,
    /// Invalidations of the process that the server has not confirmed.
    pub(super) undelivered: [bool; 2],
    /// Those of them that the keeper has delivered, without having been told yet.
    pub(super) delivered: [bool; 2],
    pub(super) calls: [Call; CALLS],
    pub(super) writes: [Write; WRITES],
    pub(super) left: [u8; BUDGETS],
    /// The version that its own writes have promised to calls of the process that begin now.
    pub(super) floor: u8,
    /// The newest version that was in the slot.
    pub(super) stored: u8,
    /// The oldest version that calls of the process may be served after what others have found or stored.
    pub(super) newest: u8,
    /// The times at which versions and stamps went from the server.
    pub(super) gone: [Option<u8>; VERSIONS],
    pub(super) stamp_gone: [Option<u8>; STAMPS],
    pub(super) is_stale: bool,
    pub(super) is_late: bool,
    pub(super) is_older: bool,
    pub(super) is_herd: bool,
}

pub(super) const PUT: usize = 0;
pub(super) const UNLINK: usize = 1;
pub(super) const UNLINK_STAMP: usize = 2;
pub(super) const TOUCH: usize = 3;
pub(super) const FLUSH: usize = 4;
pub(super) const LOSS: usize = 5;
pub(super) const MOVE: usize = 6;
pub(super) const SILENT_MOVE: usize = 7;
pub(super) const FAILURE: usize = 8;
pub(super) const CANCEL: usize = 9;
pub(super) const BUDGETS: usize = 10;

impl Call {
    /// Tells whether the call has begun and not returned.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.at, At::Idle | At::Done)
    }

    fn value(&self) -> Option<Value> {
        match self.at {
            At::Answered(_, Answer::Found(value), _)
            | At::Filling(value)
            | At::Filled(value, _)
            | At::Offering(value) => Some(value),
            _ => None,
        }
    }
}

impl State {
    /// The entry of the tier.
    #[must_use]
    pub fn entry(&self) -> Option<Entry> {
        self.entry
    }

    /// The values that the process may still serve.
    fn values(&self) -> impl Iterator<Item = Value> + use<'_> {
        let entry = self.entry.map(|entry| entry.value);
        let tickets = self.tickets.iter().flatten().map(|ticket| ticket.value);
        let found = self.found.map(|found| found.entry.value);
        let admitted = self.admission.map(|admission| admission.ticket.value);
        entry.into_iter().chain(found).chain(tickets).chain(admitted).chain(self.calls.iter().filter_map(Call::value))
    }

    /// Drops all data that has no effect any more, so that more states are equal.
    pub(super) fn forget(&mut self) {
        let tickets = self.tickets;
        let stamp_ticket = self.stamp_ticket.map(|ticket| ticket.call);
        let is_there = |call: u8| tickets[usize::from(call)].is_some();
        let awaited = |message: Message| match message {
            Message::Id(call, _) if !is_there(call) => None,
            Message::Stamp(call, _) if stamp_ticket != Some(call) => None,
            message => Some(message),
        };
        for node in &mut self.nodes {
            // The server registers a key although its ticket is gone.
            node.to_server.change(|request| match request {
                Request::Confirm(Some(call)) if !is_there(call) => Some(Request::Confirm(None)),
                Request::ConfirmStamp(call) if call != stamp_ticket => Some(Request::ConfirmStamp(None)),
                request => Some(request),
            });
            node.to_process.change(awaited);
            node.inbox.change(awaited);
            node.inbox.0.sort_unstable_by_key(|message| (message.is_none(), *message));
        }
        for call in &mut self.calls {
            if !call.is_under_way() {
                (call.voided, call.oldest) = ([false; 2], 0);
            }
        }
        self.forget_times();
    }

    /// Drops the times of versions and stamps that the process can not serve any more.
    fn forget_times(&mut self) {
        let mut versions = [false; VERSIONS];
        let mut stamps = [false; STAMPS];
        for value in self.values() {
            versions[usize::from(value.version)] = true;
            stamps[usize::from(value.stamp)] = true;
        }
        let cell = self.cell.map(|cell| cell.stamp);
        let ticket = self.stamp_ticket.map(|ticket| ticket.stamp);
        for stamp in cell.into_iter().chain(ticket) {
            stamps[usize::from(stamp)] = true;
        }
        for (gone, is_known) in self.gone.iter_mut().zip(versions) {
            *gone = gone.filter(|_| is_known);
        }
        for (gone, is_known) in self.stamp_gone.iter_mut().zip(stamps) {
            *gone = gone.filter(|_| is_known);
        }
    }
}
