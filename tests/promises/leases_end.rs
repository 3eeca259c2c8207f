//! The keys that a call leaves in Redis when it returns something that is not stored, and its runtime or process ends
//! with it: no lease, so that the next run does not wait.

use std::process::Stdio;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use redis_cached::{Cache, redis_cached};
use test_support::{PATIENCE, Server, child, eventually, polled};
use tokio::runtime::{Builder, Runtime};

/// An error that is neither `Send` nor `Clone`.
#[derive(Debug, PartialEq)]
struct Local(Rc<u64>);

#[derive(Clone, Debug, PartialEq)]
struct Shared(u64);

// Leases of ten minutes: no test ends because a lease did.

#[redis_cached(prefix = "ends", name = "shared", lease = "10m", cache = cache, skip(cache, runs))]
async fn shared(cache: &Cache, runs: &AtomicUsize, id: u64) -> Result<u64, Shared> {
    runs.fetch_add(1, SeqCst);
    Err(Shared(id))
}

#[redis_cached(prefix = "ends", name = "local", lease = "10m", cache = cache, skip(cache, runs))]
async fn local(cache: &Cache, runs: &AtomicUsize, id: u64) -> Result<u64, Local> {
    runs.fetch_add(1, SeqCst);
    Err(Local(Rc::new(id)))
}

#[redis_cached(prefix = "ends", name = "none", lease = "10m", cache = cache, skip(cache, runs))]
async fn none(cache: &Cache, runs: &AtomicUsize, id: u64) -> Option<u64> {
    runs.fetch_add(1, SeqCst);
    (id == u64::MAX).then_some(id)
}

#[redis_cached(prefix = "ends", name = "refused", lease = "10m", cache_if = |_| false, cache = cache, skip(cache, runs))]
async fn refused(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    runs.fetch_add(1, SeqCst);
    id
}

#[redis_cached(prefix = "ends", name = "panicking", lease = "10m", cache = cache, skip(cache, runs))]
async fn panicking(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    runs.fetch_add(1, SeqCst);
    assert!(id == u64::MAX, "as it should");
    id
}

#[redis_cached(prefix = "ends", name = "endless", lease = "10m", cache = cache, skip(cache, runs))]
async fn endless(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    runs.fetch_add(1, SeqCst);
    std::future::pending::<()>().await;
    id
}

#[redis_cached(prefix = "ends", name = "row", key = "{id}", lease = "10m", batch(id in ids), cache = cache, skip(cache, runs))]
async fn rows(cache: &Cache, runs: &AtomicUsize, ids: &[u64]) -> Result<Vec<(u64, u64)>, Local> {
    runs.fetch_add(1, SeqCst);
    Err(Local(Rc::new(ids[0])))
}

#[redis_cached(prefix = "ends", name = "plain", lease = "10m", cache = cache, skip(cache, runs))]
fn plain(cache: &Cache, runs: &AtomicUsize, id: u64) -> Result<u64, Local> {
    runs.fetch_add(1, SeqCst);
    Err(Local(Rc::new(id)))
}

/// The ways in which a call ends without storing a value.
#[derive(Clone, Copy, Debug)]
enum Way {
    Shared,
    Local,
    None,
    Refused,
    Panicking,
    Dropped,
    /// The runtime ends while the body runs.
    Spawned,
    Refreshed,
    Batch,
    Plain,
}

const WAYS: [Way; 10] = [
    Way::Shared,
    Way::Local,
    Way::None,
    Way::Refused,
    Way::Panicking,
    Way::Dropped,
    Way::Spawned,
    Way::Refreshed,
    Way::Batch,
    Way::Plain,
];

impl Way {
    async fn call(self, cache: &Cache, runs: &'static AtomicUsize, id: u64) {
        match self {
            Way::Shared => assert_eq!(shared(cache, runs, id).await, Err(Shared(id))),
            Way::Local => assert_eq!(local(cache, runs, id).await, Err(Local(Rc::new(id)))),
            Way::None => assert_eq!(none(cache, runs, id).await, None),
            Way::Refused => assert_eq!(refused(cache, runs, id).await, id),
            Way::Panicking => {
                let cache = cache.clone();
                let call = tokio::spawn(async move { panicking(&cache, runs, id).await });
                assert!(call.await.unwrap_err().is_panic());
            }
            Way::Dropped => {
                let before = runs.load(SeqCst);
                let mut call = Box::pin(endless(cache, runs, id));
                test_support::in_time("its body runs", async || {
                    polled(1, call.as_mut()).await;
                    runs.load(SeqCst) > before
                })
                .await;
            }
            Way::Spawned => {
                let (before, cache) = (runs.load(SeqCst), cache.clone());
                tokio::spawn(async move { endless(&cache, runs, id).await });
                test_support::in_time("its body runs", async || runs.load(SeqCst) > before).await;
            }
            Way::Refreshed => assert_eq!(local_refresh(cache, runs, id).await, Err(Local(Rc::new(id)))),
            Way::Batch => assert_eq!(rows(cache, runs, &[id, id + 1]).await, Err(Local(Rc::new(id)))),
            Way::Plain => assert_eq!(plain(cache, runs, id), Err(Local(Rc::new(id)))),
        }
    }
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn runs() -> &'static AtomicUsize {
    Box::leak(Box::default())
}

/// Tests of a program run like this one after the other, and so does a program that makes a runtime for each call.
#[test]
fn the_next_runtime_of_the_process_finds_no_lease() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    for (id, way) in (100..).step_by(100).zip(WAYS) {
        for (id, runtime) in (id..).step_by(10).zip([current_thread, multi_thread]) {
            let runs = runs();
            for run in 1..=3 {
                let runtime = runtime();
                runtime.block_on(way.call(&cache, runs, id));
                drop(runtime);
                eventually(&format!("{way:?}: no lease is left"), || server.cli(&["DBSIZE"]) == "0");
                assert_eq!(runs.load(SeqCst), run, "{way:?}");
            }
        }
    }
}

/// The work that the end of a runtime has left is done when a flush has returned.
#[test]
fn a_flush_gives_back_what_a_runtime_has_left() {
    #[redis_cached(prefix = "ends", name = "many", key = "{id}", lease = "10m", batch(id in ids), cache = cache, skip(cache, runs))]
    async fn many(cache: &Cache, runs: &AtomicUsize, ids: &[u64]) -> Vec<(u64, u64)> {
        runs.fetch_add(1, SeqCst);
        std::future::pending::<()>().await;
        ids.iter().map(|id| (*id, *id)).collect()
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    for round in 0..20 {
        let (runtime, runs, one, all) = (current_thread(), runs(), cache.clone(), cache.clone());
        runtime.block_on(async {
            tokio::spawn(async move { endless(&one, runs, round).await });
            tokio::spawn(async move { many(&all, runs, &[round, round + 1]).await });
            test_support::in_time("the bodies run", async || runs.load(SeqCst) == 2).await;
        });
        assert_eq!(server.cli(&["DBSIZE"]), "3");
        drop(runtime);
        current_thread().block_on(cache.flush(PATIENCE)).unwrap();
        assert_eq!(server.cli(&["DBSIZE"]), "0", "round {round}");
    }
}

/// The mark of a refresh that its runtime ended does not keep the next one from starting.
#[test]
fn a_refresh_that_ends_with_its_runtime_starts_again_in_the_next() {
    #[redis_cached(
        prefix = "ends",
        name = "stale",
        ttl = "10ms",
        stale_while_revalidate = "1h",
        lease = "10m",
        cache = cache,
        skip(cache, runs)
    )]
    async fn stale(cache: &Cache, runs: &Arc<AtomicUsize>, id: u64) -> u64 {
        if runs.fetch_add(1, SeqCst) > 0 {
            std::future::pending::<()>().await;
        }
        id
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    let runs = Arc::new(AtomicUsize::new(0));
    for run in 1..=5 {
        let runtime = current_thread();
        runtime.block_on(test_support::in_time("a body runs", async || {
            assert_eq!(stale(&cache, &runs, 1).await, 1);
            runs.load(SeqCst) == run
        }));
    }
}

const CHILD: &str = "REDIS_CACHED_LEASES_END_CHILD";

/// A program that reports its error and is run again.
#[test]
fn the_next_process_finds_no_lease() {
    if let Ok(child) = std::env::var(CHILD) {
        let [url, way, flavor] = child.split(' ').collect::<Vec<_>>()[..] else { panic!("{child}") };
        let cache = Cache::builder(url).unwrap().timeout(PATIENCE).build();
        let way = WAYS.into_iter().find(|known| format!("{known:?}") == way).unwrap();
        let runtime = if flavor == "current" { current_thread() } else { multi_thread() };
        runtime.block_on(async {
            way.call(&cache, runs(), 1).await;
            // Nothing is polled or dropped any more.
            std::process::exit(0);
        });
    }
    let server = Server::start();
    // A body that runs when its process ends does not give back its lease.
    for way in WAYS.into_iter().filter(|way| !matches!(way, Way::Spawned)) {
        for flavor in ["current", "multi"] {
            let status = child(module_path!(), "the_next_process_finds_no_lease")
                .env(CHILD, format!("{} {way:?} {flavor}", server.url()))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap();
            assert!(status.success(), "{way:?} {flavor}");
            eventually(&format!("{way:?} {flavor}: no lease is left"), || server.cli(&["DBSIZE"]) == "0");
        }
    }
}
