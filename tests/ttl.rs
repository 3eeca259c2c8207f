//! `ttl = …`: seconds, text, a constant, `forever`, or a closure of the value.

use std::sync::LazyLock;
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};

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
