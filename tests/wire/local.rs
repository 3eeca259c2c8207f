//! The commands of the local tier.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use test_support::{Gate, Monitor, PATIENCE, Server, eventually};

static DECODED: AtomicU64 = AtomicU64::new(0);

/// A value that counts how often it is decoded.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(from = "u64", into = "u64")]
struct Counted(u64);

impl From<u64> for Counted {
    fn from(value: u64) -> Counted {
        DECODED.fetch_add(1, SeqCst);
        Counted(value)
    }
}

impl From<Counted> for u64 {
    fn from(value: Counted) -> u64 {
        value.0
    }
}

/// A value whose decoding waits at a gate, once.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(from = "u64", into = "u64")]
struct Held(u64);

static IS_HELD: AtomicBool = AtomicBool::new(false);
static DECODING: LazyLock<Gate> = LazyLock::new(Gate::closed);

impl From<u64> for Held {
    fn from(value: u64) -> Held {
        if IS_HELD.swap(false, SeqCst) {
            DECODING.pass_blocking();
        }
        Held(value)
    }
}

impl From<Held> for u64 {
    fn from(value: Held) -> u64 {
        value.0
    }
}

#[redis_cached(prefix = "l", name = "one", key = "{id}", local = 100, cache = cache, skip(cache))]
async fn one(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "l", name = "other", key = "{id}", local = 100, cache = cache, skip(cache))]
async fn other(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "l", name = "plain", key = "{id}", local = 100, cache = cache, skip(cache))]
fn plain(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "l", name = "counted", key = "{id}", local = 100, cache = cache, skip(cache))]
async fn counted(cache: &Cache, id: u64) -> Counted {
    Counted(id)
}

#[redis_cached(prefix = "l", name = "held", key = "{id}", local = 100, cache = cache, skip(cache))]
async fn held(cache: &Cache, id: u64) -> Held {
    Held(id)
}

#[redis_cached(prefix = "l", name = "without", key = "{id}", cache = cache, skip(cache))]
async fn without(cache: &Cache, id: u64) -> u64 {
    id
}

fn remote(server: &Server) -> Cache {
    Cache::builder(&server.url()).unwrap().timeout(PATIENCE).local_bound(PATIENCE).build()
}

/// Calls until the tier answers.
macro_rules! kept {
    ($cache:expr, $call:expr) => {{
        let before = $cache.stats().local_hits;
        for _ in 0..2_000 {
            $call;
            if $cache.stats().local_hits > before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!($cache.stats().local_hits > before, "not kept");
    }};
}

/// The commands that are no heartbeats, and not those of a new connection that find out what the user may do.
fn commands(monitor: &mut Monitor) -> Vec<Vec<String>> {
    let is_of_use = |command: &Vec<String>| command[0] != "ROLE" && !command.join(" ").contains(":permissions:");
    monitor.commands().into_iter().filter(is_of_use).collect()
}

/// The commands that ask whether a slot still holds a value.
fn confirmations(monitor: &mut Monitor) -> Vec<String> {
    commands(monitor).iter().filter(|command| command[0] == "GETRANGE").map(|command| command.join(" ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_sends_nothing() {
    let server = Server::start();
    let cache = &remote(&server);
    kept!(cache, one(cache, 1).await);
    kept!(cache, tokio::task::block_in_place(|| plain(cache, 1)));
    let mut monitor = server.monitor();
    for _ in 0..100 {
        assert_eq!(one(cache, 1).await, 1);
        assert_eq!(tokio::task::block_in_place(|| plain(cache, 1)), 1);
    }
    assert_eq!(commands(&mut monitor), Vec::<Vec<String>>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_confirmed_by_its_first_bytes() {
    let server = Server::start();
    let cache = &remote(&server);
    let mut monitor = server.monitor();
    kept!(cache, one(cache, 1).await);
    assert_eq!(confirmations(&mut monitor), ["GETRANGE l:one:1 0 49"]);
    // Before Redis 7.0, `MONITOR` does not show the command; the flags of a client do.
    let clients = server.cli(&["CLIENT", "LIST"]);
    let is_tracked = |client: &&str| {
        client.split(' ').any(|field| field.strip_prefix("flags=").is_some_and(|flags| flags.contains('t')))
    };
    assert_eq!(clients.lines().filter(is_tracked).count(), 1, "{clients}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_that_ends_after_the_confirmation_does_not_ask_again() {
    let server = Server::start();
    assert_eq!(held(&remote(&server), 1).await, Held(1));
    let cache = remote(&server);
    let mut monitor = server.monitor();
    IS_HELD.store(true, SeqCst);
    let own = cache.clone();
    // Its thread waits while it decodes.
    let runtime = tokio::runtime::Handle::current();
    let slow = tokio::task::spawn_blocking(move || runtime.block_on(held(&own, 1)));
    DECODING.wait_for(1).await;
    kept!(cache, held(&cache, 1).await);
    DECODING.open();
    assert_eq!(slow.await.unwrap(), Held(1));
    // What is asked later is answered later: nothing of the slow call is under way then.
    kept!(cache, held(&cache, 2).await);
    assert_eq!(confirmations(&mut monitor), ["GETRANGE l:held:1 0 49", "GETRANGE l:held:2 0 49"]);
}

/// Of several tests, this one alone has a cache whose functions keep nothing.
#[tokio::test(flavor = "multi_thread")]
async fn functions_without_a_tier_open_no_tracked_connection() {
    let server = Server::start();
    let cache = &remote(&server);
    let mut monitor = server.monitor();
    for _ in 0..10 {
        without(cache, 1).await;
    }
    let commands = commands(&mut monitor);
    let is_of_tier = |command: &Vec<String>| command[0] == "GETRANGE" || command.iter().any(|word| word == "TRACKING");
    assert!(!commands.iter().any(is_of_tier), "{commands:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_another_client_is_told() {
    let server = Server::start();
    let cache = &remote(&server);
    for id in 0..20 {
        kept!(cache, other(cache, id).await);
        server.cli(&["DEL", &format!("l:other:{id}")]);
        let misses = cache.stats().misses;
        let began = std::time::Instant::now();
        while cache.stats().misses == misses {
            assert!(began.elapsed() < PATIENCE / 2, "the change was not told, and the bound is longer");
            other(cache, id).await;
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_change_is_not_decoded_again() {
    let server = Server::start();
    let cache = &remote(&server);
    kept!(cache, counted(cache, 1).await);
    let decoded = DECODED.load(SeqCst);
    for _ in 0..5 {
        // The same bytes again: a change that a mark, or the extension of a lifetime, makes, too.
        server.cli(&["PERSIST", "l:counted:1"]);
        server.cli(&["PEXPIRE", "l:counted:1", "600000"]);
        let hits = cache.stats().local_hits;
        eventually("it is suspended", || {
            let before = cache.stats().local_hits;
            let call = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(counted(cache, 1)));
            assert_eq!(call, Counted(1));
            cache.stats().local_hits == before
        });
        kept!(cache, counted(cache, 1).await);
        assert!(cache.stats().local_hits > hits);
    }
    assert_eq!(DECODED.load(SeqCst), decoded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_here_is_seen_at_once_whatever_the_tracked_connection_does() {
    let server = Server::start();
    let proxy = server.proxy();
    let cache = &Cache::builder(&proxy.url()).unwrap().timeout(PATIENCE).local_bound(PATIENCE).build();
    for round in 0..50 {
        kept!(cache, one(cache, round).await);
        let misses = cache.stats().misses;
        one_entry(cache, round).invalidate().await.unwrap();
        one(cache, round).await;
        assert_eq!(cache.stats().misses, misses + 1);
    }
}
