//! Commands, and the meaning of the replies.

use redis_cached_runtime::Error;
use redis_cached_runtime::inspect::{Cmd, Value, cmd};

use crate::outcome::{Failure, Outcome};

/// A command, from its words.
pub(crate) fn command(words: &[&str]) -> Cmd {
    let (name, rest) = words.split_first().unwrap_or((&"PING", &[]));
    let mut command = cmd(name);
    rest.iter().for_each(|word| {
        command.arg(*word);
    });
    command
}

pub(crate) fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        Value::VerbatimString { text, .. } => Some(text.into_bytes()),
        _ => None,
    }
}

pub(crate) fn text(value: Value) -> Option<String> {
    bytes(value).and_then(|bytes| String::from_utf8(bytes).ok())
}

pub(crate) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::BulkString(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    }
}

pub(crate) fn items(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        _ => Vec::new(),
    }
}

/// The text of an error, if it is one.
pub(crate) fn refusal(value: &Value) -> Option<String> {
    match value {
        Value::ServerError(error) => Some(format!("{} {}", error.code(), error.details().unwrap_or_default())),
        _ => None,
    }
}

/// The value. An error of the server ends the command with the server's words, unless the caller has ruled out that it
/// has a meaning of its own.
pub(crate) fn told(asked: &str, value: Value) -> Outcome<Value> {
    match refusal(&value) {
        Some(refusal) => Err(Failure::Server(format!("the server refuses {asked}: {refusal}"))),
        None => Ok(value),
    }
}

/// Returns true if another node of a cluster has the key.
pub(crate) fn has_moved(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if matches!(error.code(), "MOVED" | "ASK"))
}

/// Returns true if the user may not access this key, and may run the command on others.
pub(crate) fn is_refused_key(value: &Value) -> bool {
    let Value::ServerError(error) = value else { return false };
    let details = error.details().unwrap_or_default();
    error.code() == "NOPERM" && details.contains("access") && details.contains("key")
}

/// Returns true if the server has no such command, or no such form of it.
pub(crate) fn is_unknown(value: &Value) -> bool {
    let refusal = refusal(value).unwrap_or_default().to_lowercase();
    refusal.starts_with("err unknown command") || refusal.starts_with("err unknown subcommand")
}

/// The memory that a key takes, from the reply to `MEMORY USAGE`. `None` for no key, and on a server that does not tell it.
pub(crate) fn memory(value: Value) -> Outcome<Option<u64>> {
    if is_unknown(&value) {
        return Ok(None);
    }
    Ok(integer(&told("MEMORY USAGE", value)?).and_then(|memory| u64::try_from(memory).ok()))
}

pub(crate) fn is_wrong_type(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.code() == "WRONGTYPE")
}

/// The server's clock, in milliseconds, from the reply to `TIME`.
pub(crate) fn time(value: Value) -> Outcome<u64> {
    let parts = items(told("TIME", value)?);
    let millis = match parts.as_slice() {
        [seconds, micros] => integer(seconds).zip(integer(micros)).and_then(|(seconds, micros)| {
            seconds.checked_mul(1000)?.checked_add(micros / 1000).and_then(|millis| u64::try_from(millis).ok())
        }),
        _ => None,
    };
    millis.ok_or_else(|| Failure::Server("the reply to TIME is not understood".to_owned()))
}

/// What is left of the life of a key, in milliseconds, from the reply to `PTTL`. `None` for ever.
pub(crate) fn left(value: Value) -> Outcome<Option<u64>> {
    Ok(integer(&told("PTTL", value)?).and_then(|left| u64::try_from(left).ok()))
}

/// The replies, by position. One that is missing is nil.
pub(crate) struct Replies(std::vec::IntoIter<Value>);

impl Replies {
    pub(crate) fn of(values: Result<Vec<Value>, Error>) -> Result<Replies, Error> {
        values.map(|values| Replies(values.into_iter()))
    }

    pub(crate) fn next(&mut self) -> Value {
        self.0.next().unwrap_or(Value::Nil)
    }
}

/// A field of the text of `INFO`.
pub(crate) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end)
}
