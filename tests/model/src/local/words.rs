//! Describes traces in words.

use super::*;

/// A step, and its effect.
pub(super) fn describe(model: &Local, before: &State, step: Step, after: &State) -> String {
    let what = happening(model, before, step, after);
    let seen = |state: &State| (state.slot, state.stamp, state.home, state.entry, state.cell, state.floor);
    if seen(before) == seen(after) {
        return what;
    }
    let mut shown = vec![format!("slot: {}", slot(after.slot))];
    if model.nodes > 1 {
        shown.push(format!("at node {}", after.home + 1));
    }
    if model.tag.is_some() {
        shown.push(stamp(after.stamp));
    }
    shown.push(format!("entry: {}", after.entry.map_or_else(|| "none".to_owned(), entry)));
    if let Some(Cell { stamp: of, is_live, is_published }) = after.cell {
        shown.push(format!("cell: {}, {}", stamp(of), liveness(is_live, is_published)));
    }
    format!("{what}  [{}]", shown.join("; "))
}

fn happening(model: &Local, before: &State, step: Step, after: &State) -> String {
    match step {
        Step::Hit => {
            let served = before.entry.map_or(0, |entry| entry.value.version);
            let (floor, newest) = (before.floor, before.newest);
            format!("a call begins and is served v{served} (promised: v{floor}; known before: v{newest})")
        }
        Step::Find => "a call begins, and finds the entry".to_owned(),
        Step::Look => "its look: first half".to_owned(),
        Step::Served => match before.found {
            Some(found) => format!("its look: second half; it is served v{}", found.entry.value.version),
            None => String::new(),
        },
        Step::Call(call, true) => format!("call {} begins; the entry is due, and it reads", call + 1),
        Step::Call(call, false) => format!("call {} begins and reads", call + 1),
        Step::Apply(call) => applied(before, after, call),
        Step::Receive(call) => format!("call {} is told; {}", call + 1, next_move(before, after, call)),
        Step::Offer(call) => format!("call {} makes its offer and returns", call + 1),
        Step::Begin(number) => {
            let version = after.writes[number].version;
            format!("{} begins, with v{version} in the origin; it voids and sends", write(model, number))
        }
        Step::ApplyWrite(number) => {
            let outcome = if after.writes[number].at == Phase::Applied(true) { "done" } else { "refused" };
            format!("the server applies {}: {outcome}", write(model, number))
        }
        Step::Fail(number) => format!("{} gives up; it is kept for later", write(model, number)),
        Step::Void(number) => format!("{} voids: first half", write(model, number)),
        Step::Return(number) => {
            format!("{} voids: second half; it returns, and promises v{}", write(model, number), after.floor)
        }
        Step::Cancel(number) => format!("{} is cancelled", write(model, number)),
        Step::Serve(node) => {
            let asked = before.nodes[node].to_server.first().map_or_else(String::new, request);
            format!("node {} serves {asked}", node + 1)
        }
        Step::Handle(node) => {
            let told = before.nodes[node].to_process.first().map_or_else(String::new, message);
            format!("the driver of node {} gets {told}", node + 1)
        }
        Step::Consume(node, at) => {
            let told = before.nodes[node].inbox.iter().nth(at).map_or_else(String::new, message);
            format!("the keeper takes {told}{}", if after.admission.is_some() { ", and looks: it stands" } else { "" })
        }
        Step::Insert => "the keeper inserts it".to_owned(),
        Step::LookAgain => "the keeper looks once more".to_owned(),
        Step::Probe(node) => format!("the keeper sends a heartbeat to node {}, at {}", node + 1, before.now),
        Step::Reconnect(node) => format!("the keeper connects to node {} again", node + 1),
        Step::Deliver => "the server applies what was undelivered".to_owned(),
        Step::Delivered => "the keeper is told that nothing is undelivered".to_owned(),
        Step::Outside(event) => outside(event, after),
        Step::Tick => format!("time passes: it is {}", after.now),
    }
}

fn applied(before: &State, after: &State, call: usize) -> String {
    let number = call + 1;
    match (before.calls[call].at, after.calls[call].at) {
        (At::Asked(carried), At::Answered(_, answer, _)) => {
            let told = match answer {
                Answer::Found(value) => format!("v{}", value.version),
                Answer::Taken(_) => "nothing, and it has the lease".to_owned(),
                Answer::Busy => "the lease of another call".to_owned(),
            };
            let first = if carried == [false; 2] { "" } else { "what was undelivered, and " };
            format!("the server applies {first}the read of call {number}: {told}")
        }
        (_, At::Filled(value, is_accepted)) => {
            let outcome = if is_accepted { "done" } else { "refused" };
            format!("the server applies the fill of call {number} with v{}: {outcome}", value.version)
        }
        _ => String::new(),
    }
}

fn next_move(before: &State, after: &State, call: usize) -> String {
    let offers = if after.tickets[call].is_some() { "it offers the value, and " } else { "" };
    match after.calls[call].at {
        At::Filling(value) => format!("its body reads v{} from the origin; {offers}it sends a fill", value.version),
        At::Offering(_) => "nothing was voided".to_owned(),
        _ => {
            let version = match before.calls[call].at {
                At::Answered(_, Answer::Found(value), _) | At::Filled(value, _) => value.version,
                _ => before.origin,
            };
            format!("{offers}it returns v{version}")
        }
    }
}

fn outside(event: Event, after: &State) -> String {
    match event {
        Event::Put => format!("another process stores v{}", after.origin),
        Event::Unlink => format!("another process invalidates the entry, with v{} in the origin", after.origin),
        Event::UnlinkStamp => format!("another process invalidates the tag, with v{} in the origin", after.origin),
        Event::Touch => "another process marks the value".to_owned(),
        Event::Flush(node) => format!("node {} loses its data", node + 1),
        Event::Lose(node) => format!("the tracked connection to node {} is lost", node + 1),
        Event::Move(false) => format!("the slot moves to node {}", after.home + 1),
        Event::Move(true) => format!("the slot moves to node {}, without a push", after.home + 1),
    }
}

fn write(model: &Local, number: usize) -> &'static str {
    match model.writes[number] {
        Kind::Invalidate => "the invalidation",
        Kind::InvalidateTag => "the invalidation of the tag",
        Kind::Refresh => "the refresh",
    }
}

fn request(request: Request) -> String {
    match request {
        Request::Confirm(Some(call)) => format!("the confirmation for call {}", call + 1),
        Request::ConfirmStamp(Some(call)) => format!("the confirmation of the stamp for call {}", call + 1),
        Request::Confirm(None) | Request::ConfirmStamp(None) => "a confirmation that nobody waits for".to_owned(),
        Request::Probe(sent) => format!("the heartbeat of {sent}"),
    }
}

fn message(message: Message) -> String {
    match message {
        Message::Push(Key::Slot) => "a push of the slot".to_owned(),
        Message::Push(Key::Stamp) => "a push of the stamp".to_owned(),
        Message::PushAll => "a push of all keys".to_owned(),
        Message::Id(call, Some(version)) => format!("the reply for call {}: v{version}", call + 1),
        Message::Id(call, None) => format!("the reply for call {}: no value", call + 1),
        Message::Stamp(call, of) => format!("the reply for call {}: {}", call + 1, stamp(of)),
        Message::Pong(pong) => format!("the answer to the heartbeat of {}", pong.sent),
    }
}

fn slot(slot: Slot) -> String {
    match slot {
        Slot::Empty => "nothing".to_owned(),
        Slot::Lease(call) => format!("lease of call {}", call + 1),
        Slot::Value(of) => value(of),
    }
}

fn value(value: Value) -> String {
    match value.stamp {
        0 => format!("v{}", value.version),
        stamp => format!("v{} under S{stamp}", value.version),
    }
}

fn entry(entry: Entry) -> String {
    format!("{}, {}", value(entry.value), liveness(entry.is_live, entry.is_published))
}

fn liveness(is_live: bool, is_published: bool) -> &'static str {
    match (is_live, is_published) {
        (false, _) => "suspended",
        (true, false) => "not published",
        (true, true) => "live",
    }
}

fn stamp(stamp: u8) -> String {
    if stamp == 0 { "no stamp".to_owned() } else { format!("stamp S{stamp}") }
}
