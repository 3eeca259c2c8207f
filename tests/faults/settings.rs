//! What a program may set about a server, for both kinds of functions.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use redis_cached::{Builder, Cache, Credentials, Error, ErrorKind, redis_cached};
use test_support::{Mode, PATIENCE, Server, eventually};

#[redis_cached(prefix = "settings", cache = cache, skip(cache, runs))]
async fn square(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    runs.fetch_add(1, SeqCst);
    id * id
}

#[redis_cached(prefix = "settings", cache = cache, skip(cache, runs))]
fn square_plain(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    runs.fetch_add(1, SeqCst);
    id * id
}

fn builder(url: &str) -> Builder {
    Cache::builder(url).unwrap().timeout(PATIENCE)
}

/// Runs a test in a runtime that lasts as long as its connections are needed.
fn in_runtime<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(future)
}

/// The number of bodies that ran for a call of each kind.
async fn runs(cache: &Cache, id: u64) -> usize {
    let runs = AtomicUsize::new(0);
    assert_eq!(square(cache, &runs, id).await, id * id);
    assert_eq!(square_plain(cache, &runs, id), id * id);
    runs.into_inner()
}

async fn pings(cache: &Cache) -> [Result<(), Error>; 2] {
    [cache.ping().await, cache.blocking().ping()]
}

/// The names of the connections.
fn names(server: &Server) -> Vec<String> {
    let clients = server.cli(&["CLIENT", "LIST"]);
    let names = clients.lines().filter(|line| !line.contains("cmd=client"));
    names.filter_map(|line| line.split_once(" name=")?.1.split(' ').next().map(str::to_owned)).collect()
}

#[test]
fn a_password_that_changes_is_asked_for_at_each_connection() {
    let server = Server::start();
    let set = |password: &str| {
        server.cli(&["ACL", "SETUSER", "shop", "on", "resetpass", &format!(">{password}"), "~*", "&*", "+@all"]);
        server.cli(&["CLIENT", "KILL", "USER", "shop"]);
    };
    set("first");
    let current = Arc::new(Mutex::new("first".to_owned()));
    let asked = Arc::new(AtomicUsize::new(0));
    let (password, counted) = (Arc::clone(&current), Arc::clone(&asked));
    let provider = move || {
        counted.fetch_add(1, SeqCst);
        Ok::<_, String>(Credentials::new("shop", password.lock().unwrap().clone()))
    };
    // It comes before the password of the URL.
    let url = server.url().replace("redis://", "redis://:wrong@");
    let cache = builder(&url).credentials(provider).build();
    in_runtime(async {
        runs(&cache, 1).await;
        assert_eq!((runs(&cache, 1).await, asked.load(SeqCst)), (0, 2), "{:?}", pings(&cache).await);
        *current.lock().unwrap() = "second".to_owned();
        set("second");
        assert_eq!((runs(&cache, 1).await, asked.load(SeqCst)), (0, 4), "{:?}", pings(&cache).await);
    });
}

#[test]
fn the_default_user_has_a_password_alone() {
    let server = Server::with(&["--requirepass", "open sesame"]);
    let cache = builder(&server.url()).credentials(|| Ok::<_, String>(Credentials::password("open sesame"))).build();
    assert!(in_runtime(pings(&cache)).iter().all(Result::is_ok));
}

#[test]
fn a_provider_that_fails_is_an_outage() {
    let server = Server::start();
    // A panic that prints its backtrace can take so long that a plain function makes a second attempt, which fails, too.
    let builder = || builder(&server.url()).breaker(100, Duration::from_secs(2));
    let failing = builder().credentials(|| Err("the vault is sealed")).build();
    let panicking = builder().credentials(|| -> Result<Credentials, String> { panic!("no vault") }).build();
    for (cache, says) in [(failing, "failed: the vault is sealed"), (panicking, "failed: it panicked")] {
        in_runtime(async {
            assert_eq!(runs(&cache, 1).await, 2, "the functions always work");
            for pinged in pings(&cache).await {
                let error = pinged.expect_err(says);
                assert!(error.kind() == ErrorKind::Auth && error.to_string().contains(says), "{error}");
            }
        });
    }
}

#[test]
fn a_provider_that_does_not_return_keeps_no_runtime_from_ending() {
    let server = Server::start();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let provider = move || {
        let _ = released.lock().unwrap().recv();
        Err::<Credentials, _>("released")
    };
    let cache =
        Cache::builder(&server.url()).unwrap().timeout(Duration::from_millis(100)).credentials(provider).build();
    let (end, ended) = mpsc::channel();
    let caller = thread::spawn(move || {
        let ran = in_runtime(async { runs(&cache, 1).await });
        end.send(ran).unwrap();
    });
    let ran = ended.recv_timeout(PATIENCE);
    drop(release);
    caller.join().unwrap();
    assert_eq!(ran, Ok(2), "the functions always work, and the runtime ends");
}

#[test]
fn no_text_shows_a_password() {
    let credentials = Credentials::new("shop", "hunter2");
    let provided = credentials.clone();
    let builder = builder("redis://localhost").credentials(move || Ok::<_, String>(provided.clone()));
    let shown = format!("{credentials:?} {builder:?}");
    assert!(shown.contains("shop") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn connections_have_the_name_of_the_program() {
    let server = Server::start();
    let program = std::env::current_exe().unwrap().file_stem().unwrap().to_str().unwrap().to_owned();
    for (name, shown) in [(None, &*program), (Some("my shop\n1"), "my-shop-1"), (Some(""), "")] {
        let builder = builder(&server.url());
        let cache = match name {
            Some(name) => builder.client_name(name).build(),
            None => builder.build(),
        };
        in_runtime(async {
            runs(&cache, 1).await;
            let named = names(&server).into_iter().filter(|name| name == shown).count();
            assert_eq!(named, 2, "{:?}", server.cli(&["CLIENT", "LIST"]));
        });
        drop(cache);
        eventually("the connections end", || names(&server).is_empty());
    }
}

#[test]
fn a_name_that_is_refused_is_no_fault() {
    let server = Server::start();
    server.cli(&["ACL", "SETUSER", "shop", "on", ">secret", "~*", "&*", "+@all", "-client"]);
    let cache = builder(&server.url().replace("redis://", "redis://shop:secret@")).build();
    in_runtime(async {
        runs(&cache, 1).await;
        assert_eq!(runs(&cache, 1).await, 0);
    });
    assert_eq!(names(&server).into_iter().find(|name| !name.is_empty()), None);
}

#[test]
fn plain_functions_have_no_more_connections_than_allowed() {
    let server = Server::start();
    let proxy = server.proxy();
    for most in [1, 2, 0] {
        let cache = builder(&proxy.url()).blocking_connections(most).client_name(format!("pool-{most}")).build();
        proxy.set(Mode::Delay(Duration::from_millis(10)));
        std::thread::scope(|scope| {
            for id in 0..8 {
                let cache = &cache;
                scope.spawn(move || square_plain(cache, &AtomicUsize::new(0), 10 * most as u64 + id));
            }
        });
        let open = names(&server).into_iter().filter(|name| *name == format!("pool-{most}")).count();
        assert_eq!(open, most.max(1));
        proxy.set(Mode::Pass);
    }
}

#[test]
fn the_breaker_opens_after_as_many_failures_as_set() {
    let server = Server::start();
    server.kill();
    for failures in [1, 3, 0] {
        let cache = builder(&server.url()).breaker(failures, Duration::from_secs(3600)).build();
        let closed = std::iter::repeat_with(|| cache.blocking().ping().unwrap_err().kind());
        let closed = closed.take_while(|kind| *kind != ErrorKind::CircuitOpen).count();
        assert_eq!(closed, failures.max(1) as usize);
    }
}

#[test]
fn the_longest_pause_between_probes_is_the_one_that_is_set() {
    let server = Server::start();
    let proxy = server.proxy();
    let cache = builder(&proxy.url()).breaker(1, Duration::from_millis(1)).build();
    proxy.set(Mode::Refuse);
    cache.blocking().ping().unwrap_err();
    // With pauses that double up to two seconds, twenty probes would take half a minute.
    let begun = std::time::Instant::now();
    let before = proxy.accepted();
    eventually("twenty probes", || {
        _ = cache.blocking().ping();
        proxy.accepted() >= before + 20
    });
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

/// The system shows when it checks a connection next.
#[cfg(target_os = "linux")]
#[test]
fn silent_connections_are_checked_after_the_time_that_is_set() {
    /// The longest time until a check of a connection to this port, in seconds.
    fn check(port: u16) -> Option<u64> {
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let checks = sockets.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (remote, timer) = (fields.get(2)?, fields.get(5)?);
            let (kind, ticks) = timer.split_once(':')?;
            let is_keep_alive = remote.ends_with(&format!(":{port:04X}")) && kind == "02";
            is_keep_alive.then(|| u64::from_str_radix(ticks, 16).unwrap() / 100)
        });
        checks.max()
    }
    let server = Server::start();
    for (set, range) in
        [(None, 5..=15), (Some(3_000), 2_000..=3_000), (Some(1_000_000), 20_000..=32_400), (Some(0), 0..=1)]
    {
        let builder = builder(&server.url());
        let cache = match set {
            Some(seconds) => builder.keep_alive(Duration::from_secs(seconds)).build(),
            None => builder.build(),
        };
        in_runtime(async {
            square(&cache, &AtomicUsize::new(0), 1).await;
            eventually("async", || check(server.port()).is_some_and(|seconds| range.contains(&seconds)));
        });
        eventually("the connection ends", || names(&server).is_empty());
        square_plain(&cache, &AtomicUsize::new(0), 1);
        eventually("plain", || check(server.port()).is_some_and(|seconds| range.contains(&seconds)));
        drop(cache);
        eventually("the connections end", || names(&server).is_empty());
    }
}

/// The user, the password, the database and the protocol are those of the client.
#[test]
fn a_client_of_redis_rs_names_the_server() {
    let server = Server::start();
    server.cli(&["ACL", "SETUSER", "shop", "on", ">pass:word", "~*", "&*", "+@all"]);
    in_runtime(async {
        for (protocol, id) in [("resp2", 1), ("resp3", 2)] {
            let url = format!("redis://shop:pass%3Aword@127.0.0.1:{}/3?protocol={protocol}", server.port());
            let client = redis::Client::open(url).unwrap();
            let cache = Cache::from_client(&client).unwrap().timeout(PATIENCE).client_name("of-a-client").build();
            assert_eq!(runs(&cache, id).await, 2);
            assert_eq!(runs(&cache, id).await, 0, "hits of both kinds");
            let clients = server.cli(&["CLIENT", "LIST"]);
            let ours: Vec<_> = clients.lines().filter(|line| line.contains("name=of-a-client")).collect();
            assert!(ours.len() >= 2 && ours.iter().all(|line| line.contains(" db=3 ")), "{clients}");
            assert!(ours.iter().all(|line| line.contains("user=shop")), "{clients}");
            assert!(!format!("{cache:?}").contains("word"));
        }
        // The client stays as it is.
        let client = redis::Client::open(server.url()).unwrap();
        let cache = Cache::from_client(&client).unwrap().timeout(PATIENCE).build();
        assert_eq!(runs(&cache, 3).await, 2);
        client.get_connection().unwrap();
    });
}
