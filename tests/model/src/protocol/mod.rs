//! The protocol: what can happen to one slot and the stamp of its tag, and what must never.
//!
//! This module has the configurations and the properties; the states are in `state`, what can
//! happen in them in `steps`, what the server makes of requests in `server`, and what the actors do
//! in `moves`.

mod moves;
mod server;
mod state;
mod steps;

use std::fmt;

pub use self::state::{Actor, At, Data, Lease, Mark, Reply, Request, Slot, State, Token, Value};
pub use self::steps::Step;

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
    /// A body starts once its lease, and the stamp of its tag, are acknowledged. Without: it may
    /// start once they are asked for.
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
    /// What is computed has the stamp that was read before the body, or the write, started.
    /// Without: the one that is there when it has ended.
    pub stamp_before_the_body: bool,
    /// The successor of a value has the stamp of the value. Without: the one that is there when the
    /// refresh's body has ended.
    pub refresh_keeps_the_stamp: bool,
    /// A value is a hit only under the stamp that was read with it. Without: whatever its stamp.
    pub hits_compare_the_stamp: bool,
    /// A lease is waited for only under the stamp that was read with it. Without: whatever its
    /// stamp.
    pub followers_compare_the_stamp: bool,
    /// Where there is no stamp, nothing counts, and whoever computes makes one. Without: no stamp is
    /// a stamp like any other.
    pub absent_is_no_stamp: bool,
    /// Every stamp is new. Without: they start anew once they are gone, like a counter would.
    pub fresh_stamps: bool,
    /// A request to make a stamp is sent once. Without: once more if its reply does not come.
    pub stamps_are_sent_once: bool,
    /// The slot is read before the stamp. Without: the stamp is read first.
    pub slot_before_stamp: bool,
    /// Whoever gets a value from a flight reads the stamp of the tag that was made of the value.
    /// Without: it takes the value.
    pub shared_values_are_compared: bool,
    /// Of the calls of a process that have waited enough, one computes for its others. Without: each for
    /// itself.
    pub one_computes_for_its_others: bool,
    /// They share a body that began after they did. Without: whatever body runs in their process.
    pub share_what_began_later: bool,
    /// When the lease of a dead leader has ended, those that waited for it ask for another, which one of them
    /// gets. Without: each computes.
    pub one_replaces_the_dead: bool,
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
    /// Changes the origin, then invalidates the tag.
    TagInvalidator,
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

/// The tag of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// It has none.
    None,
    /// It follows from the arguments, so that everybody knows it.
    OfArguments,
    /// It is made of the value, so that it is known where there is a value.
    OfTheValue,
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
    /// The server evicts the stamp, or it expires.
    pub evictions: u8,
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
    /// The tag of the entry. One: several have no other effect than their hash has.
    pub tag: Tag,
    /// What goes wrong.
    pub mishaps: Mishaps,
    /// Whether a call that waits for a lease may stop waiting: at the end of `wait`, or after two leases. Then
    /// it shares a body of its process, or computes, unstored.
    pub impatient: bool,
    /// Whether invalidators wait for all writers, to show what happens long after a write.
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

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// A call that started after an invalidation or a write through returned never returns a value
    /// computed from an older version. (An invalidation of a tag that is made of the value counts if
    /// it came after the value's stamp was read.)
    NoStaleReturn,
    /// Nor is such a value in the slot under the current stamp, where a later call would find it.
    NoStaleStored,
    /// A token has one leader, and one fill with it is accepted.
    OneFillPerToken,
    /// Unless a lease expired, a stamp was evicted, a process died or somebody wrote, no two bodies
    /// run at once under leases, and no two refreshes.
    OneBodyAtOnce,
    /// If moreover nothing timed out, was cancelled or expired, and all agree on the type, the
    /// body runs once.
    OneRun,
    /// No call computes while one of its process computes for it: not in a herd.
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
            Self::OneForItsOthers => "of the calls of a process that wait no longer, one computes for the others",
            Self::Progress => "every call can still come to its end",
        })
    }
}
