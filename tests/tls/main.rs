//! Redis over TLS, through rustls, for both kinds of functions.

mod cluster;
mod connections;
#[cfg(feature = "tls-rustls-danger")]
mod danger;
mod files;
mod handshakes;
#[cfg(feature = "local")]
#[path = "../faults/kept.rs"]
mod kept;
#[path = "../faults/kill.rs"]
mod kill;
#[path = "../faults/outage/mod.rs"]
mod outage;
#[path = "../faults/outage/replicas.rs"]
mod outages_of_replicas;
#[path = "../promises/processes.rs"]
mod processes;
mod roots;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use redis_cached::{Cache, Error, Tls, redis_cached};
use test_support::{PATIENCE, ProxiedServers};

/// True if connections are encrypted.
const OVER_TLS: bool = true;

/// True if the servers are the nodes of a cluster.
const IN_CLUSTER: bool = false;

/// True if sentinels tell the address of the server.
const BY_SENTINELS: bool = false;

/// The servers of the outages.
type Place = ProxiedServers;

/// Makes the servers of one outage.
fn place() -> Place {
    started()
}

/// Starts a server that speaks TLS.
fn started() -> ProxiedServers {
    ProxiedServers::over_tls()
}

/// A cache whose settings are right so far.
fn cache(url: &str, tls: Tls) -> Cache {
    Cache::builder(url).unwrap().tls(tls).unwrap().timeout(PATIENCE).build()
}

#[redis_cached(prefix = "tls", cache = cache, skip(cache, runs))]
async fn square(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    runs.fetch_add(1, SeqCst);
    id * id
}

#[redis_cached(prefix = "tls", cache = cache, skip(cache, runs))]
fn square_plain(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    runs.fetch_add(1, SeqCst);
    id * id
}

/// Checks that both kinds of functions have hits.
fn works(cache: &Cache) {
    let runs = AtomicUsize::new(0);
    in_runtime(async {
        for _ in 0..3 {
            assert_eq!(square(cache, &runs, 4).await, 16);
        }
    });
    assert_eq!(runs.swap(0, SeqCst), 1, "async: {:?}", pings(cache));
    for _ in 0..3 {
        assert_eq!(square_plain(cache, &runs, 5), 25);
    }
    assert_eq!(runs.load(SeqCst), 1, "plain: {:?}", pings(cache));
    in_runtime(square_entry(cache, 4).invalidate()).unwrap();
    square_plain_entry(cache, 5).invalidate().unwrap();
}

/// The reason why the cache does not work: the same one for both kinds of functions.
#[track_caller]
fn fails(cache: &Cache) -> Error {
    let [of_async, of_plain] = pings(cache).map(|pinged| pinged.expect_err("it must not connect"));
    assert_eq!(of_async.kind(), of_plain.kind(), "{of_async}; {of_plain}");
    assert_eq!(of_async.to_string(), of_plain.to_string());
    let runs = AtomicUsize::new(0);
    assert_eq!(in_runtime(square(cache, &runs, 4)), 16, "the function always works");
    assert_eq!(square_plain(cache, &runs, 5), 25);
    assert_eq!(runs.into_inner(), 2);
    of_async
}

fn pings(cache: &Cache) -> [Result<(), Error>; 2] {
    [in_runtime(cache.ping()), cache.blocking().ping()]
}

fn in_runtime<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
