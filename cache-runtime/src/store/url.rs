//! The URL of a cache.

#[cfg(feature = "_rustls")]
use std::sync::Arc;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

#[cfg(feature = "_rustls")]
use super::tls::{Connector, Tls};
use crate::error::{Error, ErrorKind};

const MEMORY: &str = "memory";
const OFF: &str = "off";
const DEFAULT_MB: u64 = 64;
const KNOWN: &str =
    "redis://, rediss://, redis+unix://, unix://, valkey://, valkeys://, valkey+unix://, memory://, off://";

/// The backend that a URL names.
#[derive(Debug)]
pub(crate) enum Target {
    Redis(Box<RedisTarget>),
    /// The memory of this process, up to this number of bytes.
    Memory {
        max_bytes: u64,
    },
    /// No backend: functions run uncached.
    Off,
}

/// A server.
#[derive(Clone)]
pub(crate) struct RedisTarget {
    pub(crate) info: ConnectionInfo,
    /// Set for TLS through rustls.
    #[cfg(feature = "_rustls")]
    pub(crate) tls: Option<Arc<Connector>>,
    display: String,
}

#[cfg(feature = "_rustls")]
impl RedisTarget {
    /// Applies settings of the program, which come before those of the URL.
    pub(crate) fn set_tls(&mut self, settings: Tls) -> Result<(), Error> {
        let (Some(connector), ConnectionAddr::Tcp(host, _)) = (&self.tls, self.info.addr()) else {
            let why = format!("`{self}`: settings for TLS need a URL that begins with rediss:// or valkeys://");
            return Err(Error::new(ErrorKind::Config, why));
        };
        self.tls = Some(Arc::new(Connector::new(settings.or(connector.settings()), host)?));
        Ok(())
    }
}

impl std::fmt::Display for RedisTarget {
    /// The server without its password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.display)
    }
}

impl std::fmt::Debug for RedisTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.display)
    }
}

/// Reads a URL. A message quotes it without its password, malformed or not.
pub(crate) fn parse(url: &str) -> Result<Target, Error> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(refuse(url, format_args!("a URL begins with one of {KNOWN}")));
    };
    match scheme.to_ascii_lowercase().as_str() {
        MEMORY => memory(url, rest),
        OFF if rest.is_empty() => Ok(Target::Off),
        OFF => Err(refuse(url, format_args!("off:// takes no host and no parameters; write off://"))),
        "redis-cluster" | "redis-sentinel" => Err(refuse(url, format_args!("{scheme}:// is not supported yet"))),
        "rediss" | "valkeys" if !cfg!(any(feature = "_rustls", feature = "tls-native")) => {
            Err(refuse(url, format_args!("{scheme}:// needs the feature `tls-rustls` or `tls-native` of redis-cached")))
        }
        "rediss" | "valkeys" => over_tls(url),
        "redis" | "valkey" | "redis+unix" | "valkey+unix" | "unix" => server(url),
        _ => Err(refuse(url, format_args!("unknown scheme; the known ones are {KNOWN}"))),
    }
}

fn server(url: &str) -> Result<Target, Error> {
    Ok(Target::Redis(Box::new(redis_target(url, url)?)))
}

/// A server that speaks TLS, which redis-rs sees as a plain one.
#[cfg(feature = "_rustls")]
fn over_tls(url: &str) -> Result<Target, Error> {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let (rest, _) = rest.split_once('#').unwrap_or((rest, ""));
    let mut target = redis_target(url, &format!("redis://{rest}"))?;
    let ConnectionAddr::Tcp(host, _) = target.info.addr() else {
        return Err(refuse(url, format_args!("TLS needs a host")));
    };
    let connector = Connector::new(tls_parameters(url)?, host)
        .map_err(|error| error.with_detail(|detail| refuse(url, format_args!("{detail}")).detail().to_owned()))?;
    target.tls = Some(Arc::new(connector));
    target.display = target.display.replacen("redis://", "rediss://", 1);
    Ok(Target::Redis(Box::new(target)))
}

/// A server that speaks TLS, with which redis-rs speaks it.
#[cfg(not(feature = "_rustls"))]
fn over_tls(url: &str) -> Result<Target, Error> {
    server(url)
}

/// The settings for TLS among the parameters of a URL.
#[cfg(feature = "_rustls")]
fn tls_parameters(url: &str) -> Result<Tls, Error> {
    let Some(parts) = redis::parse_redis_url(url) else { return Ok(Tls::new()) };
    let value = |name: &str| parts.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    let mut tls = Tls::new();
    if let Some(path) = value("ca") {
        tls = tls.ca_file(path);
    }
    if let Some(name) = value("server_name") {
        tls = tls.server_name(name);
    }
    match (value("cert"), value("key")) {
        (Some(certificate), Some(key)) => Ok(tls.client_files(certificate, key)),
        (None, None) => Ok(tls),
        (Some(_), None) => Err(refuse(url, format_args!("`cert` needs `key`, the file with its private key"))),
        (None, Some(_)) => Err(refuse(url, format_args!("`key` needs `cert`, the file with its certificate"))),
    }
}

/// Reads `url`. redis-rs reads `inner`, in which TLS may be hidden from it.
fn redis_target(url: &str, inner: &str) -> Result<RedisTarget, Error> {
    let info = inner.into_connection_info().map_err(|error| {
        // This removes redis-rs' name for the kind, which follows the text.
        let text = error.to_string();
        let text = text.split(" - ").next().unwrap_or_default();
        refuse(
            url,
            format_args!(
                "{text} (expected `redis://[user][:password@]host[:port][/db]`, special characters percent-encoded)"
            ),
        )
    })?;
    check_parts(url)?;
    let settings = info.redis_settings();
    if settings.username().is_some() && settings.password().is_none() {
        let advice = "a user without a password is not logged in; write both, as in `redis://user:password@host`, or \
                      `redis://:password@host` for a password alone";
        return Err(refuse(url, format_args!("{advice}")));
    }
    let user = settings.username().map(|user| format!("{user}@")).unwrap_or_default();
    let db = match settings.db() {
        0 => String::new(),
        db => format!("/{db}"),
    };
    let display = match info.addr() {
        ConnectionAddr::Tcp(host, port) => format!("redis://{user}{}:{port}{db}", bracketed(host)),
        ConnectionAddr::TcpTls { host, port, .. } => format!("rediss://{user}{}:{port}{db}", bracketed(host)),
        address => format!("redis+unix://{user}{address}{db}"),
    };
    Ok(RedisTarget {
        info,
        #[cfg(feature = "_rustls")]
        tls: None,
        display,
    })
}

const TLS_PARAMETERS: [&str; 4] = ["ca", "cert", "key", "server_name"];

/// Refuses the parts of a URL that would be left unread. The URL is one that redis-rs understands.
fn check_parts(url: &str) -> Result<(), Error> {
    let Some(parts) = redis::parse_redis_url(url) else { return Ok(()) };
    let is_socket = parts.scheme().ends_with("unix");
    let is_tls = matches!(parts.scheme(), "rediss" | "valkeys");
    let (known, list): (&[&str], _) = if is_socket {
        (&["db", "user", "pass", "protocol"], "`db`, `user`, `pass` and `protocol`")
    } else if is_tls && cfg!(feature = "_rustls") {
        (&["protocol", "ca", "cert", "key", "server_name"], "`protocol`, `ca`, `cert`, `key` and `server_name`")
    } else {
        (&["protocol"], "`protocol`")
    };
    let mut seen = Vec::new();
    for (name, value) in parts.query_pairs() {
        if known.contains(&&*name) {
            if seen.contains(&name) {
                return Err(refuse(url, format_args!("the parameter `{name}` is given twice")));
            }
            seen.push(name);
            continue;
        }
        // A parameter without a value may be the rest of a password.
        let name = if value.is_empty() { "a parameter".into() } else { format!("the parameter `{name}`") };
        let elsewhere = if name.contains("timeout") {
            "; the time-out is set by `.timeout(…)` of the cache's builder"
        } else if TLS_PARAMETERS.iter().any(|known| name.contains(&format!("`{known}`"))) {
            "; parameters for TLS need rediss:// or valkeys://, and the feature `tls-rustls` of redis-cached"
        } else if is_socket {
            ""
        } else {
            "; the database is a path, as in `redis://host/3`, and user and password stand before the host"
        };
        return Err(refuse(url, format_args!("{name} is not known; there is {list}{elsewhere}")));
    }
    match parts.fragment() {
        None => Ok(()),
        Some("insecure") if is_tls => Err(refuse(
            url,
            format_args!(
                "`#insecure` would trust any server, and no feature of redis-cached allows that; with the feature \
                 `tls-rustls`, name the certificate of the server's authority by `?ca=…` or `Tls::ca_file`"
            ),
        )),
        Some(_) => {
            Err(refuse(url, format_args!("a fragment (`#…`) has no meaning here; in a password write `%23` for `#`")))
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn memory(url: &str, rest: &str) -> Result<Target, Error> {
    let advice = "write memory:// or memory://?max_mb=64";
    let parameters = rest.strip_prefix('?').into_iter().flat_map(|query| query.split('&'));
    let unknown = parameters.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name != "max_mb");
    if let Some((name, _)) = unknown {
        return Err(refuse(url, format_args!("the parameter `{name}` is not known; {advice}")));
    }
    let megabytes = match rest {
        "" => Some(DEFAULT_MB),
        _ => rest.strip_prefix("?max_mb=").and_then(|number| number.parse().ok()).filter(|mb| *mb > 0),
    };
    let bytes = megabytes.and_then(|mb: u64| mb.checked_mul(1 << 20));
    bytes.map(|max_bytes| Target::Memory { max_bytes }).ok_or_else(|| refuse(url, format_args!("{advice}")))
}

fn refuse(url: &str, why: std::fmt::Arguments<'_>) -> Error {
    Error::new(ErrorKind::Config, format!("`{}`: {why}", without_password(url)))
}

/// The URL without its password. A malformed URL has no reliable parts, so only its scheme is shown.
fn without_password(url: &str) -> String {
    let scheme_alone = || match url.split_once("://") {
        Some((scheme, _)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) => {
            format!("{scheme}://…")
        }
        _ => "…".to_owned(),
    };
    // An `@` in the path is the end of a password that holds a `/`.
    let Some(mut parts) = redis::parse_redis_url(url).filter(|parts| !parts.path().contains('@')) else {
        return scheme_alone();
    };
    if parts.password().is_some() && parts.set_password(Some("***")).is_err() {
        return scheme_alone();
    }
    if parts.query().is_some_and(|query| !is_harmless(query)) {
        parts.set_query(Some("***"));
    }
    if parts.fragment().is_some() {
        parts.set_fragment(Some("***"));
    }
    parts.to_string()
}

/// Returns true if all parameters of a URL may be shown.
fn is_harmless(query: &str) -> bool {
    query.split('&').all(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        ["db", "protocol", "user"].contains(&name) && !value.contains('@')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redis(url: &str) -> RedisTarget {
        match parse(url) {
            Ok(Target::Redis(target)) => *target,
            other => panic!("{url}: {other:?}"),
        }
    }

    fn message(url: &str) -> String {
        let error = parse(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        error.to_string()
    }

    #[test]
    fn servers_are_shown_without_their_password() {
        for (url, shown) in [
            ("redis://localhost", "redis://localhost:6379"),
            ("redis://:secret@localhost:1/2", "redis://localhost:1/2"),
            ("redis://user:secret@localhost", "redis://user@localhost:6379"),
            ("valkey://[::1]:7", "redis://[::1]:7"),
            ("REDIS://localhost", "redis://localhost:6379"),
            ("unix:///run/redis.sock?db=1&pass=secret", "redis+unix:///run/redis.sock/1"),
            ("redis+unix:///run/redis.sock", "redis+unix:///run/redis.sock"),
            ("valkey+unix:///run/redis.sock?user=u&pass=secret", "redis+unix://u@/run/redis.sock"),
        ] {
            assert_eq!(redis(url).to_string(), shown);
            assert_eq!(format!("{:?}", redis(url)), shown);
        }
    }

    #[test]
    fn no_message_holds_the_password() {
        for url in [
            "redis://user:secret@host:port",
            "redis://:se/secret@host",
            "redis://:a@secret@host:99999999",
            "redis://user:secret",
            "redis://:4711secret",
            "user:secret@host",
            ":secret@host",
            "user:secret",
            "http://user:secret@host",
            "redis-cluster://user:secret@host:1,host:2",
            "redis-sentinel://:secret@host:1/master",
            "unix://?pass=secret",
            "redis://user:secret@host/notadb",
            "redis://user:secret#@host",
            "redis://user:secret?@host",
            "redis://user@host:secret",
            "redis://:pass@word:secret",
            "redis://:pass@host:secret/3",
            "redis://user@x:4711/secret@host",
            "secret://host",
            "user:secret://host",
            "memory://:secret@host",
        ] {
            let message = message(url);
            assert!(!message.contains("secret") || url.starts_with("secret"), "{message}");
        }
        for url in ["redis://:pass@host:secret/3", "redis://user:pass@host:6379x", "redis://[::1"] {
            assert!(message(url).contains(": `redis://…`: "), "{}", message(url));
        }
        assert!(message("redis://user:secret@host/notadb").contains("redis://user:***@host/notadb"));
    }

    #[test]
    fn messages_say_what_to_write() {
        assert!(message("redis-cluster://host:1").contains("not supported yet"));
        assert!(message("redis-sentinel://host:1/m").contains("not supported yet"));
        assert!(message("http://host").contains("rediss://"));
        assert!(message("host:6379").contains("redis://"));
        assert!(message("").contains("redis://"));
        assert!(message("memory://?max_mb=x").contains("memory://?max_mb=64"));
        if cfg!(any(feature = "_rustls", feature = "tls-native")) {
            assert_eq!(redis("rediss://host").to_string(), "rediss://host:6379");
            assert_eq!(redis("valkeys://:secret@[::1]:7/3").to_string(), "rediss://[::1]:7/3");
        } else {
            let message = message("rediss://host");
            assert!(message.contains("tls-rustls") && message.contains("tls-native"), "{message}");
        }
    }

    #[test]
    fn what_would_be_left_unread_is_refused() {
        for (url, reason) in [
            ("redis://h/?db=3", "the parameter `db` is not known; there is `protocol`; the database is a path"),
            (
                "valkey://h?timeout=5",
                "the parameter `timeout` is not known; there is `protocol`; the time-out is set by `.timeout(…)`",
            ),
            ("unix:///s?socket_timeout=5", "the time-out is set by `.timeout(…)` of the cache's builder"),
            ("redis://h/3?protocol=resp3&db=4", "the parameter `db` is not known"),
            ("redis://h?protocol=resp3&protocol=resp2", "given twice"),
            ("redis://h?", ""),
            (
                "redis+unix:///s?database=1",
                "the parameter `database` is not known; there is `db`, `user`, `pass` and `protocol`",
            ),
            ("unix:///s?db=1&db=2", "given twice"),
            ("redis://h#insecure", "a fragment"),
            ("valkey://h/1#x", "a fragment"),
            ("unix:///s#x", "a fragment"),
            ("redis://user@h", "a user without a password"),
            ("valkey://user@h:1/2", "a user without a password"),
            ("valkey+unix:///s?user=u", "a user without a password"),
        ] {
            match reason {
                "" => drop(redis(url)),
                _ => assert!(message(url).contains(reason), "{}", message(url)),
            }
        }
        for url in [
            "redis://h/3?protocol=resp3",
            "redis://:p@h",
            "redis://u:p@h",
            "unix:///s?db=1&user=u&pass=p&protocol=resp2",
        ] {
            redis(url);
        }
        for url in ["redis://h?auth=secret", "redis://h?secret", "redis://h#secret", "redis://u@h?x=secret#secret"] {
            assert!(!message(url).contains("secret"), "{}", message(url));
        }
        if cfg!(any(feature = "_rustls", feature = "tls-native")) {
            assert!(message("rediss://h#unsafe").contains("a fragment"));
            assert!(message("rediss://h#insecure").contains("would trust any server"));
        }
        for url in ["redis://h?ca=/etc/ca.pem", "unix:///s?cert=c"] {
            assert!(message(url).contains("parameters for TLS need rediss://"), "{}", message(url));
        }
    }

    #[test]
    fn off_takes_no_parameters() {
        for url in ["off://", "OFF://"] {
            assert!(matches!(parse(url), Ok(Target::Off)), "{url}");
        }
        for url in ["off://?max_mb=1", "off://host", "off:///", "off://#x", "off://u:secret@host"] {
            let message = message(url);
            assert!(message.contains("write off://") && !message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn memory_has_a_bound() {
        for (url, bytes) in [("memory://", 64 << 20), ("memory://?max_mb=1", 1 << 20)] {
            assert!(matches!(parse(url), Ok(Target::Memory { max_bytes }) if max_bytes == bytes), "{url}");
        }
        for url in ["memory://x", "memory://?max_mb=0", "memory://?max_mb=99999999999999999", "memory://?mb=1"] {
            message(url);
        }
    }
}
