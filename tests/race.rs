//! Nothing stale after an invalidation: readers in several processes, runtimes and threads against
//! everything that replaces a value, counted against an origin that knows what is current.
//!
//! `cargo test --test race -- --nocapture` prints a row for each race.
//! `REDIS_CACHED_RACE_SECONDS=60` makes each of them last that long.
//!
//! The origin is a server of its own with two numbers for each id: the current *version*, and the
//! *floor* below which versions are stale. One writer at a time raises an id's version, tells the
//! cache, and, once that has succeeded, raises the floor. A reader asks for the floor, calls, and
//! what it gets is not below it.

mod support;

use std::future::Future;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use redis::AsyncCommands as _;
use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};
use support::{PATIENCE, Server};

const IDS: u64 = 8;
const PROCESSES: u64 = 3;
/// In each process one of several threads, and one of one.
const RUNTIMES: u64 = 2;
const TASKS: u64 = 16;
const THREADS: u64 = 4;

/// What each process has to see before it ends, whatever the time.
const WRITES: u64 = 120;
const HITS: u64 = 20;

/// Who takes part in a race, and how quick they are.
struct Setup {
    /// Unless the environment says otherwise.
    seconds: u64,
    /// The cache's.
    timeout: Duration,
    /// The longest that a body takes.
    body: Duration,
    /// The longest that a writer rests.
    rest: Duration,
    writes: &'static [Write],
    /// Tasks and threads of each process that run the body whatever is stored.
    refreshers: u64,
    /// Whether calls are judged, or what `get` finds alone: a call that cannot ask the cache may
    /// share a body of its process that runs already, and began before an invalidation elsewhere.
    judge_calls: bool,
}

const SETUP: Setup = Setup {
    seconds: 2,
    timeout: PATIENCE,
    body: Duration::from_millis(4),
    rest: Duration::from_millis(8),
    writes: &[
        Write::Invalidate,
        Write::Invalidate,
        Write::Through,
        Write::Through,
        Write::Put,
        Write::Foreign("DEL"),
        Write::Foreign("UNLINK"),
        Write::FailingThrough,
        Write::CancelledThrough,
    ],
    refreshers: 0,
    judge_calls: true,
};

/// A way to make a new version known to the cache.
#[derive(Clone, Copy, Debug)]
enum Write {
    /// The origin, then `invalidate`.
    Invalidate,
    /// The origin, then `put`: right where writers take turns.
    Put,
    /// The origin, then a command of another client.
    Foreign(&'static str),
    /// `write_through`.
    Through,
    /// The write takes place, and says that it did not. Nothing is promised until the next one.
    FailingThrough,
    /// Dropped half-way. Nothing is promised until the next one.
    CancelledThrough,
}

/// What a cached function returns here.
trait Versioned: Send + 'static {
    fn of(version: u64) -> Self;
    fn version(&self) -> u64;
}

impl Versioned for u64 {
    fn of(version: u64) -> u64 {
        version
    }

    fn version(&self) -> u64 {
        *self
    }
}

/// Travels in several pieces, and must arrive in one.
#[derive(Serialize, Deserialize)]
struct Large {
    head: u64,
    text: String,
    tail: u64,
}

impl Versioned for Large {
    fn of(version: u64) -> Large {
        Large { head: version, text: "x".repeat(200_000), tail: version }
    }

    fn version(&self) -> u64 {
        assert_eq!((self.head, self.text.len()), (self.tail, 200_000), "of one piece");
        self.head
    }
}

/// The functions of one race: an async and a plain one, with the same entries.
trait Subject: Send + Sync + 'static {
    /// The name of its test.
    const TEST: &'static str;

    fn call(cache: &Cache, origin: &Origin, id: u64) -> impl Future<Output = u64> + Send;
    fn refresh(cache: &Cache, origin: &Origin, id: u64) -> impl Future<Output = u64> + Send;
    fn get(cache: &Cache, id: u64) -> impl Future<Output = Option<u64>> + Send;
    /// Whether readers may rely on `version` from now on.
    fn write(cache: &Cache, origin: &Origin, id: u64, how: Write, version: u64) -> impl Future<Output = bool>;

    fn call_plain(cache: &Cache, origin: &PlainOrigin, id: u64) -> u64;
    fn refresh_plain(cache: &Cache, origin: &PlainOrigin, id: u64) -> u64;
    fn get_plain(cache: &Cache, id: u64) -> Option<u64>;
    fn write_plain(cache: &Cache, origin: &PlainOrigin, id: u64, how: Write, version: u64) -> bool;
}

/// A race for each line: its functions' value, further arguments of their attribute, and a setup.
macro_rules! races {
    ($($(#[$doc:meta])* $name:ident: $value:ty, [$($argument:tt)*], $setup:expr;)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            struct Race;

            #[redis_cached(prefix = "race", key = "user:{id}", cache = cache, skip(cache, origin), $($argument)*)]
            async fn user(cache: &Cache, origin: &Origin, id: u64) -> $value {
                <$value>::of(origin.read(id).await)
            }

            #[redis_cached(prefix = "race", key = "user:{id}", cache = cache, skip(cache, origin), $($argument)*)]
            fn plain(cache: &Cache, origin: &PlainOrigin, id: u64) -> $value {
                <$value>::of(origin.read(id))
            }

            impl Subject for Race {
                const TEST: &'static str = concat!(stringify!($name), "::nothing_stale");

                async fn call(cache: &Cache, origin: &Origin, id: u64) -> u64 {
                    user(cache, origin, id).await.version()
                }

                async fn refresh(cache: &Cache, origin: &Origin, id: u64) -> u64 {
                    user_refresh(cache, origin, id).await.version()
                }

                async fn get(cache: &Cache, id: u64) -> Option<u64> {
                    user_entry(cache, id).get().await.ok()?.map(|value| value.version())
                }

                async fn write(cache: &Cache, origin: &Origin, id: u64, how: Write, version: u64) -> bool {
                    let (entry, new) = (user_entry(cache, id), <$value>::of(version));
                    match how {
                        Write::Invalidate => {
                            origin.write(id, version).await;
                            entry.invalidate().await.is_ok()
                        }
                        Write::Put => {
                            origin.write(id, version).await;
                            entry.put(&new).await.is_ok()
                        }
                        Write::Foreign(command) => {
                            origin.write(id, version).await;
                            origin.foreign(command, entry.key().unwrap()).await;
                            true
                        }
                        Write::Through => {
                            let write = async || Ok::<_, ()>(origin.write(id, version).await);
                            entry.write_through(&new, write).await.is_ok()
                        }
                        Write::FailingThrough => {
                            let write = async || {
                                origin.write(id, version).await;
                                Err::<(), _>(())
                            };
                            entry.write_through(&new, write).await.is_ok()
                        }
                        Write::CancelledThrough => {
                            let write = async || Ok::<_, ()>(origin.write(id, version).await);
                            let patience = Duration::from_micros(random(2_000));
                            let _ = tokio::time::timeout(patience, entry.write_through(&new, write)).await;
                            false
                        }
                    }
                }

                fn call_plain(cache: &Cache, origin: &PlainOrigin, id: u64) -> u64 {
                    plain(cache, origin, id).version()
                }

                fn refresh_plain(cache: &Cache, origin: &PlainOrigin, id: u64) -> u64 {
                    plain_refresh(cache, origin, id).version()
                }

                fn get_plain(cache: &Cache, id: u64) -> Option<u64> {
                    plain_entry(cache, id).get().ok()?.map(|value| value.version())
                }

                fn write_plain(cache: &Cache, origin: &PlainOrigin, id: u64, how: Write, version: u64) -> bool {
                    let (entry, new) = (plain_entry(cache, id), <$value>::of(version));
                    match how {
                        Write::Invalidate => {
                            origin.write(id, version);
                            entry.invalidate().is_ok()
                        }
                        Write::Put => {
                            origin.write(id, version);
                            entry.put(&new).is_ok()
                        }
                        Write::Foreign(command) => {
                            origin.write(id, version);
                            origin.foreign(command, entry.key().unwrap());
                            true
                        }
                        Write::Through => entry.write_through(&new, || Ok::<_, ()>(origin.write(id, version))).is_ok(),
                        // A thread cannot be cancelled.
                        Write::FailingThrough | Write::CancelledThrough => {
                            let write = || {
                                origin.write(id, version);
                                Err::<(), _>(())
                            };
                            entry.write_through(&new, write).is_ok()
                        }
                    }
                }
            }

            #[test]
            fn nothing_stale() {
                race::<Race>(&$setup);
            }
        }
    )*};
}

races! {
    calls: u64, [], Setup { seconds: 4, ..SETUP };
    /// Entries expire all the time, too.
    short_lived: u64, [ttl = "20ms"], Setup { rest: Duration::from_millis(40), ..SETUP };
    /// A fill is sent ahead and moved, on servers that cannot compare in `SET`.
    large: Large, [], SETUP;
    refreshed: u64, [], Setup { refreshers: 2, ..SETUP };
    /// Old values are served and refreshed in the background, but none from before an invalidation.
    revalidated: u64, [ttl = "15ms", stale_while_revalidate = "1h"], Setup { refreshers: 1, ..SETUP };
    refreshed_ahead: u64, [ttl = "100ms", refresh_ahead = 0.1], SETUP;
    /// Operations time out and arrive all the same, the breaker opens and closes. A write-through
    /// does not tell whether the cache heard of it.
    impatient: u64, [], Setup {
        timeout: Duration::from_millis(3),
        judge_calls: false,
        writes: &[
            Write::Invalidate,
            Write::Invalidate,
            Write::Put,
            Write::Foreign("UNLINK"),
            Write::FailingThrough,
            Write::CancelledThrough,
        ],
        ..SETUP
    };
}

/// The origin, for async functions. A writer's own connection keeps its writes in order.
#[derive(Clone)]
struct Origin {
    connection: redis::aio::MultiplexedConnection,
    /// To the cache's server, around the cache.
    outside: redis::aio::MultiplexedConnection,
    course: Arc<Course>,
}

impl Origin {
    async fn connect(course: &Arc<Course>) -> Origin {
        let connect = async |url: &str| {
            let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
            let client = redis::Client::open(url).unwrap();
            client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
        };
        Origin {
            connection: connect(&course.origin).await,
            outside: connect(&course.server).await,
            course: Arc::clone(course),
        }
    }

    async fn floor(&self, id: u64) -> u64 {
        self.connection.clone().get::<_, Option<u64>>(floor(id)).await.unwrap().unwrap_or(0)
    }

    async fn raise_floor(&self, id: u64, version: u64) {
        self.connection.clone().set::<_, _, ()>(floor(id), version).await.unwrap();
    }

    /// The body.
    async fn read(&self, id: u64) -> u64 {
        self.course.counts.bodies.fetch_add(1, Relaxed);
        let read = self.connection.clone().get::<_, Option<u64>>(version(id)).await.unwrap();
        tokio::time::sleep(random_part(self.course.body)).await;
        read.unwrap_or(0)
    }

    async fn write(&self, id: u64, new: u64) {
        self.connection.clone().set::<_, _, ()>(version(id), new).await.unwrap();
        tokio::time::sleep(random_part(self.course.body / 4)).await;
    }

    async fn foreign(&self, command: &str, key: &str) {
        redis::cmd(command).arg(key).exec_async(&mut self.outside.clone()).await.unwrap();
    }
}

/// The origin, for plain functions.
#[derive(Clone)]
struct PlainOrigin {
    connection: Arc<Mutex<redis::Connection>>,
    outside: Arc<Mutex<redis::Connection>>,
    course: Arc<Course>,
}

impl PlainOrigin {
    fn connect(course: &Arc<Course>) -> PlainOrigin {
        let connect = |url: &str| {
            let connection = redis::Client::open(url).unwrap().get_connection_with_timeout(PATIENCE).unwrap();
            connection.set_read_timeout(Some(PATIENCE)).unwrap();
            Arc::new(Mutex::new(connection))
        };
        PlainOrigin {
            connection: connect(&course.origin),
            outside: connect(&course.server),
            course: Arc::clone(course),
        }
    }

    fn floor(&self, id: u64) -> u64 {
        self.get(&floor(id))
    }

    fn raise_floor(&self, id: u64, version: u64) {
        self.set(&floor(id), version);
    }

    /// The body.
    fn read(&self, id: u64) -> u64 {
        self.course.counts.bodies.fetch_add(1, Relaxed);
        let read = self.get(&version(id));
        thread::sleep(random_part(self.course.body));
        read
    }

    fn write(&self, id: u64, new: u64) {
        self.set(&version(id), new);
        thread::sleep(random_part(self.course.body / 4));
    }

    fn foreign(&self, command: &str, key: &str) {
        redis::cmd(command).arg(key).exec(&mut *self.outside.lock().unwrap()).unwrap();
    }

    fn get(&self, key: &str) -> u64 {
        let read: Option<u64> = redis::cmd("GET").arg(key).query(&mut *self.connection.lock().unwrap()).unwrap();
        read.unwrap_or(0)
    }

    fn set(&self, key: &str, value: u64) {
        redis::cmd("SET").arg(key).arg(value).exec(&mut *self.connection.lock().unwrap()).unwrap();
    }
}

fn version(id: u64) -> String {
    format!("version:{id}")
}

fn floor(id: u64) -> String {
    format!("floor:{id}")
}

/// What a process of a race shares.
struct Course {
    server: String,
    origin: String,
    process: u64,
    cache: Cache,
    body: Duration,
    until: Instant,
    judge_calls: bool,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    reads: AtomicU64,
    bodies: AtomicU64,
    cancelled: AtomicU64,
    writes: AtomicU64,
    through: AtomicU64,
    undelivered: AtomicU64,
    stale: AtomicU64,
}

/// What they count, and [`hits`](redis_cached::Stats::hits).
const COLUMNS: [&str; 8] =
    ["reads", "hits", "bodies", "cancelled", "invalidations", "write-throughs", "undelivered", "stale"];

impl Course {
    fn row(&self) -> [u64; COLUMNS.len()] {
        let Counts { reads, bodies, cancelled, writes, through, undelivered, stale } = &self.counts;
        let load = |counter: &AtomicU64| counter.load(Relaxed);
        [
            load(reads),
            self.cache.stats().hits,
            load(bodies),
            load(cancelled),
            load(writes),
            load(through),
            load(undelivered),
            load(stale),
        ]
    }

    /// Until time is up and enough has happened.
    fn goes_on(&self) -> bool {
        let enough = self.counts.writes.load(Relaxed) >= WRITES && self.cache.stats().hits >= HITS;
        let now = Instant::now();
        now < self.until || (!enough && now < self.until + PATIENCE)
    }

    fn judge_call(&self, id: u64, floor: u64, got: u64, how: &str) {
        self.judge(id, if self.judge_calls { floor } else { 0 }, got, how);
    }

    fn judge(&self, id: u64, floor: u64, got: u64, how: &str) {
        self.counts.reads.fetch_add(1, Relaxed);
        if got < floor && self.counts.stale.fetch_add(1, Relaxed) < 3 {
            eprintln!("stale: {how} of {id} got {got}, and {floor} was promised");
        }
    }

    fn note(&self, how: Write, promised: bool) {
        let counter = match how {
            Write::Through => &self.counts.through,
            Write::FailingThrough | Write::CancelledThrough => return,
            _ if promised => &self.counts.writes,
            _ => &self.counts.undelivered,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// The ids that this process writes, half of them by threads.
    fn written(&self, by_thread: bool) -> impl Iterator<Item = u64> {
        let process = self.process;
        (0..IDS).filter(move |id| id % PROCESSES == process && (id / PROCESSES % 2 == 1) == by_thread)
    }
}

async fn reads<S: Subject>(course: Arc<Course>, origin: Arc<Origin>) {
    while course.goes_on() {
        let id = random(IDS);
        let floor = origin.floor(id).await;
        match random(8) {
            0..=2 => {
                if let Some(got) = S::get(&course.cache, id).await {
                    course.judge(id, floor, got, "get");
                }
            }
            3 | 4 => {
                let patience = Duration::from_micros(random(6_000));
                match tokio::time::timeout(patience, S::call(&course.cache, &origin, id)).await {
                    Ok(got) => course.judge_call(id, floor, got, "a call in a hurry"),
                    Err(_) => _ = course.counts.cancelled.fetch_add(1, Relaxed),
                }
            }
            _ => course.judge_call(id, floor, S::call(&course.cache, &origin, id).await, "a call"),
        }
    }
}

/// Calls that are aborted wherever they are.
async fn aborts<S: Subject>(course: Arc<Course>, origin: Arc<Origin>) {
    while course.goes_on() {
        let (on, from) = (Arc::clone(&course), Arc::clone(&origin));
        let id = random(IDS);
        let floor = origin.floor(id).await;
        let call = tokio::spawn(async move { S::call(&on.cache, &from, id).await });
        tokio::time::sleep(Duration::from_micros(random(6_000))).await;
        call.abort();
        match call.await {
            Ok(got) => course.judge_call(id, floor, got, "a call to be aborted"),
            Err(_) => _ = course.counts.cancelled.fetch_add(1, Relaxed),
        }
    }
}

async fn refreshes<S: Subject>(course: Arc<Course>, origin: Arc<Origin>) {
    while course.goes_on() {
        let id = random(IDS);
        let floor = origin.floor(id).await;
        course.judge(id, floor, S::refresh(&course.cache, &origin, id).await, "a refresh");
        tokio::time::sleep(random_part(course.body)).await;
    }
}

async fn writes<S: Subject>(course: Arc<Course>, setup: &Setup, id: u64) {
    let origin = Origin::connect(&course).await;
    let mut version = 0;
    while course.goes_on() {
        version += 1;
        let how = choose(setup.writes);
        let promised = S::write(&course.cache, &origin, id, how, version).await;
        if promised {
            origin.raise_floor(id, version).await;
        }
        course.note(how, promised);
        tokio::time::sleep(random_part(setup.rest)).await;
    }
}

fn plain_reads<S: Subject>(course: &Arc<Course>) {
    let origin = PlainOrigin::connect(course);
    while course.goes_on() {
        let id = random(IDS);
        let floor = origin.floor(id);
        if random(8) < 3 {
            if let Some(got) = S::get_plain(&course.cache, id) {
                course.judge(id, floor, got, "get of a thread");
            }
        } else {
            course.judge_call(id, floor, S::call_plain(&course.cache, &origin, id), "a call of a thread");
        }
    }
}

fn plain_refreshes<S: Subject>(course: &Arc<Course>) {
    let origin = PlainOrigin::connect(course);
    while course.goes_on() {
        let id = random(IDS);
        let floor = origin.floor(id);
        course.judge(id, floor, S::refresh_plain(&course.cache, &origin, id), "a refresh of a thread");
        thread::sleep(random_part(course.body));
    }
}

fn plain_writes<S: Subject>(course: &Arc<Course>, setup: &Setup, id: u64) {
    let origin = PlainOrigin::connect(course);
    let mut version = 0;
    while course.goes_on() {
        version += 1;
        let how = choose(setup.writes);
        let promised = S::write_plain(&course.cache, &origin, id, how, version);
        if promised {
            origin.raise_floor(id, version);
        }
        course.note(how, promised);
        thread::sleep(random_part(setup.rest));
    }
}

/// One process's part.
fn run<S: Subject>(course: &Arc<Course>, setup: &Setup) {
    let runtime = |number: u64| {
        let mut builder = match number {
            0 => tokio::runtime::Builder::new_multi_thread(),
            _ => tokio::runtime::Builder::new_current_thread(),
        };
        let runtime = builder.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let origin = Arc::new(Origin::connect(course).await);
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..TASKS {
                tasks.spawn(reads::<S>(Arc::clone(course), Arc::clone(&origin)));
            }
            tasks.spawn(aborts::<S>(Arc::clone(course), Arc::clone(&origin)));
            for _ in 0..setup.refreshers {
                tasks.spawn(refreshes::<S>(Arc::clone(course), Arc::clone(&origin)));
            }
            tasks.join_all().await;
        });
    };
    let async_writes = |id| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(writes::<S>(Arc::clone(course), setup, id));
    };
    thread::scope(|scope| {
        let runtime = &runtime;
        let async_writes = &async_writes;
        for number in 0..RUNTIMES {
            scope.spawn(move || runtime(number));
        }
        for _ in 0..THREADS {
            scope.spawn(|| plain_reads::<S>(course));
        }
        for _ in 0..setup.refreshers {
            scope.spawn(|| plain_refreshes::<S>(course));
        }
        for id in course.written(false) {
            scope.spawn(move || async_writes(id));
        }
        for id in course.written(true) {
            scope.spawn(move || plain_writes::<S>(course, setup, id));
        }
    });
}

/// In a child: its number, the cache's server, the origin's.
const CHILD: &str = "REDIS_CACHED_RACE_CHILD";
const SECONDS: &str = "REDIS_CACHED_RACE_SECONDS";

/// Runs one race, in processes that run this very test.
fn race<S: Subject>(setup: &Setup) {
    if let Ok(part) = std::env::var(CHILD) {
        return take_part::<S>(setup, &part);
    }
    // One at a time: each has more to do than the machine can.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);

    let (server, origin) = (Server::start(), Server::start());
    let children = (0..PROCESSES).map(|process| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", S::TEST, "--nocapture"])
            .env(CHILD, format!("{process} {} {}", server.url(), origin.url()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    });
    let children: Vec<_> = children.collect();
    let mut sums = [0; COLUMNS.len()];
    for child in children {
        let output = child.wait_with_output().unwrap();
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{text}\n{errors}");
        eprint!("{errors}");
        let (_, row) = text.split_once("counted:").unwrap_or_else(|| panic!("no counts: {text}\n{errors}"));
        for (sum, number) in sums.iter_mut().zip(row.lines().next().unwrap().split_whitespace()) {
            *sum += number.parse::<u64>().unwrap();
        }
    }
    let counts: Vec<_> = sums.iter().zip(COLUMNS).map(|(sum, column)| format!("{sum} {column}")).collect();
    let counts = format!("| {} | {} | {} |", server.program(), S::TEST, counts.join(" | "));
    println!("{counts}");
    let [reads, hits, bodies, cancelled, invalidations, through, _, stale] = sums;
    assert_eq!(stale, 0, "{counts}");
    assert!(invalidations >= PROCESSES * WRITES && hits >= PROCESSES * HITS, "{counts}");
    assert!(reads > 0 && bodies > 0 && cancelled > 0, "{counts}");
    assert!(through > 0 || !setup.writes.iter().any(|write| matches!(write, Write::Through)), "{counts}");
}

fn take_part<S: Subject>(setup: &Setup, part: &str) {
    let mut words = part.split(' ');
    let mut word = || words.next().unwrap().to_owned();
    let (process, server, origin) = (word().parse().unwrap(), word(), word());
    let seconds = std::env::var(SECONDS).map_or(setup.seconds, |seconds| seconds.parse().unwrap());
    let course = Arc::new(Course {
        cache: Cache::builder(&server).unwrap().timeout(setup.timeout).build(),
        server,
        origin,
        process,
        body: setup.body,
        until: Instant::now() + Duration::from_secs(seconds),
        judge_calls: setup.judge_calls,
        counts: Counts::default(),
    });
    run::<S>(&course, setup);
    println!("counted: {}", course.row().map(|count| count.to_string()).join(" "));
}

fn choose(writes: &[Write]) -> Write {
    writes[random(writes.len() as u64) as usize]
}

fn random_part(of: Duration) -> Duration {
    Duration::from_micros(random(of.as_micros() as u64 + 1))
}

/// Below `end`; another sequence in each process.
fn random(end: u64) -> u64 {
    static STATE: AtomicU64 = AtomicU64::new(0);
    let step = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed).wrapping_add(u64::from(std::process::id()) << 32);
    let mixed = (step ^ step >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ mixed >> 31) % end
}
