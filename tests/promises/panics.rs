//! Code of the function's types and closures that panics where the cache runs it: the call returns its value all the same,
//! and the log tells it once per function.

#![cfg(panic = "unwind")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use redis_cached::{Cache, redis_cached};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use test_support::{Server, caches, expired, log};

/// Its `Deserialize` panics on what its `Serialize` writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "u64")]
struct PanicsWhenRead(u64);

impl From<u64> for PanicsWhenRead {
    fn from(id: u64) -> PanicsWhenRead {
        panic!("no {id} can be read")
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct PanicsWhenWritten(u64);

impl Serialize for PanicsWhenWritten {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("no {} can be written", self.0)
    }
}

/// Halfway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Half(String, PanicsWhenWritten);

/// A value whose reading panics from some time on.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct PanicsLater(u64);

static LATER: AtomicBool = AtomicBool::new(false);

impl<'de> Deserialize<'de> for PanicsLater {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PanicsLater, D::Error> {
        let id = u64::deserialize(deserializer)?;
        assert!(!LATER.load(Ordering::SeqCst), "not any more");
        Ok(PanicsLater(id))
    }
}

/// Both faces, with a codec.
macro_rules! kept {
    ($async:ident, $blocking:ident, $codec:ident) => {
        #[redis_cached(cache = cache, skip(cache, value), codec = $codec)]
        async fn $async<V: Serialize + DeserializeOwned + Send>(cache: &Cache, id: u64, value: V) -> V {
            let _ = id;
            value
        }
        #[redis_cached(cache = cache, skip(cache, value), codec = $codec)]
        fn $blocking<V: Serialize + DeserializeOwned>(cache: &Cache, id: u64, value: V) -> V {
            let _ = id;
            value
        }
    };
}

kept!(in_auto, in_auto_blocking, auto);
kept!(in_bincode, in_bincode_blocking, bincode);

#[cfg(feature = "json")]
kept!(in_json, in_json_blocking, json);
kept!(in_messagepack, in_messagepack_blocking, messagepack);

/// The lines that tell it; each names a function.
#[track_caller]
fn assert_told_once(texts: &[&str]) {
    for text in texts {
        let lines = log::lines_about(text);
        assert!(lines.len() == 1 && lines[0].text.contains("panicked"), "{text}: {lines:?}");
    }
}

#[tokio::test]
async fn a_value_that_panics_when_it_is_read_is_a_miss() {
    log::listen();
    let server = Server::start();
    for cache in caches(&server) {
        for _ in 0..4 {
            assert_eq!(in_auto(&cache, 1, PanicsWhenRead(1)).await, PanicsWhenRead(1));
            assert_eq!(in_auto_blocking(&cache, 1, PanicsWhenRead(1)), PanicsWhenRead(1));
            assert_eq!(in_bincode(&cache, 1, PanicsWhenRead(1)).await, PanicsWhenRead(1));
            assert_eq!(in_bincode_blocking(&cache, 1, PanicsWhenRead(1)), PanicsWhenRead(1));
            assert_eq!(in_messagepack(&cache, 1, PanicsWhenRead(1)).await, PanicsWhenRead(1));
            assert_eq!(in_messagepack_blocking(&cache, 1, PanicsWhenRead(1)), PanicsWhenRead(1));
        }
        assert_eq!(in_messagepack_entry::<PanicsWhenRead>(&cache, 1).get().await.unwrap(), None);
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.stored), (0, 24), "it was overwritten each time: {stats:?}");
    }
    assert_told_once(&[
        "in_auto<promises.panics.PanicsWhenRead>",
        "in_auto_blocking<promises.panics.PanicsWhenRead>",
        "in_bincode<promises.panics.PanicsWhenRead>",
        "in_messagepack_blocking<promises.panics.PanicsWhenRead>",
    ]);
}

#[tokio::test]
async fn a_value_that_panics_when_it_is_written_is_not_stored() {
    log::listen();
    let server = Server::start();
    for cache in caches(&server) {
        for _ in 0..4 {
            let half = || Half("a".to_owned(), PanicsWhenWritten(2));
            assert_eq!(in_auto(&cache, 2, half()).await, half());
            assert_eq!(in_auto_blocking(&cache, 2, PanicsWhenWritten(2)), PanicsWhenWritten(2));
            assert_eq!(in_bincode(&cache, 2, half()).await, half());
            assert_eq!(in_messagepack_blocking(&cache, 2, half()), half());
        }
        let put = in_auto_entry::<Half>(&cache, 2).put(&Half(String::new(), PanicsWhenWritten(2))).await;
        assert!(put.unwrap_err().to_string().contains("no 2 can be written"));
        assert_eq!(cache.stats().stored, 0);
    }
    assert_told_once(&[
        "in_auto<promises.panics.Half>",
        "in_auto_blocking<promises.panics.PanicsWhenWritten>",
        "in_bincode<promises.panics.Half>",
        "in_messagepack_blocking<promises.panics.Half>",
    ]);
}

#[cfg(feature = "json")]
#[tokio::test]
async fn in_json_too() {
    log::listen();
    let server = Server::start();
    for cache in caches(&server) {
        for _ in 0..3 {
            assert_eq!(in_json(&cache, 3, PanicsWhenRead(3)).await, PanicsWhenRead(3));
            assert_eq!(in_json_blocking(&cache, 3, PanicsWhenWritten(3)), PanicsWhenWritten(3));
        }
        assert_eq!(cache.stats().hits, 0);
    }
    assert_told_once(&[
        "in_json<promises.panics.PanicsWhenRead>",
        "in_json_blocking<promises.panics.PanicsWhenWritten>",
    ]);
}

#[tokio::test]
async fn an_argument_that_panics_makes_the_call_run_uncached() {
    #[redis_cached(cache = cache, skip(cache))]
    async fn argued(cache: &Cache, id: &PanicsWhenWritten) -> u64 {
        id.0
    }
    #[redis_cached(cache = cache, skip(cache), group = "group:{id}")]
    fn argued_in_group(cache: &Cache, id: &PanicsWhenWritten) -> u64 {
        id.0
    }
    #[redis_cached(cache = cache, skip(cache), tags = "tag:{id}")]
    fn argued_in_tag(cache: &Cache, id: &PanicsWhenWritten) -> u64 {
        id.0
    }
    #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
    struct Id(u64);
    impl Serialize for Id {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            assert!(self.0 < 2, "no {} can be written", self.0);
            self.0.serialize(serializer)
        }
    }
    #[redis_cached(batch(id in ids), cache = cache, skip(cache))]
    fn argued_in_batch(cache: &Cache, ids: &[Id]) -> BTreeMap<Id, u64> {
        ids.iter().map(|id| (id.clone(), id.0)).collect()
    }
    log::listen();
    let server = Server::start();
    for cache in caches(&server) {
        for _ in 0..3 {
            assert_eq!(argued(&cache, &PanicsWhenWritten(4)).await, 4);
            assert_eq!(argued_in_group(&cache, &PanicsWhenWritten(4)), 4);
            assert_eq!(argued_in_tag(&cache, &PanicsWhenWritten(4)), 4);
            assert_eq!(argued_in_batch(&cache, &[Id(1), Id(2)]), BTreeMap::from([(Id(1), 1), (Id(2), 2)]));
        }
        let key = argued_entry(&cache, &PanicsWhenWritten(4)).key().unwrap_err();
        assert!(key.to_string().contains("parameter `id`: its `Serialize`: it panicked: no 4 can be written"), "{key}");
        assert_eq!(cache.stats().hits, 2, "of the id that can be written");
    }
    assert_told_once(&["argued\"", "argued_in_group\"", "argued_in_tag\"", "argued_in_batch\""]);
}

#[tokio::test]
async fn a_closure_that_panics_keeps_the_value_out_and_nothing_else() {
    #[redis_cached(cache = cache, skip(cache), ttl = |_: &u64| -> std::time::Duration { panic!("no lifetime") })]
    async fn without_ttl(cache: &Cache, id: u64) -> u64 {
        id
    }
    #[redis_cached(cache = cache, skip(cache), cache_if = |_: &u64| panic!("no verdict"))]
    fn without_verdict(cache: &Cache, id: u64) -> u64 {
        id
    }
    #[redis_cached(cache = cache, skip(cache), tags = |_: &u64| -> Vec<String> { panic!("no tags") })]
    async fn without_tags(cache: &Cache, id: u64) -> u64 {
        id
    }
    #[redis_cached(batch(id in ids), cache = cache, skip(cache), tags = |_: &u64| -> Vec<String> { panic!("no tags") })]
    fn batch_without_tags(cache: &Cache, ids: &[u64]) -> BTreeMap<u64, u64> {
        ids.iter().map(|id| (*id, *id)).collect()
    }
    log::listen();
    let server = Server::start();
    for cache in caches(&server) {
        for _ in 0..3 {
            assert_eq!(without_ttl(&cache, 5).await, 5);
            assert_eq!(without_verdict(&cache, 5), 5);
            assert_eq!(without_tags(&cache, 5).await, 5);
            assert_eq!(batch_without_tags(&cache, &[5, 6]), BTreeMap::from([(5, 5), (6, 6)]));
        }
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.stored), (0, 0), "{stats:?}");
    }
    assert_told_once(&[".without_ttl", ".without_verdict", ".without_tags", ".batch_without_tags"]);
}

#[tokio::test]
async fn an_error_whose_clone_panics_is_not_shared() {
    #[derive(Debug)]
    struct Unclonable;
    impl Clone for Unclonable {
        fn clone(&self) -> Unclonable {
            panic!("no copy")
        }
    }
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    #[redis_cached(cache = cache, skip(cache, gate))]
    async fn failing(cache: &Cache, gate: &tokio::sync::Semaphore, id: u64) -> Result<u64, Unclonable> {
        let _ = id;
        RUNS.fetch_add(1, Ordering::SeqCst);
        gate.acquire().await.unwrap().forget();
        Err(Unclonable)
    }
    let server = Server::start();
    for cache in caches(&server) {
        let before = RUNS.load(Ordering::SeqCst);
        let gate = tokio::sync::Semaphore::new(0);
        let open = async {
            test_support::in_time("one computes", async || RUNS.load(Ordering::SeqCst) > before).await;
            for _ in 0..3 {
                test_support::settle(cache.ping()).await.unwrap();
            }
            gate.add_permits(2);
        };
        let (one, two, ()) = tokio::join!(failing(&cache, &gate, 1), failing(&cache, &gate, 1), open);
        assert!(one.is_err() && two.is_err());
    }
}

#[tokio::test]
async fn an_argument_that_cannot_be_copied_for_a_refresh_is_no_concern_of_the_hit() {
    #[derive(Debug, Serialize)]
    struct Uncopied(u64);
    impl Clone for Uncopied {
        fn clone(&self) -> Uncopied {
            panic!("no copy")
        }
    }
    #[redis_cached(ttl = "20ms", stale_while_revalidate = "1h", cache = cache, skip(cache))]
    async fn uncopied(cache: &Cache, id: Uncopied) -> u64 {
        let _ = cache;
        id.0
    }
    log::listen();
    let server = Server::start();
    for cache in caches(&server) {
        uncopied(&cache, Uncopied(7)).await;
        expired(uncopied_entry(&cache, Uncopied(7))).await;
        for _ in 0..3 {
            assert_eq!(uncopied(&cache, Uncopied(7)).await, 7);
        }
        assert_eq!(cache.stats().stale, 3);
    }
    assert_told_once(&["uncopied\""]);
}

/// The value was a hit before: from then on it is a miss for all calls, followers too.
#[tokio::test]
async fn a_type_that_begins_to_panic() {
    #[redis_cached(cache = cache, skip(cache))]
    async fn later(cache: &Cache, id: u64) -> PanicsLater {
        PanicsLater(id)
    }
    let server = Server::start();
    for cache in caches(&server) {
        LATER.store(false, Ordering::SeqCst);
        later(&cache, 8).await;
        later(&cache, 8).await;
        assert_eq!(cache.stats().hits, 1);
        LATER.store(true, Ordering::SeqCst);
        let (one, two, three) = tokio::join!(later(&cache, 8), later(&cache, 8), later(&cache, 8));
        assert_eq!([one, two, three], [8, 8, 8].map(PanicsLater));
        assert_eq!(cache.stats().hits, 1);
    }
}

/// Its `Drop` panics for what only a dummy is.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct PanicsWhenDropped(u64);

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        assert!(self.0 == 7 || std::thread::panicking(), "no such handle");
    }
}

#[tokio::test]
async fn a_dummy_that_panics_when_it_is_dropped_costs_no_call() {
    let server = Server::start();
    for cache in caches(&server) {
        for _ in 0..2 {
            assert_eq!(in_auto(&cache, 7, PanicsWhenDropped(7)).await, PanicsWhenDropped(7));
            assert_eq!(in_auto_blocking(&cache, 7, PanicsWhenDropped(7)), PanicsWhenDropped(7));
        }
        assert_eq!(cache.stats().hits, 2);
    }
}
