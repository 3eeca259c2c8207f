//! The rules of stamps.

use super::*;

#[test]
fn the_stamp_is_read_before_the_body() {
    let rules = Rules { stamp_before_the_body: false, ..Rules::default() };
    without(
        rules,
        Protocol::tagged([READER, ELSEWHERE, TAG_INVALIDATOR]),
        Property::NoStaleReturn,
        &[
            "reads v0",
            "applies UNLINK of the stamp",
            "applies SET NX GET of stamp",
            "applies fill with v0",
            "it returns v0",
        ],
    );
}

#[test]
fn the_stamp_is_read_before_the_write() {
    let rules = Rules { stamp_before_the_body: false, ..Rules::default() };
    without(
        rules,
        Protocol::tagged([READER, TAG_INVALIDATOR, WRITER]),
        Property::NoStaleReturn,
        &["writer writes v1", "writes v2", "applies UNLINK of the stamp", "applies fill with v1", "it returns v1"],
    );
}

#[test]
fn a_body_starts_after_its_stamp_is_acknowledged() {
    let rules = Rules { body_after_acknowledgement: false, ..Rules::default() };
    without(
        rules,
        Protocol::tagged([READER, ELSEWHERE, TAG_INVALIDATOR]),
        Property::NoStaleReturn,
        &[
            "reads v0",
            "applies UNLINK of the stamp",
            "applies SET NX GET of stamp",
            "applies fill with v0",
            "it returns v0",
        ],
    );
}

#[test]
fn a_refresh_keeps_the_stamp_of_the_value() {
    let rules = Rules { refresh_keeps_the_stamp: false, ..Rules::default() };
    without(
        rules,
        Protocol { initial: Initial::Value(0), ..Protocol::tagged([REFRESHER, ELSEWHERE, TAG_INVALIDATOR]) },
        Property::NoStaleReturn,
        &[
            "reads v0",
            "applies UNLINK of the stamp",
            "applies SET NX GET of stamp",
            "applies refill with v0",
            "it returns v0",
        ],
    );
}

#[test]
fn a_hit_is_under_the_stamp_that_was_read() {
    let rules = Rules { hits_compare_the_stamp: false, ..Rules::default() };
    without(
        rules,
        Protocol { initial: Initial::Value(0), ..Protocol::tagged([READER, TAG_INVALIDATOR]) },
        Property::NoStaleReturn,
        &["applies UNLINK of the stamp", "returns Ok for v1", "no stamp; it returns v0"],
    );
}

#[test]
fn a_lease_is_waited_for_under_the_stamp_that_was_read() {
    let rules = Rules { followers_compare_the_stamp: false, ..Rules::default() };
    without(
        rules,
        Protocol::tagged([READER, READER, TAG_INVALIDATOR]),
        Property::NoStaleReturn,
        &["reads v0", "applies UNLINK of the stamp", "returns Ok for v1", "no stamp; it takes v0"],
    );
}

#[test]
fn no_stamp_is_no_stamp_like_others() {
    let rules = Rules { absent_is_no_stamp: false, ..Rules::default() };
    without(
        rules,
        Protocol::tagged([READER, ELSEWHERE, TAG_INVALIDATOR]),
        Property::NoStaleReturn,
        &["reads v0", "applies UNLINK of the stamp", "it returns v0"],
    );
}

#[test]
fn every_stamp_is_new() {
    let rules = Rules { fresh_stamps: false, ..Rules::default() };
    without(
        rules,
        Protocol { initial: Initial::Value(0), ..Protocol::tagged([READER, ELSEWHERE, TAG_INVALIDATOR]) },
        Property::NoStaleReturn,
        &[
            "applies UNLINK of the stamp",
            "applies SET NX GET of stamp S31",
            "returns Ok for v1",
            "stamp S31; it returns v0",
        ],
    );
}

#[test]
fn a_stamp_is_sent_once() {
    let rules = Rules { stamps_are_sent_once: false, ..Rules::default() };
    let model = Protocol {
        mishaps: Mishaps { timeouts: 1, ..Mishaps::default() },
        ..Protocol::tagged([READER, ELSEWHERE, TAG_INVALIDATOR])
    };
    without(
        rules,
        model,
        Property::NoStaleReturn,
        &[
            "waits no longer for SET NX GET of stamp",
            "applies fill with v0",
            "UNLINK of the stamp",
            "late, SET NX GET of stamp",
            "it returns v0",
        ],
    );
}

#[test]
fn the_slot_is_read_before_the_stamp() {
    let rules = Rules { slot_before_stamp: false, ..Rules::default() };
    without(
        rules,
        Protocol::tagged([READER, ELSEWHERE]),
        Property::OneBodyAtOnce,
        &["the stamp: no stamp", "its body starts", "applies displacement of lease", "its body starts"],
    );
}

#[test]
fn a_value_from_a_flight_is_compared_with_the_stamp_that_it_was_given() {
    let rules = Rules { shared_values_are_compared: false, ..Rules::default() };
    without(
        rules,
        Protocol { tag: Tag::OfTheValue, ..Protocol::new([READER, READER, TAG_INVALIDATOR]) },
        Property::NoStaleReturn,
        &["reads v0", "applies SET NX GET of stamp", "applies UNLINK of the stamp", "returns Ok for v1", "takes v0"],
    );
}
