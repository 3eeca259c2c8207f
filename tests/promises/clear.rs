//! `Cache::clear` and the sibling `…_clear`: nothing that was computed before is served afterwards.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, ErrorKind, redis_cached};
use test_support::{Gate, PATIENCE, Server, in_time};

#[redis_cached(prefix = "clear", name = "row", tags = "org:7", cache = cache, skip(cache))]
async fn row(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "clear", name = "rows", batch(id in ids), cache = cache, skip(cache))]
async fn rows(cache: &Cache, ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, *id)).collect()
}

#[redis_cached(prefix = "clear", name = "plain[*?\\]", cache = cache, skip(cache))]
fn plain(cache: &Cache, id: u64) -> u64 {
    id
}

/// A pattern that is not escaped would reach this name, too.
#[redis_cached(prefix = "clear", name = "plain*", cache = cache, skip(cache))]
fn plain_other(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "clear", name = "constant", cache = cache, skip(cache))]
fn constant(cache: &Cache) -> u64 {
    7
}

#[redis_cached(prefix = "clear", name = "seat", group = "class:{class}", cache = cache, skip(cache))]
async fn seat(cache: &Cache, class: u64, id: u64) -> u64 {
    class + id
}

#[redis_cached(prefix = "clear", name = "seats", group = "class:{class}", cache = cache, skip(cache))]
async fn seat_other(cache: &Cache, class: u64, id: u64) -> u64 {
    class + id
}

#[redis_cached(prefix = "clear", name = "typed", cache = cache, skip(cache))]
async fn typed<T: serde::Serialize + serde::de::DeserializeOwned>(cache: &Cache, value: T) -> T {
    value
}

struct Repo<T> {
    cache: Cache,
    value: T,
}

impl<T: Copy + serde::Serialize + serde::de::DeserializeOwned> Repo<T> {
    #[redis_cached(prefix = "clear", cache = self.cache, skip(self))]
    async fn find(&self, id: u64) -> (u64, T) {
        (id, self.value)
    }
}

fn cache(url: &str, namespace: &str) -> Cache {
    Cache::builder(url).unwrap().namespace(namespace).timeout(PATIENCE).build()
}

/// A cache in memory without a namespace, and two under one.
fn caches(server: &Server) -> [Cache; 3] {
    [cache("memory://", ""), cache("memory://", "n[*"), cache(&server.url(), "n[*")]
}

async fn fill(cache: &Cache) {
    for id in 0..3 {
        row(cache, id).await;
        plain(cache, id);
        plain_other(cache, id);
        seat(cache, id, 1).await;
        seat(cache, id, 2).await;
        seat_other(cache, id, 1).await;
        typed(cache, id).await;
        typed(cache, format!("text {id}")).await;
        Repo { cache: cache.clone(), value: 1_u8 }.find(id).await;
        Repo { cache: cache.clone(), value: true }.find(id).await;
    }
    rows(cache, &[1, 2, 3]).await;
    constant(cache);
}

/// How many entries each function has among those.
async fn stored(cache: &Cache) -> [usize; 11] {
    async fn count<V>(cache: &Cache, entries: [redis_cached::Entry<V>; 3]) -> usize {
        cache.get_all(&entries).await.unwrap().into_iter().flatten().count()
    }
    fn count_blocking<V>(cache: &Cache, entries: [redis_cached::blocking::Entry<V>; 3]) -> usize {
        cache.blocking().get_all(&entries).unwrap().into_iter().flatten().count()
    }
    let ids = [0, 1, 2];
    let bytes = Repo { cache: cache.clone(), value: 1_u8 };
    let truths = Repo { cache: cache.clone(), value: true };
    [
        count(cache, ids.map(|id| row_entry(cache, id))).await,
        count(cache, [1, 2, 3].map(|id| rows_entry(cache, id))).await,
        count_blocking(cache, ids.map(|id| plain_entry(cache, id))),
        count_blocking(cache, ids.map(|id| plain_other_entry(cache, id))),
        usize::from(constant_entry(cache).get().unwrap().is_some()),
        count(cache, ids.map(|id| seat_entry(cache, id, 1))).await
            + count(cache, ids.map(|id| seat_entry(cache, id, 2))).await,
        count(cache, ids.map(|id| seat_other_entry(cache, id, 1))).await,
        count(cache, ids.map(|id| typed_entry(cache, id))).await,
        count(cache, ids.map(|id| typed_entry(cache, format!("text {id}")))).await,
        count(cache, ids.map(|id| bytes.find_entry(id))).await,
        count(cache, ids.map(|id| truths.find_entry(id))).await,
    ]
}

const ALL: [usize; 11] = [3, 3, 3, 3, 1, 6, 3, 3, 3, 3, 3];

#[tokio::test]
async fn clear_empties_the_cache_and_nothing_else() {
    let server = Server::start();
    let other = cache(&server.url(), "n");
    fill(&other).await;
    for key in ["n%5B%2A", "n%5B%2Ax:clear:row:1", "foreign", "clear:row:1"] {
        server.cli(&["SET", key, "theirs"]);
    }
    for cache in caches(&server) {
        for is_blocking in [false, true] {
            fill(&cache).await;
            assert_eq!(stored(&cache).await, ALL);
            let count = if is_blocking { cache.blocking().clear().unwrap() } else { cache.clear().await.unwrap() };
            // In Redis, a group is one key; the tag's stamp is one more.
            assert!((26..=35).contains(&count), "{count}");
            assert_eq!(stored(&cache).await, [0; 11]);
            assert_eq!(cache.clear().await.unwrap(), 0);
            assert!(!cache.invalidate_tag("org:7").await.unwrap(), "the stamp is gone, too");
        }
    }
    assert_eq!(stored(&other).await, ALL);
    for key in ["n%5B%2A", "n%5B%2Ax:clear:row:1", "foreign", "clear:row:1"] {
        assert_eq!(server.cli(&["GET", key]).trim(), "theirs", "{key}");
    }
}

#[tokio::test]
async fn without_a_namespace_clear_refuses_to_touch_a_server() {
    let server = Server::start();
    let cache = cache(&server.url(), "");
    fill(&cache).await;
    server.cli(&["SET", "foreign", "theirs"]);
    for error in [cache.clear().await.unwrap_err(), cache.blocking().clear().unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("Builder::namespace"), "{error}");
    }
    assert_eq!(stored(&cache).await, ALL);
    assert_eq!(row_clear(&cache).await.unwrap(), 3, "a function is told by its name");
    assert_eq!(server.cli(&["GET", "foreign"]).trim(), "theirs");
}

#[tokio::test]
async fn a_function_clears_its_own_entries() {
    let server = Server::start();
    for cache in caches(&server) {
        fill(&cache).await;
        let mut left = ALL;
        let repo = Repo { cache: cache.clone(), value: 1_u8 };
        let cleared = [
            row_clear(&cache).await,
            rows_clear(&cache).await,
            plain_clear(&cache),
            plain_other_clear(&cache),
            constant_clear(&cache),
            seat_clear(&cache).await,
            seat_other_clear(&cache).await,
            typed_clear::<u64>(&cache).await,
            typed_clear::<String>(&cache).await,
            repo.find_clear().await,
        ];
        assert_eq!(cleared.map(Result::unwrap), [3, 3, 3, 3, 1, 6, 3, 3, 3, 3]);
        left[..10].fill(0);
        assert_eq!(stored(&cache).await, left);

        fill(&cache).await;
        assert_eq!(seat_clear(&cache).await.unwrap(), 6);
        assert_eq!(stored(&cache).await, [3, 3, 3, 3, 1, 0, 3, 3, 3, 3, 3]);
        assert_eq!(plain_other_clear(&cache).unwrap(), 3);
        assert_eq!(stored(&cache).await, [3, 3, 3, 0, 1, 0, 3, 3, 3, 3, 3]);
        assert_eq!(typed_clear::<u64>(&cache).await.unwrap(), 3);
        assert_eq!(stored(&cache).await, [3, 3, 3, 0, 1, 0, 3, 0, 3, 3, 3]);
        cache.clear().await.unwrap();
    }
}

#[tokio::test]
async fn many_entries_take_many_steps() {
    let server = Server::start();
    let cache = cache(&server.url(), "many");
    for chunk in 0..12 {
        let ids: Vec<u64> = (0..1000).map(|id| chunk * 1000 + id).collect();
        rows(&cache, &ids).await;
    }
    seat(&cache, 1, 1).await;
    let mut monitor = server.monitor();
    assert_eq!(rows_clear(&cache).await.unwrap(), 12_000);
    let scans = monitor.commands().iter().filter(|command| command[0].eq_ignore_ascii_case("SCAN")).count();
    assert!((12..=30).contains(&scans), "{scans}");
    assert_eq!(server.cli(&["KEYS", "*"]).trim(), "many:clear:#group:class:1");
}

/// A body that runs while its entry is cleared.
macro_rules! runs_while_cleared {
    ($cache:expr, $gate:expr, $call:expr, $clear:expr, $get:expr) => {{
        let (cache, gate): (&Cache, &Gate) = ($cache, $gate);
        let before = gate.entered();
        let call = $call;
        in_time("a body runs", async || gate.entered() > before).await;
        assert_eq!($clear.unwrap(), 1, "the lease");
        // It does not wait for the one whose data may be old.
        let later = $call;
        in_time("another body runs", async || gate.entered() > before + 1).await;
        gate.open();
        let (one, two) = (call.await.unwrap(), later.await.unwrap());
        assert_ne!(one, two);
        assert_eq!($get.unwrap(), Some(two), "{cache:?}");
        gate.close();
    }};
}

#[redis_cached(prefix = "clear", name = "gated", cache = cache, skip(cache, gate))]
async fn gated(cache: Cache, gate: Arc<Gate>) -> usize {
    gate.pass().await
}

#[redis_cached(prefix = "clear", name = "gated_group", group = "all", cache = cache, skip(cache, gate))]
async fn gated_in_group(cache: Cache, gate: Arc<Gate>) -> usize {
    gate.pass().await
}

#[redis_cached(prefix = "clear", name = "gated_batch", batch(id in ids), cache = cache, skip(cache, gate))]
async fn gated_batch(cache: Cache, gate: Arc<Gate>, ids: Vec<u64>) -> HashMap<u64, usize> {
    let pass = gate.pass().await;
    ids.into_iter().map(|id| (id, pass)).collect()
}

#[redis_cached(prefix = "clear", name = "gated_plain", cache = cache, skip(cache, gate))]
fn gated_plain(cache: Cache, gate: Arc<Gate>) -> usize {
    gate.pass_blocking()
}

#[tokio::test]
async fn what_is_computed_meanwhile_is_not_stored() {
    let server = Server::start();
    for cache in [cache("memory://", ""), cache(&server.url(), "n")] {
        let gate = Arc::new(Gate::closed());
        let own = || (cache.clone(), gate.clone());
        runs_while_cleared!(
            &cache,
            &gate,
            tokio::spawn(gated(own().0, own().1)),
            gated_clear(cache.clone()).await,
            gated_entry(cache.clone()).get().await
        );
        assert_eq!(cache.clear().await.unwrap(), 1);
        runs_while_cleared!(
            &cache,
            &gate,
            tokio::spawn(gated(own().0, own().1)),
            cache.clear().await,
            gated_entry(cache.clone()).get().await
        );
        runs_while_cleared!(
            &cache,
            &gate,
            tokio::spawn(gated_in_group(own().0, own().1)),
            gated_in_group_clear(cache.clone()).await,
            gated_in_group_entry(cache.clone()).get().await
        );
        runs_while_cleared!(
            &cache,
            &gate,
            {
                let batch = gated_batch(own().0, own().1, vec![1]);
                tokio::spawn(async move { batch.await[&1] })
            },
            gated_batch_clear(cache.clone()).await,
            gated_batch_entry(cache.clone(), 1).get().await
        );
        runs_while_cleared!(
            &cache,
            &gate,
            {
                let (cache, gate) = own();
                tokio::task::spawn_blocking(move || gated_plain(cache, gate))
            },
            gated_plain_clear(cache.clone()),
            gated_plain_entry(cache.clone()).get()
        );
    }
}

#[redis_cached(prefix = "clear", name = "old", ttl = "20ms", stale_while_revalidate = "1h", cache = cache, skip(cache, gate))]
async fn old(cache: Cache, gate: Arc<Gate>) -> usize {
    gate.pass().await
}

#[tokio::test]
async fn a_refresh_that_runs_meanwhile_is_not_stored() {
    let server = Server::start();
    for cache in [cache("memory://", ""), cache(&server.url(), "n")] {
        let gate = Arc::new(Gate::closed());
        gate.open();
        old(cache.clone(), gate.clone()).await;
        gate.close();
        in_time("a refresh runs", async || {
            old(cache.clone(), gate.clone()).await;
            gate.entered() == 2
        })
        .await;
        assert_eq!(old_clear(cache.clone()).await.unwrap(), 1);
        gate.open();
        in_time("the refresh is refused", async || cache.stats().refused == 1).await;
        assert!(old_entry(cache.clone()).get().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn what_fails_is_told() {
    let server = Server::start();
    let admin = cache(&server.url(), "n");
    fill(&admin).await;
    server.cli(&["ACL", "SETUSER", "limited", "on", ">secret", "~*", "+@all", "-scan"]);
    let limited = cache(&format!("redis://limited:secret@127.0.0.1:{}", server.port()), "n");
    for error in [
        limited.clear().await.unwrap_err(),
        limited.blocking().clear().unwrap_err(),
        row_clear(&limited).await.unwrap_err(),
        plain_clear(&limited).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
        assert!(error.to_string().to_lowercase().contains("scan"), "{error}");
    }
    assert_eq!(row(&limited, 1).await, 1);
    assert_eq!(stored(&limited).await, ALL, "calls do not mind");
    server.kill();
    for error in [admin.clear().await.unwrap_err(), row_clear(&admin).await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    }
    assert_eq!(cache("off://", "").clear().await.unwrap(), 0);
    assert_eq!(row_clear(&cache("off://", "n")).await.unwrap(), 0);
}

/// An origin whose value changes, and what a call that starts now has to see at least.
#[derive(Default)]
struct Origin {
    current: AtomicU64,
    floor: AtomicU64,
    runs: AtomicUsize,
    is_over: AtomicBool,
}

impl Origin {
    fn read(&self) -> u64 {
        self.runs.fetch_add(1, SeqCst);
        self.current.load(SeqCst)
    }

    /// How long a body takes: mostly no time, or a little more than a step of the iteration.
    fn pause(&self, id: u64) -> Duration {
        match (self.runs.load(SeqCst) as u64 + id) % 4 {
            0 => Duration::from_millis(5),
            1 => Duration::from_millis(1),
            _ => Duration::ZERO,
        }
    }
}

#[redis_cached(prefix = "clear", name = "raced", ttl = "25ms", lease = "100ms", stale_while_revalidate = "10ms", cache = cache, skip(cache, origin))]
async fn raced(cache: Cache, origin: Arc<Origin>, id: u64) -> u64 {
    let read = origin.read();
    tokio::time::sleep(origin.pause(id)).await;
    read
}

#[redis_cached(prefix = "clear", name = "raced_forever", ttl = forever, tags = "raced", cache = cache, skip(cache, origin))]
async fn raced_forever(cache: Cache, origin: Arc<Origin>, id: u64) -> u64 {
    let read = origin.read();
    tokio::time::sleep(origin.pause(id)).await;
    read
}

#[redis_cached(prefix = "clear", name = "raced_group", ttl = "25ms", group = "raced:{group}", cache = cache, skip(cache, origin))]
async fn raced_in_group(cache: Cache, origin: Arc<Origin>, group: u64, id: u64) -> u64 {
    let read = origin.read();
    tokio::time::sleep(origin.pause(id)).await;
    read
}

#[redis_cached(prefix = "clear", name = "raced_batch", ttl = "25ms", batch(id in ids), cache = cache, skip(cache, origin))]
async fn raced_batch(cache: Cache, origin: Arc<Origin>, ids: Vec<u64>) -> HashMap<u64, u64> {
    let read = origin.read();
    tokio::time::sleep(origin.pause(ids[0])).await;
    ids.into_iter().map(|id| (id, read)).collect()
}

#[redis_cached(prefix = "clear", name = "raced_plain", ttl = "25ms", cache = cache, skip(cache, origin))]
fn raced_plain(cache: Cache, origin: Arc<Origin>, id: u64) -> u64 {
    let read = origin.read();
    thread::sleep(origin.pause(id));
    read
}

/// The least number of clears in a race.
const CLEARS: u64 = 20;

/// Readers of all kinds while the origin changes and everything is cleared, over and over.
async fn race(cache: Cache, clears_all: bool) {
    const IDS: u64 = 8;
    let origin = Arc::new(Origin::default());
    let mut readers = Vec::new();
    for number in 0..8_u64 {
        let (cache, origin) = (cache.clone(), origin.clone());
        readers.push(tokio::spawn(async move {
            let mut id = number;
            while !origin.is_over.load(SeqCst) {
                id = (id + 1) % IDS;
                let floor = origin.floor.load(SeqCst);
                let (cache, source) = (cache.clone(), origin.clone());
                let seen = match number % 4 {
                    0 => raced(cache, source, id).await,
                    1 => raced_forever(cache, source, id).await,
                    2 => raced_in_group(cache, source, id % 2, id).await,
                    _ => raced_batch(cache, source, vec![id, (id + 1) % IDS]).await.into_values().min().unwrap(),
                };
                assert!(seen >= floor, "reader {number}: {seen} after a clear of {floor}");
                tokio::task::yield_now().await;
            }
        }));
    }
    for number in 0..2_u64 {
        let (cache, origin) = (cache.clone(), origin.clone());
        readers.push(tokio::task::spawn_blocking(move || {
            let mut id = number;
            while !origin.is_over.load(SeqCst) {
                id = (id + 1) % IDS;
                let floor = origin.floor.load(SeqCst);
                let seen = raced_plain(cache.clone(), origin.clone(), id);
                assert!(seen >= floor, "thread {number}: {seen} after a clear of {floor}");
            }
        }));
    }
    // Keys that come and go meanwhile, so that the server's table of keys grows and shrinks.
    let (others, source) = (cache.clone(), origin.clone());
    readers.push(tokio::spawn(async move {
        let ids: Vec<u64> = (0..3_000).collect();
        while !source.is_over.load(SeqCst) {
            rows(&others, &ids).await;
            rows_clear(&others).await.unwrap();
        }
    }));
    let (begun, mut clears) = (Instant::now(), 0);
    let has_raced = |clears| {
        let stats = cache.stats();
        clears >= CLEARS && stats.hits > 100 && stats.misses > 100 && stats.refused > 0
    };
    // For three seconds, or longer if little happens on a busy machine.
    while (begun.elapsed() < Duration::from_secs(3) || !has_raced(clears) && begun.elapsed() < PATIENCE * 2)
        && !readers.iter().any(|reader| reader.is_finished())
    {
        let current = origin.current.fetch_add(1, SeqCst) + 1;
        if clears_all {
            cache.clear().await.unwrap();
        } else {
            raced_clear(cache.clone()).await.unwrap();
            raced_forever_clear(cache.clone()).await.unwrap();
            raced_in_group_clear(cache.clone()).await.unwrap();
            raced_batch_clear(cache.clone()).await.unwrap();
            raced_plain_clear(cache.clone()).unwrap();
        }
        origin.floor.store(current, SeqCst);
        clears += 1;
        tokio::time::sleep(Duration::from_millis(clears % 7)).await;
    }
    origin.is_over.store(true, SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(has_raced(clears), "{clears} clears: {:?}", cache.stats());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_that_was_computed_before_a_clear_is_served_after_it() {
    let server = Server::start();
    for url in ["memory://", &server.url()] {
        for clears_all in [true, false] {
            race(cache(url, "race"), clears_all).await;
        }
    }
}
