//! The protocol for one slot and the stamp of its tag.
//!
//! This module contains the configurations and the properties. The states are in `state`, the possible
//! steps in `steps`, the effects of requests on the server in `server`, the actions of the actors in
//! `moves`, and the effects of mishaps in `mishaps` and `failovers`.

mod failovers;
mod mishaps;
mod moves;
mod server;
mod state;
mod steps;

use std::fmt;

pub use self::state::{Actor, At, Data, Lease, Mark, Promises, Reply, Request, Slot, State, Token, Value};
pub use self::steps::Step;

/// The rules of the callers, the writers and the server. Each rule can be switched off alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A call joins a flight only if its own read saw the flight's token. Without: it joins
    /// whatever flight of the key runs in its process.
    pub join_only_what_was_read: bool,
    /// An accepted fill gives other calls no right to the result. Without: a call joins whatever flight
    /// of the key runs, and takes the result if the fill is accepted.
    pub acceptance_is_no_licence: bool,
    /// A call reads for itself. Without: it shares a read that another call has sent.
    pub no_shared_reads: bool,
    /// Bytes that are a miss give way to a lease in one step. Without: `UNLINK`, then acquire.
    pub displace_in_one_step: bool,
    /// They give way by comparison, only if the slot still holds the bytes that were read. Without: the
    /// lease is set whatever the slot holds.
    pub displace_by_comparison: bool,
    /// A fill is accepted only while the slot holds its token. Without: a plain `SET`.
    pub conditional_fill: bool,
    /// Every lease has a token of its own. Without: one token for each process.
    pub fresh_tokens: bool,
    /// A body starts once its lease, and the stamp of its tag, are acknowledged. Without: it may
    /// start once they are asked for.
    pub body_after_acknowledgement: bool,
    /// A call stores nothing unless its lease was acknowledged. Without: it fills all the same.
    pub no_lease_no_store: bool,
    /// A write takes the slot, then fills on condition. Without: write, then a plain `SET`.
    pub write_takes_the_slot: bool,
    /// A write whose fill is refused erases the slot. Without: it leaves the content there.
    pub refused_write_erases: bool,
    /// After a fill of unknown fate, only the own lease is deleted. Without: `UNLINK`.
    pub clean_up_by_comparison: bool,
    /// A refresh marks the header of the value itself, or the companion of the value's field.
    /// Without: it sets a separate key, which no other operation touches.
    pub mark_in_the_value: bool,
    /// Every write of a field erases its companion. Without: only refreshes touch it.
    pub writes_erase_the_companion: bool,
    /// A clear removes leases too. Without: only values.
    pub clear_removes_leases: bool,
    /// A refresh is stored only if the slot still holds a value. Without: its mark suffices.
    pub refill_needs_a_value: bool,
    /// The followers of a cancelled leader go on. Without: they wait for it.
    pub hand_over: bool,
    /// Leases expire. Without: they stay.
    pub leases_expire: bool,
    /// A computed value has the stamp that was read before the body, or the write, started.
    /// Without: it has the stamp that is current when the body has ended.
    pub stamp_before_the_body: bool,
    /// A refreshed value has the stamp of the old one. Without: it has the stamp that is current when
    /// the refresh's body has ended.
    pub refresh_keeps_the_stamp: bool,
    /// A value is a hit only under the stamp that was read with it. Without: whatever its stamp.
    pub hits_compare_the_stamp: bool,
    /// A lease is waited for only under the stamp that was read with it. Without: whatever its
    /// stamp.
    pub followers_compare_the_stamp: bool,
    /// If there is no stamp, no value is valid, and a call that computes makes a stamp. Without: the
    /// absence counts as a stamp like any other.
    pub absent_is_no_stamp: bool,
    /// Every stamp is new. Without: stamps start anew after their removal, like a counter.
    pub fresh_stamps: bool,
    /// A request to make a stamp is sent once. Without: once more if its reply does not come.
    pub stamps_are_sent_once: bool,
    /// The slot is read before the stamp. Without: the stamp is read first.
    pub slot_before_stamp: bool,
    /// A call that gets a value from a flight reads the stamp of the tag that was made of the value.
    /// Without: it takes the value.
    pub shared_values_are_compared: bool,
    /// When calls of a process have waited enough, one computes for the others. Without: each computes for
    /// itself.
    pub one_computes_for_its_others: bool,
    /// They share a body that began after they did. Without: whatever body runs in their process.
    pub share_what_began_later: bool,
    /// When the lease of a dead leader has ended, the calls that waited for it ask for another lease, and one of
    /// them gets it. Without: each computes.
    pub one_replaces_the_dead: bool,
    /// A key that moves to another node is at one node at a time. Without: the new node keeps the copy of a move that
    /// was interrupted, and shows it when the old node has nothing.
    pub one_copy: bool,
    /// If a failover loses an invalidation, its promise ends. Without: the promise is expected to hold.
    pub promises_end_with_their_writes: bool,
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
            clear_removes_leases: true,
            refill_needs_a_value: true,
            hand_over: true,
            leases_expire: true,
            stamp_before_the_body: true,
            refresh_keeps_the_stamp: true,
            hits_compare_the_stamp: true,
            followers_compare_the_stamp: true,
            absent_is_no_stamp: true,
            fresh_stamps: true,
            stamps_are_sent_once: true,
            slot_before_stamp: true,
            shared_values_are_compared: true,
            one_computes_for_its_others: true,
            share_what_began_later: true,
            one_replaces_the_dead: true,
            one_copy: true,
            promises_end_with_their_writes: true,
        }
    }
}

/// The role of an actor, which acts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Calls the function.
    Reader,
    /// Calls the function, returns a value that is stored, and refreshes it afterwards.
    Refresher,
    /// Changes the origin, then invalidates the entry.
    Invalidator,
    /// Changes the origin, then invalidates the tag.
    TagInvalidator,
    /// Changes the origin, then scans for slots that hold something, and empties them.
    Clearer,
    /// Changes the origin through the entry.
    Writer,
}

/// An actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spec {
    /// Its role.
    pub role: Role,
    /// Its process. Flights are shared within a process.
    pub process: u8,
    /// Its version of the type: a value of another shape is a miss.
    pub shape: u8,
}

/// The tag of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// It has none.
    None,
    /// It follows from the arguments, so that all actors know it.
    OfArguments,
    /// It is made of the value, so that only actors with a value know it.
    OfTheValue,
}

/// The initial content of the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initial {
    /// Nothing.
    Empty,
    /// A current value of this shape.
    Value(u8),
}

/// The limit on the number of each kind of mishap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mishaps {
    /// A lease expires while its holder is at work, or a value does. (A lease that nobody holds
    /// expires in any case.)
    pub expiries: u8,
    /// A client stops waiting for a reply; a request that was not applied yet is applied later.
    pub timeouts: u8,
    /// A process dies, with all its calls.
    pub crashes: u8,
    /// A leader's future is dropped.
    pub cancels: u8,
    /// The server evicts the stamp, or it expires.
    pub evictions: u8,
    /// The slot's content moves to another node of a cluster.
    pub moves: u8,
    /// A replica that lacks the latest writes takes over from the node of the slot.
    pub losses: u8,
    /// The same for the node of the stamp, which is another one.
    pub stamp_losses: u8,
}

/// A configuration of the model.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// The rules in force.
    pub rules: Rules,
    /// The actors. Equal actors are adjacent, because they are interchangeable, which saves states.
    pub actors: Vec<Spec>,
    /// The initial content of the slot.
    pub initial: Initial,
    /// The slot is a field of a hash. Refresh marks are then in a companion field, and invalidations do
    /// not touch it, like an `HDEL` from another tool.
    pub field: bool,
    /// The tag of the entry. One suffices, because several tags act only through the hash of their stamps.
    pub tag: Tag,
    /// The mishaps.
    pub mishaps: Mishaps,
    /// A call that waits for a lease may stop waiting: at the end of `wait`, or after two leases. It then shares a
    /// body of its process, or computes without storing.
    pub impatient: bool,
    /// Invalidators wait for all writers, to show the effects long after a write.
    pub invalidate_last: bool,
}

impl Protocol {
    /// All rules, an empty slot, no tag, and no mishaps.
    #[must_use]
    pub fn new(actors: impl IntoIterator<Item = Spec>) -> Self {
        Self {
            rules: Rules::default(),
            actors: actors.into_iter().collect(),
            initial: Initial::Empty,
            field: false,
            tag: Tag::None,
            mishaps: Mishaps::default(),
            impatient: false,
            invalidate_last: false,
        }
    }

    /// The same with a tag that follows from the arguments, and at first no stamp unless there is a
    /// value.
    #[must_use]
    pub fn tagged(actors: impl IntoIterator<Item = Spec>) -> Self {
        Self { tag: Tag::OfArguments, ..Self::new(actors) }
    }
}

/// The properties that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// A call that started after an invalidation or a write through returned never returns a value
    /// computed from an older version. (An invalidation of a tag that is made of the value counts if
    /// it came after the value's stamp was read. An invalidation that a failover lost does not count.)
    NoStaleReturn,
    /// Such a value is not in the slot under the current stamp either, where a later call would find it.
    NoStaleStored,
    /// A token has one leader, and one fill with it is accepted.
    OneFillPerToken,
    /// No two bodies run at once under leases, and no two refreshes, unless a lease expired, a stamp was
    /// evicted, a process died or an actor wrote.
    OneBodyAtOnce,
    /// The body runs once if, in addition, nothing timed out, was cancelled or expired, and all actors have
    /// the same version of the type.
    OneRun,
    /// No call computes while another call of its process computes for it, so there is no herd.
    OneForItsOthers,
    /// From every state, every call can still come to its end.
    Progress,
}

impl Property {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NoStaleReturn,
        Self::NoStaleStored,
        Self::OneFillPerToken,
        Self::OneBodyAtOnce,
        Self::OneRun,
        Self::OneForItsOthers,
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
            Self::OneForItsOthers => "if calls of a process stop waiting, one computes for the others",
            Self::Progress => "every call can still come to its end",
        })
    }
}
