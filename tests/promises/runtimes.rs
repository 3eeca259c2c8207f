//! A cache and any number of tokio runtimes: after each other, at the same time, and none at all.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, mpsc};
use std::thread;
use std::time::Duration;

use redis_cached::{Cache, ErrorKind, redis_cached};
use test_support::{PATIENCE, Server, in_time, polled};

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
static CACHE: LazyLock<Cache> = LazyLock::new(|| Cache::builder(&SERVER.url()).unwrap().build());

#[redis_cached(cache = CACHE)]
async fn square(n: u64) -> u64 {
    n * n
}

#[redis_cached(cache = CACHE)]
fn cube(n: u64) -> u64 {
    n * n * n
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn runtimes_that_come_and_go() {
    #[redis_cached(cache = cache, skip(cache))]
    async fn double(cache: &Cache, n: u64) -> u64 {
        n * 2
    }
    let cache = Cache::builder(&SERVER.url()).unwrap().build();
    for _ in 0..20 {
        assert_eq!(runtime().block_on(double(&cache, 11)), 22);
    }
    let stats = cache.stats();
    assert_eq!((stats.misses, stats.hits, stats.bypasses), (1, 19, 0), "{stats:?}");
}

#[test]
fn runtimes_at_the_same_time() {
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let runtime = runtime();
                for n in 100..150 {
                    assert_eq!(runtime.block_on(square(n)), n * n);
                }
            });
        }
    });
}

/// Its connection belongs to the runtime in which it began; nothing else of the other one stays.
#[test]
fn a_call_may_begin_in_one_runtime_and_end_in_another() {
    #[redis_cached(cache = cache, skip(cache))]
    async fn half(cache: &Cache, n: u64) -> u64 {
        n / 2
    }
    let cache = Cache::builder(&SERVER.url()).unwrap().timeout(PATIENCE).build();
    // Its connections go on while no task waits in it.
    let first = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut call = Box::pin(half(&cache, 8));
    assert!(first.block_on(polled(1, call.as_mut())).is_none());
    let other = runtime();
    assert_eq!(other.block_on(call), 4);
    drop(other);
    for _ in 0..3 {
        assert_eq!(first.block_on(half(&cache, 8)), 4);
    }
    let stats = cache.stats();
    assert_eq!((stats.misses, stats.hits, stats.bypasses), (1, 3, 0), "{stats:?}");
}

#[test]
fn plain_functions_inside_and_outside_of_a_runtime() {
    assert_eq!(cube(3), 27);
    runtime().block_on(async {
        assert_eq!(cube(3), 27);
        assert_eq!(tokio::spawn(async { cube(3) }).await.unwrap(), 27);
    });
}

#[test]
fn an_async_function_without_a_tokio_runtime_computes() {
    // A minimal executor, as others than tokio are.
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    fn block_on<F: Future>(future: F) -> F::Output {
        let waker = Arc::new(Unpark(thread::current())).into();
        let mut context = std::task::Context::from_waker(&waker);
        let mut future = std::pin::pin!(future);
        loop {
            match future.as_mut().poll(&mut context) {
                std::task::Poll::Ready(output) => return output,
                std::task::Poll::Pending => thread::park(),
            }
        }
    }
    assert_eq!(block_on(square(12)), 144);
    let error = block_on(square_entry(12).get()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// A task in the background then gives its lease back while the runtime drops it, perhaps after
/// the connection.
#[test]
fn a_runtime_that_ends_during_a_refresh_ends() {
    #[redis_cached(
        prefix = "runtimes",
        name = "endless",
        ttl = "10ms",
        stale_while_revalidate = "1h",
        cache = cache,
        skip(cache, entered)
    )]
    async fn endless(cache: &Cache, entered: &Arc<AtomicUsize>, id: u64) -> u64 {
        if entered.fetch_add(1, SeqCst) % 2 == 1 {
            std::future::pending::<()>().await;
        }
        id
    }
    let server = Server::start();
    for round in 0..50 {
        // A first value that is not stored, on a busy machine, would be a body that never ends.
        let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
        let (done, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = runtime();
            runtime.block_on(async {
                let entered = Arc::default();
                endless(&cache, &entered, round).await;
                in_time("a refresh runs", async || {
                    endless(&cache, &entered, round).await;
                    entered.load(SeqCst) == 2
                })
                .await;
            });
            drop(runtime);
            done.send(()).unwrap();
            drop(cache);
        });
        ended.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("round {round}: the runtime does not end"));
        thread.join().unwrap();
    }
}

/// A runtime that ends while its connection is made, or in use, is no failure: the others go on hitting.
#[test]
fn runtimes_that_end_in_the_middle_blame_nobody() {
    /// `runs` counts the bodies of one kind of caller.
    #[redis_cached(prefix = "runtimes", name = "lasting", cache = cache, skip(cache, runs))]
    async fn kept(cache: &Cache, runs: &AtomicUsize, n: u64) -> u64 {
        runs.fetch_add(1, SeqCst);
        n
    }
    let (lasting_runs, elsewhere_runs) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let other_runs = AtomicUsize::new(0);
    let spawned_runs = Arc::new(AtomicUsize::new(0));
    test_support::log::listen();
    let server = Server::start();
    let proxy = server.proxy();
    // Connections take long enough for runtimes to end meanwhile, and the server is well.
    proxy.set(test_support::Mode::Delay(Duration::from_millis(30)));
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_millis(500)).build();
    let lasting = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    lasting.block_on(kept(&cache, &other_runs, 1));
    let before = cache.stats();
    thread::scope(|scope| {
        for short in 0..4 {
            let (cache, elsewhere_runs, spawned_runs) = (&cache, &elsewhere_runs, &spawned_runs);
            scope.spawn(move || {
                for round in 0..60 {
                    let runtime = match short % 2 {
                        0 => {
                            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
                        }
                        _ => runtime(),
                    };
                    let calls = (0..10).map(|_| {
                        let (cache, runs) = (cache.clone(), Arc::clone(spawned_runs));
                        // Polled in another runtime, as where a call is awaited elsewhere than it began.
                        runtime.spawn(async move { kept(&cache, &runs, 1).await })
                    });
                    let calls: Vec<_> = calls.collect();
                    let mut elsewhere = Box::pin(kept(cache, elsewhere_runs, 1));
                    let mut ended = None;
                    runtime.block_on(async {
                        ended = polled(1, elsewhere.as_mut()).await;
                        tokio::time::sleep(Duration::from_millis(10 * (round % 8))).await;
                    });
                    drop(runtime);
                    drop(calls);
                    assert_eq!(ended.unwrap_or_else(|| self::runtime().block_on(elsewhere)), 1);
                }
            });
        }
        for _ in 0..150 {
            assert_eq!(lasting.block_on(kept(&cache, &lasting_runs, 1)), 1);
        }
    });
    let lines = test_support::log::lines_about(&format!(":{}", proxy.port()));
    assert!(!lines.iter().any(|line| line.text.contains("is away")), "{lines:#?}");
    let after = cache.stats();
    let missed = after.bypasses + after.misses - before.misses;
    let [lasting_runs, elsewhere_runs, spawned_runs] =
        [&lasting_runs, &elsewhere_runs, &*spawned_runs].map(|runs| runs.load(SeqCst) as u64);
    println!("| runtimes that end in the middle | {missed} calls without a hit | {after:?} |");
    assert_eq!(lasting_runs, 0, "{after:?}");
    // Each other call without a hit began in a runtime that ended. A spawned one can only run its body if a worker
    // polls it while its runtime ends: one call for each worker.
    assert_eq!(missed, elsewhere_runs + spawned_runs, "{after:?}");
    assert!(elsewhere_runs <= 4 * 60 && spawned_runs <= 2 * 60 * 2, "{elsewhere_runs} {spawned_runs}");
    let hits = after.hits;
    for _ in 0..20 {
        lasting.block_on(kept(&cache, &other_runs, 1));
    }
    assert_eq!(cache.stats().hits, hits + 20);
}

#[test]
fn a_runtime_without_io_is_told_what_it_lacks() {
    #[redis_cached(prefix = "runtimes", name = "without_io", cache = cache, skip(cache))]
    async fn without_io(cache: &Cache, n: u64) -> u64 {
        n
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for n in 0..10 {
        assert_eq!(runtime.block_on(without_io(&cache, n)), n);
    }
    let error = runtime.block_on(without_io_entry(&cache, 1).get()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("I/O"), "{error}");
}
