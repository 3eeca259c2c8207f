//! What a failure means: for the caller, for the connection, and for the server's health.

use std::io;

use redis::{ErrorKind as RedisErrorKind, RedisError, ServerError, ServerErrorKind};

use crate::error::{Error, ErrorKind};

/// A failed exchange.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) error: Error,
    pub(crate) blame: Blame,
}

/// Where a failure points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The command or its key: the server is well.
    Command,
    /// Nothing: the script has to be sent in full once.
    Script,
    /// Writes: the server still answers reads.
    Writes,
    /// The server as it is now, which the connection survives.
    Server,
    /// The connection was closed by the other side: another one may work at once.
    Closed,
    /// The same, of one that had worked, under a request that is not sent twice: that happens to
    /// healthy servers, and whether this is one the next request tells.
    Dropped,
    /// The connection, which must not be used again.
    Connection,
    /// The server for good, until it has another role: nothing more is asked of it.
    Role,
    /// Nobody yet: the caller's time ended before anything was sent.
    Wait,
    /// This process: where it called from, or what it has run out of.
    Caller,
}

impl Fault {
    pub(crate) fn new(kind: ErrorKind, blame: Blame, detail: impl Into<String>) -> Fault {
        Fault { error: Error::new(kind, detail), blame }
    }

    /// No answer to what was sent.
    pub(crate) fn hung() -> Fault {
        Fault::new(ErrorKind::Timeout, Blame::Server, "")
    }

    pub(crate) fn replica() -> Fault {
        Fault::new(ErrorKind::ReadOnly, Blame::Role, "the server is a replica; this library reads from masters only")
    }

    /// A reply of a type that the command does not have: the replies may be out of step.
    pub(crate) fn unexpected(command: &str) -> Fault {
        Fault::new(ErrorKind::Protocol, Blame::Connection, format!("in reply to {command}"))
    }

    /// Whether the server may have heard what failed, or may still.
    pub(crate) fn may_have_arrived(&self) -> bool {
        match self.blame {
            Blame::Closed | Blame::Dropped => true,
            // Not where none could be made.
            Blame::Connection => self.error.kind() != ErrorKind::Unreachable,
            Blame::Server => self.error.kind() == ErrorKind::Timeout,
            _ => false,
        }
    }

    /// Whether the connection must not be used again.
    pub(crate) fn spoils_connection(&self) -> bool {
        matches!(self.blame, Blame::Closed | Blame::Dropped | Blame::Connection | Blame::Role)
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Fault {
        let (kind, blame) = match error.kind() {
            RedisErrorKind::Server(_) | RedisErrorKind::Extension => {
                return match ServerError::try_from(error) {
                    Ok(error) => Fault::from(&error),
                    Err(error) => Fault::new(ErrorKind::Protocol, Blame::Connection, error.to_string()),
                };
            }
            RedisErrorKind::AuthenticationFailed => (ErrorKind::Auth, Blame::Connection),
            RedisErrorKind::Parse | RedisErrorKind::UnexpectedReturnType => (ErrorKind::Protocol, Blame::Connection),
            _ if error.is_timeout() => (ErrorKind::Timeout, Blame::Connection),
            _ if error.is_connection_dropped() && !error.is_connection_refusal() => {
                (ErrorKind::Unreachable, Blame::Closed)
            }
            // Refused, no such host, no route, a TLS handshake that failed.
            _ => (ErrorKind::Unreachable, Blame::Connection),
        };
        Fault::new(kind, blame, error.to_string())
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::from(RedisError::from(error))
    }
}

impl From<&ServerError> for Fault {
    fn from(error: &ServerError) -> Fault {
        let text = error.details().unwrap_or_default();
        let (kind, blame) = match error.kind() {
            Some(kind) => known(kind).unwrap_or_else(|| untyped(text)),
            None => by_code(error.code()).unwrap_or((ErrorKind::Protocol, Blame::Command)),
        };
        Fault::new(kind, blame, format!("{} {text}", error.code()))
    }
}

fn known(kind: ServerErrorKind) -> Option<(ErrorKind, Blame)> {
    Some(match kind {
        ServerErrorKind::BusyLoading => (ErrorKind::Loading, Blame::Server),
        ServerErrorKind::Moved
        | ServerErrorKind::Ask
        | ServerErrorKind::TryAgain
        | ServerErrorKind::ClusterDown
        | ServerErrorKind::CrossSlot => (ErrorKind::Cluster, Blame::Server),
        // `MASTERDOWN` is what a replica without its master answers.
        ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown => (ErrorKind::ReadOnly, Blame::Role),
        ServerErrorKind::NoPerm => (ErrorKind::Auth, Blame::Server),
        ServerErrorKind::NoScript => (ErrorKind::Protocol, Blame::Script),
        ServerErrorKind::ResponseError => return None,
        _ => (ErrorKind::Protocol, Blame::Command),
    })
}

fn by_code(code: &str) -> Option<(ErrorKind, Blame)> {
    Some(match code {
        "WRONGTYPE" => (ErrorKind::WrongType, Blame::Command),
        "OOM" => (ErrorKind::OutOfMemory, Blame::Writes),
        // Persistence fails, or too few replicas are left: reads go on.
        "MISCONF" | "NOREPLICAS" => (ErrorKind::ReadOnly, Blame::Writes),
        "READONLY" | "MASTERDOWN" => (ErrorKind::ReadOnly, Blame::Role),
        "NOAUTH" | "WRONGPASS" | "DENIED" => (ErrorKind::Auth, Blame::Connection),
        "NOPERM" => (ErrorKind::Auth, Blame::Server),
        "LOADING" => (ErrorKind::Loading, Blame::Server),
        // Somebody's script occupies the server.
        "BUSY" => (ErrorKind::Timeout, Blame::Server),
        "MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN" | "CROSSSLOT" => (ErrorKind::Cluster, Blame::Server),
        _ => return None,
    })
}

/// An `ERR` says what it is in its text alone. Redis 6 wraps the errors of a script's commands
/// into one, with the code inside, some behind a dash.
fn untyped(text: &str) -> (ErrorKind, Blame) {
    if text.starts_with("max number of clients") {
        return (ErrorKind::Unreachable, Blame::Connection);
    }
    let wrapped = text.starts_with("Error running script").then_some(text).into_iter();
    wrapped
        .flat_map(str::split_ascii_whitespace)
        .find_map(|word| by_code(word.strip_prefix('-').unwrap_or(word)))
        .unwrap_or((ErrorKind::Protocol, Blame::Command))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: &str) -> (ErrorKind, Blame) {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("an error line");
        let fault = Fault::from(value.extract_error().expect_err("an error"));
        (fault.error.kind(), fault.blame)
    }

    #[test]
    fn replies_are_told_apart() {
        for (line, kind, blame) in [
            ("WRONGTYPE Operation against a key", ErrorKind::WrongType, Blame::Command),
            ("OOM command not allowed", ErrorKind::OutOfMemory, Blame::Writes),
            ("MISCONF Redis is configured to save", ErrorKind::ReadOnly, Blame::Writes),
            ("NOREPLICAS Not enough good replicas", ErrorKind::ReadOnly, Blame::Writes),
            ("READONLY You can't write", ErrorKind::ReadOnly, Blame::Role),
            ("MASTERDOWN Link with MASTER is down", ErrorKind::ReadOnly, Blame::Role),
            ("LOADING Redis is loading", ErrorKind::Loading, Blame::Server),
            ("NOAUTH Authentication required.", ErrorKind::Auth, Blame::Connection),
            ("WRONGPASS invalid username-password pair", ErrorKind::Auth, Blame::Connection),
            ("NOPERM this user has no permissions", ErrorKind::Auth, Blame::Server),
            ("MOVED 3999 127.0.0.1:6381", ErrorKind::Cluster, Blame::Server),
            ("CLUSTERDOWN Hash slot not served", ErrorKind::Cluster, Blame::Server),
            ("BUSY Redis is busy running a script", ErrorKind::Timeout, Blame::Server),
            ("ERR max number of clients reached", ErrorKind::Unreachable, Blame::Connection),
            ("NOSCRIPT No matching script", ErrorKind::Protocol, Blame::Script),
            ("ERR unknown command", ErrorKind::Protocol, Blame::Command),
            (
                "ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed",
                ErrorKind::OutOfMemory,
                Blame::Writes,
            ),
            (
                "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write",
                ErrorKind::ReadOnly,
                Blame::Role,
            ),
            (
                "ERR Error running script (call to f_1): @user_script:1: WRONGTYPE Operation",
                ErrorKind::WrongType,
                Blame::Command,
            ),
        ] {
            assert_eq!(fault(line), (kind, blame), "{line}");
        }
    }

    #[test]
    fn failures_of_the_network_are_told_apart() {
        for (error, kind, blame) in [
            (io::ErrorKind::ConnectionRefused, ErrorKind::Unreachable, Blame::Connection),
            (io::ErrorKind::ConnectionReset, ErrorKind::Unreachable, Blame::Closed),
            (io::ErrorKind::BrokenPipe, ErrorKind::Unreachable, Blame::Closed),
            (io::ErrorKind::UnexpectedEof, ErrorKind::Unreachable, Blame::Closed),
            (io::ErrorKind::TimedOut, ErrorKind::Timeout, Blame::Connection),
            (io::ErrorKind::WouldBlock, ErrorKind::Timeout, Blame::Connection),
            (io::ErrorKind::HostUnreachable, ErrorKind::Unreachable, Blame::Connection),
        ] {
            let fault = Fault::from(io::Error::from(error));
            assert_eq!((fault.error.kind(), fault.blame), (kind, blame), "{error}");
        }
    }
}
