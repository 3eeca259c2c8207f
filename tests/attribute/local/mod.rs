//! `local`: decoded values that this process keeps.

mod bounds;
mod last;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use test_support::{PATIENCE, Server, eventually};

/// The data behind the functions: a value that changes, and the number of bodies that ran.
#[derive(Default)]
struct Origin {
    value: AtomicU64,
    runs: AtomicU64,
}

impl Origin {
    fn read(&self) -> u64 {
        self.runs.fetch_add(1, SeqCst);
        self.value.load(SeqCst)
    }

    fn set(&self, value: u64) {
        self.value.store(value, SeqCst);
    }

    fn runs(&self) -> u64 {
        self.runs.load(SeqCst)
    }
}

/// A pair that costs nothing to clone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
struct Row(Arc<(u64, u64)>);

impl Row {
    fn new(id: u64, value: u64) -> Row {
        Row(Arc::new((id, value)))
    }

    fn value(&self) -> u64 {
        self.0.1
    }

    fn is_same(&self, other: &Row) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl From<(u64, u64)> for Row {
    fn from(pair: (u64, u64)) -> Row {
        Row(Arc::new(pair))
    }
}

impl From<Row> for (u64, u64) {
    fn from(row: Row) -> (u64, u64) {
        *row.0
    }
}

#[redis_cached(prefix = "local", name = "row", key = "{id}", local = 100, cache = cache, skip(cache, origin))]
async fn row(cache: &Cache, origin: &Origin, id: u64) -> Row {
    Row::new(id, origin.read())
}

#[redis_cached(prefix = "local", name = "row", key = "{id}", local = 100, cache = cache, skip(cache, origin))]
fn plain_row(cache: &Cache, origin: &Origin, id: u64) -> Row {
    Row::new(id, origin.read())
}

#[redis_cached(prefix = "local", name = "row", batch(id in ids), key = "{id}", local = 100, cache = cache, skip(cache, origin))]
async fn rows(cache: &Cache, origin: &Origin, ids: &[u64]) -> HashMap<u64, Row> {
    let value = origin.read();
    ids.iter().map(|id| (*id, Row::new(*id, value))).collect()
}

#[redis_cached(prefix = "local", tags = ["org:{org}"], local = 100, cache = cache, skip(cache, origin))]
async fn tagged(cache: &Cache, origin: &Origin, org: u64, id: u64) -> Row {
    let _ = org;
    Row::new(id, origin.read())
}

#[redis_cached(prefix = "local", tags = |row: &Row| vec![format!("own:{}", row.0.0)], local = 100, cache = cache, skip(cache, origin))]
async fn own_tagged(cache: &Cache, origin: &Origin, id: u64) -> Row {
    Row::new(id, origin.read())
}

/// The stores: a server, and the memory of this process.
fn caches() -> (Server, [Cache; 2]) {
    let server = Server::start();
    let remote = Cache::builder(&server.url()).unwrap().namespace("n").timeout(PATIENCE).local_bound(PATIENCE).build();
    (server, [remote, Cache::builder("memory://").unwrap().build()])
}

/// Calls until the call is answered from the tier.
macro_rules! kept {
    ($cache:expr, $call:expr) => {{
        let before = $cache.stats().local_hits;
        let mut value = $call.await;
        for _ in 0..2_000 {
            if $cache.stats().local_hits > before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            value = $call.await;
        }
        assert!($cache.stats().local_hits > before, "not kept");
        value
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_decoded_once_and_shared() {
    let (_server, caches) = caches();
    for cache in &caches {
        let origin = Origin::default();
        let first = kept!(cache, row(cache, &origin, 1));
        let second = row(cache, &origin, 1).await;
        assert!(first.is_same(&second), "it is not decoded again");
        assert_eq!((origin.runs(), second.value()), (1, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_one_name_share_what_is_kept() {
    let (_server, caches) = caches();
    for cache in &caches {
        let origin = Origin::default();
        let first = kept!(cache, row(cache, &origin, 1));
        let hits = cache.stats().local_hits;
        let plain = tokio::task::block_in_place(|| plain_row(cache, &origin, 1));
        let many = rows(cache, &origin, &[1, 2]).await;
        assert!(first.is_same(&plain) && first.is_same(&many[&1]));
        assert_eq!((cache.stats().local_hits, origin.runs()), (hits + 2, 2), "only the other id ran the body");
        // What a batch stored is kept when it is read.
        let _ = kept!(cache, row(cache, &origin, 2));
        assert_eq!(origin.runs(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_keeps_what_it_reads() {
    let (_server, caches) = caches();
    for cache in &caches {
        let origin = Origin::default();
        let ids: Vec<u64> = (0..50).collect();
        assert_eq!(rows(cache, &origin, &ids).await.len(), 50);
        let first = kept!(cache, rows(cache, &origin, &ids));
        eventually("all are kept", || {
            let before = cache.stats().local_hits;
            let again =
                tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(rows(cache, &origin, &ids)));
            let all = cache.stats().local_hits == before + 50;
            all && again.iter().all(|(id, row)| first[id].0.0 == row.0.0)
        });
        assert_eq!(origin.runs(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_of_this_process_leaves_an_old_value() {
    let (_server, caches) = caches();
    for cache in &caches {
        let origin = Origin::default();
        let _ = kept!(cache, row(cache, &origin, 1));

        origin.set(1);
        assert!(row_entry(cache, 1).invalidate().await.unwrap());
        assert_eq!(kept!(cache, row(cache, &origin, 1)).value(), 1);

        assert!(row_entry(cache, 1).put(&Row::new(1, 2)).await.unwrap());
        assert_eq!(row(cache, &origin, 1).await.value(), 2);
        let _ = kept!(cache, row(cache, &origin, 1));

        let write = async || {
            origin.set(3);
            Ok::<_, redis_cached::Error>(())
        };
        row_entry(cache, 1).write_through(&Row::new(1, 3), write).await.unwrap();
        assert_eq!(row(cache, &origin, 1).await.value(), 3);
        let _ = kept!(cache, row(cache, &origin, 1));

        origin.set(4);
        assert_eq!(row_refresh(cache, &origin, 1).await.value(), 4);
        assert_eq!(row(cache, &origin, 1).await.value(), 4);
        let _ = kept!(cache, row(cache, &origin, 1));

        origin.set(5);
        assert_eq!(rows_refresh(cache, &origin, &[1]).await[&1].value(), 5);
        assert_eq!(row(cache, &origin, 1).await.value(), 5);
        let _ = kept!(cache, row(cache, &origin, 1));

        origin.set(6);
        assert_eq!(cache.invalidate_all([row_entry(cache, 1)]).await.unwrap(), 1);
        assert_eq!(kept!(cache, row(cache, &origin, 1)).value(), 6);

        origin.set(7);
        cache.clear().await.unwrap();
        assert_eq!(row(cache, &origin, 1).await.value(), 7);
        let _ = kept!(cache, row(cache, &origin, 1));

        // By the other face.
        origin.set(8);
        tokio::task::block_in_place(|| plain_row_entry(cache, 1).invalidate().unwrap());
        assert_eq!(row(cache, &origin, 1).await.value(), 8);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_suspends_all_entries_under_it_and_no_other() {
    let (_server, caches) = caches();
    for cache in &caches {
        let origin = Origin::default();
        for id in 0..5 {
            let _ = kept!(cache, tagged(cache, &origin, 1, id));
            let _ = kept!(cache, tagged(cache, &origin, 2, id));
            let _ = kept!(cache, own_tagged(cache, &origin, id));
        }
        origin.set(1);
        assert!(cache.invalidate_tag("org:1").await.unwrap());
        let runs = origin.runs();
        for id in 0..5 {
            assert_eq!(tagged(cache, &origin, 1, id).await.value(), 1);
            assert_eq!(tagged(cache, &origin, 2, id).await.value(), 0);
            let _ = kept!(cache, tagged(cache, &origin, 1, id));
        }
        assert_eq!(origin.runs(), runs + 5);
        assert!(cache.invalidate_tag("own:3").await.unwrap());
        for id in 0..5 {
            assert_eq!(own_tagged(cache, &origin, id).await.value(), u64::from(id == 3));
        }
    }
}

#[redis_cached(prefix = "local", ttl = "300ms", local = 100, cache = cache, skip(cache, origin))]
async fn short(cache: &Cache, origin: &Origin, id: u64) -> Row {
    Row::new(id, origin.read())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lifetime_ends_in_the_tier_too() {
    let (_server, caches) = caches();
    for cache in &caches {
        let origin = Origin::default();
        let _ = kept!(cache, short(cache, &origin, 1));
        origin.set(1);
        let began = std::time::Instant::now();
        while short(cache, &origin, 1).await.value() == 0 {
            assert!(began.elapsed() < PATIENCE, "it never ends");
            tokio::task::yield_now().await;
        }
        let age = began.elapsed();
        assert!(age < Duration::from_millis(300) + Duration::from_secs(2), "{age:?}");
    }
}

#[redis_cached(prefix = "local", ttl = "20s", refresh_ahead = 0.01, local = 100, cache = cache, skip(cache, origin))]
async fn ahead(cache: &Cache, origin: Arc<Origin>, id: u64) -> Row {
    Row::new(id, origin.read())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_due_is_refreshed_once() {
    let (_server, caches) = caches();
    for cache in &caches {
        let origin = Arc::new(Origin::default());
        let _ = kept!(cache, ahead(cache, Arc::clone(&origin), 1));
        origin.set(1);
        let refreshes = cache.stats().refreshes;
        let began = std::time::Instant::now();
        while ahead(cache, Arc::clone(&origin), 1).await.value() == 0 {
            assert!(began.elapsed() < PATIENCE, "it is never refreshed");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(cache.stats().refreshes, refreshes + 1);
    }
}

#[redis_cached(prefix = "local", none_ttl = "1m", local = 100, cache = cache, skip(cache, origin))]
async fn perhaps(cache: &Cache, origin: &Origin, id: u64) -> Option<u64> {
    Some(origin.read()).filter(|_| id.is_multiple_of(2))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_none_is_kept() {
    let (_server, caches) = caches();
    for cache in &caches {
        let origin = Origin::default();
        assert_eq!(kept!(cache, perhaps(cache, &origin, 1)), None);
        assert_eq!(kept!(cache, perhaps(cache, &origin, 2)), Some(0));
        assert_eq!(origin.runs(), 2);
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Generic<T>(T);

#[redis_cached(prefix = "local", local = 100, cache = cache, skip(cache, of))]
async fn generic<T>(cache: &Cache, id: u64, of: fn(u64) -> T) -> Generic<T>
where
    T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static,
{
    Generic(of(id))
}

#[tokio::test]
async fn instances_of_a_generic_function_are_apart() {
    let cache = &Cache::builder("memory://").unwrap().build();
    for _ in 0..3 {
        assert_eq!(generic::<u64>(cache, 7, |id| id).await, Generic(7));
        assert_eq!(generic::<String>(cache, 7, |id| id.to_string()).await, Generic("7".to_owned()));
    }
    assert!(cache.stats().local_hits >= 2);
}

/// Two functions of one default name: the second runs uncached.
#[tokio::test]
async fn a_namesake_takes_nothing_from_the_tier() {
    let cache = &Cache::builder("memory://").unwrap().build();
    async fn first(cache: &Cache) -> u64 {
        {
            #[redis_cached(prefix = "local", local = 100, cache = cache, skip(cache))]
            async fn same(cache: &Cache, id: u64) -> u64 {
                id + 1
            }
            same(cache, 1).await
        }
    }
    async fn second(cache: &Cache) -> u64 {
        {
            #[redis_cached(prefix = "local", local = 100, cache = cache, skip(cache))]
            async fn same(cache: &Cache, id: u64) -> u64 {
                id + 2
            }
            same(cache, 1).await
        }
    }
    async fn both(cache: &Cache) -> [u64; 2] {
        let mut found = [0; 2];
        {
            #[redis_cached(prefix = "local", local = 100, cache = cache, skip(cache))]
            async fn same(cache: &Cache, id: u64) -> u64 {
                id + 1
            }
            found[0] = same(cache, 1).await;
        }
        {
            #[redis_cached(prefix = "local", local = 100, cache = cache, skip(cache))]
            async fn same(cache: &Cache, id: u64) -> u64 {
                id + 2
            }
            found[1] = same(cache, 1).await;
        }
        found
    }
    for _ in 0..3 {
        assert_eq!((first(cache).await, second(cache).await, both(cache).await), (2, 3, [2, 3]));
    }
    assert!(cache.stats().local_hits > 0);
}

#[redis_cached(prefix = "local", name = "labelled", key = "{id}", tags = ["one"], local = 100, cache = cache, skip(cache, origin))]
async fn under_one(cache: &Cache, origin: &Origin, id: u64) -> Row {
    Row::new(id, origin.read())
}

#[redis_cached(prefix = "local", name = "labelled", key = "{id}", tags = ["other"], local = 100, cache = cache, skip(cache, origin))]
async fn under_other(cache: &Cache, origin: &Origin, id: u64) -> Row {
    Row::new(id, origin.read())
}

#[tokio::test]
async fn functions_of_one_name_with_other_tags_take_nothing_from_each_other() {
    let cache = &Cache::builder("memory://").unwrap().build();
    let origin = Origin::default();
    let _ = kept!(cache, under_one(cache, &origin, 1));
    origin.set(1);
    cache.invalidate_tag("other").await.unwrap();
    assert_eq!(under_other(cache, &origin, 1).await.value(), 1);
}

#[derive(Clone, Copy)]
struct Order {
    id: u64,
    customer: u64,
}

#[redis_cached(prefix = "local", key = "{order.id}", tags = ["customer:{order.customer}"], local = 100, cache = cache, skip(cache, origin))]
async fn of_order(cache: &Cache, origin: &Origin, order: Order) -> Row {
    Row::new(order.id, origin.read())
}

#[tokio::test]
async fn a_call_under_other_tags_takes_nothing() {
    let cache = &Cache::builder("memory://").unwrap().build();
    let origin = Origin::default();
    let _ = kept!(cache, of_order(cache, &origin, Order { id: 1, customer: 1 }));
    origin.set(1);
    cache.invalidate_tag("customer:2").await.unwrap();
    assert_eq!(of_order(cache, &origin, Order { id: 1, customer: 2 }).await.value(), 1);
}

/// A value whose `Clone` panics.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Fragile(u64);

impl Clone for Fragile {
    fn clone(&self) -> Fragile {
        panic!("this is expected");
    }
}

#[redis_cached(prefix = "local", local = 100, cache = cache, skip(cache))]
async fn fragile(cache: &Cache, id: u64) -> Fragile {
    Fragile(id)
}

#[redis_cached(prefix = "local", batch(id in ids), local = 100, cache = cache, skip(cache))]
async fn fragile_many(cache: &Cache, ids: &[u64]) -> HashMap<u64, Fragile> {
    ids.iter().map(|id| (*id, Fragile(*id))).collect()
}

#[tokio::test]
async fn a_clone_that_panics_harms_no_call() {
    let cache = &Cache::builder("memory://").unwrap().build();
    for _ in 0..3 {
        assert_eq!(fragile(cache, 1).await, Fragile(1));
        assert_eq!(fragile_many(cache, &[1]).await[&1], Fragile(1));
    }
}

/// An error that is not `Send`.
#[derive(Debug)]
struct Local(#[expect(dead_code, reason = "its type is what matters")] std::rc::Rc<()>);

#[redis_cached(prefix = "local", local = 100, cache = cache, skip(cache))]
async fn with_a_local_error(cache: &Cache, id: u64) -> Result<u64, Local> {
    if id == 0 { Err(Local(std::rc::Rc::new(()))) } else { Ok(id) }
}

#[tokio::test]
async fn the_future_is_send_though_the_error_is_not() {
    fn assert_send<F: Send>(future: F) -> F {
        future
    }
    let cache = &Cache::builder("memory://").unwrap().build();
    for _ in 0..3 {
        assert_eq!(assert_send(with_a_local_error(cache, 1)).await.unwrap(), 1);
        assert!(with_a_local_error(cache, 0).await.is_err());
    }
}

#[tokio::test]
async fn caches_are_apart() {
    let [one, other] = [(); 2].map(|()| Cache::builder("memory://").unwrap().build());
    let origins = [Origin::default(), Origin::default()];
    origins[1].set(1);
    for _ in 0..3 {
        assert_eq!(row(&one, &origins[0], 1).await.value(), 0);
        assert_eq!(row(&other, &origins[1], 1).await.value(), 1);
    }
    assert!(one.stats().local_hits > 0 && other.stats().local_hits > 0);
}

#[tokio::test]
async fn nobody_is_waited_for_in_memory() {
    let cache = &Cache::builder("memory://").unwrap().local_bound(Duration::from_secs(60)).build();
    let origin = Origin::default();
    let _ = row(cache, &origin, 1).await;
    assert!(row_entry(cache, 1).invalidate_everywhere().await.unwrap());
    assert_eq!(cache.local_bound(), Duration::from_secs(60));
}
