//! The requests that fill a slot, and the meaning of the replies.

use ::redis::{Cmd, Value};

use crate::error::ErrorKind;
use crate::key::{Address, Key};
use crate::plan::ttl::Ttl;
use crate::store::redis::ops::commands::{bounded, in_hash, lifetime, set};
use crate::store::redis::ops::scripts::{self, Form};
use crate::store::redis::request::checked;
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::server::features::Features;
use crate::stored::envelope::{self, Lease, LeasePlace};

/// The largest value that travels as a script's argument: a larger one is quicker as a staged write under another key.
const INLINE: usize = 4 * 1024;

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

/// The key of a staged write: in the same slot of a cluster.
fn ahead_of(key: &str, lease: &Lease) -> String {
    let hash_tag = key.split_once('{').and_then(|(_, tail)| tail.find('}')).is_some_and(|length| length > 0);
    let mut ahead = if hash_tag { key.to_owned() } else { format!("{{{key}}}") };
    ahead.push_str(":ahead:");
    for byte in lease.token().bytes() {
        // Writing to a string does not fail.
        let _ = std::fmt::Write::write_fmt(&mut ahead, format_args!("{byte:02x}"));
    }
    ahead
}

/// The reply to the last command of [`fill`].
pub(crate) fn filled(value: Value) -> Result<bool, Fault> {
    match checked(value)? {
        Value::Okay => Ok(true),
        Value::Nil => Ok(false),
        Value::Int(-1) => Err(Fault::new(ErrorKind::Protocol, Blame::Command, "a value sent ahead is gone")),
        Value::Int(number) => Ok(number > 0),
        _ => Err(Fault::unexpected("SET")),
    }
}
