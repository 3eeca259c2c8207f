//! The commands that the server refuses. They are asked for when a connection is made, noted when one is refused, and
//! asked for again while calls need one of them.
//!
//! A user cannot read its own permissions, and a renamed command is unknown, so the questions are commands without an
//! effect.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ::redis::{Cmd, Pipeline, Value};

use super::breaker::Epoch;
use super::fault::{Blame, Denied, Fault};
use super::features::Features;
use super::state::Server;
use crate::stored::envelope::Token;

/// The interval at which a server is asked again for the commands that it refuses, while calls need one of them.
const RIGHTS_ASKED: Duration = Duration::from_secs(2);

/// Commands in a form without effect on a key that does not exist. `HSET` has no such form: if it is refused, no lease
/// is taken in the first place.
const QUESTIONS: &[(Features, &[&str])] = &[
    (Features::GET, &["GET", "k"]),
    (Features::MGET, &["MGET", "k"]),
    (Features::GETRANGE, &["GETRANGE", "k", "0", "0"]),
    (Features::STRLEN, &["STRLEN", "k"]),
    (Features::SET, &["SET", "k", "", "XX", "PX", "1"]),
    (Features::EVAL, &["EVAL", "return 1", "0"]),
    (Features::EVALSHA, &["EVALSHA", "0000000000000000000000000000000000000000", "0"]),
    (Features::UNLINK, &["UNLINK", "k"]),
    (Features::DEL, &["DEL", "k"]),
    (Features::PEXPIRE, &["PEXPIRE", "k", "1"]),
    (Features::PTTL, &["PTTL", "k"]),
    (Features::SETRANGE, &["SETRANGE", "k", "0", ""]),
    (Features::TIME, &["TIME"]),
    (Features::EXISTS, &["EXISTS", "k"]),
    (Features::RENAME, &["RENAME", "k", "k"]),
    (Features::HGET, &["HGET", "k", "f"]),
    (Features::HMGET, &["HMGET", "k", "f"]),
    (Features::HDEL, &["HDEL", "k", "f"]),
    (Features::HEXISTS, &["HEXISTS", "k", "f"]),
    (Features::HSTRLEN, &["HSTRLEN", "k", "f"]),
];

/// The pipeline that asks for the refused commands.
pub(crate) fn questions() -> Pipeline {
    let random = Token::random().map_or(0, |token| token.as_random());
    let key = format!("redis-cached:permissions:{random:016x}");
    let mut pipeline = Pipeline::with_capacity(QUESTIONS.len());
    for (_, words) in QUESTIONS {
        let mut command = Cmd::new();
        for word in *words {
            command.arg(if *word == "k" { key.as_str() } else { *word });
        }
        pipeline.add_command(command);
    }
    pipeline
}

/// The commands of [`questions`].
#[cfg(feature = "inspect")]
pub(crate) fn asked() -> impl Iterator<Item = Features> {
    QUESTIONS.iter().map(|(command, _)| *command)
}

/// The commands that the replies to [`questions`] refuse. A refused key does not mean a refused command.
pub(crate) fn refused(replies: &[Value]) -> u32 {
    let is_refused = |command: Features, reply: &Value| {
        let Value::ServerError(error) = reply else { return false };
        match Fault::from(error).blame {
            Blame::Denied(Denied::Command(_)) => true,
            // A server without scripts may use other words for it.
            Blame::Command => command == Features::EVAL,
            _ => false,
        }
    };
    let refused = QUESTIONS.iter().zip(replies).filter(|((command, _), reply)| is_refused(*command, reply));
    refused.fold(0, |all, ((command, _), _)| all | command.bits())
}

impl Server {
    /// The features of the last server that was connected to.
    pub(crate) fn known_features(&self) -> Features {
        Features::from_bits(self.features.load(Relaxed))
    }

    /// Returns true if the server refuses a command.
    pub(crate) fn lacks_some(&self) -> bool {
        Features::ALL_COMMANDS.has(Features::from_bits(self.denied.load(Relaxed)))
    }

    /// Returns true if a connection made in `epoch` must ask for the refused commands.
    pub(crate) fn is_to_ask_rights(&self, epoch: Epoch) -> bool {
        self.rights_asked.load(Relaxed) != epoch.number() + 1
    }

    pub(crate) fn note_features(&self, features: Features) {
        self.features.store(features.bits(), Relaxed);
    }

    /// Notes the replies to the questions.
    pub(crate) fn note_rights(&self, epoch: Epoch, replies: &[Value]) {
        let refused = refused(replies);
        // Use shows the state of a command that was not asked about.
        let _ = self
            .denied
            .fetch_update(Relaxed, Relaxed, |denied| Some(denied & !Features::ALL_COMMANDS.bits() | refused));
        self.rights_asked.store(epoch.number() + 1, Relaxed);
        self.rights_due.store(self.health.clock.ticks() + RIGHTS_ASKED.as_millis() as u64, Relaxed);
    }

    pub(crate) fn deny(&self, feature: Features) {
        self.denied.fetch_or(feature.bits(), Relaxed);
    }

    /// Notes that a command was refused unexpectedly: the questions are due.
    pub(crate) fn ask_rights_soon(&self) {
        self.rights_due.fetch_max(self.health.clock.ticks() + 1, Relaxed);
    }

    /// Returns true if this caller must ask again for the refused commands.
    pub(crate) fn claims_rights(&self) -> bool {
        let now = self.health.clock.ticks();
        let due = self.rights_due.load(Relaxed);
        let next = now + RIGHTS_ASKED.as_millis() as u64;
        now >= due && self.rights_due.compare_exchange(due, next, Relaxed, Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_but_one_is_asked_about() {
        let asked = QUESTIONS.iter().fold(0, |all, (command, _)| all | command.bits());
        assert_eq!(Features::ALL_COMMANDS.bits() & !asked, Features::HSET.bits());
    }

    #[test]
    fn a_refused_key_is_no_refused_command() {
        let replies = |text: &str| {
            let value = redis::parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap();
            vec![value; QUESTIONS.len()]
        };
        assert_eq!(refused(&replies("NOPERM No permissions to access a key")), 0);
        assert_eq!(refused(&replies("OOM command not allowed")), 0);
        let all = Features::default().without(Features::MANY_KEYS.bits() | Features::HSET.bits());
        assert_eq!(refused(&replies("NOPERM User u has no permissions to run the 'x' command")), all.bits());
        assert_eq!(refused(&replies("ERR unknown command 'x', with args beginning with: ")), all.bits());
        assert_eq!(refused(&replies("ERR scripting is switched off")), Features::EVAL.bits());
    }
}
