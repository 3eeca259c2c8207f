//! What a cache's URL names.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::error::{Error, ErrorKind};

const MEMORY: &str = "memory";
const DEFAULT_MB: u64 = 64;
const KNOWN: &str = "redis://, rediss://, redis+unix://, unix://, valkey://, valkeys://, valkey+unix://, memory://";

/// A backend, as a URL names it.
#[derive(Debug)]
pub(crate) enum Target {
    Redis(Box<RedisTarget>),
    /// The memory of this process, up to so many bytes.
    Memory {
        max_bytes: u64,
    },
}

/// One server.
#[derive(Clone)]
pub(crate) struct RedisTarget {
    pub(crate) info: ConnectionInfo,
    display: String,
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
        "redis-cluster" | "redis-sentinel" => Err(refuse(url, format_args!("{scheme}:// is not supported yet"))),
        "rediss" | "valkeys" if !cfg!(any(feature = "tls-rustls", feature = "tls-native")) => {
            Err(refuse(url, format_args!("{scheme}:// needs the feature `tls-rustls` or `tls-native` of redis-cached")))
        }
        // redis 1.8 then takes rustls, and leaves its list of trusted certificates empty.
        "rediss" | "valkeys" if cfg!(all(feature = "tls-rustls", feature = "tls-native")) => Err(refuse(
            url,
            format_args!("{scheme}:// needs one of the features `tls-rustls` and `tls-native`, and both are on"),
        )),
        "redis" | "rediss" | "valkey" | "valkeys" | "redis+unix" | "valkey+unix" | "unix" => server(url),
        _ => Err(refuse(url, format_args!("unknown scheme; the known ones are {KNOWN}"))),
    }
}

fn server(url: &str) -> Result<Target, Error> {
    let info = url.into_connection_info().map_err(|error| {
        // The text without redis-rs' name for the kind behind it.
        let text = error.to_string();
        let text = text.split(" - ").next().unwrap_or_default();
        refuse(
            url,
            format_args!(
                "{text} (expected `redis://[user][:password@]host[:port][/db]`, special characters percent-encoded)"
            ),
        )
    })?;
    let settings = info.redis_settings();
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
    Ok(Target::Redis(Box::new(RedisTarget { info, display })))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn memory(url: &str, rest: &str) -> Result<Target, Error> {
    let advice = "write memory:// or memory://?max_mb=64";
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

/// The URL with everything that might be a password replaced. A malformed one has no reliable
/// parts, so this removes too much rather than too little.
fn without_password(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    // `redis+unix:///path?user=u&pass=p`
    let (rest, query) = match rest.find("?") {
        Some(at) if rest[at..].contains("pass") => (&rest[..at], "?***"),
        _ => (rest, ""),
    };
    // The last `@`: a password with an unescaped one must not show its second half.
    if let Some((userinfo, host)) = rest.rsplit_once('@') {
        let user = match userinfo.split_once(':') {
            Some((user, _)) => format!("{user}:***"),
            None => userinfo.to_owned(),
        };
        return format!("{scheme}{user}@{host}{query}");
    }
    // Without one, `host:` is followed by a port; anything else may be a password whose host is
    // missing.
    let authority = rest.split(['/', '#', '?']).next().unwrap_or_default();
    let after_host = match authority.split_once(']') {
        Some((_, after)) if authority.starts_with('[') => after,
        _ => authority,
    };
    match after_host.split_once(':') {
        Some((host, port)) if authority.starts_with(':') || !port.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{scheme}{host}:***")
        }
        _ => format!("{scheme}{rest}{query}"),
    }
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
        ] {
            let message = message(url);
            assert!(!message.contains("secret"), "{message}");
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
        if cfg!(any(feature = "tls-rustls", feature = "tls-native"))
            != cfg!(all(feature = "tls-rustls", feature = "tls-native"))
        {
            assert_eq!(redis("rediss://host").to_string(), "rediss://host:6379");
        } else {
            let message = message("rediss://host");
            assert!(message.contains("tls-rustls") && message.contains("tls-native"), "{message}");
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
