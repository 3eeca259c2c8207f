//! A stored value is served only if it is intact: written by this version of the type and the
//! codec, undamaged, under this key. Anything else is a miss, and overwritten.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};
use test_support::{Server, Stopwatch};

/// Two versions of one function: what `old` stored, `new` must not serve, and must replace.
macro_rules! rollout {
    ($test:ident, $old:ident { $($old_items:tt)* } => $new:ident { $($new_items:tt)* }, [$($old_args:tt)*], [$($new_args:tt)*]) => {
        #[tokio::test]
        async fn $test() {
            mod $old {
                use super::*;
                $($old_items)*
                #[redis_cached(name = "value", key = "{id}", prefix = "t", cache = cache, skip(cache), $($old_args)*)]
                pub(crate) async fn value(cache: &Cache, id: u64) -> Value {
                    make(id)
                }
            }
            mod $new {
                use super::*;
                $($new_items)*
                pub(crate) static RUNS: AtomicUsize = AtomicUsize::new(0);
                #[redis_cached(name = "value", key = "{id}", prefix = "t", cache = cache, skip(cache), $($new_args)*)]
                pub(crate) async fn value(cache: &Cache, id: u64) -> Value {
                    RUNS.fetch_add(1, Ordering::SeqCst);
                    make(id)
                }
            }
            let server = Server::start();
            let cache = Cache::builder(&server.url()).unwrap().build();
            $old::value(&cache, 7).await;
            assert_eq!(cache.stats().stored, 1, "the old version stores");
            assert_eq!($new::value(&cache, 7).await, $new::make(7));
            assert_eq!($new::RUNS.load(Ordering::SeqCst), 1, "the old version's value is a miss");
            assert_eq!($new::value(&cache, 7).await, $new::make(7));
            assert_eq!($new::RUNS.load(Ordering::SeqCst), 1, "it was replaced");
        }
    };
}

rollout!(swapped_fields, old {
    #[derive(Serialize, Deserialize)]
    pub(crate) struct Value { first: String, last: String }
    fn make(_: u64) -> Value { Value { first: "Ada".into(), last: "Lovelace".into() } }
} => new {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    pub(crate) struct Value { last: String, first: String }
    pub(crate) fn make(_: u64) -> Value { Value { first: "Ada".into(), last: "Lovelace".into() } }
}, [ttl = 60], [ttl = 60]);

rollout!(added_field, old {
    #[derive(Serialize, Deserialize)]
    pub(crate) struct Value { id: u64 }
    fn make(id: u64) -> Value { Value { id } }
} => new {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    pub(crate) struct Value { id: u64, tags: Vec<String> }
    pub(crate) fn make(id: u64) -> Value { Value { id, tags: vec![] } }
}, [ttl = 60], [ttl = 60]);

rollout!(changed_integer_width, old {
    #[derive(Serialize, Deserialize)]
    pub(crate) struct Value { id: i32 }
    fn make(id: u64) -> Value { Value { id: id as i32 } }
} => new {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    pub(crate) struct Value { id: i64 }
    pub(crate) fn make(id: u64) -> Value { Value { id: id as i64 } }
}, [ttl = 60], [ttl = 60]);

rollout!(reordered_enum, old {
    #[derive(Serialize, Deserialize)]
    pub(crate) enum Value { Active, #[allow(dead_code, reason = "only its place counts")] Banned }
    fn make(_: u64) -> Value { Value::Active }
} => new {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    pub(crate) enum Value { Banned, Active }
    pub(crate) fn make(_: u64) -> Value { Value::Active }
}, [ttl = 60], [ttl = 60]);

rollout!(renamed_field_behind_json, old {
    #[derive(Serialize, Deserialize)]
    pub(crate) struct Value { nick: Option<String> }
    fn make(_: u64) -> Value { Value { nick: Some("ada".into()) } }
} => new {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    pub(crate) struct Value { nickname: Option<String> }
    pub(crate) fn make(_: u64) -> Value { Value { nickname: Some("ada".into()) } }
}, [codec = json], [codec = json]);

rollout!(another_codec, old {
    pub(crate) type Value = Vec<u8>;
    fn make(_: u64) -> Value { vec![1, 2, 3] }
} => new {
    pub(crate) type Value = Vec<u8>;
    pub(crate) fn make(_: u64) -> Value { vec![1, 2, 3] }
}, [codec = json], [codec = messagepack]);

rollout!(another_version, old {
    pub(crate) type Value = String;
    fn make(_: u64) -> Value { "euros".into() }
} => new {
    pub(crate) type Value = String;
    pub(crate) fn make(_: u64) -> Value { "cents".into() }
}, [version = 1], [version = 2]);

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct User {
    id: u64,
    name: String,
    roles: Vec<String>,
}

fn user_of(id: u64) -> User {
    User { id, name: "Grace".into(), roles: vec!["admiral".into()] }
}

#[redis_cached(prefix = "t", name = "user", cache = cache, skip(cache, runs))]
async fn user(cache: &Cache, runs: &AtomicUsize, id: u64) -> User {
    runs.fetch_add(1, Ordering::SeqCst);
    user_of(id)
}

fn stored(server: &Server, key: &str) -> Vec<u8> {
    redis::cmd("GET").arg(key).query(&mut server.connection()).unwrap()
}

fn store(server: &Server, key: &str, bytes: &[u8]) {
    redis::cmd("SET").arg(key).arg(bytes).arg("EX").arg(60).exec(&mut server.connection()).unwrap();
}

/// The bytes of a header that name the refresh: the only ones that may change in place.
const MUTABLE: std::ops::Range<usize> = 18..50;

#[tokio::test]
async fn damaged_bytes_are_a_miss_and_overwritten() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let runs = AtomicUsize::new(0);
    user(&cache, &runs, 1).await;
    let intact = stored(&server, "t:user:1");

    let mut damaged: Vec<Vec<u8>> = (0..intact.len()).map(|length| intact[..length].to_vec()).collect();
    for at in (0..intact.len()).filter(|at| !MUTABLE.contains(at)) {
        let mut flipped = intact.clone();
        flipped[at] ^= 0x10;
        damaged.push(flipped);
    }
    damaged.push([&intact[..], &[0]].concat());
    damaged.push(vec![0xff; 4096]);
    damaged.push(b"plain text that somebody else put there".to_vec());

    for (case, bytes) in damaged.iter().enumerate() {
        store(&server, "t:user:1", bytes);
        let before = runs.load(Ordering::SeqCst);
        assert_eq!(user(&cache, &runs, 1).await, user_of(1), "case {case}");
        assert_eq!(runs.load(Ordering::SeqCst), before + 1, "case {case} is a miss");
        assert_eq!(user(&cache, &runs, 1).await, user_of(1), "case {case}");
        assert_eq!(runs.load(Ordering::SeqCst), before + 1, "case {case} was overwritten");
    }
}

#[tokio::test]
async fn random_bytes_are_a_miss() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let runs = AtomicUsize::new(0);
    // A small generator (xorshift): the bytes of a failure can be made again.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for case in 0..200 {
        let bytes: Vec<u8> = (0..case * 3)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        store(&server, "t:user:2", &bytes);
        assert_eq!(user(&cache, &runs, 2).await, user_of(2), "case {case}");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 200);
}

/// It begins like a lease: a reader may take it for one, and waits for no longer than for one.
#[tokio::test]
async fn bytes_that_look_like_a_lease_hold_up_nobody_for_longer_than_one() {
    #[redis_cached(prefix = "t", name = "brief", lease = "300ms", cache = cache, skip(cache))]
    async fn brief(cache: &Cache, id: u64) -> User {
        user_of(id)
    }
    #[redis_cached(prefix = "t", name = "brief", lease = "300ms", cache = cache, skip(cache))]
    fn brief_blocking(cache: &Cache, id: u64) -> User {
        user_of(id)
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    brief(&cache, 1).await; // connects
    brief_blocking(&cache, 1);
    let lease = [&b"L\x01"[..], &[7; 16]].concat();
    let almost: [&[u8]; 4] = [b"L", b"L\x01", b"L\x02", &lease[..17]];
    for bytes in almost {
        for is_plain in [false, true] {
            // Another client would write it without a lifetime.
            redis::cmd("SET").arg("t:brief:2").arg(bytes).exec(&mut server.connection()).unwrap();
            let stopwatch = Stopwatch::start();
            let value = if is_plain { brief_blocking(&cache, 2) } else { brief(&cache, 2).await };
            assert_eq!(value, user_of(2));
            let took = stopwatch.took().own();
            assert!(took < Duration::from_millis(250), "{bytes:?}: it waited for {took:?}");
            assert_eq!(brief_entry(&cache, 2).get().await.unwrap(), Some(user_of(2)), "{bytes:?} was overwritten");
        }
    }
    // These begin like a whole lease, and never end.
    for bytes in [&lease[..], &[&lease[..], &[0]].concat(), &[&lease[..], &[0; 200]].concat()] {
        redis::cmd("SET").arg("t:brief:2").arg(bytes).exec(&mut server.connection()).unwrap();
        for is_plain in [false, true] {
            let begun = Instant::now();
            let value = if is_plain { brief_blocking(&cache, 2) } else { brief(&cache, 2).await };
            assert_eq!(value, user_of(2));
            assert!(begun.elapsed() < Duration::from_secs(3), "it waited for {:?}", begun.elapsed());
        }
    }
}

#[tokio::test]
async fn a_value_copied_to_a_key_of_another_type_is_a_miss() {
    #[redis_cached(prefix = "t", name = "number", cache = cache, skip(cache))]
    async fn number(cache: &Cache, id: u64) -> u64 {
        id
    }
    #[redis_cached(prefix = "t", name = "signed", cache = cache, skip(cache))]
    fn signed(cache: &Cache, id: u64) -> i64 {
        -(id as i64)
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let runs = AtomicUsize::new(0);
    number(&cache, 1).await;
    signed(&cache, 1);
    user(&cache, &runs, 1).await;
    let keys = ["t:number:1", "t:signed:1", "t:user:1"];
    let intact = keys.map(|key| stored(&server, key));
    for bytes in &intact {
        for key in keys {
            store(&server, key, bytes);
        }
        assert_eq!(number(&cache, 1).await, 1);
        assert_eq!(signed(&cache, 1), -1);
        assert_eq!(user(&cache, &runs, 1).await, user_of(1));
    }
}

#[tokio::test]
async fn a_value_copied_to_another_key_is_a_miss() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let runs = AtomicUsize::new(0);
    user(&cache, &runs, 1).await;
    let bytes = stored(&server, "t:user:1");
    store(&server, "t:user:2", &bytes);
    assert_eq!(user(&cache, &runs, 2).await, user_of(2));
}

#[tokio::test]
async fn a_key_of_another_redis_type_is_left_alone() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let runs = AtomicUsize::new(0);
    server.cli(&["RPUSH", "t:user:3", "theirs"]);
    for _ in 0..3 {
        assert_eq!(user(&cache, &runs, 3).await, user_of(3));
    }
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    assert_eq!(server.cli(&["LRANGE", "t:user:3", "0", "-1"]).trim(), "theirs");
    // Others are cached as ever: this was no outage.
    user(&cache, &runs, 4).await;
    user(&cache, &runs, 4).await;
    assert_eq!(runs.load(Ordering::SeqCst), 4);
}

/// Round trips of values at the edges, through every codec.
macro_rules! round_trips {
    ($module:ident, $codec:ident, $large:expr) => {
        mod $module {
            use super::*;

            async fn check<V>(value: V)
            where
                V: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug + Clone + Send,
            {
                #[redis_cached(codec = $codec, cache = cache, skip(cache, value))]
                async fn kept<V>(cache: &Cache, value: Option<V>) -> V
                where
                    V: Serialize + for<'de> Deserialize<'de> + Send,
                {
                    value.expect("the second call is a hit")
                }
                let cache = Cache::builder("memory://?max_mb=512").unwrap().build();
                assert_eq!(kept::<V>(&cache, Some(value.clone())).await, value);
                assert_eq!(kept::<V>(&cache, None).await, value);
            }

            #[tokio::test]
            async fn edges() {
                check(String::new()).await;
                check(Vec::<u64>::new()).await;
                check(vec![String::new(); 3]).await;
                check((u128::MAX, i128::MIN, 'ß', true, 1.5_f32, f64::MIN_POSITIVE)).await;
                check(Some(5_u8)).await;
                check(user_of(u64::MAX)).await;
                check(std::collections::BTreeMap::from([("a".to_owned(), vec![1]), ("b".to_owned(), vec![])])).await;
            }

            #[tokio::test]
            async fn deep() {
                #[derive(Serialize, Deserialize, PartialEq, Debug, Clone, Default)]
                struct Nested {
                    inner: Option<Box<Nested>>,
                }
                let mut nested = Nested::default();
                for _ in 0..60 {
                    nested = Nested { inner: Some(Box::new(nested)) };
                }
                check(nested).await;
            }

            #[tokio::test]
            async fn large() {
                check("x".repeat($large)).await;
            }
        }
    };
}

round_trips!(bincode, bincode, 64 << 20);
// Without optimization, escaping 64 MB takes longer than a lease on a busy machine.
round_trips!(json, json, 8 << 20);
round_trips!(messagepack, messagepack, 64 << 20);

#[tokio::test]
async fn unit_is_cached() {
    #[redis_cached(returns = result, cache = cache, skip(cache, runs))]
    async fn done(cache: &Cache, runs: &AtomicUsize) -> Result<(), String> {
        runs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
    let cache = Cache::builder("memory://").unwrap().build();
    let runs = AtomicUsize::new(0);
    done(&cache, &runs).await.unwrap();
    done(&cache, &runs).await.unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

/// Those at the edges, through a server.
#[tokio::test]
async fn edges_go_through_a_server() {
    async fn check<V>(cache: &Cache, value: V)
    where
        V: Serialize + for<'de> Deserialize<'de> + PartialEq + Clone + Send,
    {
        // A busy machine may take long for the largest values.
        #[redis_cached(cache = cache, lease = "10m", skip(cache, value))]
        async fn kept<V>(cache: &Cache, value: Option<V>) -> V
        where
            V: Serialize + for<'de> Deserialize<'de> + Send,
        {
            value.expect("the second call is a hit")
        }
        #[redis_cached(cache = cache, lease = "10m", skip(cache, value))]
        fn kept_blocking<V>(cache: &Cache, value: Option<V>) -> V
        where
            V: Serialize + for<'de> Deserialize<'de>,
        {
            value.expect("the second call is a hit")
        }
        assert!(kept::<V>(cache, Some(value.clone())).await == value);
        assert!(kept::<V>(cache, None).await == value);
        assert!(kept_blocking::<V>(cache, Some(value.clone())) == value);
        assert!(kept_blocking::<V>(cache, None) == value);
    }
    #[derive(Serialize, Deserialize, PartialEq, Clone, Default)]
    struct Nested {
        inner: Option<Box<Nested>>,
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(test_support::PATIENCE).build();
    check(&cache, String::new()).await;
    check(&cache, Vec::<u64>::new()).await;
    check(&cache, ()).await;
    let nested = (0..60).fold(Nested::default(), |inner, _| Nested { inner: Some(Box::new(inner)) });
    check(&cache, nested).await;
    // Unoptimized, a list is encoded element by element for seconds per 10 MB.
    check(&cache, vec![b'x'; 4 << 20]).await;
    check(&cache, "x".repeat(64 << 20).into_boxed_str()).await;
}

/// Deeper than a decoder goes: such a value may not be kept, but the call returns it.
#[tokio::test]
async fn values_too_deep_to_be_read_back_are_returned() {
    #[derive(Serialize, Deserialize, PartialEq, Clone, Default)]
    struct Nested {
        inner: Option<Box<Nested>>,
    }
    macro_rules! check {
        ($codec:ident) => {{
            #[redis_cached(codec = $codec, cache = cache, skip(cache))]
            async fn nested(cache: &Cache, depth: usize) -> Nested {
                (0..depth).fold(Nested::default(), |inner, _| Nested { inner: Some(Box::new(inner)) })
            }
            let cache = Cache::builder("memory://").unwrap().build();
            for depth in [127, 128, 129, 300, 1000] {
                for _ in 0..2 {
                    let (mut value, mut found) = (&nested(&cache, depth).await, 0);
                    while let Some(inner) = &value.inner {
                        (value, found) = (inner, found + 1);
                    }
                    assert_eq!(found, depth, stringify!($codec));
                }
            }
        }};
    }
    check!(bincode);
    check!(json);
    check!(messagepack);
}
