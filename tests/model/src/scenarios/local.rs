//! The scenarios of the local tier.

use crate::local::{Events, Kind, Local};

const NOTHING: Events = Events {
    puts: 0,
    unlinks: 0,
    tag_unlinks: 0,
    touches: 0,
    flushes: 0,
    losses: 0,
    moves: 0,
    silent_moves: 0,
    failures: 0,
    cancels: 0,
};

/// Calls and one write of their process.
#[must_use]
pub fn beside(calls: usize, write: Kind) -> Local {
    let tag = (write == Kind::InvalidateTag).then_some(0);
    Local { writes: vec![write], tag, ..Local::new(calls) }
}

/// Calls, two moments that are farther apart than the bound, and these events.
#[must_use]
pub fn amid(calls: usize, events: Events) -> Local {
    Local { time: 1, bound: 0, events, ..Local::new(calls) }
}

/// The scenarios of the tests.
#[must_use]
pub fn local() -> Vec<(&'static str, Local)> {
    let put = Events { puts: 1, ..NOTHING };
    let unlink = Events { unlinks: 1, ..NOTHING };
    let tag_unlink = Events { tag_unlinks: 1, ..NOTHING };
    let failure = Events { failures: 1, ..NOTHING };
    let mut scenarios = vec![
        ("an invalidation", beside(2, Kind::Invalidate)),
        ("an invalidation that is delivered later", Local { events: failure, ..beside(2, Kind::Invalidate) }),
        (
            "an invalidation, and an empty slot at first",
            Local { is_empty: true, events: failure, ..beside(2, Kind::Invalidate) },
        ),
        (
            "an invalidation that is cancelled, and a mark",
            Local { events: Events { touches: 1, cancels: 1, ..NOTHING }, ..beside(2, Kind::Invalidate) },
        ),
        (
            "an invalidation, and a lost connection",
            Local { events: Events { losses: 1, ..NOTHING }, ..beside(2, Kind::Invalidate) },
        ),
        ("an invalidation and a refresh", Local { writes: vec![Kind::Invalidate, Kind::Refresh], ..Local::new(2) }),
        ("another process stores a value", amid(3, put)),
        ("another process stores a value, with a finer clock", Local { time: 2, bound: 1, ..amid(2, put) }),
        ("another process invalidates", Local { time: 0, ..amid(3, unlink) }),
        ("another process stores a value and marks it", amid(2, Events { touches: 1, ..put })),
        ("a server that loses its data", amid(2, Events { flushes: 1, ..put })),
        ("a lost connection", amid(2, Events { losses: 1, ..put })),
        ("an entry that is due", Local { due: Some(1), ..amid(3, Events { touches: 1, ..NOTHING }) }),
    ];
    scenarios.extend([
        ("an invalidation of a tag", beside(2, Kind::InvalidateTag)),
        (
            "an invalidation of a tag that is delivered later",
            Local { events: failure, ..beside(2, Kind::InvalidateTag) },
        ),
        ("another process invalidates a tag", Local { tag: Some(0), ..amid(2, tag_unlink) }),
        (
            "another process invalidates a tag, and a lost connection",
            Local { tag: Some(0), ..amid(1, Events { losses: 1, ..tag_unlink }) },
        ),
    ]);
    scenarios.extend([
        ("another process stores a value during a hit", Local { hits_in_steps: true, ..amid(2, put) }),
        (
            "another process invalidates a tag during a hit",
            Local { hits_in_steps: true, tag: Some(0), ..amid(1, tag_unlink) },
        ),
        ("an invalidation during a hit", Local { hits_in_steps: true, ..beside(2, Kind::Invalidate) }),
        ("a lost connection during a hit", Local { hits_in_steps: true, ..amid(2, Events { losses: 1, ..put }) }),
        (
            "a slot that moves without a push during a hit",
            Local { hits_in_steps: true, nodes: 2, ..amid(2, Events { silent_moves: 1, ..put }) },
        ),
    ]);
    scenarios.extend(of_two_nodes(put, tag_unlink));
    scenarios
}

fn of_two_nodes(put: Events, tag_unlink: Events) -> [(&'static str, Local); 6] {
    let two = |model: Local| Local { nodes: 2, ..model };
    [
        ("a stamp on another node", Local { tag: Some(1), ..two(amid(2, tag_unlink)) }),
        (
            "a stamp on another node, and an invalidation of the tag",
            Local { tag: Some(1), ..two(beside(2, Kind::InvalidateTag)) },
        ),
        ("a slot that moves", two(amid(2, Events { moves: 1, ..put }))),
        ("a slot that moves without a push", two(amid(2, Events { silent_moves: 1, ..put }))),
        ("a slot that moves and comes back", two(amid(1, Events { silent_moves: 2, ..put }))),
        (
            "a slot that moves without a push, and an invalidation",
            Local { events: Events { silent_moves: 1, ..NOTHING }, ..two(beside(2, Kind::Invalidate)) },
        ),
    ]
}

/// Larger scenarios.
#[must_use]
pub fn local_large() -> Vec<(&'static str, Local)> {
    let failure = Events { failures: 1, ..NOTHING };
    vec![
        (
            "two invalidations, one of which is delivered later",
            Local { writes: vec![Kind::Invalidate; 2], events: failure, ..Local::new(2) },
        ),
        (
            "invalidations of a tag and of an entry under it",
            Local { writes: vec![Kind::Invalidate, Kind::InvalidateTag], tag: Some(0), ..Local::new(2) },
        ),
        (
            "an invalidation, and what another process does",
            Local { writes: vec![Kind::Invalidate], ..amid(2, Events { puts: 1, unlinks: 1, ..NOTHING }) },
        ),
        ("an invalidation among three calls", beside(3, Kind::Invalidate)),
    ]
}
