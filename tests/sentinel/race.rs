//! Readers and writers during failovers, over two caches that stand for two processes.
//!
//! An invalidation that the old master confirmed after another one was promoted is lost, and the two caches do not hear of
//! a switch at the same moment. What holds is that nothing is stale between switches: a call that began after both caches
//! had followed a switch does not get what an invalidation has removed that began after it, too.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use test_support::{PATIENCE, Sentinels, Server, eventually};

use crate::{SWITCHED, cache, hosts, lines};

const IDS: u64 = 4;

/// The origin of one function, and what was counted.
struct Race {
    caches: [Cache; 2],
    hosts: [String; 2],
    /// By id: the version at the origin.
    versions: Vec<AtomicU64>,
    /// By id: the version of the last confirmed invalidation, and the number of switches that both caches had followed
    /// when it began.
    floors: Vec<Mutex<(u64, usize)>>,
    is_over: AtomicBool,
    counts: Counts,
}

#[derive(Default, Debug)]
struct Counts {
    reads: AtomicU64,
    invalidations: AtomicU64,
    failed_invalidations: AtomicU64,
    /// Stale during a switch: the caches were at two masters.
    stale_meanwhile: AtomicU64,
    /// Stale because the old master had confirmed the invalidation.
    stale_by_loss: AtomicU64,
    /// Stale without such a reason.
    stale: AtomicU64,
    bodies: AtomicU64,
}

impl Race {
    fn new(urls: [&str; 2]) -> Race {
        Race {
            caches: urls.map(cache),
            hosts: urls.map(|url| hosts(url).to_owned()),
            versions: (0..IDS).map(|_| AtomicU64::new(1)).collect(),
            floors: (0..IDS).map(|_| Mutex::new((0, 0))).collect(),
            is_over: AtomicBool::new(false),
            counts: Counts::default(),
        }
    }

    /// The number of switches that each cache has followed: the fewest, and the most.
    fn switches(&self) -> (usize, usize) {
        let counts = self.hosts.each_ref().map(|hosts| lines(SWITCHED, hosts).len());
        (counts[0].min(counts[1]), counts[0].max(counts[1]))
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(SeqCst)
    }

    fn judge(&self, id: u64, (floor, invalidated_in): (u64, usize), began_in: usize, got: u64) {
        self.counts.reads.fetch_add(1, SeqCst);
        if got >= floor {
            return;
        }
        let (_, most) = self.switches();
        let counter = if invalidated_in < began_in {
            &self.counts.stale_by_loss
        } else if most > began_in {
            &self.counts.stale_meanwhile
        } else {
            eprintln!("{id}: got {got} below {floor}, invalidated in {invalidated_in}, read in {began_in}");
            &self.counts.stale
        };
        counter.fetch_add(1, SeqCst);
    }

    fn floor(&self, id: u64) -> (u64, usize) {
        *self.floors[id as usize].lock().unwrap()
    }

    /// Notes that an invalidation which began in this phase was confirmed, or was not.
    fn invalidated(&self, id: u64, version: u64, began_in: usize, is_confirmed: bool) {
        if is_confirmed {
            *self.floors[id as usize].lock().unwrap() = (version, began_in);
            self.counts.invalidations.fetch_add(1, SeqCst);
        } else {
            self.counts.failed_invalidations.fetch_add(1, SeqCst);
        }
    }

    fn print(&self, what: &str) {
        eprintln!("{what}: {:?}", self.counts);
    }
}

#[redis_cached(prefix = "race", name = "row", cache = cache, skip(cache, race))]
async fn row(cache: &Cache, race: &Race, id: u64) -> u64 {
    let version = race.versions[id as usize].load(SeqCst);
    race.counts.bodies.fetch_add(1, SeqCst);
    tokio::time::sleep(Duration::from_millis(1)).await;
    version
}

#[redis_cached(prefix = "race", name = "plain", cache = cache, skip(cache, race))]
fn plain(cache: &Cache, race: &Race, id: u64) -> u64 {
    let version = race.versions[id as usize].load(SeqCst);
    race.counts.bodies.fetch_add(1, SeqCst);
    std::thread::sleep(Duration::from_millis(1));
    version
}

async fn read(race: Arc<Race>, number: usize) {
    for id in (0..IDS).cycle() {
        if !race.goes_on() {
            return;
        }
        let (began_in, _) = race.switches();
        let floor = race.floor(id);
        let got = row(&race.caches[number % 2], &race, id).await;
        race.judge(id, floor, began_in, got);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn read_plain(race: &Race, number: usize) {
    for id in (0..IDS).cycle() {
        if !race.goes_on() {
            return;
        }
        let (began_in, _) = race.switches();
        let floor = race.floor(id);
        let got = plain(&race.caches[number % 2], race, id);
        race.judge(id, floor, began_in, got);
        std::thread::sleep(Duration::from_millis(1));
    }
}

async fn write(race: Arc<Race>, number: usize) {
    let (cache, id) = (&race.caches[number % 2], number as u64 % IDS);
    while race.goes_on() {
        let (began_in, _) = race.switches();
        let version = race.versions[id as usize].fetch_add(1, SeqCst) + 1;
        let outcome = row_entry(cache, id).invalidate().await;
        race.invalidated(id, version, began_in, outcome.is_ok());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn write_plain(race: &Race, number: usize) {
    let (cache, id) = (&race.caches[number % 2], number as u64 % IDS);
    while race.goes_on() {
        let (began_in, _) = race.switches();
        let version = race.versions[id as usize].fetch_add(1, SeqCst) + 1;
        let outcome = plain_entry(cache, id).invalidate();
        race.invalidated(id, version, began_in, outcome.is_ok());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends the races, also when a check fails.
struct End<'a>(&'a [Arc<Race>; 2]);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|race| race.is_over.store(true, SeqCst));
    }
}

/// Those of the commands that concern the entries of these races.
fn keyed(commands: Vec<Vec<String>>) -> Vec<Vec<String>> {
    commands.into_iter().filter(|command| command.iter().any(|word| word.starts_with("race:"))).collect()
}

/// Runs both kinds of functions through what `disturb` does. Each call of its argument waits until so many switches were
/// followed, and until enough happened after that, of which the old master, if there is one, hears nothing.
fn run(name: &str, disturb: impl FnOnce(&Sentinels, &dyn Fn(usize, Option<&Server>))) {
    let sentinels = Sentinels::start();
    let ports: Vec<u16> = sentinels.sentinels().iter().map(|sentinel| sentinel.port()).collect();
    // The order of the sentinels tells the caches apart in the log.
    let [first, second, third, fourth] = [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]]
        .map(|order| sentinels.url_by(&order.map(|at: usize| ports[at]), test_support::MASTER));
    let races = [[&first, &second], [&third, &fourth]].map(|urls| Arc::new(Race::new(urls.map(String::as_str))));
    let [asynchronous, blocking] = &races;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let tasks: Vec<_> = (0..IDS as usize)
        .flat_map(|number| {
            let (reader, writer) = (Arc::clone(asynchronous), Arc::clone(asynchronous));
            [runtime.spawn(read(reader, number)), runtime.spawn(write(writer, number))]
        })
        .collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let _end = End(&races);
        for number in 0..IDS as usize {
            scope.spawn(move || read_plain(blocking, number));
            scope.spawn(move || write_plain(blocking, number));
        }
        let go_on = || {
            for race in &races {
                let counts = || [&race.counts.reads, &race.counts.invalidations].map(|count| count.load(SeqCst));
                let [reads, invalidations] = counts();
                let is_enough = || counts()[0] > reads + 200 && counts()[1] > invalidations + 50;
                eventually("the race goes on", is_enough);
            }
        };
        let enough = |switches: usize, old: Option<&Server>| {
            eventually("all caches follow", || races.iter().all(|race| race.switches().0 >= switches));
            // Calls that had begun before the switch end meanwhile.
            go_on();
            // Once it is a replica, it gets the commands of the new master. It has closed all connections then.
            let old = old.filter(|old| old.cli(&["ROLE"]).starts_with("master"));
            let monitor = old.map(Server::monitor);
            go_on();
            let heard = monitor.map_or_else(Vec::new, |mut monitor| keyed(monitor.commands()));
            assert!(heard.is_empty(), "{name}: a connection to the old master is used: {heard:?}");
        };
        enough(0, None);
        disturb(&sentinels, &enough);
    });
    runtime.block_on(async {
        for task in tasks {
            tokio::time::timeout(PATIENCE, task).await.expect("it ends").unwrap();
        }
    });
    eprintln!("{name}: {:?}", begun.elapsed());
    for (race, kind) in races.iter().zip(["async", "plain"]) {
        race.print(&format!("  {kind}"));
        assert_eq!(race.counts.stale.load(SeqCst), 0, "{name}, {kind}");
        assert!(race.caches.iter().all(|cache| cache.stats().hits > 0));
    }
}

#[test]
fn ordered_failovers_in_a_row() {
    run("two ordered failovers", |sentinels, followed| {
        for switches in 1..=2 {
            let old = sentinels.master();
            sentinels.fail_over();
            followed(switches, Some(old));
        }
    });
}

#[test]
fn a_killed_master() {
    run("a killed master", |sentinels, followed| {
        sentinels.kill_master();
        followed(1, None);
    });
}
