//! Describes traces in words.

use crate::check::Model;
use crate::protocol::{At, Data, Initial, Lease, Protocol, Reply, Request, Role, Slot, State, Step, Tag, Token, Value};

/// A step, and its effect.
pub(crate) fn describe(model: &Protocol, before: &State, step: Step, after: &State) -> String {
    let what = happening(model, before, step, after);
    let seen = |state: &State| (state.origin, state.slot, state.stamp, state.acknowledged);
    if seen(before) == seen(after) {
        return what;
    }
    let stamp = if model.tag == Tag::None { String::new() } else { format!("; {}", stamp(after.stamp)) };
    format!("{what}  [origin v{}; slot: {}{stamp}]", after.origin, slot(after.slot))
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
    let tag = match model.tag {
        Tag::None => "",
        Tag::OfArguments => ", under a tag",
        Tag::OfTheValue => ", under a tag made of the value",
    };
    format!("{}; {initial}{tag}; {:?}", actors.join(", "), model.mishaps)
}

fn happening(model: &Protocol, before: &State, step: Step, after: &State) -> String {
    let who = |number| name(model, number);
    let then = |number| next_move(model, before, number, after);
    match step {
        Step::Start(number) => match model.actors[number].role {
            Role::Reader | Role::Refresher => {
                format!(
                    "{} calls, after v{} was acknowledged; {}",
                    who(number),
                    before.acknowledged.latest(),
                    then(number)
                )
            }
            Role::Invalidator | Role::TagInvalidator | Role::Clearer => {
                format!("{} begins; {}", who(number), then(number))
            }
            Role::Writer => format!("{} begins a write through; {}", who(number), then(number)),
        },
        Step::StartInFlight(number, leader) => format!(
            "{} calls, after v{} was acknowledged, and joins the flight of {} unread",
            who(number),
            before.acknowledged.latest(),
            who(leader)
        ),
        Step::StartOnRead(number, other) => format!(
            "{} calls, after v{} was acknowledged, and shares the read that {} has sent before",
            who(number),
            before.acknowledged.latest(),
            who(other)
        ),
        Step::Apply(number) => application(model, before, after, number),
        Step::Receive(number) => receipt(model, before, after, number),
        Step::Sample(number) => format!("the body of {} reads v{} from the origin", who(number), before.origin),
        Step::End(number) => format!("the body of {} ends; {}", who(number), then(number)),
        Step::Write(number) if before.origin == after.origin => {
            format!("{} invalidates; {}", who(number), then(number))
        }
        Step::Write(number) => {
            format!("{} writes v{} to the origin; {}", who(number), after.origin, then(number))
        }
        Step::Poll(number) => format!("{} looks again; {}", who(number), then(number)),
        Step::GiveUp(number) => format!("{} waits no longer; {}", who(number), then(number)),
        Step::TimeOut(number) => time_out(model, before, after, number),
        Step::ApplyLate(number) => {
            let late = before.late[number].map_or_else(String::new, request);
            format!("the server applies, late, {late}")
        }
        Step::Expire => format!("{} expires", slot(before.slot)),
        Step::Evict => format!("{} is evicted", stamp(before.stamp)),
        Step::Move => "the slot moves to another node".to_owned(),
        Step::Lag => "no more writes reach the replica of the slot's node".to_owned(),
        Step::LagStamp => "no more writes reach the replica of the stamp's node".to_owned(),
        Step::FailOver => "the replica of the slot's node takes over".to_owned(),
        Step::FailOverStamp => "the replica of the stamp's node takes over".to_owned(),
        Step::Lapse => "the time of the refresh mark is over".to_owned(),
        Step::Crash(process) => format!("process {} dies", process + 1),
        Step::Cancel(number) => format!("{} is cancelled", who(number)),
        Step::HandOver(number, heir) => {
            format!("{} is cancelled; {} goes on with its lease and starts a body", who(number), who(heir))
        }
    }
}

fn application(model: &Protocol, before: &State, after: &State, number: usize) -> String {
    let At::Asked(asked) = before.actors[number].at else { return String::new() };
    let answer = match after.actors[number].at {
        At::Answered(_, answer) => answer,
        At::Asked(Request::ReadStamp(held)) => Reply::Found(held, None),
        At::Asked(Request::ScanEnd(_)) => {
            return format!("the server begins the SCAN of {}, at {}", name(model, number), slot(before.slot));
        }
        At::Asked(Request::ReadSlot(held)) => {
            return format!("the server tells {} the stamp: {}", name(model, number), stamp(held));
        }
        _ => return String::new(),
    };
    format!("the server applies {} of {}: {}", request(asked), name(model, number), reply(asked, answer))
}

fn receipt(model: &Protocol, before: &State, after: &State, number: usize) -> String {
    let At::Answered(asked, answer) = before.actors[number].at else { return String::new() };
    match (asked, answer) {
        (Request::ReadStamp(_) | Request::ReadSlot(_), Reply::Found(held, judged_by)) => {
            let (held, judged_by) = (slot(held), stamp(judged_by));
            format!(
                "{} is told of its GET: {held}; and {judged_by}; {}",
                name(model, number),
                next_move(model, before, number, after)
            )
        }
        _ => {
            let (asked, answer) = (request(asked), reply(asked, answer));
            format!(
                "{} is told of its {asked}: {answer}; {}",
                name(model, number),
                next_move(model, before, number, after)
            )
        }
    }
}

fn time_out(model: &Protocol, before: &State, after: &State, number: usize) -> String {
    let asked = match before.actors[number].at {
        At::Asked(asked) | At::Answered(asked, _) => request(asked),
        _ => String::new(),
    };
    let fate = if before.late == after.late { "the reply is lost" } else { "still under way" };
    format!("{} waits no longer for {asked} ({fate}); {}", name(model, number), next_move(model, before, number, after))
}

/// The activity of an actor after a step.
fn next_move(model: &Protocol, before: &State, number: usize, after: &State) -> String {
    let is_stored = after.actors[number].lease.is_some();
    match after.actors[number].at {
        At::Asked(asked) => format!("it sends {}", request(asked)),
        At::Body if matches!(model.actors[number].role, Role::Invalidator | Role::TagInvalidator | Role::Clearer) => {
            "it has not invalidated yet".to_owned()
        }
        At::Body if model.actors[number].role == Role::Writer => "its write starts".to_owned(),
        At::Body if !is_stored && after.actors[number].version.is_none() => "its body starts, unstored".to_owned(),
        At::Body => "its body starts".to_owned(),
        At::Polling => "it waits".to_owned(),
        At::Sharing => "it shares a body of its process".to_owned(),
        At::Following => "it follows the flight".to_owned(),
        At::Done if after.acknowledged != before.acknowledged => {
            format!("it returns Ok for v{}", after.acknowledged.latest())
        }
        At::Done => match (before.actors[number].at, before.actors[number].version) {
            (At::Answered(_, Reply::Found(Slot::Lease(held), _)), _) => {
                let leader = before.actors.iter().filter(|actor| actor.lease == Some(held));
                let version = leader.filter_map(|actor| actor.version).next().unwrap_or(0);
                format!("it takes v{version} from the flight")
            }
            (At::Answered(_, Reply::Found(Slot::Value(value), _)), _) => format!("it returns v{}", value.data.version),
            (_, Some(version)) => format!("it returns v{version}"),
            _ => "it returns".to_owned(),
        },
        At::Answered(..) | At::Idle | At::Gone => "it goes on".to_owned(),
    }
}

/// Names an actor. Each role has its own numbers: "reader 1", "reader 2", "invalidator".
fn name(model: &Protocol, number: usize) -> String {
    let role = model.actors[number].role;
    let word = match role {
        Role::Reader => "reader",
        Role::Refresher => "refresher",
        Role::Invalidator => "invalidator",
        Role::TagInvalidator => "invalidator of the tag",
        Role::Clearer => "clearer",
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
        Request::ReadStamp(_) => "GET of the stamp".to_owned(),
        Request::ReadSlot(_) => "GET of the slot".to_owned(),
        Request::Stamp(token, _) => format!("SET NX GET of {}", stamp(Some(token))),
        Request::UnlinkStamp => "UNLINK of the stamp".to_owned(),
        Request::Acquire(held) => format!("SET NX GET of {}", lease(held)),
        Request::Displace(held, seen) => format!("displacement of {} by {}", slot(seen), lease(held)),
        Request::Take(held) => format!("SET of {}", lease(held)),
        Request::Unlink => "UNLINK".to_owned(),
        Request::Scan => "SCAN".to_owned(),
        Request::ScanEnd(_) => "end of the SCAN".to_owned(),
        Request::Fill(held, data) => format!("fill with {} if lease {} stands", content(data), id(held.token)),
        Request::Set(_, data) => format!("SET of {}", content(data)),
        Request::Release(held) => format!("release of lease {}", id(held.token)),
        Request::Mark(held, _) => format!("refresh mark {}", id(held.token)),
        Request::Refill(held, data) => format!("refill with {} if mark {} stands", content(data), id(held.token)),
    }
}

fn reply(request: Request, reply: Reply) -> String {
    match (request, reply) {
        (Request::ReadStamp(_), Reply::Found(_, held)) => stamp(held),
        (_, Reply::Found(held, _)) => slot(held),
        (_, Reply::Stamped(token)) => stamp(Some(token)),
        (_, Reply::Yes) => "done".to_owned(),
        (_, Reply::No) => "refused".to_owned(),
    }
}

fn slot(held: Slot) -> String {
    match held {
        Slot::Empty => "nothing".to_owned(),
        Slot::Lease(held) => lease(held),
        Slot::Value(held) => value(held),
    }
}

fn lease(lease: Lease) -> String {
    format!("lease {}{}", id(lease.token), under(lease.stamp))
}

fn value(value: Value) -> String {
    let mark = value.mark.map_or_else(String::new, |mark| format!(" marked {}", id(mark.token)));
    format!("value {}{mark}", content(value.data))
}

fn content(data: Data) -> String {
    let shape = if data.shape == 0 { "" } else { " of the other type" };
    format!("v{}{shape}{}", data.version, under(data.stamp))
}

fn under(stamp: Option<Token>) -> String {
    stamp.map_or_else(String::new, |stamp| format!(" under S{}", stamp.0))
}

fn stamp(stamp: Option<Token>) -> String {
    stamp.map_or_else(|| "no stamp".to_owned(), |stamp| format!("stamp S{}", stamp.0))
}

fn id(token: Token) -> String {
    format!("T{}", token.0)
}
