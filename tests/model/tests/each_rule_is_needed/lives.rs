//! Extensions of stamps.

use protocol_model::check::check;
use protocol_model::lives::{Lives, Property, Rules};

const MODEL: Lives = Lives {
    rules: Rules {
        memory_of_the_stamp: true,
        stamp_before_life: true,
        lives_as_long: true,
        never_shortens: true,
        makes_no_stamp: true,
    },
    time: 4,
    invalidations: 1,
    evictions: 1,
};

#[track_caller]
fn without(rules: Rules, property: Property, events: &[&str]) {
    let report = check(&Lives { rules, ..MODEL }, &[property]);
    println!("{report}\n");
    let trace = report.violation.expect("a violation").trace;
    let mut rest = trace.iter();
    for event in events {
        assert!(rest.any(|line| line.contains(event)), "{event:?} is missing or too early: {trace:#?}");
    }
}

#[test]
fn a_life_is_remembered_for_a_stamp_and_not_for_a_tag() {
    let rules = Rules { memory_of_the_stamp: false, ..Rules::default() };
    let events = ["stores an entry for 3", "second half", "stores an entry for 3", "a unit of time passes"];
    without(rules, Property::NoEarlyMiss, &events);
}

#[test]
fn the_stamp_is_read_before_its_life() {
    let rules = Rules { stamp_before_life: false, ..Rules::default() };
    let events = ["first half", "second half", "a unit of time passes"];
    without(rules, Property::NoEarlyMiss, &events);
}

#[test]
fn a_stamp_that_lives_may_not_live_long_enough() {
    let rules = Rules { lives_as_long: false, ..Rules::default() };
    without(rules, Property::NoEarlyMiss, &["stores an entry for 3", "a unit of time passes"]);
}

#[test]
fn an_extension_does_not_shorten_a_life() {
    let rules = Rules { never_shortens: false, ..Rules::default() };
    without(rules, Property::NoEarlyMiss, &["stores an entry for 3", "stores an entry for 1", "a unit of time passes"]);
}

#[test]
fn an_extension_does_not_bring_a_stamp_back() {
    let rules = Rules { makes_no_stamp: false, ..Rules::default() };
    without(rules, Property::NoStaleHit, &["the tag is invalidated", "half"]);
}

/// Whatever is remembered or extended wrongly makes misses, and nothing stale.
#[test]
fn nothing_but_a_stamp_that_comes_back_is_stale() {
    let rules = Rules {
        memory_of_the_stamp: false,
        stamp_before_life: false,
        lives_as_long: false,
        never_shortens: false,
        makes_no_stamp: true,
    };
    let report = check(&Lives { rules, ..MODEL }, &[Property::NoStaleHit]);
    assert!(report.violation.is_none(), "{report}");
}
