//! Real servers for tests, and ways to make them fail.
//!
//! Nothing here sleeps for a guessed time: a test polls for the event that it waits for, up to [`PATIENCE`].

mod certificates;
mod cluster;
mod crafted;
mod gate;
pub mod log;
mod monitor;
mod ports;
pub mod process;
mod proxied;
mod proxy;
mod sentinels;
mod stopwatch;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::task::Poll;
use std::time::{Duration, Instant};

pub use self::{
    certificates::{Certificates, TlsServer},
    cluster::{Cluster, ClusterClient, MigratingSlot, Node, slot_of},
    crafted::resealed,
    gate::Gate,
    monitor::Monitor,
    ports::free_port,
    proxied::ProxiedServers,
    proxy::{Mode, Proxy},
    sentinels::{MASTER, Sentinel, Sentinels},
    stopwatch::{Stopwatch, Took},
};

/// The longest time that a test waits for an event.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The log of a server, in its directory.
const LOG: &str = "log";

/// Runs one test of this program in a process of its own. `module` is the `module_path!()` of the test.
pub fn child(module: &str, test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    // The harness names tests without the crate.
    let name = module.split_once("::").map_or(test.to_owned(), |(_, module)| format!("{module}::{test}"));
    command.args(["--exact", &name, "--nocapture"]);
    command
}

/// Waits until `condition` holds.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "this did not happen in {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// [`eventually`] for tests whose other tasks have to run meanwhile.
pub async fn in_time(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "this did not happen in {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Repeats `attempt` with longer and longer times, for an event that cannot be polled: threads that have come to the
/// place where they wait. The argument of `attempt` is the time to leave to them.
#[track_caller]
pub fn given_time(what: &str, mut attempt: impl FnMut(Duration) -> bool) {
    let done = [50, 200, 1000, 3000, 6000].map(Duration::from_millis).into_iter().any(&mut attempt);
    assert!(done, "not even after seconds: {what}");
}

/// Lets the tasks that were spawned before run as far as they can, if all share a thread and the
/// connection of one cache: each yield lets the others run, so that they have sent what they send
/// before the `round_trip` begins, and replies come in order.
pub async fn settle<F: Future>(round_trip: F) -> F::Output {
    let_run().await;
    let output = round_trip.await;
    let_run().await;
    output
}

/// Lets all other tasks of this thread run until each waits for something else.
pub async fn let_run() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// The output, unless it takes more polls than so many: then the future is dropped where it is.
pub async fn polled<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let (mut future, mut left) = (std::pin::pin!(future), times);
    std::future::poll_fn(|context| {
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// A cache in memory and one on the server, for tests of what holds for both.
pub fn caches(server: &Server) -> [redis_cached::Cache; 2] {
    // These tests need no outage, and a busy machine must not look like one.
    ["memory://", &server.url()].map(|url| redis_cached::Cache::builder(url).unwrap().timeout(PATIENCE).build())
}

/// Waits until the stored value is past its lifetime.
pub async fn expired<V>(entry: redis_cached::Entry<V>) {
    in_time("it expires", async || entry.get().await.unwrap().is_none()).await;
}

/// A server of its own, in a directory of its own, without persistence. Killed when dropped.
pub struct Server {
    port: u16,
    arguments: Mutex<Vec<String>>,
    directory: PathBuf,
    process: Mutex<Option<Process>>,
}

/// A server, and a shell that kills it when the test's process ends without dropping it, because the server is in a
/// `static` or because of a signal.
struct Process {
    server: Child,
    undertaker: Child,
}

impl Server {
    /// Starts a server and waits until it answers.
    pub fn start() -> Server {
        Server::with(&[])
    }

    /// Starts a server with arguments for its command line, such as `--maxmemory 1mb`.
    pub fn with(arguments: &[&str]) -> Server {
        // Another process may take the port between its choice and its use.
        let server = (0..10).find_map(|_| Server::on(free_port(), arguments));
        server.unwrap_or_else(|| panic!("{} does not start with {arguments:?}", program().display()))
    }

    /// Starts a server on this port, if it is free.
    fn on(port: u16, arguments: &[&str]) -> Option<Server> {
        let server = Server {
            port,
            arguments: Mutex::new(arguments.iter().map(|argument| (*argument).to_owned()).collect()),
            directory: directory(),
            process: Mutex::new(None),
        };
        server.spawn().then_some(server)
    }

    /// Its address, as [`redis_cached::Cache::builder`] takes it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it without warning.
    pub fn kill(&self) {
        if let Some(process) = self.process().take() {
            process.kill();
        }
    }

    /// Starts it again on the same port, empty.
    pub fn restart(&self) {
        self.kill();
        let begun = Instant::now();
        while !self.spawn() {
            assert!(begun.elapsed() < PATIENCE, "the server does not start again: {}", self.last_words());
        }
    }

    /// Starts it again with more arguments for its command line.
    fn restart_with(&self, arguments: &[&str]) {
        self.arguments.lock().unwrap().extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self.restart();
    }

    /// Freezes it: connections stay open, and new ones are accepted by the system alone.
    pub fn stop(&self) {
        self.process().as_ref().expect("the server runs").freeze();
    }

    /// Lets a frozen server continue.
    pub fn cont(&self) {
        self.process().as_ref().expect("the server runs").thaw();
    }

    /// Makes it a replica that has caught up.
    pub fn replica_of(&self, master: &Server) {
        self.cli(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
        eventually("the replica catches up", || self.cli(&["INFO", "replication"]).contains("master_link_status:up"));
    }

    /// Makes a replica a master.
    pub fn promote(&self) {
        self.cli(&["REPLICAOF", "NO", "ONE"]);
    }

    /// Runs one command; the reply as text, one line for each part.
    #[track_caller]
    pub fn cli(&self, command: &[&str]) -> String {
        reply(query(&mut self.connection(), command))
    }

    /// Runs a command; false if the server does not know this form of it.
    #[track_caller]
    pub fn knows(&self, command: &[&str]) -> bool {
        let reply = self.cli(command);
        !reply.contains("syntax error") && !reply.contains("wrong number of arguments")
    }

    /// Opens a connection of its own.
    #[track_caller]
    pub fn connection(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).unwrap();
        let connection = client.get_connection_with_timeout(PATIENCE).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        connection
    }

    /// Listens to the commands that reach the server from now on.
    pub fn monitor(&self) -> Monitor {
        Monitor::of(self.port)
    }

    /// The name and the version of the server.
    pub fn program(&self) -> String {
        let info = self.cli(&["INFO", "server"]);
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        match (field("valkey_version:"), field("redis_version:")) {
            (Some(version), _) => format!("Valkey {version}"),
            (None, version) => format!("Redis {}", version.unwrap_or("of unknown version")),
        }
    }

    /// A proxy to it, which can disturb the connection.
    pub fn proxy(&self) -> Proxy {
        Proxy::to(self.port)
    }

    fn spawn(&self) -> bool {
        // A server that was a replica has left there what it got from its master, and would load it.
        let _ = std::fs::remove_file(self.directory.join("dump.rdb"));
        let server = Command::new(program())
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--repl-diskless-sync-delay", "0", "--logfile", LOG])
            .args(&*self.arguments.lock().unwrap())
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for this process, whose undertakers end the servers.
            .process_group(0)
            .spawn();
        let mut server = server.unwrap_or_else(|error| panic!("{} cannot be run: {error}", program().display()));
        let begun = Instant::now();
        loop {
            if answers(self.port) {
                break;
            }
            if server.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not answer: {}", self.last_words());
            std::thread::sleep(Duration::from_millis(5));
        }
        // The answer may come from a server of another process.
        if server.try_wait().unwrap().is_some() {
            return false;
        }
        *self.process() = Some(Process::of(server, &self.directory));
        true
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.directory.join(LOG)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Process {
    /// `directory` is removed with it when the test's process ends.
    fn of(server: Child, directory: &Path) -> Process {
        let undertaker = Command::new("sh")
            .args(["-c", "cat >/dev/null; kill -KILL $0; rm -rf \"$1\"", &server.id().to_string()])
            .arg(directory)
            // Closed when this process ends.
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Process { server, undertaker }
    }

    fn freeze(&self) {
        process::freeze(&self.server);
    }

    fn thaw(&self) {
        process::thaw(&self.server);
    }

    fn kill(self) {
        for mut process in [self.undertaker, self.server] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        ports::release(self.port);
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn directory() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("redis-cached-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("REDIS_CACHED_TEST_SERVER") {
        return path.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    find("redis-server", &path).or_else(|| find("valkey-server", &path)).unwrap_or_else(|| {
        panic!(
            "these tests need a Redis server, and neither `redis-server` nor `valkey-server` is on \
             PATH: install one (Debian: `apt-get install redis-server`, macOS: `brew install \
             redis`), or name one in REDIS_CACHED_TEST_SERVER"
        )
    })
}

fn find(name: &str, path: &OsString) -> Option<PathBuf> {
    std::env::split_paths(path).map(|directory| directory.join(name)).find(|file| Path::is_file(file))
}

/// True if a server answers `PING` there, also if it asks for a password.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut reply = [0; 1];
    stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
        && stream.write_all(b"PING\r\n").is_ok()
        && stream.read_exact(&mut reply).is_ok()
        && matches!(&reply, b"+" | b"-")
}

fn query(connection: &mut redis::Connection, command: &[&str]) -> redis::RedisResult<redis::Value> {
    let (name, arguments) = command.split_first().expect("a command");
    redis::cmd(name).arg(arguments).query(connection)
}

/// A reply as text, one line for each part.
fn reply(outcome: redis::RedisResult<redis::Value>) -> String {
    match outcome {
        Ok(value) => text(&value),
        Err(error) => format!("(error) {error}"),
    }
}

fn text(value: &redis::Value) -> String {
    match value {
        redis::Value::Nil => "(nil)".to_owned(),
        redis::Value::Okay => "OK".to_owned(),
        redis::Value::Int(number) => number.to_string(),
        redis::Value::SimpleString(text) => text.clone(),
        redis::Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        redis::Value::Array(parts) => parts.iter().map(text).collect::<Vec<_>>().join("\n"),
        other => format!("{other:?}"),
    }
}
