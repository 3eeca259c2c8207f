//! The error of a request to the cache itself. A cached function never returns it.

use std::fmt;

/// Why a verb of `Entry` or `Cache` failed.
///
/// ```
/// use redis_cached::{Cache, ErrorKind};
///
/// let error = Cache::builder("redis://localhost/not-a-number").map(|_| ()).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Config);
/// println!("{error}"); // says what to write
/// ```
///
/// A call of a cached function never returns this type. If the cache fails there, the function's
/// body runs instead.
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    detail: Box<str>,
    /// The error concerns a command or a key, and not the server. It is logged for each function.
    is_of_one_call: bool,
    /// A node of a cluster sends the request elsewhere.
    redirection: Option<Box<Redirection>>,
}

/// The answer of a node of a cluster that another node has the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redirection {
    /// The hash slot of the key.
    pub(crate) slot: u16,
    /// The other node may have this key already, while the slot still belongs to the node that was asked.
    pub(crate) is_ask: bool,
    /// Empty for the host that was asked; `None` if the node does not know it.
    pub(crate) host: Option<Box<str>>,
    pub(crate) port: u16,
}

/// The cause of an [`Error`]. Causes are distinguished if a caller could react to them differently.
///
/// ```
/// use redis_cached::{Cache, ErrorKind};
///
/// /// A deploy stops at what stays wrong, and not at a server that comes back.
/// fn is_fatal(cache: &Cache) -> bool {
///     match cache.blocking().ping().map_err(|error| error.kind()) {
///         Err(ErrorKind::Auth | ErrorKind::Cluster | ErrorKind::Config) => true,
///         Err(ErrorKind::Off) | Ok(()) => false,
///         Err(_) => false, // Redis is away: functions run uncached until it is back
///     }
/// }
///
/// assert!(!is_fatal(&Cache::builder("memory://")?.build()));
/// # Ok::<(), redis_cached::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The URL or a setting cannot be used. Building the cache returns this, and a use of it if sentinels do not know the
    /// name of the master.
    Config,
    /// A cache is installed already.
    Installed,
    /// The server cannot be reached, or closed the connection.
    Unreachable,
    /// The server did not answer within the time-out.
    Timeout,
    /// The command was not sent: recent operations failed, and the circuit breaker waits before the next try.
    CircuitOpen,
    /// The server refused or requires credentials, or the user lacks a permission. The message names it.
    Auth,
    /// The server is reading its data set from disk.
    Loading,
    /// The server is a replica, or stopped accepting writes.
    ReadOnly,
    /// The server is out of memory and does not evict.
    OutOfMemory,
    /// The server is part of a cluster, while the URL names a single node: it answered with a redirection, or refused
    /// keys of several slots in one command. Or no node of the cluster serves the key.
    Cluster,
    /// The key holds another Redis type, which this library did not write.
    WrongType,
    /// The arguments cannot be made into a key.
    Key,
    /// The value cannot be encoded.
    Codec,
    /// The text is no [`Invalidation`](crate::Invalidation), or was written by a later version of this library.
    Text,
    /// The cache is off (`off://`), so that no store can answer. Only [`Cache::ping`](crate::Cache::ping) returns this.
    Off,
    /// The cache cannot serve this call: an async call outside of a tokio runtime, for example.
    Unsupported,
    /// The server gave another answer that was not expected.
    Protocol,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, detail: impl Into<String>) -> Error {
        Error { kind, detail: detail.into().into_boxed_str(), is_of_one_call: false, redirection: None }
    }

    pub(crate) fn of_one_call(self) -> Error {
        Error { is_of_one_call: true, ..self }
    }

    pub(crate) fn is_of_one_call(&self) -> bool {
        self.is_of_one_call
    }

    pub(crate) fn with_detail(self, detail: impl FnOnce(String) -> String) -> Error {
        Error { detail: detail(self.detail.into_string()).into_boxed_str(), ..self }
    }

    pub(crate) fn redirected(self, redirection: Option<Redirection>) -> Error {
        Error { redirection: redirection.map(Box::new), ..self }
    }

    pub(crate) fn redirection(&self) -> Option<&Redirection> {
        self.redirection.as_deref()
    }

    #[cfg(any(feature = "_rustls", feature = "tokio"))]
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The cause.
    ///
    /// ```
    /// use redis_cached::{Cache, ErrorKind};
    ///
    /// let error = Cache::builder("http://localhost").map(|_| ()).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl ErrorKind {
    pub(crate) fn describe(self) -> &'static str {
        match self {
            ErrorKind::Config => "the cache's configuration cannot be used",
            ErrorKind::Installed => "a cache is installed already",
            ErrorKind::Unreachable => "Redis cannot be reached",
            ErrorKind::Timeout => "Redis did not answer in time",
            ErrorKind::CircuitOpen => "Redis failed a moment ago, and the circuit breaker waits before the next try",
            ErrorKind::Auth => "Redis refused the credentials or the permission",
            ErrorKind::Loading => "Redis is loading its data set",
            ErrorKind::ReadOnly => "Redis is read-only",
            ErrorKind::OutOfMemory => "Redis is out of memory",
            ErrorKind::Cluster => "this Redis is part of a cluster",
            ErrorKind::WrongType => "the key holds another type",
            ErrorKind::Key => "the arguments cannot be made into a key",
            ErrorKind::Codec => "the value cannot be encoded",
            ErrorKind::Text => "this text is no invalidation",
            ErrorKind::Off => "the cache is off",
            ErrorKind::Unsupported => "the cache cannot serve here",
            ErrorKind::Protocol => "Redis gave an unexpected answer",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.describe())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

/// Writes the kind and the message: `fn main() -> Result<_, Error>` prints this form.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({self})", self.kind)
    }
}

impl std::error::Error for Error {}
