//! `redis-sentinel://`.

use std::fmt;

#[cfg(feature = "_rustls")]
use super::cluster::set_tls;
use super::hosts::Hosts;
use super::parameters::Known;
use super::{RedisTarget, Target, refuse};
use crate::error::Error;
#[cfg(feature = "_rustls")]
use crate::store::tls::Tls;

const PORT: u16 = 26379;

/// A master, by the sentinels that know its address.
#[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "it is refused without tokio"))]
pub(crate) struct SentinelTarget {
    /// At least one.
    pub(crate) sentinels: Vec<RedisTarget>,
    /// The name of the master.
    pub(crate) master: String,
    /// The login, the database and the security of the servers. Its address has no meaning.
    server: RedisTarget,
    display: String,
}

impl SentinelTarget {
    /// The server at an address that a sentinel named. An error means that the host cannot be that of a certificate.
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "it is refused without tokio"))]
    pub(crate) fn server(&self, host: &str, port: u16) -> Result<RedisTarget, Error> {
        self.server.at(host, port)
    }

    #[cfg(feature = "_rustls")]
    pub(super) fn set_tls(&mut self, settings: Tls) -> Result<(), Error> {
        self.server.set_tls(settings.clone())?;
        set_tls(&mut self.sentinels, settings)
    }
}

impl fmt::Display for SentinelTarget {
    /// The sentinels and the name, without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display)
    }
}

impl fmt::Debug for SentinelTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display)
    }
}

pub(super) fn parse(url: &str, is_tls: bool) -> Result<Target, Error> {
    let s = if is_tls { "s" } else { "" };
    let example = format!("redis{s}-sentinel://[user:password@]sentinel[:port],sentinel[:port]/master-name[/db]");
    let known = Known {
        names: &["protocol", "sentinel_user", "sentinel_password"],
        has_tls: is_tls,
        tls_schemes: "rediss-sentinel:// or valkeys-sentinel://",
        elsewhere: "; the database is a path after the name of the master, and the user and the password of the servers \
                    stand before the first sentinel",
    };
    let hosts = Hosts::read(url, is_tls, &example, &known)?;
    let (master, db) = hosts.path().split_once('/').unwrap_or((hosts.path(), ""));
    if master.is_empty() {
        return Err(refuse(url, format_args!("the name of the master is missing (expected `{example}`)")));
    }
    // Sentinels accept no other names.
    if !master.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
        let why = "the name of a master has letters, digits, `.`, `-` and `_`";
        return Err(refuse(url, format_args!("{why} (expected `{example}`)")));
    }
    if !db.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refuse(url, format_args!("the database is a number (expected `{example}`)")));
    }
    let (user, password) = (hosts.parameters.get("sentinel_user"), hosts.parameters.get("sentinel_password"));
    if user.is_some() && password.is_none() {
        let advice = "`sentinel_user` needs `sentinel_password`; the latter alone is the password of the default user";
        return Err(refuse(url, format_args!("{advice}")));
    }
    let server = hosts.first(PORT, db)?;
    let first = hosts.first_alone(PORT)?.with_login(user, password);
    let sentinels = hosts.addresses(PORT).map(|(host, port)| first.at(host, port)).collect::<Result<Vec<_>, _>>()?;
    let settings = server.info.redis_settings();
    let login = settings.username().map(|user| format!("{user}@")).unwrap_or_default();
    let db = match settings.db() {
        0 => String::new(),
        db => format!("/{db}"),
    };
    let display = format!("redis{s}-sentinel://{login}{}/{master}{db}", hosts.shown(PORT));
    Ok(Target::Sentinel(Box::new(SentinelTarget { sentinels, master: master.to_owned(), server, display })))
}
