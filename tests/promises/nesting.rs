//! Cached functions that call themselves: how much of the stack a level takes, and that no depth overflows it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::thread;
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};

const KILOBYTE: usize = 1 << 10;
const MEGABYTE: usize = 1 << 20;

thread_local! {
    /// Where on this thread's stack bodies ran, in their order.
    static PLACES: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

fn body() {
    let place = 0_u8;
    PLACES.with_borrow_mut(|places| places.push(std::ptr::from_ref(std::hint::black_box(&place)).addr()));
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Node {
    depth: u64,
    name: String,
    tags: Vec<String>,
    numbers: [u64; 8],
}

impl Node {
    fn above(self) -> Node {
        Node { depth: self.depth + 1, ..self }
    }
}

/// An error as large as those of database drivers.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "it only has to be large")]
struct Failure([u64; 12], String);

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

#[redis_cached(cache = cache, skip(cache))]
async fn task(cache: &Cache, n: u64) -> Result<Node, Failure> {
    body();
    let held = [n; 128];
    let below: Boxed<'_, _> = Box::pin(task(cache, n.saturating_sub(1)));
    let node = if n == 0 { Node::default() } else { below.await?.above() };
    assert_eq!(held[127], n);
    Ok(node)
}

#[redis_cached(cache = cache, skip(cache))]
fn plain(cache: &Cache, n: u64) -> Result<Node, Failure> {
    body();
    if n == 0 { Ok(Node::default()) } else { Ok(plain(cache, n - 1)?.above()) }
}

#[redis_cached(cache = cache, skip(cache), tags = "tree", stale_if_error = "1m", group = "tree")]
async fn grouped(cache: &Cache, n: u64) -> Result<u64, String> {
    body();
    let below: Boxed<'_, _> = Box::pin(grouped(cache, n.saturating_sub(1)));
    if n == 0 { Ok(0) } else { Ok(below.await? + 1) }
}

#[redis_cached(cache = cache, skip(cache), single_flight = off)]
async fn refreshed(cache: &Cache, n: u64) -> u64 {
    body();
    let below: Boxed<'_, _> = Box::pin(refreshed_refresh(cache, n.saturating_sub(1)));
    if n == 0 { 0 } else { below.await + 1 }
}

#[redis_cached(cache = cache, skip(cache), batch(id in ids))]
async fn batch(cache: &Cache, ids: Vec<u64>) -> HashMap<u64, u64> {
    body();
    let n = ids[0];
    let below: Boxed<'_, _> = Box::pin(batch(cache, vec![n.saturating_sub(1)]));
    HashMap::from([(n, if n == 0 { 0 } else { below.await[&(n - 1)] + 1 })])
}

#[redis_cached(cache = cache, skip(cache), batch(id in ids))]
fn plain_batch(cache: &Cache, ids: Vec<u64>) -> HashMap<u64, u64> {
    body();
    let n = ids[0];
    HashMap::from([(n, if n == 0 { 0 } else { plain_batch(cache, vec![n - 1])[&(n - 1)] + 1 })])
}

/// A function, called on a runtime of its own.
type Call = fn(&Cache, u64) -> u64;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

const CALLS: [(&str, Call); 6] = [
    ("task", |cache, n| block_on(task(cache, n)).unwrap().depth),
    ("plain", |cache, n| plain(cache, n).unwrap().depth),
    ("grouped", |cache, n| block_on(grouped(cache, n)).unwrap()),
    ("refreshed", |cache, n| block_on(refreshed(cache, n))),
    ("batch", |cache, n| block_on(batch(cache, vec![n]))[&n]),
    ("plain_batch", |cache, n| plain_batch(cache, vec![n])[&n]),
];

fn on_a_thread<T: Send>(stack: usize, run: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| thread::Builder::new().stack_size(stack).spawn_scoped(scope, run).unwrap().join().unwrap())
}

fn memory() -> Cache {
    Cache::builder("memory://").unwrap().build()
}

#[test]
fn a_level_takes_little_of_the_stack() {
    // 300 levels in 8 MB without optimizations, 1,000 with them.
    let most = if cfg!(debug_assertions) { 8 * MEGABYTE / 300 } else { 8 * MEGABYTE / 1_000 };
    for (name, call) in CALLS {
        let places = on_a_thread(64 * MEGABYTE, || {
            assert_eq!(call(&memory(), 20), 20);
            PLACES.take()
        });
        let level = places[5].abs_diff(places[15]) / 10;
        println!("{name}: {level} bytes");
        assert!((1..most).contains(&level), "{name}: {level} bytes");
    }
}

#[test]
fn the_future_of_a_call_is_small() {
    let cache = memory();
    let size = size_of_val(&grouped(&cache, 1));
    println!("{size} bytes");
    assert!(size <= 3 * KILOBYTE / 2, "{size} bytes");
}

/// Runs on a thread of the usual size, which fewer levels than these fill.
fn all_are_cached(cache: &Cache, levels: u64) {
    for (name, call) in CALLS {
        let bodies = on_a_thread(2 * MEGABYTE, || {
            assert_eq!([call(cache, levels), call(cache, levels)], [levels; 2], "{name}");
            PLACES.take().len()
        });
        assert_eq!(bodies as u64, levels + 1, "{name}");
    }
}

#[test]
fn many_levels_are_all_cached() {
    all_are_cached(&memory(), 1_000);
}

#[test]
fn many_levels_are_all_cached_on_redis() {
    let server = test_support::Server::start();
    // Each reply polls all levels above it, unoptimized.
    all_are_cached(&Cache::builder(&server.url()).unwrap().timeout(Duration::from_secs(10)).build(), 150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_worker_of_a_runtime_takes_many_levels() {
    #[redis_cached(cache = cache, skip(cache))]
    fn fibonacci(cache: &Cache, n: u64) -> u64 {
        if n < 2 { n } else { fibonacci(cache, n - 1).wrapping_add(fibonacci(cache, n - 2)) }
    }
    let cache = memory();
    let sum = tokio::spawn(async move { fibonacci(&cache, 2_000) }).await.unwrap();
    assert_eq!(sum, (0..2_000).fold((0_u64, 1_u64), |(a, b), _| (b, a.wrapping_add(b))).0);
}

#[tokio::test]
async fn a_hundred_calls_in_one_function_fit_on_the_stack_of_a_test() {
    macro_rules! calls {
        ($cache:ident, $start:expr; ) => {};
        ($cache:ident, $start:expr; $first:literal $($rest:literal)*) => {
            assert_eq!(task(&$cache, $start + $first).await.unwrap().depth, $start + $first);
            calls!($cache, $start; $($rest)*);
        };
    }
    let cache = memory();
    calls!(cache, 0; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24);
    calls!(cache, 25; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24);
    calls!(cache, 50; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24);
    calls!(cache, 75; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24);
}

#[test]
fn past_ten_thousand_levels_bodies_run_directly() {
    #[redis_cached(cache = cache, skip(cache))]
    fn deep(cache: &Cache, n: u64) -> u64 {
        if n == 0 { 0 } else { deep(cache, n - 1) + 1 }
    }
    let cache = memory();
    on_a_thread(2 * MEGABYTE, || assert_eq!(deep(&cache, 10_100), 10_100));
    // Counted from the outermost: the last hundred did not ask the cache.
    assert_eq!(deep_entry(&cache, 10_100).get().unwrap(), Some(10_100));
    assert_eq!(deep_entry(&cache, 1_000).get().unwrap(), Some(1_000));
    assert_eq!(deep_entry(&cache, 50).get().unwrap(), None);
    assert!(cache.stats().bypasses >= 50);
}
