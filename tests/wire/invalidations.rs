//! Many invalidations at once go in parts, so that no command keeps the server from its other clients.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, Error, redis_cached};
use test_support::{Mode, PATIENCE, Server, eventually};

#[redis_cached(prefix = "many", name = "row", cache = cache, skip(cache))]
async fn row(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "many", name = "row", cache = cache, skip(cache))]
fn plain(cache: &Cache, id: u64) -> u64 {
    id
}

/// The most keys in one command.
const PART: usize = 1_024;

const FACES: [&str; 2] = ["async fn", "fn"];

/// Invalidates the entries of so many ids by the verb of a face.
fn invalidate(face: &str, cache: &Cache, ids: u64) -> Result<u64, Error> {
    match face {
        "fn" => cache.blocking().invalidate_all((0..ids).map(|id| plain_entry(cache, id))),
        _ => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(cache.invalidate_all((0..ids).map(|id| row_entry(cache, id))))
        }
    }
}

/// Stores something under the keys of so many ids.
fn fill(server: &Server, ids: u64) {
    let script = "for id = 0, tonumber(ARGV[1]) - 1 do redis.call('SET', 'many:row:' .. id, 'something') end";
    server.cli(&["EVAL", script, "0", &ids.to_string()]);
}

fn keys(server: &Server) -> u64 {
    server.cli(&["DBSIZE"]).parse().unwrap()
}

#[test]
fn no_command_has_more_than_a_part_of_the_keys() {
    const IDS: u64 = 5_000;
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    for face in FACES {
        // A new connection tries what its user may do.
        invalidate(face, &cache, 1).unwrap();
        fill(&server, IDS);
        let mut monitor = server.monitor();
        assert_eq!(invalidate(face, &cache, IDS).unwrap(), IDS);
        let commands = monitor.commands();
        let removals: Vec<_> = commands.iter().filter(|command| command[0] == "UNLINK").collect();
        assert_eq!(removals.len(), (IDS as usize).div_ceil(PART), "{face}");
        assert!(removals.iter().all(|removal| removal.len() <= PART + 1), "{face}");
        let named: HashSet<&str> = removals.iter().flat_map(|removal| &removal[1..]).map(String::as_str).collect();
        assert_eq!((named.len(), keys(&server)), (IDS as usize, 0), "{face}");
    }
}

#[test]
fn only_the_parts_that_fail_are_kept() {
    const IDS: u64 = 5_000;
    let server = Server::start();
    for face in FACES {
        let proxy = server.proxy();
        let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_secs(1)).build();
        invalidate(face, &cache, 1).unwrap();
        fill(&server, IDS);
        proxy.set(Mode::FreezeFrom("$6\r\nUNLINK\r\n", 3));
        invalidate(face, &cache, IDS).expect_err("the third part has no reply");
        assert_eq!((keys(&server), cache.undelivered()), (IDS - 2 * PART as u64, IDS as usize - 2 * PART), "{face}");
        proxy.set(Mode::Pass);
        proxy.cut();
        eventually("they are delivered", || cache.undelivered() == 0);
        assert_eq!(keys(&server), 0, "{face}");
    }
}

/// How long another client waits at most for a reply while `work` runs.
fn slowest_ping(server: &Server, work: impl FnOnce()) -> Duration {
    let (mut connection, is_over) = (server.connection(), AtomicBool::new(false));
    thread::scope(|scope| {
        let pings = scope.spawn(|| {
            let mut slowest = Duration::ZERO;
            while !is_over.load(SeqCst) {
                let begun = Instant::now();
                redis::cmd("PING").exec(&mut connection).unwrap();
                slowest = slowest.max(begun.elapsed());
            }
            slowest
        });
        work();
        is_over.store(true, SeqCst);
        pings.join().unwrap()
    })
}

#[test]
fn other_clients_are_served_meanwhile() {
    const IDS: u64 = 200_000;
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    fill(&server, IDS);
    let mut connection = server.connection();
    let mut whole = redis::cmd("UNLINK");
    for id in 0..IDS {
        whole.arg(format!("many:row:{id}"));
    }
    let at_once = slowest_ping(&server, || whole.exec(&mut connection).unwrap());
    let mut slowest = Vec::new();
    for face in FACES {
        fill(&server, IDS);
        slowest.push(slowest_ping(&server, || assert_eq!(invalidate(face, &cache, IDS).unwrap(), IDS)));
    }
    println!("{IDS} keys: a PING took {at_once:?} during one command, {slowest:?} during `invalidate_all`");
}
