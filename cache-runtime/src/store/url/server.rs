//! `redis://` and its variants.

use std::fmt;
#[cfg(feature = "_rustls")]
use std::sync::Arc;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use super::hosts::at;
use super::parameters::{Known, Parameters};
use super::{Target, refuse};
use crate::error::Error;
#[cfg(feature = "_rustls")]
use crate::error::ErrorKind;
#[cfg(feature = "_rustls")]
use crate::store::tls::{Connector, Tls};

/// A server.
#[derive(Clone)]
pub(crate) struct RedisTarget {
    pub(crate) info: ConnectionInfo,
    /// Set for TLS through rustls.
    #[cfg(feature = "_rustls")]
    pub(crate) tls: Option<Arc<Connector>>,
    display: String,
}

impl RedisTarget {
    /// Reads the rest of a URL that redis-rs understands, from the login on; `url` is what the user wrote. With
    /// parameters, connections are secured: redis-rs sees a plain server, unless it is the one that speaks TLS.
    pub(super) fn of_rest(url: &str, rest: &str, tls: Option<&Parameters>) -> Result<RedisTarget, Error> {
        let Some(parameters) = tls else { return read(url, &format!("redis://{rest}")) };
        #[cfg(feature = "_rustls")]
        {
            let target = read(url, &format!("redis://{rest}"))?;
            let ConnectionAddr::Tcp(host, _) = target.info.addr() else {
                return Err(refuse(url, format_args!("TLS needs a host")));
            };
            let connector = Connector::new(parameters.tls(url)?, host).map_err(|error| {
                error.with_detail(|detail| refuse(url, format_args!("{detail}")).detail().to_owned())
            })?;
            Ok(target.secured(connector))
        }
        #[cfg(not(feature = "_rustls"))]
        {
            let _ = parameters;
            read(url, &format!("rediss://{rest}"))
        }
    }

    /// A server as redis-rs sees it.
    pub(super) fn of_info(info: ConnectionInfo) -> RedisTarget {
        let mut target = RedisTarget {
            info,
            #[cfg(feature = "_rustls")]
            tls: None,
            display: String::new(),
        };
        target.display = target.shown();
        target
    }

    /// The same server, with connections that rustls secures.
    #[cfg(feature = "_rustls")]
    pub(super) fn secured(mut self, connector: Connector) -> RedisTarget {
        self.tls = Some(Arc::new(connector));
        self.display = self.shown();
        self
    }

    /// True if there is a user that could not be logged in.
    pub(super) fn is_without_password(&self) -> bool {
        let settings = self.info.redis_settings();
        settings.username().is_some() && settings.password().is_none()
    }

    /// A server at another address, with the same login and the same security. An error means that the host cannot be
    /// that of a certificate.
    pub(crate) fn at(&self, host: &str, port: u16) -> Result<RedisTarget, Error> {
        let mut target = self.clone();
        let address = match self.info.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host.to_owned(), port),
        };
        target.info = target.info.set_addr(address);
        #[cfg(feature = "_rustls")]
        if let Some(connector) = &self.tls {
            target.tls = Some(Arc::new(connector.at(host)?));
        }
        target.display = target.shown();
        Ok(target)
    }

    /// The same with another login.
    pub(super) fn with_login(mut self, user: Option<&str>, password: Option<&str>) -> RedisTarget {
        let mut redis = self.info.redis_settings().clone();
        if let Some(user) = user {
            redis = redis.set_username(user);
        }
        if let Some(password) = password {
            redis = redis.set_password(password);
        }
        self.info = self.info.set_redis_settings(redis);
        self.display = self.shown();
        self
    }

    /// The host and the port, unless it is a socket.
    #[cfg(any(feature = "_rustls", feature = "tokio"))]
    pub(crate) fn address(&self) -> Option<(&str, u16)> {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => Some((host, *port)),
            _ => None,
        }
    }

    /// Applies settings of the program, which come before those of the URL.
    #[cfg(feature = "_rustls")]
    pub(crate) fn set_tls(&mut self, settings: Tls) -> Result<(), Error> {
        let (Some(connector), ConnectionAddr::Tcp(host, _)) = (&self.tls, self.info.addr()) else {
            let why = format!("`{self}`: settings for TLS need a URL that begins with rediss:// or valkeys://");
            return Err(Error::new(ErrorKind::Config, why));
        };
        self.tls = Some(Arc::new(Connector::new(settings.or(connector.settings()), host)?));
        Ok(())
    }

    /// The text of a server without its password.
    fn shown(&self) -> String {
        let settings = self.info.redis_settings();
        let user = settings.username().map(|user| format!("{user}@")).unwrap_or_default();
        let db = match settings.db() {
            0 => String::new(),
            db => format!("/{db}"),
        };
        #[cfg(feature = "_rustls")]
        let is_tls = self.tls.is_some();
        #[cfg(not(feature = "_rustls"))]
        let is_tls = false;
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) if !is_tls => format!("redis://{user}{}{db}", at(host, *port)),
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                format!("rediss://{user}{}{db}", at(host, *port))
            }
            address => format!("redis+unix://{user}{address}{db}"),
        }
    }
}

impl fmt::Display for RedisTarget {
    /// The server without its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display)
    }
}

impl fmt::Debug for RedisTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display)
    }
}

pub(super) fn parse(url: &str, is_tls: bool) -> Result<Target, Error> {
    let target = match is_tls {
        true => {
            let (_, rest) = url.split_once("://").unwrap_or_default();
            let (rest, _) = rest.split_once('#').unwrap_or((rest, ""));
            let parsed = redis::parse_redis_url(url);
            let parameters = Parameters::of(parsed.as_ref().and_then(|parsed| parsed.query()).unwrap_or_default());
            // redis-rs has no parameters for TLS, and would refuse none.
            RedisTarget::of_rest(url, rest, Some(&parameters))
        }
        false => read(url, url),
    };
    Ok(Target::Redis(Box::new(target?)))
}

/// Reads `url`. redis-rs reads `inner`, in which TLS may be hidden from it.
fn read(url: &str, inner: &str) -> Result<RedisTarget, Error> {
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
    let target = RedisTarget::of_info(info);
    if target.is_without_password() {
        let advice = "a user without a password is not logged in; write both, as in `redis://user:password@host`, or \
                      `redis://:password@host` for a password alone";
        return Err(refuse(url, format_args!("{advice}")));
    }
    Ok(target)
}

/// Refuses the parts of a URL that would be left unread. The URL is one that redis-rs understands.
fn check_parts(url: &str) -> Result<(), Error> {
    let Some(parts) = redis::parse_redis_url(url) else { return Ok(()) };
    let is_tls = matches!(parts.scheme(), "rediss" | "valkeys");
    let tls_schemes = "rediss:// or valkeys://";
    let known = match parts.scheme().ends_with("unix") {
        true => Known { names: &["db", "user", "pass", "protocol"], has_tls: false, tls_schemes, elsewhere: "" },
        false => Known {
            names: &["protocol"],
            has_tls: is_tls,
            tls_schemes,
            elsewhere: "; the database is a path, as in `redis://host/3`, and user and password stand before the host",
        },
    };
    Parameters::of(parts.query().unwrap_or_default()).check(url, &known)?;
    match parts.fragment() {
        None => Ok(()),
        Some("insecure") if is_tls => Err(refuse(
            url,
            format_args!(
                "`#insecure` would trust any server, and no URL may ask for that; with the feature `tls-rustls`, name the \
                 certificate of the server's authority by `?ca=…` or `Tls::ca_file`, or, for tests, see \
                 `Tls::danger_accept_invalid_certificates`"
            ),
        )),
        Some(_) => {
            Err(refuse(url, format_args!("a fragment (`#…`) has no meaning here; in a password write `%23` for `#`")))
        }
    }
}
