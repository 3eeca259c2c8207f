//! The kinds of Redis, each with servers of its own.

use std::sync::Mutex;

use test_support::{Cluster, Proxy, Sentinels, Server, TlsServer};

/// A master that does not answer for so long is replaced, where that is allowed: a busy machine may keep it waiting.
const DOWN_AFTER: &str = "3000";

/// A kind of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Server,
    Tls,
    Sentinel,
    Cluster,
}

impl Kind {
    pub(crate) const ALL: [Kind; 4] = [Kind::Server, Kind::Tls, Kind::Sentinel, Kind::Cluster];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Server => "server",
            Kind::Tls => "tls",
            Kind::Sentinel => "sentinel",
            Kind::Cluster => "cluster",
        }
    }
}

/// The servers of one kind.
pub(crate) struct Place {
    pub(crate) servers: Servers,
    /// The server that a fault strikes, until it is healed.
    pub(crate) victim: Mutex<usize>,
    /// A connection that heals a server that takes no others.
    pub(crate) held: Mutex<Option<redis::Connection>>,
}

pub(crate) enum Servers {
    /// A server, with TLS or without, and the proxy through which callers reach it.
    One(One),
    Sentinels(Sentinels),
    Cluster(Cluster),
}

pub(crate) enum One {
    Plain(Server, Proxy),
    Tls(Box<TlsServer>, Proxy),
}

impl One {
    pub(crate) fn server(&self) -> &Server {
        match self {
            One::Plain(server, _) => server,
            One::Tls(server, _) => server,
        }
    }

    pub(crate) fn proxy(&self) -> &Proxy {
        match self {
            One::Plain(_, proxy) | One::Tls(_, proxy) => proxy,
        }
    }
}

impl Place {
    pub(crate) fn start(kind: Kind) -> Place {
        let servers = match kind {
            Kind::Server => {
                let server = Server::start();
                let proxy = server.proxy();
                Servers::One(One::Plain(server, proxy))
            }
            Kind::Tls => {
                let server = Box::new(TlsServer::start());
                let proxy = server.proxy();
                Servers::One(One::Tls(server, proxy))
            }
            Kind::Sentinel => {
                let sentinels = Sentinels::start();
                for sentinel in sentinels.sentinels() {
                    sentinel.cli(&["SENTINEL", "SET", test_support::MASTER, "down-after-milliseconds", DOWN_AFTER]);
                }
                Servers::Sentinels(sentinels)
            }
            Kind::Cluster => Servers::Cluster(Cluster::start()),
        };
        Place { servers, victim: Mutex::new(0), held: Mutex::default() }
    }

    /// The URL by which callers reach it.
    pub(crate) fn url(&self) -> String {
        match &self.servers {
            Servers::One(One::Plain(_, proxy)) => proxy.url(),
            Servers::One(One::Tls(server, proxy)) => server.url_at(proxy.port()),
            Servers::Sentinels(sentinels) => sentinels.url(),
            Servers::Cluster(cluster) => cluster.url(),
        }
    }

    /// The servers that are masters. If this changes without an order, the machine was too busy for them.
    pub(crate) fn masters(&self) -> String {
        match &self.servers {
            Servers::One(_) => String::new(),
            Servers::Sentinels(sentinels) => sentinels.master().port().to_string(),
            Servers::Cluster(cluster) => cluster.masters().iter().map(|node| node.id()).collect::<Vec<_>>().join(" "),
        }
    }

    /// The only server.
    pub(crate) fn one(&self) -> &One {
        match &self.servers {
            Servers::One(one) => one,
            _ => unreachable!("this fault is for a single server"),
        }
    }

    pub(crate) fn sentinels(&self) -> &Sentinels {
        match &self.servers {
            Servers::Sentinels(sentinels) => sentinels,
            _ => unreachable!("this fault is for sentinels"),
        }
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        match &self.servers {
            Servers::Cluster(cluster) => cluster,
            _ => unreachable!("this fault is for a cluster"),
        }
    }
}
