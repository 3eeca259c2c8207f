//! A batch is as good as a call for each of its ids, whatever happens meanwhile: nothing stale, and
//! nothing that was never there.
//!
//! An origin knows the version of each id, and the floor below which versions are stale: a writer that raises a
//! version invalidates the id, and raises the floor when that has succeeded. Whatever a call returns is
//! not below the floor from before it began, and not above the version from after it has ended: it was
//! current at some moment during the call.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis_cached::{Cache, redis_cached};
use test_support::{PATIENCE, Server};
use tokio::runtime::Runtime;

const IDS: usize = 12;

/// Ids from here on have no value.
const ABSENT: usize = 10;

#[derive(Default)]
struct Origin {
    versions: [AtomicU64; IDS],
    floors: [AtomicU64; IDS],
    bodies: AtomicUsize,
}

impl Origin {
    fn read(&self, id: usize) -> Option<u64> {
        (id < ABSENT).then(|| self.versions[id].load(SeqCst))
    }

    fn read_all(&self, ids: &[usize]) -> HashMap<usize, u64> {
        self.bodies.fetch_add(1, SeqCst);
        ids.iter().filter_map(|id| Some((*id, self.read(*id)?))).collect()
    }
}

/// A read takes a while, so that calls overlap, and invalidations come in between.
const BODY: Duration = Duration::from_micros(300);

#[redis_cached(prefix = "property", name = "row", key = "{id}", none_ttl = "1h", batch(id in ids), cache = cache, skip(cache, origin))]
async fn many(cache: &Cache, origin: &Origin, ids: &[usize]) -> HashMap<usize, u64> {
    let found = origin.read_all(ids);
    tokio::time::sleep(BODY).await;
    found
}

#[redis_cached(prefix = "property", name = "row", key = "{id}", none_ttl = "1h", batch(id in ids), cache = cache, skip(cache, origin))]
fn many_blocking(cache: &Cache, origin: &Origin, ids: &[usize]) -> HashMap<usize, u64> {
    let found = origin.read_all(ids);
    thread::sleep(BODY);
    found
}

#[redis_cached(prefix = "property", name = "row", key = "{id}", none_ttl = "1h", cache = cache, skip(cache, origin))]
async fn one(cache: &Cache, origin: &Origin, id: usize) -> Option<u64> {
    let found = origin.read_all(&[id]).remove(&id);
    tokio::time::sleep(BODY).await;
    found
}

#[redis_cached(prefix = "property", name = "row", key = "{id}", none_ttl = "1h", cache = cache, skip(cache, origin))]
fn one_blocking(cache: &Cache, origin: &Origin, id: usize) -> Option<u64> {
    let found = origin.read_all(&[id]).remove(&id);
    thread::sleep(BODY);
    found
}

#[derive(Clone, Debug)]
enum Step {
    Many(Vec<usize>),
    ManyBlocking(Vec<usize>),
    Refresh(Vec<usize>),
    /// Dropped after so many polls.
    Cancelled(Vec<usize>, usize),
    One(usize),
    OneBlocking(usize),
    Write(usize),
    /// A single invalidation for all of them.
    WriteAll(Vec<usize>),
}

/// The steps that several actors take at the same time, each through one of the caches.
type Script = Vec<(usize, Vec<Step>)>;

fn script() -> impl Strategy<Value = Script> {
    let id = || 0..IDS;
    // The ids include duplicates, and may be none at all.
    let ids = || proptest::collection::vec(0..IDS, 0..IDS);
    let step = prop_oneof![
        4 => ids().prop_map(Step::Many),
        3 => ids().prop_map(Step::ManyBlocking),
        1 => ids().prop_map(Step::Refresh),
        1 => (ids(), 1usize..40).prop_map(|(ids, polls)| Step::Cancelled(ids, polls)),
        1 => id().prop_map(Step::One),
        1 => id().prop_map(Step::OneBlocking),
        3 => (0..ABSENT).prop_map(Step::Write),
        1 => ids().prop_map(Step::WriteAll),
    ];
    proptest::collection::vec((0usize..3, proptest::collection::vec(step, 1..8)), 1..5)
}

/// The floor of each id when a call began.
fn floors(origin: &Origin) -> [u64; IDS] {
    origin.floors.each_ref().map(|floor| floor.load(SeqCst))
}

fn check(origin: &Origin, floors: [u64; IDS], ids: &[usize], found: &HashMap<usize, u64>) {
    let wanted: BTreeSet<usize> = ids.iter().copied().filter(|id| *id < ABSENT).collect();
    assert_eq!(found.keys().copied().collect::<BTreeSet<_>>(), wanted, "of {ids:?}");
    for (id, version) in found {
        let latest = origin.versions[*id].load(SeqCst);
        assert!((floors[*id]..=latest).contains(version), "id {id}: {version} not in {}..={latest}", floors[*id]);
    }
}

/// Any writer of an id: versions and floors only grow.
async fn write(cache: &Cache, origin: &Origin, ids: &[usize]) {
    let ids: BTreeSet<usize> = ids.iter().copied().filter(|id| *id < ABSENT).collect();
    let versions: Vec<(usize, u64)> =
        ids.iter().map(|id| (*id, origin.versions[*id].fetch_add(1, SeqCst) + 1)).collect();
    match *versions {
        [(id, _)] => drop(many_entry(cache, id).invalidate().await.expect("the store answers")),
        _ => drop(cache.invalidate_all(ids.iter().map(|id| many_entry(cache, *id))).await.expect("the store answers")),
    }
    for (id, version) in versions {
        origin.floors[id].fetch_max(version, SeqCst);
    }
}

async fn act(cache: Cache, origin: Arc<Origin>, steps: Vec<Step>) {
    for step in steps {
        let floors = floors(&origin);
        match step {
            Step::Many(ids) => check(&origin, floors, &ids, &many(&cache, &origin, &ids).await),
            Step::ManyBlocking(ids) => {
                let (cache, origin) = (cache.clone(), Arc::clone(&origin));
                let call = move || check(&origin, floors, &ids, &many_blocking(&cache, &origin, &ids));
                tokio::task::spawn_blocking(call).await.expect("what it returns is right");
            }
            Step::Refresh(ids) => {
                let before = origin.versions.each_ref().map(|version| version.load(SeqCst));
                check(&origin, before, &ids, &many_refresh(&cache, &origin, &ids).await);
            }
            Step::Cancelled(ids, polls) => {
                if let Some(found) = test_support::polled(polls, many(&cache, &origin, &ids)).await {
                    check(&origin, floors, &ids, &found);
                }
            }
            Step::One(id) => {
                let found = one(&cache, &origin, id).await;
                check(&origin, floors, &[id], &found.map(|version| (id, version)).into_iter().collect());
            }
            Step::OneBlocking(id) => {
                let (cache, origin) = (cache.clone(), Arc::clone(&origin));
                let call = move || {
                    let found = one_blocking(&cache, &origin, id);
                    check(&origin, floors, &[id], &found.map(|version| (id, version)).into_iter().collect());
                };
                tokio::task::spawn_blocking(call).await.expect("what it returns is right");
            }
            Step::Write(id) => write(&cache, &origin, &[id]).await,
            Step::WriteAll(ids) => write(&cache, &origin, &ids).await,
        }
    }
}

/// Plays a script, then compares a batch with single calls.
async fn play(caches: &[Cache], script: Script) {
    let all: Vec<usize> = (0..IDS).collect();
    caches[0].invalidate_all(all.iter().map(|id| many_entry(&caches[0], *id))).await.unwrap();
    let origin = Arc::new(Origin::default());
    let actors = script
        .into_iter()
        .map(|(cache, steps)| tokio::spawn(act(caches[cache % caches.len()].clone(), Arc::clone(&origin), steps)));
    let actors: Vec<_> = actors.collect();
    for actor in actors {
        tokio::time::timeout(PATIENCE, actor).await.expect("a call hangs").expect("what it returns is right");
    }
    for (cache, other) in caches.iter().zip(caches.iter().cycle().skip(1)) {
        let batch = many(cache, &origin, &all).await;
        check(&origin, floors(&origin), &all, &batch);
        for id in &all {
            assert_eq!(one(other, &origin, *id).await, batch.get(id).copied(), "{id}");
        }
        // All of it is stored by now: by no other way is it computed again.
        let bodies = origin.bodies.load(SeqCst);
        assert_eq!(many(other, &origin, &all).await, batch);
        assert_eq!(origin.bodies.load(SeqCst), bodies);
    }
}

fn check_all(caches: &[Cache]) {
    let runtime = Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let result = runner.run(&script(), |script| {
        runtime.block_on(play(caches, script));
        Ok(())
    });
    result.unwrap();
}

#[test]
fn a_batch_is_a_call_for_each_of_its_ids_in_memory() {
    check_all(&[Cache::builder("memory://").unwrap().build()]);
}

#[test]
fn a_batch_is_a_call_for_each_of_its_ids_on_a_server() {
    let server = Server::start();
    let cache = || Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    check_all(&[cache()]);
    // The caches of several processes.
    check_all(&[cache(), cache(), cache()]);
}
