//! The parts of a state, and the states that differ only in names.

use std::num::NonZeroU8;

use super::Role;

/// The identity of a lease, mark, value or stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub(crate) NonZeroU8);

/// The highest number of a token.
const TOKENS: u8 = 31;

impl Token {
    /// The value of all stamps if stamps are not fresh. Renaming does not change it.
    pub(super) const SAME: Self = Self(NonZeroU8::new(TOKENS).unwrap());

    pub(super) fn new(number: u8) -> Self {
        Self(NonZeroU8::new(number).expect("numbered from one"))
    }

    pub(super) fn bit(self) -> u32 {
        1 << self.0.get()
    }
}

/// The right to fill the slot, byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lease {
    /// Its identity.
    pub token: Token,
    /// The stamp of the values computed under it. (The real seal is a hash over the stamps. For one
    /// tag, the stamp is equivalent.)
    pub stamp: Option<Token>,
}

/// The result of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Data {
    /// The origin's version that the body saw.
    pub version: u8,
    /// The version of the type.
    pub shape: u8,
    /// The stamp of its tag that counts for it.
    pub stamp: Option<Token>,
}

/// A stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value {
    /// Its content.
    pub data: Data,
    /// Its identity: the token of the fill that stored it, which is unique.
    pub id: Token,
    /// The refresh that has marked it.
    pub mark: Option<Mark>,
}

/// The mark of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark {
    /// The token of its refresh.
    pub token: Token,
    /// Its time is over, so that another refresh may replace it. It counts until it is replaced.
    pub lapsed: bool,
}

/// The content of the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// Nothing.
    Empty,
    /// A lease.
    Lease(Lease),
    /// A value.
    Value(Value),
}

/// A command or a script: the server applies it at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    /// `GET`
    Read,
    /// `GET` of the stamp, after that of the slot, which held this.
    ReadStamp(Slot),
    /// `GET` of the slot after that of the stamp, which was this. Only broken rules use it.
    ReadSlot(Option<Token>),
    /// `SET … NX GET` of the stamp: sets this stamp if there is none, and returns the current one. The
    /// slot is the content that its sender has read before.
    Stamp(Token, Slot),
    /// `UNLINK` of the stamp.
    UnlinkStamp,
    /// `SET … NX GET PX`: sets the lease if the slot is empty, and returns the content otherwise.
    Acquire(Lease),
    /// Sets the lease if the slot holds exactly this, or nothing.
    Displace(Lease, Slot),
    /// Sets the lease unconditionally.
    Take(Lease),
    /// `UNLINK`
    Unlink,
    /// The start of an iteration with `SCAN`.
    Scan,
    /// The end of the iteration, which returns the slot if it held something from the start to now.
    ScanEnd(bool),
    /// Sets the value if the slot holds the lease.
    Fill(Lease, Data),
    /// Sets the value unconditionally. The token is the new value's id. Only broken rules use it.
    Set(Token, Data),
    /// Deletes the slot if it holds the lease.
    Release(Lease),
    /// Marks the value with this id, unless another mark is valid.
    Mark(Lease, Token),
    /// Sets the value if the slot holds a value with this mark.
    Refill(Lease, Data),
}

/// A reply of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reply {
    /// The content of the slot, and the stamp to judge it by.
    Found(Slot, Option<Token>),
    /// The current stamp.
    Stamped(Token),
    /// The command was executed.
    Yes,
    /// The condition did not hold.
    No,
}

/// The phase of an actor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum At {
    /// It has not begun.
    #[default]
    Idle,
    /// It has sent a request, which is not applied yet.
    Asked(Request),
    /// The request is applied, and the reply is in flight.
    Answered(Request, Reply),
    /// It waits for the lease of another process, and polls the slot.
    Polling,
    /// It waits for a flight in its own process.
    Following,
    /// It no longer waits for the holders of leases, and waits for a body of its own process.
    Sharing,
    /// Its body, or its write, runs.
    Body,
    /// It has returned.
    Done,
    /// It was cancelled, or its process died.
    Gone,
}

/// An actor's own state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Actor {
    /// Its phase.
    pub at: At,
    /// The lease it computes under or waits for.
    pub lease: Option<Lease>,
    /// The origin's version that its body saw or its write made.
    pub version: Option<u8>,
    /// The last versions whose invalidations had returned when the call started.
    pub need: Promises,
    /// The call has returned, and its refresh runs in the background.
    pub background: bool,
    /// The identity, within its process, of the body that runs. For a call that may share a body by the key alone,
    /// because the body began after the call: the last such body.
    pub body: Option<Token>,
}

/// Versions below which values are stale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Promises {
    /// By a write to the slot.
    pub slot: u8,
    /// By a write to the stamp, which may be at another node.
    pub stamp: u8,
}

/// The content that a replica of the slot's node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Replica {
    pub(super) slot: Slot,
    pub(super) side: Option<Mark>,
    pub(super) applied: u8,
}

/// The content that a replica of the stamp's node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StampReplica {
    pub(super) stamp: Option<Token>,
    pub(super) applied: u8,
}

pub(super) const ACTORS: usize = 6;
pub(super) const LATE: usize = 4;

/// A state: all data that determines the next steps, and that the properties inspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The version the origin holds.
    pub origin: u8,
    /// The slot.
    pub slot: Slot,
    /// The refresh mark, if it is not in the value itself.
    pub side: Option<Mark>,
    /// The stamp of the tag.
    pub stamp: Option<Token>,
    /// The copy of the slot's content that another node has.
    pub copy: Slot,
    /// The replica of the slot's node, from the moment on when no writes reach it.
    pub replica: Option<Replica>,
    /// The same for the node of the stamp.
    pub stamp_replica: Option<StampReplica>,
    /// Requests whose senders no longer wait. They are applied later.
    pub late: [Option<Request>; LATE],
    /// The states of the actors, in the order of [`Protocol::actors`](super::Protocol::actors).
    pub actors: [Actor; ACTORS],
    /// The mishaps that can still happen.
    pub(super) left: [u8; 8],
    pub(super) next_token: u8,
    /// The last versions whose invalidations, or writes through, have returned.
    pub acknowledged: Promises,
    /// The last version whose invalidation of a tag made of the value was applied.
    pub(super) unlinked: u8,
    /// The last versions whose invalidations, or writes through, were applied and are not lost. Counted only where
    /// writes can be lost.
    pub(super) applied: Promises,
    /// A mishap has happened after which two bodies may run at once.
    pub(super) disturbed: bool,
    /// Bodies begun under leases, up to two.
    pub(super) runs: u8,
    /// The tokens with which a fill was accepted, a bit for each.
    pub(super) accepted: u32,
    pub(super) stale_return: bool,
    /// A call computed although another call of its process did so for it.
    pub(super) herd: bool,
    pub(super) accepted_twice: bool,
}

pub(super) const EXPIRY: usize = 0;
pub(super) const TIMEOUT: usize = 1;
pub(super) const CRASH: usize = 2;
pub(super) const CANCEL: usize = 3;
pub(super) const EVICTION: usize = 4;
pub(super) const MOVE: usize = 5;
pub(super) const LOSS: usize = 6;
pub(super) const STAMP_LOSS: usize = 7;

impl Promises {
    /// All of them.
    #[must_use]
    pub fn latest(self) -> u8 {
        self.slot.max(self.stamp)
    }

    /// Adds the promise of a writer.
    pub(super) fn add(&mut self, role: Role, version: Option<u8>) {
        let last = if role == Role::TagInvalidator { &mut self.stamp } else { &mut self.slot };
        *last = version.unwrap_or(0).max(*last);
    }
}

impl Actor {
    pub(super) fn done() -> Self {
        Self { at: At::Done, ..Self::default() }
    }

    /// Restarts a call. The set of results that it may return does not change.
    pub(super) fn anew(self) -> Self {
        Self { need: self.need, body: self.body, ..Self::default() }
    }

    /// Tells whether the call waits or asks the server, and has no result yet.
    pub(super) fn searches(&self) -> bool {
        let is_on_its_way = matches!(self.at, At::Asked(_) | At::Answered(..) | At::Polling | At::Following);
        is_on_its_way && self.version.is_none() && !self.background
    }

    /// Tells whether its token, if it has one, is its own.
    pub(super) fn is_at_work(&self) -> bool {
        matches!(self.at, At::Asked(_) | At::Answered(..) | At::Body)
    }

    pub(super) fn has(&self, token: Token) -> bool {
        self.lease.is_some_and(|lease| lease.token == token)
    }
}

impl Request {
    /// The lease that it asks for.
    pub(super) fn lease(self) -> Option<Lease> {
        match self {
            Self::Acquire(lease) | Self::Displace(lease, _) | Self::Take(lease) | Self::Mark(lease, _) => Some(lease),
            _ => None,
        }
    }

    pub(super) fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadStamp(_) | Self::ReadSlot(_))
    }

    fn scans(self) -> bool {
        matches!(self, Self::Scan | Self::ScanEnd(_))
    }
}

impl State {
    pub(super) fn mark(mut self) -> Option<Mark> {
        self.mark_mut().copied()
    }

    pub(super) fn mark_mut(&mut self) -> Option<&mut Mark> {
        match &mut self.slot {
            Slot::Value(Value { mark: Some(mark), .. }) => Some(mark),
            _ => self.side.as_mut(),
        }
    }

    pub(super) fn accept(&mut self, token: Token) {
        self.accepted_twice |= self.accepted & token.bit() != 0;
        self.accepted |= token.bit();
    }

    /// An invalidation, or a write through, returns.
    pub(super) fn acknowledge(&mut self, number: usize, role: Role) {
        self.acknowledged.add(role, self.actors[number].version);
        self.actors[number] = Actor::done();
    }

    /// A call returns, unless it has before.
    pub(super) fn finish(&mut self, number: usize) {
        let Actor { version, need, background, .. } = self.actors[number];
        self.stale_return |= !background && version.is_some_and(|version| version < need.latest());
        self.actors[number] = Actor::done();
    }

    /// The sender stops waiting for its request in flight.
    pub(super) fn leave_behind(&mut self, at: At) {
        match at {
            At::Asked(request) if request.reads() || request.scans() => {}
            // The content that its sender has read is lost with the sender.
            At::Asked(Request::Stamp(stamp, _)) => self.add_late(Request::Stamp(stamp, Slot::Empty)),
            At::Asked(request) => self.add_late(request),
            _ => {}
        }
    }

    pub(super) fn add_late(&mut self, request: Request) {
        let room = self.late.iter_mut().find(|late| late.is_none());
        *room.expect("room for as many late requests as mishaps make") = Some(request);
    }

    /// Forgets bodies that have ended.
    pub(super) fn forget_bodies(&mut self) {
        let actors = self.actors;
        let runs = |body| actors.iter().any(|actor| actor.at == At::Body && actor.body == body);
        for actor in self.actors.iter_mut().filter(|actor| actor.searches() && !runs(actor.body)) {
            actor.body = None;
        }
    }

    /// Numbers the tokens by where they occur.
    pub(super) fn rename_tokens(&mut self) {
        let mut names = [0; TOKENS as usize + 1];
        names[usize::from(TOKENS)] = TOKENS;
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
        self.stamp.iter_mut().for_each(&mut *visit);
        self.copy.for_each_token(visit);
        if let Some(replica) = &mut self.replica {
            replica.slot.for_each_token(visit);
            replica.side.iter_mut().for_each(|mark| visit(&mut mark.token));
        }
        self.stamp_replica.iter_mut().filter_map(|replica| replica.stamp.as_mut()).for_each(&mut *visit);
        for actor in &mut self.actors {
            actor.lease.iter_mut().for_each(|lease| lease.for_each_token(visit));
            actor.body.iter_mut().for_each(&mut *visit);
            match &mut actor.at {
                At::Asked(request) => request.for_each_token(visit),
                At::Answered(request, reply) => {
                    request.for_each_token(visit);
                    reply.for_each_token(visit);
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
            Self::Lease(lease) => lease.for_each_token(visit),
            Self::Value(value) => {
                visit(&mut value.id);
                value.data.stamp.iter_mut().for_each(&mut *visit);
                value.mark.iter_mut().for_each(|mark| visit(&mut mark.token));
            }
        }
    }
}

impl Lease {
    fn for_each_token(&mut self, visit: &mut impl FnMut(&mut Token)) {
        visit(&mut self.token);
        self.stamp.iter_mut().for_each(visit);
    }
}

impl Reply {
    fn for_each_token(&mut self, visit: &mut impl FnMut(&mut Token)) {
        match self {
            Self::Found(slot, stamp) => {
                slot.for_each_token(visit);
                stamp.iter_mut().for_each(visit);
            }
            Self::Stamped(stamp) => visit(stamp),
            Self::Yes | Self::No => {}
        }
    }
}

impl Request {
    fn for_each_token(&mut self, visit: &mut impl FnMut(&mut Token)) {
        match self {
            Self::Read | Self::Scan | Self::ScanEnd(_) | Self::Unlink | Self::UnlinkStamp => {}
            Self::ReadStamp(slot) => slot.for_each_token(visit),
            Self::ReadSlot(stamp) => stamp.iter_mut().for_each(visit),
            Self::Stamp(stamp, slot) => {
                visit(stamp);
                slot.for_each_token(visit);
            }
            Self::Acquire(lease) | Self::Take(lease) | Self::Release(lease) => lease.for_each_token(visit),
            Self::Displace(lease, seen) => {
                lease.for_each_token(visit);
                seen.for_each_token(visit);
            }
            Self::Fill(lease, data) | Self::Refill(lease, data) => {
                lease.for_each_token(visit);
                data.stamp.iter_mut().for_each(visit);
            }
            Self::Set(token, data) => {
                visit(token);
                data.stamp.iter_mut().for_each(visit);
            }
            Self::Mark(lease, id) => {
                lease.for_each_token(visit);
                visit(id);
            }
        }
    }
}
