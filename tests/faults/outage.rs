//! The function always works: whatever is wrong with Redis, a call returns what the body returns,
//! within a bound, and once the fault is over, the cache works again with nothing restarted.
//!
//! `cargo test --test faults outage:: -- --nocapture` prints a row for each fault.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, ErrorKind, redis_cached};
use test_support::{Gate, Mode, PATIENCE, Proxy, Server, eventually, given_time, in_time, log};

const BODY: Duration = Duration::from_millis(20);
/// Over TLS, it has room for the handshakes of sixteen connections at once in a debug build.
const TIMEOUT: Duration = Duration::from_millis(if crate::OVER_TLS { 400 } else { 200 });

/// The margin of a machine that runs a hundred callers on two cores while it compiles.
const MARGIN: Duration = Duration::from_millis(150);

const CALLERS: u64 = 100;

/// The origin that the cached functions read, in place of a database.
#[derive(Default)]
struct Source {
    version: AtomicU64,
    runs: AtomicU64,
}

impl Source {
    fn read(&self, id: u64) -> (u64, u64) {
        self.runs.fetch_add(1, SeqCst);
        (id, self.version.load(SeqCst))
    }
}

#[redis_cached(prefix = "outage", name = "row", cache = cache, skip(cache, source))]
async fn row(cache: &Cache, source: &Source, id: u64) -> (u64, u64) {
    let row = source.read(id);
    tokio::time::sleep(BODY).await;
    row
}

#[redis_cached(prefix = "outage", name = "row", cache = cache, skip(cache, source))]
fn row_blocking(cache: &Cache, source: &Source, id: u64) -> (u64, u64) {
    let row = source.read(id);
    thread::sleep(BODY);
    row
}

/// `async fn` or plain `fn`.
#[derive(Clone, Copy, Debug)]
enum Face {
    Async,
    Plain,
}

/// A server with a proxy in front of it, and a cache.
struct Rig {
    server: crate::OutageServer,
    proxy: Proxy,
    url: String,
    cache: Cache,
    source: Arc<Source>,
    face: Face,
    runtime: tokio::runtime::Runtime,
}

impl Rig {
    fn new(face: Face, arguments: &[&str]) -> Rig {
        let (server, proxy, url) = crate::start(arguments);
        Rig {
            cache: Cache::builder(&url).unwrap().timeout(TIMEOUT).build(),
            url,
            server,
            proxy,
            source: Arc::default(),
            face,
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
        }
    }

    fn call(&self, id: u64) -> (u64, u64) {
        match self.face {
            Face::Async => self.runtime.block_on(row(&self.cache, &self.source, id)),
            Face::Plain => row_blocking(&self.cache, &self.source, id),
        }
    }

    fn invalidate(&self, id: u64) -> Result<bool, redis_cached::Error> {
        match self.face {
            Face::Async => self.runtime.block_on(row_entry(&self.cache, id).invalidate()),
            Face::Plain => row_blocking_entry(&self.cache, id).invalidate(),
        }
    }

    /// True if a call was answered from the cache.
    fn hits(&self, id: u64) -> bool {
        let before = self.source.runs.load(SeqCst);
        let version = self.source.version.load(SeqCst);
        assert_eq!(self.call(id), (id, version));
        self.source.runs.load(SeqCst) == before
    }

    fn warm(&self, ids: Range<u64>) {
        if crate::OVER_TLS {
            // On a busy machine, the first handshake takes longer than the deadline.
            eventually("a connection", || {
                self.call(ids.start);
                self.hits(ids.start)
            });
        }
        self.calls(ids.clone());
        for id in ids {
            assert!(self.hits(id), "nothing is wrong yet");
        }
    }

    /// Many callers at once, half of them for warm entries: how long the slowest took.
    fn burst(&self) -> Duration {
        self.calls(0..CALLERS)
    }

    /// Calls at the same time, each of which gets what the body returns.
    fn calls(&self, ids: Range<u64>) -> Duration {
        let version = self.source.version.load(SeqCst);
        let mut slowest = Duration::ZERO;
        match self.face {
            Face::Async => self.runtime.block_on(async {
                let calls = ids.map(|id| {
                    let (cache, source) = (self.cache.clone(), Arc::clone(&self.source));
                    tokio::spawn(async move {
                        let begun = Instant::now();
                        assert_eq!(row(&cache, &source, id).await, (id, version));
                        begun.elapsed()
                    })
                });
                for call in calls.collect::<Vec<_>>() {
                    slowest = slowest.max(call.await.expect("no call panics"));
                }
            }),
            Face::Plain => thread::scope(|scope| {
                let calls = ids.map(|id| {
                    scope.spawn(move || {
                        let begun = Instant::now();
                        assert_eq!(row_blocking(&self.cache, &self.source, id), (id, version));
                        begun.elapsed()
                    })
                });
                for call in calls.collect::<Vec<_>>() {
                    slowest = slowest.max(call.join().expect("no call panics"));
                }
            }),
        }
        slowest
    }
}

/// A fault, and how it ends.
struct Fault {
    name: &'static str,
    arguments: &'static [&'static str],
    strike: fn(&Rig),
    heal: fn(&Rig),
    /// The outage begins with the first call, rather than after a while in health.
    from_the_start: bool,
    /// Deadlines that a call may lose.
    deadlines: u32,
    /// True if calls stop asking after a while.
    opens_the_breaker: bool,
}

const FAULT: Fault = Fault {
    name: "",
    arguments: &[],
    strike: |_| {},
    heal: |_| {},
    from_the_start: false,
    deadlines: 1,
    opens_the_breaker: true,
};

/// Times are bounded below: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fault {
    fn check(&self, face: Face) {
        let _alone = alone();
        let rig = Rig::new(face, self.arguments);
        if !self.from_the_start {
            rig.warm(0..CALLERS / 2);
        }
        (self.strike)(&rig);
        let begun = Instant::now();
        let first = rig.burst();
        let second = rig.burst();
        let third = rig.burst();
        let slowest = first.max(second).max(third);
        let bound = BODY + TIMEOUT * self.deadlines + MARGIN;
        assert!(slowest <= bound, "{face:?}, {}: {first:?}, {second:?}, {third:?}", self.name);
        if self.opens_the_breaker {
            assert!(third <= BODY + MARGIN, "{face:?}, {}: {third:?} with an open breaker", self.name);
        }
        let struck = begun.elapsed();

        (self.heal)(&rig);
        let begun = Instant::now();
        let mut id = 1_000;
        eventually("a hit", || {
            id += 1;
            rig.call(id);
            rig.hits(id)
        });
        println!(
            "| {:24} | {:5} | {:4} calls in {:4} ms | 0 failed | slowest {:3} ms | then {:3} ms | back after {:4} ms |",
            self.name,
            format!("{face:?}"),
            CALLERS * 3,
            struck.as_millis(),
            slowest.as_millis(),
            third.as_millis(),
            begun.elapsed().as_millis(),
        );
        // Everything else works, too.
        rig.warm(2_000..2_010);
        rig.invalidate(2_000).expect("the server is back");
        assert!(!rig.hits(2_000), "invalidated");
    }
}

/// A test for each face of each fault.
macro_rules! faults {
    ($($name:ident: $fault:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn of_async_functions() {
                Fault { name: stringify!($name), ..$fault }.check(Face::Async);
            }

            #[test]
            fn of_plain_functions() {
                Fault { name: stringify!($name), ..$fault }.check(Face::Plain);
            }
        }
    )*};
}

faults! {
    refused_from_the_start: Fault {
        strike: |rig| rig.server.kill(),
        heal: |rig| rig.server.restart(),
        from_the_start: true,
        ..FAULT
    };
    killed: Fault { strike: |rig| rig.server.kill(), heal: |rig| rig.server.restart(), ..FAULT };
    restarted_empty: Fault { strike: |rig| rig.server.restart(), opens_the_breaker: false, ..FAULT };
    hung: Fault { strike: |rig| rig.server.stop(), heal: |rig| rig.server.cont(), ..FAULT };
    hung_from_the_start: Fault {
        strike: |rig| rig.server.stop(),
        heal: |rig| rig.server.cont(),
        from_the_start: true,
        ..FAULT
    };
    half_open: Fault { strike: |rig| rig.proxy.set(Mode::Freeze), heal: |rig| rig.proxy.set(Mode::Pass), ..FAULT };
    half_open_while_new_ones_pass: Fault {
        strike: |rig| rig.proxy.set(Mode::FreezeExisting),
        opens_the_breaker: false,
        ..FAULT
    };
    slower_than_the_deadline: Fault {
        strike: |rig| rig.proxy.set(Mode::Delay(TIMEOUT * 3)),
        heal: |rig| rig.proxy.set(Mode::Pass),
        ..FAULT
    };
    trickling: Fault {
        strike: |rig| rig.proxy.set(Mode::Trickle { bytes: 1, pause: Duration::from_millis(40) }),
        heal: |rig| rig.proxy.set(Mode::Pass),
        ..FAULT
    };
    connections_cut: Fault { strike: |rig| rig.proxy.cut(), opens_the_breaker: false, ..FAULT };
    corrupt_bytes: Fault {
        strike: |rig| rig.proxy.set(Mode::Corrupt),
        heal: |rig| rig.proxy.set(Mode::Pass),
        deadlines: 2,
        opens_the_breaker: false,
        ..FAULT
    };
    loading: Fault {
        strike: |rig| rig.proxy.set(Mode::Answer("-LOADING Redis is loading the dataset in memory")),
        heal: |rig| rig.proxy.set(Mode::Pass),
        ..FAULT
    };
    redirecting: Fault {
        strike: |rig| rig.proxy.set(Mode::Answer("-MOVED 3999 127.0.0.1:6381")),
        heal: |rig| rig.proxy.set(Mode::Pass),
        ..FAULT
    };
    too_many_clients: Fault {
        strike: |rig| {
            rig.proxy.set(Mode::Answer("-ERR max number of clients reached"));
            rig.proxy.cut();
        },
        heal: |rig| rig.proxy.set(Mode::Pass),
        ..FAULT
    };
    persistence_fails: Fault {
        strike: |rig| rig.proxy.set(Mode::Answer("-MISCONF Redis is configured to save RDB snapshots")),
        heal: |rig| rig.proxy.set(Mode::Pass),
        opens_the_breaker: false,
        ..FAULT
    };
    password_required: Fault {
        strike: |rig| {
            rig.server.cli(&["CONFIG", "SET", "requirepass", "secret"]);
            rig.proxy.cut();
        },
        heal: |rig| {
            let mut connection = rig.server.connection();
            redis::cmd("AUTH").arg("secret").exec(&mut connection).unwrap();
            redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("").exec(&mut connection).unwrap();
        },
        ..FAULT
    };
    read_only_replica: Fault {
        // It follows a master that does not exist, so that it keeps its data.
        strike: |rig| {
            rig.server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
        },
        heal: |rig| rig.server.promote(),
        ..FAULT
    };
    permission_taken: Fault {
        strike: |rig| {
            rig.server.cli(&["ACL", "SETUSER", "default", "-get"]);
        },
        heal: |rig| {
            rig.server.cli(&["ACL", "SETUSER", "default", "+get"]);
        },
        ..FAULT
    };
}

/// Every fault once more, while a body runs that was leased in health.
fn killed_mid_body(face: Face) {
    let _alone = alone();
    let rig = Rig::new(face, &[]);
    rig.warm(0..1);
    let begun = Instant::now();
    thread::scope(|scope| {
        let call = scope.spawn(|| rig.call(7));
        eventually("the body runs", || rig.source.runs.load(SeqCst) == 2);
        rig.server.kill();
        assert_eq!(call.join().expect("no call panics"), (7, 0));
    });
    assert!(begun.elapsed() <= BODY + TIMEOUT * 2 + MARGIN, "{:?}", begun.elapsed());
    rig.server.restart();
    let mut id = 1_000;
    eventually("a hit", || {
        id += 1;
        rig.call(id);
        rig.hits(id)
    });
}

#[test]
fn a_server_killed_while_an_async_body_runs() {
    killed_mid_body(Face::Async);
}

#[test]
fn a_server_killed_while_a_plain_body_runs() {
    killed_mid_body(Face::Plain);
}

/// Full, and not allowed to evict: hits go on, and nothing new is stored.
fn full(face: Face) {
    let _alone = alone();
    let rig = Rig::new(face, &["--maxmemory-policy", "noeviction"]);
    rig.warm(0..CALLERS / 2);
    rig.server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    for _ in 0..3 {
        let slowest = rig.burst();
        assert!(slowest <= BODY + TIMEOUT + MARGIN, "{slowest:?}");
        assert!((0..CALLERS / 2).all(|id| rig.hits(id)), "hits are served");
    }
    assert!(!rig.hits(CALLERS), "and nothing new is stored");
    assert!(rig.invalidate(0).expect("an invalidation frees memory"));
    rig.server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    eventually("results are stored again", || rig.hits(CALLERS));
}

#[test]
fn a_full_server_answers_async_functions() {
    full(Face::Async);
}

#[test]
fn a_full_server_answers_plain_functions() {
    full(Face::Plain);
}

/// Once `invalidate` has failed, the value that it could not remove is not served any more.
fn undelivered_invalidations(face: Face, strike: fn(&Rig), heal: fn(&Rig)) {
    let _alone = alone();
    let rig = Rig::new(face, &[]);
    rig.warm(0..10);
    strike(&rig);
    rig.source.version.store(1, SeqCst);
    for id in 0..10 {
        let begun = Instant::now();
        let error = rig.invalidate(id).expect_err("it cannot be delivered");
        assert!(matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::ReadOnly), "{error}");
        assert!(begun.elapsed() <= TIMEOUT + MARGIN, "{:?}", begun.elapsed());
    }
    assert_eq!(rig.call(3), (3, 1), "during the fault");
    heal(&rig);
    // `hits` asserts the version.
    eventually("a hit of the new value", || rig.hits(3));
    for id in 0..10 {
        eventually("a hit of the new value", || rig.hits(id));
    }
}

#[test]
fn undelivered_invalidations_of_async_functions() {
    undelivered_invalidations(
        Face::Async,
        |rig| {
            rig.proxy.set(Mode::Refuse);
            rig.proxy.cut();
        },
        |rig| rig.proxy.set(Mode::Pass),
    );
}

#[test]
fn undelivered_invalidations_of_plain_functions() {
    undelivered_invalidations(
        Face::Plain,
        |rig| {
            rig.proxy.set(Mode::Refuse);
            rig.proxy.cut();
        },
        |rig| rig.proxy.set(Mode::Pass),
    );
}

#[test]
fn invalidations_of_async_functions_that_a_hung_server_never_saw() {
    undelivered_invalidations(Face::Async, |rig| rig.proxy.set(Mode::Freeze), |rig| rig.proxy.set(Mode::Pass));
}

#[test]
fn invalidations_of_plain_functions_that_a_hung_server_never_saw() {
    undelivered_invalidations(Face::Plain, |rig| rig.proxy.set(Mode::Freeze), |rig| rig.proxy.set(Mode::Pass));
}

#[test]
fn invalidations_that_a_replica_refused() {
    for face in [Face::Async, Face::Plain] {
        let strike: fn(&Rig) = |rig| {
            rig.server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
        };
        undelivered_invalidations(face, strike, |rig| rig.server.promote());
    }
}

/// A replica may not have an invalidation yet: it is never read, not even where it answers.
fn replica(face: Face) {
    let _alone = alone();
    let rig = Rig::new(face, &[]);
    rig.warm(0..10);
    rig.server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    rig.proxy.cut();
    for _ in 0..10 {
        assert!(!rig.hits(3));
        // Time for a probe, which finds a replica.
        thread::sleep(Duration::from_millis(30));
    }
    rig.server.promote();
    eventually("a hit", || rig.hits(3));

    // This needs no new connection, and no write that it would refuse.
    rig.server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    eventually("the change of role is noticed", || !rig.hits(3));
    assert!(!rig.hits(3));
}

#[test]
fn a_replica_is_not_read_by_async_functions() {
    replica(Face::Async);
}

#[test]
fn a_replica_is_not_read_by_plain_functions() {
    replica(Face::Plain);
}

/// A caller with less patience than the deadline gives up each time: that the server hangs must
/// be noticed all the same, or no call would ever get to its body.
#[test]
fn callers_that_give_up_are_failures_of_the_server() {
    let _alone = alone();
    let rig = Rig::new(Face::Async, &[]);
    rig.warm(0..10);
    rig.proxy.set(Mode::Freeze);
    let patient = TIMEOUT * 3 / 4;
    let mut given_up = 0;
    rig.runtime.block_on(async {
        while tokio::time::timeout(patient, row(&rig.cache, &rig.source, 3)).await.is_err() {
            given_up += 1;
            assert!(given_up < 20, "the body never runs");
        }
    });
    assert!(given_up > 0);
}

/// An open breaker is silent: calls cost no connection, and one probe at a time does.
fn silence(face: Face) {
    let _alone = alone();
    let rig = Rig::new(face, &[]);
    rig.proxy.set(Mode::Refuse);
    rig.burst();
    let (accepted, begun) = (rig.proxy.accepted(), Instant::now());
    let mut calls = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        rig.burst();
        calls += CALLERS;
    }
    let probes = rig.proxy.accepted() - accepted;
    // Pauses of 75 ms at least, twice as long after each failure.
    assert!((1..=8).contains(&probes), "{probes} connections for {calls} calls");
}

#[test]
fn an_open_breaker_of_async_functions_is_silent() {
    silence(Face::Async);
}

#[test]
fn an_open_breaker_of_plain_functions_is_silent() {
    silence(Face::Plain);
}

#[test]
fn a_verb_tells_what_a_call_hides() {
    let _alone = alone();
    let rig = Rig::new(Face::Async, &[]);
    rig.server.kill();
    let kind = || rig.invalidate(1).expect_err("no server").kind();
    for _ in 0..10 {
        assert_eq!(kind(), ErrorKind::Unreachable, "an invalidation is attempted even with an open breaker");
    }
    let ping = rig.runtime.block_on(rig.cache.ping()).expect_err("no server");
    assert_eq!(ping.kind(), ErrorKind::CircuitOpen);
}

/// A runtime that ends takes its connection and perhaps the prober with it.
#[test]
fn recovery_does_not_need_the_runtime_that_saw_the_fault() {
    let _alone = alone();
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(TIMEOUT).build();
    let source = Source::default();
    let call = |id| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(row(&cache, &source, id))
    };
    server.kill();
    for id in 0..10 {
        assert_eq!(call(id), (id, 0));
    }
    server.restart();
    let begun = Instant::now();
    let mut id = 10;
    eventually("a hit", || {
        id += 1;
        call(id);
        let runs = source.runs.load(SeqCst);
        call(id);
        source.runs.load(SeqCst) == runs
    });
    assert!(begun.elapsed() < PATIENCE / 2);
}

/// The probe belongs to a runtime that is not driven any more, though it still exists.
#[test]
fn recovery_does_not_wait_for_a_runtime_that_sleeps() {
    let _alone = alone();
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(TIMEOUT).build();
    let source = Source::default();
    let asleep = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    server.kill();
    asleep.block_on(async {
        for id in 0..10 {
            assert_eq!(row(&cache, &source, id).await, (id, 0));
        }
    });
    server.restart();
    let mut id = 10;
    eventually("a hit", || {
        id += 1;
        row_blocking(&cache, &source, id);
        let runs = source.runs.load(SeqCst);
        row_blocking(&cache, &source, id);
        source.runs.load(SeqCst) == runs
    });
}

#[redis_cached(prefix = "outage", name = "gated", lease = "10m", cache = cache, skip(cache, gate))]
async fn gated(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id + gate.pass().await as u64
}

#[redis_cached(prefix = "outage", name = "gated", lease = "10m", cache = cache, skip(cache, gate))]
fn gated_blocking(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id + gate.pass_blocking() as u64
}

/// Half of them in the leader's process, and half in another one, which knows of the body through
/// the server alone.
fn killed_while_fifty_wait(face: Face) {
    let _alone = alone();
    given_time("all wait when the server dies", |time| {
        let rig = Rig::new(face, &[]);
        rig.warm(0..1);
        let other = Cache::builder(&rig.url).unwrap().timeout(TIMEOUT).build();
        let gate = Arc::new(Gate::closed());
        let call = |cache: &Cache| {
            let (cache, gate, runtime) = (cache.clone(), Arc::clone(&gate), rig.runtime.handle().clone());
            thread::spawn(move || match face {
                Face::Async => runtime.block_on(gated(&cache, &gate, 10)),
                Face::Plain => gated_blocking(&cache, &gate, 10),
            })
        };
        let leader = call(&rig.cache);
        eventually("the body runs", || gate.entered() == 1);
        let near: Vec<_> = (0..25).map(|_| call(&rig.cache)).collect();
        let far: Vec<_> = (0..25).map(|_| call(&other)).collect();
        thread::sleep(time);
        let all_wait = gate.entered() == 1;
        rig.server.kill();
        rig.proxy.cut();
        // The other process hears no more of the body, and runs one of its own for all.
        let begun = Instant::now();
        while gate.entered() < 2 && begun.elapsed() < time * 4 {
            thread::sleep(Duration::from_millis(1));
        }
        // Those that hear of it later than its body ends run their own.
        thread::sleep(time);
        let begun = Instant::now();
        gate.open();
        assert_eq!(leader.join().expect("no call panics"), 11);
        let near = near.into_iter().map(|call| call.join().expect("no call panics")).all(|value| value == 11);
        let far = far.into_iter().map(|call| call.join().expect("no call panics")).all(|value| value == 12);
        assert!(begun.elapsed() < TIMEOUT * 3 + MARGIN, "{face:?}: {:?}", begun.elapsed());
        rig.server.restart();
        eventually("the server is back", || rig.runtime.block_on(gated_entry(&rig.cache, 10).get()).is_ok());
        let stored = rig.runtime.block_on(gated_entry(&rig.cache, 10).get()).unwrap();
        assert_eq!(stored, None, "{face:?}: of a body that a dead server had leased");
        all_wait && near && far && gate.entered() == 2
    });
}

#[test]
fn a_server_killed_while_fifty_async_calls_wait() {
    killed_while_fifty_wait(Face::Async);
}

#[test]
fn a_server_killed_while_fifty_plain_calls_wait() {
    killed_while_fifty_wait(Face::Plain);
}

/// The server runs, and says what reaches it: a replica is asked for nothing, but whether it still
/// is one.
fn untouched(face: Face) {
    let _alone = alone();
    let rig = Rig::new(face, &[]);
    rig.warm(0..10);
    rig.server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    rig.proxy.cut();
    eventually("the breaker opens", || {
        rig.call(3);
        let refused = match face {
            Face::Async => rig.runtime.block_on(row_entry(&rig.cache, 3).get()).err(),
            Face::Plain => row_blocking_entry(&rig.cache, 3).get().err(),
        };
        refused.is_some_and(|error| error.kind() == ErrorKind::CircuitOpen)
    });
    let mut monitor = rig.server.monitor();
    let (begun, mut calls) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(1) {
        rig.burst();
        calls += CALLERS;
    }
    let sent = monitor.commands();
    let keyed = sent.iter().filter(|command| command.iter().any(|word| word.starts_with("outage:")));
    assert_eq!(keyed.count(), 0, "{face:?}: {sent:#?}");
    // A probe is a connection with its greeting; pauses grow from 75 ms on.
    assert!(sent.len() <= 60, "{face:?}: {} commands for {calls} calls: {sent:#?}", sent.len());
    rig.server.promote();
    eventually("it recovers by itself", || rig.hits(3));
}

#[test]
fn an_open_breaker_of_async_functions_leaves_the_server_alone() {
    untouched(Face::Async);
}

#[test]
fn an_open_breaker_of_plain_functions_leaves_the_server_alone() {
    untouched(Face::Plain);
}

/// A slot that cannot be leased is not asked for again and again: how many commands a call sends
/// is bounded, for calls of different entries and of one.
fn no_lease_and_no_spinning(face: Face, strike: fn(&Rig), heal: fn(&Rig)) {
    let _alone = alone();
    let rig = Rig::new(face, &["--maxmemory-policy", "noeviction"]);
    rig.warm(0..1);
    strike(&rig);
    let before = rig.proxy.commands();
    for _ in 0..3 {
        let slowest = rig.burst();
        assert!(slowest <= BODY + TIMEOUT + MARGIN, "{face:?}: {slowest:?}");
    }
    let begun = Instant::now();
    let crowd = |_| {
        let (cache, source, runtime) = (rig.cache.clone(), Arc::clone(&rig.source), rig.runtime.handle().clone());
        thread::spawn(move || match face {
            Face::Async => runtime.block_on(row(&cache, &source, 777)),
            Face::Plain => row_blocking(&cache, &source, 777),
        })
    };
    for call in (0..CALLERS).map(crowd).collect::<Vec<_>>() {
        assert_eq!(call.join().expect("no call panics"), (777, 0));
    }
    assert!(begun.elapsed() <= BODY * 2 + TIMEOUT * 2 + MARGIN, "{face:?}: {:?}", begun.elapsed());
    let sent = rig.proxy.commands() - before;
    // A call looks and leases, sometimes as a script by its hash and again by its text; and a pool of
    // connections is made for a hundred threads.
    assert!(sent <= 4 * CALLERS as usize * 5, "{face:?}: {sent} commands for {} calls", 4 * CALLERS);
    println!("| {face:?} | {sent} commands for {} calls |", 4 * CALLERS);
    heal(&rig);
    let mut id = 1_000;
    eventually("results are stored again", || {
        id += 1;
        rig.call(id);
        rig.hits(id)
    });
}

#[test]
fn no_lease_in_a_full_server() {
    for face in [Face::Async, Face::Plain] {
        let strike: fn(&Rig) = |rig| _ = rig.server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
        no_lease_and_no_spinning(face, strike, |rig| _ = rig.server.cli(&["CONFIG", "SET", "maxmemory", "0"]));
    }
}

#[test]
fn no_lease_where_writes_are_refused() {
    for face in [Face::Async, Face::Plain] {
        let strike: fn(&Rig) = |rig| _ = rig.server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        no_lease_and_no_spinning(face, strike, |rig| {
            _ = rig.server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"])
        });
    }
}

#[test]
fn no_lease_without_the_permission_to_write() {
    for face in [Face::Async, Face::Plain] {
        let strike: fn(&Rig) = |rig| _ = rig.server.cli(&["ACL", "SETUSER", "default", "-set", "-eval", "-evalsha"]);
        no_lease_and_no_spinning(face, strike, |rig| {
            _ = rig.server.cli(&["ACL", "SETUSER", "default", "+set", "+eval", "+evalsha"]);
        });
    }
}

/// The log has one line for each change of state, not one for each call.
#[test]
fn the_log_tells_faults_apart() {
    let _alone = alone();
    log::listen();
    // A name, what the log says, and how it comes about.
    type Told = (&'static str, &'static str, fn(&Rig));
    let faults: [Told; 8] = [
        ("refused", "cannot be reached", |rig| {
            rig.proxy.set(Mode::Refuse);
            rig.proxy.cut();
        }),
        ("hung", "did not answer in time", |rig| rig.proxy.set(Mode::Freeze)),
        ("loading", "loading its data set", |rig| rig.proxy.set(Mode::Answer("-LOADING Redis is loading"))),
        ("cluster", "part of a cluster", |rig| rig.proxy.set(Mode::Answer("-MOVED 3999 127.0.0.1:6381"))),
        ("password", "refused the credentials", |rig| {
            rig.server.cli(&["CONFIG", "SET", "requirepass", "secret"]);
            rig.proxy.cut();
        }),
        ("replica", "read-only", |rig| {
            rig.server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
            rig.proxy.cut();
        }),
        ("memory", "out of memory", |rig| {
            rig.server.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
            rig.server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
        }),
        ("writes", "NOREPLICAS", |rig| _ = rig.server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"])),
    ];
    // Over TLS, the answer of a proxy is none of the server.
    let faults = faults.into_iter().filter(|(name, ..)| !crate::OVER_TLS || !["loading", "cluster"].contains(name));
    let faults: Vec<Told> = faults.collect();
    for face in [Face::Async, Face::Plain] {
        for &(name, says, strike) in &faults {
            let rig = Rig::new(face, &[]);
            rig.warm(0..1);
            let about = format!(":{}", rig.proxy.port());
            strike(&rig);
            for _ in 0..3 {
                rig.burst();
            }
            eventually("the log tells it", || log::lines_about(&about).iter().any(|line| line.text.contains(says)));
            let lines = log::lines_about(&about);
            assert!(lines.len() <= 3, "{face:?}, {name}: {lines:#?}");
            for (_, other, _) in faults.iter().filter(|(other, ..)| *other != name) {
                assert!(
                    !lines.iter().any(|line| line.text.contains(other)) || name == "writes",
                    "{face:?}, {name}: {lines:#?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_process_that_only_writes_stores_again_after_an_undelivered_invalidation() {
    #[redis_cached(prefix = "outage", name = "written", cache = cache, skip(cache))]
    async fn written(cache: &Cache, id: u64) -> u64 {
        id
    }
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_millis(100)).build();
    let entry = written_entry(&cache, 1);
    in_time("it is stored", async || entry.put(&5).await.is_ok_and(|stored| stored)).await;
    proxy.set(Mode::Delay(Duration::from_millis(150)));
    entry.invalidate().await.expect_err("too slow");
    proxy.set(Mode::Pass);
    in_time("it is stored again", async || entry.put(&6).await.is_ok_and(|stored| stored)).await;
    assert_eq!(server.cli(&["EXISTS", "outage:written:1"]), "1");
}
