//! The local tier: what is served in a process without a request.

use protocol_model::check::check;
use protocol_model::local::{Events, Interleaving, Kind, Local, Property, Rules};
use protocol_model::scenarios::{amid, beside, local};

const PUT: Events = Events {
    puts: 1,
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
const NOTHING: Events = Events { puts: 0, ..PUT };
const TAG_UNLINK: Events = Events { tag_unlinks: 1, ..NOTHING };
const FAILURE: Events = Events { failures: 1, ..NOTHING };

/// Checks that `model` has every property with all rules, and lacks this one with `rules`. The trace must contain these
/// steps in this order.
#[track_caller]
fn without(rules: Rules, model: Local, property: Property, steps: &[&str]) -> usize {
    assert_ne!(rules, Rules::default(), "a rule is missing");
    let whole = check(&model, &Property::ALL);
    assert!(whole.violation.is_none(), "with all rules: {whole}");

    let report = check(&Local { rules, ..model }, &[property]);
    println!("{report}\n");
    let trace = report.violation.expect("the rule is needed").trace;
    let mut lines = trace.iter();
    for step in steps {
        assert!(lines.any(|line| line.contains(step)), "no {step:?} where it is expected");
    }
    trace.len()
}

#[test]
fn a_value_is_confirmed_before_it_is_admitted() {
    let rules = Rules { confirm: false, ..Rules::default() };
    let steps = ["read of call 1: v1", "stores v2", "call 1 is told", "is served v1"];
    without(rules, amid(1, Events { touches: 1, ..PUT }), Property::WithinTheBound, &["stores v2", "is served v1"]);
    without(rules, amid(2, PUT), Property::NothingOlder, &steps);
}

#[test]
fn a_push_overtakes_what_is_confirmed() {
    let rules = Rules { overtaken: false, ..Rules::default() };
    let steps = ["serves the confirmation", "stores v2", "a push of the slot", "inserts it", "is served v1"];
    without(rules, amid(1, PUT), Property::WithinTheBound, &steps);
}

#[test]
fn an_invalidation_voids_after_its_reply() {
    let rules = Rules { void_after: false, ..Rules::default() };
    let steps = ["it voids and sends", "serves the confirmation", "the invalidation: done", "is served v1"];
    without(rules, beside(1, Kind::Invalidate), Property::NothingFromBefore, &steps);
}

#[test]
fn a_void_drops_the_tickets() {
    let rules = Rules { void_pending: false, ..Rules::default() };
    let steps = ["serves the confirmation", "the invalidation: done", "is served v1"];
    without(rules, beside(1, Kind::Invalidate), Property::NothingFromBefore, &steps);
    let steps = ["serves the confirmation of the stamp", "the invalidation of the tag: done", "is served v1"];
    without(rules, beside(1, Kind::InvalidateTag), Property::NothingFromBefore, &steps);
}

#[test]
fn a_refresh_voids_after_its_fill() {
    let rules = Rules { fill_voids: false, ..Rules::default() };
    let steps = ["serves the confirmation", "the refresh: done", "is served v1 (promised: v2"];
    without(rules, beside(1, Kind::Refresh), Property::NothingFromBefore, &steps);
}

#[test]
fn a_new_connection_suspends_the_entries_of_its_node() {
    let rules = Rules { generation: false, ..Rules::default() };
    let steps = ["stores v2", "is lost", "connects to node 1 again", "is served v1"];
    without(rules, amid(1, Events { losses: 1, ..PUT }), Property::WithinTheBound, &steps);
}

#[test]
fn tracking_is_turned_on_again() {
    let rules = Rules { tracking: false, ..Rules::default() };
    let steps = ["is lost", "connects to node 1 again", "serves the confirmation", "stores v2", "is served v1"];
    without(rules, amid(1, Events { losses: 1, ..PUT }), Property::WithinTheBound, &steps);
}

#[test]
fn a_hit_needs_a_proof_of_life() {
    let rules = Rules { horizon: false, ..Rules::default() };
    without(rules, amid(1, PUT), Property::WithinTheBound, &["stores v2", "time passes", "is served v1"]);
}

#[test]
fn a_hit_looks_at_the_proof_first() {
    let rules = Rules { proof_first: false, ..Rules::default() };
    let model = Local { hits_in_steps: true, ..amid(1, PUT) };
    let steps =
        ["stores v2", "time passes", "finds the entry", "first half", "a push of the slot", "the answer", "served v1"];
    without(rules, model, Property::WithinTheBound, &steps);
}

#[test]
fn an_entry_that_leaves_is_not_served() {
    let rules = Rules { leaving: false, ..Rules::default() };
    let model = Local { hits_in_steps: true, ..amid(2, PUT) };
    let steps = ["stores v2", "time passes", "finds the entry", "call 2 is told", "the answer", "served v1"];
    without(rules, model, Property::WithinTheBound, &steps);
}

#[test]
fn a_proof_is_as_old_as_its_heartbeat() {
    let rules = Rules { probe_sent: false, ..Rules::default() };
    let steps =
        ["sends a heartbeat", "serves the heartbeat", "stores v2", "the answer to the heartbeat", "is served v1"];
    without(rules, Local { time: 2, ..amid(1, PUT) }, Property::WithinTheBound, &steps);
}

#[test]
fn a_push_without_a_key_suspends_all() {
    let rules = Rules { null: false, ..Rules::default() };
    let steps = ["node 1 loses its data", "a push of all keys", "is served v1"];
    without(rules, amid(1, Events { flushes: 1, ..NOTHING }), Property::WithinTheBound, &steps);
}

#[test]
fn a_push_suspends() {
    let rules = Rules { push: false, ..Rules::default() };
    without(rules, amid(1, PUT), Property::WithinTheBound, &["stores v2", "a push of the slot", "is served v1"]);
}

#[test]
fn a_push_of_a_stamp_suspends_what_is_under_it() {
    let rules = Rules { tag: false, ..Rules::default() };
    let model = Local { tag: Some(0), ..amid(1, TAG_UNLINK) };
    let steps = ["another process invalidates the tag", "a push of the stamp", "is served v1"];
    without(rules, model, Property::WithinTheBound, &steps);
}

#[test]
fn a_stamp_is_confirmed_too() {
    let rules = Rules { tag_confirm: false, ..Rules::default() };
    let model = Local { tag: Some(0), ..amid(1, TAG_UNLINK) };
    without(rules, model, Property::WithinTheBound, &["another process invalidates the tag", "is served v1"]);
}

#[test]
fn a_later_offer_takes_the_place_of_an_earlier_one() {
    let rules = Rules { newest: false, ..Rules::default() };
    let steps = ["serves the confirmation for call 1", "stores v2", "it returns v2", "inserts it", "is served v1"];
    without(rules, amid(2, PUT), Property::NothingOlder, &steps);
}

#[test]
fn a_read_of_another_value_removes_the_entry() {
    let rules = Rules { read_voids: false, ..Rules::default() };
    without(rules, amid(2, PUT), Property::NothingOlder, &["entry: v1, live", "it returns v2", "is served v1"]);
}

/// The voids since an offer's read decide about it. Without that, a closed tier holds only until the delivery.
#[test]
fn nothing_is_served_while_an_invalidation_is_undelivered() {
    let model = Local { events: FAILURE, ..beside(1, Kind::Invalidate) };
    let rules = Rules { offer_epoch: false, ..Rules::default() };
    let steps = ["gives up", "second half", "serves the confirmation", "is told that nothing", "is served v1"];
    let delivered = without(rules, model.clone(), Property::NothingFromBefore, &steps);
    let rules = Rules { pending: false, ..rules };
    let steps = ["gives up", "second half", "takes the reply for call 1", "is served v1"];
    let undelivered = without(rules, model, Property::NothingFromBefore, &steps);
    assert_eq!((delivered, undelivered), (15, 13));
}

#[test]
fn an_offer_is_refused_after_a_void() {
    let rules = Rules { offer_epoch: false, ..Rules::default() };
    let steps = ["read of call 1: v1", "gives up", "first half", "it offers", "what was undelivered", "is served v1"];
    let model = Local { events: FAILURE, ..beside(1, Kind::Invalidate) };
    without(rules, model, Property::NothingFromBefore, &steps);
    let rules = Rules { tag_epoch: false, ..Rules::default() };
    let model = Local { events: FAILURE, ..beside(1, Kind::InvalidateTag) };
    without(rules, model, Property::NothingFromBefore, &steps);
}

#[test]
fn an_offer_is_compared_and_taken_in_one_step() {
    let rules = Rules { offer_in_one_step: false, ..Rules::default() };
    let model = Local { events: FAILURE, ..beside(1, Kind::Invalidate) };
    let steps = ["nothing was voided", "first half", "makes its offer", "what was undelivered", "is served v1"];
    without(rules, model, Property::NothingFromBefore, &steps);
}

#[test]
fn a_suspended_entry_is_confirmed_again() {
    let rules = Rules { revive: false, ..Rules::default() };
    let model = amid(2, Events { touches: 1, ..PUT });
    without(rules, model, Property::WithinTheBound, &["entry: v1, suspended", "entry: v1, live", "is served v1"]);
}

#[test]
fn a_read_that_shows_no_value_removes_the_entry() {
    let rules = Rules { miss_voids: false, ..Rules::default() };
    let model = Local { time: 0, ..amid(3, Events { unlinks: 1, ..NOTHING }) };
    let steps = ["another process invalidates", "the lease of another call", "call 3 is told", "is served v1"];
    without(rules, model, Property::NothingOlder, &steps);
}

#[test]
fn the_keeper_looks_once_more() {
    let rules = Rules { second_look: false, ..Rules::default() };
    let steps = ["and looks: it stands", "second half", "the keeper inserts it", "is served v1"];
    without(rules, beside(1, Kind::Invalidate), Property::NothingFromBefore, &steps);
}

#[test]
fn the_second_look_is_at_the_ticket() {
    let rules = Rules { look_at_ticket: false, ..Rules::default() };
    let model = Local { interleaving: Interleaving::Writes, ..amid(2, PUT) };
    let steps = ["and looks: it stands", "it returns v2", "inserts it", "looks once more", "is served v1"];
    without(rules, model, Property::NothingOlder, &steps);
    // If the driver runs on another thread than the keeper, a push is overlooked too.
    let steps = ["and looks: it stands", "a push of the slot", "inserts it", "looks once more", "is served v1"];
    without(rules, amid(1, PUT), Property::WithinTheBound, &steps);
}

#[test]
fn an_entry_is_served_after_the_second_look() {
    let rules = Rules { publish_after_look: false, ..Rules::default() };
    let model = Local { interleaving: Interleaving::Writes, ..beside(1, Kind::Invalidate) };
    let steps = ["and looks: it stands", "second half", "the keeper inserts it", "is served v1"];
    without(rules, model.clone(), Property::NothingFromBefore, &steps);
    // The same if it looks at the voids.
    without(Rules { look_at_ticket: false, ..rules }, model, Property::NothingFromBefore, &steps);
}

/// With a lock around the admission there is nothing to look at again.
#[test]
fn an_admission_in_one_step_needs_no_second_look() {
    let rules = Rules { second_look: false, look_at_ticket: false, publish_after_look: false, ..Rules::default() };
    for (name, model) in local().into_iter().filter(|(_, model)| model.nodes == 1) {
        let report = check(&Local { rules, interleaving: Interleaving::Nothing, ..model }, &Property::ALL);
        assert!(report.violation.is_none(), "{name}: {report}");
    }
}

#[test]
fn a_void_drops_the_tickets_before_it_removes_the_entry() {
    let rules = Rules { ticket_first: false, ..Rules::default() };
    let steps = ["first half", "inserts it", "second half", "is served v1"];
    without(rules, beside(1, Kind::Invalidate), Property::NothingFromBefore, &steps);
    let model = Local { interleaving: Interleaving::Nothing, ..beside(1, Kind::Invalidate) };
    without(
        rules,
        model,
        Property::NothingFromBefore,
        &["first half", "takes the reply", "second half", "is served v1"],
    );
}

#[test]
fn a_hit_needs_a_proof_of_the_stamps_node() {
    let rules = Rules { tag_horizon: false, ..Rules::default() };
    let model = Local { tag: Some(1), nodes: 2, ..amid(1, TAG_UNLINK) };
    let steps = ["another process invalidates the tag", "the answer to the heartbeat", "is served v1"];
    without(rules, model, Property::WithinTheBound, &steps);
}

#[test]
fn a_slot_that_moves_suspends_its_entries() {
    let rules = Rules { moves: false, ..Rules::default() };
    let model = Local { nodes: 2, ..amid(1, Events { silent_moves: 1, ..PUT }) };
    let steps = ["without a push", "stores v2", "the answer to the heartbeat", "is served v1"];
    without(rules, model, Property::WithinTheBound, &steps);
}

#[test]
fn a_heartbeat_shows_that_no_slot_has_moved() {
    let rules = Rules { no_move_between: false, ..Rules::default() };
    let model = Local { nodes: 2, ..amid(1, Events { silent_moves: 2, ..PUT }) };
    let steps = ["moves to node 2", "moves to node 1", "the answer to the heartbeat", "is served v1"];
    without(rules, model, Property::WithinTheBound, &steps);
}

#[test]
fn one_call_leaves_the_tier_when_an_entry_is_due() {
    let rules = Rules { one_at_due: false, ..Rules::default() };
    let model = Local { due: Some(1), ..amid(3, NOTHING) };
    without(rules, model, Property::OneAtDue, &["the entry is due", "the entry is due"]);
}

/// A void before a write is early, and not needed: the void after it comes before the write returns. An offer that comes
/// before its fill is confirmed after it, or refused. And an undelivered invalidation has voided what was there before.
#[test]
fn some_precautions_are_not_needed() {
    let rules = Rules { void_before: false, offer_after_fill: false, pending: false, ..Rules::default() };
    for (name, model) in local().into_iter().filter(|(_, model)| model.nodes == 1) {
        let report = check(&Local { rules, ..model }, &Property::ALL);
        assert!(report.violation.is_none(), "{name}: {report}");
    }
}
