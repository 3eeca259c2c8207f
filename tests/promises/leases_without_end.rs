//! Leases that a server keeps for ever: their holder is gone, and somebody made them persistent, or restored them from a
//! dump. A call waits for one as it waits for any other leader that is gone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use test_support::{PATIENCE, Server, in_time};
use tokio::task::spawn_blocking;

/// The bound on waiting, of which each call took all.
const WAIT: Duration = Duration::from_secs(15);

#[redis_cached(prefix = "endless", name = "row", key = "{id}", lease = "1s", wait = "15s", cache = cache, skip(cache))]
async fn row(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

#[redis_cached(prefix = "endless", name = "row", key = "{id}", lease = "1s", wait = "15s", cache = cache, skip(cache))]
fn plain_row(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

#[redis_cached(
    prefix = "endless",
    name = "row",
    key = "{id}",
    batch(id in ids),
    lease = "1s",
    wait = "15s",
    cache = cache,
    skip(cache)
)]
async fn rows(cache: &Cache, ids: &[u64]) -> BTreeMap<u64, u64> {
    let _ = cache;
    ids.iter().map(|id| (*id, *id)).collect()
}

#[redis_cached(
    prefix = "endless",
    name = "row",
    key = "{id}",
    batch(id in ids),
    lease = "1s",
    wait = "15s",
    cache = cache,
    skip(cache)
)]
fn plain_rows(cache: &Cache, ids: &[u64]) -> BTreeMap<u64, u64> {
    let _ = cache;
    ids.iter().map(|id| (*id, *id)).collect()
}

/// Leases the entries as a process that is killed leaves them, and makes the leases persistent.
async fn lease(server: &Server, cache: &Cache, ids: &[u64]) {
    for id in ids {
        let key = row_entry(cache, *id).key().unwrap().to_owned();
        let lease = [&b"L\x01"[..], &[7; 16]].concat();
        redis::cmd("SET").arg(&key).arg(lease).arg("PX").arg(1_000).exec(&mut server.connection()).unwrap();
        assert_eq!(server.cli(&["PERSIST", &key]), "1");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_persistent_lease_costs_no_more_than_another() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    lease(&server, &cache, &[1, 2, 3, 4, 5, 6, 7, 8]).await;
    let begun = Instant::now();
    let on = [(); 4].map(|()| cache.clone());
    let [one, plain, many, plain_many] = on;
    let calls = [
        tokio::spawn(async move { row(&one, 1).await }),
        spawn_blocking(move || plain_row(&plain, 2)),
        tokio::spawn(async move { rows(&many, &[3, 4, 5]).await[&4] }),
        spawn_blocking(move || plain_rows(&plain_many, &[6, 7, 8])[&7]),
    ];
    for (call, value) in calls.into_iter().zip([1, 2, 4, 7]) {
        assert_eq!(call.await.unwrap(), value);
        println!("the call for {value}: {:?}", begun.elapsed());
    }
    assert!(begun.elapsed() < WAIT / 2, "{:?}", begun.elapsed());
    // Each was computed under a lease of its own.
    for id in 1..=8 {
        in_time("it is stored", async || row_entry(&cache, id).get().await.unwrap() == Some(id)).await;
    }
}
