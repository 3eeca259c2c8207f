//! Each test removes one rule, and the checker shows the harm. The command `cargo test -p
//! protocol-model --test each_rule_is_needed -- --nocapture` prints the traces.

mod clusters;
mod lives;
mod local;
mod stamps;

use protocol_model::batches::{self, Batches};
use protocol_model::check::{Report, check};
use protocol_model::configuration;
use protocol_model::protocol::{Initial, Mishaps, Property, Protocol, Rules, Tag};
use protocol_model::scenarios::{
    BATCH, CLEARER, ELSEWHERE, INVALIDATOR, INVALIDATOR_OF_FIRST, OTHER_TYPE, READER, REFRESHER, SINGLE,
    TAG_INVALIDATOR, TURNED, TURNED_ELSEWHERE, WRITER,
};

/// Checks that `model` has every property with all rules, and lacks this one with `rules`. The trace
/// must contain these steps in this order, so that it shows the intended harm.
#[track_caller]
fn without(rules: Rules, model: Protocol, property: Property, steps: &[&str]) {
    assert_ne!(rules, Rules::default(), "a rule is missing");
    let whole = check(&model, &Property::ALL);
    assert!(whole.violation.is_none(), "with all rules: {whole}");

    let broken = Protocol { rules, ..model };
    let report = check(&broken, &[property]);
    println!("{}\n{report}\n", configuration(&broken));
    shows(report, steps);
}

/// Checks the same for batches.
#[track_caller]
fn batches_without(rules: batches::Rules, model: Batches, property: Property, steps: &[&str]) {
    assert_ne!(rules, batches::Rules::default(), "a rule is missing");
    let whole = check(&model, &Property::ALL);
    assert!(whole.violation.is_none(), "with all rules: {whole}");

    let report = check(&Batches { rules, ..model }, &[property]);
    println!("{report}\n");
    shows(report, steps);
}

#[track_caller]
fn shows(report: Report<Property>, steps: &[&str]) {
    let violation = report.violation.expect("the rule is needed");
    let mut lines = violation.trace.iter();
    for step in steps {
        assert!(lines.any(|line| line.contains(step)), "no {step:?} where it is expected");
    }
}

#[test]
fn a_call_joins_only_a_flight_that_its_own_read_saw() {
    let rules = Rules { join_only_what_was_read: false, ..Rules::default() };
    without(
        rules,
        Protocol::new([READER, READER, INVALIDATOR]),
        Property::NoStaleReturn,
        &["reads v0", "returns Ok for v1", "joins the flight"],
    );
}

#[test]
fn an_accepted_fill_is_no_licence_to_share() {
    let rules = Rules { acceptance_is_no_licence: false, ..Rules::default() };
    without(
        rules,
        Protocol::new([READER, READER, INVALIDATOR]),
        Property::NoStaleReturn,
        &["applies fill with v0", "returns Ok for v1", "joins the flight"],
    );
}

#[test]
fn a_read_that_was_already_sent_is_not_shared() {
    let rules = Rules { no_shared_reads: false, ..Rules::default() };
    without(
        rules,
        Protocol { initial: Initial::Value(0), ..Protocol::new([READER, READER, INVALIDATOR]) },
        Property::NoStaleReturn,
        &["applies GET", "returns Ok for v1", "shares the read"],
    );
}

#[test]
fn what_is_a_miss_is_not_unlinked_first() {
    let rules = Rules { displace_in_one_step: false, ..Rules::default() };
    without(
        rules,
        Protocol { initial: Initial::Value(0), ..Protocol::new([OTHER_TYPE, OTHER_TYPE]) },
        Property::OneBodyAtOnce,
        &["applies SET NX GET", "applies UNLINK", "its body starts"],
    );
}

#[test]
fn what_is_a_miss_is_displaced_by_comparison() {
    let rules = Rules { displace_by_comparison: false, ..Rules::default() };
    without(
        rules,
        Protocol { initial: Initial::Value(0), ..Protocol::new([OTHER_TYPE, OTHER_TYPE]) },
        Property::OneBodyAtOnce,
        &["applies SET of lease T2", "applies SET of lease T3", "its body starts", "its body starts"],
    );
}

#[test]
fn a_fill_needs_the_token_in_the_slot() {
    let rules = Rules { conditional_fill: false, ..Rules::default() };
    without(
        rules,
        Protocol::new([READER, INVALIDATOR, ELSEWHERE]),
        Property::NoStaleReturn,
        &["reads v0", "applies UNLINK", "applies SET of v0", "it returns v0"],
    );
}

#[test]
fn every_lease_has_a_token_of_its_own() {
    let rules = Rules { fresh_tokens: false, ..Rules::default() };
    without(
        rules,
        Protocol::new([READER, READER, INVALIDATOR, ELSEWHERE]),
        Property::NoStaleReturn,
        &["reads v0", "applies UNLINK", "applies SET NX GET of lease", "applies fill with v0", "it returns v0"],
    );
}

#[test]
fn a_body_starts_after_its_lease_is_acknowledged() {
    let rules = Rules { body_after_acknowledgement: false, ..Rules::default() };
    without(
        rules,
        Protocol::new([READER, INVALIDATOR, ELSEWHERE]),
        Property::NoStaleReturn,
        &["reads v0", "applies UNLINK", "applies SET NX GET", "applies fill with v0", "it returns v0"],
    );
}

#[test]
fn a_write_starts_after_its_lease_is_acknowledged() {
    let rules = Rules { body_after_acknowledgement: false, ..Rules::default() };
    without(
        rules,
        Protocol::new([WRITER, INVALIDATOR, READER]),
        Property::NoStaleReturn,
        &["writer writes v1", "applies UNLINK", "applies SET of lease", "applies fill with v1", "it returns v1"],
    );
}

#[test]
fn who_was_not_told_of_the_lease_stores_nothing() {
    let rules = Rules { no_lease_no_store: false, ..Rules::default() };
    without(
        rules,
        Protocol {
            mishaps: Mishaps { timeouts: 1, ..Mishaps::default() },
            ..Protocol::new([READER, INVALIDATOR, ELSEWHERE])
        },
        Property::NoStaleReturn,
        &["reads v0", "applies UNLINK", "late, SET NX GET", "applies fill with v0", "it returns v0"],
    );
}

#[test]
fn a_write_takes_the_slot_before_it_stores() {
    let rules = Rules { write_takes_the_slot: false, ..Rules::default() };
    without(
        rules,
        Protocol::new([WRITER, INVALIDATOR, READER]),
        Property::NoStaleReturn,
        &["writer writes v1", "applies UNLINK", "applies SET of v1", "it returns v1"],
    );
}

#[test]
fn a_plain_set_of_a_value_outlives_its_clean_up() {
    let rules = Rules { write_takes_the_slot: false, ..Rules::default() };
    let model = Protocol {
        mishaps: Mishaps { timeouts: 1, ..Mishaps::default() },
        // The invalidation comes long after the write has ended.
        invalidate_last: true,
        ..Protocol::new([WRITER, INVALIDATOR, READER])
    };
    without(
        rules,
        model,
        Property::NoStaleReturn,
        &[
            "waits no longer for SET of v1",
            "applies UNLINK",
            "writes v2",
            "applies UNLINK",
            "late, SET of v1",
            "it returns v1",
        ],
    );
}

#[test]
fn a_write_whose_fill_is_refused_erases_the_slot() {
    let rules = Rules { refused_write_erases: false, ..Rules::default() };
    without(
        rules,
        Protocol {
            mishaps: Mishaps { expiries: 1, ..Mishaps::default() },
            ..Protocol::new([WRITER, READER, ELSEWHERE])
        },
        Property::NoStaleReturn,
        &["expires", "reads v0", "writes v1", "refused", "it returns v0"],
    );
}

#[test]
fn after_a_fill_of_unknown_fate_only_the_own_lease_is_deleted() {
    let rules = Rules { clean_up_by_comparison: false, ..Rules::default() };
    let model = Protocol {
        initial: Initial::Value(0),
        mishaps: Mishaps { timeouts: 1, ..Mishaps::default() },
        ..Protocol::new([READER, OTHER_TYPE, OTHER_TYPE])
    };
    without(rules, model, Property::OneBodyAtOnce, &["waits no longer for fill", "applies UNLINK", "its body starts"]);
}

#[test]
fn a_refresh_is_marked_in_the_value_itself() {
    let rules = Rules { mark_in_the_value: false, ..Rules::default() };
    without(
        rules,
        Protocol { initial: Initial::Value(0), ..Protocol::new([REFRESHER, ELSEWHERE, ELSEWHERE, INVALIDATOR]) },
        Property::NoStaleReturn,
        &["reads v0", "applies UNLINK", "applies fill with v1", "applies refill with v0", "it returns v0"],
    );
}

#[test]
fn whoever_writes_a_field_erases_its_companion() {
    let rules = Rules { writes_erase_the_companion: false, ..Rules::default() };
    let actors = [REFRESHER, ELSEWHERE, ELSEWHERE, INVALIDATOR];
    without(
        rules,
        Protocol { initial: Initial::Value(0), field: true, ..Protocol::new(actors) },
        Property::NoStaleReturn,
        &["reads v0", "applies UNLINK", "applies fill with v1", "applies refill with v0", "it returns v0"],
    );
}

#[test]
fn a_clear_removes_leases_too() {
    let rules = Rules { clear_removes_leases: false, ..Rules::default() };
    without(
        rules,
        Protocol::new([READER, ELSEWHERE, CLEARER]),
        Property::NoStaleReturn,
        &[
            "reads v0",
            "begins the SCAN of clearer, at lease",
            "applies fill with v0",
            "returns Ok for v1",
            "returns v0",
        ],
    );
}

#[test]
fn a_refresh_is_stored_only_where_there_is_a_value() {
    let rules = Rules { refill_needs_a_value: false, ..Rules::default() };
    let model =
        Protocol { initial: Initial::Value(0), field: true, ..Protocol::new([REFRESHER, INVALIDATOR, ELSEWHERE]) };
    without(
        rules,
        model,
        Property::NoStaleReturn,
        &["reads v0", "applies UNLINK", "applies refill with v0", "it returns v0"],
    );
}

#[test]
fn a_cancelled_leader_hands_its_flight_over() {
    let rules = Rules { hand_over: false, ..Rules::default() };
    let mishaps = Mishaps { cancels: 1, ..Mishaps::default() };
    without(rules, Protocol { mishaps, ..Protocol::new([READER, READER]) }, Property::Progress, &["is cancelled"]);
}

#[test]
fn leases_expire() {
    let rules = Rules { leases_expire: false, ..Rules::default() };
    let mishaps = Mishaps { crashes: 1, ..Mishaps::default() };
    without(rules, Protocol { mishaps, ..Protocol::new([READER, ELSEWHERE]) }, Property::Progress, &["dies"]);
}

#[test]
fn of_the_calls_that_wait_no_longer_one_computes_for_its_others() {
    let rules = Rules { one_computes_for_its_others: false, ..Rules::default() };
    without(
        rules,
        Protocol { impatient: true, ..Protocol::new([READER, READER, ELSEWHERE]) },
        Property::OneForItsOthers,
        &["waits no longer; its body starts, unstored", "waits no longer; its body starts, unstored"],
    );
}

#[test]
fn a_call_that_waits_no_longer_shares_a_body_that_began_later() {
    let rules = Rules { share_what_began_later: false, ..Rules::default() };
    without(
        rules,
        Protocol { impatient: true, ..Protocol::new([READER, READER, ELSEWHERE, INVALIDATOR]) },
        Property::NoStaleReturn,
        &["reads v0", "returns Ok for v1", "waits no longer; it shares a body of its process"],
    );
}

#[test]
fn a_dead_leader_is_replaced_by_one() {
    let rules = Rules { one_replaces_the_dead: false, ..Rules::default() };
    let mishaps = Mishaps { crashes: 1, ..Mishaps::default() };
    without(
        rules,
        Protocol { impatient: true, mishaps, ..Protocol::new([READER, READER, ELSEWHERE]) },
        Property::OneForItsOthers,
        &["dies", "expires", "looks again; its body starts, unstored"],
    );
}

#[test]
fn a_batch_stores_what_it_owns_before_it_waits() {
    let rules = batches::Rules { fill_before_waiting: false, ..batches::Rules::default() };
    for other in [TURNED_ELSEWHERE, TURNED] {
        batches_without(
            rules,
            Batches::new([BATCH, other]),
            Property::Progress,
            &["SET NX GET of 1 of call 1", "SET NX GET of 2 of call 2"],
        );
    }
}

#[test]
fn each_value_of_a_batch_is_stored_by_its_own_lease() {
    let rules = batches::Rules { each_by_its_lease: false, ..batches::Rules::default() };
    batches_without(
        rules,
        Batches::new([BATCH, SINGLE, INVALIDATOR_OF_FIRST]),
        Property::NoStaleReturn,
        &["reads v0", "applies UNLINK", "applies fill of 1", "returns Ok for v1", "it returns v0 of 1"],
    );
}

#[test]
fn a_batch_gives_back_all_its_leases() {
    let rules = batches::Rules { all_are_given_back: false, ..batches::Rules::default() };
    let mishaps = batches::Mishaps { cancels: 1, ..batches::Mishaps::default() };
    batches_without(
        rules,
        Batches { mishaps, ..Batches::new([BATCH, TURNED_ELSEWHERE]) },
        Property::Progress,
        &["is cancelled"],
    );
}
