//! The local tier while connections, servers and rights fail: no hit is staler than the bound, and nothing that this
//! process wrote is served in its old form.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use test_support::{Mode, PATIENCE, Server, eventually, log};

const BOUND: Duration = Duration::from_millis(500);

/// The data behind the functions.
#[derive(Default)]
struct Origin(AtomicU64);

#[redis_cached(prefix = "lf", name = "row", key = "{id}", local = 1000, cache = cache, skip(cache, origin))]
async fn row(cache: &Cache, origin: &Origin, id: u64) -> u64 {
    origin.0.load(SeqCst)
}

#[redis_cached(prefix = "lf", name = "row", key = "{id}", local = 1000, cache = cache, skip(cache, origin))]
fn plain_row(cache: &Cache, origin: &Origin, id: u64) -> u64 {
    origin.0.load(SeqCst)
}

fn cache_at(url: &str) -> Cache {
    Cache::builder(url).unwrap().timeout(Duration::from_secs(1)).local_bound(BOUND).build()
}

/// Calls until the tier answers.
fn kept(cache: &Cache, origin: &Origin, id: u64) -> u64 {
    let mut value = None;
    eventually("the value is kept", || {
        let before = cache.stats().local_hits;
        value = Some(plain_row(cache, origin, id));
        cache.stats().local_hits > before
    });
    value.unwrap()
}

/// Calls until the new value is there, and asserts that no call that began later than the bound after `changed` got an
/// old one. Returns how long it took.
fn until_new(cache: &Cache, origin: &Origin, id: u64, new: u64, changed: Instant) -> Duration {
    loop {
        let began = Instant::now();
        if plain_row(cache, origin, id) == new {
            return began.saturating_duration_since(changed);
        }
        let age = began.saturating_duration_since(changed);
        assert!(age <= BOUND, "an old value {age:?} after the change");
    }
}

/// Changes the data, and removes the entry at the server.
fn change(server: &Server, origin: &Origin, id: u64, new: u64) -> Instant {
    origin.0.store(new, SeqCst);
    server.cli(&["DEL", &format!("lf:row:{id}")]);
    Instant::now()
}

#[test]
fn a_tracked_connection_that_hangs_serves_no_longer_than_the_bound() {
    let (server, origin) = (Server::start(), Origin::default());
    let proxy = server.proxy();
    let cache = &cache_at(&proxy.url());
    for round in 1..4 {
        assert_eq!(kept(cache, &origin, 1), round - 1);
        // The next heartbeat freezes its connection, and no other.
        proxy.set(Mode::FreezeOnce("ROLE", 1));
        eventually("it is frozen", || proxy.frozen() > 0);
        let changed = change(&server, &origin, 1, round);
        until_new(cache, &origin, 1, round, changed);
        proxy.set(Mode::Pass);
    }
}

#[test]
fn delayed_messages_are_within_the_bound() {
    let (server, origin) = (Server::start(), Origin::default());
    let proxy = server.proxy();
    let cache = &cache_at(&proxy.url());
    assert_eq!(kept(cache, &origin, 1), 0);
    for (round, delay) in [(1, 50), (2, 200)] {
        proxy.set(Mode::Delay(Duration::from_millis(delay)));
        kept(cache, &origin, 1);
        let changed = change(&server, &origin, 1, round);
        until_new(cache, &origin, 1, round, changed);
    }
}

/// The id of the tracked connection, whose flags have a `t`.
fn tracked(server: &Server) -> Option<String> {
    let list = server.cli(&["CLIENT", "LIST"]);
    let field = |line: &str, name: &str| {
        line.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    };
    let line = list.lines().find(|line| field(line, "flags").is_some_and(|flags| flags.contains('t')))?;
    field(line, "id")
}

#[test]
fn a_connection_that_is_killed_is_replaced() {
    let (server, origin) = (Server::start(), Origin::default());
    let cache = &cache_at(&server.url());
    for round in 1..6 {
        kept(cache, &origin, 1);
        let id = tracked(&server).expect("a tracked connection");
        server.cli(&["CLIENT", "KILL", "ID", &id]);
        let changed = change(&server, &origin, 1, round);
        until_new(cache, &origin, 1, round, changed);
    }
}

#[test]
fn a_server_that_is_emptied_tells_it() {
    let (server, origin) = (Server::start(), Origin::default());
    let cache = &cache_at(&server.url());
    for (round, command) in [(1, "FLUSHALL"), (2, "FLUSHDB"), (3, "FLUSHALL")] {
        kept(cache, &origin, 1);
        origin.0.store(round, SeqCst);
        server.cli(&[command]);
        until_new(cache, &origin, 1, round, Instant::now());
    }
}

#[test]
fn a_server_that_was_killed_and_is_empty_again() {
    let (server, origin) = (Server::start(), Origin::default());
    let cache = &cache_at(&server.url());
    kept(cache, &origin, 1);
    server.kill();
    let killed = Instant::now();
    origin.0.store(1, SeqCst);
    until_new(cache, &origin, 1, 1, killed);
    server.restart();
    eventually("values are kept again", || {
        let before = cache.stats().local_hits;
        assert_eq!(plain_row(cache, &origin, 1), 1);
        cache.stats().local_hits > before
    });
}

#[test]
fn nothing_is_served_from_the_tier_while_an_invalidation_is_undelivered() {
    let (server, origin) = (Server::start(), Origin::default());
    let proxy = server.proxy();
    let cache = &Cache::builder(&proxy.url())
        .unwrap()
        .timeout(Duration::from_millis(100))
        .local_bound(Duration::from_secs(60))
        .build();
    kept(cache, &origin, 1);
    kept(cache, &origin, 2);
    proxy.set(Mode::Freeze);
    origin.0.store(1, SeqCst);
    assert!(plain_row_entry(cache, 1).invalidate().is_err());
    let hits = cache.stats().local_hits;
    for _ in 0..20 {
        assert_eq!(plain_row(cache, &origin, 1), 1);
        assert_eq!(plain_row(cache, &origin, 2), 1);
    }
    assert_eq!(cache.stats().local_hits, hits);
    proxy.set(Mode::Pass);
    proxy.cut();
    eventually("it is delivered", || cache.undelivered() == 0);
    assert_eq!(plain_row(cache, &origin, 1), 1);
}

#[test]
fn a_user_who_may_not_track_goes_to_the_server() {
    log::listen();
    let (server, origin) = (Server::start(), Origin::default());
    server.cli(&["ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-client"]);
    let cache = &cache_at(&format!("redis://app:secret@127.0.0.1:{}", server.port()));
    for _ in 0..20 {
        assert_eq!(plain_row(cache, &origin, 1), 0);
        thread::sleep(Duration::from_millis(5));
    }
    let stats = cache.stats();
    assert_eq!((stats.local_hits, stats.misses, stats.bypasses), (0, 1, 0), "{stats:?}");
    eventually("it is told", || {
        let lines = log::lines_about(&format!(":{}", server.port()));
        lines.iter().filter(|line| line.text.contains("does not track keys")).count() == 1
    });
}

#[test]
fn a_small_table_costs_hits_and_no_truth() {
    let (server, origin) = (Server::with(&["--tracking-table-max-keys", "10"]), Origin::default());
    let cache = &cache_at(&server.url());
    for round in 1..4 {
        for id in 0..100 {
            plain_row(cache, &origin, id);
        }
        thread::sleep(Duration::from_millis(20));
        let changed = (0..100).map(|id| (id, change(&server, &origin, id, round))).collect::<Vec<_>>();
        for (id, changed) in changed {
            until_new(cache, &origin, id, round, changed);
        }
    }
}

#[tokio::test]
async fn a_runtime_that_is_not_driven_serves_nothing_old() {
    let (server, origin) = (Server::start(), Origin::default());
    let cache = &cache_at(&server.url());
    let mut hits = 0;
    while hits == 0 {
        row(cache, &origin, 1).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        hits = cache.stats().local_hits;
    }
    let changed = change(&server, &origin, 1, 1);
    // The only thread of this runtime does something else.
    thread::sleep(BOUND);
    assert_eq!(row(cache, &origin, 1).await, 1, "{:?} after the change", changed.elapsed());
}

/// The largest age of an old value over many changes, for the record.
#[test]
fn a_change_is_usually_told_at_once() {
    let (server, origin) = (Server::start(), Origin::default());
    let cache = &cache_at(&server.url());
    let mut ages: Vec<Duration> = (1..100)
        .map(|round| {
            kept(cache, &origin, 1);
            let changed = change(&server, &origin, 1, round);
            until_new(cache, &origin, 1, round, changed)
        })
        .collect();
    ages.sort();
    println!("from a change to the new value: median {:?}, longest {:?}", ages[ages.len() / 2], ages[ages.len() - 1]);
    assert!(ages.len() == 99 && ages[49] < PATIENCE);
}
