//! At most one body at a time for a key, whatever becomes of the calls that lead: they fail, are cancelled or panic, and
//! many calls of one process or of three wait for each of them.
//!
//! Each round has keys of its own. Its first bodies end without a value, and the round ends when all calls have one. A
//! body counts itself at a server of its own; two that count themselves at the same time overlap.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use test_support::{PATIENCE, Server, child, eventually};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::random;

/// The calls of a process that wait at the same time. A process whose bodies fail or panic in a way that cannot be shared
/// makes one call at a time: after two such failures, more than one body runs for the calls of a process that saw them.
const CALLS: u64 = 40;

/// The bodies of a round that end without a value.
const FAILURES: u64 = 8;
const ROUNDS: u64 = 8;

/// The ids of a round of batches.
const IDS: u64 = 6;

const BODY: Duration = Duration::from_millis(3);

/// How the first bodies of a round end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Failing,
    Cancelled,
    Panicking,
    /// Three calls in ten are given up wherever they are.
    Hurried,
}

/// The functions of a race.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Subject {
    Tasks,
    /// Errors are not shared.
    OwnErrors,
    Threads,
    Batches,
    BatchesOfThreads,
}

impl Subject {
    fn is_plain(self) -> bool {
        matches!(self, Subject::Threads | Subject::BatchesOfThreads)
    }

    fn is_batch(self) -> bool {
        matches!(self, Subject::Batches | Subject::BatchesOfThreads)
    }

    fn shares_errors(self) -> bool {
        matches!(self, Subject::Tasks | Subject::Threads)
    }
}

#[derive(Debug)]
enum Fate {
    Value,
    Failure,
    Panic,
    Cancellation,
}

/// One process of a race.
struct Site {
    process: u64,
    processes: u64,
    subject: Subject,
    mode: Mode,
    /// The server that counts bodies.
    counter: Mutex<redis::Connection>,
}

/// A call that its body can cancel.
#[derive(Default)]
struct Call(Notify);

#[derive(Clone, Debug)]
struct Failed;

/// A body that runs.
struct Running<'s> {
    site: &'s Site,
    ids: Vec<u64>,
}

impl Site {
    fn ask<T: redis::FromRedisValue>(&self, command: &redis::Pipeline) -> T {
        command.query(&mut *self.counter.lock().unwrap_or_else(PoisonError::into_inner)).unwrap()
    }

    /// Counts a body, and tells how it is to end.
    fn begin(&self, ids: &[u64]) -> (Running<'_>, Fate) {
        let mut command = redis::pipe();
        for id in ids {
            command.cmd("INCR").arg(format!("running:{id}")).cmd("INCR").arg(format!("bodies:{id}"));
        }
        let counts: Vec<u64> = self.ask(&command);
        let overlaps = counts.chunks(2).filter(|counts| counts[0] > 1).count();
        let mut command = redis::pipe();
        self.ask::<()>(command.cmd("INCRBY").arg("overlaps").arg(overlaps).cmd("INCR").arg("bodies"));
        let is_first = counts.chunks(2).all(|counts| counts[1] == 1);
        let is_early = counts.chunks(2).any(|counts| counts[1] <= FAILURES);
        (Running { site: self, ids: ids.to_vec() }, if is_early { self.failure(is_first) } else { Fate::Value })
    }

    /// The end of an early body. `is_first` is true if it is the first for each of its ids.
    fn failure(&self, is_first: bool) -> Fate {
        match self.mode {
            Mode::Failing if self.is_single() || self.subject.shares_errors() => Fate::Failure,
            Mode::Panicking if self.is_single() || is_first => Fate::Panic,
            _ if self.subject.is_plain() => Fate::Value,
            _ => Fate::Cancellation,
        }
    }

    /// Returns true if this process makes one call at a time, because it fails in a way that cannot be shared.
    fn is_single(&self) -> bool {
        let shares = self.mode == Mode::Failing && self.subject.shares_errors();
        self.process == 0 && self.processes > 1 && matches!(self.mode, Mode::Failing | Mode::Panicking) && !shares
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut command = redis::pipe();
        for id in &self.ids {
            command.cmd("DECR").arg(format!("running:{id}")).ignore();
        }
        self.site.ask::<()>(&command);
    }
}

async fn body(site: &Site, call: &Call, ids: &[u64]) -> Result<(), Failed> {
    let (_running, fate) = site.begin(ids);
    tokio::time::sleep(BODY).await;
    match fate {
        Fate::Value => Ok(()),
        Fate::Failure => Err(Failed),
        Fate::Panic => panic!("as the race wants it"),
        Fate::Cancellation => {
            call.0.notify_one();
            pending().await
        }
    }
}

fn plain_body(site: &Site, ids: &[u64]) -> Result<(), Failed> {
    let (_running, fate) = site.begin(ids);
    std::thread::sleep(BODY);
    match fate {
        Fate::Failure => Err(Failed),
        Fate::Panic => panic!("as the race wants it"),
        Fate::Value | Fate::Cancellation => Ok(()),
    }
}

// A lease that is not given back lasts longer than the test.

#[redis_cached(prefix = "overlaps", name = "row", key = "{id}", lease = "10m", cache = cache, skip(cache, site, call))]
async fn row(cache: &Cache, site: &Site, call: &Call, id: u64) -> Result<u64, Failed> {
    body(site, call, &[id]).await.map(|()| id)
}

#[redis_cached(
    prefix = "overlaps",
    name = "row",
    key = "{id}",
    lease = "10m",
    share_errors = off,
    cache = cache,
    skip(cache, site, call)
)]
async fn own_row(cache: &Cache, site: &Site, call: &Call, id: u64) -> Result<u64, Failed> {
    body(site, call, &[id]).await.map(|()| id)
}

#[redis_cached(prefix = "overlaps", name = "row", key = "{id}", lease = "10m", cache = cache, skip(cache, site))]
fn plain_row(cache: &Cache, site: &Site, id: u64) -> Result<u64, Failed> {
    plain_body(site, &[id]).map(|()| id)
}

type Rows = BTreeMap<u64, u64>;

#[redis_cached(
    prefix = "overlaps",
    name = "row",
    key = "{id}",
    batch(id in ids),
    lease = "10m",
    cache = cache,
    skip(cache, site, call)
)]
async fn rows(cache: &Cache, site: &Site, call: &Call, ids: &[u64]) -> Result<Rows, Failed> {
    body(site, call, ids).await.map(|()| ids.iter().map(|id| (*id, *id)).collect())
}

#[redis_cached(
    prefix = "overlaps",
    name = "row",
    key = "{id}",
    batch(id in ids),
    lease = "10m",
    cache = cache,
    skip(cache, site)
)]
fn plain_rows(cache: &Cache, site: &Site, ids: &[u64]) -> Result<Rows, Failed> {
    plain_body(site, ids).map(|()| ids.iter().map(|id| (*id, *id)).collect())
}

/// The ids of a call.
fn ids_of(subject: Subject, round: u64) -> Vec<u64> {
    if !subject.is_batch() {
        return vec![round];
    }
    let mut ids: Vec<u64> = (0..IDS).map(|id| round * IDS + id).collect();
    for at in (1..ids.len()).rev() {
        ids.swap(at, random(at as u64 + 1) as usize);
    }
    ids.truncate(1 + random(IDS) as usize);
    ids
}

/// Makes one call; returns true if it got its value.
async fn once(cache: Cache, site: Arc<Site>, ids: Vec<u64>) -> bool {
    let call = Call::default();
    let hurry = site.mode == Mode::Hurried && random(10) < 3;
    let patience = if hurry { Duration::from_micros(random(6_000)) } else { PATIENCE };
    let made = async {
        match site.subject {
            Subject::OwnErrors => own_row(&cache, &site, &call, ids[0]).await.is_ok(),
            Subject::Batches => rows(&cache, &site, &call, &ids).await.is_ok_and(|rows| rows.len() == ids.len()),
            _ => row(&cache, &site, &call, ids[0]).await.is_ok(),
        }
    };
    tokio::select! {
        is_value = made => is_value,
        () = call.0.notified() => false,
        () = tokio::time::sleep(patience) => {
            assert!(hurry, "a call of {ids:?} hangs");
            false
        }
    }
}

fn once_plain(cache: &Cache, site: &Site, ids: &[u64]) -> bool {
    match site.subject {
        Subject::BatchesOfThreads => plain_rows(cache, site, ids).is_ok_and(|rows| rows.len() == ids.len()),
        _ => plain_row(cache, site, ids[0]).is_ok(),
    }
}

/// Makes calls until one gets its value; those that panic do it in a task, or thread, of their own.
async fn until_value(cache: Cache, site: Arc<Site>, round: u64) {
    let ids = ids_of(site.subject, round);
    loop {
        let (on, at, ids) = (cache.clone(), Arc::clone(&site), ids.clone());
        let call = match site.subject.is_plain() {
            true => tokio::task::spawn_blocking(move || once_plain(&on, &at, &ids)),
            false => tokio::spawn(once(on, at, ids)),
        };
        if call.await.unwrap_or(false) {
            return;
        }
    }
}

async fn take_part(site: Arc<Site>, cache: Cache) {
    for round in 0..ROUNDS {
        let mut command = redis::pipe();
        site.ask::<()>(command.cmd("INCR").arg(format!("ready:{round}")));
        eventually("all processes are ready", || {
            site.ask::<(u64,)>(redis::pipe().cmd("GET").arg(format!("ready:{round}"))).0 == site.processes
        });
        let mut calls = JoinSet::new();
        for _ in 0..if site.is_single() { 1 } else { CALLS } {
            calls.spawn(until_value(cache.clone(), Arc::clone(&site), round));
        }
        calls.join_all().await;
    }
}

fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(future)
}

const CHILD: &str = "REDIS_CACHED_OVERLAPS_CHILD";

fn connection(url: &str) -> redis::Connection {
    redis::Client::open(url).unwrap().get_connection().unwrap()
}

/// Runs a race in this process, or in three that run this very test, and returns how many bodies ran and overlapped.
fn race(test: &str, processes: u64, memory: bool, subject: Subject, mode: Mode) -> (u64, u64) {
    let counter = Server::start();
    let server = Server::start();
    let site = |process, counter: &str| {
        Arc::new(Site { process, processes, subject, mode, counter: Mutex::new(connection(counter)) })
    };
    if processes == 1 {
        let url = if memory { "memory://".to_owned() } else { server.url() };
        let cache = Cache::builder(&url).unwrap().timeout(PATIENCE).build();
        run(take_part(site(0, &counter.url()), cache));
    } else {
        let children = (0..processes).map(|process| {
            child("race::overlaps", test)
                .env(CHILD, format!("{process} {processes} {} {} {subject:?} {mode:?}", server.url(), counter.url()))
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        });
        // All are read at the same time: one whose output nobody reads waits for room.
        let children: Vec<_> = children.map(|child| thread::spawn(move || child.wait_with_output().unwrap())).collect();
        for child in children {
            let output = child.join().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    let counts: (u64, u64) =
        redis::cmd("MGET").arg("bodies").arg("overlaps").query(&mut connection(&counter.url())).unwrap();
    println!("| {subject:?} | {mode:?} | {processes} | {} bodies | {} overlaps |", counts.0, counts.1);
    counts
}

/// Takes part in a race if this process was started for it.
fn is_child() -> bool {
    let Ok(part) = std::env::var(CHILD) else { return false };
    let words: Vec<&str> = part.split(' ').collect();
    let [process, processes, server, counter, subject, mode] = words[..] else { panic!("{part}") };
    let subjects = [Subject::Tasks, Subject::OwnErrors, Subject::Threads, Subject::Batches, Subject::BatchesOfThreads];
    let modes = [Mode::Failing, Mode::Cancelled, Mode::Panicking, Mode::Hurried];
    let site = Site {
        process: process.parse().unwrap(),
        processes: processes.parse().unwrap(),
        subject: subjects.into_iter().find(|known| format!("{known:?}") == subject).unwrap(),
        mode: modes.into_iter().find(|known| format!("{known:?}") == mode).unwrap(),
        counter: Mutex::new(connection(counter)),
    };
    let cache = Cache::builder(server).unwrap().timeout(PATIENCE).build();
    run(take_part(Arc::new(site), cache));
    true
}

/// Runs the races one after the other, and then looks at the sum of their overlaps.
fn races(test: &str, processes: u64, memory: bool, races: &[(Subject, Mode)]) {
    if is_child() {
        return;
    }
    let overlaps: u64 = races.iter().map(|(subject, mode)| race(test, processes, memory, *subject, *mode).1).sum();
    assert_eq!(overlaps, 0, "bodies that began while another one of their key ran");
}

/// Races in which no call sees two failures that cannot be shared.
const IN_ONE: &[(Subject, Mode)] = &[
    (Subject::Tasks, Mode::Failing),
    (Subject::Tasks, Mode::Cancelled),
    (Subject::Tasks, Mode::Panicking),
    (Subject::Tasks, Mode::Hurried),
    (Subject::OwnErrors, Mode::Cancelled),
    (Subject::Threads, Mode::Failing),
    (Subject::Threads, Mode::Panicking),
    (Subject::Batches, Mode::Cancelled),
    (Subject::Batches, Mode::Panicking),
    (Subject::Batches, Mode::Hurried),
    (Subject::BatchesOfThreads, Mode::Panicking),
];

const IN_THREE: &[(Subject, Mode)] = &[
    (Subject::Tasks, Mode::Failing),
    (Subject::Tasks, Mode::Cancelled),
    (Subject::Tasks, Mode::Panicking),
    (Subject::Tasks, Mode::Hurried),
    (Subject::OwnErrors, Mode::Failing),
    (Subject::Threads, Mode::Failing),
    (Subject::Threads, Mode::Panicking),
    (Subject::Batches, Mode::Failing),
    (Subject::Batches, Mode::Cancelled),
    (Subject::Batches, Mode::Panicking),
    (Subject::Batches, Mode::Hurried),
    (Subject::BatchesOfThreads, Mode::Failing),
];

#[test]
fn no_bodies_of_a_process_overlap() {
    races("no_bodies_of_a_process_overlap", 1, false, IN_ONE);
}

#[test]
fn no_bodies_over_one_memory_overlap() {
    races("no_bodies_over_one_memory_overlap", 1, true, IN_ONE);
}

#[test]
fn no_bodies_of_three_processes_overlap() {
    races("no_bodies_of_three_processes_overlap", 3, false, IN_THREE);
}
