//! `tags = […]`: entries of any functions that are invalidated together, by one command.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use redis_cached::{Cache, ErrorKind, redis_cached};
use serde::{Deserialize, Serialize};
use test_support::{Gate, Mode, Monitor, PATIENCE, Server, expired, in_time};

#[redis_cached(prefix = "tags", name = "user", tags = "org:{org}", cache = cache, skip(cache, runs))]
async fn user(cache: &Cache, runs: &AtomicUsize, org: u64, id: u64) -> u64 {
    org * 10_000 + id * 100 + runs.fetch_add(1, SeqCst) as u64
}

#[redis_cached(prefix = "tags", name = "total", key = "{org}", tags = ["org:{org}"], cache = cache, skip(cache, runs))]
fn total(cache: &Cache, runs: &AtomicUsize, org: u64) -> u64 {
    org * 10_000 + runs.fetch_add(1, SeqCst) as u64
}

#[redis_cached(prefix = "tags", name = "seat", group = "room:{room}", tags = ["org:{org}"], cache = cache, skip(cache, runs))]
async fn seat(cache: &Cache, runs: &AtomicUsize, room: u64, org: u64) -> u64 {
    room * 10_000 + org * 100 + runs.fetch_add(1, SeqCst) as u64
}

#[redis_cached(prefix = "tags", name = "both", tags = ["org:{org}", "kind:{kind}"], cache = cache, skip(cache, runs))]
async fn both(cache: &Cache, runs: &AtomicUsize, org: u64, kind: &str) -> u64 {
    org * 10_000 + kind.len() as u64 * 100 + runs.fetch_add(1, SeqCst) as u64
}

#[redis_cached(prefix = "tags", name = "gated", tags = ["org:{org}"], cache = cache, skip(cache, gate))]
async fn gated(cache: &Cache, gate: Arc<Gate>, org: u64, id: u64) -> u64 {
    assert_eq!(org, 7);
    id + gate.pass().await as u64
}

#[redis_cached(prefix = "tags", name = "old", tags = ["org:{org}"], ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, gate))]
async fn old(cache: &Cache, gate: Arc<Gate>, org: u64, id: u64) -> u64 {
    assert_eq!(org, 7);
    id + gate.pass().await as u64
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Member {
    id: u64,
    teams: Vec<String>,
    run: u64,
}

/// Under the tag of its argument, and of whatever its value says.
#[redis_cached(
    prefix = "tags",
    name = "member",
    tags = ["org:{org}", |member: &Member| member.teams.iter().map(|team| format!("team:{team}")).collect::<Vec<_>>()],
    cache = cache,
    skip(cache, runs, teams)
)]
async fn member(cache: &Cache, runs: &AtomicUsize, teams: &[String], org: u64, id: u64) -> Member {
    assert!(org > 0);
    Member { id, teams: teams.to_vec(), run: runs.fetch_add(1, SeqCst) as u64 }
}

/// Under nothing but what its value says.
#[redis_cached(prefix = "tags", name = "own", tags = teams_of, cache = cache, skip(cache, runs, teams))]
fn own(cache: &Cache, runs: &AtomicUsize, teams: &[String], id: u64) -> Member {
    Member { id, teams: teams.to_vec(), run: runs.fetch_add(1, SeqCst) as u64 }
}

fn teams_of(member: &Member) -> Vec<String> {
    member.teams.iter().map(|team| format!("team:{team}")).collect()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

const STAMP: &str = "#tag:org:7";

fn open() -> Arc<Gate> {
    let gate = Arc::new(Gate::closed());
    gate.open();
    gate
}

/// Two views of one server, as two processes have them, and one memory.
fn pairs(server: &Server) -> [[Cache; 2]; 2] {
    let memory = cache("memory://");
    [[memory.clone(), memory], [0, 1].map(|_| remote(server))]
}

/// With a time-out that a busy machine does not reach: what is stored is there.
fn cache(url: &str) -> Cache {
    Cache::builder(url).unwrap().timeout(PATIENCE).build()
}

fn remote(server: &Server) -> Cache {
    cache(&server.url())
}

/// One in memory and one on the server: what holds for both.
fn caches(server: &Server) -> [Cache; 2] {
    ["memory://", &server.url()].map(cache)
}

fn is_remote(cache: &Cache) -> bool {
    format!("{cache:?}").contains("redis://")
}

/// The commands that clients sent since the last call: those of connecting, the clock's and the check
/// that the server is a master left out.
fn asked(monitor: &mut Monitor) -> Vec<Vec<String>> {
    let beside = ["CLIENT", "HELLO", "INFO", "TIME", "ROLE", "SELECT", "AUTH"];
    let is_beside = |command: &[String]| command == ["EXISTS", "redis-cached"] || beside.contains(&&*command[0]);
    monitor.commands().into_iter().filter(|command| !is_beside(command)).collect()
}

fn expires_in(server: &Server, key: &str) -> i64 {
    server.cli(&["PTTL", key]).parse().unwrap()
}

/// How long each reply takes.
const DELAY: Duration = Duration::from_millis(100);

/// Waits for the server that often: never less, and more only where the machine is busy. The call is
/// handed a new number each time.
async fn round_trips<T>(expected: u128, mut call: impl AsyncFnMut(u64) -> T) {
    for attempt in 0..10 {
        let begun = Instant::now();
        call(attempt).await;
        let waits = begun.elapsed().as_millis() / DELAY.as_millis();
        assert!(waits >= expected, "{waits} round trips");
        if waits == expected {
            return;
        }
    }
    panic!("more than {expected} round trips");
}

#[tokio::test]
async fn a_hit_takes_one_round_trip_and_a_miss_as_many_as_without_tags() {
    let server = Server::start();
    let proxy = server.proxy();
    let (cache, runs) = (cache(&proxy.url()), AtomicUsize::new(0));
    user(&cache, &runs, 1, 1).await; // connects, and makes scripts known
    seat(&cache, &runs, 3, 1).await;
    both(&cache, &runs, 7, "a b").await;
    user(&cache, &runs, 7, 2).await;
    seat(&cache, &runs, 3, 7).await;
    proxy.set(Mode::Delay(DELAY));
    // The tag gets its stamp.
    round_trips(4, async |new| user(&cache, &runs, 1_000 + new, 1).await).await;
    round_trips(3, async |new| user(&cache, &runs, 7, 1_000 + new).await).await;
    round_trips(1, async |_| user(&cache, &runs, 7, 2).await).await;
    round_trips(1, async |_| both(&cache, &runs, 7, "a b").await).await;
    round_trips(1, async |_| seat(&cache, &runs, 3, 7).await).await;
    round_trips(1, async |_| user_entry(&cache, 7, 2).get().await.unwrap()).await;
    round_trips(1, async |_| cache.invalidate_tag("org:1").await.unwrap()).await;
    proxy.set(Mode::Pass);

    let mut monitor = server.monitor();
    user(&cache, &runs, 7, 3).await;
    let miss = asked(&mut monitor);
    assert_eq!(miss[..2], [vec!["GET", "tags:user:7:3"], vec!["MGET", STAMP]], "{miss:?}");
    assert!(miss.iter().filter(|command| command.contains(&STAMP.to_owned())).count() <= 2, "{miss:?}");
    user(&cache, &runs, 7, 3).await;
    assert_eq!(asked(&mut monitor), [vec!["GET", "tags:user:7:3"], vec!["MGET", STAMP]]);
    both(&cache, &runs, 7, "a b").await;
    assert_eq!(asked(&mut monitor)[1], ["MGET", "#tag:kind:a%20b", STAMP]);
    seat(&cache, &runs, 3, 7).await;
    let hit = asked(&mut monitor);
    assert_eq!(hit, [vec!["HMGET", "tags:#group:room:3", "seat:3:7", "seat:3:7\0r"], vec!["MGET", STAMP]]);
    assert!(cache.invalidate_tag("org:7").await.unwrap());
    assert_eq!(asked(&mut monitor), [["UNLINK", STAMP]]);
}

#[test]
fn a_hit_of_a_plain_function_is_one_pipeline_too() {
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    total(&cache, &runs, 7);
    let mut monitor = server.monitor();
    assert_eq!(total(&cache, &runs, 7), 70_000);
    assert_eq!(asked(&mut monitor), [vec!["GET", "tags:total:7"], vec!["MGET", STAMP]]);
    assert!(cache.blocking().invalidate_tag("org:7").unwrap());
    assert!(!cache.blocking().invalidate_tag("org:7").unwrap());
    assert_eq!(asked(&mut monitor), [["UNLINK", STAMP], ["UNLINK", STAMP]]);
    assert_eq!(total(&cache, &runs, 7), 70_001);
}

#[tokio::test]
async fn a_hit_by_the_tags_of_its_value_takes_two_round_trips() {
    let server = Server::start();
    let proxy = server.proxy();
    let (cache, runs) = (cache(&proxy.url()), AtomicUsize::new(0));
    member(&cache, &runs, &texts(&["red", "blue"]), 7, 1).await;
    member(&cache, &runs, &[], 7, 2).await;
    proxy.set(Mode::Delay(DELAY));
    round_trips(2, async |_| assert_eq!(member(&cache, &runs, &[], 7, 1).await.run, 0)).await;
    // Of a value without.
    round_trips(1, async |_| assert_eq!(member(&cache, &runs, &[], 7, 2).await.run, 1)).await;
    proxy.set(Mode::Pass);
    let mut monitor = server.monitor();
    member(&cache, &runs, &[], 7, 1).await;
    let sent = asked(&mut monitor);
    assert_eq!(sent[..2], [vec!["GET", "tags:member:7:1"], vec!["MGET", STAMP]]);
    assert_eq!(sent[2..], [["MGET", "#tag:team:blue", "#tag:team:red"]]);
}

#[tokio::test]
async fn a_tag_drops_what_has_it_in_every_function_group_face_and_process() {
    let server = Server::start();
    for [one, other] in pairs(&server) {
        let runs = AtomicUsize::new(0);
        for org in [7, 77, 8] {
            user(&one, &runs, org, 1).await;
            user(&other, &runs, org, 2).await;
            total(&one, &runs, org);
            seat(&other, &runs, 3, org).await;
            both(&one, &runs, org, "a").await;
        }
        let stored = async |org| {
            [
                user_entry(&other, org, 1).get().await.unwrap().is_some(),
                user_entry(&one, org, 2).get().await.unwrap().is_some(),
                total_entry(&other, org).get().unwrap().is_some(),
                seat_entry(&one, 3, org).get().await.unwrap().is_some(),
                both_entry(&other, org, "a").get().await.unwrap().is_some(),
            ]
        };
        for org in [7, 77, 8] {
            assert_eq!(stored(org).await, [true; 5]);
        }
        for tag in ["org", "org:", "7", "org:70", "org:7:", "user", "tags:user:7:1", "*", "org:*"] {
            assert!(!one.invalidate_tag(tag).await.unwrap(), "{tag}");
        }
        assert!(other.invalidate_tag("org:7").await.unwrap());
        assert_eq!(stored(7).await, [false; 5]);
        for org in [77, 8] {
            assert_eq!(stored(org).await, [true; 5]);
        }
        // What is computed afterwards is valid.
        let before = runs.load(SeqCst);
        assert_eq!(user(&one, &runs, 7, 1).await, user(&other, &runs, 7, 1).await);
        assert_eq!(total(&other, &runs, 7), total(&one, &runs, 7));
        assert_eq!(seat(&other, &runs, 3, 7).await, seat(&one, &runs, 3, 7).await);
        assert_eq!(runs.load(SeqCst), before + 3);
        assert!(one.blocking().invalidate_tag("org:7").unwrap());
        assert_eq!(stored(7).await, [false; 5]);
    }
}

#[tokio::test]
async fn either_of_two_tags_drops_an_entry() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        let (one, two) = (both_entry(&cache, 1, "a"), both_entry(&cache, 2, "a"));
        let stored = async || (one.get().await.unwrap().is_some(), two.get().await.unwrap().is_some());
        let fill = async || {
            both(&cache, &runs, 1, "a").await;
            both(&cache, &runs, 2, "a").await;
            assert_eq!(stored().await, (true, true));
        };
        fill().await;
        assert!(cache.invalidate_tag("org:1").await.unwrap());
        assert_eq!(stored().await, (false, true));
        fill().await;
        assert!(cache.invalidate_tag("kind:a").await.unwrap());
        assert_eq!(stored().await, (false, false));
        fill().await;
        assert!(!cache.invalidate_tag("kind:b").await.unwrap());
        assert_eq!(stored().await, (true, true));
    }
}

#[tokio::test]
async fn a_thousand_entries_go_with_one_command() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        for id in 0..1_000 {
            user(&cache, &runs, 7, id).await;
        }
        user(&cache, &runs, 8, 0).await;
        let mut monitor = server.monitor();
        assert!(cache.invalidate_tag("org:7").await.unwrap());
        let sent = asked(&mut monitor);
        assert!(sent.len() == usize::from(is_remote(&cache)), "{sent:?}");
        for id in 0..1_000 {
            assert_eq!(user_entry(&cache, 7, id).get().await.unwrap(), None, "{id}");
        }
        assert!(user_entry(&cache, 8, 0).get().await.unwrap().is_some());
    }
}

#[tokio::test]
async fn namespaces_have_tags_of_their_own() {
    let server = Server::start();
    let [one, two] =
        ["one", "two"].map(|name| Cache::builder(&server.url()).unwrap().namespace(name).timeout(PATIENCE).build());
    let (without, runs) = (remote(&server), AtomicUsize::new(0));
    for cache in [&one, &two, &without] {
        user(cache, &runs, 7, 1).await;
        total(cache, &runs, 7);
    }
    let mut monitor = server.monitor();
    assert!(one.invalidate_tag("org:7").await.unwrap());
    assert_eq!(asked(&mut monitor), [["UNLINK", "one:#tag:org:7"]]);
    assert!(user_entry(&one, 7, 1).get().await.unwrap().is_none());
    assert!(total_entry(&one, 7).get().unwrap().is_none());
    for cache in [&two, &without] {
        assert!(user_entry(cache, 7, 1).get().await.unwrap().is_some());
    }
    assert!(without.invalidate_tag("org:7").await.unwrap());
    assert!(total_entry(&two, 7).get().unwrap().is_some());
    // Another handle on the same.
    let two_again = Cache::builder(&server.url()).unwrap().namespace("two").timeout(PATIENCE).build();
    assert!(two_again.invalidate_tag("org:7").await.unwrap());
    assert!(total_entry(&two, 7).get().unwrap().is_none());
}

#[tokio::test]
async fn a_tag_invalidated_while_a_body_runs_leaves_its_result_to_those_before() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        for by in [&cache, &other] {
            let gate = Arc::new(Gate::closed());
            let call = |cache: &Cache| {
                let (cache, gate) = (cache.clone(), gate.clone());
                tokio::spawn(async move { gated(&cache, gate, 7, 10).await })
            };
            let first = call(&cache);
            gate.wait_for(1).await;
            let followers = [call(&cache), call(&other)];
            tokio::time::sleep(Duration::from_millis(30)).await;
            assert!(by.invalidate_tag("org:7").await.unwrap());
            let later: Vec<_> = [&cache, &other].repeat(10).into_iter().map(call).collect();
            gate.wait_for(2).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
            gate.open();
            assert_eq!(first.await.unwrap(), 11);
            for call in followers {
                assert!((11..=12).contains(&call.await.unwrap()));
            }
            for call in later {
                assert_eq!(call.await.unwrap(), 12, "never what was read before");
            }
            assert_eq!(gate.entered(), 2, "once for all that came after");
            assert_eq!(gated_entry(&other, 7, 10).get().await.unwrap(), Some(12));
            gated_entry(&cache, 7, 10).invalidate().await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_result_of_a_body_that_was_overtaken_is_not_served() {
    #[redis_cached(prefix = "tags", name = "overtaken", tags = "org:{org}", cache = cache, skip(cache, runs, by))]
    async fn overtaken(cache: &Cache, runs: &AtomicUsize, by: Option<&Cache>, org: u64) -> u64 {
        let run = runs.fetch_add(1, SeqCst) as u64;
        if let Some(by) = by {
            assert!(by.invalidate_tag("org:7").await.unwrap(), "stamped before the body began");
        }
        org + run
    }
    #[redis_cached(prefix = "tags", name = "overtaken", tags = "org:{org}", cache = cache, skip(cache, runs, by))]
    fn overtaken_plain(cache: &Cache, runs: &AtomicUsize, by: Option<&Cache>, org: u64) -> u64 {
        let run = runs.fetch_add(1, SeqCst) as u64;
        if let Some(by) = by {
            assert!(by.blocking().invalidate_tag("org:7").unwrap());
        }
        org + run
    }
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        for by in [&cache, &other] {
            let runs = AtomicUsize::new(0);
            assert_eq!(overtaken(&cache, &runs, Some(by), 7).await, 7);
            assert_eq!(overtaken_entry(&other, 7).get().await.unwrap(), None);
            assert_eq!(overtaken(&cache, &runs, None, 7).await, 8);
            assert_eq!(overtaken(&other, &runs, None, 7).await, 8);
            by.invalidate_tag("org:7").await.unwrap();
            assert_eq!(overtaken_plain(&cache, &runs, Some(by), 7), 9);
            assert_eq!(overtaken_plain_entry(&other, 7).get().unwrap(), None);
            assert_eq!(overtaken_plain(&cache, &runs, None, 7), 10);
            assert_eq!(overtaken_plain(&other, &runs, None, 7), 10);
            by.invalidate_tag("org:7").await.unwrap();
        }
    }
}

#[tokio::test]
async fn one_body_runs_for_the_callers_of_two_processes() {
    let server = Server::start();
    for caches in pairs(&server) {
        let gate = Arc::new(Gate::closed());
        let calls = caches.iter().cycle().take(100).map(|cache| {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move { gated(&cache, gate, 7, 10).await })
        });
        let calls: Vec<_> = calls.collect();
        gate.wait_for(1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        gate.open();
        for call in calls {
            assert_eq!(call.await.unwrap(), 11);
        }
        assert_eq!(gate.entered(), 1);
    }
}

/// Its read is from before the invalidation, and its request for the lease from after it.
#[tokio::test]
async fn a_call_that_meets_the_lease_of_one_after_the_invalidation_waits_for_it() {
    let server = Server::start();
    let proxy = server.proxy();
    let slow = Cache::builder(&proxy.url()).unwrap().timeout(PATIENCE).build();
    let (other, gate) = (remote(&server), Arc::new(Gate::closed()));
    let runs = AtomicUsize::new(0);
    user(&slow, &runs, 7, 1).await; // there is a stamp
    user(&other, &runs, 7, 1).await;
    let call = |cache: &Cache| {
        let (cache, gate) = (cache.clone(), gate.clone());
        tokio::spawn(async move { gated(&cache, gate, 7, 10).await })
    };
    let mut monitor = server.monitor();
    proxy.set(Mode::Delay(Duration::from_millis(500)));
    let early = call(&slow);
    in_time("it has read", async || asked(&mut monitor).iter().any(|command| command[0] == "MGET")).await;
    other.invalidate_tag("org:7").await.unwrap();
    let late = call(&other);
    gate.wait_for(1).await;
    proxy.set(Mode::Pass);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(gate.entered(), 1, "it waits");
    gate.open();
    assert_eq!((early.await.unwrap(), late.await.unwrap()), (11, 11));
    assert_eq!(gated_entry(&other, 7, 10).get().await.unwrap(), Some(11));
}

/// Evicted, flushed, deleted, expired, or overwritten.
#[tokio::test]
async fn a_stamp_that_is_gone_is_a_miss_and_no_other_brings_the_value_back() {
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    for lose in [
        &["DEL", STAMP][..],
        &["UNLINK", STAMP],
        &["PEXPIRE", STAMP, "0"],
        &["RENAME", STAMP, "elsewhere"],
        &["SET", STAMP, "0123456789abcdef"],
        &["SET", STAMP, ""],
    ] {
        let old = user(&cache, &runs, 7, 1).await;
        assert_eq!(user_entry(&cache, 7, 1).get().await.unwrap(), Some(old));
        server.cli(lose);
        assert_eq!(user_entry(&cache, 7, 1).get().await.unwrap(), None, "{lose:?}");
        // Somebody else uses the tag, which has a stamp again.
        user(&cache, &runs, 7, 2).await;
        assert_eq!(total(&cache, &runs, 7), total(&cache, &runs, 7));
        assert_eq!(user_entry(&cache, 7, 1).get().await.unwrap(), None, "{lose:?}");
        let new = user(&cache, &runs, 7, 1).await;
        assert_ne!(new, old);
        assert_eq!(user(&cache, &runs, 7, 1).await, new);
        server.cli(&["DEL", STAMP]);
    }
}

#[tokio::test]
async fn something_else_in_a_stamps_place_is_left_alone() {
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    server.cli(&["RPUSH", STAMP, "somebody's"]);
    for run in 0..3 {
        assert_eq!(user(&cache, &runs, 7, 1).await, 70_100 + run);
    }
    assert_eq!(user_entry(&cache, 7, 1).get().await.unwrap(), None);
    assert_eq!(user_entry(&cache, 7, 1).put(&1).await.unwrap_err().kind(), ErrorKind::WrongType);
    assert_eq!(server.cli(&["LLEN", STAMP]), "1");
    server.cli(&["DEL", STAMP]);
    assert_eq!(user(&cache, &runs, 7, 1).await, 70_103);
    assert_eq!(user(&cache, &runs, 7, 1).await, 70_103);
}

/// As one deploy of a function after another.
#[tokio::test]
async fn another_list_of_tags_is_a_miss_and_its_order_is_not() {
    macro_rules! function {
        ($name:ident($id:ident) $(, tags = $tags:tt)?) => {
            #[redis_cached(prefix = "tags", name = "changed", $(tags = $tags,)? cache = cache, skip(cache, runs))]
            async fn $name(cache: &Cache, runs: &AtomicUsize, $id: u64) -> u64 {
                $id + runs.fetch_add(1, SeqCst) as u64
            }
        };
    }
    function!(untagged(id));
    function!(one(id), tags = ["one:{id}"]);
    function!(other(id), tags = ["other:{id}"]);
    function!(both(id), tags = ["one:{id}", "other:{id}"]);
    function!(reversed(id), tags = ["other:{id}", "one:{id}"]);
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        // Their stamps are there from here on.
        both(&cache, &runs, 0).await;
        for round in 0..2 {
            let mut values = Vec::new();
            values.push(untagged(&cache, &runs, 10).await);
            assert_eq!(one_entry(&cache, 10).get().await.unwrap(), None, "untagged");
            values.push(one(&cache, &runs, 10).await);
            assert_eq!(untagged_entry(&cache, 10).get().await.unwrap(), None, "tagged");
            assert_eq!(other_entry(&cache, 10).get().await.unwrap(), None, "by another tag");
            values.push(other(&cache, &runs, 10).await);
            assert_eq!(one_entry(&cache, 10).get().await.unwrap(), None);
            values.push(both(&cache, &runs, 10).await);
            assert_eq!(other_entry(&cache, 10).get().await.unwrap(), None, "one of two");
            assert_eq!(untagged_entry(&cache, 10).get().await.unwrap(), None);
            assert_eq!(Some(reversed(&cache, &runs, 10).await), values.last().copied());
            values.dedup();
            assert_eq!(values.len(), 4, "round {round}");
        }
        // Rewritten without the tag, it survives it.
        one(&cache, &runs, 10).await;
        let last = untagged(&cache, &runs, 10).await;
        cache.invalidate_tag("one:10").await.unwrap();
        assert_eq!(untagged_entry(&cache, 10).get().await.unwrap(), Some(last));
    }
}

#[tokio::test]
async fn the_tags_of_a_value_drop_it() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let runs = AtomicUsize::new(0);
        let red = member(&cache, &runs, &texts(&["red"]), 7, 1).await;
        let two = member(&cache, &runs, &texts(&["red", "blue", "blue"]), 7, 2).await;
        let none = member(&cache, &runs, &[], 7, 3).await;
        let plain = own(&cache, &runs, &texts(&["blue"]), 4);
        assert_eq!(member(&other, &runs, &[], 7, 1).await, red);
        assert_eq!(member(&other, &runs, &[], 7, 2).await, two);
        assert_eq!(member(&other, &runs, &[], 7, 3).await, none);
        assert_eq!(own(&other, &runs, &[], 4), plain);
        assert!(!cache.invalidate_tag("team:green").await.unwrap());
        assert!(cache.invalidate_tag("team:blue").await.unwrap());
        assert_eq!(member(&other, &runs, &[], 7, 1).await, red);
        assert_eq!(member(&other, &runs, &[], 7, 3).await, none);
        assert_eq!(member_entry(&other, 7, 2).get().await.unwrap(), None);
        assert_eq!(own_entry(&other, 4).get().unwrap(), None);
        // Others use the tag meanwhile.
        own(&cache, &runs, &texts(&["blue"]), 5);
        assert_eq!(member_entry(&other, 7, 2).get().await.unwrap(), None);
        assert_eq!(own_entry(&other, 4).get().unwrap(), None);
        // The new value has another tag.
        let green = own(&cache, &runs, &texts(&["green"]), 4);
        assert!(other.invalidate_tag("team:blue").await.unwrap());
        assert_eq!(own(&other, &runs, &[], 4), green);
        // And that of the argument drops all of them.
        assert!(other.invalidate_tag("org:7").await.unwrap());
        for id in 1..4 {
            assert_eq!(member_entry(&cache, 7, id).get().await.unwrap(), None);
        }
        assert_eq!(own(&cache, &runs, &[], 4), green);
        assert!(cache.blocking().invalidate_tag("team:green").unwrap());
        assert_eq!(own(&cache, &runs, &[], 4).teams, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_value_may_have_a_thousand_tags_and_with_more_it_is_not_stored() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        let teams = |count: usize| (0..count).map(|team| team.to_string()).collect::<Vec<_>>();
        let most = member(&cache, &runs, &teams(1_000), 7, 1).await;
        assert_eq!(member(&cache, &runs, &[], 7, 1).await, most);
        assert!(cache.invalidate_tag("team:999").await.unwrap());
        assert_eq!(member_entry(&cache, 7, 1).get().await.unwrap(), None);
        let stored = cache.stats().stored;
        for run in 1..3 {
            assert_eq!(member(&cache, &runs, &teams(1_001), 7, 2).await.run, run, "returned, not stored");
        }
        assert_eq!(cache.stats().stored, stored);
        let too_many = Member { id: 2, teams: teams(1_001), run: 9 };
        assert_eq!(member_entry(&cache, 7, 2).put(&too_many).await.unwrap_err().kind(), ErrorKind::Codec);
        assert_eq!(member_entry(&cache, 7, 2).get().await.unwrap(), None);
        // The same one, over and over, is one.
        let same = member(&cache, &runs, &vec!["same".to_owned(); 5_000], 7, 3).await;
        assert_eq!(member(&cache, &runs, &[], 7, 3).await, same);
        own(&cache, &runs, &teams(1_001), 4);
        assert_eq!(own_entry(&cache, 4).get().unwrap(), None);
    }
}

#[redis_cached(prefix = "tags", name = "text", tags = "text:{text}", cache = cache, skip(cache))]
async fn text(cache: &Cache, text: &str) -> usize {
    text.len()
}

/// A tag is its text, whatever is in it.
#[tokio::test]
async fn hostile_texts_are_tags_like_others() {
    let (long, longer) = ("x".repeat(10_000), format!("{}y", "x".repeat(10_000)));
    let (edge, over) = ("e".repeat(195), "e".repeat(196));
    let hostile = [
        "",
        " ",
        "  ",
        ":",
        "::",
        "a",
        "a:",
        ":a",
        "a:b",
        "a b",
        "a\nb",
        "\n",
        "\r\n",
        "\0",
        "{a}",
        "{",
        "}",
        "%20",
        "%",
        "é",
        "日本語",
        "*",
        "?",
        "[a]",
        "#",
        "#tag:a",
        "'",
        "\"",
        "none",
        "None",
        "()",
        "42",
        &long,
        &longer,
        &edge,
        &over,
    ];
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        for (id, x) in hostile.into_iter().enumerate() {
            text(&cache, x).await;
            // And as the tag of a value.
            own(&cache, &runs, &texts(&[x]), id as u64);
        }
        for (id, x) in hostile.into_iter().enumerate() {
            assert!(cache.invalidate_tag(&format!("text:{x}")).await.unwrap(), "{x:?}");
            assert!(cache.invalidate_tag(&format!("team:{x}")).await.unwrap(), "{x:?}");
            for (other_id, other) in hostile.into_iter().enumerate() {
                let stays = other_id > id;
                assert_eq!(text_entry(&cache, other).get().await.unwrap().is_some(), stays, "{x:?} {other:?}");
                assert_eq!(own_entry(&cache, other_id as u64).get().unwrap().is_some(), stays, "{x:?} {other:?}");
            }
        }
    }
    // Readable, and no white space in it.
    let keys = server.cli(&["KEYS", "*"]);
    assert!(keys.lines().all(|key| !key.contains([' ', '{', '}'])), "{keys}");
}

#[derive(Serialize)]
struct OrgId(u64);

#[derive(Serialize)]
struct Slug(String);

#[derive(Serialize)]
enum Kind {
    Team,
    #[serde(rename = "org unit")]
    Unit,
}

/// As `uuid::Uuid` and others serialize.
struct Uuid(u128);

impl Display for Uuid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}-{:04x}", self.0 >> 16 & 0xffff_ffff, self.0 & 0xffff)
    }
}

impl Serialize for Uuid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.0.to_be_bytes())
        }
    }
}

#[tokio::test]
async fn a_tag_is_the_text_that_format_makes_of_its_argument() {
    #[redis_cached(prefix = "tags", name = "of", tags = "org:{x}", cache = cache, skip(cache))]
    async fn of<T: Serialize + Sync>(cache: &Cache, x: &T) -> u64 {
        let _ = x;
        1
    }
    let server = Server::start();
    for cache in caches(&server) {
        macro_rules! matches {
            ($value:expr, $text:expr) => {
                let value = $value;
                of(&cache, &value).await;
                assert_eq!(of_entry(&cache, &value).get().await.unwrap(), Some(1));
                assert!(cache.invalidate_tag(&format!("org:{}", $text)).await.unwrap(), "{}", $text);
                assert_eq!(of_entry(&cache, &value).get().await.unwrap(), None, "{}", $text);
            };
        }
        matches!(7_u8, 7);
        matches!(-7_i64, -7);
        matches!(u128::MAX, u128::MAX);
        matches!(1.5_f64, 1.5);
        matches!(true, true);
        matches!('é', 'é');
        matches!("a b:c", "a b:c");
        matches!(String::from("red shoes"), "red shoes");
        matches!(std::borrow::Cow::Borrowed("x y"), "x y");
        matches!(Some("a b"), "a b");
        matches!(Some(7), 7);
        matches!(None::<u64>, "none");
        matches!(Some(Some(Slug("a b".to_owned()))), "a b");
        matches!(OrgId(7), 7);
        matches!(Some(OrgId(7)), 7);
        matches!(Slug("a/b c".to_owned()), "a/b c");
        matches!(Kind::Team, "Team");
        matches!(Kind::Unit, "org unit");
        matches!(Uuid(0x1234_5678_9abc), Uuid(0x1234_5678_9abc));
        matches!(Some(Uuid(5)), Uuid(5));
        matches!(std::net::IpAddr::from([127, 0, 0, 1]), "127.0.0.1");
        matches!(std::path::PathBuf::from("/a b"), "/a b");
        matches!(Box::<str>::from("boxed one"), "boxed one");
    }
}

#[tokio::test]
async fn placeholders_of_tags_are_expressions() {
    struct Request {
        user: Slug,
    }
    struct Repository {
        cache: Cache,
        tenant: String,
    }
    impl Repository {
        #[redis_cached(
            prefix = "tags",
            name = "find", key = "{self.tenant}:{request.user}:{page}",
            tags = ["tenant:{self.tenant}", "user:{request.user}", "{self.tenant}:page:{page + 1}", "all"],
            cache = self.cache
        )]
        async fn find(&self, request: Request, page: u64) -> String {
            format!("{} {} {page}", self.tenant, request.user.0)
        }
    }
    let server = Server::start();
    for cache in caches(&server) {
        let repository = Repository { cache: cache.clone(), tenant: "a b".to_owned() };
        let request = || Request { user: Slug("é".to_owned()) };
        for tag in ["tenant:a b", "user:é", "a b:page:3", "all"] {
            assert_eq!(repository.find(request(), 2).await, "a b é 2");
            assert!(repository.find_entry(request(), 2).get().await.unwrap().is_some());
            assert!(cache.invalidate_tag(tag).await.unwrap(), "{tag}");
            assert_eq!(repository.find_entry(request(), 2).get().await.unwrap(), None, "{tag}");
        }
    }
}

#[tokio::test]
async fn an_old_value_is_not_served_past_its_tag() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let gate = open();
        assert_eq!(old(&cache, gate.clone(), 7, 10).await, 11);
        expired(old_entry(&cache, 7, 10)).await;
        gate.close();
        assert_eq!(old(&cache, gate.clone(), 7, 10).await, 11, "the old value");
        gate.wait_for(2).await;
        assert!(other.invalidate_tag("org:7").await.unwrap());
        gate.open();
        assert!(old(&cache, gate.clone(), 7, 10).await >= 13, "neither the old value nor its refresh");
        assert!(old(&other, gate.clone(), 7, 10).await >= 13);
        old_entry(&cache, 7, 10).invalidate().await.unwrap();
    }
}

/// It may store its result, which nobody is served.
#[tokio::test]
async fn a_refresh_behind_whose_tag_was_invalidated_meanwhile_is_in_vain() {
    #[redis_cached(prefix = "tags", name = "ahead", tags = "org:{org}", ttl = "10s", refresh_ahead = 0.01, cache = cache, skip(cache, gate))]
    async fn ahead(cache: &Cache, gate: Arc<Gate>, org: u64) -> u64 {
        org + gate.pass().await as u64
    }
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        for calls_meanwhile in [false, true] {
            let gate = open();
            let stats = cache.stats();
            assert_eq!(ahead(&cache, gate.clone(), 7).await, 8);
            gate.close();
            in_time("it is refreshed", async || {
                assert_eq!(ahead(&cache, gate.clone(), 7).await, 8);
                gate.entered() == 2
            })
            .await;
            assert!(other.invalidate_tag("org:7").await.unwrap());
            assert_eq!(ahead_entry(&cache, 7).get().await.unwrap(), None);
            if calls_meanwhile {
                let call = {
                    let (cache, gate) = (cache.clone(), gate.clone());
                    tokio::spawn(async move { ahead(&cache, gate, 7).await })
                };
                gate.wait_for(3).await;
                gate.open();
                assert_eq!(call.await.unwrap(), 10);
            } else {
                gate.open();
                in_time("the refresh ends", async || {
                    let now = cache.stats();
                    now.stored + now.refused == stats.stored + stats.refused + 2
                })
                .await;
                assert_eq!(ahead(&other, gate.clone(), 7).await, 10);
            }
            assert_eq!(ahead_entry(&other, 7).get().await.unwrap(), Some(10));
            ahead_entry(&cache, 7).invalidate().await.unwrap();
        }
    }
}

#[tokio::test]
async fn where_the_body_fails_nothing_is_served_past_its_tag() {
    #[redis_cached(prefix = "tags", name = "kept", tags = ["org:{org}", |kept: &Vec<String>| kept.clone()], ttl = "30ms", stale_if_error = "1h", cache = cache, skip(cache, value))]
    async fn kept(cache: &Cache, value: Result<Vec<String>, String>, org: u64) -> Result<Vec<String>, String> {
        assert_eq!(org, 7);
        value
    }
    let server = Server::start();
    for cache in caches(&server) {
        for tag in ["org:7", "one"] {
            let value = texts(&["one", "two"]);
            kept_entry(&cache, 7).invalidate().await.unwrap();
            assert_eq!(kept(&cache, Ok(value.clone()), 7).await, Ok(value.clone()));
            expired(kept_entry(&cache, 7)).await;
            assert_eq!(kept(&cache, Err("it fails".to_owned()), 7).await, Ok(value));
            assert!(cache.invalidate_tag(tag).await.unwrap());
            assert!(kept(&cache, Err("it fails".to_owned()), 7).await.is_err(), "{tag}");
        }
    }
}

#[tokio::test]
async fn put_write_through_and_refresh_store_under_the_tags() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let runs = AtomicUsize::new(0);
        let (entry, far) = (user_entry(&cache, 7, 1), user_entry(&other, 7, 1));
        // Also where there is no stamp yet.
        for _ in 0..2 {
            assert!(entry.put(&5).await.unwrap());
            assert_eq!(user(&other, &runs, 7, 1).await, 5);
            assert!(other.invalidate_tag("org:7").await.unwrap());
            assert_eq!(entry.get().await.unwrap(), None);

            assert_eq!(entry.write_through(&6, async || Ok::<_, ()>("written")).await, Ok("written"));
            assert_eq!(far.get().await.unwrap(), Some(6));
            assert!(other.invalidate_tag("org:7").await.unwrap());
            assert_eq!(far.get().await.unwrap(), None);

            let refreshed = user_refresh(&cache, &runs, 7, 1).await;
            assert_eq!(far.get().await.unwrap(), Some(refreshed));
            let refreshed = user_refresh(&other, &runs, 7, 1).await;
            assert_eq!(entry.get().await.unwrap(), Some(refreshed));
            assert!(other.invalidate_tag("org:7").await.unwrap());
            assert_eq!(far.get().await.unwrap(), None);
            let refreshed = user_refresh(&other, &runs, 7, 1).await;
            assert_eq!(entry.get().await.unwrap(), Some(refreshed), "over a value that is out of date");
            other.invalidate_tag("org:7").await.unwrap();
        }
        let value = Member { id: 1, teams: texts(&["red"]), run: 9 };
        assert!(member_entry(&cache, 7, 1).put(&value).await.unwrap());
        assert_eq!(member(&other, &runs, &[], 7, 1).await, value);
        assert!(other.invalidate_tag("team:red").await.unwrap());
        assert_eq!(member_entry(&cache, 7, 1).get().await.unwrap(), None);
        assert_eq!(own_entry(&cache, 1).write_through(&value, || Ok::<_, ()>(())), Ok(()));
        assert_eq!(own(&other, &runs, &[], 1), value);
        assert!(other.invalidate_tag("team:red").await.unwrap());
        assert_eq!(own_entry(&cache, 1).get().unwrap(), None);
        assert!(total_entry(&cache, 7).put(&3).unwrap());
        assert_eq!(total(&other, &runs, 7), 3);
        total_refresh(&other, &runs, 7);
        assert!(cache.blocking().invalidate_tag("org:7").unwrap());
        assert_eq!(total_entry(&other, 7).get().unwrap(), None);
    }
}

#[tokio::test]
async fn a_write_or_a_refresh_whose_tag_is_invalidated_meanwhile_leaves_nothing() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let entry = user_entry(&cache, 7, 1);
        let written = entry.write_through(&6, async || {
            assert!(other.invalidate_tag("org:7").await.unwrap());
            Ok::<_, ()>(())
        });
        assert_eq!(written.await, Ok(()));
        assert_eq!(user_entry(&other, 7, 1).get().await.unwrap(), None);

        let gate = Arc::new(Gate::closed());
        for is_there in [false, true] {
            if is_there {
                assert!(gated_entry(&cache, 7, 10).put(&99).await.unwrap());
            }
            let before = gate.entered();
            let refresh = {
                let (cache, gate) = (cache.clone(), gate.clone());
                tokio::spawn(async move { gated_refresh(&cache, gate, 7, 10).await })
            };
            gate.wait_for(before + 1).await;
            assert!(other.invalidate_tag("org:7").await.unwrap());
            gate.open();
            refresh.await.unwrap();
            assert_eq!(gated_entry(&other, 7, 10).get().await.unwrap(), None);
            gate.close();
        }
    }
}

#[tokio::test]
async fn stamps_outlive_the_entries_under_them() {
    #[redis_cached(prefix = "tags", name = "millis", tags = ["org:{org}", |ms: &u64| vec![format!("own:{}", ms % 2)]], ttl = |ms: &u64| Duration::from_millis(*ms), cache = cache, skip(cache))]
    async fn millis(cache: &Cache, org: u64, ms: u64) -> u64 {
        assert_eq!(org, 7);
        ms
    }
    #[redis_cached(prefix = "tags", name = "windows", tags = ["org:{org}"], ttl = "1h", stale_while_revalidate = "30d", cache = cache, skip(cache))]
    async fn windows(cache: &Cache, org: u64) -> u64 {
        org
    }
    #[redis_cached(prefix = "tags", name = "forever", tags = ["org:{org}"], ttl = forever, cache = cache, skip(cache))]
    fn forever(cache: &Cache, org: u64) -> u64 {
        org
    }
    const HOUR: u64 = 3_600_000;
    let server = Server::start();
    let cache = remote(&server);
    for ms in [1_000, 2 * HOUR, 500, 24 * HOUR + 1, 10] {
        millis(&cache, 7, ms).await;
        let own = format!("#tag:own:{}", ms % 2);
        let value = expires_in(&server, &format!("tags:millis:7:{ms}"));
        for stamp in [STAMP, &own] {
            let stamp = expires_in(&server, stamp);
            assert!(stamp > value && stamp > 3_000_000, "{ms}: {stamp} {value}");
        }
    }
    windows(&cache, 7).await;
    assert!(expires_in(&server, STAMP) > expires_in(&server, "tags:windows:7"));
    assert!(expires_in(&server, STAMP) > 30 * 24 * HOUR as i64);
    forever(&cache, 7);
    assert_eq!(expires_in(&server, STAMP), -1);
    millis(&cache, 7, 20_000).await;
    assert_eq!(expires_in(&server, STAMP), -1, "for ever, whatever comes after");
    assert_eq!(forever(&cache, 7), 7);
    assert!(cache.invalidate_tag("org:7").await.unwrap());
    assert_eq!(forever_entry(&cache, 7).get().unwrap(), None);
    millis(&cache, 7, 20_000).await;
    assert!((1..=HOUR as i64 + 60_000).contains(&expires_in(&server, STAMP)), "a new one has an end again");
}

#[redis_cached(prefix = "tags", name = "row", tags = "org:{org}", cache = cache, skip(cache, source))]
async fn row(cache: &Cache, source: &AtomicU64, org: u64, id: u64) -> u64 {
    org * 100 + id * 10 + source.load(SeqCst)
}

#[redis_cached(prefix = "tags", name = "row", tags = "org:{org}", cache = cache, skip(cache, source))]
fn row_plain(cache: &Cache, source: &AtomicU64, org: u64, id: u64) -> u64 {
    org * 100 + id * 10 + source.load(SeqCst)
}

#[redis_cached(prefix = "tags", name = "told", tags = |told: &(u64, u64)| vec![format!("org:{}", told.0)], cache = cache, skip(cache, source))]
async fn told(cache: &Cache, source: &AtomicU64, org: u64, id: u64) -> (u64, u64) {
    assert!(id > 0);
    (org, source.load(SeqCst))
}

#[tokio::test]
async fn an_undelivered_invalidation_is_delivered_before_an_entry_is_read() {
    let server = Server::start();
    for is_plain in [false, true] {
        let proxy = server.proxy();
        let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_millis(200)).build();
        let source = AtomicU64::new(1);
        in_time("all is stored", async || {
            for id in 1..4 {
                row(&cache, &source, 7, id).await;
                told(&cache, &source, 7, id).await;
            }
            cache.stats().stored >= 6
        })
        .await;
        proxy.set(Mode::Refuse);
        proxy.cut();
        source.store(2, SeqCst);
        match is_plain {
            false => drop(cache.invalidate_tag("org:7").await.unwrap_err()),
            true => drop(cache.blocking().invalidate_tag("org:7").unwrap_err()),
        }
        assert_eq!(server.cli(&["EXISTS", STAMP]), "1", "nothing has arrived");
        proxy.set(Mode::Pass);
        let hits = cache.stats().hits;
        in_time("a hit", async || {
            for id in 1..4 {
                assert_eq!(told(&cache, &source, 7, id).await, (7, 2));
                assert_eq!(row(&cache, &source, 7, id).await, 702 + id * 10);
                assert_eq!(row_plain(&cache, &source, 7, id), 702 + id * 10);
            }
            cache.stats().hits > hits + 6
        })
        .await;
        cache.invalidate_tag("org:7").await.unwrap();
    }
}

/// Nobody reads there, and yet it is to be stored again.
#[tokio::test]
async fn a_process_that_only_writes_stores_again_after_an_undelivered_invalidation() {
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_millis(100)).build();
    let (entry, source) = (row_entry(&cache, 7, 1), AtomicU64::new(1));
    in_time("it is stored", async || entry.put(&5).await.is_ok_and(|stored| stored)).await;
    for is_refresh in [false, true] {
        proxy.set(Mode::Delay(Duration::from_millis(150)));
        cache.invalidate_tag("org:7").await.expect_err("too slow");
        proxy.set(Mode::Pass);
        in_time("it is stored again", async || match is_refresh {
            false => entry.put(&6).await.is_ok_and(|stored| stored),
            true => {
                let stored = cache.stats().stored;
                row_refresh(&cache, &source, 7, 1).await;
                cache.stats().stored > stored
            }
        })
        .await;
        assert!(row_entry(&remote(&server), 7, 1).get().await.unwrap().is_some());
    }
    // And the refresh of an entry without tags, whose own invalidation did not arrive.
    in_time("it is stored", async || text_entry(&cache, "a").put(&1).await.is_ok_and(|stored| stored)).await;
    proxy.set(Mode::Delay(Duration::from_millis(150)));
    text_entry(&cache, "a").invalidate().await.expect_err("too slow");
    proxy.set(Mode::Pass);
    in_time("it is stored again", async || {
        let stored = cache.stats().stored;
        text_refresh(&cache, "a").await;
        cache.stats().stored > stored
    })
    .await;
}

#[tokio::test]
async fn without_a_server_calls_return_and_invalidations_tell() {
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    user(&cache, &runs, 7, 1).await;
    server.kill();
    assert_eq!(user(&cache, &runs, 7, 1).await, 70_101);
    assert_eq!(total(&cache, &runs, 7), 70_002);
    assert_eq!(member(&cache, &runs, &texts(&["red"]), 7, 1).await.run, 3);
    assert_eq!(cache.invalidate_tag("org:7").await.unwrap_err().kind(), ErrorKind::Unreachable);
    assert_eq!(cache.blocking().invalidate_tag("org:7").unwrap_err().kind(), ErrorKind::Unreachable);
    server.restart();
    in_time("a hit", async || {
        user(&cache, &runs, 7, 1).await;
        user_entry(&cache, 7, 1).get().await.is_ok_and(|user| user.is_some())
    })
    .await;
}

/// Calls share a running body then, but not with those from before an invalidation; whatever other
/// function has the same key.
#[tokio::test]
async fn an_invalidation_without_a_server_parts_the_calls_before_it_from_those_after() {
    #[redis_cached(prefix = "tags", name = "away", key = "{id}", tags = ["team:{id}"], cache = cache, skip(cache, gate))]
    async fn team(cache: &Cache, gate: Arc<Gate>, id: u64) -> u64 {
        id + gate.pass().await as u64
    }
    #[redis_cached(prefix = "tags", name = "away", key = "{id}", tags = ["org:{id}"], cache = cache, skip(cache, gate))]
    async fn org(cache: &Cache, gate: Arc<Gate>, id: u64) -> String {
        (id + gate.pass().await as u64).to_string()
    }
    let server = Server::start();
    let cache = remote(&server);
    server.kill();
    in_time("the breaker is open", async || {
        team_entry(&cache, 1).get().await.unwrap_err().kind() == ErrorKind::CircuitOpen
    })
    .await;
    let (gate, other) = (Arc::new(Gate::closed()), Arc::new(Gate::closed()));
    let first = tokio::spawn({
        let (cache, other) = (cache.clone(), other.clone());
        async move { team(&cache, other, 10).await }
    });
    other.wait_for(1).await;
    cache.invalidate_tag("team:10").await.unwrap_err();
    let call = || {
        let (cache, gate) = (cache.clone(), gate.clone());
        tokio::spawn(async move { org(&cache, gate, 10).await })
    };
    let before = [call(), call()];
    gate.wait_for(1).await;
    cache.invalidate_tag("org:10").await.unwrap_err();
    let after = [call(), call()];
    gate.wait_for(2).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    gate.open();
    other.open();
    assert_eq!(first.await.unwrap(), 11);
    for (calls, value) in [(before, "11"), (after, "12")] {
        for call in calls {
            assert_eq!(call.await.unwrap(), value);
        }
    }
    assert_eq!(gate.entered(), 2);
}

#[tokio::test]
async fn a_full_server_stores_nothing_and_hinders_nobody() {
    let server = Server::with(&["--maxmemory-policy", "noeviction"]);
    let (cache, source) = (remote(&server), AtomicU64::new(1));
    row(&cache, &source, 7, 1).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    source.store(2, SeqCst);
    assert_eq!(row(&cache, &source, 7, 1).await, 711, "a hit");
    assert!(cache.invalidate_tag("org:7").await.unwrap());
    for id in 1..20 {
        assert_eq!(row(&cache, &source, 7, id).await, 702 + id * 10);
        assert_eq!(row_plain(&cache, &source, 7, id), 702 + id * 10);
        assert_eq!(told(&cache, &source, 7, id).await, (7, 2));
    }
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    in_time("a hit", async || {
        row(&cache, &source, 7, 1).await;
        row_entry(&cache, 7, 1).get().await.unwrap() == Some(712)
    })
    .await;
}
