//! What a stampede takes beside the body itself: many calls of one cold key at once.
//!
//! `cargo bench --bench stampede` starts a server of its own. In each round the body runs alone, and
//! then a stampede of calls for a new key; the figure is how much longer that took than the body,
//! with how often a body ran for it.

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use support::Server;
use tokio::task::JoinSet;

const ROUNDS: u64 = 21;
const BODY: Duration = Duration::from_millis(50);
const PROCESSES: usize = 4;

#[redis_cached(prefix = "bench", name = "slow", cache = cache, skip(cache, runs))]
async fn slow(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    runs.fetch_add(1, SeqCst);
    tokio::time::sleep(BODY).await;
    id
}

#[redis_cached(prefix = "bench", name = "slow_blocking", cache = cache, skip(cache, runs))]
fn slow_blocking(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    runs.fetch_add(1, SeqCst);
    thread::sleep(BODY);
    id
}

/// One subject's figures.
#[derive(Default)]
struct Figures {
    alone: Vec<Duration>,
    stampede: Vec<Duration>,
    runs: Vec<usize>,
}

impl Figures {
    fn print(mut self, name: &str) {
        let pairs = self.stampede.iter().zip(&self.alone);
        let mut extra: Vec<_> = pairs.map(|(stampede, alone)| stampede.as_secs_f64() - alone.as_secs_f64()).collect();
        extra.sort_by(f64::total_cmp);
        self.alone.sort();
        let millis = |at: usize| extra[at] * 1e3;
        println!(
            "{name:32} body {:5.1} ms   stampede {:+6.2} ms (middle half {:+.2} to {:+.2})   runs {} to {}",
            self.alone[self.alone.len() / 2].as_secs_f64() * 1e3,
            millis(extra.len() / 2),
            millis(extra.len() / 4),
            millis(extra.len() - 1 - extra.len() / 4),
            self.runs.iter().min().expect("a round"),
            self.runs.iter().max().expect("a round"),
        );
    }
}

/// So many tasks at once; how long until the last one has its value.
async fn tasks(cache: &Cache, runs: &Arc<AtomicUsize>, count: usize, id: u64) -> Duration {
    let begun = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let (cache, runs) = (cache.clone(), Arc::clone(runs));
        calls.spawn(async move { assert_eq!(slow(&cache, &runs, id).await, id) });
    }
    calls.join_all().await;
    begun.elapsed()
}

async fn alone(cache: &Cache) -> Duration {
    let begun = Instant::now();
    slow_uncached(cache, &AtomicUsize::new(0), 0).await;
    begun.elapsed()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

fn of_tasks(name: &str, url: &str) {
    runtime().block_on(async {
        let cache = Cache::builder(url).expect("a URL").build();
        let mut figures = Figures::default();
        tasks(&cache, &Arc::default(), 500, 0).await; // connects
        for id in 1..=ROUNDS {
            let runs = Arc::default();
            figures.alone.push(alone(&cache).await);
            figures.stampede.push(tasks(&cache, &runs, 500, id).await);
            figures.runs.push(runs.load(SeqCst));
        }
        figures.print(name);
    });
}

fn of_threads(name: &str, url: &str) {
    let cache = Cache::builder(url).expect("a URL").build();
    let mut figures = Figures::default();
    for id in 0..=ROUNDS {
        let runs = AtomicUsize::new(0);
        let begun = Instant::now();
        slow_blocking_uncached(&cache, &runs, id);
        let alone = begun.elapsed();
        runs.store(0, SeqCst);
        // The threads are there before; what is measured is the calls.
        let barrier = std::sync::Barrier::new(65);
        let stampede = thread::scope(|scope| {
            let threads: Vec<_> = (0..64)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        assert_eq!(slow_blocking(&cache, &runs, id), id);
                    })
                })
                .collect();
            barrier.wait();
            let begun = Instant::now();
            threads.into_iter().for_each(|thread| thread.join().expect("no call panics"));
            begun.elapsed()
        });
        // The first one connects.
        if id > 0 {
            figures.alone.push(alone);
            figures.stampede.push(stampede);
            figures.runs.push(runs.into_inner());
        }
    }
    figures.print(name);
}

const CHILD: &str = "REDIS_CACHED_BENCH_CHILD";

/// In a process of its own: waits for each round's start, and says how long a hundred tasks took
/// and how often a body ran here.
fn be_a_process(url: &str) {
    runtime().block_on(async {
        let cache = Cache::builder(url).expect("a URL").build();
        let client = redis::Client::open(url).expect("a URL");
        let mut connection = client.get_multiplexed_async_connection().await.expect("the server is up");
        tasks(&cache, &Arc::default(), 100, u64::from(std::process::id())).await; // connects
        for id in 1..=ROUNDS {
            redis::cmd("INCR").arg(format!("ready:{id}")).exec_async(&mut connection).await.expect("a reply");
            let go = format!("go:{id}");
            while redis::cmd("EXISTS").arg(&go).query_async(&mut connection).await != Ok(1) {
                tokio::task::yield_now().await;
            }
            let runs = Arc::default();
            // Not those of the other subjects.
            let elapsed = tasks(&cache, &runs, 100, id + 1_000).await;
            println!("{} {}", elapsed.as_nanos(), runs.load(SeqCst));
        }
    });
}

fn of_processes(name: &str, server: &Server) {
    let children = (0..PROCESSES).map(|_| {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.env(CHILD, server.url()).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("a process")
    });
    let mut children: Vec<_> = children
        .map(|mut child| {
            let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
            (child, lines)
        })
        .collect();
    let cache = Cache::builder("memory://").expect("a URL").build();
    let runtime = runtime();
    let mut figures = Figures::default();
    for id in 1..=ROUNDS {
        support::eventually("the processes are ready", || {
            server.cli(&["GET", &format!("ready:{id}")]) == PROCESSES.to_string()
        });
        figures.alone.push(runtime.block_on(alone(&cache)));
        server.cli(&["SET", &format!("go:{id}"), "1"]);
        let (mut slowest, mut runs) = (Duration::ZERO, 0);
        for (_, lines) in &mut children {
            let line = lines.next().expect("a line").expect("text");
            let (nanos, ran) = line.split_once(' ').expect("two numbers");
            slowest = slowest.max(Duration::from_nanos(nanos.parse().expect("a number")));
            runs += ran.parse::<usize>().expect("a number");
        }
        figures.stampede.push(slowest);
        figures.runs.push(runs);
    }
    for (mut child, _) in children {
        assert!(child.wait().expect("it ends").success());
    }
    figures.print(name);
}

fn main() {
    if let Ok(url) = std::env::var(CHILD) {
        return be_a_process(&url);
    }
    // `cargo test --benches` builds and runs this too, without wanting figures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let server = Server::start();
    of_tasks("500 tasks, memory", "memory://");
    of_tasks("500 tasks", &server.url());
    of_threads("64 threads, memory", "memory://");
    of_threads("64 threads", &server.url());
    of_processes("4 processes x 100 tasks", &server);
}
