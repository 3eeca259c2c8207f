//! The requests for each operation on a slot, and the meaning of the replies.

use ::redis::{Cmd, Pipeline, Value};
use bytes::Bytes;

use crate::error::ErrorKind;
use crate::key::{Address, Key};
use crate::plan::policy::LONGEST_LEASE_MILLIS;
use crate::plan::ttl::Ttl;
use crate::store::redis::ops::scripts::{self, Form};
use crate::store::redis::request::{Request, checked};
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::server::features::Features;
use crate::store::{MOST, MarkReply, Precondition, Read, Release, TakeReply, Times};
use crate::stored::envelope::layout::COMPARED;
use crate::stored::envelope::{self, HEAD_LEN, Lease, LeasePlace, Token, value_front};

/// The largest value that travels as a script's argument: a larger one is quicker as a staged write under another key.
const INLINE: usize = 4 * 1024;

/// The longest lifetime, far below the overflow of the server's clock: 30,000 years.
pub(crate) const LONGEST_MILLIS: u64 = 1_000_000_000_000_000;

/// Reads a slot.
pub(crate) fn get(key: &Key) -> Cmd {
    match key.address() {
        Address::Key(key) => {
            let mut command = Cmd::with_capacity(2, key.len() + 3);
            command.arg("GET").arg(key);
            command
        }
        Address::Field { hash, field } => {
            let mut command = Cmd::with_capacity(4, hash.len() + 2 * field.len() + 8);
            command.arg("HMGET").arg(hash);
            add_field(&mut command, field);
            command
        }
    }
}

/// Reads a slot. If `GET` is refused, this reads it as one of many.
pub(crate) fn read(features: Features, key: &Key) -> Cmd {
    match key.address() {
        Address::Key(name) if !features.has(Features::GET) => {
            let mut command = Cmd::with_capacity(2, name.len() + 4);
            command.arg("MGET").arg(name);
            command
        }
        _ => get(key),
    }
}

/// A field of a hash, and the companion with its mark.
pub(crate) fn add_field(command: &mut Cmd, field: &str) {
    command.arg(field).arg(companion(field));
}

fn companion(field: &str) -> Vec<u8> {
    [field.as_bytes(), b"\0r"].concat()
}

/// The bytes of a slot. `now` is the time of the server, which a slot with a key of its own does not need.
pub(crate) fn slot(reply: Value, now: impl FnOnce() -> u64) -> Result<Option<Bytes>, Fault> {
    match reply {
        Value::BulkString(bytes) => Ok(Some(Bytes::from(bytes))),
        Value::Nil => Ok(None),
        Value::Array(mut parts) if parts.len() == 1 => slot(parts.pop().unwrap_or_default(), now),
        Value::Array(parts) => {
            let Ok([bytes, mark]) = <[Value; 2]>::try_from(parts) else { return Err(Fault::unexpected("HMGET")) };
            field(bytes, mark, now())
        }
        _ => Err(Fault::unexpected("GET")),
    }
}

/// The bytes of a slot that is a field, from its content and that of its companion.
pub(crate) fn field(bytes: Value, mark: Value, now: u64) -> Result<Option<Bytes>, Fault> {
    let bytes = match bytes {
        Value::BulkString(bytes) => bytes,
        Value::Nil => return Ok(None),
        _ => return Err(Fault::unexpected("HMGET")),
    };
    let mark = match &mark {
        Value::BulkString(mark) => Some(&**mark),
        _ => None,
    };
    Ok(envelope::from_field(bytes, mark, now).map(Bytes::from))
}

/// Reads the front of a slot.
pub(crate) fn peek(features: Features, form: Form, key: &Key) -> Cmd {
    match key.address() {
        Address::Key(_) if !features.has(Features::GETRANGE) => read(features, key),
        Address::Key(key) => {
            let mut command = Cmd::with_capacity(4, key.len() + 12);
            command.arg("GETRANGE").arg(key).arg(0).arg(HEAD_LEN - 1);
            command
        }
        Address::Field { .. } => in_hash(features, form, key, "peek", &[]),
    }
}

/// Asks how long a slot with a key of its own will live.
pub(crate) fn expiry(key: &Key) -> Cmd {
    let mut command = Cmd::with_capacity(2, key.as_str().len() + 4);
    command.arg("PTTL").arg(key.as_str());
    command
}

/// Returns true if no lease has this expiry, or none.
pub(crate) fn is_unbounded(reply: Value) -> Result<bool, Fault> {
    const NEVER: i64 = -1;
    match reply {
        Value::Int(millis) => Ok(millis == NEVER || millis > LONGEST_LEASE_MILLIS),
        _ => Err(Fault::unexpected("PTTL")),
    }
}

pub(crate) fn set(key: &str, value: &[u8], millis: &str) -> Cmd {
    let mut command = Cmd::with_capacity(5, key.len() + value.len() + 32);
    command.arg("SET").arg(key).arg(value).arg("PX").arg(millis);
    command
}

/// Empties slots. Returns each command, and whether it counts the entries that it removes rather than the fields.
pub(crate) fn removals<'a>(features: Features, names: impl IntoIterator<Item = &'a str>) -> (Pipeline, Vec<bool>) {
    let most = if features.has(Features::MANY_KEYS) { MOST } else { 1 };
    let mut pipeline = Pipeline::new();
    let mut counts = Vec::new();
    let mut keys = Vec::new();
    let flush = |keys: &mut Vec<&str>, pipeline: &mut Pipeline, counts: &mut Vec<bool>| {
        if !keys.is_empty() {
            let mut command = Cmd::with_capacity(keys.len() + 1, 64 * keys.len());
            command.arg(if features.has(Features::UNLINK) { "UNLINK" } else { "DEL" }).arg(&*keys);
            pipeline.add_command(command);
            counts.push(true);
            keys.clear();
        }
    };
    for name in names {
        match Address::of(name) {
            Address::Key(key) => {
                keys.push(key);
                if keys.len() == most {
                    flush(&mut keys, &mut pipeline, &mut counts);
                }
            }
            Address::Field { hash, field } => {
                let mut command = Cmd::with_capacity(4, name.len() + field.len() + 8);
                command.arg("HDEL").arg(hash);
                add_field(&mut command, field);
                pipeline.add_command(command);
                counts.push(false);
            }
        }
    }
    flush(&mut keys, &mut pipeline, &mut counts);
    (pipeline, counts)
}

/// The number of entries that the commands of [`removals`] have removed.
pub(crate) fn removed(replies: Vec<Value>, counts: &[bool]) -> Result<u64, Fault> {
    replies.into_iter().zip(counts).try_fold(0, |sum, (reply, counts)| Ok(sum + removed_by(reply, *counts)?))
}

/// The number of entries that one of the commands has removed.
pub(crate) fn removed_by(reply: Value, counts: bool) -> Result<u64, Fault> {
    match checked(reply) {
        Ok(Value::Int(count)) if counts => Ok(u64::try_from(count).unwrap_or(0)),
        Ok(Value::Int(count)) => Ok(u64::from(count > 0)),
        Ok(_) => Err(Fault::unexpected("UNLINK")),
        // Another type is in the hash's place: there is no entry to remove.
        Err(fault) if !counts && fault.error.kind() == ErrorKind::WrongType => Ok(0),
        Err(fault) => Err(fault),
    }
}

pub(crate) fn names(batch: &[(Box<str>, u64)]) -> impl Iterator<Item = &str> {
    batch.iter().map(|(key, _)| &**key)
}

/// Several commands that may be sent as one request.
pub(crate) fn request(pipeline: Pipeline) -> Request {
    if pipeline.len() == 1
        && let Some(command) = pipeline.cmd_iter().next()
    {
        return Request::One(command.clone());
    }
    Request::Many(pipeline)
}

/// Does the same for commands that may be large.
pub(crate) fn request_of(mut commands: Vec<Cmd>) -> Request {
    match (commands.pop(), commands.is_empty()) {
        (Some(command), true) => Request::One(command),
        (last, _) => {
            let mut pipeline = Pipeline::with_capacity(commands.len() + 1);
            for command in commands.into_iter().chain(last) {
                pipeline.add_command(command);
            }
            Request::Many(pipeline)
        }
    }
}

/// A lifetime in the server's range: neither zero nor past its clock's end.
pub(crate) fn bounded(millis: u64) -> String {
    millis.clamp(1, LONGEST_MILLIS).to_string()
}

/// A lifetime; 0 means for ever.
pub(crate) fn lifetime(ttl: Ttl) -> String {
    match ttl {
        Ttl::Millis(millis) => bounded(millis),
        Ttl::Forever => "0".to_owned(),
    }
}

/// Asks for the length of a slot's content.
pub(crate) fn length(key: &Key) -> Cmd {
    let mut command = Cmd::new();
    match key.address() {
        Address::Key(name) => command.arg("STRLEN").arg(name),
        Address::Field { hash, field } => command.arg("HSTRLEN").arg(hash).arg(field),
    };
    command
}

/// Runs the script of slots that are fields.
pub(crate) fn in_hash(features: Features, form: Form, key: &Key, verb: &str, arguments: &[&[u8]]) -> Cmd {
    let place = match key.address() {
        Address::Field { hash, field } => (hash, field),
        Address::Key(hash) => (hash, ""),
    };
    in_hash_of(features, form, place, verb, arguments)
}

/// Does the same for a hash and a field.
pub(crate) fn in_hash_of(
    features: Features,
    form: Form,
    (hash, field): (&str, &str),
    verb: &str,
    arguments: &[&[u8]],
) -> Cmd {
    let expires: &[u8] = if features.has(Features::FIELD_EXPIRY) { b"1" } else { b"0" };
    let mut all: Vec<&[u8]> = vec![verb.as_bytes(), field.as_bytes(), expires];
    all.extend_from_slice(arguments);
    scripts::FIELD.command(form.of(features), &[hash.as_bytes()], &all)
}

/// Takes a slot.
pub(crate) fn take(features: Features, form: Form, key: &Key, lease: &Lease, precondition: &Precondition) -> Cmd {
    let millis = bounded(lease.millis);
    let compared = |seen: &Bytes| (seen.slice(..seen.len().min(COMPARED.end)), seen.len().to_string());
    let Address::Key(name) = key.address() else {
        let first: [&[u8]; 2] = [lease.bytes(), millis.as_bytes()];
        return match precondition {
            Precondition::Empty => in_hash(features, form, key, "take", &[first[0], first[1], b"empty"]),
            Precondition::Any => in_hash(features, form, key, "take", &[first[0], first[1], b"any"]),
            Precondition::Unchanged(seen) => {
                let (head, length) = compared(seen);
                in_hash(features, form, key, "take", &[first[0], first[1], b"seen", &head, length.as_bytes()])
            }
        };
    };
    match precondition {
        Precondition::Any => set(name, lease.bytes(), &millis),
        Precondition::Empty if features.has(Features::SET_NX_GET) => {
            let mut command = Cmd::with_capacity(7, name.len() + 64);
            command.arg("SET").arg(name).arg(lease.bytes());
            command.arg("NX").arg("GET").arg("PX").arg(&millis);
            command
        }
        Precondition::Empty => {
            scripts::ACQUIRE.command(form.of(features), &[name.as_bytes()], &[lease.bytes(), millis.as_bytes()])
        }
        Precondition::Unchanged(seen) if !features.has_scripts() => replace(name, seen, lease.bytes(), &millis),
        Precondition::Unchanged(seen) => {
            let (head, length) = compared(seen);
            let arguments = [lease.bytes(), millis.as_bytes(), &head, length.as_bytes()];
            scripts::DISPLACE.command(form.of(features), &[name.as_bytes()], &arguments)
        }
    }
}

/// Replaces the content of a slot if it is unchanged, on a server that needs no script for it.
fn replace(key: &str, held: &[u8], new: &[u8], millis: &str) -> Cmd {
    let mut command = Cmd::with_capacity(7, key.len() + held.len() + new.len() + 32);
    command.arg("SET").arg(key).arg(new).arg("IFEQ").arg(held).arg("PX").arg(millis);
    command
}

/// The reply to [`take`]. `now` is the time of the server.
pub(crate) fn taken(
    precondition: &Precondition,
    reply: Value,
    now: impl FnOnce() -> u64,
    times: impl FnOnce() -> Times,
) -> Result<TakeReply, Fault> {
    let held = |bytes| TakeReply::Held(Read::untagged(Some(bytes), times()));
    match reply {
        // The content that was seen is gone.
        Value::Nil if matches!(precondition, Precondition::Unchanged(_)) => Ok(TakeReply::Changed),
        Value::Okay => Ok(TakeReply::Taken),
        Value::Int(number) => Ok(if number > 0 { TakeReply::Taken } else { TakeReply::Changed }),
        // The entry has expired by this clock, but not yet by the server's.
        reply @ Value::Array(_) => Ok(slot(reply, now)?.map_or(TakeReply::Changed, held)),
        reply => Ok(slot(reply, now)?.map_or(TakeReply::Taken, held)),
    }
}

/// Marks a value.
pub(crate) fn mark(features: Features, form: Form, key: &Key, id: Token, lease: &Lease, force: bool) -> Cmd {
    let (millis, front) = (bounded(lease.millis), value_front(id));
    let force: &[u8] = if force { b"1" } else { b"0" };
    let arguments = [lease.proof(), millis.as_bytes(), &front, force];
    match key.address() {
        Address::Key(key) => scripts::MARK_VALUE.command(form.of(features), &[key.as_bytes()], &arguments),
        Address::Field { .. } => in_hash(features, form, key, "mark", &arguments),
    }
}

/// The reply to [`mark`].
pub(crate) fn marked(value: Value) -> Result<MarkReply, Fault> {
    match value {
        Value::Int(0) => Ok(MarkReply::Taken),
        Value::Int(until) => Ok(u64::try_from(until).map_or(MarkReply::Changed, MarkReply::Until)),
        _ => Err(Fault::unexpected("a script")),
    }
}

/// Restarts a lease's time.
pub(crate) fn renew(features: Features, form: Form, key: &Key, lease: &Lease) -> Cmd {
    let millis = bounded(lease.millis);
    let arguments = [lease.proof(), millis.as_bytes()];
    match key.address() {
        Address::Key(key) if !features.has_scripts() => replace(key, lease.bytes(), lease.bytes(), &millis),
        Address::Key(key) => scripts::RENEW.command(form.of(features), &[key.as_bytes()], &arguments),
        Address::Field { .. } => in_hash(features, form, key, "renew", &arguments),
    }
}

/// Gives a lease back.
pub(crate) fn release(features: Features, form: Form, key: &Key, lease: &Lease, release: Release) -> Cmd {
    let release = match release {
        Release::Pause(millis) => millis.min(LONGEST_MILLIS).to_string(),
        Release::Remove => "remove".to_owned(),
    };
    let arguments = [lease.proof(), release.as_bytes()];
    match key.address() {
        // Without the right to compare in a script, an empty value takes the slot and ends in a millisecond.
        Address::Key(key) if !features.has_scripts() => replace(key, lease.bytes(), b"", "1"),
        Address::Key(key) => scripts::RELEASE.command(form.of(features), &[key.as_bytes()], &arguments),
        Address::Field { .. } => in_hash(features, form, key, "release", &arguments),
    }
}

/// The way in which a value replaces a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FillMethod {
    /// By `SET … IFEQ`, which compares the whole slot; a lease in a value's header is only a part.
    Compared,
    /// In the argument of a script.
    Inline,
    /// By a staged write under another key, from where a script moves it.
    Ahead,
}

impl FillMethod {
    pub(crate) fn of(features: Features, key: &Key, lease: &Lease, value: &[u8]) -> FillMethod {
        match key.address() {
            // A script's argument is copied twice, but there is no other way into a hash.
            Address::Field { .. } => FillMethod::Inline,
            Address::Key(_) if lease.place() == LeasePlace::Slot && features.has(Features::SET_IFEQ) => {
                FillMethod::Compared
            }
            Address::Key(_) if value.len() <= INLINE || !features.moves() => FillMethod::Inline,
            Address::Key(_) => FillMethod::Ahead,
        }
    }
}

/// Fills a slot: one command, or two. `now` is the time of the server.
pub(crate) fn fill(
    features: Features,
    form: Form,
    method: FillMethod,
    (key, lease): (&Key, &Lease),
    value: &[u8],
    ttl: Ttl,
    now: u64,
) -> Vec<Cmd> {
    let millis = lifetime(ttl);
    let Address::Key(name) = key.address() else {
        let until = match ttl {
            Ttl::Millis(millis) => now.saturating_add(millis),
            Ttl::Forever => u64::MAX,
        };
        let mut value = value.to_vec();
        envelope::mark(&mut value, None, until);
        return vec![in_hash(features, form, key, "fill", &[lease.proof(), &value, millis.as_bytes()])];
    };
    match method {
        FillMethod::Compared => {
            let mut command = Cmd::with_capacity(7, name.len() + value.len() + 64);
            command.arg("SET").arg(name).arg(value).arg("IFEQ").arg(lease.bytes());
            if ttl != Ttl::Forever {
                command.arg("PX").arg(&millis);
            }
            vec![command]
        }
        FillMethod::Inline => {
            let arguments = [lease.proof(), value, millis.as_bytes()];
            vec![scripts::FILL.command(form.of(features), &[name.as_bytes()], &arguments)]
        }
        FillMethod::Ahead => {
            let ahead = ahead_of(name, lease);
            let moved = move_ahead(form.of(features), key, lease, ttl);
            vec![set(&ahead, value, &bounded(lease.millis)), moved]
        }
    }
}

/// Moves a staged value.
pub(crate) fn move_ahead(form: Form, key: &Key, lease: &Lease, ttl: Ttl) -> Cmd {
    let ahead = ahead_of(key.as_str(), lease);
    let keys = [key.as_str().as_bytes(), ahead.as_bytes()];
    scripts::MOVE.command(form, &keys, &[lease.proof(), lifetime(ttl).as_bytes()])
}

/// The text between a key and the token of the staged write for it.
pub(crate) const STAGED: &str = ":ahead:";

/// The key of a staged write: in the same slot of a cluster.
fn ahead_of(key: &str, lease: &Lease) -> String {
    let hash_tag = key.split_once('{').and_then(|(_, tail)| tail.find('}')).is_some_and(|length| length > 0);
    let mut ahead = if hash_tag { key.to_owned() } else { format!("{{{key}}}") };
    ahead.push_str(STAGED);
    for byte in lease.token().bytes() {
        // Writing to a string does not fail.
        let _ = std::fmt::Write::write_fmt(&mut ahead, format_args!("{byte:02x}"));
    }
    ahead
}

pub(crate) fn truth(value: Value) -> Result<bool, Fault> {
    match value {
        // This is the reply of a command that replaces a script.
        Value::Okay => Ok(true),
        Value::Nil => Ok(false),
        Value::Int(number) => Ok(number > 0),
        _ => Err(Fault::unexpected("a script")),
    }
}

/// The reply to the last command of [`fill`].
pub(crate) fn filled(value: Value) -> Result<bool, Fault> {
    match checked(value)? {
        Value::Okay => Ok(true),
        Value::Nil => Ok(false),
        Value::Int(-1) => Err(Fault::new(
            ErrorKind::Protocol,
            Blame::Command,
            "a large value, sent first under a second key, is gone from there",
        )),
        Value::Int(number) => Ok(number > 0),
        _ => Err(Fault::unexpected("SET")),
    }
}
