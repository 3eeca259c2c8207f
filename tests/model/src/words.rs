//! Traces in words.

use crate::check::Model;
use crate::protocol::{At, Data, Initial, Protocol, Reply, Request, Role, Slot, State, Step, Token, Value};

/// A step, and what it leads to.
pub(crate) fn describe(model: &Protocol, before: &State, step: Step, after: &State) -> String {
    let what = happening(model, before, step, after);
    if (before.origin, before.slot, before.acknowledged) == (after.origin, after.slot, after.acknowledged) {
        return what;
    }
    format!("{what}  [origin v{}; slot: {}]", after.origin, slot(after.slot))
}

/// The configuration, and the state in which traces begin.
#[must_use]
pub fn configuration(model: &Protocol) -> String {
    let actors: Vec<String> = (0..model.actors.len())
        .map(|number| {
            let spec = model.actors[number];
            let shape = if spec.shape == 0 { "" } else { ", other type" };
            format!("{} (process {}{shape})", name(model, number), spec.process + 1)
        })
        .collect();
    let initial = match model.initial {
        Initial::Empty => "an empty slot".to_owned(),
        Initial::Value(_) => format!("slot: {}", slot(model.start().slot)),
    };
    let initial = if model.field { format!("{initial}, in a field") } else { initial };
    format!("{}; {initial}; {:?}", actors.join(", "), model.mishaps)
}

fn happening(model: &Protocol, before: &State, step: Step, after: &State) -> String {
    let who = |number| name(model, number);
    let then = |number| next_move(model, before, number, after);
    match step {
        Step::Start(number) => match model.actors[number].role {
            Role::Reader | Role::Refresher => {
                format!("{} calls, after v{} was acknowledged; {}", who(number), before.acknowledged, then(number))
            }
            Role::Invalidator => format!("{} begins; {}", who(number), then(number)),
            Role::Writer => format!("{} begins a write through; {}", who(number), then(number)),
        },
        Step::StartInFlight(number, leader) => format!(
            "{} calls, after v{} was acknowledged, and joins the flight of {} unread",
            who(number),
            before.acknowledged,
            who(leader)
        ),
        Step::StartOnRead(number, other) => format!(
            "{} calls, after v{} was acknowledged, and shares the read that {} has sent before",
            who(number),
            before.acknowledged,
            who(other)
        ),
        Step::Apply(number) => {
            let At::Asked(asked) = before.actors[number].at else { return String::new() };
            let At::Answered(_, answer) = after.actors[number].at else { return String::new() };
            format!("the server applies {} of {}: {}", request(asked), who(number), reply(answer))
        }
        Step::Receive(number) => {
            let At::Answered(asked, answer) = before.actors[number].at else { return String::new() };
            format!("{} is told of its {}: {}; {}", who(number), request(asked), reply(answer), then(number))
        }
        Step::Sample(number) => format!("the body of {} reads v{} from the origin", who(number), before.origin),
        Step::End(number) => format!("the body of {} ends; {}", who(number), then(number)),
        Step::Write(number) if before.origin == after.origin => {
            format!("{} invalidates; {}", who(number), then(number))
        }
        Step::Write(number) => {
            format!("{} writes v{} to the origin; {}", who(number), after.origin, then(number))
        }
        Step::Poll(number) => format!("{} looks again; {}", who(number), then(number)),
        Step::GiveUp(number) => format!("{} waits no longer and computes, unstored", who(number)),
        Step::TimeOut(number) => {
            let asked = match before.actors[number].at {
                At::Asked(asked) | At::Answered(asked, _) => request(asked),
                _ => String::new(),
            };
            let fate = if before.late == after.late { "the reply is lost" } else { "still under way" };
            format!("{} waits no longer for {asked} ({fate}); {}", who(number), then(number))
        }
        Step::ApplyLate(number) => {
            let late = before.late[number].map_or_else(String::new, request);
            format!("the server applies, late, {late}")
        }
        Step::Expire => format!("{} expires", slot(before.slot)),
        Step::Lapse => "the time of the refresh mark is over".to_owned(),
        Step::Crash(process) => format!("process {} dies", process + 1),
        Step::Cancel(number) => format!("{} is cancelled", who(number)),
        Step::HandOver(number, heir) => {
            format!("{} is cancelled; {} goes on with its lease and starts a body", who(number), who(heir))
        }
    }
}

/// What an actor does at the end of a step.
fn next_move(model: &Protocol, before: &State, number: usize, after: &State) -> String {
    let token = after.actors[number].token;
    match after.actors[number].at {
        At::Asked(asked) => format!("it sends {}", request(asked)),
        At::Body if model.actors[number].role == Role::Invalidator => "it has not invalidated yet".to_owned(),
        At::Body if model.actors[number].role == Role::Writer => "its write starts".to_owned(),
        At::Body if token.is_none() && after.actors[number].version.is_none() => "its body starts, unstored".to_owned(),
        At::Body => "its body starts".to_owned(),
        At::Polling => "it waits".to_owned(),
        At::Following => "it follows the flight".to_owned(),
        At::Done if after.acknowledged != before.acknowledged => format!("it returns Ok for v{}", after.acknowledged),
        At::Done => match (before.actors[number].at, before.actors[number].version) {
            (At::Answered(_, Reply::Found(Slot::Value(value))), _) => format!("it returns v{}", value.data.version),
            (_, Some(version)) => format!("it returns v{version}"),
            _ => "it returns".to_owned(),
        },
        At::Answered(..) | At::Idle | At::Gone => "it goes on".to_owned(),
    }
}

/// Roles are counted apart: "reader 1", "reader 2", "invalidator".
fn name(model: &Protocol, number: usize) -> String {
    let role = model.actors[number].role;
    let word = match role {
        Role::Reader => "reader",
        Role::Refresher => "refresher",
        Role::Invalidator => "invalidator",
        Role::Writer => "writer",
    };
    let alike = |actors: &[crate::protocol::Spec]| actors.iter().filter(|spec| spec.role == role).count();
    match alike(&model.actors) {
        1 => word.to_owned(),
        _ => format!("{word} {}", alike(&model.actors[..=number])),
    }
}

fn request(request: Request) -> String {
    match request {
        Request::Read => "GET".to_owned(),
        Request::Acquire(token) => format!("SET NX GET of lease {}", id(token)),
        Request::Displace(token, seen) => format!("displacement of {} by lease {}", value(seen), id(token)),
        Request::Take(token) => format!("SET of lease {}", id(token)),
        Request::Unlink => "UNLINK".to_owned(),
        Request::Fill(token, data) => format!("fill with {} if lease {} stands", content(data), id(token)),
        Request::Set(_, data) => format!("SET of {}", content(data)),
        Request::Release(token) => format!("release of lease {}", id(token)),
        Request::Mark(token, _) => format!("refresh mark {}", id(token)),
        Request::Refill(token, data) => format!("refill with {} if mark {} stands", content(data), id(token)),
    }
}

fn reply(reply: Reply) -> String {
    match reply {
        Reply::Found(held) => slot(held),
        Reply::Yes => "done".to_owned(),
        Reply::No => "refused".to_owned(),
    }
}

fn slot(held: Slot) -> String {
    match held {
        Slot::Empty => "nothing".to_owned(),
        Slot::Lease(token) => format!("lease {}", id(token)),
        Slot::Value(held) => value(held),
    }
}

fn value(value: Value) -> String {
    let mark = value.mark.map_or_else(String::new, |mark| format!(" marked {}", id(mark.token)));
    format!("value {}{mark}", content(value.data))
}

fn content(data: Data) -> String {
    let shape = if data.shape == 0 { "" } else { " of the other type" };
    format!("v{}{shape}", data.version)
}

fn id(token: Token) -> String {
    format!("T{}", token.0)
}
