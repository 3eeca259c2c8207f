//! The requests to a server, and the replies.

use std::time::Instant;

use ::redis::{Arg, Cmd, Pipeline, Value};

use super::server::fault::Fault;
use crate::observe::{Exchange, Exchanges, Operation};

/// The load of an exchange.
#[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "blocking calls have a connection for themselves"))]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load {
    /// The approximate number of sent bytes, if there are many.
    pub(crate) sent: usize,
    /// True if small requests or replies would wait for this one.
    pub(crate) is_large: bool,
    /// True if the reply is known not to arrive in time.
    pub(crate) is_too_large: bool,
}

/// Commands that travel together.
pub(crate) enum Request {
    One(Cmd),
    Many(Pipeline),
    /// The same as `One`, but never sent a second time: it grants a lease. A delayed first copy would grant it again,
    /// after an invalidation that took it away.
    OneOnce(Cmd),
    /// The same as `Many`, but never sent a second time.
    ManyOnce(Pipeline),
}

impl Request {
    /// Begins an exchange that sends it.
    pub(crate) fn begin(&self, exchanges: &Exchanges) -> Exchange {
        let (operation, commands) = match self {
            Request::One(command) | Request::OneOnce(command) => (operation(command), 1),
            Request::Many(pipeline) | Request::ManyOnce(pipeline) => (Operation::Pipeline, pipeline.len()),
        };
        Exchange::begin(exchanges, operation, commands)
    }

    pub(crate) fn may_be_repeated(&self) -> bool {
        !matches!(self, Request::OneOnce(_) | Request::ManyOnce(_))
    }
}

/// What a command does, by its name.
fn operation(command: &Cmd) -> Operation {
    match command.args_iter().next() {
        Some(Arg::Simple(name)) => Operation::of(name),
        _ => Operation::Other,
    }
}

/// The replies to a [`Request`], errors among them.
pub(crate) enum Reply {
    One(Value),
    Many { values: Vec<Value>, sent: Instant },
}

impl Reply {
    /// The reply to a single command.
    pub(crate) fn one(self) -> Result<Value, Fault> {
        let value = match self {
            Reply::One(value) => Some(value),
            Reply::Many { values, .. } => values.into_iter().next(),
        };
        checked(value.unwrap_or_default())
    }

    /// The time at which several commands were sent.
    pub(crate) fn sent(&self) -> Option<Instant> {
        match self {
            Reply::One(_) => None,
            Reply::Many { sent, .. } => Some(*sent),
        }
    }

    pub(crate) fn all(self) -> Vec<Value> {
        match self {
            Reply::One(value) => vec![value],
            Reply::Many { values, .. } => values,
        }
    }
}

/// The value, unless it is an error.
pub(crate) fn checked(value: Value) -> Result<Value, Fault> {
    match value {
        Value::ServerError(error) => Err(Fault::from(&error)),
        value => Ok(value),
    }
}
