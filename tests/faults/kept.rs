//! `local` at each kind of Redis: what a process keeps is served without a command, changes of others are told, and
//! writes of the process itself count at once.
//!
//! The kinds are a server (in the binary `faults`), one that speaks TLS (`tls`), one that sentinels know (`sentinel`), and
//! a cluster (`cluster`).

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use test_support::{PATIENCE, child, eventually, process};

use crate::kill::{FACES, Face};
use crate::started;

const BOUND: Duration = Duration::from_millis(500);

/// Ids whose entries are at several nodes of a cluster, and apart from the stamps of their tags.
const IDS: u64 = 8;

#[redis_cached(prefix = "kept", name = "row", key = "{id}", local = 100, cache = cache, skip(cache, origin))]
async fn row(cache: &Cache, origin: &AtomicU64, id: u64) -> u64 {
    origin.load(SeqCst)
}

#[redis_cached(prefix = "kept", name = "row", key = "{id}", local = 100, cache = cache, skip(cache, origin))]
fn plain_row(cache: &Cache, origin: &AtomicU64, id: u64) -> u64 {
    origin.load(SeqCst)
}

#[redis_cached(prefix = "kept", name = "tagged", key = "{id}", tags = ["all"], local = 100, cache = cache, skip(cache, origin))]
async fn tagged(cache: &Cache, origin: &AtomicU64, id: u64) -> u64 {
    origin.load(SeqCst)
}

#[redis_cached(prefix = "kept", name = "tagged", key = "{id}", tags = ["all"], local = 100, cache = cache, skip(cache, origin))]
fn plain_tagged(cache: &Cache, origin: &AtomicU64, id: u64) -> u64 {
    origin.load(SeqCst)
}

/// A cache, through one face. Two of them are like two processes.
pub(crate) struct Keeper<'a> {
    pub(crate) cache: Cache,
    face: Face,
    origin: &'a AtomicU64,
    runtime: tokio::runtime::Runtime,
}

impl Keeper<'_> {
    pub(crate) fn new<'a>(url: &str, face: Face, bound: Duration, origin: &'a AtomicU64) -> Keeper<'a> {
        Keeper {
            cache: Cache::builder(url).unwrap().namespace("k").timeout(PATIENCE).local_bound(bound).build(),
            face,
            origin,
            // Its connections are read between calls, too.
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
        }
    }

    pub(crate) fn row(&self, id: u64) -> u64 {
        match self.face {
            Face::Async => self.runtime.block_on(row(&self.cache, self.origin, id)),
            Face::Plain => plain_row(&self.cache, self.origin, id),
        }
    }

    fn tagged(&self, id: u64) -> u64 {
        match self.face {
            Face::Async => self.runtime.block_on(tagged(&self.cache, self.origin, id)),
            Face::Plain => plain_tagged(&self.cache, self.origin, id),
        }
    }

    /// Calls until each of these calls is answered from memory, in one round; the values then.
    #[track_caller]
    fn kept(&self, ids: impl Iterator<Item = u64> + Clone, call: impl Fn(u64) -> u64) -> Vec<u64> {
        let mut values = Vec::new();
        eventually("the values are kept", || {
            let before = self.cache.stats().local_hits;
            values = ids.clone().map(&call).collect();
            self.cache.stats().local_hits - before == values.len() as u64
        });
        values
    }

    /// Calls until the row is kept.
    #[track_caller]
    pub(crate) fn kept_row(&self, id: u64) -> u64 {
        self.kept(id..id + 1, |id| self.row(id))[0]
    }

    pub(crate) fn invalidate(&self, id: u64) {
        match self.face {
            Face::Async => self.runtime.block_on(row_entry(&self.cache, id).invalidate()),
            Face::Plain => plain_row_entry(&self.cache, id).invalidate(),
        }
        .unwrap();
    }

    pub(crate) fn put(&self, id: u64, value: u64) {
        match self.face {
            Face::Async => self.runtime.block_on(row_entry(&self.cache, id).put(&value)),
            Face::Plain => plain_row_entry(&self.cache, id).put(&value),
        }
        .unwrap();
    }

    fn write_through(&self, id: u64, value: u64) {
        match self.face {
            Face::Async => {
                let write = async || {
                    self.origin.store(value, SeqCst);
                    Ok::<_, ()>(())
                };
                self.runtime.block_on(row_entry(&self.cache, id).write_through(&value, write)).unwrap();
            }
            Face::Plain => {
                let write = || {
                    self.origin.store(value, SeqCst);
                    Ok::<_, ()>(())
                };
                plain_row_entry(&self.cache, id).write_through(&value, write).unwrap();
            }
        }
    }

    fn refresh(&self, id: u64) {
        match self.face {
            Face::Async => _ = self.runtime.block_on(row_refresh(&self.cache, self.origin, id)),
            Face::Plain => _ = plain_row_refresh(&self.cache, self.origin, id),
        }
    }

    fn invalidate_all(&self) {
        match self.face {
            Face::Async => {
                let entries = (0..IDS).map(|id| row_entry(&self.cache, id));
                self.runtime.block_on(self.cache.invalidate_all(entries)).unwrap();
            }
            Face::Plain => {
                let entries = (0..IDS).map(|id| plain_row_entry(&self.cache, id));
                self.cache.blocking().invalidate_all(entries).unwrap();
            }
        };
    }

    fn invalidate_tag(&self) {
        match self.face {
            Face::Async => self.runtime.block_on(self.cache.invalidate_tag("all")),
            Face::Plain => self.cache.blocking().invalidate_tag("all"),
        }
        .unwrap();
    }

    fn clear(&self) {
        match self.face {
            Face::Async => self.runtime.block_on(self.cache.clear()),
            Face::Plain => self.cache.blocking().clear(),
        }
        .unwrap();
    }
}

/// Calls until the new value is there, and asserts that no call that began later than the bound after the change got an
/// old one. Returns the time of the last old value after the change.
#[track_caller]
pub(crate) fn until_new(what: &str, new: u64, changed: Instant, call: impl Fn() -> u64) -> Duration {
    let mut last = Duration::ZERO;
    loop {
        let age = changed.elapsed();
        let got = call();
        if got == new {
            return last;
        }
        assert!(age <= BOUND, "{what}: {got} in place of {new}, {age:?} after the change");
        last = age;
    }
}

#[test]
fn a_hit_sends_nothing() {
    let place = started();
    for face in FACES {
        let origin = AtomicU64::new(7);
        // Heartbeats are rare then.
        let keeper = Keeper::new(place.url(), face, PATIENCE, &origin);
        keeper.kept(0..IDS, |id| keeper.row(id));
        keeper.kept(0..IDS, |id| keeper.tagged(id));
        eventually("nothing is sent", || {
            let (commands, hits) = (place.commands(), keeper.cache.stats().local_hits);
            for id in 0..IDS {
                assert_eq!((keeper.row(id), keeper.tagged(id)), (7, 7), "{face:?}");
            }
            assert_eq!(keeper.cache.stats().local_hits, hits + 2 * IDS, "{face:?}");
            place.commands() == commands
        });
        keeper.clear();
    }
}

#[test]
fn changes_of_others_are_told() {
    let (place, mut ages) = (started(), Vec::new());
    for face in FACES {
        let origin = AtomicU64::new(0);
        let keeper = Keeper::new(place.url(), face, BOUND, &origin);
        let other = Keeper::new(place.url(), face, BOUND, &origin);
        for round in 1..=10 {
            keeper.kept(0..IDS, |id| keeper.row(id));
            keeper.kept(0..IDS, |id| keeper.tagged(id));
            origin.store(round, SeqCst);
            for id in 0..IDS {
                match id % 3 {
                    0 => other.put(id, round),
                    1 => other.invalidate(id),
                    _ => _ = place.cli(&["DEL", &format!("k:kept:row:{id}")]),
                }
                ages.push(until_new("a row", round, Instant::now(), || keeper.row(id)));
            }
            // The stamp is at another node of a cluster than most of the entries.
            other.invalidate_tag();
            let changed = Instant::now();
            for id in 0..IDS {
                ages.push(until_new("a tagged row", round, changed, || keeper.tagged(id)));
            }
        }
        keeper.clear();
    }
    ages.sort();
    println!("last old value after a change: median {:?}, longest {:?}", ages[ages.len() / 2], ages[ages.len() - 1]);
}

#[test]
fn own_writes_count_at_once() {
    let place = started();
    for face in FACES {
        let origin = AtomicU64::new(0);
        let keeper = Keeper::new(place.url(), face, PATIENCE, &origin);
        let mut version = 0;
        let mut next = || {
            keeper.kept(0..IDS, |id| keeper.row(id));
            keeper.kept(0..IDS, |id| keeper.tagged(id));
            version += 1;
            version
        };
        for round in 0..10 {
            let id = round % IDS;
            let what = format!("{face:?}, round {round}");
            let new = next();
            origin.store(new, SeqCst);
            keeper.invalidate(id);
            assert_eq!(keeper.row(id), new, "invalidate: {what}");
            let new = next();
            keeper.put(id, new);
            assert_eq!(keeper.row(id), new, "put: {what}");
            let new = next();
            keeper.write_through(id, new);
            assert_eq!(keeper.row(id), new, "write_through: {what}");
            let new = next();
            origin.store(new, SeqCst);
            keeper.refresh(id);
            assert_eq!(keeper.row(id), new, "refresh: {what}");
            let new = next();
            origin.store(new, SeqCst);
            keeper.invalidate_all();
            assert!((0..IDS).all(|id| keeper.row(id) == new), "invalidate_all: {what}");
            keeper.invalidate_tag();
            assert!((0..IDS).all(|id| keeper.tagged(id) == new), "invalidate_tag: {what}");
            let new = next();
            origin.store(new, SeqCst);
            keeper.clear();
            assert!((0..IDS).all(|id| keeper.row(id) == new && keeper.tagged(id) == new), "clear: {what}");
        }
    }
}

/// The variable in which a child finds the address and its face.
const CHILD: &str = "REDIS_CACHED_KEPT_CHILD";

/// Keeps a row, and calls once for each line of its input.
fn stopped_child(part: &str) {
    let (face, url) = part.split_once(' ').unwrap();
    let origin = AtomicU64::new(u64::MAX);
    let face = if face == "Async" { Face::Async } else { Face::Plain };
    let keeper = Keeper::new(url, face, BOUND, &origin);
    for line in std::io::stdin().lines() {
        let value = if line.unwrap() == "keep" { keeper.kept_row(1) } else { keeper.row(1) };
        println!("child: {value}");
    }
}

struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that was stopped serves nothing that it kept before: its first call goes to Redis.
#[test]
fn a_stopped_process_serves_nothing_old() {
    if let Ok(part) = std::env::var(CHILD) {
        return stopped_child(&part);
    }
    let place = started();
    for face in FACES {
        let origin = AtomicU64::new(0);
        let writer = Keeper::new(place.url(), face, BOUND, &origin);
        writer.put(1, 0);
        let mut process = child(module_path!(), "a_stopped_process_serves_nothing_old")
            .env(CHILD, format!("{face:?} {}", place.url()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let stopped = Stopped(process);
        let mut lines = BufReader::new(output).lines();
        let mut says = || loop {
            let line = lines.next().expect("the child goes on").unwrap();
            // The harness writes on the same line.
            if let Some((_, value)) = line.split_once("child: ") {
                return value.parse::<u64>().unwrap();
            }
        };
        for round in 1..=3 {
            writeln!(input, "keep").unwrap();
            assert_eq!(says(), round - 1, "{face:?}");
            process::freeze(&stopped.0);
            writer.put(1, round);
            // The call is the first thing that the process does.
            writeln!(input, "call").unwrap();
            thread::sleep(BOUND);
            process::thaw(&stopped.0);
            assert_eq!(says(), round, "{face:?}");
        }
    }
}
