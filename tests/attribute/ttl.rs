//! `ttl = …`: seconds, text, a constant, `forever`, or a closure of the value.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};
use test_support::{Gate, Server, Stopwatch, eventually, given_time};

static CACHE: LazyLock<Cache> = LazyLock::new(|| Cache::builder("memory://").unwrap().build());

/// The lifetime is what was asked for, and not more: a little of it has passed.
fn assert_about(left: Option<Duration>, expected: Duration) {
    let left = left.expect("a stored value");
    assert!(
        left <= expected && left.saturating_add(Duration::from_secs(20)) >= expected,
        "{left:?} is not {expected:?}"
    );
}

mod limits {
    use std::time::Duration;

    pub(super) const TOKEN: Duration = Duration::from_secs(70);
    pub(super) const SECONDS: u32 = 80;
}

macro_rules! lives {
    ($($test:ident: $ttl:expr => $expected:expr;)*) => {$(
        #[test]
        fn $test() {
            #[redis_cached(ttl = $ttl, cache = CACHE)]
            fn cached() -> u64 {
                1
            }
            cached();
            assert_about(cached_entry().ttl().unwrap(), $expected);
        }
    )*};
}

lives! {
    seconds: 90 => Duration::from_secs(90);
    text: "10m" => Duration::from_secs(600);
    mixed_text: "1h30m" => Duration::from_secs(5400);
    days: "2d" => Duration::from_secs(172_800);
    bare_text: "90" => Duration::from_secs(90);
    duration_constant: limits::TOKEN => Duration::from_secs(70);
    integer_constant: limits::SECONDS => Duration::from_secs(80);
    arithmetic: 60 * 60 => Duration::from_secs(3600);
    call: Duration::from_secs(50) => Duration::from_secs(50);
    forever: forever => Duration::MAX;
    forever_as_text: "forever" => Duration::MAX;
}

#[test]
fn ten_minutes_unless_said_otherwise() {
    #[redis_cached(cache = CACHE)]
    fn cached() -> u64 {
        1
    }
    cached();
    assert_about(cached_entry().ttl().unwrap(), Duration::from_secs(600));
}

#[test]
fn milliseconds_expire() {
    #[redis_cached(ttl = "30ms", cache = CACHE)]
    fn cached() -> u64 {
        1
    }
    cached();
    assert!(cached_entry().get().unwrap().is_some());
    std::thread::sleep(Duration::from_millis(40));
    assert!(cached_entry().get().unwrap().is_none());
}

#[derive(Serialize, Deserialize)]
struct Token {
    expires_in: u64,
}

#[test]
fn closure_of_the_value() {
    #[redis_cached(ttl = |token: &Token| token.expires_in, cache = CACHE)]
    fn annotated(expires_in: u64) -> Token {
        Token { expires_in }
    }
    annotated(40);
    assert_about(annotated_entry(40).ttl().unwrap(), Duration::from_secs(40));

    #[redis_cached(ttl = |token| Duration::from_secs(token.expires_in), cache = CACHE)]
    async fn inferred(expires_in: u64) -> Result<Token, String> {
        Ok(Token { expires_in })
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        inferred(50).await.unwrap();
        assert_about(inferred_entry(50).ttl().await.unwrap(), Duration::from_secs(50));
    });
}

#[test]
fn a_closure_that_says_zero_stores_nothing() {
    #[redis_cached(ttl = |token| token.expires_in, cache = CACHE)]
    fn token(expires_in: u64) -> Token {
        Token { expires_in }
    }
    token(0);
    assert!(token_entry(0).get().unwrap().is_none());
}

#[test]
fn a_closure_s_own_names_hide_parameters() {
    #[redis_cached(ttl = |value| { let id = value + 20; id + 20 }, cache = CACHE)]
    fn cached(id: u64) -> u64 {
        id
    }
    cached(5);
    assert_about(cached_entry(5).ttl().unwrap(), Duration::from_secs(45));
}

trait Lifetime {
    const TTL: Duration;
}

struct Short;
impl Lifetime for Short {
    const TTL: Duration = Duration::from_secs(33);
}

#[test]
fn associated_constants_of_type_parameters() {
    #[redis_cached(ttl = L::TTL, cache = CACHE)]
    fn cached<L: Lifetime>() -> u64 {
        1
    }
    cached::<Short>();
    assert_about(cached_entry::<Short>().ttl().unwrap(), Duration::from_secs(33));
}

/// A key, a call, and what is left of what it stored.
type Face<'a> = (&'a str, &'a dyn Fn(), &'a dyn Fn() -> Option<Duration>);

/// The time that is sent to the server, the time that the server says is left, and the time that `ttl` says.
#[test]
fn lifetimes_are_exact_to_the_millisecond() {
    #[redis_cached(ttl = |ms: &u64| Duration::from_millis(*ms), prefix = "ttl", name = "exact", cache = cache, skip(cache))]
    async fn exact(cache: &Cache, ms: u64) -> u64 {
        ms
    }
    #[redis_cached(ttl = |ms: &u64| Duration::from_millis(*ms), prefix = "ttl", name = "exact_blocking", cache = cache, skip(cache))]
    fn exact_blocking(cache: &Cache, ms: u64) -> u64 {
        ms
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = Server::start();
    let urls = ["memory://", &server.url()];
    for cache in urls.map(|url| Cache::builder(url).unwrap().timeout(test_support::PATIENCE).build()) {
        let is_remote = format!("{cache:?}").contains("redis://");
        runtime.block_on(exact(&cache, 7)); // connects
        exact_blocking(&cache, 7);
        for ms in [1, 999, 1_000, 30 * 86_400_000] {
            let plain = exact_blocking_entry(&cache, ms);
            let entry = exact_entry(&cache, ms);
            let faces: [Face<'_>; 2] = [
                (entry.key().unwrap(), &|| _ = runtime.block_on(exact(&cache, ms)), &|| {
                    runtime.block_on(entry.ttl()).unwrap()
                }),
                (plain.key().unwrap(), &|| _ = exact_blocking(&cache, ms), &|| plain.ttl().unwrap()),
            ];
            for (key, call, ttl) in faces {
                let mut monitor = is_remote.then(|| server.monitor());
                let begun = Instant::now();
                call();
                if let Some(monitor) = &mut monitor {
                    let sent = monitor.commands();
                    let fill = sent.iter().rfind(|command| command.contains(&key.to_owned())).unwrap();
                    assert!(fill.contains(&ms.to_string()), "{ms}: {fill:?}");
                    let left: i64 = server.cli(&["PTTL", key]).parse().unwrap();
                    let passed = begun.elapsed().as_millis() as i64 + 1;
                    assert!(left <= ms as i64 && (left >= ms as i64 - passed || passed >= ms as i64), "{ms}: {left}");
                }
                let left = ttl().unwrap_or_default().as_millis() as u64;
                // The server's clock is told in whole milliseconds, and asked some time ago.
                let passed = begun.elapsed().as_millis() as u64 + 3;
                assert!(left <= ms + 2 && left + passed >= ms, "{key}, {ms}: {left} after {passed}");
            }
            if ms == 1 {
                let stopwatch = Stopwatch::start();
                eventually("a millisecond is over", || exact_blocking_entry(&cache, 1).get().unwrap().is_none());
                let took = stopwatch.took().own();
                assert!(took < Duration::from_secs(1), "{took:?}");
            }
        }
    }
}

#[test]
fn a_value_that_lives_for_no_time_reaches_those_who_wait_and_is_not_stored() {
    #[redis_cached(ttl = |_: &u64| Duration::ZERO, lease = "10m", prefix = "ttl", name = "zero", cache = cache, skip(cache, gate))]
    async fn zero(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        id + gate.pass().await as u64
    }
    #[redis_cached(ttl = |_: &u64| 0, lease = "10m", prefix = "ttl", name = "zero_blocking", cache = cache, skip(cache, gate))]
    fn zero_blocking(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        id + gate.pass_blocking() as u64
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = Server::start();
    for cache in ["memory://", &server.url()].map(|url| Cache::builder(url).unwrap().build()) {
        let ids = AtomicUsize::new(0);
        given_time("twenty tasks wait", |time| {
            let (id, gate) = (ids.fetch_add(100, SeqCst) as u64, Arc::new(Gate::closed()));
            let values = runtime.block_on(async {
                let calls = (0..20).map(|_| {
                    let (cache, gate) = (cache.clone(), Arc::clone(&gate));
                    tokio::spawn(async move { zero(&cache, &gate, id).await })
                });
                let calls: Vec<_> = calls.collect();
                gate.wait_for(1).await;
                tokio::time::sleep(time).await;
                gate.open();
                let mut values = Vec::new();
                for call in calls {
                    values.push(call.await.unwrap());
                }
                values
            });
            assert_eq!(runtime.block_on(zero_entry(&cache, id).get()).unwrap(), None);
            values == [id + 1; 20]
        });
        given_time("twenty threads wait", |time| {
            let (id, gate) = (ids.fetch_add(100, SeqCst) as u64, Gate::closed());
            let values: Vec<u64> = std::thread::scope(|scope| {
                let calls: Vec<_> = (0..20).map(|_| scope.spawn(|| zero_blocking(&cache, &gate, id))).collect();
                eventually("a body begins", || gate.entered() >= 1);
                std::thread::sleep(time);
                gate.open();
                calls.into_iter().map(|call| call.join().unwrap()).collect()
            });
            assert_eq!(zero_blocking_entry(&cache, id).get().unwrap(), None);
            values == [id + 1; 20]
        });
        // Neither a value nor a lease remains.
        eventually("nothing is left", || server.cli(&["DBSIZE"]) == "0");
    }
}
