//! A process that computes or writes may die, sleep, lose its server or give up at the worst moment:
//! others go on, and nothing old comes back.
//!
//! The same holds for each kind of Redis: a server (in the binary `faults`), one that speaks TLS (`tls`), one that
//! sentinels know (`sentinel`), and a cluster (`cluster`).

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};
use test_support::{PATIENCE, ProxiedServers, child, eventually, process};

use crate::started;

/// How long a slot stays leased to a process that does not renew its lease.
pub(crate) const LEASE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Face {
    Async,
    Plain,
}

pub(crate) const FACES: [Face; 2] = [Face::Async, Face::Plain];

/// The cached value: a version, and padding to a size.
#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    version: u64,
    text: String,
}

/// The bytes of a small value.
pub(crate) const SMALL: usize = 100;

impl Row {
    pub(crate) fn of(version: u64, size: usize) -> Row {
        let part = format!("version-{version};");
        Row { version, text: part.repeat(size.div_ceil(part.len())) }
    }
}

/// The origin that the functions read.
pub(crate) struct Origin {
    pub(crate) version: AtomicU64,
    pub(crate) size: usize,
}

impl Origin {
    pub(crate) fn at(version: u64, size: usize) -> Origin {
        Origin { version: AtomicU64::new(version), size }
    }

    fn read(&self) -> Row {
        // Only in a child: what it has read is said when it may go on.
        let version = if is_child() { ask() } else { self.version.load(SeqCst) };
        Row::of(version, self.size)
    }
}

#[redis_cached(prefix = "kill", name = "user", key = "{id}", cache = cache, skip(cache, origin))]
pub(crate) async fn user(cache: &Cache, origin: &Origin, id: u64) -> Row {
    // The body is not on the runtime's thread, which renews the lease.
    if is_child() {
        let version = tokio::task::spawn_blocking(ask).await.unwrap();
        return Row::of(version, origin.size);
    }
    origin.read()
}

#[redis_cached(prefix = "kill", name = "user", key = "{id}", cache = cache, skip(cache, origin))]
pub(crate) fn plain(cache: &Cache, origin: &Origin, id: u64) -> Row {
    origin.read()
}

/// How often bodies of this process ran whose leader may be killed.
#[derive(Default)]
struct Runs(AtomicU64);

/// The lease of those.
const SHORT_LEASE: Duration = Duration::from_secs(2);

#[redis_cached(prefix = "kill", name = "awaited", lease = SHORT_LEASE, cache = cache, skip(cache, runs))]
async fn awaited(cache: &Cache, runs: &Runs, id: u64) -> u64 {
    if is_child() {
        return tokio::task::spawn_blocking(ask).await.unwrap() + id;
    }
    let run = runs.0.fetch_add(1, SeqCst);
    tokio::time::sleep(Duration::from_millis(200)).await;
    run + id
}

#[redis_cached(prefix = "kill", name = "awaited", lease = SHORT_LEASE, cache = cache, skip(cache, runs))]
fn awaited_plain(cache: &Cache, runs: &Runs, id: u64) -> u64 {
    if is_child() {
        return ask() + id;
    }
    let run = runs.0.fetch_add(1, SeqCst);
    thread::sleep(Duration::from_millis(200));
    run + id
}

fn key(id: u64) -> String {
    format!("kill:user:{id}")
}

/// A cache, through one face.
pub(crate) struct Party {
    pub(crate) cache: Cache,
    pub(crate) face: Face,
    pub(crate) origin: Origin,
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl Party {
    pub(crate) fn new(face: Face, url: &str, timeout: Duration, origin: Origin) -> Party {
        Party {
            cache: Cache::builder(url).unwrap().timeout(timeout).build(),
            face,
            origin,
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
        }
    }

    pub(crate) fn call(&self, id: u64) -> u64 {
        match self.face {
            Face::Async => self.runtime.block_on(user(&self.cache, &self.origin, id)).version,
            Face::Plain => plain(&self.cache, &self.origin, id).version,
        }
    }

    fn awaits(&self, runs: &Runs, id: u64) -> u64 {
        match self.face {
            Face::Async => self.runtime.block_on(awaited(&self.cache, runs, id)),
            Face::Plain => awaited_plain(&self.cache, runs, id),
        }
    }

    pub(crate) fn get(&self, id: u64) -> Option<u64> {
        let row = match self.face {
            Face::Async => self.runtime.block_on(user_entry(&self.cache, id).get()),
            Face::Plain => plain_entry(&self.cache, id).get(),
        };
        row.expect("the server answers").map(|row| row.version)
    }

    pub(crate) fn invalidate(&self, id: u64) {
        let invalidated = match self.face {
            Face::Async => self.runtime.block_on(user_entry(&self.cache, id).invalidate()),
            Face::Plain => plain_entry(&self.cache, id).invalidate(),
        };
        invalidated.expect("the server answers");
    }

    pub(crate) fn write_through(&self, id: u64, version: u64, write: impl FnOnce()) {
        let row = Row::of(version, self.origin.size);
        let write = || {
            write();
            Ok::<(), ()>(())
        };
        match self.face {
            Face::Async => self.runtime.block_on(user_entry(&self.cache, id).write_through(&row, async || write())),
            Face::Plain => plain_entry(&self.cache, id).write_through(&row, write),
        }
        .expect("the write's own result");
    }

    pub(crate) fn stores(&self, id: u64, version: u64) {
        self.origin.version.store(version, SeqCst);
        eventually("a value is stored", || self.call(id) == version && self.get(id) == Some(version));
    }
}

/// The variable that tells a child its part.
const CHILD: &str = "REDIS_CACHED_KILL_CHILD";

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// In a child: says that its body runs, and waits for a number.
fn ask() -> u64 {
    println!("child: body");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    line.trim().parse().unwrap()
}

/// Another process that calls, or writes through, with id 1 or 2 for its face.
struct Actor {
    process: Child,
    input: ChildStdin,
    lines: mpsc::Receiver<String>,
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Call,
    Await,
    WriteThrough,
}

fn id(face: Face) -> u64 {
    match face {
        Face::Async => 1,
        Face::Plain => 2,
    }
}

impl Actor {
    /// Runs `test`, which has to begin with [`played`].
    fn start(test: &str, part: Part, face: Face, place: &ProxiedServers) -> Actor {
        let mut process = child(module_path!(), test)
            .env(CHILD, format!("{part:?} {face:?} {}", place.url()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (said, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some((_, said_line)) = line.split_once("child: ") {
                    let _ = said.send(said_line.to_owned());
                }
            }
        });
        let actor = Actor { process, input, lines };
        assert_eq!(actor.says(), "body");
        actor
    }

    #[track_caller]
    fn says(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the child says something")
    }

    /// Lets its body return this version.
    fn tell(&mut self, version: u64) {
        writeln!(self.input, "{version}").unwrap();
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Plays a part, if this process is a child.
fn played() -> bool {
    let Ok(part) = std::env::var(CHILD) else { return false };
    let words: Vec<&str> = part.split(' ').collect();
    let face = if words[1] == "Async" { Face::Async } else { Face::Plain };
    let party = Party::new(face, words[2], PATIENCE, Origin::at(0, SMALL));
    match words[0] {
        "Call" => {
            let version = party.call(id(face));
            println!("child: returned {version}, stored {}", party.cache.stats().stored);
        }
        "Await" => _ = party.awaits(&Runs::default(), id(face)),
        _ => {
            party.write_through(id(face), 2, || _ = ask());
            println!("child: written");
        }
    }
    true
}

fn party(face: Face, place: &ProxiedServers) -> Party {
    Party::new(face, place.url(), PATIENCE, Origin::at(0, SMALL))
}

#[test]
fn a_killed_leader_holds_its_entry_for_no_longer_than_its_lease() {
    if played() {
        return;
    }
    let place = started();
    let start = |face| {
        let test = "a_killed_leader_holds_its_entry_for_no_longer_than_its_lease";
        Actor::start(test, Part::Call, face, &place)
    };
    let leaders = FACES.map(start);
    for mut leader in leaders {
        leader.kill();
    }
    for face in FACES {
        let left: i64 = place.cli(&["PTTL", &key(id(face))]).parse().unwrap();
        assert!((1..=LEASE.as_millis() as i64).contains(&left), "{face:?}: {left} ms of a lease are left");
    }
    // The calls run one after the other: the second's lease ends while the first call waits.
    for face in FACES {
        let other = party(face, &place);
        other.stores(id(face), 7);
    }
}

/// When its lease has ended; the others wait for that one.
#[test]
fn of_twenty_that_wait_for_a_killed_leader_one_computes() {
    if played() {
        return;
    }
    let place = started();
    for face in FACES {
        let test = "of_twenty_that_wait_for_a_killed_leader_one_computes";
        let mut leader = Actor::start(test, Part::Await, face, &place);
        let (parties, runs) = ([0, 1].map(|_| party(face, &place)), Runs::default());
        let slot = || place.cli(&["GETRANGE", &format!("kill:awaited:{}", id(face)), "0", "17"]);
        let lease = slot();
        thread::scope(|scope| {
            let (parties, runs) = (&parties, &runs);
            let waiters: Vec<_> =
                (0..20).map(|at| scope.spawn(move || parties[at % 2].awaits(runs, id(face)))).collect();
            // It lives longer than its first lease.
            thread::sleep(SHORT_LEASE + Duration::from_millis(500));
            assert_eq!((runs.0.load(SeqCst), slot()), (0, lease), "{face:?}: it is waited for");
            leader.kill();
            let killed = Instant::now();
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), id(face), "{face:?}");
            }
            assert!(killed.elapsed() < SHORT_LEASE + Duration::from_secs(3), "{face:?}: {:?}", killed.elapsed());
        });
        assert_eq!(runs.0.load(SeqCst), 1, "{face:?}");
    }
}

#[test]
fn a_leader_that_slept_past_its_lease_stores_nothing() {
    if played() {
        return;
    }
    let place = started();
    for face in FACES {
        let test = "a_leader_that_slept_past_its_lease_stores_nothing";
        let mut leader = Actor::start(test, Part::Call, face, &place);
        process::freeze(&leader.process);
        // Time passes: a process that does not run renews nothing.
        place.cli(&["PEXPIRE", &key(id(face)), "1"]);
        eventually("the lease ends", || place.cli(&["EXISTS", &key(id(face))]) == "0");
        let other = party(face, &place);
        other.stores(id(face), 2);

        leader.tell(1);
        process::thaw(&leader.process);
        assert_eq!(leader.says(), "returned 1, stored 0", "{face:?}");
        assert_eq!(other.get(id(face)), Some(2), "{face:?}");
    }
}

#[test]
fn a_server_restarted_empty_under_a_body() {
    if played() {
        return;
    }
    let place = started();
    for (face, somebody_else_computes) in
        [(Face::Async, false), (Face::Plain, false), (Face::Async, true), (Face::Plain, true)]
    {
        let test = "a_server_restarted_empty_under_a_body";
        let mut leader = Actor::start(test, Part::Call, face, &place);
        place.restart();
        place.settle();
        let other = party(face, &place);
        if somebody_else_computes {
            other.stores(id(face), 2);
        }
        leader.tell(1);
        assert_eq!(leader.says(), "returned 1, stored 0", "{face:?}");
        assert_eq!(other.get(id(face)), somebody_else_computes.then_some(2), "{face:?}");
        other.stores(id(face), 2);
        // This empties the entry for the next round.
        other.invalidate(id(face));
    }
}

#[test]
fn a_writer_killed_after_its_write_leaves_nothing_old() {
    if played() {
        return;
    }
    let place = started();
    for face in FACES {
        let other = party(face, &place);
        other.stores(id(face), 1);
        let test = "a_writer_killed_after_its_write_leaves_nothing_old";
        let mut writer = Actor::start(test, Part::WriteThrough, face, &place);
        // It has written by now.
        other.origin.version.store(2, SeqCst);
        writer.kill();
        assert_eq!(other.get(id(face)), None, "{face:?}");
        // An invalidation empties the entry, so that no call waits for the lease's end.
        other.invalidate(id(face));
        other.stores(id(face), 2);
    }
}
