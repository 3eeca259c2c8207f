//! Checks every property in every state, with all rules.

use std::collections::{BTreeSet, HashSet};

use protocol_model::check::{Model, check};
use protocol_model::configuration;
use protocol_model::lives::{self, Lives};
use protocol_model::local;
use protocol_model::protocol::{At, Property, Reply, Step};
use protocol_model::scenarios::{self, Scenario, batches, clusters, small, tagged};

#[test]
fn every_property_holds_in_every_state() {
    hold(small());
}

#[test]
fn every_property_holds_in_every_state_under_a_tag() {
    hold(tagged());
}

#[test]
fn every_property_holds_in_every_state_in_a_cluster() {
    hold(clusters());
}

#[track_caller]
fn hold(scenarios: Vec<Scenario>) {
    for (name, model) in scenarios {
        let report = check(&model, &Property::ALL);
        println!("{name}: {}\n    {report}", configuration(&model));
        assert!(report.violation.is_none(), "{name}: {report}");
    }
}

#[test]
fn every_property_holds_in_every_state_of_batches() {
    let mut happened = BTreeSet::new();
    for (name, model) in batches() {
        let report = check(&model, &Property::ALL);
        println!("{name}: {:?}\n    {report}", model.mishaps);
        assert!(report.violation.is_none(), "{name}: {report}");
        explore(&model, |_, step| {
            happened.insert(word(step));
        });
    }
    let expected = ["Again", "Apply", "Cancel", "Crash", "End", "Expire", "Receive", "Release", "Sample", "Start"];
    assert_eq!(happened.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn every_property_holds_in_every_state_of_the_lives_of_stamps() {
    let model = Lives { rules: lives::Rules::default(), time: 5, invalidations: 1, evictions: 1 };
    let report = check(&model, &lives::Property::ALL);
    println!("the lives of stamps\n    {report}");
    assert!(report.violation.is_none(), "{report}");
}

#[test]
fn every_property_holds_in_every_state_of_the_local_tier() {
    for (name, model) in scenarios::local() {
        let report = check(&model, &local::Property::ALL);
        println!("{name}\n    {report}");
        assert!(report.violation.is_none(), "{name}: {report}");
    }
}

/// A tier that serves nothing has every property, too.
#[test]
fn the_local_tier_serves_after_all_that_happens() {
    let mut happened = BTreeSet::new();
    for (name, model) in scenarios::local() {
        let mut served = BTreeSet::new();
        explore(&model, |state, step| {
            happened.insert(word(step));
            if let Some(entry) = state.entry().filter(|_| model.serves(state)) {
                served.insert((entry.value.version, entry.node));
            }
        });
        let is_changed = model.events.puts + model.events.unlinks + model.events.tag_unlinks > 0 || model.is_empty;
        let is_moved = model.events.moves + model.events.silent_moves > 0;
        assert!(served.iter().any(|&(version, _)| version > 1 || !is_changed), "{name}: {served:?}");
        assert!(served.iter().any(|&(_, node)| node == 1 || !is_moved), "{name}: {served:?}");
    }
    let expected = [
        "Apply",
        "ApplyWrite",
        "Begin",
        "Call",
        "Cancel",
        "Consume",
        "Deliver",
        "Delivered",
        "Fail",
        "Find",
        "Handle",
        "Insert",
        "Look",
        "LookAgain",
        "Outside",
        "Probe",
        "Receive",
        "Reconnect",
        "Return",
        "Serve",
        "Served",
        "Tick",
        "Void",
    ];
    assert_eq!(happened.into_iter().collect::<Vec<_>>(), expected);
}

/// The number of states of each scenario that suffices to see all kinds of steps.
const ENOUGH: usize = 20_000;

/// Passes the steps of some states to a function, with the state before.
fn explore<M: Model>(model: &M, mut tell: impl FnMut(&M::State, M::Step)) {
    let mut open = vec![model.canonical(model.start())];
    let mut seen: HashSet<_> = open.iter().cloned().collect();
    let mut steps = Vec::new();
    while let Some(state) = open.pop().filter(|_| seen.len() < ENOUGH) {
        steps.clear();
        model.steps(&state, &mut steps);
        for &step in &steps {
            tell(&state, step);
            let next = model.canonical(model.next(&state, step));
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
}

/// Checks that all kinds of steps happen, because a model in which little happens has every property.
#[test]
fn everything_that_is_modelled_happens() {
    let mut happened = BTreeSet::new();
    for (_, model) in small().into_iter().chain(tagged()).chain(clusters()) {
        explore(&model, |state, step| {
            happened.insert(match step {
                Step::Receive(number) => match state.actors[number].at {
                    At::Answered(request, reply) => (Some(word(request)), outcome(reply)),
                    at => unreachable!("a reply at {at:?}"),
                },
                step => (None, word(step)),
            });
        });
    }
    let steps: Vec<&str> = happened.iter().filter(|(request, _)| request.is_none()).map(|(_, step)| &**step).collect();
    let expected = [
        "Apply",
        "ApplyLate",
        "Cancel",
        "Crash",
        "End",
        "Evict",
        "Expire",
        "FailOver",
        "FailOverStamp",
        "GiveUp",
        "HandOver",
        "Lag",
        "LagStamp",
        "Lapse",
        "Move",
        "Poll",
        "Sample",
        "Start",
        "TimeOut",
        "Write",
    ];
    assert_eq!(steps, expected);
    let answers: Vec<String> =
        happened.iter().filter_map(|(request, reply)| Some(format!("{} {reply}", request.as_ref()?))).collect();
    let expected = [
        "Acquire Found Lease",
        "Acquire Found Value",
        "Acquire Yes",
        "Displace No",
        "Displace Yes",
        "Fill No",
        "Fill Yes",
        "Mark No",
        "Mark Yes",
        "Read Found Empty",
        "Read Found Lease",
        "Read Found Value",
        "ReadStamp Found Empty",
        "ReadStamp Found Lease",
        "ReadStamp Found Value",
        "Refill No",
        "Refill Yes",
        "Release No",
        "Release Yes",
        "ScanEnd No",
        "ScanEnd Yes",
        "Stamp Stamped",
        "Stamp Yes",
        "Take Yes",
        "Unlink Yes",
        "UnlinkStamp Yes",
    ];
    assert_eq!(answers, expected);
}

fn outcome(reply: Reply) -> String {
    match reply {
        Reply::Found(slot, _) => format!("Found {}", word(slot)),
        reply => word(reply),
    }
}

/// The name of an enum's variant.
fn word(of: impl std::fmt::Debug) -> String {
    let text = format!("{of:?}");
    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
}
