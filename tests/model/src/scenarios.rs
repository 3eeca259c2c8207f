//! The actors and mishaps of the runs with all rules.

mod local;

use crate::batches::{self, Batches};
use crate::protocol::{Initial, Mishaps, Protocol, Role, Spec, Tag};

pub use self::local::{amid, beside, local, local_large};

/// A configuration with its name.
pub type Scenario = (&'static str, Protocol);

/// A reader in the first process.
pub const READER: Spec = Spec { role: Role::Reader, process: 0, shape: 0 };
/// A reader in the second process.
pub const ELSEWHERE: Spec = Spec { process: 1, ..READER };
/// A reader in the second process that has another version of the type.
pub const OTHER_TYPE: Spec = Spec { process: 1, shape: 1, ..READER };
/// A refresher in the first process.
pub const REFRESHER: Spec = Spec { role: Role::Refresher, process: 0, shape: 0 };
/// An invalidator in the second process.
pub const INVALIDATOR: Spec = Spec { role: Role::Invalidator, process: 1, shape: 0 };
/// An invalidator of the tag in the second process.
pub const TAG_INVALIDATOR: Spec = Spec { role: Role::TagInvalidator, process: 1, shape: 0 };
/// A clearer in the second process.
pub const CLEARER: Spec = Spec { role: Role::Clearer, process: 1, shape: 0 };
/// A writer through in the second process.
pub const WRITER: Spec = Spec { role: Role::Writer, process: 1, shape: 0 };

const NOTHING: Mishaps =
    Mishaps { expiries: 0, timeouts: 0, crashes: 0, cancels: 0, evictions: 0, moves: 0, losses: 0, stamp_losses: 0 };

/// The scenarios of the tests, with up to four actors.
#[must_use]
pub fn small() -> Vec<Scenario> {
    let expiry = Mishaps { expiries: 1, ..NOTHING };
    let timeout = Mishaps { timeouts: 1, ..NOTHING };
    let refresher_elsewhere = Spec { process: 1, ..REFRESHER };
    vec![
        ("calls alone", Protocol::new([READER, READER, READER, ELSEWHERE])),
        (
            "calls, where leaders vanish",
            Protocol {
                mishaps: Mishaps { expiries: 1, crashes: 1, cancels: 1, ..NOTHING },
                ..Protocol::new([READER, READER, READER, ELSEWHERE])
            },
        ),
        (
            "an invalidation among calls",
            Protocol {
                mishaps: Mishaps { expiries: 1, timeouts: 1, ..NOTHING },
                ..Protocol::new([READER, READER, ELSEWHERE, INVALIDATOR])
            },
        ),
        (
            "an invalidation, and everything goes wrong",
            Protocol {
                mishaps: Mishaps { expiries: 1, timeouts: 1, crashes: 1, cancels: 1, ..NOTHING },
                ..Protocol::new([READER, READER, INVALIDATOR])
            },
        ),
        (
            "an invalidation, and calls that wait no longer",
            Protocol {
                impatient: true,
                mishaps: Mishaps { expiries: 1, cancels: 1, ..NOTHING },
                ..Protocol::new([READER, ELSEWHERE, ELSEWHERE, INVALIDATOR])
            },
        ),
        (
            "calls that wait no longer, where leaders die",
            Protocol {
                impatient: true,
                mishaps: Mishaps { crashes: 1, cancels: 1, ..NOTHING },
                ..Protocol::new([READER, READER, READER, ELSEWHERE])
            },
        ),
        (
            "an invalidation, and calls of one process that wait no longer",
            Protocol {
                impatient: true,
                mishaps: Mishaps { expiries: 1, timeouts: 1, ..NOTHING },
                ..Protocol::new([READER, READER, ELSEWHERE, INVALIDATOR])
            },
        ),
        (
            "a clear among calls",
            Protocol {
                mishaps: Mishaps { expiries: 1, timeouts: 1, ..NOTHING },
                ..Protocol::new([READER, ELSEWHERE, CLEARER])
            },
        ),
        (
            "a clear, a refresh and an invalidation",
            Protocol {
                initial: Initial::Value(0),
                mishaps: expiry,
                ..Protocol::new([READER, REFRESHER, INVALIDATOR, CLEARER])
            },
        ),
        ("a clear and a write through", Protocol { mishaps: expiry, ..Protocol::new([READER, CLEARER, WRITER]) }),
        (
            "two invalidations",
            Protocol { mishaps: timeout, ..Protocol::new([READER, READER, INVALIDATOR, INVALIDATOR]) },
        ),
        (
            "two versions of a type",
            Protocol {
                initial: Initial::Value(0),
                mishaps: timeout,
                ..Protocol::new([READER, OTHER_TYPE, OTHER_TYPE, INVALIDATOR])
            },
        ),
        ("two writes through", Protocol { mishaps: expiry, ..Protocol::new([READER, ELSEWHERE, WRITER, WRITER]) }),
        (
            "a write through, and everything goes wrong",
            Protocol {
                mishaps: Mishaps { expiries: 1, timeouts: 2, crashes: 1, ..NOTHING },
                ..Protocol::new([READER, WRITER, INVALIDATOR])
            },
        ),
        (
            "two refreshes",
            Protocol {
                initial: Initial::Value(0),
                mishaps: expiry,
                ..Protocol::new([READER, REFRESHER, REFRESHER, INVALIDATOR])
            },
        ),
        (
            "two refreshes, and everything goes wrong",
            Protocol {
                initial: Initial::Value(0),
                mishaps: Mishaps { expiries: 1, timeouts: 1, crashes: 1, ..NOTHING },
                ..Protocol::new([REFRESHER, refresher_elsewhere, INVALIDATOR])
            },
        ),
        (
            "two refreshes in a field",
            Protocol {
                initial: Initial::Value(0),
                field: true,
                mishaps: Mishaps { expiries: 1, timeouts: 1, ..NOTHING },
                ..Protocol::new([REFRESHER, refresher_elsewhere, INVALIDATOR])
            },
        ),
        (
            "a refresh of a value of the other type",
            Protocol {
                initial: Initial::Value(0),
                mishaps: expiry,
                ..Protocol::new([REFRESHER, OTHER_TYPE, INVALIDATOR])
            },
        ),
        (
            "a refresh and a write through",
            Protocol { initial: Initial::Value(0), mishaps: timeout, ..Protocol::new([READER, REFRESHER, WRITER]) },
        ),
    ]
}

/// The scenarios of the tests in which the entry has a tag, with up to four actors.
#[must_use]
pub fn tagged() -> Vec<Scenario> {
    let eviction = Mishaps { evictions: 1, ..NOTHING };
    let everything = Mishaps { expiries: 1, timeouts: 1, crashes: 1, cancels: 1, evictions: 1, ..NOTHING };
    let of_the_value = |actors: &[Spec]| Protocol { tag: Tag::OfTheValue, ..Protocol::new(actors.iter().copied()) };
    vec![
        ("a tag, and calls alone", Protocol::tagged([READER, READER, READER, ELSEWHERE])),
        ("an invalidation of a tag among calls", Protocol::tagged([READER, READER, ELSEWHERE, TAG_INVALIDATOR])),
        (
            "an invalidation of a tag, and everything goes wrong",
            Protocol { mishaps: everything, ..Protocol::tagged([READER, READER, TAG_INVALIDATOR]) },
        ),
        (
            "invalidations of a tag and of an entry under it",
            Protocol { initial: Initial::Value(0), ..Protocol::tagged([READER, READER, INVALIDATOR, TAG_INVALIDATOR]) },
        ),
        (
            "an invalidation of a tag, and calls that wait no longer",
            Protocol { impatient: true, ..Protocol::tagged([READER, READER, ELSEWHERE, TAG_INVALIDATOR]) },
        ),
        ("two invalidations of a tag", Protocol::tagged([READER, ELSEWHERE, TAG_INVALIDATOR, TAG_INVALIDATOR])),
        (
            "an evicted stamp",
            Protocol {
                initial: Initial::Value(0),
                mishaps: Mishaps { evictions: 2, ..NOTHING },
                ..Protocol::tagged([READER, READER, ELSEWHERE])
            },
        ),
        (
            "a tag, and two refreshes",
            Protocol {
                initial: Initial::Value(0),
                ..Protocol::tagged([READER, REFRESHER, REFRESHER, TAG_INVALIDATOR])
            },
        ),
        (
            "a tag, a refresh, and more goes wrong",
            Protocol {
                initial: Initial::Value(0),
                mishaps: Mishaps { expiries: 1, timeouts: 1, evictions: 1, ..NOTHING },
                ..Protocol::tagged([READER, REFRESHER, TAG_INVALIDATOR])
            },
        ),
        (
            "a tag, and a write through",
            Protocol {
                mishaps: Mishaps { expiries: 1, timeouts: 1, evictions: 1, ..NOTHING },
                ..Protocol::tagged([READER, TAG_INVALIDATOR, WRITER])
            },
        ),
        (
            "a tag made of the value",
            Protocol { mishaps: eviction, ..of_the_value(&[READER, READER, ELSEWHERE, TAG_INVALIDATOR]) },
        ),
        (
            "a tag made of the value, and everything goes wrong",
            Protocol {
                mishaps: Mishaps { expiries: 1, timeouts: 1, crashes: 1, evictions: 1, ..NOTHING },
                ..of_the_value(&[READER, READER, TAG_INVALIDATOR])
            },
        ),
        (
            "a tag made of the value, and a refresh",
            Protocol { initial: Initial::Value(0), ..of_the_value(&[READER, REFRESHER, INVALIDATOR, TAG_INVALIDATOR]) },
        ),
    ]
}

/// The scenarios of the tests in a cluster, with up to four actors: slots move, and failovers lose writes.
#[must_use]
pub fn clusters() -> Vec<Scenario> {
    let value = Initial::Value(0);
    let loss = Mishaps { losses: 1, ..NOTHING };
    let stamp_loss = Mishaps { stamp_losses: 1, ..NOTHING };
    let both = Mishaps { losses: 1, stamp_losses: 1, ..NOTHING };
    vec![
        (
            "a slot that moves, and an invalidation",
            Protocol {
                initial: value,
                mishaps: Mishaps { moves: 2, timeouts: 1, ..NOTHING },
                ..Protocol::new([READER, READER, INVALIDATOR])
            },
        ),
        (
            "a failover, and an invalidation among calls",
            Protocol { mishaps: loss, ..Protocol::new([READER, READER, ELSEWHERE, INVALIDATOR]) },
        ),
        (
            "a failover, and two invalidations",
            Protocol { initial: value, mishaps: loss, ..Protocol::new([READER, READER, INVALIDATOR, INVALIDATOR]) },
        ),
        (
            "two failovers, and more goes wrong",
            Protocol {
                mishaps: Mishaps { losses: 2, expiries: 1, timeouts: 1, ..NOTHING },
                ..Protocol::new([READER, ELSEWHERE, INVALIDATOR])
            },
        ),
        (
            "a failover, a refresh and an invalidation",
            Protocol {
                initial: value,
                mishaps: Mishaps { losses: 1, expiries: 1, ..NOTHING },
                ..Protocol::new([READER, REFRESHER, INVALIDATOR])
            },
        ),
        (
            "a failover, a refresh in a field and an invalidation",
            Protocol { initial: value, field: true, mishaps: loss, ..Protocol::new([READER, REFRESHER, INVALIDATOR]) },
        ),
        (
            "a failover, and a write through",
            Protocol { initial: value, mishaps: loss, ..Protocol::new([READER, ELSEWHERE, INVALIDATOR, WRITER]) },
        ),
        ("a failover, and a clear", Protocol { mishaps: loss, ..Protocol::new([READER, INVALIDATOR, CLEARER]) }),
        (
            "a failover of the slot's node, and an invalidation of a tag",
            Protocol { mishaps: loss, ..Protocol::tagged([READER, ELSEWHERE, TAG_INVALIDATOR]) },
        ),
        (
            "a failover of the stamp's node, and an invalidation of the tag",
            Protocol { mishaps: stamp_loss, ..Protocol::tagged([READER, ELSEWHERE, TAG_INVALIDATOR]) },
        ),
        (
            "a failover of each node, and invalidations of a tag and of an entry under it",
            Protocol { initial: value, mishaps: both, ..Protocol::tagged([READER, INVALIDATOR, TAG_INVALIDATOR]) },
        ),
        (
            "a failover of each node, and a refresh under a tag",
            Protocol { initial: value, mishaps: both, ..Protocol::tagged([READER, REFRESHER, TAG_INVALIDATOR]) },
        ),
    ]
}

/// A call for both ids in the first process.
pub const BATCH: batches::Spec = batches::Spec { role: batches::Role::Caller(&[0, 1]), process: 0 };
/// A call for both ids in the first process, in reverse order.
pub const TURNED: batches::Spec = batches::Spec { role: batches::Role::Caller(&[1, 0]), process: 0 };
/// A call for both ids in the second process, in reverse order.
pub const TURNED_ELSEWHERE: batches::Spec = batches::Spec { process: 1, ..TURNED };
/// A call for the first id in the first process.
pub const SINGLE: batches::Spec = batches::Spec { role: batches::Role::Caller(&[0]), process: 0 };
/// An invalidator of the first id in the second process.
pub const INVALIDATOR_OF_FIRST: batches::Spec = batches::Spec { role: batches::Role::Invalidator(0), process: 1 };

/// The scenarios of the tests for batches.
#[must_use]
pub fn batches() -> Vec<(&'static str, Batches)> {
    let nothing = batches::Mishaps { expiries: 0, crashes: 0, cancels: 0 };
    let everything = batches::Mishaps { expiries: 1, crashes: 1, cancels: 1 };
    vec![
        ("two batches and a single call", Batches::new([BATCH, TURNED, SINGLE])),
        ("three batches", Batches::new([BATCH, TURNED, TURNED_ELSEWHERE])),
        (
            "two batches, and everything goes wrong",
            Batches { mishaps: everything, ..Batches::new([BATCH, TURNED_ELSEWHERE]) },
        ),
        (
            "batches, where processes die",
            Batches {
                mishaps: batches::Mishaps { crashes: 1, ..nothing },
                ..Batches::new([BATCH, TURNED_ELSEWHERE, SINGLE])
            },
        ),
        (
            "an invalidation among batches",
            Batches {
                mishaps: batches::Mishaps { expiries: 1, ..nothing },
                ..Batches::new([BATCH, TURNED_ELSEWHERE, INVALIDATOR_OF_FIRST])
            },
        ),
        (
            "an invalidation among batches, and everything goes wrong",
            Batches { mishaps: everything, ..Batches::new([BATCH, TURNED, INVALIDATOR_OF_FIRST]) },
        ),
    ]
}

/// Larger scenarios, with two to five actors.
#[must_use]
pub fn large(actors: usize) -> Vec<Scenario> {
    let refresher_elsewhere = Spec { process: 1, ..REFRESHER };
    let crew = |crew: [Spec; 5]| {
        let mut crew: Vec<Spec> = crew.into_iter().take(actors).collect();
        crew.sort_unstable();
        Protocol::new(crew)
    };
    let once = Mishaps { expiries: 1, ..NOTHING };
    // Each additional mishap makes a run with five actors several times as large.
    let mishaps =
        if actors < 4 { Mishaps { expiries: 2, timeouts: 2, crashes: 1, cancels: 1, ..NOTHING } } else { once };
    let value = Initial::Value(0);
    vec![
        ("calls and an invalidation", Protocol { mishaps, ..crew([READER, INVALIDATOR, ELSEWHERE, READER, READER]) }),
        (
            "calls and invalidations",
            Protocol { mishaps, ..crew([READER, INVALIDATOR, READER, ELSEWHERE, INVALIDATOR]) },
        ),
        (
            "two versions of a type",
            Protocol { initial: value, mishaps, ..crew([OTHER_TYPE, READER, INVALIDATOR, OTHER_TYPE, READER]) },
        ),
        ("writes through", Protocol { mishaps, ..crew([READER, WRITER, INVALIDATOR, WRITER, ELSEWHERE]) }),
        (
            "refreshes",
            Protocol {
                initial: value,
                mishaps,
                ..crew([REFRESHER, INVALIDATOR, refresher_elsewhere, READER, ELSEWHERE])
            },
        ),
        (
            "refreshes in a field",
            Protocol {
                initial: value,
                field: true,
                mishaps,
                ..crew([REFRESHER, INVALIDATOR, refresher_elsewhere, READER, ELSEWHERE])
            },
        ),
        (
            "everybody",
            Protocol { initial: value, mishaps, ..crew([REFRESHER, INVALIDATOR, WRITER, READER, OTHER_TYPE]) },
        ),
    ]
}
