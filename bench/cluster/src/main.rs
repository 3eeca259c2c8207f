//! Hits in a cluster next to a hand-written `GET` on the connection of the right node, and calls while a slot moves next to
//! the cluster client of redis-rs.
//!
//! `cargo run --release --manifest-path bench/cluster/Cargo.toml` starts a cluster of its own; with `-- --quick` it takes
//! some seconds, and its figures say less. The subjects take turns, round by round, and a ratio is the median of the rounds'
//! own.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use redis::Commands as _;
use redis::aio::MultiplexedConnection;
use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};
use test_support::{Cluster, slot_of};
use tokio::runtime::Runtime;

#[derive(Serialize, Deserialize)]
struct Item {
    id: u64,
    text: String,
}

fn make(id: u64) -> Item {
    Item { id, text: "x".repeat(100) }
}

#[redis_cached(prefix = "bench", name = "item", key = "{id}", ttl = "1h", cache = cache, skip(cache))]
async fn item(cache: &Cache, id: u64) -> Item {
    make(id)
}

#[redis_cached(prefix = "bench", name = "item", key = "{id}", ttl = "1h", cache = cache, skip(cache))]
fn item_plain(cache: &Cache, id: u64) -> Item {
    make(id)
}

/// The keys over which concurrent hits are spread.
const KEYS: u64 = 1_000;

fn key(id: u64) -> String {
    format!("by_hand:{id}")
}

fn decoded(bytes: &[u8]) -> Item {
    bincode::serde::decode_from_slice(bytes, bincode::config::standard()).expect("it decodes").0
}

/// A subject's turn, which returns the time of one call.
type Turn<'a> = Box<dyn FnMut() -> Duration + 'a>;

fn compare(workload: &str, rounds: usize, mut by_hand: Turn<'_>, mut ours: Turn<'_>) {
    let (mut times, mut ratios) = (Vec::new(), Vec::new());
    // The first round is a warm-up.
    for round in 0..=rounds {
        let (hand, our) = if round % 2 == 0 {
            let hand = by_hand();
            (hand, ours())
        } else {
            let our = ours();
            (by_hand(), our)
        };
        if round > 0 {
            times.push(hand.as_secs_f64() * 1e6);
            ratios.push(our.div_duration_f64(hand));
        }
    }
    let ([_, hand, _], [low, ratio, high]) = (middle(times), middle(ratios));
    println!("{workload:24} by hand {hand:8.2} µs, redis-cached {ratio:.3} × ({low:.3} to {high:.3})");
}

/// The median, between the bounds of the middle half.
fn middle(mut figures: Vec<f64>) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    let quarter = figures.len() / 4;
    [figures[quarter], figures[figures.len() / 2], figures[figures.len() - 1 - quarter]]
}

fn one_by_one<'a>(count: u32, mut call: impl FnMut() + 'a) -> Turn<'a> {
    Box::new(move || {
        let begun = Instant::now();
        for _ in 0..count {
            call();
        }
        begun.elapsed() / count
    })
}

/// Tasks at the same time, each of which makes several calls.
fn at_once<'a, F>(runtime: &'a Runtime, tasks: u64, call: impl Fn(u64) -> F + Clone + Send + 'static) -> Turn<'a>
where
    F: Future<Output = Item> + Send,
{
    const EACH: u64 = 50;
    Box::new(move || {
        runtime.block_on(async {
            let begun = Instant::now();
            let running = (0..tasks).map(|task| {
                let call = call.clone();
                tokio::spawn(async move {
                    for hit in 0..EACH {
                        // The step is prime, so that neighbouring tasks ask for different keys.
                        black_box(call((task * 331 + hit * 7) % KEYS).await);
                    }
                })
            });
            for task in running.collect::<Vec<_>>() {
                task.await.expect("it ends");
            }
            begun.elapsed().div_f64((tasks * EACH) as f64)
        })
    })
}

/// A connection for each key, to its node: what code by hand does at best.
async fn connections(cluster: &Cluster) -> Vec<MultiplexedConnection> {
    let mut by_port = BTreeMap::new();
    for node in cluster.masters() {
        let client = redis::Client::open(node.server().url()).expect("a URL");
        by_port.insert(node.port(), client.get_multiplexed_async_connection().await.expect("a connection"));
    }
    (0..KEYS).map(|id| by_port[&cluster.master_of(&key(id)).port()].clone()).collect()
}

fn hits(cluster: &Cluster, is_quick: bool) {
    let (rounds, few) = if is_quick { (5, 3) } else { (81, 21) };
    for id in 0..KEYS {
        let bytes = bincode::serde::encode_to_vec(make(id), bincode::config::standard()).expect("it encodes");
        let mut node = cluster.master_of(&key(id)).server().connection();
        node.set::<_, _, ()>(key(id), bytes).expect("it is stored");
    }
    let cache = Cache::builder(&cluster.url()).expect("a URL").timeout(Duration::from_secs(5)).build();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let by_key = Arc::new(runtime.block_on(connections(cluster)));
    for id in 0..KEYS {
        runtime.block_on(item(&cache, id));
    }
    let get = move |id: u64| {
        let by_key = Arc::clone(&by_key);
        async move {
            let mut connection = by_key[id as usize].clone();
            let bytes: Vec<u8> = redis::cmd("GET").arg(key(id)).query_async(&mut connection).await.expect("a value");
            decoded(&bytes)
        }
    };
    let next = AtomicU64::new(0);
    let next = || next.fetch_add(7, Relaxed) % KEYS;
    let by_hand = || _ = black_box(runtime.block_on(get(next())));
    let ours = || _ = black_box(runtime.block_on(item(&cache, next())));
    compare("async hit", rounds, one_by_one(500, by_hand), one_by_one(500, ours));

    let mut by_port = BTreeMap::new();
    for node in cluster.masters() {
        by_port.insert(node.port(), node.server().connection());
    }
    let ports: Vec<u16> = (0..KEYS).map(|id| cluster.master_of(&key(id)).port()).collect();
    let by_hand = || {
        let id = next();
        let connection = by_port.get_mut(&ports[id as usize]).expect("a connection");
        black_box(decoded(&connection.get::<_, Vec<u8>>(key(id)).expect("a value")));
    };
    let ours = || _ = black_box(item_plain(&cache, next()));
    compare("plain hit", rounds, one_by_one(500, by_hand), one_by_one(500, ours));

    for tasks in [64, 256] {
        let (get, cache) = (get.clone(), cache.clone());
        let by_hand = at_once(&runtime, tasks, get);
        let ours = at_once(&runtime, tasks, move |id| {
            let cache = cache.clone();
            async move { item(&cache, id).await }
        });
        compare(&format!("{tasks} async hits at once"), few, by_hand, ours);
    }
    let stats = cache.stats();
    assert_eq!((stats.misses, stats.bypasses), (KEYS, 0), "hits alone are measured");
}

/// The calls of a number of tasks in some time: those that succeeded, and those that failed.
fn counted<F>(
    runtime: &Runtime,
    tasks: u64,
    time: Duration,
    call: impl Fn(u64) -> F + Clone + Send + 'static,
) -> (u64, u64)
where
    F: Future<Output = bool> + Send,
{
    runtime.block_on(async {
        let over = Arc::new(AtomicBool::new(false));
        let running = (0..tasks).map(|task| {
            let (call, over) = (call.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let (mut done, mut failed) = (0, 0);
                while !over.load(Relaxed) {
                    match call(task + done + failed).await {
                        true => done += 1,
                        false => failed += 1,
                    }
                }
                (done, failed)
            })
        });
        let running: Vec<_> = running.collect();
        tokio::time::sleep(time).await;
        over.store(true, Relaxed);
        let (mut done, mut failed) = (0, 0);
        for task in running {
            let counts = task.await.expect("it ends");
            (done, failed) = (done + counts.0, failed + counts.1);
        }
        (done, failed)
    })
}

/// Reads of keys that are not there, in a slot that is moving: each is redirected.
fn moving(cluster: &Cluster, is_quick: bool) {
    let time = Duration::from_secs(if is_quick { 1 } else { 3 });
    let cache = Cache::builder(&cluster.url()).expect("a URL").build();
    let slot = slot_of(item_entry(&cache, KEYS).key().expect("a key"));
    let ids = (KEYS..).filter(|id| slot_of(item_entry(&cache, *id).key().expect("a key")) == slot);
    let ids: Arc<Vec<u64>> = Arc::new(ids.take(8).collect());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let migration = cluster.begin_migration(slot, cluster.other_master(cluster.owner(slot)));
    for tasks in [1, 8, 64] {
        let ours = {
            let (cache, ids) = (cache.clone(), Arc::clone(&ids));
            counted(&runtime, tasks, time, move |number| {
                let (cache, id) = (cache.clone(), ids[number as usize % ids.len()]);
                async move { item_entry(&cache, id).get().await.is_ok() }
            })
        };
        let nodes = cluster.nodes().iter().map(|node| node.server().url());
        let client = redis::cluster::ClusterClient::builder(nodes).response_timeout(Duration::from_millis(250));
        let client = client.retries(3).build().expect("a client");
        let connection = runtime.block_on(client.get_async_connection()).expect("a connection");
        let theirs = {
            let ids = Arc::clone(&ids);
            let cache = cache.clone();
            counted(&runtime, tasks, time, move |number| {
                let mut connection = connection.clone();
                let id = ids[number as usize % ids.len()];
                let key = item_entry(&cache, id).key().expect("a key").to_owned();
                async move { redis::cmd("GET").arg(key).query_async::<Option<Vec<u8>>>(&mut connection).await.is_ok() }
            })
        };
        println!(
            "a slot that moves, {tasks:2} tasks, {time:?}: redis-cached {} calls, {} failed; redis-rs' cluster client {} calls, \
             {} failed",
            ours.0, ours.1, theirs.0, theirs.1
        );
    }
    migration.move_keys();
    migration.finish();
}

fn main() {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let cluster = Cluster::start();
    println!("{}, three masters", cluster.nodes()[0].server().program());
    hits(&cluster, is_quick);
    moving(&cluster, is_quick);
}
