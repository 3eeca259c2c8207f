//! The meaning of a failure: for the caller, for the connection, and for the server's health.

use std::io;

use redis::{ErrorKind as RedisErrorKind, RedisError, ServerError, ServerErrorKind};

use super::features::Features;
use crate::error::{Error, ErrorKind, Redirection};
use crate::key::TAG;
use crate::observe::Failure;

/// A failed exchange.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) error: Error,
    pub(crate) blame: Blame,
}

/// The part that a failure points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The command or its key: the server is well.
    Command,
    /// A right that the user lacks, or a command that the server lacks: the server is well for all else.
    Denied(Denied),
    /// Nothing: the script has to be sent in full once.
    Script,
    /// Nothing: another node of the cluster has the key, and the command was not executed.
    Moved,
    /// Nothing: another node may have the key, to which it is moving, and the command was not executed.
    Ask,
    /// Nothing: the node has some of the keys of the command, which was not executed.
    TryAgain,
    /// The node, which serves no keys because the cluster is incomplete.
    ClusterDown,
    /// Writes: the server still answers reads.
    Writes,
    /// The server as it is now, which the connection survives.
    Server,
    /// The connection was closed by the other side: another one may work at once.
    Closed,
    /// The same for a connection that had worked, under a request that is not sent twice. Healthy servers close
    /// connections too, and the next request shows if this one is healthy.
    Dropped,
    /// The connection, which must not be used again.
    Connection,
    /// The server for good, until it has another role: nothing more is asked of it.
    Role,
    /// The server has no room for another connection.
    Full,
    /// Nothing yet: the server did not answer in the time that the wait for a connection had left to the caller.
    #[cfg_attr(not(feature = "blocking"), expect(dead_code, reason = "async callers share connections"))]
    Late,
    /// Nothing yet: the caller's time ended before anything was sent.
    Wait,
    /// A value of this many bytes, which was under way when the caller's time ended: the server is well.
    Large(u64),
    /// This process: the place of the call, or an exhausted resource.
    Caller,
}

/// A permanent refusal of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// A command, whatever its key. The reply to a script does not always name it.
    Command(Option<Features>),
    /// Any command on this key.
    Key,
    /// Keys of several slots of a cluster in one command.
    ManyKeys,
}

impl Fault {
    /// An operation is not begun without one of these commands, which the server is known to refuse.
    pub(crate) fn lacking(command: Features) -> Fault {
        let detail = format!("{}, without which results cannot be stored", lacked(command.name()));
        Fault::new(ErrorKind::Auth, Blame::Denied(Denied::Command(Some(command))), detail)
    }

    /// Names the missing right, if it is a right to a key.
    pub(crate) fn about(mut self, name: &str) -> Fault {
        if self.blame == Blame::Denied(Denied::Key) {
            let pattern = key_pattern(name);
            self.error = self.error.with_detail(|detail| format!("the Redis user lacks `~{pattern}`: {detail}"));
        }
        self
    }

    /// Returns true if the server knows no such command, or no such form of it.
    pub(crate) fn is_of_form(&self) -> bool {
        self.blame == Blame::Command && self.error.kind() == ErrorKind::Protocol
    }

    /// Returns true if the server refuses this permanently, and nothing else.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self.blame, Blame::Denied(_))
    }

    pub(crate) fn new(kind: ErrorKind, blame: Blame, detail: impl Into<String>) -> Fault {
        let error = Error::new(kind, detail);
        let is_of_call = match blame {
            Blame::Denied(_) | Blame::Large(_) => true,
            Blame::Command | Blame::TryAgain => matches!(kind, ErrorKind::Auth | ErrorKind::Cluster),
            _ => false,
        };
        Fault { error: if is_of_call { error.of_one_call() } else { error }, blame }
    }

    /// Returns true if another node has to be asked. A node that answers this is well.
    pub(crate) fn is_redirection(&self) -> bool {
        matches!(self.blame, Blame::Moved | Blame::Ask)
    }

    /// The server did not answer the request.
    pub(crate) fn hung() -> Fault {
        Fault::new(ErrorKind::Timeout, Blame::Server, "")
    }

    /// A reply of this many bytes was still arriving.
    pub(crate) fn large(bytes: u64) -> Fault {
        let detail = format!("a value of {bytes} bytes was still arriving; set a longer `timeout` to read such values");
        Fault::new(ErrorKind::Timeout, Blame::Large(bytes), detail)
    }

    pub(crate) fn replica() -> Fault {
        Fault::new(ErrorKind::ReadOnly, Blame::Role, "the server is a replica; this library reads from masters only")
    }

    /// Returns true if the server is no master.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_of_replica(&self) -> bool {
        self.blame == Blame::Role && self.error.kind() == ErrorKind::ReadOnly
    }

    /// A reply of a type that the command does not have: the replies may be out of step.
    pub(crate) fn unexpected(command: &str) -> Fault {
        Fault::new(ErrorKind::Protocol, Blame::Connection, format!("in reply to {command}"))
    }

    /// Returns true if the server may have received the failed request, or may still receive it.
    pub(crate) fn may_have_arrived(&self) -> bool {
        match self.blame {
            Blame::Closed | Blame::Dropped | Blame::Late | Blame::Large(_) => true,
            // The request cannot have arrived if no connection could be made.
            Blame::Connection => self.error.kind() != ErrorKind::Unreachable,
            Blame::Server => self.error.kind() == ErrorKind::Timeout,
            _ => false,
        }
    }

    /// The failure of an exchange with this fault, in its figures.
    pub(crate) fn failure(&self) -> Failure {
        match (self.blame, self.error.kind()) {
            (Blame::Script, _) => Failure::NoScript,
            (Blame::Moved | Blame::Ask, _) => Failure::Moved,
            (_, ErrorKind::Timeout) => Failure::Timeout,
            (_, ErrorKind::Unreachable) => Failure::Closed,
            (_, ErrorKind::Auth) => Failure::Auth,
            (_, ErrorKind::Loading) => Failure::Loading,
            (_, ErrorKind::ReadOnly) => Failure::ReadOnly,
            (_, ErrorKind::OutOfMemory) => Failure::OutOfMemory,
            (_, ErrorKind::Cluster) => Failure::Cluster,
            (_, ErrorKind::WrongType) => Failure::WrongType,
            _ => Failure::Other,
        }
    }

    /// Returns true if the connection must not be used again.
    pub(crate) fn spoils_connection(&self) -> bool {
        matches!(self.blame, Blame::Closed | Blame::Dropped | Blame::Connection | Blame::Role | Blame::Full)
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
            // The connection was refused, there is no such host or no route, or a TLS handshake failed.
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
            Some(ServerErrorKind::NoPerm) => denied(text).unwrap_or((ErrorKind::Auth, Blame::Command)),
            Some(kind) => known(kind).unwrap_or_else(|| untyped(text)),
            None => by_code(error.code()).unwrap_or((ErrorKind::Protocol, Blame::Command)),
        };
        let name = match blame {
            Blame::Denied(Denied::Command(_)) => quoted(text),
            _ => None,
        };
        // A server quotes the arguments of a command that it does not know, and they do not belong in a log.
        let quoteless = text.split(", with args beginning with").next().unwrap_or_default();
        let words = format!("{} {quoteless}", error.code());
        let redirection = match blame {
            Blame::Moved | Blame::Ask => redirection(text, blame == Blame::Ask),
            _ => None,
        };
        match name {
            Some(name) => Fault::new(kind, blame, format!("{}: {words}", lacked(name))),
            None if matches!(blame, Blame::Denied(Denied::Command(_))) => {
                Fault::new(kind, blame, format!("{}: {words}", lacked(IN_SCRIPTS)))
            }
            None => {
                let fault = Fault::new(kind, blame, words);
                Fault { error: fault.error.redirected(redirection), blame }
            }
        }
    }
}

/// Parses the text of a redirection: the slot, and the other node's address. A host may have colons in it.
fn redirection(text: &str, is_ask: bool) -> Option<Redirection> {
    let mut words = text.split_ascii_whitespace();
    let slot = words.next()?.parse().ok()?;
    let (host, port) = words.next()?.rsplit_once(':')?;
    let host = (host != "?").then(|| host.trim_matches(['[', ']']).into());
    Some(Redirection { slot, is_ask, host, port: port.parse().ok()? })
}

/// Parses a reply that refuses something permanently, in the words of Redis 6 to 8 and Valkey, on its own or for a
/// command in a script.
pub(crate) fn denied(text: &str) -> Option<(ErrorKind, Blame)> {
    let has = |words: &str| text.contains(words);
    if has("permissions to access") && has("key") || has("can't access at least one of the keys") {
        return Some((ErrorKind::Auth, Blame::Denied(Denied::Key)));
    }
    if has("permissions to run") || has("can't run this command") {
        let command = quoted(text).and_then(Features::of_command);
        return Some((ErrorKind::Auth, Blame::Denied(Denied::Command(command))));
    }
    if text.starts_with("unknown command")
        || has("nknown command called from")
        || has("nknown Redis command called from")
    {
        let command = quoted(text).and_then(Features::of_command);
        return Some((ErrorKind::Protocol, Blame::Denied(Denied::Command(command))));
    }
    None
}

/// The commands of scripts about which the server is not asked: without another one, no script runs.
const IN_SCRIPTS: &str = "hset`, `+persist` or `+hscan";

fn lacked(command: &str) -> String {
    format!("the Redis user lacks `+{}`, or the server lacks the command", command.to_ascii_lowercase())
}

/// The first name in quotation marks.
fn quoted(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(['\'', '`'])?;
    let (name, _) = rest.split_once(['\'', '`'])?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"|_-.".contains(&byte));
    is_name.then_some(name)
}

/// The pattern of keys that a user must be allowed for a key like this.
fn key_pattern(name: &str) -> String {
    if let Some(at) = name.find(TAG) {
        return format!("{}{TAG}*", &name[..at]);
    }
    // The first two parts: a namespace and a prefix, or a prefix and a name. What follows may be arguments, which do not
    // belong in a log.
    let group = name.split(' ').next().unwrap_or_default();
    let end = group.match_indices(':').nth(1).or_else(|| group.match_indices(':').next());
    let front = end.map_or(group, |(end, _)| &group[..end]);
    format!("{front}:*")
}

fn known(kind: ServerErrorKind) -> Option<(ErrorKind, Blame)> {
    Some(match kind {
        ServerErrorKind::BusyLoading => (ErrorKind::Loading, Blame::Server),
        ServerErrorKind::Moved => (ErrorKind::Cluster, Blame::Moved),
        ServerErrorKind::Ask => (ErrorKind::Cluster, Blame::Ask),
        ServerErrorKind::ClusterDown => (ErrorKind::Cluster, Blame::ClusterDown),
        // The server answers this while a slot moves.
        ServerErrorKind::TryAgain => (ErrorKind::Cluster, Blame::TryAgain),
        ServerErrorKind::CrossSlot => (ErrorKind::Cluster, Blame::Denied(Denied::ManyKeys)),
        // `MASTERDOWN` is the reply of a replica without its master.
        ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown => (ErrorKind::ReadOnly, Blame::Role),
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
        "NOPERM" => (ErrorKind::Auth, Blame::Command),
        "LOADING" => (ErrorKind::Loading, Blame::Server),
        // Another client's script occupies the server.
        "BUSY" => (ErrorKind::Timeout, Blame::Server),
        "MOVED" => (ErrorKind::Cluster, Blame::Moved),
        "ASK" => (ErrorKind::Cluster, Blame::Ask),
        "CLUSTERDOWN" => (ErrorKind::Cluster, Blame::ClusterDown),
        "TRYAGAIN" => (ErrorKind::Cluster, Blame::TryAgain),
        "CROSSSLOT" => (ErrorKind::Cluster, Blame::Denied(Denied::ManyKeys)),
        _ => return None,
    })
}

/// The kind of an `ERR` is in its text alone. Redis 6 wraps the errors of a script's commands into one, with the code
/// inside, sometimes after a dash.
fn untyped(text: &str) -> (ErrorKind, Blame) {
    if text.starts_with("max number of clients") {
        return (ErrorKind::Unreachable, Blame::Full);
    }
    if let Some(denied) = denied(text) {
        return denied;
    }
    let wrapped = text.starts_with("Error running script").then_some(text).into_iter();
    wrapped
        .flat_map(str::split_ascii_whitespace)
        .find_map(|word| by_code(word.strip_prefix('-').unwrap_or(word)))
        .unwrap_or((ErrorKind::Protocol, Blame::Command))
}

#[cfg(test)]
mod tests;
