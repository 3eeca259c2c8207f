//! `wait`: how long a call waits for others, and that of those that wait no longer one computes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use test_support::{Gate, PATIENCE, Server, caches, in_time};
use tokio::task::{JoinHandle, spawn_blocking};

/// Two views of one server, as two processes have them, and one memory.
fn pairs(server: &Server) -> [[Cache; 2]; 2] {
    let memory = Cache::builder("memory://").unwrap().build();
    // These tests need no outage, and a busy machine may be slow.
    [[memory.clone(), memory], [0, 1].map(|_| Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build())]
}

/// A body of several leases, which is shorter than the wait.
const LONG: Duration = Duration::from_millis(3_500);

#[redis_cached(prefix = "wait", name = "long", lease = "1s", cache = cache, skip(cache, runs))]
async fn long(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    let run = runs.fetch_add(1, SeqCst) as u64;
    tokio::time::sleep(LONG).await;
    id * 1000 + run
}

#[redis_cached(prefix = "wait", name = "long_blocking", lease = "1s", cache = cache, skip(cache, runs))]
fn long_blocking(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    let run = runs.fetch_add(1, SeqCst) as u64;
    thread::sleep(LONG);
    id * 1000 + run
}

#[redis_cached(prefix = "wait", name = "long_batch", batch(id in ids), lease = "1s", cache = cache, skip(cache, runs))]
async fn long_batch(cache: &Cache, runs: &AtomicUsize, ids: &[u64]) -> BTreeMap<u64, u64> {
    let run = runs.fetch_add(1, SeqCst) as u64;
    tokio::time::sleep(LONG).await;
    ids.iter().map(|id| (*id, id * 1000 + run)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_many_leases_runs_once() {
    let server = Server::start();
    let [tasks, threads, batches] = [0; 3].map(|_| [0; 2].map(|_| Arc::new(AtomicUsize::new(0))));
    let mut calls: Vec<JoinHandle<u64>> = Vec::new();
    for (at, pair) in pairs(&server).into_iter().enumerate() {
        for cache in pair {
            for _ in 0..10 {
                let (on, runs) = (cache.clone(), Arc::clone(&tasks[at]));
                calls.push(tokio::spawn(async move { long(&on, &runs, 1).await }));
                let (on, runs) = (cache.clone(), Arc::clone(&threads[at]));
                calls.push(spawn_blocking(move || long_blocking(&on, &runs, 1)));
                let (on, runs) = (cache.clone(), Arc::clone(&batches[at]));
                calls.push(tokio::spawn(async move { long_batch(&on, &runs, &[1, 2]).await[&1] }));
            }
        }
    }
    for call in calls {
        assert_eq!(call.await.unwrap(), 1000);
    }
    let ran = |runs: [Arc<AtomicUsize>; 2]| runs.map(|runs| runs.load(SeqCst));
    assert_eq!((ran(tasks), ran(threads), ran(batches)), ([1, 1], [1, 1], [1, 1]));
}

#[redis_cached(prefix = "wait", name = "hasty", wait = "2500ms", cache = cache, skip(cache, gate))]
async fn hasty(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id * 1000 + gate.pass().await as u64
}

#[redis_cached(prefix = "wait", name = "hasty_blocking", wait = "2500ms", cache = cache, skip(cache, gate))]
fn hasty_blocking(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id * 1000 + gate.pass_blocking() as u64
}

#[redis_cached(prefix = "wait", name = "hasty_batch", batch(id in ids), wait = "2500ms", cache = cache, skip(cache, gate))]
async fn hasty_batch(cache: &Cache, gate: &Gate, ids: &[u64]) -> BTreeMap<u64, u64> {
    let run = gate.pass().await as u64;
    ids.iter().map(|id| (*id, id * 1000 + run)).collect()
}

/// Ids for which calls meet while each of them finds out which of the ids it computes.
const MANY: [u64; 10] = [100, 101, 102, 103, 104, 105, 106, 107, 108, 109];

/// Starts a call that leads, and then calls of each cache at once; returns how many got each value.
async fn late(
    caches: [Cache; 2],
    count: usize,
    gate: &Arc<Gate>,
    call: impl Fn(&Cache, &Arc<Gate>) -> JoinHandle<u64>,
) -> Vec<usize> {
    let mut calls = vec![call(&caches[0], gate)];
    // Of batches that start at once, each may lease a part of the ids.
    gate.wait_for(1).await;
    calls.extend(caches.iter().flat_map(|cache| (0..count).map(|_| call(cache, gate))).skip(1));
    let processes = if format!("{:?}", caches[0]).contains("memory") { 1 } else { 2 };
    gate.wait_for(1 + processes).await;
    // Others would be there by now.
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(gate.entered(), 1 + processes, "in each process one computes for its others");
    gate.open();
    let mut got = BTreeMap::new();
    for call in calls {
        *got.entry(call.await.unwrap()).or_default() += 1;
    }
    let mut counts: Vec<usize> = got.into_values().collect();
    counts.sort_unstable();
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_end_of_the_wait_one_call_of_each_process_computes() {
    let server = Server::start();
    for pair in pairs(&server) {
        let (tasks, threads, batches) = (Arc::new(Gate::closed()), Arc::new(Gate::closed()), Arc::new(Gate::closed()));
        let together = tokio::join!(
            late(pair.clone(), 20, &tasks, |cache, gate| {
                let (cache, gate) = (cache.clone(), Arc::clone(gate));
                tokio::spawn(async move { hasty(&cache, &gate, 1).await })
            }),
            late(pair.clone(), 10, &threads, |cache, gate| {
                let (cache, gate) = (cache.clone(), Arc::clone(gate));
                spawn_blocking(move || hasty_blocking(&cache, &gate, 1))
            }),
            late(pair.clone(), 20, &batches, |cache, gate| {
                let (cache, gate) = (cache.clone(), Arc::clone(gate));
                tokio::spawn(async move { hasty_batch(&cache, &gate, &MANY).await[&MANY[0]] })
            }),
        );
        // The leader got its own, and all others of a process share.
        let shared =
            |count: usize| if together.0.len() == 2 { vec![1, 2 * count - 1] } else { vec![1, count - 1, count] };
        assert_eq!(together, (shared(20), shared(10), shared(20)));
        // The leader's is stored, and none of those.
        assert_eq!(hasty_entry(&pair[1], 1).get().await.unwrap(), Some(1001));
        assert_eq!(hasty_batch_entry(&pair[1], MANY[0]).get().await.unwrap(), Some(MANY[0] * 1000 + 1));
    }
}

#[redis_cached(prefix = "wait", name = "row", key = "{id}", lease = "10m", cache = cache, skip(cache, gate))]
async fn row(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id * 1000 + gate.pass().await as u64
}

#[redis_cached(prefix = "wait", name = "row", key = "{id}", lease = "10m", cache = cache, skip(cache, gate))]
fn row_blocking(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id * 1000 + gate.pass_blocking() as u64
}

#[redis_cached(prefix = "wait", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, gate))]
async fn rows(cache: &Cache, gate: &Gate, ids: &[u64]) -> BTreeMap<u64, u64> {
    let run = gate.pass().await as u64;
    ids.iter().map(|id| (*id, id * 1000 + run)).collect()
}

/// Leases the entries as another process would, for so many milliseconds.
fn lease(server: &Server, keys: &[String], token: u8, millis: u64) {
    for key in keys {
        let lease = [&b"L\x01"[..], &[token; 16]].concat();
        redis::cmd("SET").arg(key).arg(lease).arg("PX").arg(millis).exec(&mut server.connection()).unwrap();
    }
}

/// A function, a plain one and one for many ids, with the same entries.
macro_rules! functions {
    ($name:tt $one:ident $plain:ident $many:ident [$($argument:tt)*]) => {
        #[redis_cached(prefix = "wait", name = $name, key = "{id}", lease = "10m", cache = cache, skip(cache, gate), $($argument)*)]
        async fn $one(cache: &Cache, gate: &Gate, id: u64) -> u64 {
            id * 1000 + gate.pass().await as u64
        }

        #[redis_cached(prefix = "wait", name = $name, key = "{id}", lease = "10m", cache = cache, skip(cache, gate), $($argument)*)]
        fn $plain(cache: &Cache, gate: &Gate, id: u64) -> u64 {
            id * 1000 + gate.pass_blocking() as u64
        }

        #[redis_cached(
            prefix = "wait", name = $name, key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, gate), $($argument)*
        )]
        async fn $many(cache: &Cache, gate: &Gate, ids: &[u64]) -> BTreeMap<u64, u64> {
            let run = gate.pass().await as u64;
            ids.iter().map(|id| (*id, id * 1000 + run)).collect()
        }
    };
}

functions! { "brief" brief brief_blocking brief_rows [wait = "3s"] }
functions! { "refused" refused refused_blocking refused_rows [cache_if = |_| false] }

/// Starts a call.
type Spawn = fn(Cache, Arc<Gate>, &'static [u64]) -> JoinHandle<u64>;

/// Starts calls that wait while others lease the slot again and again, as leaders that fail or are given up do. Returns
/// the number of leases that they saw before one of them computes for all.
async fn leases_before_a_body(server: &Server, cache: &Cache, keys: &[String], ids: &'static [u64], call: Spawn) -> u8 {
    let gate = Arc::new(Gate::closed());
    lease(server, keys, 1, 600_000);
    let calls: Vec<_> = (0..40).map(|_| call(cache.clone(), Arc::clone(&gate), ids)).collect();
    let mut token = 1;
    in_time("a body begins", async || {
        // Long enough for each of them to see one of these.
        tokio::time::sleep(Duration::from_millis(150)).await;
        token += 1;
        lease(server, keys, token, 600_000);
        gate.entered() > 0
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(gate.entered(), 1, "{ids:?}");
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap(), ids[0] * 1000 + 1, "{ids:?}");
    }
    assert_eq!(gate.entered(), 1, "{ids:?}");
    token
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_calls_whose_leaders_come_and_go_one_computes_at_the_end_of_the_wait() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    let spawn: [(&[u64], Spawn); 3] = [
        (&[1], |cache, gate, ids| tokio::spawn(async move { brief(&cache, &gate, ids[0]).await })),
        (&[2], |cache, gate, ids| spawn_blocking(move || brief_blocking(&cache, &gate, ids[0]))),
        (&MANY, |cache, gate, ids| tokio::spawn(async move { brief_rows(&cache, &gate, ids).await[&ids[0]] })),
    ];
    for (ids, call) in spawn {
        let keys: Vec<String> = ids.iter().map(|id| brief_entry(&cache, *id).key().unwrap().to_owned()).collect();
        let begun = Instant::now();
        let leases = leases_before_a_body(&server, &cache, &keys, ids, call).await;
        assert!(begun.elapsed() >= Duration::from_secs(3) && leases > 3, "{leases} leases of {ids:?}");
    }
}

/// Where results are not stored, a leader that succeeds leaves no more than one that fails, and calls of many processes
/// must not run one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_two_leaders_one_computes_where_values_are_not_stored() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    let spawn: [(&[u64], Spawn); 3] = [
        (&[1], |cache, gate, ids| tokio::spawn(async move { refused(&cache, &gate, ids[0]).await })),
        (&[2], |cache, gate, ids| spawn_blocking(move || refused_blocking(&cache, &gate, ids[0]))),
        (&MANY, |cache, gate, ids| tokio::spawn(async move { refused_rows(&cache, &gate, ids).await[&ids[0]] })),
    ];
    for (ids, call) in spawn {
        let open = Arc::new(Gate::closed());
        open.open();
        // The process learns that values are not stored.
        call(cache.clone(), open, &[9]).await.unwrap();
        let keys: Vec<String> = ids.iter().map(|id| refused_entry(&cache, *id).key().unwrap().to_owned()).collect();
        let begun = Instant::now();
        leases_before_a_body(&server, &cache, &keys, ids, call).await;
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_that_wait_for_a_dead_leader_one_replaces_it() {
    let server = Server::start();
    let [one, other] = [0, 1].map(|_| Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build());
    let key = row_entry(&one, 1).key().unwrap().to_owned();
    let gate = Arc::new(Gate::closed());
    lease(&server, &[key], 1, 1_000);
    let calls = [&one, &other].into_iter().cycle().take(40).enumerate().map(|(at, cache)| {
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        if at % 4 < 2 {
            tokio::spawn(async move { row(&cache, &gate, 1).await })
        } else {
            spawn_blocking(move || row_blocking(&cache, &gate, 1))
        }
    });
    let calls: Vec<_> = calls.collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(gate.entered(), 0, "its lease stands");
    gate.wait_for(1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap(), 1001);
    }
    assert_eq!(gate.entered(), 1);
    assert_eq!(row_entry(&other, 1).get().await.unwrap(), Some(1001), "it had the lease");
}

#[tokio::test]
async fn cancelled_batches_hand_over_one_after_the_other() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Arc::new(Gate::closed());
        let call = || {
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            tokio::spawn(async move { rows(&cache, &gate, &[1, 2, 3]).await })
        };
        let mut calls: Vec<_> = (0..40).map(|_| call()).collect();
        for leaders in 1..=8 {
            gate.wait_for(leaders).await;
            test_support::settle(row_entry(&cache, 9).get()).await.unwrap();
            let leading = calls.iter().position(|call| Some(call.id()) == gate.task());
            let leader = calls.swap_remove(leading.expect("one of the calls runs the body"));
            leader.abort();
            assert!(leader.await.unwrap_err().is_cancelled());
        }
        gate.wait_for(9).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        gate.open();
        for call in calls {
            assert_eq!(call.await.unwrap()[&2], 2009);
        }
        assert_eq!(gate.entered(), 9);
    }
}

/// It leaves an empty slot, and nothing for those that waited for it.
#[tokio::test]
async fn of_calls_that_wait_for_a_write_that_fails_one_computes() {
    let server = Server::start();
    for cache in caches(&server) {
        let (writing, reading) = (Arc::new(Gate::closed()), Arc::new(Gate::closed()));
        let write = {
            let (cache, writing) = (cache.clone(), Arc::clone(&writing));
            tokio::spawn(async move {
                let write = async || {
                    writing.pass().await;
                    Err::<(), _>("its reply was lost")
                };
                row_entry(&cache, 1).write_through(&7, write).await
            })
        };
        writing.wait_for(1).await;
        let calls = (0..40).map(|_| {
            let (cache, reading) = (cache.clone(), Arc::clone(&reading));
            tokio::spawn(async move { row(&cache, &reading, 1).await })
        });
        let calls: Vec<_> = calls.collect();
        test_support::settle(row_entry(&cache, 9).get()).await.unwrap();
        writing.open();
        assert!(write.await.unwrap().is_err());
        reading.wait_for(1).await;
        test_support::settle(row_entry(&cache, 9).get()).await.unwrap();
        reading.open();
        for call in calls {
            assert!([1001, 1002].contains(&call.await.unwrap()));
        }
        // The entry is invalidated after the write, which may void the lease of the first call.
        assert!(reading.entered() <= 2, "{}", reading.entered());
    }
}
