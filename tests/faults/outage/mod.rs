//! The function always works: whatever is wrong with Redis, a call returns what the body returns,
//! within a bound, and once the fault is over, the cache works again with nothing restarted.
//!
//! The same holds for each kind of Redis: a server (in the binary `faults`), one that speaks TLS (`tls`), one that
//! sentinels watch (`sentinel`), and a cluster, all of whose masters fail at once (`cluster`).
//!
//! `cargo test --test faults outage:: -- --nocapture` prints a row for each fault.

mod bodies;
mod breaker;
mod control;
pub(crate) mod writes;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, ErrorKind, redis_cached};
use test_support::{Gate, Mode, PATIENCE, Stopwatch, Took, eventually, given_time, in_time, log};

use self::control::{Control, Measured};
use crate::{BY_SENTINELS, IN_CLUSTER, OVER_TLS};

const BODY: Duration = Duration::from_millis(20);
/// Over TLS, it has room for the handshakes of sixteen connections at once in a debug build, and in a cluster for those to
/// three nodes.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(if OVER_TLS || IN_CLUSTER { 400 } else { 200 });

pub(crate) const CALLERS: u64 = 100;

/// The origin that the cached functions read, in place of a database.
#[derive(Default)]
pub(crate) struct Source {
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
pub(crate) async fn row(cache: &Cache, source: &Source, id: u64) -> (u64, u64) {
    let row = source.read(id);
    tokio::time::sleep(BODY).await;
    row
}

#[redis_cached(prefix = "outage", name = "row", cache = cache, skip(cache, source))]
pub(crate) fn row_blocking(cache: &Cache, source: &Source, id: u64) -> (u64, u64) {
    let row = source.read(id);
    thread::sleep(BODY);
    row
}

/// `async fn` or plain `fn`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Face {
    Async,
    Plain,
}

/// Servers with proxies in front of them, and a cache.
pub(crate) struct Rig {
    pub(crate) place: crate::Place,
    pub(crate) cache: Cache,
    source: Arc<Source>,
    /// The next id that nothing was stored for.
    unused: AtomicU64,
    pub(crate) face: Face,
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl Rig {
    pub(crate) fn new(face: Face) -> Rig {
        let place = crate::place();
        let rig = Rig {
            cache: Cache::builder(place.url()).unwrap().timeout(TIMEOUT).build(),
            place,
            source: Arc::default(),
            unused: AtomicU64::new(2_000_000),
            face,
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
        };
        Control::get().connect(&rig);
        rig
    }

    pub(crate) fn call(&self, id: u64) -> (u64, u64) {
        match self.face {
            Face::Async => self.runtime.block_on(row(&self.cache, &self.source, id)),
            Face::Plain => row_blocking(&self.cache, &self.source, id),
        }
    }

    pub(crate) fn invalidate(&self, id: u64) -> Result<bool, redis_cached::Error> {
        match self.face {
            Face::Async => self.runtime.block_on(row_entry(&self.cache, id).invalidate()),
            Face::Plain => row_blocking_entry(&self.cache, id).invalidate(),
        }
    }

    /// True if a call was answered from the cache.
    pub(crate) fn hits(&self, id: u64) -> bool {
        let before = self.source.runs.load(SeqCst);
        let version = self.source.version.load(SeqCst);
        assert_eq!(self.call(id), (id, version));
        self.source.runs.load(SeqCst) == before
    }

    pub(crate) fn warm(&self, ids: Range<u64>) {
        if OVER_TLS || BY_SENTINELS {
            // On a busy machine, the first handshake, or the first answer of a sentinel, takes longer than the deadline.
            eventually("a connection", || {
                self.call(ids.start);
                self.hits(ids.start)
            });
        }
        if IN_CLUSTER {
            // The same holds for the topology and the connections to all nodes.
            self.recovers();
        }
        // On a busy machine, a first call may lose its time-out to the connections of the others.
        eventually("nothing is wrong yet: all hit", || {
            self.calls(ids.clone());
            ids.clone().all(|id| self.hits(id))
        });
    }

    /// Waits until new entries are stored and found, in a cluster at each of its nodes.
    fn recovers(&self) {
        let each = if IN_CLUSTER { 40 } else { 1 };
        eventually("a hit", || {
            let first = self.unused.fetch_add(each, SeqCst);
            self.calls(first..first + each);
            (first..first + each).all(|id| self.hits(id))
        });
    }

    /// Many callers at once, half of them for warm entries: the slowest call.
    pub(crate) fn burst(&self) -> Measured {
        self.measured(|| self.calls(0..CALLERS))
    }

    /// Runs `work` next to the control.
    pub(crate) fn measured(&self, work: impl FnOnce() -> Slowest) -> Measured {
        Control::get().measured(self, work)
    }

    /// Calls at the same time, each of which gets what the body returns.
    fn calls(&self, ids: Range<u64>) -> Slowest {
        self.calls_of(&self.cache, &self.source, ids)
    }

    fn calls_of(&self, cache: &Cache, source: &Arc<Source>, ids: Range<u64>) -> Slowest {
        let version = source.version.load(SeqCst);
        let mut slowest = Slowest::default();
        match self.face {
            Face::Async => self.runtime.block_on(async {
                let calls = ids.map(|id| {
                    let (cache, source) = (cache.clone(), Arc::clone(source));
                    tokio::spawn(async move {
                        let begun = Instant::now();
                        assert_eq!(row(&cache, &source, id).await, (id, version));
                        begun.elapsed()
                    })
                });
                for call in calls.collect::<Vec<_>>() {
                    slowest.note(Took { elapsed: call.await.expect("no call panics"), waited: Duration::ZERO });
                }
            }),
            Face::Plain => thread::scope(|scope| {
                let calls = ids.map(|id| {
                    scope.spawn(move || {
                        let stopwatch = Stopwatch::start();
                        assert_eq!(row_blocking(cache, source, id), (id, version));
                        stopwatch.took()
                    })
                });
                for call in calls.collect::<Vec<_>>() {
                    slowest.note(call.join().expect("no call panics"));
                }
            }),
        }
        slowest
    }
}

/// How long the slowest of calls took that were made at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slowest {
    pub(crate) elapsed: Duration,
    /// Without the time in which its thread was ready to run, and the machine ran others. Tasks cannot tell.
    own: Duration,
    /// The longest of these times. A call may wait for another one.
    waited: Duration,
}

impl Slowest {
    pub(crate) fn note(&mut self, took: Took) {
        self.elapsed = self.elapsed.max(took.elapsed);
        self.own = self.own.max(took.own());
        self.waited = self.waited.max(took.waited);
    }
}

impl FromIterator<Took> for Slowest {
    fn from_iter<I: IntoIterator<Item = Took>>(calls: I) -> Slowest {
        let mut slowest = Slowest::default();
        calls.into_iter().for_each(|took| slowest.note(took));
        slowest
    }
}

/// A fault, and how it ends.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) strike: fn(&Rig),
    pub(crate) heal: fn(&Rig),
    /// The outage begins with the first call, rather than after a while in health.
    pub(crate) from_the_start: bool,
    /// Deadlines that a call may lose.
    pub(crate) deadlines: u32,
    /// True if calls stop asking after a while.
    pub(crate) opens_the_breaker: bool,
}

pub(crate) const FAULT: Fault =
    Fault { name: "", strike: |_| {}, heal: |_| {}, from_the_start: false, deadlines: 1, opens_the_breaker: true };

/// Times are bounded below: one test at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fault {
    pub(crate) fn check(&self, face: Face) {
        let _alone = alone();
        let rig = Rig::new(face);
        if !self.from_the_start {
            rig.warm(0..CALLERS / 2);
        }
        (self.strike)(&rig);
        let begun = Instant::now();
        let bursts = [(); 3].map(|()| rig.burst());
        assert!(bursts.iter().all(|burst| burst.lost_at_most(self.deadlines)), "{face:?}, {}: {bursts:?}", self.name);
        let [_, _, third] = bursts;
        if self.opens_the_breaker {
            assert!(third.lost_at_most(0), "{face:?}, {}: {third:?} with an open breaker", self.name);
        }
        let slowest = bursts.map(|burst| burst.slowest.elapsed).into_iter().max().unwrap_or_default();
        let struck = begun.elapsed();

        (self.heal)(&rig);
        let begun = Instant::now();
        rig.recovers();
        println!(
            "| {:24} | {:5} | {:4} calls in {:4} ms | 0 failed | slowest {:3} ms | then {:3} ms | back after {:4} ms |",
            self.name,
            format!("{face:?}"),
            CALLERS * 3,
            struck.as_millis(),
            slowest.as_millis(),
            third.slowest.elapsed.as_millis(),
            begun.elapsed().as_millis(),
        );
        // Everything else works, too.
        rig.warm(1_000_000..1_000_010);
        rig.invalidate(1_000_000).expect("the server is back");
        assert!(!rig.hits(1_000_000), "invalidated");
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
        strike: |rig| rig.place.kill(),
        heal: |rig| rig.place.restart(),
        from_the_start: true,
        ..FAULT
    };
    killed: Fault { strike: |rig| rig.place.kill(), heal: |rig| rig.place.restart(), ..FAULT };
    restarted_empty: Fault { strike: |rig| rig.place.restart(), opens_the_breaker: false, ..FAULT };
    hung: Fault { strike: |rig| rig.place.stop(), heal: |rig| rig.place.cont(), ..FAULT };
    hung_from_the_start: Fault {
        strike: |rig| rig.place.stop(),
        heal: |rig| rig.place.cont(),
        from_the_start: true,
        ..FAULT
    };
    half_open: Fault { strike: |rig| rig.place.set(Mode::Freeze), heal: |rig| rig.place.set(Mode::Pass), ..FAULT };
    half_open_while_new_ones_pass: Fault {
        strike: |rig| rig.place.set(Mode::FreezeExisting),
        opens_the_breaker: false,
        ..FAULT
    };
    slower_than_the_deadline: Fault {
        strike: |rig| rig.place.set(Mode::Delay(TIMEOUT * 3)),
        heal: |rig| rig.place.set(Mode::Pass),
        ..FAULT
    };
    trickling: Fault {
        strike: |rig| rig.place.set(Mode::Trickle { bytes: 1, pause: TIMEOUT / 3 }),
        heal: |rig| rig.place.set(Mode::Pass),
        ..FAULT
    };
    connections_cut: Fault { strike: |rig| rig.place.cut(), opens_the_breaker: false, ..FAULT };
    corrupt_bytes: Fault {
        strike: |rig| rig.place.set(Mode::Corrupt),
        heal: |rig| rig.place.set(Mode::Pass),
        deadlines: 2,
        opens_the_breaker: false,
        ..FAULT
    };
    loading: Fault {
        strike: |rig| rig.place.set(Mode::Answer("-LOADING Redis is loading the dataset in memory")),
        heal: |rig| rig.place.set(Mode::Pass),
        ..FAULT
    };
    redirecting: Fault {
        strike: |rig| rig.place.set(Mode::Answer("-MOVED 3999 127.0.0.1:6381")),
        heal: |rig| rig.place.set(Mode::Pass),
        ..FAULT
    };
    too_many_clients: Fault {
        strike: |rig| {
            rig.place.set(Mode::Answer("-ERR max number of clients reached"));
            rig.place.cut();
        },
        heal: |rig| rig.place.set(Mode::Pass),
        ..FAULT
    };
    persistence_fails: Fault {
        strike: |rig| rig.place.set(Mode::Answer("-MISCONF Redis is configured to save RDB snapshots")),
        heal: |rig| rig.place.set(Mode::Pass),
        opens_the_breaker: false,
        ..FAULT
    };
    password_required: Fault {
        strike: |rig| {
            rig.place.each(&["CONFIG", "SET", "requirepass", "secret"]);
            rig.place.cut();
        },
        heal: |rig| rig.place.each_with_password("secret", &["CONFIG", "SET", "requirepass", ""]),
        ..FAULT
    };
    permission_taken: Fault {
        strike: |rig| {
            rig.place.each(&["ACL", "SETUSER", "default", "-get"]);
        },
        heal: |rig| {
            rig.place.each(&["ACL", "SETUSER", "default", "+get"]);
        },
        ..FAULT
    };
}
