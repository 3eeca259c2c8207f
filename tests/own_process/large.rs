//! Large values on every path: they are stored, come back as they were, and take a known number of copies of memory.

use std::fmt::Write as _;
use std::fs;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use redis_cached::{Cache, redis_cached};
use test_support::{Cluster, PATIENCE, Server};
use tokio::runtime::{Builder, Runtime};

use crate::alone;

/// The length of the values, of which a copy is told by what is resident.
fn large() -> usize {
    static LENGTH: OnceLock<usize> = OnceLock::new();
    *LENGTH.get_or_init(|| std::env::var(CHILD).unwrap().parse::<usize>().unwrap() << 20)
}

/// An allocation of this length is mapped by itself, and given back at once: what is resident tells what is in use.
const MAPPED: &str = "131072";

/// The variable that tells a child how long its values are, in MB.
const CHILD: &str = "REDIS_CACHED_LARGE_CHILD";

#[redis_cached(prefix = "large", cache = cache, skip(cache, runs))]
async fn text(cache: &Cache, runs: &AtomicUsize, id: u64) -> String {
    made(runs, id)
}

#[redis_cached(prefix = "large", cache = cache, skip(cache, runs))]
fn text_plain(cache: &Cache, runs: &AtomicUsize, id: u64) -> String {
    made(runs, id)
}

#[redis_cached(prefix = "large", group = "of:{id % 10}", cache = cache, skip(cache, runs))]
async fn grouped(cache: &Cache, runs: &AtomicUsize, id: u64) -> String {
    made(runs, id)
}

#[redis_cached(prefix = "large", group = "of:{id % 10}", cache = cache, skip(cache, runs))]
fn grouped_plain(cache: &Cache, runs: &AtomicUsize, id: u64) -> String {
    made(runs, id)
}

/// Two texts of half the length.
#[redis_cached(prefix = "large", batch(id in ids), cache = cache, skip(cache, runs))]
async fn halves(cache: &Cache, runs: &AtomicUsize, ids: &[u64]) -> Vec<(u64, String)> {
    runs.fetch_add(1, SeqCst);
    ids.iter().map(|id| (*id, of_length(*id, large() / 2))).collect()
}

#[cfg(feature = "axum")]
#[redis_cached(response, prefix = "large", max_body = 100_000_000, cache = cache, skip(cache, runs))]
async fn page(cache: &Cache, runs: &AtomicUsize, id: u64) -> String {
    made(runs, id)
}

fn made(runs: &AtomicUsize, id: u64) -> String {
    runs.fetch_add(1, SeqCst);
    of_length(id, large())
}

/// The parts of a text, each of which begins with its place.
const PART: usize = 64 << 10;

fn of_length(id: u64, length: usize) -> String {
    let rest = rest();
    let mut text = String::with_capacity(length);
    for place in 0..length / PART {
        write!(text, "{id:8}{place:8}").unwrap();
        text.push_str(&rest);
    }
    text
}

/// What follows the place in a part.
fn rest() -> String {
    "0123456789abcdef".repeat(PART / 16 - 1)
}

/// Returns true for what [`of_length`] makes. It makes no second text to compare.
fn is_whole(text: &[u8], id: u64, length: usize) -> bool {
    let rest = rest();
    text.len() == length
        && text.chunks(PART).enumerate().all(|(place, part)| {
            let (front, after) = part.split_at(16);
            front == format!("{id:8}{place:8}").as_bytes() && after == rest.as_bytes()
        })
}

/// The peak of this process's resident memory since the last look, and what is resident now.
fn memory() -> (usize, usize) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches(|char: char| !char.is_ascii_digit()).parse::<usize>().unwrap() * 1024
    };
    (field("VmHWM:"), field("VmRSS:"))
}

/// The output of a call, how much memory it takes at its peak, and how much is left of that afterwards, in copies.
fn copies<T>(call: impl FnOnce() -> T) -> (T, f64, f64) {
    // This makes the peak what is resident now.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let (_, before) = memory();
    let output = call();
    let (peak, after) = memory();
    let copies = |bytes: usize| bytes.saturating_sub(before) as f64 / large() as f64;
    (output, copies(peak), copies(after))
}

/// A cache that has patience: builds without optimizations are slow.
fn cache(url: &str) -> Cache {
    Cache::builder(url).unwrap().timeout(PATIENCE).build()
}

/// The copies that a miss takes, those that a hit takes, and those that stay after it. The first two include the value that
/// the caller gets. What a miss takes beside it are the encoded value, the command, and what is sent; a hit takes the buffer
/// of the connection, and the reply.
fn of_path(url: &str, values: u64, call: impl Fn(&Cache, &AtomicUsize, u64) -> bool) -> String {
    // It has connections of its own, because they keep their buffers. The first call makes them.
    let (cache, runs) = (cache(url), AtomicUsize::new(0));
    assert!(call(&cache, &runs, 1));
    let before = cache.stats();
    let (is_whole, miss, _) = copies(|| call(&cache, &runs, 11));
    assert!(is_whole, "a miss");
    let stored = cache.stats().stored - before.stored;
    let (is_whole, hit, left) = copies(|| call(&cache, &runs, 11));
    assert!(is_whole, "a hit");
    let hits = cache.stats().hits - before.hits;
    assert_eq!((stored, hits, runs.load(SeqCst)), (values, values, 2), "it is stored, and a hit");
    format!("{miss:.1}, {hit:.1}, {left:.1}")
}

/// Runs a future where it is.
fn run<T>(runtime: &Runtime, future: impl Future<Output = T>) -> T {
    runtime.block_on(std::pin::pin!(future))
}

/// All the figures, so that a change shows what it moves.
macro_rules! figures {
    ($($(#[$attribute:meta])* $name:literal: $expected:literal, $figure:expr;)*) => {{
        let figures = vec![$($(#[$attribute])* ($name, $expected.to_owned(), $figure),)*];
        for (name, _, figure) in &figures {
            println!("{name}: {figure}");
        }
        for (name, expected, figure) in figures {
            // Beside a value of 1 MB, all else that a process does takes as much.
            assert!(large() == 1 << 20 || figure == expected, "{name}: {figure} in place of {expected}");
        }
    }};
}

fn measure() {
    let (server, cluster) = (Server::start(), Cluster::start());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (redis, in_cluster, memory) = (&server.url(), &cluster.url(), "memory://?max_mb=1000");
    let is_text = |text: String, id| is_whole(text.as_bytes(), id, large());
    let of_async = |url: &str| of_path(url, 1, |cache, runs, id| is_text(run(&runtime, text(cache, runs, id)), id));
    let of_plain = |url: &str| of_path(url, 1, |cache, runs, id| is_text(text_plain(cache, runs, id), id));
    figures! {
        "async": "4.0, 3.0, 1.0", of_async(redis);
        "plain": "4.0, 3.0, 1.0", of_plain(redis);
        "group": "4.0, 3.0, 1.0", of_path(redis, 1, |cache, runs, id| is_text(run(&runtime, grouped(cache, runs, id)), id));
        "group, plain": "4.0, 3.0, 1.0", of_path(redis, 1, |cache, runs, id| is_text(grouped_plain(cache, runs, id), id));
        "batch of two halves": "3.0, 2.5, 1.0", of_path(redis, 2, |cache, runs, id| {
            let halves = run(&runtime, halves(cache, runs, &[id, id + 1]));
            halves.len() == 2 && halves.iter().all(|(id, half)| is_whole(half.as_bytes(), *id, large() / 2))
        });
        #[cfg(feature = "axum")]
        "response": "4.0, 2.0, 1.0", of_path(redis, 1, |cache, runs, id| {
            let response = run(&runtime, page(cache, runs, id));
            let body = run(&runtime, axum::body::to_bytes(response.into_body(), usize::MAX)).unwrap();
            is_whole(&body, id, large())
        });
        // Each node has a connection, which has no buffer yet for what is sent.
        "cluster, async": "5.0, 3.0, 1.0", of_async(in_cluster);
        "cluster, plain": "4.0, 3.0, 1.0", of_plain(in_cluster);
        "memory, async": "2.0, 1.0, 0.0", of_async(memory);
        "memory, plain": "2.0, 1.0, 0.0", of_plain(memory);
    }
    #[cfg(feature = "tls-rustls")]
    {
        let server = test_support::TlsServer::start();
        figures! {
            "TLS, async": "4.0, 3.0, 1.0", of_async(&server.url());
            "TLS, plain": "4.0, 3.0, 1.0", of_plain(&server.url());
        }
    }
}

fn with_values_of(megabytes: usize) {
    if std::env::var_os(CHILD).is_some() {
        return measure();
    }
    let _alone = alone();
    let mut child = test_support::child(module_path!(), &format!("of_{megabytes}_megabytes"));
    let output = child.env(CHILD, megabytes.to_string()).env("MALLOC_MMAP_THRESHOLD_", MAPPED).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{text}");
    assert!(output.status.success());
}

#[test]
fn of_1_megabytes() {
    with_values_of(1);
}

#[test]
fn of_16_megabytes() {
    with_values_of(16);
}

#[test]
fn of_64_megabytes() {
    with_values_of(64);
}
