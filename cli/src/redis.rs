//! Commands, and the meaning of the replies.

use redis_cached_runtime::Error;
use redis_cached_runtime::inspect::{Cmd, Value, cmd};

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

pub(crate) fn is_wrong_type(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.code() == "WRONGTYPE")
}

/// The server's clock, in milliseconds, from the reply to `TIME`.
pub(crate) fn time(value: Value) -> Option<u64> {
    match items(value).as_slice() {
        [seconds, micros] => {
            let (seconds, micros) = (integer(seconds)?, integer(micros)?);
            u64::try_from(seconds * 1000 + micros / 1000).ok()
        }
        _ => None,
    }
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
