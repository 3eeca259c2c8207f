//! A master with two replicas, and three sentinels that watch it.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::ports::release;
use super::{Certificates, PATIENCE, Process, Server, answers, directory, eventually, free_port, program, text};

/// The name of the master.
pub const MASTER: &str = "main";

/// The time after which a failover has happened or was given up.
const GIVEN_UP: Duration = Duration::from_secs(7);

/// The number of sentinels that agree on a failure.
const QUORUM: &str = "2";

/// The milliseconds of silence after which a sentinel takes a master for lost.
const ALERT: u32 = 500;
/// The same for a sentinel that no busy machine and no outage of a test misleads.
const STEADY: u32 = 600_000;

/// A master, its replicas, and three sentinels that watch it.
pub struct Sentinels {
    servers: Vec<Server>,
    /// The ports of the servers, as replicas, sentinels and caches use them.
    ports: Vec<u16>,
    sentinels: Vec<Sentinel>,
    options: Options,
    certificates: Option<Certificates>,
}

/// The things that the servers and the sentinels ask of clients.
#[derive(Clone, Copy)]
struct Options {
    /// The passwords of the servers and of the sentinels.
    passwords: Option<(&'static str, &'static str)>,
    is_tls: bool,
    replicas: usize,
    /// The milliseconds of silence after which the master is replaced.
    down_after: u32,
}

const OPTIONS: Options = Options { passwords: None, is_tls: false, replicas: 2, down_after: ALERT };

/// One of the sentinels.
pub struct Sentinel {
    port: u16,
    /// The port without TLS, for the test.
    plain_port: u16,
    directory: PathBuf,
    password: Option<&'static str>,
    process: Mutex<Option<Process>>,
}

impl Sentinels {
    /// Starts a master with two replicas, which is replaced if it does not answer for half a second, and waits until the
    /// sentinels know everything.
    pub fn start() -> Sentinels {
        Sentinels::with(OPTIONS)
    }

    /// Starts a master that is never replaced: it has no replicas.
    pub fn steady() -> Sentinels {
        Sentinels::with(Options { replicas: 0, down_after: STEADY, ..OPTIONS })
    }

    /// The same with a password for the servers, and another one for the sentinels.
    pub fn with_passwords(servers: &'static str, sentinels: &'static str) -> Sentinels {
        Sentinels::with(Options { passwords: Some((servers, sentinels)), ..OPTIONS })
    }

    /// The same over TLS, with certificates of clients.
    pub fn over_tls() -> Sentinels {
        Sentinels::with(Options { is_tls: true, ..OPTIONS })
    }

    fn with(options: Options) -> Sentinels {
        let certificates = options.is_tls.then(Certificates::new);
        let (servers, ports): (Vec<_>, Vec<_>) =
            (0..=options.replicas).map(|_| server(options, certificates.as_ref())).unzip();
        for replica in &servers[1..] {
            command(replica, options, &["REPLICAOF", "127.0.0.1", &ports[0].to_string()]);
        }
        // A sentinel finds replicas at once if they are there when it starts, and otherwise after ten seconds.
        let replicates =
            |server: &Server| command(server, options, &["INFO", "replication"]).contains("link_status:up");
        eventually("the replicas follow", || servers[1..].iter().all(replicates));
        let sentinels = (0..3).map(|_| Sentinel::start(ports[0], options, certificates.as_ref())).collect();
        let started = Sentinels { servers, ports, sentinels, options, certificates };
        started.ready();
        started
    }

    /// Waits until each sentinel could replace the master.
    fn ready(&self) {
        let knows = |sentinel: &Sentinel| {
            let fields = sentinel.fields();
            let is = |name: &str, value: &str| fields.iter().any(|(known, told)| known == name && told == value);
            is("num-slaves", &(self.servers.len() - 1).to_string())
                && is("num-other-sentinels", "2")
                && is("flags", "master")
        };
        eventually("the sentinels know everything", || self.sentinels.iter().all(knows));
    }

    /// The address that a cache takes: all sentinels, and the name of the master.
    pub fn url(&self) -> String {
        self.url_by(&self.sentinels.iter().map(|sentinel| sentinel.port).collect::<Vec<_>>(), MASTER)
    }

    /// The same with other ports of sentinels, or another name.
    pub fn url_by(&self, ports: &[u16], name: &str) -> String {
        let host = if self.options.is_tls { "localhost" } else { "127.0.0.1" };
        let hosts = ports.iter().map(|port| format!("{host}:{port}")).collect::<Vec<_>>().join(",");
        let login = self.options.passwords.map_or(String::new(), |(password, _)| format!(":{password}@"));
        let sentinels = self.options.passwords.map(|(_, password)| format!("sentinel_password={password}"));
        let files = self.certificates.as_ref().map(|certificates| {
            let path = |file| certificates.path(file).display().to_string();
            format!("ca={}&cert={}&key={}", path("ca.pem"), path("client.pem"), path("client.key"))
        });
        let parameters = sentinels.into_iter().chain(files).collect::<Vec<_>>().join("&");
        let scheme = if self.options.is_tls { "rediss-sentinel" } else { "redis-sentinel" };
        let query = if parameters.is_empty() { String::new() } else { format!("?{parameters}") };
        format!("{scheme}://{login}{hosts}/{name}{query}")
    }

    /// The sentinels.
    pub fn sentinels(&self) -> &[Sentinel] {
        &self.sentinels
    }

    /// The servers, whatever their roles are.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The server that the sentinels call the master. Those that answer have to agree: one that has not heard of the last
    /// failover tells the master before that.
    pub fn master(&self) -> &Server {
        let mut agreed = None;
        eventually("the sentinels agree on a master of these", || {
            let mut told = self.sentinels.iter().filter_map(Sentinel::master);
            let first = told.next().filter(|first| told.all(|other| other == *first));
            agreed = first.and_then(|port| self.server_at(port));
            agreed.is_some()
        });
        agreed.expect("agreed")
    }

    /// Runs one command on a server, with its password.
    pub fn cli(&self, server: &Server, words: &[&str]) -> String {
        command(server, self.options, words)
    }

    /// The port of a server, as caches use it.
    pub fn port_of(&self, server: &Server) -> u16 {
        let at = self.servers.iter().position(|known| std::ptr::eq(known, server)).expect("one of these");
        self.ports[at]
    }

    fn server_at(&self, port: u16) -> Option<&Server> {
        Some(&self.servers[self.ports.iter().position(|known| *known == port)?])
    }

    /// Orders a failover, waits until a sentinel tells another master, and returns it.
    pub fn fail_over(&self) -> &Server {
        // The sentinels agree by then. One that has not heard of the last failover would order one from the master before
        // that, which makes servers replicas at other times than expected.
        let old = self.port_of(self.master());
        let order = ["SENTINEL", "FAILOVER", MASTER];
        let obeys = || self.sentinels.iter().any(|sentinel| sentinel.cli(&order) == "OK");
        eventually("a sentinel obeys", obeys);
        let mut ordered = Instant::now();
        self.switched_from(old, || {
            // On a busy machine, a failover may be given up.
            if ordered.elapsed() > GIVEN_UP && obeys() {
                ordered = Instant::now();
            }
        })
    }

    /// Kills the master, waits until a sentinel tells another one, and returns it.
    pub fn kill_master(&self) -> &Server {
        let master = self.master();
        master.kill();
        self.switched_from(self.port_of(master), || {})
    }

    fn switched_from(&self, old: u16, mut meanwhile: impl FnMut()) -> &Server {
        let mut told = None;
        eventually("a sentinel tells another master", || {
            let ports = self.sentinels.iter().filter_map(Sentinel::master);
            told = ports.filter(|port| *port != old).find_map(|port| self.server_at(port));
            if told.is_none() {
                meanwhile();
            }
            told.is_some()
        });
        told.expect("told")
    }
}

impl Sentinel {
    fn start(master: u16, options: Options, certificates: Option<&Certificates>) -> Sentinel {
        for _ in 0..10 {
            let plain_port = free_port();
            let port = if options.is_tls { free_port() } else { plain_port };
            let password = options.passwords.map(|(_, password)| password);
            let sentinel = Sentinel { port, plain_port, directory: directory(), password, process: Mutex::new(None) };
            let mut lines = vec![
                format!("port {plain_port}\nbind 127.0.0.1\ndir {}", sentinel.directory.display()),
                format!("sentinel monitor {MASTER} 127.0.0.1 {master} {QUORUM}"),
                format!("sentinel down-after-milliseconds {MASTER} {}", options.down_after),
                format!("sentinel failover-timeout {MASTER} 3000"),
                format!("sentinel parallel-syncs {MASTER} 2"),
            ];
            if let Some((servers, own)) = options.passwords {
                lines.push(format!("sentinel auth-pass {MASTER} {servers}"));
                lines.push(format!("requirepass {own}\nsentinel sentinel-pass {own}"));
            }
            if let Some(certificates) = certificates {
                lines.extend(tls_arguments(port, certificates).map(|(name, value)| format!("{name} {value}")));
            }
            std::fs::write(sentinel.directory.join("sentinel.conf"), lines.join("\n") + "\n").unwrap();
            if sentinel.spawn() {
                return sentinel;
            }
        }
        panic!("no sentinel starts")
    }

    /// The port on which caches ask it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it without warning.
    pub fn kill(&self) {
        if let Some(process) = self.process.lock().unwrap().take() {
            process.kill();
        }
    }

    /// Starts it again, with what it knew.
    pub fn restart(&self) {
        self.kill();
        let begun = Instant::now();
        while !self.spawn() {
            assert!(begun.elapsed() < PATIENCE, "the sentinel does not start again");
        }
    }

    /// Freezes it.
    pub fn stop(&self) {
        self.process.lock().unwrap().as_ref().expect("the sentinel runs").freeze();
    }

    /// Lets it continue.
    pub fn cont(&self) {
        self.process.lock().unwrap().as_ref().expect("the sentinel runs").thaw();
    }

    /// Runs one command; the reply as text.
    pub fn cli(&self, words: &[&str]) -> String {
        if self.process.lock().unwrap().is_none() {
            return String::new();
        }
        let url = self.password.map_or(String::new(), |password| format!(":{password}@"));
        ask(&format!("redis://{url}127.0.0.1:{}", self.plain_port), words)
    }

    /// The port of the master that it tells.
    fn master(&self) -> Option<u16> {
        self.cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]).lines().nth(1)?.parse().ok()
    }

    fn fields(&self) -> Vec<(String, String)> {
        let reply = self.cli(&["SENTINEL", "MASTER", MASTER]);
        let lines: Vec<&str> = reply.lines().collect();
        lines.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect()
    }

    fn spawn(&self) -> bool {
        let sentinel = Command::new(program())
            .arg(self.directory.join("sentinel.conf"))
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let mut sentinel = sentinel.unwrap_or_else(|error| panic!("{} cannot be run: {error}", program().display()));
        let begun = Instant::now();
        while !answers(self.plain_port) {
            if sentinel.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(begun.elapsed() < PATIENCE, "the sentinel does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
        *self.process.lock().unwrap() = Some(Process::of(sentinel, &self.directory));
        true
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.kill();
        release(self.plain_port);
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A server, and the port for caches.
fn server(options: Options, certificates: Option<&Certificates>) -> (Server, u16) {
    let port = free_port();
    let tls = certificates.into_iter().flat_map(|certificates| tls_arguments(port, certificates));
    let mut arguments: Vec<String> = tls.flat_map(|(name, value)| [format!("--{name}"), value]).collect();
    if let Some((password, _)) = options.passwords {
        arguments.extend(["--requirepass", password, "--masterauth", password].map(str::to_owned));
    }
    let server = Server::with(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let port = if options.is_tls { port } else { server.port() };
    (server, port)
}

fn tls_arguments(port: u16, certificates: &Certificates) -> [(&'static str, String); 5] {
    let path = |file| certificates.path(file).display().to_string();
    [
        ("tls-port", port.to_string()),
        ("tls-replication", "yes".to_owned()),
        ("tls-cert-file", path("server.pem")),
        ("tls-key-file", path("server.key")),
        ("tls-ca-cert-file", path("ca.pem")),
    ]
}

fn command(server: &Server, options: Options, words: &[&str]) -> String {
    let login = options.passwords.map_or(String::new(), |(password, _)| format!(":{password}@"));
    ask(&format!("redis://{login}127.0.0.1:{}", server.port()), words)
}

/// The reply as text. A server that is gone replies with nothing.
fn ask(url: &str, words: &[&str]) -> String {
    let client = redis::Client::open(url).unwrap();
    let Ok(mut connection) = client.get_connection_with_timeout(Duration::from_secs(1)) else {
        return String::new();
    };
    let _ = connection.set_read_timeout(Some(Duration::from_secs(1)));
    match redis::cmd(words[0]).arg(&words[1..]).query(&mut connection) {
        Ok(value) => text(&value),
        Err(error) => format!("(error) {error}"),
    }
}
