//! The faults of a single server.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use test_support::Mode;

use super::{FAULT, Fault};
use crate::place::Place;
use crate::worker::Harm;

/// The faults that differ over TLS: those of connections, and of a server that is away.
pub(super) const OVER_TLS: [&str; 11] = [
    "restarted",
    "frozen",
    "frozen-connections",
    "half-open",
    "refused",
    "reset",
    "slow",
    "too-slow",
    "trickle",
    "corrupt-replies",
    "clients-killed",
];

/// A script that keeps the server busy for 300 ms.
const BUSY: &str = "local function now() local time = redis.call('TIME') return time[1] * 1000 + time[2] / 1000 end \
                    local begun = now() while now() < begun + 300 do end";

/// Damages a value in place: one byte of one random key.
const DAMAGE: &str = "local key = redis.call('RANDOMKEY') \
                      if not key then return end \
                      if redis.call('TYPE', key).ok == 'string' then \
                        local at = tonumber(ARGV[1]) % redis.call('STRLEN', key) \
                        local byte = string.byte(redis.call('GETRANGE', key, at, at)) \
                        redis.call('SETRANGE', key, at, string.char((byte + 1) % 256)) \
                      else \
                        local field = redis.call('HRANDFIELD', key) \
                        local value = redis.call('HGET', key, field) \
                        local at = tonumber(ARGV[1]) % #value \
                        local byte = string.char((string.byte(value, at + 1) + 1) % 256) \
                        redis.call('HSET', key, field, string.sub(value, 1, at) .. byte .. string.sub(value, at + 2)) \
                      end";

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "restarted",
        what: "the server is killed, and starts again empty",
        strike: |place| place.one().server().kill(),
        heal: |place| place.one().server().restart(),
        ..FAULT
    },
    Fault {
        name: "frozen",
        what: "the server is stopped by SIGSTOP, and goes on",
        strike: |place| place.one().server().stop(),
        heal: |place| place.one().server().cont(),
        ..FAULT
    },
    Fault {
        name: "frozen-connections",
        what: "open connections swallow everything, and new ones work",
        strike: |place| place.one().proxy().set(Mode::FreezeExisting),
        ..FAULT
    },
    Fault {
        name: "half-open",
        what: "all connections swallow everything, also new ones",
        strike: |place| place.one().proxy().set(Mode::Freeze),
        heal: |place| place.one().proxy().set(Mode::Pass),
        ..FAULT
    },
    Fault {
        name: "refused",
        what: "connections are closed, and new ones, too",
        strike: |place| {
            place.one().proxy().set(Mode::Refuse);
            place.one().proxy().cut();
        },
        heal: |place| place.one().proxy().set(Mode::Pass),
        ..FAULT
    },
    Fault {
        name: "reset",
        what: "connections are closed again and again, and new ones work",
        meanwhile: |place| place.one().proxy().cut(),
        ..FAULT
    },
    Fault {
        name: "slow",
        what: "replies come 60 ms later, within the time-out",
        strike: |place| place.one().proxy().set(Mode::Delay(Duration::from_millis(60))),
        heal: |place| place.one().proxy().set(Mode::Pass),
        ..FAULT
    },
    Fault {
        name: "too-slow",
        what: "replies come 400 ms later, after the time-out",
        strike: |place| place.one().proxy().set(Mode::Delay(Duration::from_millis(400))),
        heal: |place| place.one().proxy().set(Mode::Pass),
        ..FAULT
    },
    Fault {
        name: "trickle",
        what: "replies come 200 bytes at a time, with pauses",
        strike: |place| {
            place.one().proxy().set(Mode::Trickle { bytes: 200, pause: Duration::from_millis(2) });
        },
        heal: |place| place.one().proxy().set(Mode::Pass),
        ..FAULT
    },
    Fault {
        name: "corrupt-replies",
        what: "replies come with flipped bits",
        strike: |place| place.one().proxy().set(Mode::Corrupt),
        heal: |place| {
            place.one().proxy().set(Mode::Pass);
            place.one().proxy().cut();
        },
        ..FAULT
    },
    Fault {
        name: "damaged-values",
        what: "another client changes bytes of values, leases and stamps in Redis",
        harm: Harm::None,
        meanwhile: damage,
        ..FAULT
    },
    Fault {
        name: "full",
        what: "the server is full, and evicts nothing",
        harm: Harm::None,
        strike: |place| set(place, "maxmemory", "1"),
        heal: |place| set(place, "maxmemory", "0"),
        ..FAULT
    },
    Fault {
        name: "too-many-clients",
        what: "connections are closed, and the server takes almost no new ones",
        strike: |place| {
            // What heals it needs a connection, too.
            let mut connection = place.one().server().connection();
            let result = redis::pipe()
                .cmd("CONFIG")
                .arg(&["SET", "maxclients", "3"])
                .cmd("CLIENT")
                .arg(&["KILL", "TYPE", "normal"])
                .exec(&mut connection);
            result.expect("the server obeys");
            *place.held.lock().expect("no thread panics") = Some(connection);
        },
        heal: |place| {
            let held = place.held.lock().expect("no thread panics").take();
            let mut connection = held.expect("it was held");
            let result = redis::cmd("CONFIG").arg(&["SET", "maxclients", "10000"]).exec(&mut connection);
            result.expect("the server obeys");
        },
        ..FAULT
    },
    Fault {
        name: "flushed",
        what: "FLUSHALL, again and again",
        harm: Harm::None,
        meanwhile: |place| command(place, &["FLUSHALL"]),
        ..FAULT
    },
    Fault {
        name: "clients-killed",
        what: "CLIENT KILL of all connections, again and again",
        meanwhile: |place| command(place, &["CLIENT", "KILL", "TYPE", "normal"]),
        ..FAULT
    },
    Fault {
        name: "scripts-flushed",
        what: "SCRIPT FLUSH, again and again",
        harm: Harm::None,
        meanwhile: |place| command(place, &["SCRIPT", "FLUSH"]),
        ..FAULT
    },
    Fault {
        name: "no-scripts",
        what: "the user loses the permission for EVAL and EVALSHA",
        harm: Harm::None,
        strike: |place| command(place, &["ACL", "SETUSER", "default", "-eval", "-evalsha"]),
        heal: |place| command(place, &["ACL", "SETUSER", "default", "+@all"]),
        ..FAULT
    },
    Fault {
        name: "no-unlink",
        what: "the user loses the permission for UNLINK",
        harm: Harm::None,
        strike: |place| command(place, &["ACL", "SETUSER", "default", "-unlink"]),
        heal: |place| command(place, &["ACL", "SETUSER", "default", "+@all"]),
        ..FAULT
    },
    Fault {
        name: "no-invalidation",
        what: "the user loses the permission for UNLINK, DEL and HDEL",
        harm: Harm::None,
        strike: |place| command(place, &["ACL", "SETUSER", "default", "-unlink", "-del", "-hdel"]),
        heal: |place| command(place, &["ACL", "SETUSER", "default", "+@all"]),
        ..FAULT
    },
    Fault {
        name: "replica",
        what: "the server becomes a replica without a master",
        strike: |place| command(place, &["REPLICAOF", "127.0.0.1", "1"]),
        heal: |place| command(place, &["REPLICAOF", "NO", "ONE"]),
        ..FAULT
    },
    Fault {
        name: "no-replicas",
        what: "the server refuses writes, because it lacks replicas",
        strike: |place| set(place, "min-replicas-to-write", "1"),
        heal: |place| set(place, "min-replicas-to-write", "0"),
        ..FAULT
    },
    Fault {
        name: "busy",
        what: "slow scripts of another client keep the server busy",
        meanwhile: |place| command(place, &["EVAL", BUSY, "0"]),
        ..FAULT
    },
];

fn command(place: &Place, words: &[&str]) {
    place.one().server().cli(words);
}

fn set(place: &Place, name: &str, value: &str) {
    let reply = place.one().server().cli(&["CONFIG", "SET", name, value]);
    assert_eq!(reply, "OK", "{name} {value}");
}

fn damage(place: &Place) {
    /// The place of the next byte, in any value.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut connection = place.one().server().connection();
    for _ in 0..20 {
        let mut command = redis::cmd("EVAL");
        command.arg(DAMAGE).arg(0).arg(NEXT.fetch_add(7, Relaxed));
        command.exec(&mut connection).expect("the script runs");
    }
}
