//! Hits and misses.

use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use super::{Async, Bench, Local, Plain, each_async, each_local, each_plain};
use crate::measure::{Turn, rounds};
use crate::report::Table;
use crate::subjects::{BlockingSubject, Result, Subject};

/// The number of keys over which concurrent hits are spread.
const KEYS: u64 = 1_000;

/// The rounds of sequential calls. With client and server on a core each, the ratio of a round varies by a tenth.
const ONE_BY_ONE: usize = 81;

fn runtime(workers: usize) -> Result<Runtime> {
    Ok(match workers {
        1 => Builder::new_current_thread().enable_all().build()?,
        workers => Builder::new_multi_thread().worker_threads(workers).enable_all().build()?,
    })
}

pub fn tables(bench: &Bench<'_>) -> Result<Vec<Table>> {
    Ok(vec![of_async(bench)?, of_plain(bench)?])
}

fn of_async(bench: &Bench<'_>) -> Result<Table> {
    let mut rows = Vec::new();
    let one = runtime(1)?;
    let all = one.block_on(Async::connect(&bench.server.url()))?;
    for (name, size, count) in [("hit, 100 B", 100, 500), ("hit, 1 KB", 1_000, 500), ("hit, 100 KB", 100_000, 200)] {
        let mut turns =
            each_async!(all, |subject| repeated(&one, subject, count, async |one| one.item(size, black_box(1)).await));
        turns.push(limit(bench, size, 1, 2_000)?);
        rows.push(rounds(name, bench.rounds(ONE_BY_ONE), turns));
    }
    let mut turns =
        each_async!(all, |subject| repeated(&one, subject, 4, async |one| one.users(black_box(100_000)).await));
    turns.push(none());
    rows.push(rounds("hit, 100,000 users", bench.rounds(9), turns));

    let mut turns = each_async!(all, |subject| batch(&one, subject));
    turns.push(none());
    rows.push(rounds("1,000 hits together", bench.rounds(15), turns));

    let unused = AtomicU64::new(1_000_000);
    let fresh = || unused.fetch_add(1, Relaxed);
    let mut turns = each_async!(all, |subject| repeated(&one, subject, 200, async |one| one.item(100, fresh()).await));
    turns.push(none());
    rows.push(rounds("miss, 100 B", bench.rounds(ONE_BY_ONE), turns));
    let mut turns = each_async!(all, |subject| repeated(&one, subject, 200, async |one| {
        one.item(100, black_box(1)).await?;
        one.item(100, fresh()).await
    }));
    turns.push(none());
    rows.push(rounds("a hit and a miss in turn, 100 B", bench.rounds(ONE_BY_ONE), turns));
    drop(all);

    // A connection belongs to the runtime that opened it.
    let several = runtime(bench.pinning.workers())?;
    let all = several.block_on(Async::connect(&bench.server.url()))?;
    let spread = |tasks, each| AtOnce { tasks, each, keys: KEYS, size: 100 };
    for (name, load) in [
        ("8 hits at once", spread(8, 100)),
        ("64 hits at once", spread(64, 50)),
        ("256 hits at once", spread(256, 25)),
        ("64 hits at once of one key, 10 KB", AtOnce { tasks: 64, each: 50, keys: 1, size: 10_000 }),
    ] {
        let mut turns = each_async!(all, |subject| at_once(&several, subject, load));
        turns.push(limit(bench, load.size, load.tasks, 40_000)?);
        rows.push(rounds(name, bench.rounds(21), turns));
    }
    let mut turns = each_async!(all, |subject| beside_large(&several, subject));
    turns.push(none());
    rows.push(rounds("hit, 100 B, during four of 5 MB", bench.rounds(9), turns));
    several.shutdown_timeout(Duration::from_secs(5));
    Ok(Table {
        title: "Async functions",
        about: "Time per call by hand. For the others: the median of the rounds' ratios to that, with the middle half. \
            `redis-benchmark` measures the server's own limit on one connection, with the same number of requests in flight. \
            Misses follow misses. In turn: the time of a pair of calls. Together: a batch, if the subject has one, or as many \
            concurrent calls; by hand, `MGET`.",
        rows,
    })
}

/// Hits with a tier in this process. A tier does not make misses faster.
pub fn of_tiers(bench: &Bench<'_>) -> Result<Table> {
    bench.server.flush()?;
    let mut rows = Vec::new();
    let one = runtime(1)?;
    let all = one.block_on(Local::connect(&bench.server.url()))?;
    for (name, size, count) in [("hit, 100 B", 100, 500), ("hit, 100 KB", 100_000, 200)] {
        let turns =
            each_local!(all, |subject| repeated(&one, subject, count, async |one| one.item(size, black_box(1)).await));
        rows.push(rounds(name, bench.rounds(ONE_BY_ONE), turns));
    }
    let turns =
        each_local!(all, |subject| repeated(&one, subject, 500, async |one| one.shared_item(100, black_box(1)).await));
    rows.push(rounds("hit, 100 B in an `Arc`", bench.rounds(ONE_BY_ONE), turns));
    let turns = each_local!(all, |subject| repeated(&one, subject, 4, async |one| one.users(black_box(100_000)).await));
    rows.push(rounds("hit, 100,000 users", bench.rounds(9), turns));
    let turns =
        each_local!(all, |subject| repeated(&one, subject, 10, async |one| one.shared_users(black_box(100_000)).await));
    rows.push(rounds("hit, 100,000 users in an `Arc`", bench.rounds(9), turns));
    drop(all);
    let several = runtime(bench.pinning.workers())?;
    let all = several.block_on(Local::connect(&bench.server.url()))?;
    let turns =
        each_local!(all, |subject| at_once(&several, subject, AtOnce { tasks: 64, each: 50, keys: KEYS, size: 100 }));
    rows.push(rounds("64 hits at once", bench.rounds(21), turns));
    several.shutdown_timeout(Duration::from_secs(5));
    Ok(Table {
        title: "Hits with a tier in this process",
        about: "Libraries that also keep values in the process, and answer hits from there, and two subjects that ask Redis each \
            time. Times in place of ratios are medians, where the ratio would be below 0.1. The last three have no server, and \
            so no other process to agree with. The tier saves the round trip. Its cost is that a hit may be older than an \
            invalidation by another process, until the server's message arrives (client-side caching; redis-cached has a bound \
            besides, half a second) or, in this setup, until the entry expires (the others).",
        rows,
    })
}

fn of_plain(bench: &Bench<'_>) -> Result<Table> {
    let all = Plain::connect(&bench.server.url())?;
    let mut rows = Vec::new();
    for (name, size, count) in [("hit, 100 B", 100, 500), ("hit, 100 KB", 100_000, 200)] {
        let turns =
            each_plain!(all, |subject| repeated_blocking(subject, count, move |one| one.item(size, black_box(1))));
        rows.push(rounds(name, bench.rounds(ONE_BY_ONE), turns));
    }
    let turns = each_plain!(all, |subject| repeated_blocking(subject, 4, |one| one.users(black_box(100_000))));
    rows.push(rounds("hit, 100,000 users", bench.rounds(9), turns));
    let unused = AtomicU64::new(2_000_000);
    let fresh = || unused.fetch_add(1, Relaxed);
    let turns = each_plain!(all, |subject| repeated_blocking(subject, 200, |one| one.item(100, fresh())));
    rows.push(rounds("miss, 100 B", bench.rounds(ONE_BY_ONE), turns));
    let turns = each_plain!(all, |subject| repeated_blocking(subject, 200, |one| {
        one.item(100, black_box(1))?;
        one.item(100, fresh())
    }));
    rows.push(rounds("a hit and a miss in turn, 100 B", bench.rounds(ONE_BY_ONE), turns));
    Ok(Table {
        title: "Plain functions",
        about: "Like the first table. By hand, the thread holds one connection.",
        rows,
    })
}

/// Sequential calls.
fn repeated<'a, S: Subject, T>(
    runtime: &'a Runtime,
    subject: S,
    count: u32,
    call: impl AsyncFn(&S) -> Result<T> + 'a,
) -> Turn<'a> {
    let turn = move || {
        runtime.block_on(async {
            // The others have had the processor's caches until now.
            for _ in 0..=count / 20 {
                black_box(call(&subject).await?);
            }
            let begun = Instant::now();
            for _ in 0..count {
                black_box(call(&subject).await?);
            }
            Ok(begun.elapsed() / count)
        })
    };
    (S::NAME, Box::new(turn))
}

/// Sequential calls of a plain function.
fn repeated_blocking<'a, S: BlockingSubject, T>(
    subject: S,
    count: u32,
    call: impl Fn(&S) -> Result<T> + 'a,
) -> Turn<'a> {
    let turn = move || {
        let begun = Instant::now();
        for _ in 0..count {
            black_box(call(&subject)?);
        }
        Ok(begun.elapsed() / count)
    };
    (S::NAME, Box::new(turn))
}

fn batch<'a, S: Subject>(runtime: &'a Runtime, subject: S) -> Turn<'a> {
    const COUNT: u32 = 12;
    let ids: Vec<u64> = (0..KEYS).collect();
    let mut is_stored = false;
    let turn = move || {
        runtime.block_on(async {
            if !is_stored {
                for id in &ids {
                    subject.item(100, *id).await?;
                }
                subject.items(100, &ids).await?;
                is_stored = true;
            }
            let begun = Instant::now();
            for _ in 0..COUNT {
                black_box(subject.items(100, &ids).await?);
            }
            Ok(begun.elapsed() / COUNT)
        })
    };
    (S::NAME, Box::new(turn))
}

/// Concurrent tasks that make sequential calls.
#[derive(Clone, Copy)]
struct AtOnce {
    tasks: u64,
    /// The number of calls of each task.
    each: u64,
    keys: u64,
    size: u32,
}

fn at_once<'a, S: Subject>(runtime: &'a Runtime, subject: S, load: AtOnce) -> Turn<'a> {
    let AtOnce { tasks, each, keys, size } = load;
    let mut is_stored = false;
    let turn = move || {
        runtime.block_on(async {
            if !is_stored {
                for id in 0..keys {
                    subject.item(size, id).await?;
                }
                is_stored = true;
            }
            let begun = Instant::now();
            let tasks: Vec<_> = (0..tasks)
                .map(|task| {
                    let subject = subject.clone();
                    tokio::spawn(async move {
                        for hit in 0..each {
                            // The step is prime, so that neighbouring tasks ask for different keys.
                            black_box(subject.item(size, (task * 331 + hit * 7) % keys).await?);
                        }
                        Result::Ok(())
                    })
                })
                .collect();
            let count = tasks.len() as u64 * each;
            for task in tasks {
                task.await??;
            }
            Ok(begun.elapsed().div_f64(count as f64))
        })
    };
    (S::NAME, Box::new(turn))
}

/// Sequential hits, while four tasks ask only for large values.
fn beside_large<'a, S: Subject>(runtime: &'a Runtime, subject: S) -> Turn<'a> {
    const COUNT: u32 = 20;
    let turn = move || {
        runtime.block_on(async {
            subject.item(100, 0).await?;
            let is_over = Arc::new(AtomicBool::new(false));
            for id in [0, 1, 2, 3, 0] {
                // The value is stored now, and known to be large.
                subject.large(id).await?;
            }
            let busy: Vec<_> = (0..4)
                .map(|id| {
                    let (subject, is_over) = (subject.clone(), Arc::clone(&is_over));
                    tokio::spawn(async move {
                        while !is_over.load(Relaxed) {
                            black_box(subject.large(id).await?);
                        }
                        Result::Ok(())
                    })
                })
                .collect();
            let begun = Instant::now();
            for _ in 0..COUNT {
                black_box(subject.item(100, 0).await?);
            }
            let took = begun.elapsed() / COUNT;
            is_over.store(true, Relaxed);
            for task in busy {
                task.await??;
            }
            Ok(took)
        })
    };
    (S::NAME, Box::new(turn))
}

const LIMIT: &str = "redis-benchmark";

/// The server's limit, measured by a client in C with `pipelined` requests at a time.
fn limit<'a>(bench: &Bench<'a>, size: u32, pipelined: u64, count: u32) -> Result<Turn<'a>> {
    let port = bench.server.port().to_string();
    let run = move |test: &str, count: u32| -> Result<Option<f64>> {
        let output = Command::new("redis-benchmark")
            .args(["-p", &port, "-t", test, "-c", "1", "-P", &pipelined.to_string(), "-d", &size.to_string()])
            .args(["-n", &count.to_string(), "--csv"])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().rfind(|line| line.starts_with(&format!("\"{}\"", test.to_uppercase())));
        Ok(line.and_then(|line| line.split(',').nth(1)?.trim_matches('"').parse().ok()))
    };
    // So few requests may have no rate.
    run("set", 10)?;
    let rate = move || run("get", count)?.ok_or_else(|| "redis-benchmark tells no rate".into());
    Ok((LIMIT, Box::new(move || rate().map(|rate| Duration::from_secs_f64(1.0 / rate)))))
}

/// The cell of a workload that `redis-benchmark` does not have.
fn none<'a>() -> Turn<'a> {
    (LIMIT, Box::new(|| Err("–".into())))
}
