//! Processes that are forked from one that uses a cache, as servers do that load everything first and then make workers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use fork::{Fork, fork, waitpid};
use redis_cached::{Cache, redis_cached};
use test_support::{Gate, PATIENCE, Server, eventually};

const URL: &str = "REDIS_CACHED_FORK_URL";

static RUNS: AtomicUsize = AtomicUsize::new(0);

#[redis_cached(prefix = "fork", name = "row", cache = cache, skip(cache))]
fn row(cache: &Cache, id: u64) -> String {
    RUNS.fetch_add(1, SeqCst);
    format!("row {id}")
}

#[redis_cached(prefix = "fork", name = "row", cache = cache, skip(cache))]
async fn row_async(cache: &Cache, id: u64) -> String {
    RUNS.fetch_add(1, SeqCst);
    format!("row {id}")
}

#[redis_cached(prefix = "fork", name = "kept", cache = cache, skip(cache, source), local = 100)]
fn kept(cache: &Cache, source: usize, id: u64) -> usize {
    RUNS.fetch_add(1, SeqCst);
    source + id as usize
}

#[redis_cached(prefix = "fork", name = "gated", lease = "300ms", cache = cache, skip(cache, gate))]
fn gated(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id + gate.pass_blocking() as u64
}

#[redis_cached(
    prefix = "fork", name = "renewed", ttl = "1m", refresh_ahead = 0.02, cache = cache, skip(cache, gate)
)]
fn renewed(cache: Cache, gate: Arc<Gate>, id: u64) -> u64 {
    match RUNS.fetch_add(1, SeqCst) {
        0 => id,
        _ => id + gate.pass_blocking() as u64,
    }
}

#[redis_cached(
    prefix = "fork", name = "stale", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, gate)
)]
fn stale(cache: Cache, gate: Arc<Gate>, id: u64) -> u64 {
    RUNS.fetch_add(1, SeqCst);
    gate.pass_blocking();
    id
}

/// Runs the test with this name in a process of its own, with a server.
fn in_own_process(test: &str) {
    let server = Server::start();
    let output = test_support::child(module_path!(), test).env(URL, server.url()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// Runs one part in a forked child while the other one runs here, and says how the child ended.
fn forked(in_child: impl FnOnce(), in_parent: impl FnOnce()) -> i32 {
    match fork().unwrap() {
        // The harness of the tests is in the other process.
        Fork::Child => std::process::exit(i32::from(catch_unwind(AssertUnwindSafe(in_child)).is_err())),
        Fork::Parent(child) => {
            in_parent();
            waitpid(child).unwrap()
        }
    }
}

/// The connections of a process are not used by two.
#[test]
fn both_processes_go_on_with_hits() {
    let Ok(url) = std::env::var(URL) else { return in_own_process("both_processes_go_on_with_hits") };
    let cache = Cache::builder(&url).unwrap().timeout(Duration::from_secs(5)).build();
    let all = || {
        for _ in 0..20 {
            (0..50).for_each(|id| assert_eq!(row(&cache, id), format!("row {id}")));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for id in 0..50 {
                assert_eq!(row_async(&cache, id).await, format!("row {id}"));
            }
        });
        assert_eq!(RUNS.load(SeqCst), 50, "{}: {:?}", std::process::id(), cache.stats());
    };
    all();
    assert_eq!(forked(all, all), 0);
    all();
}

/// In the child, nothing tells of changes: what it keeps is used no longer than the bound.
#[test]
fn a_child_keeps_values_by_a_connection_of_its_own() {
    let Ok(url) = std::env::var(URL) else { return in_own_process("a_child_keeps_values_by_a_connection_of_its_own") };
    let cache = Cache::builder(&url).unwrap().timeout(Duration::from_secs(5)).build();
    let hits_locally = || {
        let hits = cache.stats().local_hits;
        kept(&cache, 100, 1);
        cache.stats().local_hits > hits
    };
    eventually("the value is kept", hits_locally);
    let (runs, of_child) = (RUNS.load(SeqCst), cache.local_bound());
    let child = || {
        thread::sleep(of_child);
        assert_eq!(kept(&cache, 300, 1), 201, "the value of the other process, from the server");
        eventually("the child keeps it", || {
            let hits = cache.stats().local_hits;
            assert_eq!(kept(&cache, 300, 1), 201);
            cache.stats().local_hits > hits
        });
        assert_eq!(RUNS.load(SeqCst), runs);
    };
    let parent = || {
        kept_entry(&cache, 1).invalidate().unwrap();
        assert_eq!(kept(&cache, 200, 1), 201);
    };
    assert_eq!(forked(child, parent), 0);
}

/// Threads are not forked, and neither are their bodies: the child waits for the parent's through the server.
#[test]
fn a_child_waits_for_a_body_of_its_parent() {
    let Ok(url) = std::env::var(URL) else { return in_own_process("a_child_waits_for_a_body_of_its_parent") };
    let cache = Cache::builder(&url).unwrap().timeout(Duration::from_secs(5)).build();
    let gate = Arc::new(Gate::closed());
    let (ended, end) = mpsc::channel();
    let leader = {
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        thread::spawn(move || {
            let value = gated(&cache, &gate, 10);
            ended.send(()).unwrap();
            value
        })
    };
    eventually("the body runs", || gate.entered() == 1);
    let child = || {
        assert_eq!(gated(&cache, &gate, 10), 11);
        assert_eq!(gate.entered(), 1, "the child runs no body");
    };
    // Longer than a lease: the parent renews it. The child must not, and has its own bodies to renew for.
    let parent = || {
        assert!(end.recv_timeout(Duration::from_secs(1)).is_err());
        gate.open();
        end.recv_timeout(PATIENCE).unwrap();
    };
    assert_eq!(forked(child, parent), 0);
    assert_eq!(leader.join().unwrap(), 11);
}

/// The thread that refreshes a value is not forked either.
#[test]
fn a_child_refreshes_what_its_parent_refreshed() {
    let Ok(url) = std::env::var(URL) else { return in_own_process("a_child_refreshes_what_its_parent_refreshed") };
    let cache = Cache::builder(&url).unwrap().timeout(Duration::from_secs(5)).build();
    let gate = Arc::new(Gate::closed());
    eventually("the refresh runs", || {
        assert_eq!(renewed(cache.clone(), Arc::clone(&gate), 10), 10);
        gate.entered() == 1
    });
    let child = || {
        eventually("the child refreshes the value of its parent", || {
            renewed(cache.clone(), Arc::clone(&gate), 10);
            RUNS.load(SeqCst) > 2
        });
    };
    assert_eq!(forked(child, || gate.open()), 0);
}

/// A process has a fixed number of threads that refresh. A child does not count those of its parent.
#[test]
fn a_child_has_all_threads_for_its_refreshes() {
    const THREADS: u64 = 64;
    let Ok(url) = std::env::var(URL) else { return in_own_process("a_child_has_all_threads_for_its_refreshes") };
    let cache = Cache::builder(&url).unwrap().timeout(Duration::from_secs(5)).build();
    let gate = Arc::new(Gate::closed());
    let call = |id| assert_eq!(stale(cache.clone(), Arc::clone(&gate), id), id);
    gate.open();
    (0..=THREADS).for_each(call);
    gate.close();
    eventually("all threads refresh", || {
        (0..THREADS).for_each(call);
        RUNS.load(SeqCst) as u64 == THREADS + 1 + THREADS
    });
    let runs = RUNS.load(SeqCst);
    let child = || {
        eventually("the child refreshes", || {
            call(THREADS);
            RUNS.load(SeqCst) > runs
        });
    };
    assert_eq!(forked(child, || gate.open()), 0);
}

/// What delivers invalidations is a task of one process, too.
#[test]
fn a_child_delivers_what_it_could_not_deliver_at_once() {
    const TEST: &str = "a_child_delivers_what_it_could_not_deliver_at_once";
    if std::env::var(URL).is_err() {
        return in_own_process(TEST);
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(Duration::from_millis(200)).build();
    let told = std::env::temp_dir().join(format!("redis-cached-fork-{}", std::process::id()));
    (1..=2).for_each(|id| assert_eq!(row(&cache, id), format!("row {id}")));
    server.kill();
    row_entry(&cache, 1).invalidate().unwrap_err();
    let delivers_all = || eventually("all is delivered", || cache.undelivered() == 0);
    let child = || {
        row_entry(&cache, 2).invalidate().unwrap_err();
        std::fs::write(&told, "").unwrap();
        delivers_all();
    };
    let parent = || {
        eventually("the child has failed, too", || told.exists());
        std::fs::remove_file(&told).unwrap();
        server.restart();
        delivers_all();
    };
    assert_eq!(forked(child, parent), 0);
}
