//! Leases that cannot be given back, because the server refuses writes: no call waits for them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use test_support::{PATIENCE, Server};

const LEASE: Duration = Duration::from_secs(20);

/// The body of a leader says that it runs, and waits to be told to end.
struct Body {
    runs: Sender<()>,
    ends: Mutex<Receiver<()>>,
}

#[redis_cached(prefix = "left", name = "row", key = "{id}", lease = "20s", cache = cache, skip(cache, body))]
fn leading(cache: &Cache, body: &Body, id: u64) -> u64 {
    body.runs.send(()).unwrap();
    body.ends.lock().unwrap().recv_timeout(LEASE).unwrap();
    id
}

#[redis_cached(prefix = "left", name = "row", key = "{id}", lease = "20s", cache = cache, skip(cache))]
async fn row(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "left", name = "row", key = "{id}", lease = "20s", cache = cache, skip(cache))]
fn plain(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "left", name = "row", key = "{id}", lease = "20s", batch(id in ids), cache = cache, skip(cache))]
async fn batch(cache: &Cache, ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, *id)).collect()
}

#[redis_cached(prefix = "left", name = "row", key = "{id}", lease = "20s", batch(id in ids), cache = cache, skip(cache))]
fn plain_batch(cache: &Cache, ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, *id)).collect()
}

const KEYS: u64 = 4;

/// Calls for keys that other processes lease, each with what it is called in a message.
fn waiting(cache: &Cache, id: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match id {
        0 => assert_eq!(runtime.block_on(row(cache, id)), id),
        1 => assert_eq!(plain(cache, id), id),
        2 => assert_eq!(runtime.block_on(batch(cache, &[id])).len(), 1),
        _ => assert_eq!(plain_batch(cache, &[id]).len(), 1),
    }
}

#[test]
fn keep_no_call_waiting_where_writes_are_refused() {
    let server = Server::start();
    let cache = || Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    let (leader, other) = (&cache(), &cache());
    let (runs, running) = channel();
    let (ending, ends) = channel();
    let body = &Body { runs, ends: Mutex::new(ends) };
    thread::scope(|scope| {
        let leaders: Vec<_> = (0..KEYS).map(|id| scope.spawn(move || leading(leader, body, id))).collect();
        leaders.iter().for_each(|_| running.recv_timeout(PATIENCE).unwrap());
        let begun = Instant::now();
        let early: Vec<_> = (0..KEYS).map(|id| scope.spawn(move || waiting(other, id))).collect();
        assert_eq!(server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]), "OK");
        leaders.iter().for_each(|_| ending.send(()).unwrap());
        for (id, leader) in (0..).zip(leaders) {
            assert_eq!(leader.join().unwrap(), id);
        }
        // The other process notices by calls of its own that nothing is stored.
        (100..110).for_each(|id| assert_eq!(plain(other, id), id));
        early.into_iter().for_each(|call| call.join().unwrap());
        (0..KEYS).for_each(|id| waiting(other, id));
        assert!(begun.elapsed() < LEASE / 2, "{:?}", begun.elapsed());
        let left = (0..KEYS).filter(|id| server.cli(&["EXISTS", plain_entry(other, *id).key().unwrap()]) == "1");
        assert_eq!(left.count(), KEYS as usize, "the leases are still there");
    });
}
