//! A call loses one deadline before its body and one after it, whichever of its commands has no reply.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use test_support::{Mode, PATIENCE, Proxy, Server, eventually};

const TIMEOUT: Duration = Duration::from_millis(300);

/// A bound has this in addition to the deadlines, and to twice the time of the control; it is less than one deadline.
const MARGIN: Duration = Duration::from_millis(200);

#[redis_cached(prefix = "deadline", name = "row", cache = cache, skip(cache))]
async fn row(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "deadline", name = "plain", cache = cache, skip(cache))]
fn plain(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "deadline", name = "tagged", tags = ["org:{id}"], cache = cache, skip(cache))]
fn tagged(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "deadline", name = "labelled", tags = |id: &u64| vec![format!("of:{id}")], cache = cache, skip(cache))]
fn labelled(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "deadline", name = "batch", batch(id in ids), cache = cache, skip(cache))]
fn batch(cache: &Cache, ids: &[u64]) -> std::collections::HashMap<u64, u64> {
    ids.iter().map(|id| (*id, *id)).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Each kind of call, alone; how long it took.
fn calls(cache: &Cache, runtime: &tokio::runtime::Runtime, id: u64) -> Vec<(&'static str, Duration)> {
    let timed = |name, call: &mut dyn FnMut()| {
        let begun = Instant::now();
        call();
        (name, begun.elapsed())
    };
    vec![
        timed("row", &mut || assert_eq!(runtime.block_on(row(cache, id)), id)),
        timed("plain", &mut || assert_eq!(plain(cache, id), id)),
        timed("tagged", &mut || assert_eq!(tagged(cache, id), id)),
        timed("labelled", &mut || assert_eq!(labelled(cache, id), id)),
        timed("batch", &mut || assert_eq!(batch(cache, &[id, id + 1]).len(), 2)),
    ]
}

/// The same calls at the same moment, with nothing wrong: through a proxy of their own, and by a cache that waits for each
/// answer.
struct Control {
    cache: Cache,
    next: AtomicU64,
    _proxy: Proxy,
}

impl Control {
    fn of(server: &Server) -> Control {
        let proxy = server.proxy();
        let cache = Cache::builder(&proxy.url()).unwrap().timeout(PATIENCE).build();
        Control { cache, next: AtomicU64::new(1_000_000), _proxy: proxy }
    }

    /// How long the slowest kind of call takes.
    fn slowest(&self, runtime: &tokio::runtime::Runtime) -> Duration {
        let times = calls(&self.cache, runtime, self.next.fetch_add(10, Relaxed));
        times.into_iter().map(|(_, took)| took).max().unwrap()
    }
}

/// The time of a call of which two deadlines are lost.
fn bound(control: Duration) -> Duration {
    control * 2 + TIMEOUT * 2 + MARGIN
}

/// The connection that carries `command` gets no reply from then on; new ones do.
fn frozen_on(command: &'static str, user: &str) {
    let server = Server::start();
    _ = server.cli(&["ACL", "SETUSER", "lib", "on", ">pw", "~*", "&*", "+@all"]);
    _ = server.cli(&[&["ACL", "SETUSER", "lib"], &*user.split_whitespace().collect::<Vec<_>>()].concat());
    let proxy = server.proxy();
    let url = format!("redis://lib:pw@127.0.0.1:{}", proxy.port());
    let (runtime, control) = (runtime(), Control::of(&server));
    for kind in 0..5 {
        // Each kind of call meets the first silence.
        let cache = Cache::builder(&url).unwrap().timeout(TIMEOUT).build();
        for id in 0..6 {
            calls(&cache, &runtime, id * 10);
        }
        let (mut slowest, mut usual) = ((command, Duration::ZERO), control.slowest(&runtime));
        proxy.set(Mode::FreezeOn(command));
        for round in 0..4 {
            let id = 1_000 + 100 * kind + 10 * round;
            let mut order = calls_from(kind as usize, &cache, &runtime, id);
            order.push(slowest);
            slowest = order.into_iter().max_by_key(|(_, took)| *took).unwrap();
            usual = usual.max(control.slowest(&runtime));
        }
        proxy.set(Mode::Pass);
        assert!(slowest.1 < bound(usual), "{command}, {user:?}: {slowest:?}, control {usual:?}");
    }
}

/// The calls, beginning with one of them.
fn calls_from(
    first: usize,
    cache: &Cache,
    runtime: &tokio::runtime::Runtime,
    id: u64,
) -> Vec<(&'static str, Duration)> {
    let begun = Instant::now();
    let name = match first {
        0 => {
            runtime.block_on(row(cache, id));
            "row first"
        }
        1 => {
            plain(cache, id);
            "plain first"
        }
        2 => {
            tagged(cache, id);
            "tagged first"
        }
        3 => {
            labelled(cache, id);
            "labelled first"
        }
        _ => {
            batch(cache, &[id, id + 1]);
            "batch first"
        }
    };
    let took = begun.elapsed();
    let mut all = calls(cache, runtime, id + 5);
    all.push((name, took));
    all
}

#[test]
fn whichever_command_has_no_reply() {
    thread::scope(|scope| {
        let tests =
            ["GET", "SET", "EVAL", "MGET", "TIME"].map(|command| scope.spawn(move || frozen_on(command, "+@all")));
        for test in tests {
            test.join().unwrap();
        }
    });
}

#[test]
fn where_the_server_tells_nothing_of_itself() {
    thread::scope(|scope| {
        let tests = ["GET", "EVAL", "SET"].map(|command| scope.spawn(move || frozen_on(command, "-info -role")));
        for test in tests {
            test.join().unwrap();
        }
    });
}

/// After an outage, a call does not deliver what was kept for others.
#[test]
fn the_first_calls_after_an_outage() {
    let server = Server::start();
    _ = server.cli(&["ACL", "SETUSER", "lib", "on", ">pw", "~*", "&*", "+@all", "-info", "-role"]);
    let proxy = server.proxy();
    let url = format!("redis://lib:pw@127.0.0.1:{}", proxy.port());
    let cache = Cache::builder(&url).unwrap().timeout(TIMEOUT).build();
    let (runtime, control) = (runtime(), Control::of(&server));
    for round in 0..4 {
        calls(&cache, &runtime, 1);
        proxy.set(Mode::Refuse);
        proxy.cut();
        for id in 0..3 {
            plain_entry(&cache, id).invalidate().expect_err("away");
        }
        // New connections are made, and what they ask for to be removed has no reply.
        proxy.set(Mode::FreezeOn("UNLINK"));
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            let before = control.slowest(&runtime);
            let all = calls(&cache, &runtime, 500 + round);
            let usual = before.max(control.slowest(&runtime));
            for (name, took) in all {
                assert!(took < bound(usual), "{name} took {took:?}, control {usual:?}");
            }
        }
        proxy.set(Mode::Pass);
        eventually("it is delivered", || cache.undelivered() == 0);
    }
}
