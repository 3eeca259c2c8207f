//! Failovers that lose writes: nothing is stale but by an invalidation that was lost with its node.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use test_support::{Cluster, Monitor, Node, eventually};

use crate::rig::{FACES, Face, Kind, Rig};

const TIMEOUT: Duration = Duration::from_millis(250);

/// Where a replica gets no writes before its master dies, it is known what is lost.
#[test]
fn what_the_replica_never_got_is_lost_and_nothing_else() {
    for face in FACES {
        let cluster = Cluster::alert();
        let rig = Rig::with(&cluster.url(), face, TIMEOUT);
        let master = cluster.masters()[0];
        let replica = cluster.replica_of(master);
        let ids = rig.ids_at(&cluster, master, 0..60);
        // Entries of this node whose stamps are at another one.
        let is_apart = |id: &u64| {
            let (entry, stamp) = (rig.key(Kind::Tagged, *id), rig.stamp(&format!("class:{}", id / 4)));
            cluster.master_of(&entry).id() == master.id() && cluster.master_of(&stamp).id() != master.id()
        };
        let tagged: Vec<u64> = (0..60).filter(is_apart).collect();
        assert!(!tagged.is_empty());
        ids.iter().for_each(|id| _ = rig.row(*id));
        tagged.iter().for_each(|id| _ = rig.call(Kind::Tagged, *id));
        let (early, late) = ids.split_at(ids.len() / 2);

        rig.write();
        assert!(early.iter().all(|id| rig.invalidate(Kind::Single, *id).unwrap()));
        cluster.await_replication(master);
        replica.freeze();
        master.cli(&["CLIENT", "KILL", "TYPE", "slave"]);
        assert!(late.iter().all(|id| rig.invalidate(Kind::Single, *id).unwrap()), "it is acknowledged");
        for id in &tagged {
            rig.invalidate_tag(&format!("class:{}", id / 4)).unwrap();
        }
        master.kill();
        replica.thaw();
        cluster.await_promotion(replica);
        eventually("both caches find the new master", || rig.ping().is_ok() && rig.get(Kind::Single, late[0]).is_ok());

        let stale = late.iter().filter(|id| rig.get(Kind::Single, **id).unwrap().is_some_and(|row| row.version == 0));
        let stale = stale.count();
        println!("{face:?}: {} acknowledged invalidations were lost, {stale} values are stale", late.len());
        assert_eq!(stale, late.len(), "{face:?}: the replica has what the master had");
        assert!(early.iter().all(|id| rig.row(*id).version == 1), "{face:?}: nothing else is stale");
        assert!(tagged.iter().all(|id| rig.call(Kind::Tagged, *id).version == 1), "{face:?}: no tag is");
        assert!(late.iter().all(|id| rig.invalidate(Kind::Single, *id).unwrap()));
        assert!(late.iter().all(|id| rig.row(*id).version == 1), "{face:?}: until they are invalidated again");
    }
}

/// The rows of the race.
const ROWS: u64 = 30;

/// The origin of a row, and what its readers may rely on.
#[derive(Default)]
struct Row {
    current: AtomicU64,
    floor: AtomicU64,
    /// Invalidations that were acknowledged and found something, and ones that failed.
    acknowledged: AtomicU64,
    failed: AtomicU64,
}

struct Race {
    rows: Vec<Row>,
    begun: Instant,
    over: AtomicBool,
    writers_rest: AtomicBool,
    /// Writers that do not rest yet.
    writing: AtomicU64,
    reads: AtomicU64,
    stale: Mutex<Vec<Stale>>,
}

struct Stale {
    id: u64,
    got: u64,
    floor: u64,
    /// The times of its beginning and its end.
    began: Duration,
    at: Duration,
    is_call: bool,
}

impl std::fmt::Display for Stale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = if self.is_call { "a call" } else { "get" };
        write!(f, "{how} of {} got {} where {} was promised, at {:?}", self.id, self.got, self.floor, self.at)
    }
}

#[redis_cached(prefix = "losses", name = "row", key = "{id}", cache = cache, skip(cache, race))]
async fn row(cache: &Cache, race: &Race, id: u64) -> u64 {
    let version = race.rows[id as usize].current.load(SeqCst);
    tokio::time::sleep(Duration::from_millis(2)).await;
    version
}

#[redis_cached(prefix = "losses", name = "row", key = "{id}", cache = cache, skip(cache, race))]
fn row_plain(cache: &Cache, race: &Race, id: u64) -> u64 {
    let version = race.rows[id as usize].current.load(SeqCst);
    thread::sleep(Duration::from_millis(2));
    version
}

impl Race {
    fn new() -> Race {
        Race {
            rows: (0..ROWS).map(|_| Row::default()).collect(),
            begun: Instant::now(),
            over: AtomicBool::new(false),
            writers_rest: AtomicBool::new(false),
            writing: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            stale: Mutex::default(),
        }
    }

    fn goes_on(&self) -> bool {
        !self.over.load(SeqCst)
    }

    fn judge(&self, id: u64, floor: u64, got: u64, began: Duration, is_call: bool) {
        self.reads.fetch_add(1, SeqCst);
        if got < floor {
            self.stale.lock().unwrap().push(Stale { id, got, floor, began, at: self.begun.elapsed(), is_call });
        }
    }

    /// Reads until the race is over; `number` tells readers apart.
    fn read(&self, cache: &Cache, runtime: &tokio::runtime::Runtime, number: u64, face: Face) {
        for step in number.. {
            if !self.goes_on() {
                break;
            }
            let id = step.wrapping_mul(7) % ROWS;
            let (floor, began) = (self.rows[id as usize].floor.load(SeqCst), self.begun.elapsed());
            if step % 3 == 0 {
                let got = match face {
                    Face::Async => runtime.block_on(row(cache, self, id)),
                    Face::Plain => row_plain(cache, self, id),
                };
                self.judge(id, floor, got, began, true);
            } else {
                let got = match face {
                    Face::Async => runtime.block_on(row_entry(cache, id).get()),
                    Face::Plain => row_plain_entry(cache, id).get(),
                };
                if let Ok(Some(got)) = got {
                    self.judge(id, floor, got, began, false);
                }
            }
        }
    }

    /// Writes the rows of one face until the race is over.
    fn write(&self, cache: &Cache, runtime: &tokio::runtime::Runtime, face: Face) {
        let first = u64::from(face == Face::Plain);
        for id in (first..ROWS).step_by(2).cycle() {
            self.writing.fetch_add(1, SeqCst);
            if !self.goes_on() {
                break;
            }
            if self.writers_rest.load(SeqCst) {
                self.writing.fetch_sub(1, SeqCst);
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            let row = &self.rows[id as usize];
            let version = row.current.fetch_add(1, SeqCst) + 1;
            let told = match face {
                Face::Async => runtime.block_on(row_entry(cache, id).invalidate()),
                Face::Plain => row_plain_entry(cache, id).invalidate(),
            };
            match told {
                Ok(was_there) => {
                    row.acknowledged.fetch_add(u64::from(was_there), SeqCst);
                    row.floor.store(version, SeqCst);
                }
                Err(_) => _ = row.failed.fetch_add(1, SeqCst),
            }
            self.writing.fetch_sub(1, SeqCst);
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Runs it against the nodes' fate.
    fn run<T>(&self, cluster: &Cluster, fate: impl FnOnce(&[Cache; 2]) -> T) -> T {
        let caches = [0, 1].map(|_| Cache::builder(&cluster.url()).unwrap().timeout(TIMEOUT).build());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (caches, runtime) = (&caches, &runtime);
        thread::scope(|scope| {
            for number in 0..8 {
                scope.spawn(move || {
                    self.read(&caches[number as usize % 2], runtime, number, FACES[number as usize / 4])
                });
            }
            for (cache, face) in caches.iter().zip(FACES) {
                scope.spawn(move || self.write(cache, runtime, face));
            }
            let end = End(&self.over);
            let output = fate(caches);
            drop(end);
            output
        })
    }

    fn rest(&self) {
        self.writers_rest.store(true, SeqCst);
        eventually("the writers rest", || self.writing.load(SeqCst) == 0);
    }
}

/// Ends a race, also if what happens to the nodes fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// For some rows the last version whose invalidation may be lost.
type Lost = BTreeMap<u64, u64>;

/// The rows with more acknowledged invalidations than the replica has seen.
fn lost(race: &Race, cache: &Cache, replica: &mut Monitor, cluster: &Cluster, master: &Node) -> Lost {
    let commands = replica.commands();
    let seen = |key: &str| commands.iter().filter(|command| **command == ["UNLINK", key]).count() as u64;
    let rows = race.rows.iter().enumerate().filter_map(|(id, row)| {
        let entry = row_entry(cache, id as u64);
        let key = entry.key().unwrap();
        // One that failed may have been delivered since.
        let told = row.acknowledged.load(SeqCst) + row.failed.load(SeqCst);
        let is_lost = told > seen(key) && cluster.master_of(key).id() == master.id();
        is_lost.then(|| (id as u64, row.floor.load(SeqCst)))
    });
    rows.collect()
}

/// A master is struck in the middle of a race, and its replica takes over.
fn struck(name: &str, strike: fn(&Node), heal: fn(&Node)) {
    let cluster = Cluster::alert();
    let race = Race::new();
    let now = || race.begun.elapsed();
    let master = cluster.masters()[0];
    let replica = cluster.replica_of(master);
    let (lost, struck, served, healed, knows) = race.run(&cluster, |caches| {
        let mut monitor = replica.monitor();
        eventually("the race runs", || race.reads.load(SeqCst) > 2_000);
        let struck = now();
        strike(master);
        race.rest();
        cluster.await_promotion(replica);
        let lost = lost(&race, &caches[0], &mut monitor, &cluster, replica);
        eventually("both caches find the new master", || {
            let reads = |cache: &Cache, id| row_plain_entry(cache, id).get().is_ok();
            (0..ROWS).all(|id| caches.iter().all(|cache| reads(cache, id)))
        });
        let served = now();
        race.writers_rest.store(false, SeqCst);
        let reads = race.reads.load(SeqCst);
        eventually("the race goes on", || race.reads.load(SeqCst) > reads + 2_000);
        let healed = now();
        heal(master);
        eventually("the old master knows", || master.cli(&["ROLE"]).starts_with("slave"));
        let knows = now();
        cluster.settle();
        let reads = race.reads.load(SeqCst);
        eventually("the race goes on", || race.reads.load(SeqCst) > reads + 2_000);
        (lost, struck, served, healed, knows)
    });

    let stale = race.stale.into_inner().unwrap();
    let by_loss = |stale: &Stale| lost.get(&stale.id).is_some_and(|last| stale.floor <= *last) && stale.at >= struck;
    // Until it hears of the new master it answers as one.
    let by_the_old = |stale: &Stale| stale.at >= healed && stale.began <= knows;
    // A call that cannot ask shares a body that runs already.
    let by_sharing = |stale: &Stale| stale.is_call && stale.at >= struck && stale.began <= served;
    let count = |reason: &dyn Fn(&Stale) -> bool| stale.iter().filter(|stale| reason(stale)).count();
    println!(
        "{name}: {} reads, away for {:?}; {} invalidations may be lost; stale: {} by these, {} at the old master in {:?}, \
         {} by sharing",
        race.reads.load(SeqCst),
        served - struck,
        lost.len(),
        count(&by_loss),
        count(&by_the_old),
        knows - healed,
        count(&by_sharing),
    );
    let other = stale.iter().filter(|stale| !by_loss(stale) && !by_the_old(stale) && !by_sharing(stale));
    assert_eq!(other.map(Stale::to_string).collect::<Vec<_>>(), Vec::<String>::new(), "{name}");
}

#[test]
fn a_killed_master_is_replaced_and_comes_back() {
    struck("killed", Node::kill, Node::restart);
}

#[test]
fn a_frozen_master_is_replaced_and_thaws() {
    struck("frozen", Node::freeze, Node::thaw);
}

/// It has lost all it had before its replica can take over, and the replica loses it, too.
#[test]
fn a_master_that_restarts_at_once_is_empty_and_nothing_is_stale() {
    let cluster = Cluster::alert();
    let race = Race::new();
    let master = cluster.masters()[0];
    race.run(&cluster, |_| {
        for _ in 0..3 {
            let reads = race.reads.load(SeqCst);
            eventually("the race runs", || race.reads.load(SeqCst) > reads + 1_000);
            master.kill();
            master.restart();
            cluster.settle();
        }
    });
    let (reads, stale) = (race.reads.load(SeqCst), race.stale.into_inner().unwrap());
    println!("restarted: {reads} reads, {} stale", stale.len());
    // A call that cannot ask shares a body that runs already.
    let gets: Vec<_> = stale.iter().filter(|stale| !stale.is_call).map(Stale::to_string).collect();
    assert_eq!(gets, Vec::<String>::new());
}
