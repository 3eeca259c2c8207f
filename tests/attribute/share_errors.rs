//! `share_errors`: calls that waited for a body get its error, or run it themselves.

use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use test_support::{Gate, PATIENCE, Server, caches, eventually, given_time, in_time};
use tokio::sync::oneshot;

#[derive(Clone, Debug, PartialEq)]
struct Failed(usize);

struct NotClone(usize);

#[redis_cached(prefix = "errors", name = "shared", cache = cache, skip(cache, gate))]
async fn shared(cache: &Cache, gate: &Gate, id: u64) -> Result<u64, Failed> {
    let run = gate.pass().await;
    if id == 0 { Ok(id) } else { Err(Failed(run)) }
}

#[redis_cached(prefix = "errors", name = "own", share_errors = off, cache = cache, skip(cache, gate))]
async fn own(cache: &Cache, gate: &Gate, id: u64) -> Result<u64, Failed> {
    let run = gate.pass().await;
    if id == 0 { Ok(id) } else { Err(Failed(run)) }
}

#[redis_cached(prefix = "errors", name = "not_clone", cache = cache, skip(cache, gate))]
async fn not_clone(cache: &Cache, gate: &Gate, id: u64) -> Result<u64, NotClone> {
    let run = gate.pass().await;
    if id == 0 { Ok(id) } else { Err(NotClone(run)) }
}

/// Until every call that was spawned has done what it can.
async fn settle(cache: &Cache) {
    test_support::settle(shared_entry(cache, 0).get()).await.unwrap();
}

/// A hundred calls at once, all of which wait for the body of the first.
macro_rules! fail_together {
    ($function:ident, $cache:expr, $gate:expr) => {{
        let calls = (0..100).map(|_| {
            let (cache, gate) = ($cache.clone(), Arc::clone(&$gate));
            tokio::spawn(async move { $function(&cache, &gate, 1).await })
        });
        let calls: Vec<_> = calls.collect();
        $gate.wait_for(1).await;
        settle($cache).await;
        $gate.open();
        let mut errors = Vec::new();
        for call in calls {
            errors.push(call.await.unwrap().expect_err("every body fails"));
        }
        errors
    }};
}

#[tokio::test]
async fn an_error_that_can_be_copied_reaches_everybody() {
    let server = Server::start();
    for cache in &caches(&server) {
        let gate = Arc::new(Gate::closed());
        let errors = fail_together!(shared, cache, gate);
        assert!(errors.iter().all(|error| *error == Failed(1)), "{errors:?}");
        assert_eq!(gate.entered(), 1);
        // The error is not stored: the next call runs.
        assert_eq!(shared(cache, &gate, 1).await, Err(Failed(2)));
    }
}

#[tokio::test]
async fn off_makes_everybody_run() {
    let server = Server::start();
    for cache in &caches(&server) {
        let gate = Arc::new(Gate::closed());
        let mut runs: Vec<_> = fail_together!(own, cache, gate).into_iter().map(|Failed(run)| run).collect();
        runs.sort_unstable();
        assert_eq!(runs, (1..=100).collect::<Vec<_>>());
    }
}

/// The next one may do better, and its value is for all.
#[tokio::test]
async fn after_an_error_that_cannot_be_copied_one_runs_for_all() {
    #[redis_cached(prefix = "errors", name = "once", cache = cache, skip(cache, gate))]
    async fn once(cache: &Cache, gate: &Gate, id: u64) -> Result<u64, NotClone> {
        match gate.pass().await {
            1 => Err(NotClone(1)),
            run => Ok(id + run as u64),
        }
    }
    let server = Server::start();
    for cache in &caches(&server) {
        let gate = Arc::new(Gate::closed());
        let calls = (0..100).map(|_| {
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            tokio::spawn(async move { once(&cache, &gate, 1).await })
        });
        let calls: Vec<_> = calls.collect();
        gate.wait_for(1).await;
        settle(cache).await;
        gate.open();
        let mut failed = 0;
        for call in calls {
            match call.await.unwrap() {
                Ok(value) => assert_eq!(value, 3),
                Err(NotClone(run)) => failed += run,
            }
        }
        assert_eq!((failed, gate.entered()), (1, 2));
    }
}

#[tokio::test]
async fn an_error_that_cannot_be_copied_makes_everybody_run() {
    let server = Server::start();
    for cache in &caches(&server) {
        let gate = Arc::new(Gate::closed());
        let mut runs: Vec<_> = fail_together!(not_clone, cache, gate).into_iter().map(|NotClone(run)| run).collect();
        runs.sort_unstable();
        assert_eq!(runs, (1..=100).collect::<Vec<_>>());
    }
}

/// Bodies that end when the test says so, a wave at a time.
#[derive(Default)]
struct Waves(Mutex<Vec<oneshot::Sender<()>>>);

impl Waves {
    async fn pass(&self) {
        let (let_go, passed) = oneshot::channel();
        self.0.lock().unwrap().push(let_go);
        passed.await.unwrap();
    }

    fn pass_blocking(&self) {
        let (let_go, passed) = oneshot::channel();
        self.0.lock().unwrap().push(let_go);
        passed.blocking_recv().unwrap();
    }

    fn waiting(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Lets those go that wait; how many they were.
    fn let_go(&self) -> usize {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap());
        waiting.into_iter().map(|body| body.send(()).unwrap()).count()
    }
}

#[redis_cached(prefix = "errors", name = "wave", cache = cache, skip(cache, waves))]
async fn wave(cache: &Cache, waves: &Waves, id: u64) -> Result<u64, NotClone> {
    waves.pass().await;
    Err(NotClone(id as usize))
}

#[redis_cached(prefix = "errors", name = "plain_wave", cache = cache, skip(cache, waves))]
fn plain_wave(cache: &Cache, waves: &Waves, id: u64) -> Result<u64, NotClone> {
    waves.pass_blocking();
    Err(NotClone(id as usize))
}

#[redis_cached(prefix = "errors", name = "panicking_plain_wave", cache = cache, skip(cache, waves))]
fn panicking_plain_wave(cache: &Cache, waves: &Waves, id: u64) -> u64 {
    waves.pass_blocking();
    panic_quietly(id)
}

#[redis_cached(prefix = "errors", name = "plain_row", key = "{id}", batch(id in ids), cache = cache, skip(cache, waves))]
fn plain_wave_of_rows(cache: &Cache, waves: &Waves, ids: &[u64]) -> Result<Vec<(u64, u64)>, NotClone> {
    waves.pass_blocking();
    Err(NotClone(ids.len()))
}

/// A panic that prints no backtrace, which would keep the tasks of its thread waiting.
fn panic_quietly(id: u64) -> ! {
    std::panic::resume_unwind(Box::new(format!("as the test of {id} wants it")))
}

#[redis_cached(prefix = "errors", name = "panicking_wave", cache = cache, skip(cache, waves))]
async fn panicking_wave(cache: &Cache, waves: &Waves, id: u64) -> u64 {
    waves.pass().await;
    panic_quietly(id)
}

#[redis_cached(prefix = "errors", name = "unstored_wave", cache = cache, skip(cache, waves))]
async fn unreadable_wave(cache: &Cache, waves: &Waves, id: u64) -> Unwritable {
    waves.pass().await;
    Unwritable(id)
}

/// A value that no codec writes, so that it can neither be stored nor shared.
#[derive(Deserialize)]
struct Unwritable(u64);

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom(format!("{} is not written", self.0)))
    }
}

#[redis_cached(prefix = "errors", name = "row", key = "{id}", batch(id in ids), cache = cache, skip(cache, waves))]
async fn wave_of_rows(cache: &Cache, waves: &Waves, ids: &[u64]) -> Result<Vec<(u64, u64)>, NotClone> {
    waves.pass().await;
    Err(NotClone(ids.len()))
}

/// The origin of a value that fails is not asked by all waiting calls at the same moment.
#[tokio::test]
async fn after_two_failures_twice_as_many_bodies_run_each_time() {
    const CALLS: usize = 40;
    macro_rules! waves {
        ($cache:expr, $call:expr) => {{
            let waves = Arc::new(Waves::default());
            let calls: Vec<_> = (0..CALLS)
                .map(|_| {
                    let (cache, waves) = ($cache.clone(), Arc::clone(&waves));
                    tokio::spawn(async move { _ = $call(&cache, &waves).await })
                })
                .collect();
            let mut sizes = Vec::new();
            while sizes.iter().sum::<usize>() < CALLS {
                in_time("a body begins", async || waves.waiting() > 0).await;
                settle($cache).await;
                settle($cache).await;
                sizes.push(waves.let_go());
            }
            for call in calls {
                let _ = call.await;
            }
            sizes
        }};
    }
    let server = Server::start();
    for cache in &caches(&server) {
        for sizes in [
            waves!(cache, async |cache, waves: &Waves| wave(cache, waves, 1).await.map_err(drop)),
            waves!(cache, async |cache, waves: &Waves| panicking_wave(cache, waves, 1).await),
            waves!(cache, async |cache, waves: &Waves| unreadable_wave(cache, waves, 1).await.0),
            waves!(cache, async |cache, waves: &Waves| wave_of_rows(cache, waves, &[1, 2]).await.map_err(drop)),
        ] {
            assert_eq!(sizes, [1, 1, 2, 4, 8, 16, 8]);
        }
    }
}

/// The same of plain functions. Their threads do not end at the same moment, so only the first waves have a certain size.
#[test]
fn after_two_failures_of_plain_bodies_two_run() {
    const CALLS: usize = 40;
    let server = Server::start();
    let calls: [fn(&Cache, &Waves, u64); 3] = [
        |cache, waves, id| _ = plain_wave(cache, waves, id),
        |cache, waves, id| _ = panicking_plain_wave(cache, waves, id),
        |cache, waves, id| _ = plain_wave_of_rows(cache, waves, &[id]),
    ];
    let ids = AtomicU64::new(0);
    for cache in &caches(&server) {
        for call in calls {
            given_time("two bodies run after two that failed", |time| {
                let (waves, id) = (Arc::new(Waves::default()), ids.fetch_add(10, SeqCst));
                let threads = (0..CALLS).map(|_| {
                    let (cache, waves) = (cache.clone(), Arc::clone(&waves));
                    thread::spawn(move || call(&cache, &waves, id))
                });
                let threads: Vec<_> = threads.collect();
                let mut sizes = Vec::new();
                while sizes.iter().sum::<usize>() < CALLS {
                    eventually("a body begins", || waves.waiting() > 0);
                    // The others wait for it by then.
                    thread::sleep(time);
                    sizes.push(waves.let_go());
                }
                for thread in threads {
                    let _ = thread.join();
                }
                sizes.starts_with(&[1, 1, 2])
            });
        }
    }
}

#[tokio::test]
async fn a_failing_body_gives_its_lease_back_at_once() {
    let server = Server::start();
    let caches = [0, 1].map(|_| Cache::builder(&server.url()).unwrap().build());
    let gate = Gate::closed();
    gate.open();
    for run in 1..=20 {
        // This is the lease of another process, which waits for no other.
        assert_eq!(shared(&caches[run % 2], &gate, 1).await, Err(Failed(run)));
    }
    assert_eq!(caches[0].stats().misses + caches[1].stats().misses, 20);
}

/// Seen in the slot, and by a call of another process: it would wait for a lease, which is long here.
#[tokio::test]
async fn a_failing_body_leaves_an_empty_slot() {
    #[redis_cached(prefix = "errors", name = "empty", lease = "10m", cache = cache, skip(cache))]
    async fn empty(cache: &Cache, id: u64) -> Result<u64, NotClone> {
        if id == 0 { Ok(id) } else { Err(NotClone(1)) }
    }
    #[redis_cached(prefix = "errors", name = "empty_blocking", lease = "10m", cache = cache, skip(cache))]
    fn empty_blocking(cache: &Cache, id: u64) -> Result<u64, NotClone> {
        if id == 0 { Ok(id) } else { Err(NotClone(1)) }
    }
    let server = Server::start();
    for cache in caches(&server) {
        let begun = Instant::now();
        for _ in 0..10 {
            assert!(empty(&cache, 1).await.is_err());
            assert!(empty_blocking(&cache, 1).is_err());
        }
        assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
        in_time("nothing is left", async || server.cli(&["DBSIZE"]) == "0").await;
    }
}

#[redis_cached(prefix = "errors", name = "plain", lease = "10m", cache = cache, skip(cache, gate))]
fn plain(cache: &Cache, gate: &Gate, id: u64) -> Result<u64, Failed> {
    let run = gate.pass_blocking();
    if id == 0 { Ok(id) } else { Err(Failed(run)) }
}

#[redis_cached(prefix = "errors", name = "plain_own", lease = "10m", share_errors = off, cache = cache, skip(cache, gate))]
fn plain_own(cache: &Cache, gate: &Gate, id: u64) -> Result<u64, Failed> {
    let run = gate.pass_blocking();
    if id == 0 { Ok(id) } else { Err(Failed(run)) }
}

/// Starts threads that wait for one failing body; the runs whose errors they got, sorted.
macro_rules! threads_fail_together {
    ($function:ident, $cache:expr, $id:expr, $count:expr, $time:expr) => {{
        let gate = Gate::closed();
        let mut runs: Vec<usize> = std::thread::scope(|scope| {
            let calls: Vec<_> = (0..$count).map(|_| scope.spawn(|| $function($cache, &gate, $id))).collect();
            eventually("a body begins", || gate.entered() >= 1);
            std::thread::sleep($time);
            gate.open();
            calls.into_iter().map(|call| call.join().unwrap().expect_err("every body fails").0).collect()
        });
        runs.sort_unstable();
        runs
    }};
}

#[test]
fn an_error_that_can_be_copied_reaches_every_thread() {
    let server = Server::start();
    for cache in &caches(&server) {
        let mut id = 0;
        given_time("all wait", |time| {
            id += 1;
            threads_fail_together!(plain, cache, id, 32, time) == [1; 32]
        });
    }
}

#[test]
fn off_makes_every_thread_run() {
    let server = Server::start();
    for cache in &caches(&server) {
        let runs = threads_fail_together!(plain_own, cache, 1, 32, Duration::from_millis(20));
        assert_eq!(runs, (1..=32).collect::<Vec<_>>());
    }
}

/// Errors that cannot leave their thread are no obstacle.
#[test]
fn errors_that_stay_in_their_thread() {
    #[redis_cached(prefix = "errors", name = "local", cache = cache, skip(cache))]
    fn local(cache: &Cache, id: u64) -> Result<u64, Rc<str>> {
        if id == 0 { Ok(id) } else { Err("it fails".into()) }
    }
    let server = Server::start();
    for cache in caches(&server) {
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| assert_eq!(local(&cache, 1).unwrap_err().as_ref(), "it fails"));
            }
        });
    }
}
