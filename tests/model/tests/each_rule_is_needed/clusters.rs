//! Slots that move, and failovers that lose writes.

use super::*;

#[test]
fn a_key_that_moves_is_at_one_node() {
    let rules = Rules { one_copy: false, ..Rules::default() };
    without(
        rules,
        Protocol {
            initial: Initial::Value(0),
            mishaps: Mishaps { moves: 1, ..Mishaps::default() },
            ..Protocol::new([READER, INVALIDATOR])
        },
        Property::NoStaleReturn,
        &["the slot moves", "applies UNLINK of invalidator: done", "returns Ok for v1", "it returns v0"],
    );
}

#[test]
fn a_failover_may_lose_an_invalidation() {
    let rules = Rules { promises_end_with_their_writes: false, ..Rules::default() };
    without(
        rules,
        Protocol {
            initial: Initial::Value(0),
            mishaps: Mishaps { losses: 1, ..Mishaps::default() },
            ..Protocol::new([READER, INVALIDATOR])
        },
        Property::NoStaleReturn,
        &["no more writes reach", "applies UNLINK", "returns Ok for v1", "slot's node takes over", "it returns v0"],
    );
    without(
        rules,
        Protocol {
            initial: Initial::Value(0),
            mishaps: Mishaps { stamp_losses: 1, ..Mishaps::default() },
            ..Protocol::tagged([READER, TAG_INVALIDATOR])
        },
        Property::NoStaleReturn,
        &["no more writes reach", "applies UNLINK of the stamp", "returns Ok for v1", "stamp's node takes over"],
    );
}

/// A value that a failover brings back has the stamp of its time.
#[test]
fn a_failover_of_the_slots_node_loses_no_invalidation_of_a_tag() {
    let model = Protocol {
        initial: Initial::Value(0),
        mishaps: Mishaps { losses: 1, ..Mishaps::default() },
        rules: Rules { promises_end_with_their_writes: false, ..Rules::default() },
        ..Protocol::tagged([READER, ELSEWHERE, TAG_INVALIDATOR])
    };
    let report = check(&model, &Property::ALL);
    println!("{}\n{report}\n", configuration(&model));
    assert!(report.violation.is_none(), "{report}");
}
