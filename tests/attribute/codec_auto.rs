//! `codec = auto`, the default: bincode stores what it can read back, MessagePack with field names the rest.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis_cached::{Cache, redis_cached};
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use test_support::{Server, caches, expired};

/// Written as text and read from any form, as `rust_decimal::Decimal` is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Decimal(i64);

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}.{:02}", self.0 / 100, self.0 % 100))
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Decimal;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, or a text that is one")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Decimal, E> {
                Ok(Decimal(value * 100))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
                text.replace('.', "").parse().map(Decimal).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internal {
    Opened { by: String, from: SocketAddr },
    Closed,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    One(u64),
    Named { x: i16 },
    Unit,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Text(String),
    Many(Vec<Untagged>),
    Fields { a: Option<bool> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u64,
    #[serde(flatten)]
    origin: Origin,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Origin {
    address: SocketAddr,
}

/// Values that leave a field out are written by another codec than those that do not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Skipping {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<String>,
    age: u8,
}

/// bincode reads its own bytes as something else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Secret {
    #[serde(skip_serializing)]
    hash: Option<u8>,
    a: u8,
    b: u8,
}

/// `Serialize` counts the variant that is skipped, and `Deserialize` does not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Skipped {
    A,
    #[serde(skip)]
    #[allow(dead_code, reason = "it is here to be skipped")]
    B,
    C(u8),
    D(u8),
}

fn address() -> SocketAddr {
    "[2001:db8::1]:80".parse().unwrap()
}

fn skipping(id: u64) -> Skipping {
    Skipping { id, mail: id.is_multiple_of(2).then(|| format!("{id}@example.com")), age: 36 }
}

#[redis_cached(cache = cache, skip(cache, value))]
async fn kept<V>(cache: &Cache, id: u64, value: Option<V>) -> V
where
    V: Serialize + DeserializeOwned + Send,
{
    let _ = id;
    value.expect("the second call is a hit")
}

#[redis_cached(cache = cache, skip(cache, value), codec = auto)]
fn kept_blocking<V>(cache: &Cache, id: u64, value: Option<V>) -> V
where
    V: Serialize + DeserializeOwned,
{
    let _ = id;
    value.expect("the second call is a hit")
}

async fn check<V>(caches: &[Cache], values: &[V])
where
    V: Serialize + DeserializeOwned + PartialEq + Debug + Clone + Send,
{
    for cache in caches {
        for (id, value) in (0_u64..).zip(values) {
            assert_eq!(&kept(cache, id, Some(value.clone())).await, value);
            assert_eq!(&kept::<V>(cache, id, None).await, value);
            assert_eq!(kept_entry::<V>(cache, id).get().await.unwrap().as_ref(), Some(value));
            assert_eq!(&kept_blocking(cache, id, Some(value.clone())), value);
            assert_eq!(&kept_blocking::<V>(cache, id, None), value);
            assert_eq!(kept_blocking_entry::<V>(cache, id).get().unwrap().as_ref(), Some(value));
        }
        let stats = cache.stats();
        assert_eq!((stats.bypasses, stats.refused), (0, 0), "{stats:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn types_that_ask_what_the_bytes_hold_are_stored() {
    let server = Server::start();
    let caches = caches(&server);
    check(&caches, &[Decimal(110), Decimal(i64::MAX)]).await;
    check(&caches, &[serde_json::json!({ "a": [1, -1, u64::MAX, 1.0, 0.1, "b", null, {}] }), serde_json::Value::Null])
        .await;
    check(&caches, &[Internal::Opened { by: "Ada".to_owned(), from: address() }, Internal::Closed]).await;
    check(&caches, &[Adjacent::One(u64::MAX), Adjacent::Named { x: -1 }, Adjacent::Unit]).await;
    let many = vec![Untagged::Number(i64::MIN), Untagged::Text(String::new()), Untagged::Fields { a: Some(true) }];
    check(&caches, &[Untagged::Many(many), Untagged::Fields { a: None }]).await;
    let rest = BTreeMap::from([("b".to_owned(), serde_json::json!([1, { "c": 2.5 }]))]);
    check(&caches, &[Flat { id: 1, origin: Origin { address: address() }, rest }]).await;
    // Among others, and in what has a `None`.
    check(&caches, &[(1_u8, vec![Some(Decimal(100)), None], Adjacent::Unit)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_leave_a_field_out_are_stored() {
    let server = Server::start();
    check(&caches(&server), &[skipping(1), skipping(2)]).await;
    check(&caches(&server), &[vec![skipping(1), skipping(2)]]).await;
}

/// Which codec a header names.
#[cfg(feature = "bincode")]
fn codec_of(server: &Server, key: &str) -> Vec<u8> {
    let bytes: Vec<u8> = redis::cmd("GET").arg(key).query(&mut server.connection()).unwrap();
    bytes[54..58].to_vec()
}

#[cfg(feature = "bincode")]
/// Other processes hit either: what tells them is in the header of each value.
#[tokio::test]
async fn each_value_says_which_codec_wrote_it() {
    #[redis_cached(prefix = "t", name = "auto", cache = cache, skip(cache))]
    async fn auto(cache: &Cache, id: u64) -> Skipping {
        skipping(id)
    }
    #[redis_cached(prefix = "t", name = "bincode", cache = cache, skip(cache), codec = bincode)]
    async fn bincode(cache: &Cache, id: u64) -> Skipping {
        skipping(id)
    }
    #[redis_cached(prefix = "t", name = "messagepack", cache = cache, skip(cache), codec = messagepack)]
    async fn messagepack(cache: &Cache, id: u64) -> Skipping {
        skipping(id)
    }
    let server = Server::start();
    let [_, cache] = caches(&server);
    for id in [1, 2] {
        auto(&cache, id).await;
        messagepack(&cache, id).await;
    }
    bincode(&cache, 2).await;
    assert_eq!(codec_of(&server, "t:auto:2"), codec_of(&server, "t:bincode:2"));
    assert_eq!(codec_of(&server, "t:auto:1"), codec_of(&server, "t:messagepack:1"));
    assert_ne!(codec_of(&server, "t:auto:1"), codec_of(&server, "t:auto:2"));
    let [_, other] = caches(&server);
    for id in [1, 2] {
        assert_eq!(auto(&other, id).await, skipping(id));
    }
    assert_eq!(other.stats().hits, 2);
}

#[tokio::test]
async fn a_type_that_bincode_reads_as_something_else_is_stored_by_names() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    #[redis_cached(cache = cache, skip(cache))]
    async fn secret(cache: &Cache, id: u8) -> Secret {
        RUNS.fetch_add(1, Ordering::SeqCst);
        Secret { hash: None, a: id, b: 7 }
    }
    let server = Server::start();
    for cache in caches(&server) {
        for id in [1, 2, 1, 2, 1, 2] {
            assert_eq!(secret(&cache, id).await, Secret { hash: None, a: id, b: 7 });
        }
    }
    // Once for each id and cache.
    assert_eq!(RUNS.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_variant_after_a_skipped_one_comes_back_as_itself() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    #[redis_cached(cache = cache, skip(cache))]
    async fn skipped(cache: &Cache, id: u8) -> Vec<Option<Skipped>> {
        RUNS.fetch_add(1, Ordering::SeqCst);
        vec![Some(Skipped::A), None, Some(Skipped::C(id))]
    }
    let server = Server::start();
    for cache in caches(&server) {
        for id in [1, 2, 1, 2, 1, 2] {
            assert_eq!(skipped(&cache, id).await, [Some(Skipped::A), None, Some(Skipped::C(id))]);
        }
        assert_eq!(kept(&cache, 1, Some(Skipped::D(1))).await, Skipped::D(1));
    }
    // Once for each id and cache.
    assert_eq!(RUNS.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn in_batches_and_groups() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    #[redis_cached(batch(id in ids), cache = cache, skip(cache))]
    async fn many(cache: &Cache, ids: &[u64]) -> BTreeMap<u64, Skipping> {
        ASKED.fetch_add(ids.len(), Ordering::SeqCst);
        ids.iter().map(|id| (*id, skipping(*id))).collect()
    }
    #[redis_cached(batch(id in ids), group = "class:{class}", cache = cache, skip(cache))]
    fn grouped(cache: &Cache, class: u8, ids: &[u64]) -> BTreeMap<u64, Decimal> {
        ASKED.fetch_add(ids.len(), Ordering::SeqCst);
        ids.iter().map(|id| (*id, Decimal(*id as i64))).collect()
    }
    let server = Server::start();
    let caches = caches(&server);
    for cache in &caches {
        for ids in [&[1, 2][..], &[1, 2, 3, 4], &[4, 3, 2, 1]] {
            let found = many(cache, ids).await;
            assert!(found.len() == ids.len() && found.iter().all(|(id, value)| *value == skipping(*id)), "{found:?}");
            let found = grouped(cache, 1, ids);
            assert!(found.len() == ids.len() && found.iter().all(|(id, value)| *value == Decimal(*id as i64)));
        }
    }
    assert_eq!(ASKED.load(Ordering::SeqCst), caches.len() * 2 * 4);
}

#[tokio::test]
async fn old_values_and_refreshes() {
    static FAILS: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    #[redis_cached(ttl = "20ms", stale_if_error = "1h", cache = cache, skip(cache))]
    async fn price(cache: &Cache, id: u64) -> Result<Skipping, &'static str> {
        let _ = cache;
        if FAILS.load(Ordering::SeqCst) { Err("away") } else { Ok(skipping(id)) }
    }
    let server = Server::start();
    for cache in caches(&server) {
        for id in [1, 2] {
            FAILS.store(false, Ordering::SeqCst);
            assert_eq!(price(&cache, id).await, Ok(skipping(id)));
            assert_eq!(price_refresh(&cache, id).await, Ok(skipping(id)));
            FAILS.store(true, Ordering::SeqCst);
            expired(price_entry(&cache, id)).await;
            assert_eq!(price(&cache, id).await, Ok(skipping(id)), "the old value instead of the error");
        }
        assert!(cache.stats().stale >= 2);
    }
}

/// Followers get the leader's bytes, in the codec that it wrote them in.
#[tokio::test]
async fn calls_at_the_same_time_share_one_body() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    #[redis_cached(cache = cache, skip(cache, gate), cache_if = |_| false)]
    async fn slow(cache: &Cache, gate: &tokio::sync::Semaphore, id: u64) -> Skipping {
        RUNS.fetch_add(1, Ordering::SeqCst);
        gate.acquire().await.unwrap().forget();
        skipping(id)
    }
    let server = Server::start();
    for (runs, cache) in (1..).zip(caches(&server)) {
        let gate = tokio::sync::Semaphore::new(0);
        let calls = async { tokio::join!(slow(&cache, &gate, 1), slow(&cache, &gate, 1), slow(&cache, &gate, 1)) };
        let open = async {
            test_support::in_time("one computes", async || RUNS.load(Ordering::SeqCst) == runs).await;
            // The others find its lease.
            for _ in 0..3 {
                test_support::settle(cache.ping()).await.unwrap();
            }
            gate.add_permits(3);
        };
        let ((a, b, c), ()) = tokio::join!(calls, open);
        assert_eq!([a, b, c], [1, 1, 1].map(skipping));
        assert_eq!(RUNS.load(Ordering::SeqCst), runs);
    }
}

#[cfg(feature = "bincode")]
#[test]
fn bincode_alone_refuses_as_ever_and_says_so_once() {
    #[redis_cached(cache = cache, skip(cache), codec = bincode)]
    fn amount_in_bincode(cache: &Cache, id: u64) -> Decimal {
        Decimal(id as i64)
    }
    test_support::log::listen();
    let cache = Cache::builder("memory://").unwrap().build();
    for _ in 0..3 {
        assert_eq!(amount_in_bincode(&cache, 1), Decimal(1));
    }
    assert_eq!(cache.stats().bypasses, 3);
    assert_eq!(amount_in_bincode_refresh(&cache, 1), Decimal(1));
    let lines = test_support::log::lines_about("amount_in_bincode");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].text.contains("codec = messagepack"), "{lines:?}");
}
