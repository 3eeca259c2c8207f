//! `redis-cluster://`.

use std::fmt;

use super::hosts::Hosts;
use super::parameters::Known;
use super::{RedisTarget, Target, refuse};
use crate::error::Error;
#[cfg(feature = "_rustls")]
use crate::store::tls::Tls;

const PORT: u16 = 6379;

/// A cluster, by some of its nodes.
pub(crate) struct ClusterTarget {
    /// The nodes of the URL, at least one.
    #[cfg_attr(
        not(any(feature = "tokio", feature = "_rustls")),
        expect(dead_code, reason = "such a URL is refused then")
    )]
    pub(crate) seeds: Vec<RedisTarget>,
    display: String,
}

impl ClusterTarget {
    /// A node of the cluster, with the login and the security of the others. An error means that the host cannot be that
    /// of a certificate.
    #[cfg(feature = "tokio")]
    pub(crate) fn node(&self, host: &str, port: u16) -> Result<RedisTarget, Error> {
        self.seeds[0].at(host, port)
    }

    #[cfg(feature = "_rustls")]
    pub(super) fn set_tls(&mut self, settings: Tls) -> Result<(), Error> {
        set_tls(&mut self.seeds, settings)
    }
}

/// Applies the settings to all targets, which share one configuration.
#[cfg(feature = "_rustls")]
pub(super) fn set_tls(targets: &mut [RedisTarget], settings: Tls) -> Result<(), Error> {
    let Some((first, others)) = targets.split_first_mut() else { return Ok(()) };
    first.set_tls(settings)?;
    for target in others {
        if let Some((host, port)) = target.address().map(|(host, port)| (host.to_owned(), port)) {
            *target = first.at(&host, port)?;
        }
    }
    Ok(())
}

impl fmt::Display for ClusterTarget {
    /// The nodes without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display)
    }
}

impl fmt::Debug for ClusterTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display)
    }
}

pub(super) fn parse(url: &str, is_tls: bool) -> Result<Target, Error> {
    let s = if is_tls { "s" } else { "" };
    let example = format!("redis{s}-cluster://[user:password@]host[:port],host[:port]");
    let known = Known {
        names: &["protocol"],
        has_tls: is_tls,
        tls_schemes: "rediss-cluster:// or valkeys-cluster://",
        elsewhere: "; a cluster has one database, and user and password stand before the first host",
    };
    let hosts = Hosts::read(url, is_tls, &example, &known)?;
    if !matches!(hosts.path(), "" | "0") {
        let path = hosts.path();
        let why = format!("a cluster has one database, with the number 0; leave `/{path}` away");
        return Err(refuse(url, format_args!("{why}")));
    }
    let first = hosts.first(PORT, "")?;
    let seeds = hosts.addresses(PORT).map(|(host, port)| first.at(host, port)).collect::<Result<Vec<_>, _>>()?;
    let user = first.info.redis_settings().username().map(|user| format!("{user}@")).unwrap_or_default();
    let display = format!("redis{s}-cluster://{user}{}", hosts.shown(PORT));
    Ok(Target::Cluster(Box::new(ClusterTarget { seeds, display })))
}
