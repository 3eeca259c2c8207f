//! A server that takes few connections: those that there are carry all calls, and one more that it refuses is no outage.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use test_support::{Mode, Server, Stopwatch, eventually, log};

const THREADS: u64 = 40;

static RUNS: AtomicU64 = AtomicU64::new(0);

#[redis_cached(prefix = "few", name = "plain", cache = cache, skip(cache))]
fn plain(cache: &Cache, id: u64) -> u64 {
    RUNS.fetch_add(1, SeqCst);
    id
}

#[redis_cached(prefix = "few", name = "row", cache = cache, skip(cache))]
async fn row(cache: &Cache, id: u64) -> u64 {
    RUNS.fetch_add(1, SeqCst);
    id
}

#[redis_cached(prefix = "few", name = "large", cache = cache, skip(cache))]
async fn large(cache: &Cache, id: u64) -> Vec<u64> {
    RUNS.fetch_add(1, SeqCst);
    vec![id; 10_000]
}

/// The runs are counted: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lines_of(server: &Server) -> Vec<log::Line> {
    log::lines_about(&format!(":{}", server.port()))
}

/// Many threads at once, from the first connection on: how many bodies ran, and the slowest call.
fn calls(cache: &Cache, ids: u64, rounds: u64) -> (u64, Duration) {
    RUNS.store(0, SeqCst);
    let begin = Barrier::new(THREADS as usize);
    let slowest = thread::scope(|scope| {
        let threads = (0..THREADS).map(|thread| {
            let begin = &begin;
            scope.spawn(move || {
                begin.wait();
                let mut slowest = Duration::ZERO;
                for round in 0..rounds {
                    let id = (thread + round) % ids;
                    let stopwatch = Stopwatch::start();
                    assert_eq!(plain(cache, id), id);
                    slowest = slowest.max(stopwatch.took().own());
                }
                slowest
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap()
    });
    (RUNS.load(SeqCst), slowest)
}

#[test]
fn forty_threads_share_six_connections() {
    let _alone = alone();
    log::listen();
    let server = Server::with(&["--maxclients", "6"]);
    let cache = Cache::builder(&server.url()).unwrap().timeout(Duration::from_secs(2)).build();
    let (runs, slowest) = calls(&cache, 10, 250);
    println!("| maxclients 6, {THREADS} threads | {runs} bodies in {} calls | slowest {slowest:?} |", THREADS * 250);
    // Each of the ten once; those that begin together before the first connection is there may each run one.
    assert!(runs <= 10, "{runs} bodies");
    assert_eq!(cache.stats().bypasses, 0);
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    let lines = lines_of(&server);
    assert!(!lines.iter().any(|line| line.text.contains("is away")), "{lines:#?}");
    let told: Vec<_> = lines.iter().filter(|line| line.text.contains("max number of clients")).collect();
    assert_eq!(told.len(), 1, "{lines:#?}");
}

/// Without any connection of its own, a program finds the server away, in the server's words.
#[test]
fn no_connection_at_all_is_an_outage() {
    let _alone = alone();
    log::listen();
    let server = Server::with(&["--maxclients", "6"]);
    let taken: Vec<_> = (0..6).map(|_| server.connection()).collect();
    let cache = Cache::builder(&server.url()).unwrap().timeout(Duration::from_millis(500)).build();
    for id in 0..10 {
        assert_eq!(plain(&cache, id), id);
    }
    eventually("the log tells it", || {
        lines_of(&server)
            .iter()
            .any(|line| line.text.contains("is away") && line.text.contains("max number of clients"))
    });
    drop(taken);
    eventually("it hits", || {
        plain(&cache, 1);
        let runs = RUNS.load(SeqCst);
        plain(&cache, 1);
        RUNS.load(SeqCst) == runs
    });
}

/// A call that had no turn on a connection in its time is no failure.
#[test]
fn waiting_for_a_connection_is_no_failure_of_the_server() {
    let _alone = alone();
    log::listen();
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_millis(600)).build();
    plain(&cache, 1);
    // Each exchange takes nearly half of the deadline: of forty at once on sixteen connections, some have no turn.
    proxy.set(test_support::Mode::Delay(Duration::from_millis(240)));
    for _ in 0..5 {
        calls(&cache, 1, 3);
    }
    proxy.set(test_support::Mode::Pass);
    let away = log::lines_about(&format!(":{}", proxy.port()));
    assert!(!away.iter().any(|line| line.text.contains("is away")), "{away:#?}");
    eventually("it hits", || {
        let runs = RUNS.load(SeqCst);
        plain(&cache, 1);
        RUNS.load(SeqCst) == runs
    });
}

/// Async functions have one connection in each runtime, and one for large values: one of these that is refused leaves
/// the others alone.
#[test]
fn a_runtime_without_room_for_a_connection_leaves_the_others_alone() {
    let _alone = alone();
    log::listen();
    let server = Server::with(&["--maxclients", "4"]);
    let cache = Cache::builder(&server.url()).unwrap().timeout(Duration::from_secs(1)).build();
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let lasting = runtime();
    lasting.block_on(async {
        row(&cache, 1).await;
        // The call uses the one connection, if the server has no room for another one.
        large(&cache, 1).await;
    });
    let others: Vec<_> = (0..8).map(|_| runtime()).collect();
    for _ in 0..10 {
        for other in &others {
            assert_eq!(other.block_on(row(&cache, 1)), 1);
        }
        RUNS.store(0, SeqCst);
        lasting.block_on(async {
            assert_eq!((row(&cache, 1).await, large(&cache, 1).await.len()), (1, 10_000));
        });
        assert_eq!(RUNS.load(SeqCst), 0, "hits");
    }
    let lines = lines_of(&server);
    assert!(!lines.iter().any(|line| line.text.contains("is away")), "{lines:#?}");
    assert_eq!(lines.iter().filter(|line| line.text.contains("max number of clients")).count(), 1, "{lines:#?}");
}

/// How many connections of clients the server has, but for that of the question.
fn connections(server: &Server) -> usize {
    server.cli(&["CLIENT", "LIST", "TYPE", "normal"]).lines().filter(|line| !line.is_empty()).count() - 1
}

#[test]
fn the_pool_grows_again_after_an_outage() {
    let _alone = alone();
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_millis(300)).build();
    assert_eq!(plain(&cache, 1), 1);
    for mode in [Mode::Freeze, Mode::Refuse] {
        proxy.set(mode);
        if mode == Mode::Refuse {
            proxy.cut();
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(|| plain(&cache, 10)))));
        }
        proxy.cut();
        proxy.set(Mode::Delay(Duration::from_millis(10)));
        eventually("the server is reached", || cache.blocking().ping().is_ok());
        eventually("the pool grows", || {
            thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(|| plain(&cache, 1)))));
            connections(&server) >= 4
        });
    }
}
