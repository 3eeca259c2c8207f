//! The servers of a cache, each with a proxy in front of it: for outages of each kind of Redis.

use super::{Cluster, MASTER, Mode, Proxy, Sentinels, Server, TlsServer, answers};

/// The servers of a cache, with a proxy in front of each. What happens to one happens to all of them.
pub struct ProxiedServers {
    url: String,
    proxies: Vec<Proxy>,
    servers: Servers,
}

enum Servers {
    One(Box<Server>),
    OverTls(Box<TlsServer>),
    /// Masters without replicas.
    Cluster(Cluster),
    /// A master that is never replaced. The proxies of the sentinels tell the address of its proxy in place of its own.
    Watched(Sentinels, Vec<Proxy>),
}

impl ProxiedServers {
    /// A server.
    pub fn one() -> ProxiedServers {
        let server = Server::start();
        let proxy = server.proxy();
        ProxiedServers { url: proxy.url(), proxies: vec![proxy], servers: Servers::One(Box::new(server)) }
    }

    /// A server that speaks TLS.
    pub fn over_tls() -> ProxiedServers {
        let server = TlsServer::start();
        let proxy = server.proxy();
        let url = server.url_at(proxy.port());
        ProxiedServers { url, proxies: vec![proxy], servers: Servers::OverTls(Box::new(server)) }
    }

    /// The three masters of a cluster without replicas.
    pub fn cluster() -> ProxiedServers {
        let (cluster, proxies) = Cluster::behind_proxies();
        let url = cluster.url_by(&proxies.iter().map(Proxy::port).collect::<Vec<_>>());
        ProxiedServers { url, proxies, servers: Servers::Cluster(cluster) }
    }

    /// A master that three sentinels know.
    pub fn sentinels() -> ProxiedServers {
        let sentinels = Sentinels::steady();
        let (master, proxy) = (sentinels.master().port(), sentinels.master().proxy());
        let of_sentinels = sentinels.sentinels().iter().map(|sentinel| {
            let of_sentinel = Proxy::to(sentinel.port());
            of_sentinel.set(Mode::SwapPorts(master, proxy.port()));
            of_sentinel
        });
        let of_sentinels: Vec<Proxy> = of_sentinels.collect();
        let url = sentinels.url_by(&of_sentinels.iter().map(Proxy::port).collect::<Vec<_>>(), MASTER);
        ProxiedServers { url, proxies: vec![proxy], servers: Servers::Watched(sentinels, of_sentinels) }
    }

    /// The address by which a cache reaches them through their proxies.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Texts that lines of the log about these servers have: one for each breaker.
    pub fn names(&self) -> Vec<String> {
        let proxies = match &self.servers {
            Servers::Watched(_, of_sentinels) => &of_sentinels[..1],
            _ => &self.proxies,
        };
        proxies.iter().map(|proxy| format!(":{}", proxy.port())).collect()
    }

    /// The servers.
    pub fn servers(&self) -> Vec<&Server> {
        match &self.servers {
            Servers::One(server) => vec![server],
            Servers::OverTls(server) => vec![server],
            Servers::Cluster(cluster) => cluster.nodes().iter().map(|node| node.server()).collect(),
            Servers::Watched(sentinels, _) => vec![sentinels.master()],
        }
    }

    /// The proxies, in the order of the servers.
    pub fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    /// Kills the servers without warning.
    pub fn kill(&self) {
        self.servers().into_iter().for_each(Server::kill);
    }

    /// Starts the servers again, empty.
    pub fn restart(&self) {
        self.servers().into_iter().for_each(Server::restart);
    }

    /// Waits until the nodes of a cluster serve again.
    pub fn settle(&self) {
        if let Servers::Cluster(cluster) = &self.servers {
            cluster.settle();
        }
    }

    /// Runs a command for one key, at the server that has it.
    #[track_caller]
    pub fn cli(&self, command: &[&str]) -> String {
        let mut replies = self.servers().into_iter().map(|server| server.cli(command));
        replies.find(|reply| !reply.contains("Moved")).expect("a server has the key")
    }

    /// Freezes the servers.
    pub fn stop(&self) {
        self.servers().into_iter().for_each(Server::stop);
    }

    /// Lets frozen servers continue.
    pub fn cont(&self) {
        self.servers().into_iter().for_each(Server::cont);
    }

    /// Runs a command on each server.
    #[track_caller]
    pub fn each(&self, command: &[&str]) {
        for server in self.servers() {
            assert_eq!(server.cli(command), "OK", "{command:?}");
        }
    }

    /// Does the same with the password that the servers require meanwhile.
    #[track_caller]
    pub fn each_with_password(&self, password: &str, command: &[&str]) {
        for server in self.servers() {
            let mut connection = server.connection();
            redis::cmd("AUTH").arg(password).exec(&mut connection).unwrap();
            redis::cmd(command[0]).arg(&command[1..]).exec(&mut connection).unwrap();
        }
    }

    /// Changes what happens to the bytes on their way from now on.
    pub fn set(&self, mode: Mode) {
        self.proxies.iter().for_each(|proxy| proxy.set(mode));
    }

    /// Closes all connections.
    pub fn cut(&self) {
        self.proxies.iter().for_each(Proxy::cut);
    }

    /// How many commands came from clients so far.
    pub fn commands(&self) -> usize {
        self.proxies.iter().map(Proxy::commands).sum()
    }

    /// Makes them as they were in the beginning: empty, and with nothing wrong.
    pub fn reset(&self) {
        self.set(Mode::Pass);
        self.cut();
        let commands: [&[&str]; 4] = [
            &["ACL", "SETUSER", "default", "on", "nopass", "+@all"],
            &["CONFIG", "SET", "maxmemory", "0"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
            &["FLUSHALL"],
        ];
        for server in self.servers() {
            let is_well = answers(server.port()) && commands.iter().all(|command| server.cli(command) == "OK");
            if !is_well || server.cli(&["ROLE"]).starts_with("slave") {
                server.restart();
            }
        }
        self.settle();
    }
}
