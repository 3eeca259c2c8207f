//! `batch(id in ids)`: each id has an entry of its own, and the body runs for those that are missing.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize, Serializer};
use test_support::{Gate, Mode, PATIENCE, Server, child, eventually, free_port, in_time};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};

type Rows = HashMap<u64, String>;

/// What the bodies read, and what they were asked for.
struct Source {
    gate: Gate,
    asked: Mutex<Vec<Vec<u64>>>,
    version: AtomicU64,
}

impl Source {
    /// Bodies go on when the test says so.
    fn closed() -> Arc<Source> {
        Arc::new(Source { gate: Gate::closed(), asked: Mutex::default(), version: AtomicU64::new(0) })
    }

    fn open() -> Arc<Source> {
        let source = Source::closed();
        source.gate.open();
        source
    }

    fn row(&self, id: u64) -> String {
        format!("row {id} of version {}", self.version.load(SeqCst))
    }

    fn rows(&self, ids: &[u64]) -> Rows {
        ids.iter().map(|id| (*id, self.row(*id))).collect()
    }

    async fn load(&self, ids: &[u64]) -> Rows {
        let rows = self.rows(ids);
        self.asked.lock().unwrap().push(ids.to_vec());
        self.gate.pass().await;
        rows
    }

    fn load_blocking(&self, ids: &[u64]) -> Rows {
        let rows = self.rows(ids);
        self.asked.lock().unwrap().push(ids.to_vec());
        self.gate.pass_blocking();
        rows
    }

    /// The ids of each body since the last time.
    fn asked(&self) -> Vec<Vec<u64>> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

// A lease that is left behind does not end before a test's patience. One key for all of these.
#[redis_cached(prefix = "batch", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, source))]
async fn rows(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
    source.load(ids).await
}

#[redis_cached(prefix = "batch", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, source))]
fn rows_blocking(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
    source.load_blocking(ids)
}

#[redis_cached(prefix = "batch", name = "row", key = "{id}", lease = "10m", cache = cache, skip(cache, source))]
async fn row(cache: &Cache, source: &Source, id: u64) -> String {
    source.load(&[id]).await.remove(&id).unwrap()
}

#[redis_cached(prefix = "batch", name = "row", key = "{id}", lease = "10m", cache = cache, skip(cache, source))]
fn row_blocking(cache: &Cache, source: &Source, id: u64) -> String {
    source.load_blocking(&[id]).remove(&id).unwrap()
}

#[derive(Clone, Copy, Debug)]
enum Face {
    Async,
    Plain,
}

const FACES: [Face; 2] = [Face::Async, Face::Plain];

/// A call of `rows`, in a task or thread of its own.
fn spawn(face: Face, cache: &Cache, source: &Arc<Source>, ids: impl Into<Vec<u64>>) -> JoinHandle<Rows> {
    let (cache, source, ids) = (cache.clone(), Arc::clone(source), ids.into());
    match face {
        Face::Async => tokio::spawn(async move { rows(&cache, &source, &ids).await }),
        Face::Plain => spawn_blocking(move || rows_blocking(&cache, &source, &ids)),
    }
}

async fn call(face: Face, cache: &Cache, source: &Arc<Source>, ids: impl Into<Vec<u64>>) -> Rows {
    finished(spawn(face, cache, source, ids)).await
}

/// A call of `row`.
fn spawn_one(face: Face, cache: &Cache, source: &Arc<Source>, id: u64) -> JoinHandle<String> {
    let (cache, source) = (cache.clone(), Arc::clone(source));
    match face {
        Face::Async => tokio::spawn(async move { row(&cache, &source, id).await }),
        Face::Plain => spawn_blocking(move || row_blocking(&cache, &source, id)),
    }
}

/// What a call returns that is not to hang.
async fn finished<T>(call: JoinHandle<T>) -> T {
    tokio::time::timeout(PATIENCE, call).await.expect("a call hangs").unwrap()
}

/// Lets the tasks of this thread come as far as they can.
async fn settle(cache: &Cache) {
    test_support::settle(rows_entry(cache, u64::MAX).get()).await.unwrap();
}

/// One cache in memory and one on the server: what holds for both. Where it is no outage that is
/// tested, a machine that is busy may be slow.
fn caches(server: &Server) -> [Cache; 2] {
    [Cache::builder("memory://").unwrap().build(), other(server)]
}

/// As another process has one.
fn other(server: &Server) -> Cache {
    Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build()
}

fn sorted<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort();
    values
}

// What is asked for.

#[tokio::test]
async fn the_body_gets_what_is_missing_in_the_order_given() {
    let server = Server::start();
    for face in FACES {
        for cache in caches(&server) {
            cache.invalidate_all((0..10).map(|id| rows_entry(&cache, id))).await.unwrap();
            let source = Source::open();
            assert_eq!(call(face, &cache, &source, [5, 3]).await, source.rows(&[5, 3]));
            assert_eq!(source.asked(), [[5, 3]]);
            let ids = [9, 5, 1, 3, 2];
            assert_eq!(call(face, &cache, &source, ids).await, source.rows(&ids));
            assert_eq!(source.asked(), [[9, 1, 2]]);
            source.version.store(1, SeqCst);
            assert_eq!(call(face, &cache, &source, [2, 9]).await.len(), 2);
            assert_eq!(source.asked(), [[0; 0]; 0], "all hits");
            let stats = cache.stats();
            assert_eq!((stats.misses, stats.hits, stats.stored), (5, 4, 5), "{stats:?}");
        }
    }
}

#[tokio::test]
async fn an_id_that_is_given_twice_is_asked_for_and_returned_once() {
    #[redis_cached(prefix = "batch", name = "pairs", batch(id in ids), cache = cache, skip(cache, source))]
    async fn pairs(cache: &Cache, source: &Source, ids: Vec<u64>) -> Vec<(u64, String)> {
        let rows = source.load(&ids).await;
        ids.into_iter().map(|id| (id, rows[&id].clone())).collect()
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        for _ in 0..2 {
            let found = pairs(&cache, &source, vec![7, 1, 7, 7, 2, 1]).await;
            assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [7, 1, 2]);
        }
        assert_eq!(source.asked(), [[7, 1, 2]]);
    }
}

#[tokio::test]
async fn without_ids_nothing_is_sent_and_no_body_runs() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let source = Source::open();
    call(Face::Async, &cache, &source, [1]).await; // connects
    call(Face::Plain, &cache, &source, [1]).await;
    source.asked();
    let mut monitor = server.monitor();
    for face in FACES {
        assert_eq!(call(face, &cache, &source, []).await, Rows::new());
    }
    assert!(rows_refresh(&cache, &source, &[]).await.is_empty());
    assert_eq!(monitor.commands(), Vec::<Vec<String>>::new());
    assert_eq!(source.asked(), [[0; 0]; 0]);
}

// What goes over the wire.

/// By name, those of connecting left out.
fn names(commands: &[Vec<String>]) -> Vec<String> {
    let names = commands.iter().map(|command| command[0].to_uppercase());
    names.filter(|name| !matches!(name.as_str(), "CLIENT" | "HELLO" | "INFO" | "ROLE" | "SELECT")).collect()
}

#[tokio::test]
async fn hits_are_one_mget() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let source = Source::open();
    for face in FACES {
        call(face, &cache, &source, [3, 1, 2]).await;
        let mut monitor = server.monitor();
        call(face, &cache, &source, [2, 3, 1]).await;
        assert_eq!(monitor.commands(), [["MGET", "batch:row:2", "batch:row:3", "batch:row:1"]]);
    }
}

#[tokio::test]
async fn what_is_missing_is_leased_in_one_pipeline_and_filled_in_another() {
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(PATIENCE).build();
    for (face, first) in FACES.into_iter().zip([0, 100]) {
        let source = Source::open();
        let ids: Vec<u64> = (first..first + 50).collect();
        let (missing, warm): (Vec<u64>, Vec<u64>) = ids.iter().partition(|id| *id % 5 == 3);
        call(face, &cache, &source, warm).await;
        source.asked();
        let mut monitor = server.monitor();
        proxy.set(Mode::Delay(Duration::from_millis(100)));
        let begun = Instant::now();
        assert_eq!(call(face, &cache, &source, ids.clone()).await, source.rows(&ids));
        let elapsed = begun.elapsed();
        proxy.set(Mode::Pass);
        assert_eq!(source.asked(), [missing]);
        let commands = monitor.commands();
        assert_eq!((commands[0][0].as_str(), commands[0].len()), ("MGET", 51));
        let names = names(&commands);
        // A read asks now and then for the server's role and time; then come ten leases with the time, and
        // ten fills.
        let first = names.len() - 21;
        assert!(matches!(first, 1 | 2), "{names:?}");
        assert_eq!(names[first + 10], "TIME", "{names:?}");
        let (leases, fills) = (&names[first..first + 10], &names[first + 11..]);
        let is_write = |name: &String| matches!(name.as_str(), "SET" | "EVAL" | "EVALSHA");
        assert!(leases.iter().chain(fills).all(is_write), "{names:?}");
        // Three round trips, on a busy machine; one after another they would be twenty-one.
        assert!(elapsed < Duration::from_millis(1200), "{elapsed:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_ids_are_more_than_a_pipeline_takes() {
    fn text(id: u64) -> String {
        "x".repeat(if id % 500 == 7 { 100_000 } else { 200 + id as usize % 200 })
    }
    #[redis_cached(prefix = "batch", name = "text", key = "{id}", batch(id in ids), cache = cache, skip(cache, asked))]
    async fn texts(cache: &Cache, asked: &AtomicUsize, ids: &[u64]) -> Rows {
        asked.fetch_add(ids.len(), SeqCst);
        ids.iter().map(|id| (*id, text(*id))).collect()
    }
    #[redis_cached(prefix = "batch", name = "text", key = "{id}", batch(id in ids), cache = cache, skip(cache, asked))]
    fn texts_blocking(cache: &Cache, asked: &AtomicUsize, ids: &[u64]) -> Rows {
        asked.fetch_add(ids.len(), SeqCst);
        ids.iter().map(|id| (*id, text(*id))).collect()
    }
    let server = Server::start();
    for cache in ["memory://", &server.url()].map(|url| Cache::builder(url).unwrap().timeout(PATIENCE).build()) {
        let asked = AtomicUsize::new(0);
        let ids: Vec<u64> = (0..10_000).collect();
        let is_right = |found: &Rows| found.len() == 10_000 && found.iter().all(|(id, found)| *found == text(*id));
        assert!(is_right(&texts(&cache, &asked, &ids).await));
        assert_eq!(asked.load(SeqCst), 10_000);
        for _ in 0..2 {
            assert!(is_right(&texts_blocking(&cache, &asked, &ids)));
            assert!(is_right(&texts(&cache, &asked, &ids).await));
        }
        assert_eq!(asked.load(SeqCst), 10_000, "all of them are stored");

        cache.invalidate_all((0..10_000).step_by(2).map(|id| texts_entry(&cache, id))).await.unwrap();
        assert!(is_right(&texts_blocking(&cache, &asked, &ids)));
        assert_eq!(asked.load(SeqCst), 15_000);
        assert!(is_right(&texts(&cache, &asked, &ids).await));
        assert_eq!(asked.load(SeqCst), 15_000);
    }
}

// Types.

#[tokio::test]
async fn any_collection_of_ids_and_any_map() {
    #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    struct Id {
        tenant: String,
        number: u32,
    }

    #[redis_cached(prefix = "kinds", batch(id in ids), cache = cache, skip(cache))]
    async fn tree(cache: &Cache, ids: BTreeSet<u64>) -> BTreeMap<u64, u64> {
        ids.into_iter().map(|id| (id, id * 2)).collect()
    }
    #[redis_cached(prefix = "kinds", batch(id in ids), cache = cache, skip(cache))]
    fn set(cache: &Cache, ids: &HashSet<u64>) -> HashMap<u64, u64> {
        ids.iter().map(|id| (*id, id * 2)).collect()
    }
    #[redis_cached(prefix = "kinds", batch(id in ids), cache = cache, skip(cache))]
    #[allow(clippy::ptr_arg, reason = "what is tested")]
    async fn vec(cache: &Cache, ids: &Vec<u64>) -> Result<Vec<(u64, u64)>, String> {
        Ok(ids.iter().map(|id| (*id, id * 2)).collect())
    }
    #[redis_cached(prefix = "kinds", batch(id in ids), cache = cache, skip(cache))]
    fn strings(cache: &Cache, ids: &[String]) -> Result<BTreeMap<String, usize>, std::io::Error> {
        Ok(ids.iter().map(|id| (id.clone(), id.len())).collect())
    }
    #[redis_cached(prefix = "kinds", name = "user", key = "{id.tenant}:{id.number}", batch(id in ids), cache = cache, skip(cache))]
    async fn structs(cache: &Cache, ids: &[Id]) -> HashMap<Id, String> {
        ids.iter().map(|id| (id.clone(), format!("{}/{}", id.tenant, id.number))).collect()
    }
    #[redis_cached(prefix = "kinds", name = "user", key = "{tenant}:{id}", batch(id in numbers), cache = cache, skip(cache))]
    async fn beside<'a>(cache: &Cache, tenant: Cow<'a, str>, numbers: Vec<u32>) -> HashMap<u32, String> {
        numbers.iter().map(|id| (*id, format!("{tenant}/{id}"))).collect()
    }
    let server = Server::start();
    for cache in caches(&server) {
        for _ in 0..2 {
            assert_eq!(tree(&cache, BTreeSet::from([3, 1])).await, BTreeMap::from([(1, 2), (3, 6)]));
            assert_eq!(set(&cache, &HashSet::from([3, 1])), HashMap::from([(1, 2), (3, 6)]));
            assert_eq!(vec(&cache, &vec![3, 1]).await.unwrap(), [(3, 6), (1, 2)]);
            let names = ["red shoes", "", "é:{}"].map(str::to_owned);
            let lengths = names.iter().map(|name| (name.clone(), name.len())).collect();
            assert_eq!(strings(&cache, &names).unwrap(), lengths);
            let ids = [("a:1", 2), ("a", 12), ("b", 2)].map(|(tenant, number)| Id { tenant: tenant.into(), number });
            let texts = structs(&cache, &ids).await;
            assert_eq!(ids.each_ref().map(|id| texts[id].as_str()), ["a:1/2", "a/12", "b/2"]);
            let texts = beside(&cache, "a".into(), vec![12, 4]).await;
            assert_eq!((texts[&12].as_str(), texts[&4].as_str()), ("a/12", "a/4"));
        }
        assert_eq!(structs_entry(&cache, Id { tenant: "a".into(), number: 4 }).get().await.unwrap().unwrap(), "a/4");
        let stats = cache.stats();
        assert_eq!((stats.misses, stats.hits), (2 + 2 + 2 + 3 + 3 + 1, 2 + 2 + 2 + 3 + 3 + 3), "{stats:?}");
    }
}

#[tokio::test]
async fn a_batch_is_send_where_its_parts_are() {
    // Neither the values nor the error need to be `Sync`, and the error not even `Send`.
    #[redis_cached(prefix = "send", batch(id in ids), tags = |_| ["cell"], cache = cache, skip(cache))]
    async fn cells(cache: &Cache, ids: &[u64]) -> Result<HashMap<u64, Cell<u64>>, std::rc::Rc<str>> {
        tokio::task::yield_now().await;
        Ok(ids.iter().map(|id| (*id, Cell::new(*id))).collect())
    }
    let server = Server::start();
    for cache in caches(&server) {
        for _ in 0..2 {
            let cache = cache.clone();
            let sum = tokio::spawn(async move {
                let cells = cells(&cache, &[1, 2]).await.unwrap_or_default();
                cells.values().map(Cell::get).sum::<u64>()
            });
            assert_eq!(sum.await.unwrap(), 3);
        }
        assert_eq!((cache.stats().misses, cache.stats().hits), (2, 2));
    }
}

// What the body returns.

/// A function whose bodies return these pairs.
#[redis_cached(prefix = "batch", name = "given", batch(id in ids), cache = cache, skip(cache, source, pairs))]
async fn given(cache: &Cache, source: &Source, pairs: &[(u64, u64)], ids: &[u64]) -> Vec<(u64, u64)> {
    source.load(ids).await;
    pairs.to_vec()
}

#[tokio::test]
async fn what_was_not_asked_for_is_returned_and_not_stored() {
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        let found = given(&cache, &source, &[(5, 50), (1, 10), (6, 60), (2, 20)], &[1, 2]).await;
        assert_eq!(found, [(1, 10), (2, 20), (5, 50), (6, 60)]);
        assert_eq!(given_entry(&cache, 5).get().await.unwrap(), None);
        assert_eq!(given_entry(&cache, 2).get().await.unwrap(), Some(20));
        // Of an id that was found, what is stored counts.
        let found = given(&cache, &source, &[(1, 11), (3, 30)], &[1, 3]).await;
        assert_eq!(found, [(1, 10), (3, 30)]);
        assert_eq!(source.asked(), [vec![1, 2], vec![3]]);
        assert_eq!(cache.stats().stored, 3);
    }
}

#[tokio::test]
async fn an_id_with_two_pairs_is_returned_twice_and_not_stored() {
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        for _ in 0..2 {
            let found = given(&cache, &source, &[(1, 10), (2, 20), (1, 11)], &[1, 2]).await;
            assert_eq!(sorted(found), [(1, 10), (1, 11), (2, 20)]);
        }
        assert_eq!(given_entry(&cache, 1).get().await.unwrap(), None);
        assert_eq!(given_entry(&cache, 2).get().await.unwrap(), Some(20));
        assert_eq!(source.asked(), [vec![1, 2], vec![1]]);
    }
}

#[tokio::test]
async fn an_id_without_a_value_is_remembered_with_none_ttl() {
    #[redis_cached(prefix = "batch", name = "absent", batch(id in ids), none_ttl = "1h", cache = cache, skip(cache, source))]
    async fn remembered(cache: &Cache, source: &Source, ids: &[u64]) -> Result<Rows, String> {
        Ok(source.load(ids).await.into_iter().filter(|(id, _)| id % 2 == 0).collect())
    }
    #[redis_cached(prefix = "batch", name = "asked", batch(id in ids), cache = cache, skip(cache, source))]
    fn asked_again(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load_blocking(ids).into_iter().filter(|(id, _)| id % 2 == 0).collect()
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        for _ in 0..3 {
            assert_eq!(remembered(&cache, &source, &[1, 2, 3]).await, Ok(source.rows(&[2])));
        }
        assert_eq!(source.asked(), [[1, 2, 3]]);
        assert_eq!(remembered_entry(&cache, 1).get().await.unwrap(), None, "an entry has values alone");
        assert!(remembered_entry(&cache, 1).invalidate().await.unwrap());
        assert_eq!(remembered(&cache, &source, &[1, 2, 3]).await, Ok(source.rows(&[2])));
        assert_eq!(source.asked(), [[1]]);

        for _ in 0..2 {
            assert_eq!(asked_again(&cache, &source, &[1, 2, 3]), source.rows(&[2]));
        }
        assert_eq!(source.asked(), [vec![1, 2, 3], vec![1, 3]]);
    }
}

#[tokio::test]
async fn values_may_be_options() {
    type Found = HashMap<u64, Option<u64>>;

    // 0 is left out, odd ones are `None`.
    fn found(ids: &[u64]) -> Found {
        ids.iter().filter(|id| **id > 0).map(|id| (*id, (id % 2 == 0).then_some(*id))).collect()
    }
    #[redis_cached(prefix = "options", batch(id in ids), none_ttl = 60, cache = cache, skip(cache, source))]
    async fn with(cache: &Cache, source: &Source, ids: &[u64]) -> Found {
        source.load(ids).await;
        found(ids)
    }
    #[redis_cached(prefix = "options", batch(id in ids), cache = cache, skip(cache, source))]
    fn without(cache: &Cache, source: &Source, ids: &[u64]) -> Result<Found, ()> {
        source.load_blocking(ids);
        Ok(found(ids))
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        let expected = Found::from([(1, None), (2, Some(2))]);
        for _ in 0..2 {
            assert_eq!(with(&cache, &source, &[0, 1, 2]).await, expected);
        }
        // One that is left out is not one that is `None`, and is not remembered.
        assert_eq!(source.asked(), [vec![0, 1, 2], vec![0]]);
        assert_eq!(with_entry(&cache, 1).get().await.unwrap(), Some(None));
        assert_eq!(with_entry(&cache, 0).get().await.unwrap(), None);
        for _ in 0..2 {
            assert_eq!(without(&cache, &source, &[0, 1, 2]).unwrap(), expected);
        }
        assert_eq!(source.asked(), [vec![0, 1, 2], vec![0, 1]]);
    }
}

// Settings, each for each id.

#[tokio::test]
async fn lifetimes_and_conditions_are_those_of_each_value() {
    #[redis_cached(
        prefix = "each", batch(id in ids), cache = cache, skip(cache, source),
        ttl = |n: &u64| Duration::from_secs(*n), cache_if = |n: &u64| n.is_multiple_of(2),
    )]
    async fn each(cache: &Cache, source: &Source, ids: &[u64]) -> HashMap<u64, u64> {
        source.load(ids).await;
        ids.iter().map(|id| (*id, *id)).collect()
    }
    #[redis_cached(prefix = "each", batch(id in ids), ttl = 1000, jitter = 0.5, cache = cache, skip(cache))]
    fn jittered(cache: &Cache, ids: &[u64]) -> HashMap<u64, u64> {
        ids.iter().map(|id| (*id, *id)).collect()
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        for _ in 0..2 {
            // 0 has no lifetime, and odd ones are not stored.
            assert_eq!(each(&cache, &source, &[0, 1, 60, 61, 600]).await.len(), 5);
        }
        assert_eq!(source.asked(), [vec![0, 1, 60, 61, 600], vec![0, 1, 61]]);
        for (id, most) in [(60, 60), (600, 600)] {
            let left = each_entry(&cache, id).ttl().await.unwrap().unwrap();
            assert!(left <= Duration::from_secs(most) && left > Duration::from_secs(most / 2), "{left:?}");
        }
        let ids: Vec<u64> = (0..50).collect();
        jittered(&cache, &ids);
        let left = ids.iter().map(|id| jittered_entry(&cache, *id).ttl().unwrap().unwrap().as_secs());
        let left: HashSet<u64> = left.collect();
        assert!(left.len() > 10 && left.iter().all(|left| (490..=1000).contains(left)), "{left:?}");
    }
}

#[tokio::test]
async fn what_another_version_stored_is_asked_for_again() {
    #[redis_cached(prefix = "versions", name = "row", key = "{id}", batch(id in ids), cache = cache, skip(cache, source))]
    async fn old(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load(ids).await
    }
    #[redis_cached(prefix = "versions", name = "row", key = "{id}", version = 2, batch(id in ids), cache = cache, skip(cache, source))]
    async fn new(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load(ids).await
    }
    #[redis_cached(prefix = "versions", name = "row", key = "{id}", version = 2, batch(id in ids), cache = cache, skip(cache, source))]
    async fn of_another_type(cache: &Cache, source: &Source, ids: &[u64]) -> HashMap<u64, (u64, String)> {
        source.load(ids).await.into_iter().map(|(id, row)| (id, (id, row))).collect()
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        old(&cache, &source, &[1, 2, 3]).await;
        for _ in 0..2 {
            assert_eq!(new(&cache, &source, &[2, 4]).await, source.rows(&[2, 4]));
        }
        assert_eq!(source.asked(), [vec![1, 2, 3], vec![2, 4]]);
        for _ in 0..2 {
            assert_eq!(of_another_type(&cache, &source, &[3, 4]).await[&4], (4, source.row(4)));
        }
        assert_eq!(source.asked(), [[3, 4]]);
        assert_eq!(old(&cache, &source, &[1, 2, 3, 4]).await, source.rows(&[1, 2, 3, 4]));
        assert_eq!(source.asked(), [[2, 3, 4]]);
        // One invalidation for all of them.
        assert!(new_entry(&cache, 1).invalidate().await.unwrap());
        old(&cache, &source, &[1, 2]).await;
        assert_eq!(source.asked(), [[1]]);
    }
}

#[tokio::test]
async fn functions_of_one_id_share_the_entries() {
    #[redis_cached(prefix = "shared", name = "row", key = "{id}", none_ttl = "1h", batch(id in ids), cache = cache, skip(cache, source))]
    async fn many(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load(ids).await.into_iter().filter(|(id, _)| *id > 0).collect()
    }
    #[redis_cached(prefix = "shared", name = "row", key = "{id}", cache = cache, skip(cache, source))]
    async fn one(cache: &Cache, source: &Source, id: u64) -> String {
        source.load(&[id]).await.remove(&id).unwrap()
    }
    #[redis_cached(prefix = "shared", name = "row", key = "{id}", cache = cache, skip(cache, source))]
    fn one_or_error(cache: &Cache, source: &Source, id: u64) -> Result<String, String> {
        source.load_blocking(&[id]).remove(&id).filter(|_| id > 0).ok_or_else(|| "not there".to_owned())
    }
    #[redis_cached(prefix = "shared", name = "row", key = "{id}", none_ttl = "1h", cache = cache, skip(cache, source))]
    async fn one_or_none(cache: &Cache, source: &Source, id: u64) -> Option<String> {
        source.load(&[id]).await.remove(&id).filter(|_| id > 0)
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        many(&cache, &source, &[0, 1, 2]).await;
        assert_eq!(one(&cache, &source, 1).await, source.row(1));
        assert_eq!(one_or_error(&cache, &source, 2), Ok(source.row(2)));
        assert_eq!(one_or_none(&cache, &source, 2).await, Some(source.row(2)));
        assert_eq!(one_or_none(&cache, &source, 0).await, None, "that it is not there");
        assert_eq!(source.asked(), [[0, 1, 2]]);
        // To a function without a `None` that is no answer.
        assert_eq!(one_or_error(&cache, &source, 0), Err("not there".to_owned()));
        assert_eq!(source.asked(), [[0]]);

        one(&cache, &source, 3).await;
        one_or_error(&cache, &source, 4).unwrap();
        one_or_none(&cache, &source, 5).await;
        one_or_none(&cache, &source, 0).await;
        source.asked();
        assert_eq!(many(&cache, &source, &[0, 3, 4, 5]).await, source.rows(&[3, 4, 5]));
        assert_eq!(source.asked(), [[0; 0]; 0]);

        assert!(one_or_error_entry(&cache, 3).invalidate().unwrap());
        assert!(one_or_none_entry(&cache, 0).invalidate().await.unwrap());
        assert_eq!(many(&cache, &source, &[0, 3, 4]).await, source.rows(&[3, 4]));
        assert_eq!(source.asked(), [[0, 3]]);
        assert!(many_entry(&cache, 4).invalidate().await.unwrap());
        assert_eq!(one(&cache, &source, 4).await, source.row(4));
        assert_eq!(source.asked(), [[4]]);
        // What one waits for may be another's.
        assert_eq!(many_entry(&cache, 4).key().unwrap(), one_entry(&cache, 4).key().unwrap());
    }
}

// Groups and tags.

#[tokio::test]
async fn ids_in_groups_are_one_hmget_for_each_hash() {
    #[redis_cached(prefix = "classes", group = "class:{class}", batch(id in ids), cache = cache, skip(cache, source))]
    async fn grades(cache: &Cache, source: &Source, class: u64, ids: &[u64]) -> Rows {
        source.load(ids).await
    }
    #[redis_cached(prefix = "classes", group = "room:{id / 10}", batch(id in ids), cache = cache, skip(cache, source))]
    fn seats(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load_blocking(ids)
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        for _ in 0..2 {
            assert_eq!(grades(&cache, &source, 1, &[1, 2, 3]).await, source.rows(&[1, 2, 3]));
            assert_eq!(seats(&cache, &source, &[11, 12, 23]), source.rows(&[11, 12, 23]));
        }
        assert_eq!(source.asked(), [[1, 2, 3], [11, 12, 23]]);
        assert!(grades_entry(&cache, 1, 2).invalidate().await.unwrap());
        grades(&cache, &source, 1, &[1, 2, 3]).await;
        grades(&cache, &source, 2, &[1]).await;
        assert_eq!(source.asked(), [[2], [1]]);
        assert!(grades_group(&cache, 1).invalidate().await.unwrap());
        assert!(seats_group(&cache, 11).invalidate().unwrap());
        grades(&cache, &source, 1, &[1, 2, 3]).await;
        grades(&cache, &source, 2, &[1]).await;
        seats(&cache, &source, &[11, 12, 23]);
        assert_eq!(source.asked(), [vec![1, 2, 3], vec![11, 12]]);
    }
    let cache = other(&server);
    let source = Source::open();
    seats(&cache, &source, &[99]); // connects
    let mut monitor = server.monitor();
    seats(&cache, &source, &[11, 23, 12]);
    let commands = monitor.commands();
    assert!(commands.iter().all(|command| matches!(command[0].as_str(), "HMGET" | "ROLE" | "TIME")), "{commands:?}");
    let hashes = commands.iter().filter(|command| command[0] == "HMGET").map(|command| command[1].as_str());
    assert_eq!(sorted(hashes.collect()), ["classes:#group:room:1", "classes:#group:room:2"]);
}

#[tokio::test]
async fn tags_are_those_of_each_id() {
    #[redis_cached(
        prefix = "tagged", batch(id in ids), cache = cache, skip(cache, source),
        tags = ["all", "id:{id}", |row: &String| (row.contains("row 2")).then_some("second")],
    )]
    async fn tagged(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load(ids).await
    }
    #[redis_cached(prefix = "tagged", tags = "id:{id}", batch(id in ids), cache = cache, skip(cache, source))]
    fn plain(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load_blocking(ids)
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        for _ in 0..2 {
            assert_eq!(tagged(&cache, &source, &[1, 2, 3]).await, source.rows(&[1, 2, 3]));
            assert_eq!(plain(&cache, &source, &[1, 2, 3]), source.rows(&[1, 2, 3]));
        }
        assert_eq!(source.asked(), [[1, 2, 3], [1, 2, 3]]);
        for (tag, missing) in [("id:1", vec![1]), ("second", vec![2]), ("all", vec![1, 2, 3])] {
            cache.invalidate_tag(tag).await.unwrap();
            for _ in 0..2 {
                tagged(&cache, &source, &[1, 2, 3]).await;
            }
            assert_eq!(source.asked(), [missing], "{tag}");
        }
        plain(&cache, &source, &[1, 2, 3]);
        assert_eq!(source.asked(), [[1]], "of the two functions");
    }
}

#[tokio::test]
async fn a_tag_that_is_invalidated_during_the_body_voids_its_ids() {
    #[redis_cached(prefix = "tagged", name = "during", tags = "odd:{id % 2}", batch(id in ids), cache = cache, skip(cache, source))]
    async fn during(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load(ids).await
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::closed();
        let batch = {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            tokio::spawn(async move { during(&cache, &source, &[1, 2, 3]).await })
        };
        source.gate.wait_for(1).await;
        cache.invalidate_tag("odd:1").await.unwrap();
        source.gate.open();
        assert_eq!(finished(batch).await, source.rows(&[1, 2, 3]));
        source.asked();
        during(&cache, &source, &[1, 2, 3]).await;
        assert_eq!(source.asked(), [[1, 3]]);
    }
}

// Calls at the same time.

/// Until so many bodies have begun.
async fn entered(source: &Source, bodies: usize) {
    source.gate.wait_for(bodies).await;
}

#[tokio::test]
async fn batches_that_overlap_ask_for_each_id_once() {
    let server = Server::start();
    for (first, second) in [(Face::Async, Face::Async), (Face::Async, Face::Plain), (Face::Plain, Face::Async)] {
        // In one process, over memory and over the server, and in two.
        let [memory, redis] = caches(&server);
        let pairs = [[memory.clone(), memory], [redis.clone(), redis], [other(&server), other(&server)]];
        for [one, two] in pairs {
            one.invalidate_all((0..10).map(|id| rows_entry(&one, id))).await.unwrap();
            let source = Source::closed();
            let leader = spawn(first, &one, &source, [1, 2, 3]);
            entered(&source, 1).await;
            let follower = spawn(second, &two, &source, [4, 3, 2]);
            entered(&source, 2).await;
            settle(&two).await;
            source.gate.open();
            assert_eq!(finished(leader).await, source.rows(&[1, 2, 3]));
            assert_eq!(finished(follower).await, source.rows(&[2, 3, 4]));
            assert_eq!(source.asked(), [vec![1, 2, 3], vec![4]]);
        }
    }
}

/// Eight batches over overlapping ranges, from several caches or one.
async fn ranges(face: Face, caches: &[Cache]) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    #[redis_cached(prefix = "ranges", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, asked))]
    async fn range(cache: &Cache, asked: &Mutex<Vec<u64>>, ids: &[u64]) -> HashMap<u64, u64> {
        asked.lock().unwrap().extend_from_slice(ids);
        tokio::time::sleep(Duration::from_millis(20)).await;
        ids.iter().map(|id| (*id, id * 3)).collect()
    }
    #[redis_cached(prefix = "ranges", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, asked))]
    fn range_blocking(cache: &Cache, asked: &Mutex<Vec<u64>>, ids: &[u64]) -> HashMap<u64, u64> {
        asked.lock().unwrap().extend_from_slice(ids);
        thread::sleep(Duration::from_millis(20));
        ids.iter().map(|id| (*id, id * 3)).collect()
    }
    caches[0].invalidate_all((0..100).map(|id| range_entry(&caches[0], id))).await.unwrap();
    let mut calls = JoinSet::new();
    let mut wanted = BTreeSet::new();
    for (n, (first, count)) in
        [(0, 60), (50, 30), (20, 40), (79, 1), (10, 90), (40, 5), (0, 100), (70, 29)].into_iter().enumerate()
    {
        let (cache, asked) = (caches[n % caches.len()].clone(), Arc::clone(&asked));
        // Forwards, backwards, and from the middle.
        let mut ids: Vec<u64> = (first..first + count).collect();
        wanted.extend(ids.iter().copied());
        match n % 3 {
            0 => {}
            1 => ids.reverse(),
            _ => ids.rotate_left(count as usize / 2),
        }
        let check = |found: HashMap<u64, u64>, ids: &[u64]| {
            assert_eq!(found, ids.iter().map(|id| (*id, id * 3)).collect());
        };
        match face {
            Face::Async => calls.spawn(async move { check(range(&cache, &asked, &ids).await, &ids) }),
            Face::Plain => calls.spawn_blocking(move || check(range_blocking(&cache, &asked, &ids), &ids)),
        };
    }
    tokio::time::timeout(PATIENCE, calls.join_all()).await.expect("a call hangs");
    assert_eq!(sorted(asked.lock().unwrap().clone()), wanted.into_iter().collect::<Vec<_>>(), "{face:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_many_processes_ask_for_each_id_once() {
    let server = Server::start();
    for _ in 0..10 {
        for face in FACES {
            for cache in caches(&server) {
                ranges(face, &[cache]).await;
            }
            ranges(face, &[other(&server), other(&server), other(&server)]).await;
        }
    }
}

#[tokio::test]
async fn what_a_batch_owns_is_there_before_it_waits() {
    let server = Server::start();
    for face in FACES {
        for cache in caches(&server) {
            cache.invalidate_all([1, 2].map(|id| rows_entry(&cache, id))).await.unwrap();
            let (slow, quick) = (Source::closed(), Source::open());
            let one = spawn_one(Face::Async, &cache, &slow, 2);
            entered(&slow, 1).await;
            let batch = spawn(face, &cache, &quick, [2, 1]);
            in_time("its own is stored", async || rows_entry(&cache, 1).get().await.unwrap().is_some()).await;
            settle(&cache).await;
            assert!(!batch.is_finished(), "it waits for the other");
            slow.gate.open();
            assert_eq!(finished(one).await, slow.row(2));
            assert_eq!(finished(batch).await, slow.rows(&[1, 2]));
            assert_eq!(quick.asked(), [[1]]);
        }
    }
}

#[tokio::test]
async fn of_two_batches_that_wait_for_each_other_both_end() {
    let server = Server::start();
    for (first, second) in [(Face::Async, Face::Async), (Face::Plain, Face::Async), (Face::Plain, Face::Plain)] {
        let [memory, redis] = caches(&server);
        let pairs = [[memory.clone(), memory], [redis.clone(), redis], [other(&server), other(&server)]];
        for [one, two] in pairs {
            one.invalidate_all([1, 2].map(|id| rows_entry(&one, id))).await.unwrap();
            // The first batch comes upon an id that somebody has, and which the second gets.
            let (blocker, source) = (Source::closed(), Source::closed());
            let blocking = spawn_one(Face::Async, &one, &blocker, 2);
            entered(&blocker, 1).await;
            let a = spawn(first, &one, &source, [1, 2]);
            entered(&source, 1).await;
            blocking.abort();
            let _ = blocking.await;
            in_time("it is given back", async || {
                // Which the entry of an id does not tell: whoever leases it, does.
                let empty = rows_entry(&one, 2).get().await.unwrap().is_none();
                empty && !is_leased(&one, &server, 2)
            })
            .await;
            let b = spawn(second, &two, &source, [2, 1]);
            entered(&source, 2).await;
            settle(&two).await;
            source.gate.open();
            assert_eq!(finished(a).await, source.rows(&[1, 2]));
            assert_eq!(finished(b).await, source.rows(&[1, 2]));
            assert_eq!(source.asked(), [[1], [2]]);
        }
    }
}

/// Whether the server's slot of a row holds a lease. In memory, leases are given back at once.
fn is_leased(cache: &Cache, server: &Server, id: u64) -> bool {
    !format!("{cache:?}").contains("memory") && server.cli(&["EXISTS", &format!("batch:row:{id}")]) == "1"
}

#[tokio::test]
async fn batches_and_single_calls_wait_for_each_other() {
    let server = Server::start();
    for (batch, single) in [(Face::Async, Face::Async), (Face::Plain, Face::Async), (Face::Async, Face::Plain)] {
        let [memory, redis] = caches(&server);
        let pairs = [[memory.clone(), memory], [redis.clone(), redis], [other(&server), other(&server)]];
        for [one, two] in pairs {
            one.invalidate_all((0..5).map(|id| rows_entry(&one, id))).await.unwrap();
            let source = Source::closed();
            let first = spawn_one(single, &one, &source, 1);
            entered(&source, 1).await;
            let many = spawn(batch, &two, &source, [1, 2, 3]);
            entered(&source, 2).await;
            let last = spawn_one(single, &one, &source, 3);
            settle(&one).await;
            source.gate.open();
            assert_eq!(finished(first).await, source.row(1));
            assert_eq!(finished(many).await, source.rows(&[1, 2, 3]));
            assert_eq!(finished(last).await, source.row(3));
            assert_eq!(source.asked(), [vec![1], vec![2, 3]]);
        }
    }
}

/// What a body calls with the ids that it was given.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Inner {
    Itself,
    One,
    ItsRefresh,
}

#[redis_cached(prefix = "nested", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, inner))]
fn nested<'a>(
    cache: &'a Cache,
    inner: Option<Inner>,
    ids: &'a [u64],
) -> std::pin::Pin<Box<dyn Future<Output = HashMap<u64, u64>> + Send + 'a>> {
    Box::pin(async move {
        let inside = match inner {
            None => return ids.iter().map(|id| (*id, *id)).collect(),
            Some(Inner::Itself) => nested(cache, None, ids).await,
            Some(Inner::ItsRefresh) => nested_refresh(cache, None, ids).await,
            Some(Inner::One) => {
                let last = ids.last().copied().unwrap();
                HashMap::from([(last, nested_one(cache, last).await)])
            }
        };
        ids.iter().map(|id| (*id, inside.get(id).map_or(*id, |found| found + 100))).collect()
    })
}

#[redis_cached(prefix = "nested", name = "row", key = "{id}", lease = "10m", cache = cache, skip(cache))]
async fn nested_one(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "nested", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, inner))]
fn nested_blocking(cache: &Cache, inner: Option<Inner>, ids: &[u64]) -> HashMap<u64, u64> {
    let inside = match inner {
        None => return ids.iter().map(|id| (*id, *id)).collect(),
        Some(Inner::Itself) => nested_blocking(cache, None, ids),
        Some(Inner::ItsRefresh) => nested_blocking_refresh(cache, None, ids),
        Some(Inner::One) => {
            let last = ids.last().copied().unwrap();
            HashMap::from([(last, nested_one_blocking(cache, last))])
        }
    };
    ids.iter().map(|id| (*id, inside.get(id).map_or(*id, |found| found + 100))).collect()
}

#[redis_cached(prefix = "nested", name = "row", key = "{id}", lease = "10m", cache = cache, skip(cache))]
fn nested_one_blocking(cache: &Cache, id: u64) -> u64 {
    id
}

#[tokio::test]
async fn a_body_that_comes_upon_its_own_ids_computes_them() {
    let server = Server::start();
    for cache in caches(&server) {
        for inner in [Inner::Itself, Inner::One, Inner::ItsRefresh] {
            for (refresh, face) in [false, true].into_iter().flat_map(|refresh| FACES.map(|face| (refresh, face))) {
                let task = {
                    let cache = cache.clone();
                    let inner = Some(inner);
                    match (face, refresh) {
                        (Face::Async, false) => tokio::spawn(async move { nested(&cache, inner, &[1, 2]).await }),
                        (Face::Async, true) => {
                            tokio::spawn(async move { nested_refresh(&cache, inner, &[1, 2]).await })
                        }
                        (Face::Plain, false) => spawn_blocking(move || nested_blocking(&cache, inner, &[1, 2])),
                        (Face::Plain, true) => spawn_blocking(move || nested_blocking_refresh(&cache, inner, &[1, 2])),
                    }
                };
                let first = if inner == Inner::One { 1 } else { 101 };
                assert_eq!(finished(task).await, HashMap::from([(1, first), (2, 102)]), "{inner:?} {face:?} {refresh}");
                cache.invalidate_all([1, 2].map(|id| nested_entry(&cache, id))).await.unwrap();
            }
        }
    }
}

// Bodies that come to nothing.

#[redis_cached(prefix = "fails", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, source, fails))]
async fn failing(cache: &Cache, source: &Source, fails: &AtomicBool, ids: &[u64]) -> Result<Rows, String> {
    let fails = fails.load(SeqCst);
    let rows = source.load(ids).await;
    if fails { Err(format!("of {ids:?}")) } else { Ok(rows) }
}

#[redis_cached(prefix = "fails", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, source, fails))]
fn failing_blocking(cache: &Cache, source: &Source, fails: &AtomicBool, ids: &[u64]) -> Result<Rows, String> {
    let fails = fails.load(SeqCst);
    let rows = source.load_blocking(ids);
    if fails { Err(format!("of {ids:?}")) } else { Ok(rows) }
}

#[tokio::test]
async fn an_error_is_that_of_its_caller_alone() {
    let server = Server::start();
    for face in FACES {
        let [memory, redis] = caches(&server);
        let pairs = [[memory.clone(), memory], [redis.clone(), redis], [other(&server), other(&server)]];
        for [one, two] in pairs {
            one.invalidate_all([1, 2, 3].map(|id| failing_entry(&one, id))).await.unwrap();
            let (source, fails) = (Source::closed(), Arc::new(AtomicBool::new(true)));
            let call = |cache: &Cache, ids: [u64; 2]| {
                let (cache, source, fails) = (cache.clone(), Arc::clone(&source), Arc::clone(&fails));
                match face {
                    Face::Async => tokio::spawn(async move { failing(&cache, &source, &fails, &ids).await }),
                    Face::Plain => spawn_blocking(move || failing_blocking(&cache, &source, &fails, &ids)),
                }
            };
            let fails_call = call(&one, [1, 2]);
            entered(&source, 1).await;
            fails.store(false, SeqCst);
            let waits = call(&two, [2, 3]);
            entered(&source, 2).await;
            settle(&two).await;
            source.gate.open();
            assert_eq!(finished(fails_call).await, Err("of [1, 2]".to_owned()));
            assert_eq!(finished(waits).await, Ok(source.rows(&[2, 3])));
            assert_eq!(source.asked(), [vec![1, 2], vec![3], vec![2]]);
            // Nothing is left of it, and the next call waits for nobody.
            assert_eq!(finished(call(&one, [1, 2])).await, Ok(source.rows(&[1, 2])));
            assert_eq!(source.asked(), [[1]]);
        }
    }
}

#[tokio::test]
async fn a_failing_body_makes_no_queue() {
    let server = Server::start();
    for cache in caches(&server) {
        let (source, fails) = (Source::closed(), Arc::new(AtomicBool::new(true)));
        let calls = (0..20).map(|_| {
            let (cache, source, fails) = (cache.clone(), Arc::clone(&source), Arc::clone(&fails));
            tokio::spawn(async move { failing(&cache, &source, &fails, &[1, 2]).await })
        });
        let calls: Vec<_> = calls.collect();
        // Two after each other, then all others at the same time.
        for bodies in [1, 2, 20] {
            entered(&source, bodies).await;
            settle(&cache).await;
            source.gate.open();
            if bodies < 20 {
                in_time("the next body", async || source.gate.entered() > bodies).await;
            }
        }
        for call in calls {
            finished(call).await.unwrap_err();
        }
        assert_eq!(source.asked().len(), 20);
    }
}

#[tokio::test]
async fn a_panic_gives_all_ids_back() {
    #[redis_cached(prefix = "panics", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, gate))]
    async fn panics(cache: &Cache, gate: &Gate, ids: &[u64]) -> HashMap<u64, usize> {
        let number = gate.pass().await;
        assert!(number > 1, "on purpose");
        ids.iter().map(|id| (*id, number)).collect()
    }
    #[redis_cached(prefix = "panics", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, gate))]
    fn panics_blocking(cache: &Cache, gate: &Gate, ids: &[u64]) -> HashMap<u64, usize> {
        let number = gate.pass_blocking();
        assert!(number > 1, "on purpose");
        ids.iter().map(|id| (*id, number)).collect()
    }
    let server = Server::start();
    for face in FACES {
        for cache in caches(&server) {
            cache.invalidate_all((0..4).map(|id| panics_entry(&cache, id))).await.unwrap();
            let gate = Arc::new(Gate::closed());
            let call = |ids: [u64; 3]| {
                let (cache, gate) = (cache.clone(), Arc::clone(&gate));
                match face {
                    Face::Async => tokio::spawn(async move { panics(&cache, &gate, &ids).await }),
                    Face::Plain => spawn_blocking(move || panics_blocking(&cache, &gate, &ids)),
                }
            };
            let first = call([1, 2, 3]);
            gate.wait_for(1).await;
            let follower = call([3, 2, 1]);
            settle(&cache).await;
            gate.open();
            assert!(first.await.unwrap_err().is_panic());
            // By one body or two: a thread may look just when the ids are given back.
            let found = finished(follower).await;
            assert!(found.len() == 3 && found.values().all(|number| matches!(number, 2 | 3)), "{found:?}");
            assert_eq!(finished(call([1, 2, 3])).await, found, "stored");
        }
    }
}

#[tokio::test]
async fn a_cancelled_batch_hands_over() {
    let server = Server::start();
    let [memory, redis] = caches(&server);
    let pairs = [[memory.clone(), memory], [redis.clone(), redis], [other(&server), other(&server)]];
    for [one, two] in pairs {
        one.invalidate_all([1, 2, 3].map(|id| rows_entry(&one, id))).await.unwrap();
        let source = Source::closed();
        // More than a call has patience for, if they did not count as cancelled.
        let mut calls = Vec::new();
        for n in 0..10 {
            calls.push(spawn(Face::Async, [&one, &two][n % 2], &source, [1, 2, 3]));
            if n == 0 {
                entered(&source, 1).await;
            }
        }
        settle(&one).await;
        settle(&two).await;
        calls.remove(0).abort();
        entered(&source, 2).await;
        settle(&one).await;
        assert_eq!(source.asked(), [[1, 2, 3], [1, 2, 3]]);
        source.gate.open();
        for call in calls {
            assert_eq!(finished(call).await, source.rows(&[1, 2, 3]));
        }
        assert_eq!(source.asked(), [[0; 0]; 0]);
    }
}

#[tokio::test]
async fn leaders_that_are_cancelled_one_after_another_are_replaced() {
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::closed();
        let mut calls: Vec<_> = (0..100).map(|_| spawn(Face::Async, &cache, &source, [1, 2, 3])).collect();
        for leader in 1..=5 {
            entered(&source, leader).await;
            settle(&cache).await;
            assert_eq!(source.gate.entered(), leader, "one at a time");
            // Which one leads is not known: cancel one after another until another body begins.
            while source.gate.entered() == leader {
                let call = calls.remove(0);
                call.abort();
                let _ = call.await;
                settle(&cache).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        source.gate.open();
        for call in calls {
            assert_eq!(finished(call).await, source.rows(&[1, 2, 3]));
        }
        assert_eq!(source.gate.entered(), 6);
    }
}

#[tokio::test]
async fn a_batch_that_is_cancelled_anywhere_leaves_no_lease() {
    let server = Server::start();
    let ids: Vec<u64> = (0..20).collect();
    for cache in caches(&server) {
        let source = Source::open();
        let slot = |id: u64| format!("batch:row:{id}");
        for polls in 1.. {
            cache.invalidate_all(ids.iter().map(|id| rows_entry(&cache, *id))).await.unwrap();
            let ended = test_support::polled(polls, rows(&cache, &source, &ids)).await;
            // The next call waits for nobody: it leads where nothing is stored, and hits elsewhere.
            let next = call(Face::Async, &cache, &source, ids.clone()).await;
            assert_eq!(next, source.rows(&ids));
            in_time("no lease is left", async || {
                ids.iter()
                    .all(|id| !is_leased(&cache, &server, *id) || server.cli(&["GET", &slot(*id)]).starts_with('V'))
            })
            .await;
            if ended.is_some() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn ten_thousand_leases_of_a_batch_that_ends_early_are_given_back() {
    let server = Server::start();
    let ids: Vec<u64> = (0..10_000).collect();
    for face in FACES {
        let cache = other(&server);
        cache.invalidate_all(ids.iter().map(|id| failing_entry(&cache, *id))).await.unwrap();
        let source = Source::closed();
        match face {
            Face::Async => {
                let batch = {
                    let (cache, source, ids) = (cache.clone(), Arc::clone(&source), ids.clone());
                    tokio::spawn(async move { failing(&cache, &source, &AtomicBool::new(false), &ids).await })
                };
                entered(&source, 1).await;
                assert_eq!(server.cli(&["DBSIZE"]), "10000");
                let mut monitor = server.monitor();
                batch.abort();
                let _ = batch.await;
                in_time("the leases are gone", async || server.cli(&["DBSIZE"]) == "0").await;
                drop(monitor.commands());
            }
            Face::Plain => {
                source.gate.open();
                let error = failing_blocking(&cache, &source, &AtomicBool::new(true), &ids).unwrap_err();
                assert!(error.starts_with("of [0, 1"));
                in_time("the leases are gone", async || server.cli(&["DBSIZE"]) == "0").await;
            }
        }
    }
}

#[tokio::test]
async fn all_leases_of_a_slow_batch_are_renewed() {
    const LEASE: Duration = Duration::from_secs(1);
    #[redis_cached(prefix = "renewed", name = "row", key = "{id}", batch(id in ids), lease = LEASE, cache = cache, skip(cache, source))]
    async fn slow(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load(ids).await
    }
    #[redis_cached(prefix = "renewed", name = "row", key = "{id}", batch(id in ids), lease = LEASE, cache = cache, skip(cache, source))]
    fn slow_blocking(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load_blocking(ids)
    }
    // Of fields, too, whose leases have their ends in them.
    #[redis_cached(prefix = "renewed", group = "all", batch(id in ids), lease = LEASE, cache = cache, skip(cache, source))]
    async fn grouped(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load(ids).await
    }
    let server = Server::start();
    let ids: Vec<u64> = (0..50).collect();
    let [memory, redis] = caches(&server);
    let source = Source::closed();
    let mut calls = Vec::new();
    for cache in [&memory, &redis] {
        let parts = || (cache.clone(), Arc::clone(&source), ids.clone());
        let (task, thread, field) = (parts(), parts(), parts());
        calls.push(tokio::spawn(async move { slow(&task.0, &task.1, &task.2).await }));
        calls.push(spawn_blocking(move || {
            let ids: Vec<u64> = thread.2.iter().map(|id| id + 100).collect();
            slow_blocking(&thread.0, &thread.1, &ids)
        }));
        calls.push(tokio::spawn(async move { grouped(&field.0, &field.1, &field.2).await }));
    }
    entered(&source, 6).await;
    let slots: Vec<String> = (0..150).map(|id| format!("renewed:{id}")).collect();
    let asked: Vec<&str> = ["MGET"].into_iter().chain(slots.iter().map(String::as_str)).collect();
    // At once: the tasks of this thread renew their leases.
    let leases = || server.cli(&asked);
    let before = leases();
    let begun = Instant::now();
    in_time("leases would be over", async || begun.elapsed() > LEASE * 3).await;
    assert!(before == leases(), "the same leases");
    // Nobody takes anything over.
    let followers = [&memory, &redis].map(|cache| {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        tokio::spawn(async move { grouped(&cache, &source, &[1, 2]).await })
    });
    settle(&redis).await;
    source.gate.open();
    for call in calls {
        assert_eq!(finished(call).await.len(), 50);
    }
    for follower in followers {
        assert_eq!(finished(follower).await, source.rows(&[1, 2]));
    }
    assert_eq!(source.asked().len(), 6);
    assert_eq!((memory.stats().stored, redis.stats().stored), (150, 150));
}

#[tokio::test]
async fn a_batch_that_computes_for_long_still_waits_for_others() {
    // What it waits is bounded, however long its own body takes.
    #[redis_cached(prefix = "patient", name = "row", key = "{id}", batch(id in ids), wait = "500ms", cache = cache, skip(cache, source))]
    async fn patient(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load(ids).await
    }
    let server = Server::start();
    for cache in caches(&server) {
        let (slow, source) = (Source::closed(), Source::closed());
        let spawn = |source: &Arc<Source>, ids: &'static [u64]| {
            let (cache, source) = (cache.clone(), Arc::clone(source));
            tokio::spawn(async move { patient(&cache, &source, ids).await })
        };
        let one = spawn(&slow, &[2]);
        entered(&slow, 1).await;
        let batch = spawn(&source, &[1, 2]);
        entered(&source, 1).await;
        let begun = Instant::now();
        in_time("longer than it waits", async || begun.elapsed() > Duration::from_millis(600)).await;
        source.gate.open();
        in_time("its own is stored", async || patient_entry(&cache, 1).get().await.unwrap().is_some()).await;
        slow.gate.open();
        assert_eq!(finished(batch).await, source.rows(&[1, 2]));
        assert_eq!(finished(one).await, slow.rows(&[2]));
        assert_eq!(source.asked(), [[1]], "the other is not computed twice");
    }
}

const CHILD: &str = "REDIS_CACHED_BATCH_CHILD";

#[redis_cached(prefix = "killed", name = "row", key = "{id}", batch(id in ids), lease = "1s", cache = cache, skip(cache, source))]
async fn killed(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
    source.load(ids).await
}

#[tokio::test]
async fn the_ids_of_a_process_that_is_killed_are_taken_over() {
    if let Ok(url) = std::env::var(CHILD) {
        let cache = Cache::builder(&url).unwrap().timeout(PATIENCE).build();
        killed(&cache, &Source::closed(), &[1, 2, 3, 4]).await;
        return;
    }
    let server = Server::start();
    let mut child = child(module_path!(), "the_ids_of_a_process_that_is_killed_are_taken_over")
        .env(CHILD, server.url())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("its leases", || server.cli(&["DBSIZE"]) == "4");
    let (cache, source) = (other(&server), Source::open());
    let waiting = {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        tokio::spawn(async move { killed(&cache, &source, &[3, 4, 5]).await })
    };
    in_time("its own", async || killed_entry(&cache, 5).get().await.unwrap().is_some()).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(finished(waiting).await, source.rows(&[3, 4, 5]));
    assert_eq!(
        finished(tokio::spawn({
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            async move { killed(&cache, &source, &[1, 2, 3, 4]).await }
        }))
        .await,
        source.rows(&[1, 2, 3, 4])
    );
    let asked = source.asked();
    assert_eq!((&asked[0], asked.concat().len()), (&vec![5], 5), "{asked:?}");
}

// Verbs.

#[tokio::test]
async fn an_id_that_is_invalidated_during_the_body_is_returned_and_not_stored() {
    let server = Server::start();
    for face in FACES {
        let [memory, redis] = caches(&server);
        let pairs = [[memory.clone(), memory], [redis.clone(), redis], [other(&server), other(&server)]];
        for [one, two] in pairs {
            one.invalidate_all([1, 2, 3].map(|id| rows_entry(&one, id))).await.unwrap();
            let before = one.stats().refused;
            let source = Source::closed();
            let batch = spawn(face, &one, &source, [1, 2, 3]);
            entered(&source, 1).await;
            source.version.store(1, SeqCst);
            rows_entry(&two, 2).invalidate().await.unwrap();
            // A call that begins now gets nothing of that body's.
            let later = spawn_one(face, &two, &source, 2);
            entered(&source, 2).await;
            source.gate.open();
            assert_eq!(finished(batch).await[&2], "row 2 of version 0");
            assert_eq!(finished(later).await, "row 2 of version 1");
            assert_eq!(one.stats().refused, before + 1);
            let found = call(face, &one, &source, [1, 2, 3]).await;
            let versions = [1, 2, 3].map(|id| found[&id].ends_with('1'));
            assert_eq!(versions, [false, true, false]);
            assert_eq!(source.asked(), [vec![1, 2, 3], vec![2]]);
        }
    }
}

#[tokio::test]
async fn a_refresh_computes_all_ids_and_an_uncached_call_none_of_the_cache() {
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        rows(&cache, &source, &[1, 2]).await;
        source.version.store(1, SeqCst);
        assert_eq!(rows_refresh(&cache, &source, &[2, 3]).await, source.rows(&[2, 3]));
        assert_eq!(rows_blocking(&cache, &source, &[2, 3]), source.rows(&[2, 3]));
        assert_eq!(source.asked(), [[1, 2], [2, 3]]);
        assert_eq!(row(&cache, &source, 1).await, "row 1 of version 0");
        source.version.store(2, SeqCst);
        assert_eq!(rows_blocking_refresh(&cache, &source, &[1]), source.rows(&[1]));
        assert_eq!(rows_uncached(&cache, &source, &[2, 9]).await, source.rows(&[2, 9]));
        assert_eq!(rows_blocking_uncached(&cache, &source, &[3]), source.rows(&[3]));
        source.asked();
        assert_eq!(rows(&cache, &source, &[1, 2]).await[&2], "row 2 of version 1");
        assert_eq!(rows_entry(&cache, 9).get().await.unwrap(), None);
        assert_eq!(source.asked(), [[0; 0]; 0]);
        let stats = cache.stats();
        assert_eq!((stats.misses, stats.refreshes, stats.stored), (2, 3, 5), "{stats:?}");
    }
}

#[tokio::test]
async fn a_refresh_voids_what_runs_and_is_followed() {
    let server = Server::start();
    for cache in caches(&server) {
        let (old, new) = (Source::closed(), Source::closed());
        let call = spawn(Face::Async, &cache, &old, [1, 2]);
        entered(&old, 1).await;
        new.version.store(1, SeqCst);
        let refresh = {
            let (cache, new) = (cache.clone(), Arc::clone(&new));
            tokio::spawn(async move { rows_refresh(&cache, &new, &[2, 3]).await })
        };
        entered(&new, 1).await;
        old.gate.open();
        assert_eq!(finished(call).await, old.rows(&[1, 2]));
        let follower = spawn(Face::Async, &cache, &old, [1, 2, 3]);
        settle(&cache).await;
        new.gate.open();
        finished(refresh).await;
        let found = finished(follower).await;
        assert_eq!([1, 2, 3].map(|id| found[&id].ends_with('1')), [false, true, true]);
        assert_eq!(old.asked(), [[1, 2]]);
        assert_eq!(cache.stats().shared, 2, "in this process, without asking");
    }
}

#[tokio::test]
async fn the_verbs_of_an_entry_are_for_one_id() {
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        let entry = rows_entry(&cache, 1);
        assert_eq!(entry.key().unwrap(), "batch:row:1");
        assert!(!entry.invalidate().await.unwrap());
        assert!(entry.put(&"put".to_owned()).await.unwrap());
        let written = rows_blocking_entry(&cache, 2).write_through(&"written".to_owned(), || Ok::<_, ()>(7));
        assert_eq!(written, Ok(7));
        let found = rows(&cache, &source, &[1, 2, 3]).await;
        assert_eq!([1, 2, 3].map(|id| found[&id].as_str()), ["put", "written", "row 3 of version 0"]);
        assert_eq!(source.asked(), [[3]]);
        assert!(rows_entry(&cache, 3).ttl().await.unwrap().is_some());
        assert!(entry.invalidate().await.unwrap());
        assert_eq!(entry.get().await.unwrap(), None);
    }
}

#[tokio::test]
async fn single_flight_says_who_shares() {
    macro_rules! flights {
        ($name:ident, $reach:ident) => {
            #[redis_cached(
                                        prefix = "flights", batch(id in ids), single_flight = $reach, lease = "10m",
                                        cache = cache, skip(cache, source)
                                    )]
            async fn $name(cache: Cache, source: Arc<Source>, ids: &[u64]) -> Rows {
                source.load(ids).await
            }
        };
    }
    flights!(process, process);
    flights!(off, off);
    let server = Server::start();
    let [one, two] = [other(&server), other(&server)];
    let source = Source::closed();
    let calls = [&one, &one, &two, &two].map(|cache| {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        tokio::spawn(async move { process(cache, source, &[1, 2]).await })
    });
    entered(&source, 2).await;
    settle(&one).await;
    settle(&two).await;
    source.gate.open();
    for call in calls {
        assert_eq!(finished(call).await, source.rows(&[1, 2]));
    }
    assert_eq!(source.asked(), [[1, 2], [1, 2]], "one in each process");
    for cache in [one, Cache::builder("memory://").unwrap().build()] {
        let source = Source::closed();
        let calls = [(); 4].map(|()| {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            tokio::spawn(async move { off(cache, source, &[1, 2]).await })
        });
        entered(&source, 4).await;
        source.gate.open();
        for call in calls {
            assert_eq!(finished(call).await, source.rows(&[1, 2]));
        }
        assert_eq!(off(cache, source, &[1, 2]).await.len(), 2, "stored by one of them");
    }
}

#[test]
fn many_runtimes_and_none() {
    let server = Server::start();
    let cache = other(&server);
    let source = Source::open();
    thread::scope(|scope| {
        for n in 0..8 {
            let (cache, source) = (&cache, &source);
            scope.spawn(move || {
                for part in 0..10 {
                    let ids: Vec<u64> = (part * 5..part * 5 + 10).collect();
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    let found = match n % 2 {
                        0 => runtime.block_on(rows(cache, source, &ids)),
                        _ => rows_blocking(cache, source, &ids),
                    };
                    assert_eq!(found, source.rows(&ids));
                }
            });
        }
    });
    assert_eq!(sorted(source.asked().concat()), (0..55).collect::<Vec<u64>>());
}

// What goes wrong.

/// Calls for the same ids at the same time, each of which gets what the body returns.
async fn burst(face: Face, cache: &Cache, source: &Arc<Source>, calls: usize) {
    let calls: Vec<_> = (0..calls).map(|_| spawn(face, cache, source, [1, 2, 3])).collect();
    for call in calls {
        assert_eq!(finished(call).await, source.rows(&[1, 2, 3]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_every_batch_succeeds() {
    for face in FACES {
        let cache = Cache::builder(&format!("redis://127.0.0.1:{}", free_port())).unwrap().build();
        let source = Source::open();
        for _ in 0..3 {
            burst(face, &cache, &source, 100).await;
        }
        // Nothing is asked any more, but for one probe at a time, and calls share what runs.
        let source = Source::closed();
        let calls: Vec<_> = (0..20).map(|_| spawn(face, &cache, &source, [1, 2, 3])).collect();
        entered(&source, 1).await;
        test_support::given_time("all of them have come", |pause| {
            thread::sleep(pause);
            source.gate.entered() >= 1
        });
        source.gate.open();
        for call in calls {
            assert_eq!(finished(call).await, source.rows(&[1, 2, 3]));
        }
        let asked = source.asked();
        assert!(asked.len() <= 5, "{} bodies for 20 calls", asked.len());
        assert_eq!(cache.stats().stored, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_fails_costs_a_batch_no_more_than_a_deadline_or_two() {
    const TIMEOUT: Duration = Duration::from_millis(200);
    type Act = fn(&Server);
    let faults: [(&str, Act, Act); 4] = [
        ("hung", Server::stop, Server::cont),
        ("killed", Server::kill, Server::restart),
        ("read-only", |server| drop(server.cli(&["REPLICAOF", "127.0.0.1", "1"])), Server::promote),
        (
            "out of memory",
            |server| drop(server.cli(&["CONFIG", "SET", "maxmemory", "1"])),
            |server| drop(server.cli(&["CONFIG", "SET", "maxmemory", "0"])),
        ),
    ];
    for (name, strike, heal) in faults {
        for face in FACES {
            let server = Server::start();
            let cache = Cache::builder(&server.url()).unwrap().timeout(TIMEOUT).build();
            let source = Source::open();
            call(face, &cache, &source, [1]).await;
            strike(&server);
            for _ in 0..3 {
                let begun = Instant::now();
                burst(face, &cache, &source, 100).await;
                let elapsed = begun.elapsed();
                assert!(elapsed < TIMEOUT * 2 + Duration::from_secs(1), "{name} {face:?}: {elapsed:?}");
            }
            heal(&server);
            source.asked();
            in_time("all are stored", async || {
                call(face, &cache, &source, [1, 2, 3]).await;
                source.asked().is_empty()
            })
            .await;
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_one_slot_is_wrong_with_one_id() {
    let server = Server::start();
    for face in FACES {
        let cache = other(&server);
        cache.invalidate_all([1, 2, 3].map(|id| rows_entry(&cache, id))).await.unwrap();
        let source = Source::open();
        server.cli(&["RPUSH", "batch:row:2", "not a value"]);
        for _ in 0..2 {
            assert_eq!(call(face, &cache, &source, [1, 2, 3]).await, source.rows(&[1, 2, 3]));
        }
        assert_eq!(source.asked(), [vec![1, 2, 3], vec![2]]);
        assert_eq!(server.cli(&["TYPE", "batch:row:2"]), "list", "it is left alone");
        let stats = cache.stats();
        assert_eq!((stats.misses, stats.hits, stats.bypasses, stats.stored), (2, 2, 2, 2), "{stats:?}");
        server.cli(&["DEL", "batch:row:2"]);
        call(face, &cache, &source, [1, 2, 3]).await;
        source.asked();

        // Bytes that were damaged, cut, or are another's.
        for damage in [
            &["SETRANGE", "batch:row:2", "120", "x~~~~"][..],
            &["SET", "batch:row:2", "V"],
            &["SET", "batch:row:2", ""],
            &["COPY", "batch:row:1", "batch:row:2", "REPLACE"],
        ] {
            assert!(!server.cli(damage).starts_with("(error)"), "{damage:?}");
            for _ in 0..2 {
                assert_eq!(call(face, &cache, &source, [1, 2, 3]).await, source.rows(&[1, 2, 3]));
            }
            assert_eq!(source.asked(), [[2]], "{damage:?}");
        }
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_made_is_one_id_uncached() {
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Odd(u64);
    impl Serialize for Odd {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.0.is_multiple_of(2) {
                return Err(serde::ser::Error::custom("even"));
            }
            self.0.serialize(serializer)
        }
    }
    impl<'de> Deserialize<'de> for Odd {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Odd, D::Error> {
            u64::deserialize(deserializer).map(Odd)
        }
    }
    #[redis_cached(prefix = "odd", name = "odds", batch(id in ids), cache = cache, skip(cache, source))]
    async fn odds(cache: &Cache, source: &Source, ids: &[Odd]) -> HashMap<Odd, u64> {
        source.load(&ids.iter().map(|id| id.0).collect::<Vec<_>>()).await;
        ids.iter().map(|id| (id.clone(), id.0)).collect()
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        let ids = [1, 2, 3, 4].map(Odd);
        for _ in 0..2 {
            assert_eq!(odds(&cache, &source, &ids).await.len(), 4);
        }
        assert_eq!(source.asked(), [vec![1, 2, 3, 4], vec![2, 4]]);
        let stats = cache.stats();
        assert_eq!((stats.misses, stats.hits, stats.bypasses, stats.stored), (2, 2, 4, 2), "{stats:?}");
    }
}

#[tokio::test]
async fn a_connection_that_closes_between_read_and_lease_is_made_anew() {
    let server = Server::start();
    for face in FACES {
        let proxy = server.proxy();
        let cache = Cache::builder(&proxy.url()).unwrap().timeout(PATIENCE).build();
        cache.invalidate_all((0..5).map(|id| rows_entry(&cache, id))).await.unwrap();
        let source = Source::open();
        call(face, &cache, &source, [4]).await; // connects
        source.asked();
        // What asks for leases says how long they last.
        proxy.set(Mode::HoldFrom("PX"));
        let batch = spawn(face, &cache, &source, [1, 2, 3]);
        in_time("the leases are asked for", async || proxy.held() > 0).await;
        proxy.set(Mode::Pass);
        proxy.close_clients();
        assert_eq!(finished(batch).await, source.rows(&[1, 2, 3]));
        assert_eq!(source.asked(), [[1, 2, 3]]);
        assert_eq!(call(face, &cache, &source, [1, 2, 3]).await, source.rows(&[1, 2, 3]));
        assert_eq!(source.asked(), [[0; 0]; 0], "stored, over a new connection");
        // The first request still arrives, and takes nothing away.
        proxy.deliver(|| ());
        assert_eq!(call(face, &cache, &source, [1, 2, 3]).await, source.rows(&[1, 2, 3]));
        assert_eq!(source.asked(), [[0; 0]; 0]);
    }
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_not_asked_by_every_batch() {
    // A replica is not even read from; one that is full still answers reads.
    for (reads, setting) in [(false, ["REPLICAOF", "127.0.0.1", "1"]), (true, ["CONFIG", "maxmemory", "1"])] {
        for face in FACES {
            let server = Server::start();
            // Not so patient that each read asks for the server's role.
            let cache = Cache::builder(&server.url()).unwrap().timeout(Duration::from_secs(2)).build();
            let source = Source::open();
            call(face, &cache, &source, [1]).await; // connects
            match setting {
                ["CONFIG", name, value] => server.cli(&["CONFIG", "SET", name, value]),
                command => server.cli(&command),
            };
            burst(face, &cache, &source, 20).await;
            let mut monitor = server.monitor();
            for _ in 0..20 {
                burst(face, &cache, &source, 1).await;
            }
            let commands = names(&monitor.commands());
            let count = |asked: &[&str]| commands.iter().filter(|name| asked.contains(&name.as_str())).count();
            assert_eq!(count(&["MGET"]), if reads { 20 } else { 0 }, "{face:?}: {commands:?}");
            // Now and then one batch tries: what is refused is not seen here, but for the time behind it.
            assert!(count(&["TIME"]) <= 6, "{face:?}: {commands:?}");
        }
    }
}
