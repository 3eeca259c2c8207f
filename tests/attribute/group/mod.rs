//! `group = "…"`: entries that are fields of one Redis hash, each with a lifetime of its own, and
//! that go together.

mod computing;
mod entries;
mod large;
mod lifetimes;
mod old_values;
mod outages;
mod stored;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use redis_cached::{Cache, ErrorKind, redis_cached};
use test_support::{Gate, Mode, Monitor, PATIENCE, Server, eventually, expired, in_time, let_run};

#[redis_cached(prefix = "grp", name = "grade", group = "class:{class}", cache = cache, skip(cache, runs))]
async fn grade(cache: &Cache, runs: &AtomicUsize, class: u64, student: &str) -> u64 {
    class * 1_000 + student.len() as u64 * 100 + runs.fetch_add(1, SeqCst) as u64
}

#[redis_cached(prefix = "grp", name = "plain", group = "class:{class}", cache = cache, skip(cache, runs))]
fn plain(cache: &Cache, runs: &AtomicUsize, class: u64, student: &str) -> u64 {
    class * 1_000 + student.len() as u64 * 100 + runs.fetch_add(1, SeqCst) as u64
}

#[redis_cached(prefix = "grp", name = "gated", group = "class:{class}", cache = cache, skip(cache, gate))]
async fn gated(cache: &Cache, gate: Arc<Gate>, class: u64, id: u64) -> u64 {
    assert_eq!(class, 7);
    id + gate.pass().await as u64
}

const HASH: &str = "grp:#group:class:7";

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

fn names(commands: &[Vec<String>]) -> Vec<String> {
    commands.iter().map(|command| command[0].to_uppercase()).collect()
}

fn number(server: &Server, command: &[&str]) -> i64 {
    server.cli(command).parse().unwrap()
}

fn fields(server: &Server) -> Vec<String> {
    let mut fields: Vec<String> = server.cli(&["HKEYS", HASH]).lines().map(str::to_owned).collect();
    fields.retain(|field| !field.is_empty());
    fields.sort();
    fields
}

/// A way to void a computation in the group.
enum Void<'a> {
    Entry(&'a Cache),
    Group(&'a Cache),
    PlainGroup(&'a Cache),
    All(&'a Cache),
    /// A command, as a program in any language sends it.
    Command(&'a Server, &'a [&'a str]),
}

impl Void<'_> {
    async fn run(&self) {
        match self {
            Void::Entry(cache) => drop(voided_entry(cache, 7).invalidate().await.unwrap()),
            Void::Group(cache) => drop(voided_group(cache, 7).invalidate().await.unwrap()),
            Void::PlainGroup(cache) => drop(plain_group(cache, 7).invalidate().unwrap()),
            Void::All(cache) => drop(cache.invalidate_all([voided_group(cache, 7)]).await.unwrap()),
            Void::Command(server, command) => drop(server.cli(command)),
        }
    }
}

#[redis_cached(prefix = "grp", name = "voided", group = "class:{class}", cache = cache, skip(cache, runs, void))]
async fn voided(cache: &Cache, runs: &AtomicUsize, void: Option<&Void<'_>>, class: u64) -> u64 {
    let run = runs.fetch_add(1, SeqCst) as u64;
    if let Some(void) = void {
        void.run().await;
    }
    class + run
}

fn field_of<V>(entry: &redis_cached::Entry<V>) -> String {
    entry.key().unwrap().split_once(' ').unwrap().1.to_owned()
}
