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

/// The longest time that a cache serves what it keeps after another cache has written.
#[cfg(feature = "local")]
const BOUND: Duration = Duration::from_millis(500);

/// The origin of one function, and what was counted.
struct Race {
    caches: [Cache; 2],
    hosts: [String; 2],
    /// By id: the version at the origin.
    versions: Vec<AtomicU64>,
    /// By id: the versions of confirmed invalidations, the number of switches that both caches had followed when each
    /// began, and the time of its end.
    floors: Vec<Mutex<Vec<(u64, usize, Instant)>>>,
    /// Another cache than the writer's may serve what it keeps for so long.
    bound: Option<Duration>,
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
    fn new(urls: [&str; 2], bound: Option<Duration>) -> Race {
        Race {
            caches: urls.map(cache),
            hosts: urls.map(|url| hosts(url).to_owned()),
            versions: (0..IDS).map(|_| AtomicU64::new(1)).collect(),
            floors: (0..IDS).map(|_| Mutex::default()).collect(),
            bound,
            is_over: AtomicBool::new(false),
            counts: Counts::default(),
        }
    }

    /// The number of switches that each cache has followed: the fewest, and the most.
    fn switches(&self) -> (usize, usize) {
        let counts = self.hosts.each_ref().map(|hosts| lines(SWITCHED, hosts).len());
        (counts[0].min(counts[1]), counts[0].max(counts[1]))
    }

    /// The pause of a writer. What is kept is read in between.
    fn rest(&self) -> Duration {
        Duration::from_millis(if self.bound.is_some() { 40 } else { 5 })
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

    /// The floor of an id in one of the caches. The writer of an id has the cache of its number.
    fn floor(&self, id: u64, cache: usize) -> (u64, usize) {
        let bound = self.bound.filter(|_| id as usize % 2 != cache);
        let floors = self.floors[id as usize].lock().unwrap();
        let is_over = |ended: Instant| bound.is_none_or(|bound| ended.elapsed() > bound);
        let floor = floors.iter().rev().find(|(.., ended)| is_over(*ended));
        floor.map_or((0, 0), |(version, began_in, _)| (*version, *began_in))
    }

    /// Notes that an invalidation which began in this phase was confirmed, or was not.
    fn invalidated(&self, id: u64, version: u64, began_in: usize, is_confirmed: bool) {
        if is_confirmed {
            self.floors[id as usize].lock().unwrap().push((version, began_in, Instant::now()));
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

#[cfg(feature = "local")]
#[redis_cached(prefix = "race", name = "row", local = 100, cache = cache, skip(cache, race))]
async fn kept(cache: &Cache, race: &Race, id: u64) -> u64 {
    let version = race.versions[id as usize].load(SeqCst);
    race.counts.bodies.fetch_add(1, SeqCst);
    tokio::time::sleep(Duration::from_millis(1)).await;
    version
}

#[cfg(feature = "local")]
#[redis_cached(prefix = "race", name = "plain", local = 100, cache = cache, skip(cache, race))]
fn kept_plain(cache: &Cache, race: &Race, id: u64) -> u64 {
    let version = race.versions[id as usize].load(SeqCst);
    race.counts.bodies.fetch_add(1, SeqCst);
    std::thread::sleep(Duration::from_millis(1));
    version
}

impl Race {
    async fn call(&self, cache: usize, id: u64) -> u64 {
        #[cfg(feature = "local")]
        if self.bound.is_some() {
            return kept(&self.caches[cache], self, id).await;
        }
        row(&self.caches[cache], self, id).await
    }

    fn call_plain(&self, cache: usize, id: u64) -> u64 {
        #[cfg(feature = "local")]
        if self.bound.is_some() {
            return kept_plain(&self.caches[cache], self, id);
        }
        plain(&self.caches[cache], self, id)
    }
}

async fn read(race: Arc<Race>, number: usize) {
    for id in (0..IDS).cycle() {
        if !race.goes_on() {
            return;
        }
        let (began_in, _) = race.switches();
        let floor = race.floor(id, number % 2);
        let got = race.call(number % 2, id).await;
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
        let floor = race.floor(id, number % 2);
        let got = race.call_plain(number % 2, id);
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
        tokio::time::sleep(race.rest()).await;
    }
}

fn write_plain(race: &Race, number: usize) {
    let (cache, id) = (&race.caches[number % 2], number as u64 % IDS);
    while race.goes_on() {
        let (began_in, _) = race.switches();
        let version = race.versions[id as usize].fetch_add(1, SeqCst) + 1;
        let outcome = plain_entry(cache, id).invalidate();
        race.invalidated(id, version, began_in, outcome.is_ok());
        std::thread::sleep(race.rest());
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
fn run(name: &str, bound: Option<Duration>, disturb: impl FnOnce(&Sentinels, &dyn Fn(usize, Option<&Server>))) {
    let sentinels = Sentinels::start();
    let ports: Vec<u16> = sentinels.sentinels().iter().map(|sentinel| sentinel.port()).collect();
    // The order of the sentinels tells the caches apart in the log.
    let [first, second, third, fourth] = [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]]
        .map(|order| sentinels.url_by(&order.map(|at: usize| ports[at]), test_support::MASTER));
    let races = [[&first, &second], [&third, &fourth]].map(|urls| Arc::new(Race::new(urls.map(String::as_str), bound)));
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
        let stats = race.caches.each_ref().map(Cache::stats);
        eprintln!("  local hits: {:?}", stats.each_ref().map(|stats| stats.local_hits));
        assert!(stats.iter().all(|stats| stats.hits > 0 && (stats.local_hits > 0 || bound.is_none())));
    }
}

fn fail_over_twice(sentinels: &Sentinels, followed: &dyn Fn(usize, Option<&Server>)) {
    for switches in 1..=2 {
        let old = sentinels.master();
        sentinels.fail_over();
        followed(switches, Some(old));
    }
}

fn kill(sentinels: &Sentinels, followed: &dyn Fn(usize, Option<&Server>)) {
    sentinels.kill_master();
    followed(1, None);
}

#[test]
fn ordered_failovers_in_a_row() {
    run("two ordered failovers", None, fail_over_twice);
}

#[test]
fn a_killed_master() {
    run("a killed master", None, kill);
}

#[cfg(feature = "local")]
#[test]
fn ordered_failovers_in_a_row_of_what_is_kept() {
    run("two ordered failovers, with `local`", Some(BOUND), fail_over_twice);
}

#[cfg(feature = "local")]
#[test]
fn a_killed_master_of_what_is_kept() {
    run("a killed master, with `local`", Some(BOUND), kill);
}
