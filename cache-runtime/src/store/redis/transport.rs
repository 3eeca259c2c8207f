//! What carries commands to the server and replies back, and what the server says of itself
//! when a connection is made.

use std::future::Future;
use std::time::{Duration, Instant};

use redis::{Cmd, Pipeline, Value};

use super::breaker::Epoch;
use super::fault::{Blame, Fault};
pub(crate) use super::features::Features;
use super::features::field;
use super::{Shared, commands};
use crate::error::ErrorKind;
use crate::key::Key;

/// How long connecting may take, and a probe's exchange, when no caller waits for it.
pub(crate) fn patience(timeout: Duration) -> Duration {
    timeout.max(Duration::from_secs(1))
}

/// So many time-outs in a row are taken for a connection whose other end is gone.
pub(crate) const HALF_OPEN: u32 = 3;

/// How much an exchange carries.
#[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "blocking calls have a connection for themselves"))]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load {
    /// About how many bytes are sent, if they are many.
    pub(crate) sent: usize,
    /// Small ones would wait for it, there or back.
    pub(crate) is_large: bool,
}

/// Commands that travel together.
pub(crate) enum Request {
    One(Cmd),
    Many(Pipeline),
    /// As `One`, but never sent a second time: it grants a lease. A first copy that was held up on
    /// its way would grant it again, after an invalidation that took it away.
    OneOnce(Cmd),
    /// As `Many`, but never sent a second time.
    ManyOnce(Pipeline),
}

impl Request {
    pub(crate) fn may_be_repeated(&self) -> bool {
        !matches!(self, Request::OneOnce(_) | Request::ManyOnce(_))
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

    /// The first reply, where the last one may be the server's time.
    pub(crate) fn timed(self, shared: &Shared) -> Result<Value, Fault> {
        let Reply::Many { mut values, sent } = self else { return self.one() };
        if values.len() > 1
            && let Some(time) = values.pop()
        {
            shared.note_time(&time, sent);
        }
        checked(values.into_iter().next().unwrap_or_default())
    }

    /// All replies, the last of which is the server's time.
    pub(crate) fn all_timed(self, shared: &Shared) -> Vec<Value> {
        let Reply::Many { mut values, sent } = self else { return self.all() };
        if let Some(time) = values.pop() {
            shared.note_time(&time, sent);
        }
        values
    }

    /// When several commands were sent.
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

/// Makes the request, for a server with these features. It is called once for each attempt.
pub(crate) type Build<'a> = &'a (dyn Fn(Features) -> Request + Send + Sync);

/// Takes the replies of the attempt that was answered, or says what is wrong with them, which decides whether the
/// connection is used again.
///
/// This is a trait object because a transport is most of an operation's code: generic over the reader of a reply, all of
/// it would be compiled once for each operation, and again in each crate with cached functions.
pub(crate) type Decode<'a> = &'a mut (dyn FnMut(Reply) -> Result<(), Fault> + Send);

/// Carries requests, for callers of one kind.
pub(crate) trait Transport: Send + Sync + Sized + 'static {
    /// Whether [reads](Transport::read) at the same moment travel together.
    const SHARES_READS: bool = false;

    /// Sends what `build` makes and decodes the replies, over a connection made in `epoch`. Where a connection in use
    /// turns out to have been closed, it sends a second time over a new one, unless the request
    /// [may not be repeated](Request::may_be_repeated): every other operation of a store may be applied twice.
    fn exchange(
        &self,
        epoch: Epoch,
        load: Load,
        build: Build<'_>,
        decode: Decode<'_>,
        by: Instant,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// An exchange that reads a slot, perhaps together with other reads. The reply is that to one command.
    fn read(
        &self,
        epoch: Epoch,
        load: Load,
        key: &Key,
        decode: Decode<'_>,
        by: Instant,
    ) -> impl Future<Output = Result<(), Fault>> + Send {
        async move { self.exchange(epoch, load, &|_| Request::One(commands::get(key)), decode, by).await }
    }

    /// Connects anew, whatever is there.
    fn reconnect(&self, epoch: Epoch, by: Instant) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Runs a task that nobody waits for. Drops it where that is impossible.
    fn background(&self, task: impl Future<Output = ()> + Send + 'static);

    /// Runs a short task that nobody waits for, perhaps at once.
    fn aside(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.background(task);
    }

    /// Waits, inside a [`Transport::background`] task.
    fn pause(duration: Duration) -> impl Future<Output = ()> + Send;

    /// Whether what runs the caller is ending, and gives its tasks up.
    fn is_ending() -> bool {
        false
    }
}

/// How long a server is not asked for one more connection after it had no room for it.
pub(crate) const FULL: Duration = Duration::from_secs(2);

/// The questions to a server at connecting. Each may be refused alone, by a user's permissions.
/// The last one touches the data set, which a server that is loading it refuses.
pub(crate) fn greeting() -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(4);
    pipeline.cmd("INFO").arg("server").cmd("TIME").cmd("ROLE").cmd("EXISTS").arg("redis-cached");
    pipeline
}

/// What the answers mean.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Greeted {
    pub(crate) features: Features,
    /// Ask [`cluster_info`] too.
    pub(crate) clustered: bool,
}

/// Reads the answers to [`greeting`].
pub(crate) fn greeted(values: Vec<Value>, sent: Instant, shared: &Shared) -> Result<Greeted, Fault> {
    let Ok([info, time, role, exists]) = <[Value; 4]>::try_from(values) else {
        return Err(Fault::unexpected("the first commands"));
    };
    for value in [&info, &time, &role, &exists] {
        if let Value::ServerError(error) = value {
            let fault = Fault::from(error);
            // A permission that is missing here need not be missing elsewhere.
            let tolerable =
                matches!(fault.blame, Blame::Command | Blame::Denied(_)) || matches!(error.code(), "MOVED" | "ASK");
            if !tolerable {
                return Err(fault);
            }
        }
    }
    match name_of_role(&role) {
        Some("slave") => return Err(Fault::replica()),
        Some("sentinel") => {
            return Err(Fault::new(ErrorKind::Unsupported, Blame::Role, "this is a sentinel; name the master itself"));
        }
        _ => shared.role_is_known(),
    }
    shared.note_time(&time, sent);
    let info = match &info {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes),
        Value::VerbatimString { text, .. } => text.as_str().into(),
        _ => "".into(),
    };
    Ok(Greeted { features: Features::of(&info), clustered: field(&info, "redis_mode") == Some("cluster") })
}

/// Asks a node of a cluster whether it is alone.
pub(crate) fn cluster_info() -> Cmd {
    let mut command = redis::cmd("CLUSTER");
    command.arg("INFO");
    command
}

/// A node that serves all slots is as good as a server; any other one holds a part of the keys.
pub(crate) fn alone(info: Value) -> Result<(), Fault> {
    let text = match &info {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes),
        Value::VerbatimString { text, .. } => text.as_str().into(),
        _ => return Ok(()),
    };
    match field(&text, "cluster_size") {
        Some("1") | None => Ok(()),
        Some(size) => Err(Fault::new(
            ErrorKind::Cluster,
            Blame::Role,
            format!("one of {size} masters; clusters are not supported yet"),
        )),
    }
}

/// `master`, `slave` or `sentinel`.
pub(crate) fn name_of_role(role: &Value) -> Option<&str> {
    match role {
        Value::Array(parts) => match parts.first()? {
            Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
            Value::SimpleString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// The microseconds of a reply to `TIME`.
pub(crate) fn micros(time: &Value) -> Option<i64> {
    let Value::Array(parts) = time else { return None };
    let number = |part: &Value| match part {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?.parse::<i64>().ok(),
        Value::Int(number) => Some(*number),
        _ => None,
    };
    let (seconds, micros) = (number(parts.first()?)?, number(parts.get(1)?)?);
    seconds.checked_mul(1_000_000)?.checked_add(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_microseconds() {
        let text = |text: &str| Value::BulkString(text.into());
        assert_eq!(micros(&Value::Array(vec![text("12"), text("34")])), Some(12_000_034));
        assert_eq!(micros(&Value::Array(vec![text("x"), text("34")])), None);
        assert_eq!(micros(&Value::Array(vec![text("9999999999999999"), text("34")])), None);
        assert_eq!(micros(&Value::Nil), None);
    }

    #[test]
    fn a_cluster_of_one_is_a_server() {
        let info = |text: &str| alone(Value::BulkString(text.into()));
        assert!(info("cluster_state:ok\r\ncluster_size:1\r\n").is_ok());
        assert!(info("cluster_state:ok\r\ncluster_size:3\r\n").is_err());
        assert!(alone(Value::Nil).is_ok());
    }
}
