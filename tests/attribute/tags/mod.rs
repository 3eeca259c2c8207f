//! `tags = […]`: entries of any functions that are invalidated together, by one command.

mod computing;
mod hits;
mod invalidation;
mod outages;
mod stamps;
mod texts;
mod writes_and_refreshes;

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

/// A cache with a time-out that a busy machine does not reach, so stored values are found.
fn cache(url: &str) -> Cache {
    Cache::builder(url).unwrap().timeout(PATIENCE).build()
}

fn remote(server: &Server) -> Cache {
    cache(&server.url())
}

/// A cache in memory and one on the server, for tests of what holds for both.
fn caches(server: &Server) -> [Cache; 2] {
    ["memory://", &server.url()].map(cache)
}

/// The commands that clients sent since the last call: those of connecting, the clock's and the check
/// that the server is a master left out.
fn asked(monitor: &mut Monitor) -> Vec<Vec<String>> {
    let beside = ["CLIENT", "HELLO", "INFO", "TIME", "ROLE", "SELECT", "AUTH"];
    let is_beside = |command: &[String]| command == ["EXISTS", "redis-cached"] || beside.contains(&&*command[0]);
    monitor.commands().into_iter().filter(|command| !is_beside(command)).collect()
}

#[redis_cached(prefix = "tags", name = "text", tags = "text:{text}", cache = cache, skip(cache))]
async fn text(cache: &Cache, text: &str) -> usize {
    text.len()
}
