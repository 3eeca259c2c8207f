//! Building, installing and naming a cache.

use redis_cached::{Cache, ErrorKind, redis_cached};
use test_support::Server;

#[redis_cached(prefix = "config", name = "double")]
async fn double(n: u64) -> u64 {
    n * 2
}

#[redis_cached(prefix = "config", name = "half", cache = cache, skip(cache))]
fn half(cache: &Cache, n: u64) -> u64 {
    n / 2
}

#[test]
fn bad_urls_are_refused_with_the_url_but_not_its_password() {
    for (url, says) in [
        ("", "redis://"),
        ("localhost:6379", "redis://"),
        ("mysql://user:hunter2@localhost", "redis://"),
        ("redis://user:hunter2@local host:6379", "did not parse"),
        ("redis://user:hunter2@localhost:notaport", "did not parse"),
        ("redis://user:hunter2@localhost/notanumber", "notanumber"),
        ("redis-sentinel://user:hunter2@a:1", "the name of the master is missing"),
        ("redis-sentinel://:hunter2@a:1/main?sentinel_user=s", "sentinel_password"),
        ("memory://?max_mb=much", "max_mb"),
        ("memory://?size=1", "size"),
    ] {
        let error = Cache::builder(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        let message = error.to_string();
        assert!(message.contains(says), "{url}: {message}");
        assert!(!message.contains("hunter2"), "{url}: {message}");
    }
}

#[test]
fn good_urls_are_accepted_and_shown_without_their_password() {
    for url in [
        "redis://localhost",
        "redis://user:hunter2@localhost:6380/3",
        "redis://:hunter2@[::1]:6379",
        "redis://localhost/?protocol=resp3",
        "redis+unix:///run/redis.sock",
        "unix:///run/redis.sock?db=2&pass=hunter2",
        "valkey://localhost",
        "redis-sentinel://user:hunter2@a:1,b/main/2?sentinel_password=hunter2",
        "memory://",
        "memory://?max_mb=1",
    ] {
        let cache = Cache::builder(url).expect(url).build();
        let shown = format!("{cache:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_namespace_stands_in_front_and_keeps_deployments_apart() {
    let server = Server::start();
    let build = |namespace: &str| Cache::builder(&server.url()).unwrap().namespace(namespace).build();
    let (staging, production) = (build("staging"), build("a:{b} c"));
    assert_eq!(half_entry(&staging, 8).key().unwrap(), "staging:config:half:8");
    assert_eq!(half_entry(&production, 8).key().unwrap(), "a%3A%7Bb%7D%20c:config:half:8");
    assert_eq!(half(&staging, 8), 4);
    assert_eq!(half_entry(&production, 8).get().unwrap(), None);
    assert_eq!(half_entry(&staging, 8).get().unwrap(), Some(4));
    assert_eq!(server.cli(&["KEYS", "*"]).trim(), "staging:config:half:8");
}

const CHILD: &str = "REDIS_CACHED_TEST_CHILD";

/// Runs this very test in a process of its own, where `CHILD` names the part to play: what is
/// installed, and the environment, belong to a process.
#[tokio::test]
async fn what_serves_when_nothing_or_something_is_installed() {
    match std::env::var(CHILD) {
        Err(_) => {
            let server = Server::start();
            assert!(child("memory", None).contains("second: hit"), "memory serves without REDIS_URL");
            let output = child("redis", Some(&server.url()));
            assert!(output.contains("second: hit"), "{output}");
            assert_eq!(server.cli(&["KEYS", "*"]).trim(), "config:double:21");
            let output = child("unusable", Some("redis://:hunter2@nowhere:port"));
            assert!(output.contains("second: miss") && !output.contains("hunter2"), "{output}");
            let output = child("installed", Some("redis://127.0.0.1:1"));
            assert!(output.contains("second: hit"), "{output}");
        }
        Ok(part) => {
            if part == "installed" {
                let cache = Cache::builder("memory://").unwrap().build();
                cache.install().unwrap();
                assert_eq!(cache.install().unwrap_err().kind(), ErrorKind::Installed);
            }
            assert_eq!(double(21).await, 42);
            assert_eq!(double(21).await, 42);
            let hit = matches!(double_entry(21).get().await, Ok(Some(42)));
            println!("second: {}", if hit { "hit" } else { "miss" });
            // Too late, after a first call chose.
            let late = Cache::builder("memory://").unwrap().build().install();
            assert_eq!(late.unwrap_err().kind(), ErrorKind::Installed);
        }
    }
}

fn child(part: &str, url: Option<&str>) -> String {
    let mut command = test_support::child(module_path!(), "what_serves_when_nothing_or_something_is_installed");
    command.env(CHILD, part).env_remove("REDIS_URL");
    if let Some(url) = url {
        command.env("REDIS_URL", url);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{part}: {text}");
    text
}

#[test]
fn any_time_out_is_one() {
    for timeout in [std::time::Duration::MAX, std::time::Duration::ZERO] {
        let cache = Cache::builder("memory://").unwrap().timeout(timeout).build();
        assert_eq!(half(&cache, 8), 4);
        assert_eq!(half_entry(&cache, 8).get().unwrap(), Some(4));
    }
}
