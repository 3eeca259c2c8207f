//! If the server refuses exactly one command, for good, a call is bounded and returns what its body returns, and
//! where there is another sound way, it hits.

mod told;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use redis_cached::{Cache, ErrorKind, redis_cached};
use test_support::{PATIENCE, Server, eventually, log};

/// Far below a lease, and far above a busy machine's round trips.
const BOUND: Duration = Duration::from_secs(3);

/// Where all that is needed is there, hits begin at once; a permission that was given back is noticed in seconds.
const ROUNDS: u64 = 6;

/// Old values that are refreshed run more bodies than the first calls do.
const REFRESHED: u64 = 10;

#[derive(Clone, Default)]
struct Runs(Arc<AtomicU64>);

impl Runs {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, SeqCst)
    }

    fn count(&self) -> u64 {
        self.0.load(SeqCst)
    }

    fn take(&self) -> u64 {
        self.0.swap(0, SeqCst)
    }
}

#[redis_cached(prefix = "rights", name = "one", cache = cache, skip(cache, runs))]
async fn one(cache: &Cache, runs: &Runs, id: u64) -> u64 {
    runs.next();
    id
}

#[redis_cached(prefix = "rights", name = "plain", cache = cache, skip(cache, runs))]
fn plain(cache: &Cache, runs: &Runs, id: u64) -> u64 {
    runs.next();
    id
}

#[redis_cached(prefix = "rights", name = "large", cache = cache, skip(cache, runs))]
async fn large(cache: &Cache, runs: &Runs, id: u64) -> Vec<u64> {
    runs.next();
    vec![id; 10_000]
}

#[redis_cached(prefix = "rights", name = "grouped", group = "all", cache = cache, skip(cache, runs))]
async fn grouped(cache: &Cache, runs: &Runs, id: u64) -> u64 {
    runs.next();
    id
}

#[redis_cached(prefix = "rights", name = "tagged", tags = ["org:{id}", "all"], cache = cache, skip(cache, runs))]
async fn tagged(cache: &Cache, runs: &Runs, id: u64) -> u64 {
    runs.next();
    id
}

#[redis_cached(prefix = "rights", name = "batch", batch(id in ids), cache = cache, skip(cache, runs))]
async fn batch(cache: &Cache, runs: &Runs, ids: Vec<u64>) -> HashMap<u64, u64> {
    runs.next();
    ids.into_iter().map(|id| (id, id)).collect()
}

#[redis_cached(
    prefix = "rights",
    name = "swr",
    ttl = "1ms",
    stale_while_revalidate = "1h",
    cache = cache,
    skip(cache, runs)
)]
async fn swr(cache: &Cache, runs: &Runs, id: u64) -> u64 {
    runs.next();
    id
}

#[redis_cached(
    prefix = "rights",
    name = "swr_plain",
    ttl = "1ms",
    stale_while_revalidate = "1h",
    cache = cache,
    skip(cache, runs)
)]
fn swr_plain(cache: &Cache, runs: Runs, id: u64) -> u64 {
    runs.next();
    id
}

#[redis_cached(prefix = "rights", name = "sie", ttl = "1ms", stale_if_error = "1h", cache = cache, skip(cache, runs))]
async fn sie(cache: &Cache, runs: &Runs, id: u64) -> Result<u64, String> {
    runs.next();
    Ok(id)
}

/// The outcome of a function's calls: bodies that ran, and the slowest call.
#[derive(Debug)]
struct Came {
    function: &'static str,
    runs: u64,
    slowest: Duration,
}

/// Two caches, as two processes have, call each function in turn, for each id several times.
async fn calls(caches: &[Cache; 2]) -> Vec<Came> {
    let mut all = Vec::new();
    let runs = Runs::default();
    macro_rules! call {
        ($function:ident, |$cache:ident, $id:ident| $call:expr) => {{
            let mut slowest = Duration::ZERO;
            let started = Instant::now();
            for _ in 0..ROUNDS {
                for $id in 0..5 {
                    for $cache in caches {
                        let begun = Instant::now();
                        $call;
                        slowest = slowest.max(begun.elapsed());
                    }
                }
            }
            // A refresh in the background ends after the call that starts it.
            while stringify!($function).starts_with("swr") && runs.count() < REFRESHED && started.elapsed() < PATIENCE {
                tokio::time::sleep(Duration::from_millis(2)).await;
                for $id in 0..5 {
                    let $cache = &caches[0];
                    $call;
                }
            }
            all.push(Came { function: stringify!($function), runs: runs.take(), slowest });
        }};
    }
    call!(one, |cache, id| assert_eq!(one(cache, &runs, id).await, id));
    call!(plain, |cache, id| assert_eq!(plain(cache, &runs, id), id));
    call!(large, |cache, id| assert_eq!(large(cache, &runs, id).await.len(), 10_000));
    call!(grouped, |cache, id| assert_eq!(grouped(cache, &runs, id).await, id));
    call!(tagged, |cache, id| assert_eq!(tagged(cache, &runs, id).await, id));
    call!(batch, |cache, id| assert_eq!(batch(cache, &runs, vec![id, id + 100]).await.len(), 2));
    call!(swr, |cache, id| assert_eq!(swr(cache, &runs, id).await, id));
    call!(swr_plain, |cache, id| assert_eq!(swr_plain(cache, runs.clone(), id), id));
    call!(sie, |cache, id| assert_eq!(sie(cache, &runs, id).await, Ok(id)));
    all
}

/// Commands that the library sends or that its scripts call, and the functions that cannot be cached without each. Old
/// values are refreshed whatever is refused.
const COMMANDS: &[(&str, &[&str])] = &[
    ("get", &[]),
    ("mget", &[]),
    ("getrange", &[]),
    ("strlen", &[]),
    ("set", &["one", "plain", "large", "tagged", "batch"]),
    ("eval", &["one", "plain", "large", "tagged", "batch", "grouped"]),
    ("evalsha", &[]),
    ("script", &[]),
    ("unlink", &[]),
    ("del", &[]),
    ("pexpire", &["grouped"]),
    ("persist", &[]),
    ("pttl", &["grouped"]),
    ("setrange", &[]),
    ("rename", &[]),
    ("exists", &["grouped"]),
    ("time", &["grouped"]),
    ("hget", &["grouped"]),
    ("hmget", &["grouped"]),
    ("hset", &["grouped"]),
    ("hdel", &["grouped"]),
    ("hexists", &["grouped"]),
    ("hstrlen", &["grouped"]),
    ("hscan", &[]),
    ("hrandfield", &[]),
    ("info", &[]),
    ("role", &[]),
    ("client", &[]),
    ("hello", &[]),
    ("ping", &[]),
];

/// With the first call each id is computed once; a first call may find out what is refused.
fn check(how: &str, command: &str, without: &[&str], server: &Server, came: Vec<Came>) {
    // Where a value is replaced by comparison without a script, leases are ended so, too.
    let by_comparison = server.knows(&["SET", "none", "x", "IFEQ", "y"]);
    for Came { function, runs, slowest } in came {
        assert!(slowest < BOUND, "{how} {command}: {function} took {slowest:?}");
        let is_cached = !without.contains(&function) || command == "eval" && by_comparison && function != "grouped";
        match function {
            "sie" => {}
            // Each old value is refreshed, in the background.
            "swr" | "swr_plain" => {
                assert!(runs >= REFRESHED, "{how} {command}: {function} ran {runs} bodies in {} calls", 10 * ROUNDS);
            }
            _ if is_cached => {
                assert!(runs <= 10, "{how} {command}: {function} ran {runs} bodies in {} calls", 10 * ROUNDS);
            }
            _ => {}
        }
        println!(
            "| {how} {command:8} | {function:8} | {runs:3} bodies in {} calls | slowest {slowest:?} |",
            10 * ROUNDS
        );
    }
}

fn caches(url: &str) -> [Cache; 2] {
    [(); 2].map(|()| Cache::builder(url).unwrap().timeout(Duration::from_secs(1)).build())
}

#[test]
fn a_user_who_lacks_one_command() {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for (command, without) in COMMANDS {
        _ = server.cli(&["FLUSHALL"]);
        _ = server.cli(&["ACL", "SETUSER", "lib", "reset", "on", ">pw", "~*", "&*", "+@all", &format!("-{command}")]);
        let url = format!("redis://lib:pw@127.0.0.1:{}", server.port());
        check("-", command, without, &server, runtime.block_on(calls(&caches(&url))));
    }
}

#[test]
fn a_server_without_one_command() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // The rights that the test itself needs stay.
    for (command, without) in COMMANDS.iter().filter(|(command, _)| !matches!(*command, "ping" | "client" | "set")) {
        let server = Server::with(&["--rename-command", command, ""]);
        check("no", command, without, &server, runtime.block_on(calls(&caches(&server.url()))));
    }
}

/// A permission that is taken while calls are under way leaves no lease, and one that is given back is used.
#[test]
fn a_permission_taken_and_given_back() {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for command in ["get", "mget", "getrange", "set", "eval", "evalsha", "unlink", "hmget", "hdel"] {
        _ = server.cli(&["FLUSHALL"]);
        _ = server.cli(&["ACL", "SETUSER", "lib", "reset", "on", ">pw", "~*", "&*", "+@all"]);
        let caches = caches(&format!("redis://lib:pw@127.0.0.1:{}", server.port()));
        runtime.block_on(calls(&caches));
        _ = server.cli(&["FLUSHALL"]);
        _ = server.cli(&["ACL", "SETUSER", "lib", &format!("-{command}")]);
        for Came { function, slowest, .. } in runtime.block_on(calls(&caches)) {
            assert!(slowest < BOUND, "{command}: {function} took {slowest:?}");
        }
        _ = server.cli(&["ACL", "SETUSER", "lib", "+@all"]);
        eventually("everything is cached again", || {
            let came = runtime.block_on(calls(&caches));
            let goes_stale = |function: &str| matches!(function, "swr" | "swr_plain" | "sie");
            came.iter().filter(|came| !goes_stale(came.function)).all(|came| came.runs <= 10)
        });
    }
}

/// Two shorter lists, one for functions without groups.
#[test]
fn few_permissions_are_enough() {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let few = ["+get", "+mget", "+getrange", "+set", "+unlink", "+eval", "+evalsha", "+pexpire"];
    let all = ["+@read", "+@write", "+@scripting", "+time"];
    for (rights, functions) in [
        (&few[..], &["one", "plain", "large", "tagged", "batch"][..]),
        (&all[..], &["one", "plain", "large", "tagged", "batch", "grouped"][..]),
    ] {
        _ = server.cli(&["FLUSHALL"]);
        let user = ["ACL", "SETUSER", "lib", "reset", "on", ">pw", "~*", "&*", "-@all"];
        _ = server.cli(&[&user[..], rights].concat());
        let caches = caches(&format!("redis://lib:pw@127.0.0.1:{}", server.port()));
        for Came { function, runs, slowest } in runtime.block_on(calls(&caches)) {
            assert!(slowest < BOUND, "{rights:?}: {function} took {slowest:?}");
            assert!(runs <= 10 || !functions.contains(&function), "{rights:?}: {function} ran {runs} bodies");
        }
        assert!(runtime.block_on(one_entry(&caches[0], 1).invalidate()).unwrap());
    }
}

/// The user that the guide shows, word for word, and its keys.
#[test]
fn the_user_of_the_guide_needs_nothing_else() {
    let server = Server::start();
    let guide = include_str!("../../../src/guide/servers.md");
    let (_, command) = guide.split_once("$ redis-cli ").unwrap();
    let (command, _) = command.split_once("```").unwrap();
    let command = command.replace(['\\', '\''], "");
    let words: Vec<_> = command.split_whitespace().collect();
    assert_eq!(server.cli(&words), "OK");
    // Older servers do not know the command.
    _ = server.cli(&["ACL", "SETUSER", "shop", "+hpexpire"]);
    _ = server.cli(&["ACL", "LOG", "RESET"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let caches = [(); 2].map(|()| {
        let url = format!("redis://shop:password@127.0.0.1:{}", server.port());
        Cache::builder(&url).unwrap().namespace("staging").timeout(Duration::from_secs(1)).build()
    });
    for came in runtime.block_on(calls(&caches)) {
        assert!(came.runs <= 10 || came.function.starts_with("swr") || came.function == "sie", "{came:?}");
    }
    runtime.block_on(async {
        caches[0].ping().await.unwrap();
        assert!(one_entry(&caches[0], 1).invalidate().await.unwrap());
        assert!(grouped_group(&caches[0]).len().await.unwrap() > 0);
        assert!(grouped_group(&caches[0]).invalidate().await.unwrap());
        assert!(caches[0].invalidate_tag("all").await.unwrap());
        assert!(caches[0].clear().await.unwrap() > 0);
    });
    // The key by which the library asks which commands are refused does not exist, and is outside of the pattern.
    let log = server.cli(&["ACL", "LOG", "128"]);
    let after =
        |word| log.lines().zip(log.lines().skip(1)).filter(move |(line, _)| *line == word).map(|(_, value)| value);
    let denied: Vec<_> = after("reason").zip(after("object")).collect();
    let is_question = |object: &str| object.starts_with("redis-cached");
    assert!(denied.iter().all(|(reason, object)| *reason == "key" && is_question(object)), "{denied:?}");
    assert!(!denied.is_empty(), "{log}");
}

/// A user whose keys are a pattern, as on a server that many share.
#[test]
fn a_user_confined_to_its_own_keys() {
    #[redis_cached(prefix = "own", name = "row", cache = cache, skip(cache, runs))]
    async fn row(cache: &Cache, runs: &Runs, id: u64) -> u64 {
        runs.next();
        id
    }
    #[redis_cached(prefix = "own", name = "labelled", tags = ["org:{id}"], cache = cache, skip(cache))]
    async fn labelled(cache: &Cache, id: u64) -> u64 {
        id
    }
    #[redis_cached(prefix = "others", name = "row", cache = cache, skip(cache))]
    async fn foreign(cache: &Cache, id: u64) -> u64 {
        id
    }
    log::listen();
    let server = Server::start();
    _ = server.cli(&["ACL", "SETUSER", "lib", "on", ">pw", "~own:*", "&*", "+@all"]);
    let cache = Cache::builder(&format!("redis://lib:pw@127.0.0.1:{}", server.port())).unwrap().build();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let runs = Runs::default();
    runtime.block_on(async {
        for round in 0..40 {
            for id in 0..5 {
                assert_eq!(row(&cache, &runs, id).await, id);
                assert_eq!(labelled(&cache, id).await, id);
                assert_eq!(foreign(&cache, id).await, id);
            }
            // Neither a tag nor an entry that cannot be invalidated keeps the others from it.
            assert!(cache.invalidate_tag("org:1").await.is_err());
            assert!(foreign_entry(&cache, 1).invalidate().await.is_err());
            if round == 20 {
                assert!(row_entry(&cache, 1).invalidate().await.unwrap());
            }
        }
    });
    assert_eq!(runs.take(), 6);
    let of_server = log::lines_about(&format!(":{}", server.port()));
    assert!(!of_server.iter().any(|line| line.text.contains("is away")), "{of_server:#?}");
    for (function, lacks) in [("own:labelled", "`~#tag:*`"), ("others:row", "`~others:row:*`")] {
        let lines: Vec<_> = log::lines_about(&format!("\"{function}")).into_iter().collect();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].text.contains(lacks), "{lines:#?}");
    }
}

fn plain_calls(cache: &Cache, runs: &Runs) {
    for id in 0..10 {
        assert_eq!(plain(cache, runs, id), id);
    }
}

/// The server quotes a command's arguments, random bytes among them.
#[test]
fn an_error_that_is_not_text_costs_no_connection() {
    let server = Server::with(&["--rename-command", "EVALSHA", ""]);
    let url = server.url();
    let mut plain = redis::Client::open(url.as_str()).unwrap().get_connection().unwrap();
    assert!(redis::cmd("EVALSHA").arg(b"\xff\xfe").query::<()>(&mut plain).is_err());
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_secs(2)).build();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let runs = Runs::default();
    runtime.block_on(one(&cache, &runs, 0));
    plain_calls(&cache, &runs);
    let accepted = proxy.accepted();
    runtime.block_on(async {
        // The refusal comes on the connection in use, without notice.
        let calls: Vec<_> = (0..50u64).map(|id| one(&cache, &runs, id % 10)).collect();
        for call in calls {
            call.await;
        }
    });
    plain_calls(&cache, &runs);
    assert_eq!(proxy.accepted(), accepted);
    assert_eq!(cache.stats().bypasses, 0);
}
