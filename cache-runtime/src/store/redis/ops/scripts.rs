//! Server-side scripts, for operations that no single command does on every server.
//!
//! Each script compares before it writes. A script that grants a lease is sent once; all others may be sent twice: to
//! the second run, a first run whose reply was lost looks like its own success, or like a change by another caller.
//! Apart from the script of fields, none reads or copies a stored payload, so their cost does not grow with the value.
//!
//! Places in the bytes of a slot are named, and filled in from `envelope::layout`: see [`places`].
//!
//! Constants are text: the server converts a number that a script passes to a command into digits each time, at 0.2 µs
//! each.

use std::ops::Range;
use std::sync::LazyLock;

use redis::{Cmd, Script as Source};

use crate::store::redis::server::features::Features;
use crate::stored::envelope::layout::{
    COMPARED, FRONT, HEAD, HEADER, LATEST, LEASE_END, LEASE_FORMAT, MARK, MARK_TOKEN, MARK_UNTIL, VALUE_FORMAT,
};

/// A script, run by its hash.
pub(crate) struct Script(LazyLock<Numbered>);

/// A script's text, with numbers in place of the places that it names, and its hash.
struct Numbered {
    text: String,
    source: Source,
}

impl Numbered {
    fn of(text: &str) -> Numbered {
        let text = places().iter().fold(text.to_owned(), |text, (place, number)| text.replace(place, number));
        Numbered { source: Source::new(&text), text }
    }
}

/// The words in the texts of scripts that stand for places in the bytes of a slot. Lua counts from 1 and includes the
/// end: `string.sub(bytes, {PLACE})` is the place, and `{PLACE.after}` is where its rest begins. Commands of Redis count
/// from 0: `{PLACE.start}`, `{PLACE.end}`, and `{PLACE.last}` for an end that is included.
fn places() -> Vec<(String, String)> {
    let in_mark = |part: Range<usize>| part.start - MARK.start..part.end - MARK.start;
    let ranges = [
        ("FRONT", FRONT),
        ("LEASE_END", LEASE_END),
        ("MARK", MARK),
        ("MARK_TOKEN", MARK_TOKEN),
        ("MARK_UNTIL", MARK_UNTIL),
        // The companion of a field holds the mark alone.
        ("COMPANION_TOKEN", in_mark(MARK_TOKEN)),
        ("COMPANION_UNTIL", in_mark(MARK_UNTIL)),
        ("HEAD", HEAD),
        ("HEADER", HEADER),
        ("COMPARED", COMPARED),
        ("COMPARED_REST", MARK.end..COMPARED.end),
    ];
    let numbers = [("LATEST", LATEST), ("LEASE_FORMAT", LEASE_FORMAT.into()), ("VALUE_FORMAT", VALUE_FORMAT.into())];
    let mut places: Vec<_> =
        numbers.into_iter().map(|(name, number)| (format!("{{{name}}}"), number.to_string())).collect();
    for (name, Range { start, end }) in ranges {
        places.push((format!("{{{name}}}"), format!("{}, {end}", start + 1)));
        for (part, number) in
            [("start", start), ("end", end), ("last", end - 1), ("after", end + 1), ("len", end - start)]
        {
            places.push((format!("{{{name}.{part}}}"), number.to_string()));
        }
    }
    places
}

/// The form in which a script is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// By its hash, to a server that may not know it yet.
    Hash,
    /// By its text, which makes it known.
    Text,
}

impl Form {
    /// Returns the other form if this one is refused.
    pub(crate) fn of(self, features: Features) -> Form {
        if features.has(Features::EVALSHA) { self } else { Form::Text }
    }
}

impl Script {
    /// The command that runs it.
    pub(crate) fn command(&self, form: Form, keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
        match form {
            Form::Hash => command(b"EVALSHA", self.0.source.get_hash().as_bytes(), keys, arguments),
            Form::Text => command(b"EVAL", self.0.text.as_bytes(), keys, arguments),
        }
    }
}

fn command(name: &[u8], script: &[u8], keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
    let payload: usize = keys.iter().chain(arguments).map(|part| part.len()).sum();
    let parts = 3 + keys.len() + arguments.len();
    let mut command = Cmd::with_capacity(parts, name.len() + script.len() + payload + 4);
    command.arg(name).arg(script).arg(keys.len());
    for part in keys.iter().chain(arguments) {
        command.arg(*part);
    }
    command
}

macro_rules! script {
    ($(#[$doc:meta])* $name:ident = $text:expr) => {
        $(#[$doc])*
        pub(crate) static $name: Script = Script(LazyLock::new(|| Numbered::of($text)));
    };
}

script! {
    /// `SET k lease NX GET PX ms`, for servers that refuse `NX` together with `GET`.
    ACQUIRE = "
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'table' then held = redis.call('GETRANGE', KEYS[1], '0', '-1') end
if held and held ~= '' then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false"
}

/// The first bytes of a slot. A user without the right to read a part reads all.
macro_rules! front {
    () => {
        "
local head = redis.pcall('GETRANGE', KEYS[1], '0', '{COMPARED.last}')
if type(head) == 'table' then
  head = redis.call('GET', KEYS[1])
  head = head and string.sub(head, {COMPARED}) or ''
end"
    };
}

/// Empties a slot with the commands that the user may run.
macro_rules! emptied {
    () => {
        "
  local gone = redis.pcall('UNLINK', KEYS[1])
  if type(gone) == 'table' then gone = redis.pcall('DEL', KEYS[1]) end
  if type(gone) == 'table' then
    redis.call('SET', KEYS[1], '', 'PX', '1')
    gone = 1
  end"
    };
}

script! {
    /// Takes a slot that is empty, or still begins with these bytes and has this length.
    DISPLACE = concat!(
        front!(),
        "
local length = redis.pcall('STRLEN', KEYS[1])
if type(length) == 'table' then length = #(redis.call('GET', KEYS[1]) or '') end
if head == ARGV[1] then return 1 end
if length > 0 and (length ~= tonumber(ARGV[4]) or head ~= ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1"
    )
}

/// Checks that the lease whose proof is the first argument is valid: alone in the slot, or `marked` in the header of a
/// value.
macro_rules! held {
    () => {
        concat!(
            front!(),
            "
local alone = head == ARGV[1]
local marked = not alone and #head >= {HEAD.len} and string.sub(head, 1, 1) == 'V' and string.sub(head, {MARK_TOKEN}) == ARGV[1]
local held = alone or marked"
        )
    };
}

/// The server's time, and a time in the format of a value's header. It does not use `%d`, which is narrower where a
/// `long` has 32 bits.
macro_rules! clock {
    () => {
        "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function digits(millis) return string.format('%0{MARK_UNTIL.len}.0f', millis) end"
    };
}

/// A value that would expire within its lease, the second argument, lives on for as long.
macro_rules! outlive {
    () => {
        "
local left = redis.call('PTTL', KEYS[1])
if left >= 0 and left < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end"
    };
}

script! {
    /// Marks a value that begins with these bytes and returns 0; otherwise returns the end of another lease or pause,
    /// or -1.
    MARK_VALUE = concat!(
        "
local head = redis.call('GETRANGE', KEYS[1], '0', '{HEAD.last}')
if #head < {HEAD.len} or string.sub(head, {FRONT}) ~= ARGV[3] then return -1 end",
        clock!(),
        "
local taken = tonumber(string.match(string.sub(head, {MARK_UNTIL}), '^%d+$') or '0')
if ARGV[4] == '0' and taken > now and string.sub(head, {MARK_TOKEN}) ~= ARGV[1] then return taken end",
        // The order matters: if the first is refused, no mark stays.
        outlive!(),
        "
redis.call('SETRANGE', KEYS[1], '{MARK.start}', ARGV[1] .. digits(now + tonumber(ARGV[2])))
return 0"
    )
}

script! {
    /// Stores a value in place of the lease; a lifetime of 0 is for ever.
    FILL = concat!(
        held!(),
        "
if not held then return 0 end
if ARGV[3] == '0' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1"
    )
}

script! {
    /// Moves a staged value from its key into the lease's place.
    ///
    /// A replaced value is unlinked first because a rename frees it at once, in the server's only thread. A lease is not:
    /// while a slot is moving to another node of a cluster, a rename onto a key that is not there is refused. A rename
    /// carries the other key's lifetime along.
    MOVE = concat!(
        held!(),
        "
if not held then
  redis.call('UNLINK', KEYS[2])
  return 0
end
if redis.call('EXISTS', KEYS[2]) == 0 then return -1 end
if marked then redis.call('UNLINK', KEYS[1]) end
redis.call('RENAME', KEYS[2], KEYS[1])
if ARGV[2] == '0' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1"
    )
}

script! {
    /// Restarts a lease's time.
    RENEW = concat!(
        held!(),
        "
if not held then return 0 end
if not marked then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end",
        clock!(),
        "
redis.call('SETRANGE', KEYS[1], '{MARK_UNTIL.start}', digits(now + tonumber(ARGV[2])))",
        outlive!(),
        "
return 1"
    )
}

script! {
    /// Empties a slot that holds the lease; or removes the mark from a value, which cannot be marked again during a
    /// pause; or removes the value.
    RELEASE = concat!(
        held!(),
        "
if not held then return 0 end
if not marked or ARGV[2] == 'remove' then",
        emptied!(),
        "
  return gone
end",
        clock!(),
        "
redis.call('SETRANGE', KEYS[1], '{MARK.start}', string.rep('\\0', {MARK_TOKEN.len}) .. digits(now + tonumber(ARGV[2])))
return 1"
    )
}

script! {
    /// Extends the life of a tag's stamp that has less than the first time left to the second one, or for ever if there is
    /// none. Returns the stamp, as the third argument reads it, with what it then has left, -1 for ever.
    KEEP_STAMP = "
local stamp, left = redis.call(ARGV[3], KEYS[1]), redis.call('PTTL', KEYS[1])
if left >= 0 and ARGV[1] == '' then
  redis.call('PERSIST', KEYS[1])
  left = -1
elseif left >= 0 and left < tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  left = tonumber(ARGV[2])
end
return {stamp, left}"
}

script! {
    /// All operations on a slot that is a field of a hash.
    FIELD = include_str!("field.lua")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_known() {
        let scripts = [&ACQUIRE, &DISPLACE, &MARK_VALUE, &FILL, &MOVE, &RENEW, &RELEASE, &KEEP_STAMP, &FIELD];
        for script in scripts {
            let text = &script.0.text;
            // A table of Lua has a space after its brace.
            let unknown = text.match_indices('{').find(|(at, _)| text[at + 1..].starts_with(char::is_uppercase));
            assert_eq!(unknown, None, "{text}");
        }
    }

    #[test]
    fn places_are_counted_as_lua_and_as_redis_count() {
        let numbered =
            Numbered::of("sub(b, {MARK_UNTIL}) '{MARK_UNTIL.start}' '{HEAD.last}' {LEASE_END.after} {COMPANION_UNTIL}");
        assert_eq!(numbered.text, "sub(b, 35, 50) '34' '49' 35 17, 32");
    }
}
