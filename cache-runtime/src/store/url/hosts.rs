//! URLs with several hosts, which share a login.

use super::parameters::{Known, Parameters};
use super::{RedisTarget, refuse};
use crate::error::Error;

/// The parts of a URL with several hosts, as they are written.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) scheme: &'a str,
    /// The user and the password, with a colon between them.
    pub(super) login: Option<&'a str>,
    pub(super) hosts: &'a str,
    /// The part after the first slash.
    pub(super) path: Option<&'a str>,
    pub(super) query: Option<&'a str>,
    pub(super) fragment: Option<&'a str>,
}

/// A host, without the brackets of an IPv6 address, and a port.
type Address<'a> = (&'a str, Option<u16>);

impl<'a> Written<'a> {
    pub(super) fn of(url: &'a str) -> Option<Written<'a>> {
        let split = |text: &'a str, at| text.split_once(at).map_or((text, None), |(text, rest)| (text, Some(rest)));
        let (scheme, rest) = url.split_once("://")?;
        let (rest, fragment) = split(rest, '#');
        let (rest, query) = split(rest, '?');
        let (authority, path) = split(rest, '/');
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        Some(Written { scheme, login, hosts, path, query, fragment })
    }

    /// Returns true for a scheme of several hosts.
    pub(super) fn has_many_hosts(&self) -> bool {
        let scheme = self.scheme.to_ascii_lowercase();
        ["-cluster", "-sentinel"].iter().any(|kind| scheme.ends_with(kind))
    }

    /// The hosts with their ports, or what is wrong with one of them.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Result<Address<'a>, &'static str>> + use<'a> {
        self.hosts.split(',').map(address)
    }
}

fn address(text: &str) -> Result<Address<'_>, &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("a bracket is not closed")?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| "an IPv6 address in brackets is malformed")?;
            match port.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if port.is_empty() => (host, None),
                None => return Err("a colon is expected between a bracket and a port"),
            }
        }
        None if text.matches(':').count() > 1 => return Err("an IPv6 address stands in brackets"),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if host.is_empty() {
        return Err("a host is missing");
    }
    if !text.starts_with('[') && !host.bytes().all(is_name) {
        return Err("a host has letters that no host has");
    }
    let port = match port {
        None => None,
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0).ok_or("a port is no number from 1 to 65535")?),
    };
    Ok((host, port))
}

/// The parts that URLs with several hosts have in common.
pub(super) struct Hosts<'a> {
    url: &'a str,
    is_tls: bool,
    written: Written<'a>,
    addresses: Vec<Address<'a>>,
    pub(super) parameters: Parameters,
}

impl<'a> Hosts<'a> {
    /// `example` shows what to write.
    pub(super) fn read(url: &'a str, is_tls: bool, example: &str, known: &Known) -> Result<Hosts<'a>, Error> {
        let expected = |why: &str| refuse(url, format_args!("{why} (expected `{example}`)"));
        let written = Written::of(url).ok_or_else(|| expected("it did not parse"))?;
        // A password that holds a slash ends in the path.
        if written.path.is_some_and(|path| path.contains('@')) {
            return Err(expected("a slash in a user or a password is written `%2F`"));
        }
        if written.login.is_some_and(|login| login.contains(',')) {
            let advice =
                "the user and the password stand once, before the first host; a comma in them is written `%2C`";
            return Err(expected(advice));
        }
        let addresses = written.addresses().collect::<Result<_, _>>().map_err(expected)?;
        if written.fragment.is_some() {
            let advice = "a fragment (`#…`) has no meaning here; in a password write `%23` for `#`";
            return Err(refuse(url, format_args!("{advice}")));
        }
        let parameters = Parameters::of(written.query.unwrap_or_default());
        parameters.check(url, known)?;
        Ok(Hosts { url, is_tls, written, addresses, parameters })
    }

    pub(super) fn path(&self) -> &'a str {
        self.written.path.unwrap_or_default()
    }

    pub(super) fn addresses(&self, default_port: u16) -> impl Iterator<Item = (&'a str, u16)> {
        self.addresses.iter().map(move |(host, port)| (*host, port.unwrap_or(default_port)))
    }

    /// The server at the first address, with the login of the URL and this database.
    pub(super) fn first(&self, default_port: u16, db: &str) -> Result<RedisTarget, Error> {
        let protocol = self.parameters.get("protocol").map_or(String::new(), |name| format!("?protocol={name}"));
        let login = self.written.login.map_or(String::new(), |login| format!("{login}@"));
        self.target(&format!("{login}{}/{db}{protocol}", self.first_host(default_port)))
    }

    /// The first address without the login.
    pub(super) fn first_alone(&self, default_port: u16) -> Result<RedisTarget, Error> {
        self.target(&self.first_host(default_port))
    }

    fn target(&self, rest: &str) -> Result<RedisTarget, Error> {
        RedisTarget::of_rest(self.url, rest, self.is_tls.then_some(&self.parameters))
    }

    fn first_host(&self, default_port: u16) -> String {
        self.addresses(default_port).next().map_or(String::new(), |(host, port)| at(host, port))
    }

    /// The hosts and the ports, as in a URL.
    pub(super) fn shown(&self, default_port: u16) -> String {
        self.addresses(default_port).map(|(host, port)| at(host, port)).collect::<Vec<_>>().join(",")
    }
}

/// A host and a port, as in a URL.
pub(super) fn at(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
