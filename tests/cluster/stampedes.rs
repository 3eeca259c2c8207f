//! One cold key, and many tasks, threads and processes.

use std::process::Stdio;
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use test_support::{Cluster, PATIENCE, Server, child, eventually, slot_of};
use tokio::task::JoinSet;

const PROCESSES: usize = 3;
const TASKS: usize = 48;
const THREADS: usize = 8;

/// In a child: the cache's URL, and that of the origin.
const CHILD: &str = "REDIS_CACHED_TEST_CHILD";

/// An origin that counts bodies, and lets them end when the key `open` is there.
struct Origin(String);

impl Origin {
    fn connection(&self) -> redis::Connection {
        redis::Client::open(&*self.0).unwrap().get_connection().unwrap()
    }

    fn begin(&self) -> u64 {
        redis::cmd("INCR").arg("bodies").query(&mut self.connection()).unwrap()
    }

    fn is_open(&self) -> bool {
        redis::cmd("EXISTS").arg("open").query(&mut self.connection()).unwrap()
    }
}

#[redis_cached(prefix = "stampede", name = "number", key = "{id}", cache = cache, skip(cache, origin))]
async fn number(cache: &Cache, origin: &Origin, id: u64) -> u64 {
    let number = origin.begin();
    while !origin.is_open() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    id * 1000 + number
}

#[redis_cached(prefix = "stampede", name = "number", key = "{id}", cache = cache, skip(cache, origin))]
fn number_plain(cache: &Cache, origin: &Origin, id: u64) -> u64 {
    let number = origin.begin();
    eventually("the body may end", || {
        std::thread::sleep(Duration::from_millis(5));
        origin.is_open()
    });
    id * 1000 + number
}

/// In a child: calls at once, in tasks and threads, and tells what they got.
fn take_part(part: &str) {
    let (url, origin) = part.split_once(' ').unwrap();
    let cache = Cache::builder(url).unwrap().timeout(PATIENCE).build();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let origin = || Origin(origin.to_owned());
    let calls = || {
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            let (cache, origin) = (cache.clone(), origin());
            tasks.spawn_on(async move { number(&cache, &origin, 7).await }, runtime.handle());
        }
        runtime.block_on(tasks.join_all())
    };
    let mut values = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| number_plain(&cache, &origin(), 7))).collect();
        let mut values = calls();
        values.extend(threads.into_iter().map(|thread| thread.join().unwrap()));
        values
    });
    assert_eq!(values.len(), TASKS + THREADS);
    values.dedup();
    println!("said: {values:?} {:?}", cache.stats());
}

/// Runs this test in several processes, which call for one cold key; what happens once a body runs.
fn stampede(test: &str, meanwhile: impl FnOnce(&Cluster, u16)) {
    if let Ok(part) = std::env::var(CHILD) {
        return take_part(&part);
    }
    let (cluster, origin) = (Cluster::start(), Server::start());
    let children = (0..PROCESSES).map(|_| {
        child(module_path!(), test)
            .env(CHILD, format!("{} {}", cluster.url(), origin.url()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    });
    let children: Vec<_> = children.collect();
    eventually("a body runs", || origin.cli(&["GET", "bodies"]) != "(nil)");
    let cache = Cache::builder(&cluster.url()).unwrap().build();
    meanwhile(&cluster, slot_of(number_entry(&cache, 7).key().unwrap()));
    origin.cli(&["SET", "open", "1"]);
    for child in children {
        let output = child.wait_with_output().unwrap();
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{text}\n{errors}");
        assert!(text.contains("said: [7001]"), "{text}\n{errors}");
    }
    assert_eq!(origin.cli(&["GET", "bodies"]), "1");
}

#[test]
fn one_body_for_all_processes() {
    stampede("one_body_for_all_processes", |_, _| {});
}

#[test]
fn one_body_while_the_slot_moves() {
    stampede("one_body_while_the_slot_moves", |cluster, slot| {
        for _ in 0..10 {
            cluster.migrate_slot(slot, cluster.other_master(cluster.owner(slot)));
        }
    });
}

#[test]
fn one_body_while_its_node_hands_over() {
    stampede("one_body_while_its_node_hands_over", |cluster, slot| {
        for _ in 0..2 {
            cluster.failover(cluster.replica_of(cluster.owner(slot)));
            cluster.settle();
        }
    });
}
