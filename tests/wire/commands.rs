//! The commands on the wire: a hit is one `GET`, a miss at most one round trip more than reading and
//! writing by hand.

use std::sync::{Arc, Mutex};

use redis_cached::{Cache, redis_cached};
use test_support::{Gate, Monitor, Server, in_time};

#[redis_cached(prefix = "wire", name = "double", cache = cache, skip(cache))]
async fn double(cache: &Cache, n: u64) -> u64 {
    n * 2
}

#[redis_cached(prefix = "wire", name = "triple", cache = cache, skip(cache))]
fn triple(cache: &Cache, n: u64) -> u64 {
    n * 3
}

struct Repository {
    cache: Cache,
    factor: u64,
}

impl Repository {
    #[redis_cached(prefix = "wire", name = "times", key = "{self.factor}:{n}", cache = self.cache)]
    async fn times(&self, n: u64) -> u64 {
        self.factor * n
    }
}

/// The commands that clients sent, by name, those of connecting left out.
fn names(commands: &[Vec<String>]) -> Vec<String> {
    commands
        .iter()
        .map(|command| command[0].to_uppercase())
        .filter(|name| !matches!(name.as_str(), "CLIENT" | "HELLO" | "INFO" | "TIME" | "ROLE" | "SELECT" | "AUTH"))
        .collect()
}

#[tokio::test]
async fn a_miss_reads_leases_and_fills_and_a_hit_is_one_get() {
    // This server is not shared: a miss sends other commands after calls that found something else.
    #[redis_cached(prefix = "wire", name = "double", cache = cache, skip(cache))]
    async fn double(cache: &Cache, n: u64) -> u64 {
        n * 2
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    double(&cache, 1).await; // connects

    let mut monitor = server.monitor();
    double(&cache, 2).await;
    let miss = monitor.commands();
    let commands = names(&miss);
    assert_eq!(commands.len(), 3, "{miss:?}");
    assert_eq!(miss[0], ["GET", "wire:double:2"]);
    // Older servers lease in a script, which runs commands of its own, and so do all but the newest
    // when they compare the lease at the fill.
    for command in &commands[1..] {
        assert!(matches!(command.as_str(), "EVALSHA" | "EVAL" | "SET"), "{miss:?}");
    }

    double(&cache, 2).await;
    let hit = monitor.commands();
    assert_eq!(hit, [["GET", "wire:double:2"]]);
}

#[tokio::test]
async fn after_four_misses_in_a_row_the_lease_comes_with_the_first_look() {
    #[redis_cached(prefix = "wire", name = "cold", cache = cache, skip(cache))]
    async fn cold(cache: &Cache, n: u64) -> u64 {
        n
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    for n in 0..3 {
        cold(&cache, n).await;
    }
    let mut monitor = server.monitor();
    cold(&cache, 3).await;
    let fourth = monitor.commands();
    assert_eq!((names(&fourth).len(), &*fourth[0][0]), (3, "GET"), "{fourth:?}");
    for n in 4..10 {
        cold(&cache, n).await;
        let miss = monitor.commands();
        assert_eq!(names(&miss).len(), 2, "{miss:?}");
        // Older servers lease in a script, which reads first of all.
        assert!(miss[0].contains(&"NX".to_owned()) || names(&miss) == ["EVALSHA", "EVALSHA"], "{miss:?}");
    }
    let before = cache.stats();
    assert_eq!(cold(&cache, 9).await, 9);
    let hit = monitor.commands();
    assert_eq!((names(&hit).len(), hit[0].contains(&"GET".to_owned())), (1, hit[0].contains(&"NX".to_owned())));
    let now = cache.stats();
    assert_eq!((now.hits - before.hits, now.misses, now.stored), (1, before.misses, before.stored));
    for _ in 0..4 {
        cold(&cache, 8).await;
    }
    monitor.commands();
    cold(&cache, 8).await;
    assert_eq!(monitor.commands(), [["GET", "wire:cold:8"]], "after some hits the next is one GET again");
}

#[tokio::test]
async fn where_every_other_call_misses_the_lease_comes_with_the_first_look_too() {
    #[redis_cached(prefix = "wire", name = "half", cache = cache, skip(cache))]
    async fn half(cache: &Cache, n: u64) -> u64 {
        n
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let in_turn = async |ids: std::ops::Range<u64>| {
        for n in ids {
            half(&cache, 0).await;
            half(&cache, n).await;
        }
    };
    in_turn(1..20).await;
    let mut monitor = server.monitor();
    in_turn(20..30).await;
    let sent = monitor.commands();
    assert_eq!(named(&sent, &["GET"]).len(), 0, "{sent:?}");
    assert_eq!(names(&sent).len(), 3 * 10, "one command for each hit, two for each miss: {sent:?}");
    // A single miss in five calls is too few.
    for n in 30..50 {
        for _ in 0..4 {
            half(&cache, 0).await;
        }
        half(&cache, n).await;
    }
    monitor.commands();
    half(&cache, 50).await;
    let sent = monitor.commands();
    assert_eq!((names(&sent).len(), &*sent[0][0]), (3, "GET"), "{sent:?}");
}

#[test]
fn a_hit_of_a_plain_function_is_one_get() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    triple(&cache, 2);
    let mut monitor = server.monitor();
    triple(&cache, 2);
    assert_eq!(monitor.commands(), [["GET", "wire:triple:2"]]);
}

#[tokio::test]
async fn a_hit_of_a_method_is_one_get() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let repository = Repository { cache, factor: 5 };
    repository.times(2).await;
    let mut monitor = server.monitor();
    repository.times(2).await;
    assert_eq!(monitor.commands(), [["GET", "wire:times:5:2"]]);
}

#[tokio::test]
async fn an_invalidation_is_one_unlink() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    double(&cache, 3).await;
    let mut monitor = server.monitor();
    assert!(double_entry(&cache, 3).invalidate().await.unwrap());
    assert_eq!(monitor.commands(), [["UNLINK", "wire:double:3"]]);
}

#[tokio::test]
async fn building_and_installing_sends_nothing() {
    let server = Server::start();
    let mut monitor = server.monitor();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let entry = double_entry(&cache, 1);
    assert_eq!(entry.key().unwrap(), "wire:double:1");
    assert_eq!(monitor.commands(), Vec::<Vec<String>>::new());
}

/// The names of the commands that are among `names`.
fn named(commands: &[Vec<String>], names: &[&str]) -> Vec<String> {
    let mine = commands.iter().filter(|command| names.contains(&command[0].to_uppercase().as_str()));
    mine.map(|command| command[0].to_uppercase()).collect()
}

#[tokio::test]
async fn a_call_that_waits_for_another_process_peeks_and_reads_once() {
    #[redis_cached(prefix = "wire", name = "slow", cache = cache, skip(cache, gate))]
    async fn slow(cache: &Cache, gate: &Gate, n: u64) -> u64 {
        n + gate.pass().await as u64
    }
    let server = Server::start();
    let caches = [0, 1].map(|_| Cache::builder(&server.url()).unwrap().build());
    let gate = Arc::new(Gate::closed());
    for cache in &caches {
        slow_entry(cache, 1).get().await.unwrap(); // connects
    }
    let leader = {
        let (cache, gate) = (caches[0].clone(), Arc::clone(&gate));
        tokio::spawn(async move { slow(&cache, &gate, 1).await })
    };
    gate.wait_for(1).await;
    let mut monitor = server.monitor();
    let waiting = (0..50).map(|_| {
        let (cache, gate) = (caches[1].clone(), Arc::clone(&gate));
        tokio::spawn(async move { slow(&cache, &gate, 1).await })
    });
    let waiting: Vec<_> = waiting.collect();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let wait = monitor.commands();
    // The calls share a few reads, and one of them goes on asking: every few milliseconds, for fifty bytes.
    let reads = named(&wait, &["GET"]).len();
    assert!((1..=10).contains(&reads) && named(&wait, &["MGET"]).is_empty(), "{wait:?}");
    let peeks = named(&wait, &["GETRANGE"]).len();
    assert!((1..=110).contains(&peeks), "{peeks} in a tenth of a second");
    gate.open();
    assert_eq!(leader.await.unwrap(), 2);
    for call in waiting {
        assert_eq!(call.await.unwrap(), 2);
    }
    let end = monitor.commands();
    assert_eq!(named(&end, &["GET"]), ["GET"], "one for all of them: {end:?}");
}

/// All of them find the slot empty at first. The second call looks at it again, which many do with one command.
#[tokio::test]
async fn of_many_calls_at_once_for_a_cold_key_one_asks_for_its_lease() {
    #[redis_cached(prefix = "wire", name = "cold", cache = cache, skip(cache, gate))]
    async fn cold(cache: &Cache, gate: &Gate, n: u64) -> u64 {
        n + gate.pass().await as u64
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let gate = Arc::new(Gate::closed());
    gate.open();
    cold(&cache, &gate, 0).await; // connects, and makes scripts known
    gate.close();
    let mut monitor = server.monitor();
    let calls = (0..500).map(|_| {
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        tokio::spawn(async move { cold(&cache, &gate, 1).await })
    });
    let calls: Vec<_> = calls.collect();
    gate.wait_for(2).await;
    // The others have seen its lease: each of them had asked before.
    cold_entry(&cache, 1).get().await.unwrap();
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap(), 1 + 2);
    }
    let sent = monitor.commands();
    assert_eq!(named(&sent, &["SET", "EVALSHA", "EVAL"]).len(), 2, "a lease and a fill: {sent:?}");
    assert!(named(&sent, &["GET"]).len() <= 30, "{sent:?}");
}

#[tokio::test]
async fn an_invalidated_fill_is_one_command_that_stores_nothing() {
    #[redis_cached(prefix = "wire", name = "voided", cache = cache, skip(cache, monitor))]
    async fn voided(cache: &Cache, monitor: &Mutex<Monitor>, n: u64) -> u64 {
        voided_entry(cache, n).invalidate().await.unwrap();
        monitor.lock().unwrap().commands();
        n
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    double(&cache, 1).await; // connects
    let monitor = Mutex::new(server.monitor());
    voided(&cache, &monitor, 2).await;
    let fill = monitor.lock().unwrap().commands();
    // The script goes by its hash, and by its text if the server does not know it yet; or `SET … IFEQ`.
    let sent = named(&fill, &["EVALSHA", "EVAL", "SET"]);
    assert!(matches!(sent.len(), 1 | 2), "{fill:?}");
    assert!(sent.iter().all(|name| name.starts_with("EVAL")) || fill[0].contains(&"IFEQ".to_owned()), "{fill:?}");
    assert_eq!(server.cli(&["EXISTS", "wire:voided:2"]), "0");
}

#[tokio::test]
async fn an_old_value_is_one_get_and_its_refresh_is_two_scripts_behind() {
    #[redis_cached(prefix = "wire", name = "old", ttl = "20ms", stale_while_revalidate = "1h", cache = cache, skip(cache, gate))]
    async fn old(cache: &Cache, gate: Arc<Gate>, n: u64) -> u64 {
        n + gate.pass().await as u64
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let gate = Arc::new(Gate::closed());
    gate.open();
    old(&cache, gate.clone(), 1).await;
    in_time("it expires", async || old_entry(&cache, 1).get().await.unwrap().is_none()).await;
    gate.close();
    let mut monitor = server.monitor();
    assert_eq!(old(&cache, gate.clone(), 1).await, 2, "the old value");
    gate.wait_for(2).await;
    let mark = monitor.commands();
    assert_eq!(mark[0], ["GET", "wire:old:1"]);
    assert_eq!(named(&mark, &["GET", "SET"]), ["GET"], "{mark:?}");
    // The script goes by its hash, and by its text if the server does not know it yet.
    assert!(matches!(named(&mark, &["EVALSHA", "EVAL"]).len(), 1 | 2), "{mark:?}");
    assert_eq!(old(&cache, gate.clone(), 1).await, 2);
    assert_eq!(monitor.commands(), [["GET", "wire:old:1"]], "while it is refreshed, nothing but the read");
    gate.open();
    in_time("it is stored", async || cache.stats().stored == 2).await;
    let fill = monitor.commands();
    assert!(matches!(named(&fill, &["EVALSHA", "EVAL"]).len(), 1 | 2), "{fill:?}");
}
