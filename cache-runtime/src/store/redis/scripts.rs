//! Server-side scripts, for what no single command does on every server.
//!
//! Each compares before it writes, and each may be sent twice: a first run whose reply was lost
//! looks to the second like its own success, or like a slot that somebody else changed.

use std::sync::LazyLock;

use redis::{Cmd, Script as Source};

use crate::envelope::COMPARED;

/// A script, run by its hash.
pub(crate) struct Script(LazyLock<Source>, &'static str);

impl Script {
    /// The command that runs it, for a server that may not know it yet.
    pub(crate) fn by_hash(&self, keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
        command(b"EVALSHA", self.0.get_hash().as_bytes(), keys, arguments)
    }

    /// The command that runs it and makes it known.
    pub(crate) fn by_text(&self, keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
        command(b"EVAL", self.1.as_bytes(), keys, arguments)
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
        pub(crate) static $name: Script = Script(LazyLock::new(|| Source::new($text)), $text);
    };
}

script! {
    /// `SET k lease NX GET PX ms`, for servers that refuse `NX` beside `GET`.
    ACQUIRE = "
local held = redis.call('GET', KEYS[1])
if held then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false"
}

script! {
    /// Takes a slot that is empty, or still begins with these bytes and has this length.
    DISPLACE = "
local length = redis.call('STRLEN', KEYS[1])
local head = redis.call('GETRANGE', KEYS[1], 0, 63)
if head == ARGV[1] then return 1 end
if length > 0 and (length ~= tonumber(ARGV[4]) or head ~= ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1"
}

script! {
    /// Stores a value in place of the lease; a lifetime of 0 is for ever.
    FILL = "
if redis.call('GETRANGE', KEYS[1], 0, 63) ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1"
}

script! {
    /// Moves a value that was sent ahead under another key into the lease's place.
    ///
    /// The lease is unlinked first because a rename frees what it replaces at once, in the
    /// server's only thread; a rename carries the other key's lifetime along.
    MOVE = "
if redis.call('GETRANGE', KEYS[1], 0, 63) ~= ARGV[1] then
  redis.call('UNLINK', KEYS[2])
  return 0
end
if redis.call('EXISTS', KEYS[2]) == 0 then return -1 end
redis.call('UNLINK', KEYS[1])
redis.call('RENAME', KEYS[2], KEYS[1])
if ARGV[2] == '0' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1"
}

script! {
    /// Starts a lease's time again.
    RENEW = "
if redis.call('GETRANGE', KEYS[1], 0, 63) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])"
}

script! {
    /// Empties a slot that holds the lease.
    RELEASE = "
if redis.call('GETRANGE', KEYS[1], 0, 63) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])"
}

// The texts above say 63.
const _: () = assert!(COMPARED == 64);
