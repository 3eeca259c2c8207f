//! The URL of a cache.
//!
//! | module | concern |
//! |---|---|
//! | `server` | `redis://` and its variants: one server |
//! | `client` | the server of a client of redis-rs, in place of a URL |
//! | `cluster`, `sentinel` | `redis-cluster://` and `redis-sentinel://`: several hosts |
//! | `hosts` | what the two have in common |
//! | `parameters` | the part after `?`, of all kinds |
//! | `memory` | `memory://` |
//! | `redact` | a URL without its password, for messages |

mod client;
mod cluster;
mod hosts;
mod memory;
mod parameters;
mod redact;
mod sentinel;
mod server;
#[cfg(test)]
mod tests;

pub(crate) use self::client::of_client;
pub(crate) use self::cluster::ClusterTarget;
pub(crate) use self::sentinel::SentinelTarget;
pub(crate) use self::server::RedisTarget;
use crate::error::{Error, ErrorKind};
#[cfg(feature = "_rustls")]
use crate::store::tls::Tls;

const KNOWN: &str = "redis://, rediss://, redis+unix://, unix://, redis-cluster://, rediss-cluster://, redis-sentinel://, \
                     rediss-sentinel://, the same with valkey in place of redis, memory://, off://";

/// The backend that a URL names.
#[derive(Debug)]
pub(crate) enum Target {
    Redis(Box<RedisTarget>),
    Cluster(Box<ClusterTarget>),
    Sentinel(Box<SentinelTarget>),
    /// The memory of this process, up to this number of bytes.
    Memory {
        max_bytes: u64,
    },
    /// No backend: functions run uncached.
    Off,
}

#[cfg(feature = "_rustls")]
impl Target {
    /// Applies settings of the program, which come before those of the URL. A target without a server ignores them.
    pub(crate) fn set_tls(&mut self, settings: Tls) -> Result<(), Error> {
        match self {
            Target::Redis(target) => target.set_tls(settings),
            Target::Cluster(target) => target.set_tls(settings),
            Target::Sentinel(target) => target.set_tls(settings),
            Target::Memory { .. } | Target::Off => Ok(()),
        }
    }
}

/// The kind of servers that the scheme of a URL names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    One,
    Cluster,
    Sentinel,
}

/// Reads a URL. A message quotes it without its password, malformed or not.
pub(crate) fn parse(url: &str) -> Result<Target, Error> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(refuse(url, format_args!("a URL begins with one of {KNOWN}")));
    };
    let scheme = scheme.to_ascii_lowercase();
    let (kind, is_tls) = match scheme.as_str() {
        "memory" => return memory::parse(url, rest),
        "off" if rest.is_empty() => return Ok(Target::Off),
        "off" => return Err(refuse(url, format_args!("off:// takes no host and no parameters; write off://"))),
        "redis" | "valkey" | "redis+unix" | "valkey+unix" | "unix" => (Kind::One, false),
        "rediss" | "valkeys" => (Kind::One, true),
        "redis-cluster" | "valkey-cluster" => (Kind::Cluster, false),
        "rediss-cluster" | "valkeys-cluster" => (Kind::Cluster, true),
        "redis-sentinel" | "valkey-sentinel" => (Kind::Sentinel, false),
        "rediss-sentinel" | "valkeys-sentinel" => (Kind::Sentinel, true),
        _ => return Err(refuse(url, format_args!("unknown scheme; the known ones are {KNOWN}"))),
    };
    if is_tls && !cfg!(any(feature = "_rustls", feature = "tls-native")) {
        let features = "`tls-rustls` or `tls-native`";
        return Err(refuse(url, format_args!("{scheme}:// needs the feature {features} of redis-cached")));
    }
    if kind != Kind::One && !cfg!(feature = "tokio") {
        let why = "changes while the program runs, and following it needs the feature `tokio` of redis-cached";
        return Err(refuse(url, format_args!("what {scheme}:// names {why}")));
    }
    match kind {
        Kind::One => server::parse(url, is_tls),
        Kind::Cluster => cluster::parse(url, is_tls),
        Kind::Sentinel => sentinel::parse(url, is_tls),
    }
}

fn refuse(url: &str, why: std::fmt::Arguments<'_>) -> Error {
    Error::new(ErrorKind::Config, format!("`{}`: {why}", redact::without_password(url)))
}
