//! `Cache::invalidate_all`: entries of any functions, groups and tags in one round trip.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use redis_cached::{Cache, ErrorKind, Invalidation, redis_cached};
use test_support::{Gate, Mode, Monitor, PATIENCE, Server, in_time};

#[redis_cached(prefix = "all", name = "user", tags = "org:{org}", cache = cache, skip(cache, runs))]
async fn user(cache: &Cache, runs: &AtomicUsize, org: u64, id: u64) -> u64 {
    org + id + runs.fetch_add(1, SeqCst) as u64
}

#[redis_cached(prefix = "all", name = "plain", cache = cache, skip(cache, runs))]
fn plain(cache: &Cache, runs: &AtomicUsize, id: u64) -> String {
    format!("{id} {}", runs.fetch_add(1, SeqCst))
}

#[redis_cached(prefix = "all", name = "seat", group = "room:{room}", cache = cache, skip(cache, runs))]
async fn seat(cache: &Cache, runs: &AtomicUsize, room: u64, id: u64) -> Option<u64> {
    Some(room + id + runs.fetch_add(1, SeqCst) as u64)
}

#[redis_cached(prefix = "all", name = "seat_plain", group = "room:{room}", cache = cache, skip(cache))]
fn seat_plain(cache: &Cache, room: u64, id: u64) -> u64 {
    room + id
}

/// A parameter of it may have no text.
#[redis_cached(prefix = "all", name = "size", cache = cache, skip(cache))]
async fn size(cache: &Cache, path: &std::path::Path) -> usize {
    path.as_os_str().len()
}

/// The commands that clients sent since the last call: those of connecting, the clock's and the check
/// that the server is a master left out.
fn asked(monitor: &mut Monitor) -> Vec<Vec<String>> {
    let beside = ["CLIENT", "HELLO", "INFO", "TIME", "ROLE", "SELECT", "AUTH"];
    let is_beside = |command: &[String]| command == ["EXISTS", "redis-cached"] || beside.contains(&&*command[0]);
    monitor.commands().into_iter().filter(|command| !is_beside(command)).collect()
}

/// A cache with a time-out that a busy machine does not reach, so stored values are found.
fn cache(url: &str) -> Cache {
    Cache::builder(url).unwrap().timeout(PATIENCE).build()
}

fn remote(server: &Server) -> Cache {
    cache(&server.url())
}

/// A cache in memory and one on the server, for tests of what holds for both.
fn caches(server: &Server) -> [Cache; 2] {
    ["memory://", &server.url()].map(cache)
}

/// Two users, two plain ones, three seats in two rooms.
async fn fill(cache: &Cache, runs: &AtomicUsize) {
    for id in 1..3 {
        user(cache, runs, 7, id).await;
        plain(cache, runs, id);
        seat(cache, runs, 1, id).await;
    }
    seat(cache, runs, 2, 1).await;
    seat_plain(cache, 2, 1);
}

/// `true` for each entry of [`fill`] that is stored.
async fn stored(cache: &Cache) -> [bool; 8] {
    [
        user_entry(cache, 7, 1).get().await.unwrap().is_some(),
        user_entry(cache, 7, 2).get().await.unwrap().is_some(),
        plain_entry(cache, 1).get().unwrap().is_some(),
        plain_entry(cache, 2).get().unwrap().is_some(),
        seat_entry(cache, 1, 1).get().await.unwrap().is_some(),
        seat_entry(cache, 1, 2).get().await.unwrap().is_some(),
        seat_entry(cache, 2, 1).get().await.unwrap().is_some(),
        seat_plain_entry(cache, 2, 1).get().unwrap().is_some(),
    ]
}

#[tokio::test]
async fn entries_groups_and_tags_go_together_and_are_counted() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        fill(&cache, &runs).await;
        assert_eq!(stored(&cache).await, [true; 8]);
        let stale: Vec<Invalidation> = vec![
            user_entry(&cache, 7, 1).into(),
            (&plain_entry(&cache, 2)).into(),
            seat_entry(&cache, 1, 1).into(),
            seat_plain_group(&cache, 2).into(),
            plain_entry(&cache, 99).into(),
            seat_group(&cache, 99).into(),
            Invalidation::tag("nobody's"),
        ];
        assert_eq!(cache.invalidate_all(stale.clone()).await.unwrap(), 4);
        assert_eq!(stored(&cache).await, [false, true, true, false, false, true, false, false]);
        assert_eq!(cache.invalidate_all(&stale).await.unwrap(), 0, "nothing is left of them");

        fill(&cache, &runs).await;
        assert_eq!(cache.invalidate_all([Invalidation::tag("org:7")]).await.unwrap(), 1, "a tag counts as one");
        assert_eq!(stored(&cache).await, [false, false, true, true, true, true, true, true]);
        fill(&cache, &runs).await;
        assert_eq!(cache.blocking().invalidate_all([seat_group(&cache, 1), seat_group(&cache, 2)]).unwrap(), 2);
        assert_eq!(stored(&cache).await, [true, true, true, true, false, false, false, false]);
        let both = [plain_entry(&cache, 1), plain_entry(&cache, 2)];
        assert_eq!(cache.blocking().invalidate_all(&both).unwrap(), 2);
        assert_eq!(cache.invalidate_all(both).await.unwrap(), 0);
        // The same one twice.
        let one = || user_entry(&cache, 7, 1);
        assert_eq!(cache.invalidate_all([one(), one()]).await.unwrap(), 1);
        assert_eq!(cache.invalidate_all(Vec::<Invalidation>::new()).await.unwrap(), 0);
        assert_eq!(cache.blocking().invalidate_all(Vec::<Invalidation>::new()).unwrap(), 0);
    }
}

#[tokio::test]
async fn all_of_it_is_one_pipeline_in_one_round_trip() {
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(PATIENCE).build();
    let runs = AtomicUsize::new(0);
    fill(&cache, &runs).await;
    let stale: Vec<Invalidation> = vec![
        user_entry(&cache, 7, 1).into(),
        seat_entry(&cache, 1, 1).into(),
        plain_entry(&cache, 2).into(),
        seat_entry(&cache, 1, 2).into(),
        seat_group(&cache, 2).into(),
        Invalidation::tag("org:7"),
    ];
    let mut monitor = server.monitor();
    // Two of these would be two delays.
    let delay = Duration::from_secs(1);
    proxy.set(Mode::Delay(delay));
    let begun = Instant::now();
    assert_eq!(cache.invalidate_all(stale).await.unwrap(), 6);
    assert!((delay..2 * delay).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    proxy.set(Mode::Pass);
    let mut sent = asked(&mut monitor);
    sent.sort();
    assert_eq!(
        sent,
        [
            vec!["HDEL", "all:#group:room:1", "seat:1:1", "seat:1:1\0r"],
            vec!["HDEL", "all:#group:room:1", "seat:1:2", "seat:1:2\0r"],
            vec!["UNLINK", "all:user:7:1", "all:plain:2", "all:#group:room:2", "#tag:org:7"],
        ]
    );
    asked(&mut monitor);
    assert_eq!(cache.invalidate_all(Vec::<Invalidation>::new()).await.unwrap(), 0);
    assert_eq!(asked(&mut monitor).len(), 0, "nothing to ask for");
}

#[tokio::test]
async fn thousands_go_together() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        for id in 0..1_500 {
            plain(&cache, &runs, id);
            seat(&cache, &runs, 1, id).await;
        }
        let plain = (0..3_000).map(|id| Invalidation::from(plain_entry(&cache, id)));
        let seats = (0..3_000).map(|id| Invalidation::from(seat_entry(&cache, 1, id)));
        assert_eq!(cache.invalidate_all(plain.chain(seats)).await.unwrap(), 3_000);
        assert!(seat_group(&cache, 1).is_empty().await.unwrap());
    }
    assert_eq!(server.cli(&["DBSIZE"]), "0");
}

#[tokio::test]
async fn entries_of_another_cache_are_invalidated_there() {
    let server = Server::start();
    let namespace = Cache::builder(&server.url()).unwrap().namespace("other").timeout(PATIENCE).build();
    let (memory, cache) = (Cache::builder("memory://").unwrap().build(), remote(&server));
    let runs = AtomicUsize::new(0);
    for cache in [&memory, &cache, &namespace] {
        fill(cache, &runs).await;
    }
    let stale = |cache: &Cache| {
        [Invalidation::from(user_entry(cache, 7, 1)), seat_group(cache, 1).into(), plain_entry(cache, 1).into()]
    };
    let all = [stale(&memory), stale(&namespace)].concat();
    assert_eq!(cache.invalidate_all(all).await.unwrap(), 6);
    assert_eq!(stored(&cache).await, [true; 8]);
    for other in [&memory, &namespace] {
        assert_eq!(stored(other).await, [false, true, false, true, false, false, true, true]);
    }
    // A tag is that of the cache which is asked.
    assert_eq!(namespace.invalidate_all([Invalidation::tag("org:7")]).await.unwrap(), 1);
    assert_eq!(stored(&namespace).await[..2], [false, false]);
    assert_eq!(stored(&cache).await, [true; 8]);
    assert_eq!(stored(&memory).await[..2], [false, true]);
}

#[tokio::test]
async fn a_target_without_a_key_is_told_and_the_others_go() {
    use std::os::unix::ffi::OsStrExt;
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        fill(&cache, &runs).await;
        let stale = || {
            let broken = [Invalidation::from(size_entry(&cache, path)), cache.group("a b").into()];
            [vec![Invalidation::from(user_entry(&cache, 7, 1))], broken.to_vec(), vec![seat_group(&cache, 2).into()]]
                .concat()
        };
        let error = cache.invalidate_all(stale()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Key);
        assert!(error.to_string().contains("path"), "the first one: {error}");
        assert_eq!(stored(&cache).await, [false, true, true, true, true, true, false, false]);
        fill(&cache, &runs).await;
        assert_eq!(cache.blocking().invalidate_all(stale()).unwrap_err().kind(), ErrorKind::Key);
        assert_eq!(stored(&cache).await, [false, true, true, true, true, true, false, false]);
    }
}

/// An invalidation without a server does not keep back the others.
#[tokio::test]
async fn an_outage_is_told_and_what_was_not_delivered_goes_before_it_is_read() {
    #[redis_cached(prefix = "all", name = "row", tags = "org:{org}", cache = cache, skip(cache, source))]
    async fn row(cache: &Cache, source: &AtomicU64, org: u64, id: u64) -> u64 {
        org * 100 + id * 10 + source.load(SeqCst)
    }
    #[redis_cached(prefix = "all", name = "desk", group = "room:{room}", cache = cache, skip(cache, source))]
    async fn desk(cache: &Cache, source: &AtomicU64, room: u64, id: u64) -> u64 {
        room * 100 + id * 10 + source.load(SeqCst)
    }
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_millis(200)).build();
    let memory = Cache::builder("memory://").unwrap().build();
    let (source, runs) = (AtomicU64::new(1), AtomicUsize::new(0));
    fill(&memory, &runs).await;
    in_time("all is stored", async || {
        row(&cache, &source, 7, 1).await;
        row(&cache, &source, 8, 1).await;
        desk(&cache, &source, 1, 1).await;
        desk(&cache, &source, 2, 1).await;
        cache.stats().stored >= 4
    })
    .await;
    proxy.set(Mode::Refuse);
    proxy.cut();
    source.store(2, SeqCst);
    let stale: Vec<Invalidation> = vec![
        row_entry(&cache, 8, 1).into(),
        desk_group(&cache, 1).into(),
        user_entry(&memory, 7, 1).into(),
        desk_entry(&cache, 2, 1).into(),
        Invalidation::tag("org:7"),
    ];
    assert_eq!(cache.invalidate_all(stale).await.unwrap_err().kind(), ErrorKind::Unreachable);
    assert_eq!(stored(&memory).await[..2], [false, true], "elsewhere it went");
    proxy.set(Mode::Pass);
    let hits = cache.stats().hits;
    in_time("hits", async || {
        assert_eq!(row(&cache, &source, 7, 1).await, 712);
        assert_eq!(row(&cache, &source, 8, 1).await, 812);
        assert_eq!(desk(&cache, &source, 1, 1).await, 112);
        assert_eq!(desk(&cache, &source, 2, 1).await, 212);
        cache.stats().hits >= hits + 4
    })
    .await;
}

#[tokio::test]
async fn computations_in_flight_are_voided() {
    #[redis_cached(prefix = "all", name = "gated", tags = "org:{org}", cache = cache, skip(cache, gate))]
    async fn gated(cache: &Cache, gate: Arc<Gate>, org: u64) -> u64 {
        org + gate.pass().await as u64
    }
    #[redis_cached(prefix = "all", name = "grouped", group = "room:{room}", cache = cache, skip(cache, gate))]
    async fn grouped(cache: &Cache, gate: Arc<Gate>, room: u64) -> u64 {
        room + gate.pass().await as u64
    }
    let server = Server::start();
    for cache in caches(&server) {
        let stale: [fn(&Cache) -> Vec<Invalidation>; 2] = [
            |cache| vec![gated_entry(cache, 7).into(), grouped_entry(cache, 1).into()],
            |cache| vec![Invalidation::tag("org:7"), grouped_group(cache, 1).into()],
        ];
        for stale in stale {
            let gates = [Arc::new(Gate::closed()), Arc::new(Gate::closed())];
            let call = || {
                let (cache, [one, two]) = (cache.clone(), gates.clone());
                tokio::spawn(async move { tokio::join!(gated(&cache, one, 7), grouped(&cache, two, 1)) })
            };
            let first = call();
            gates[0].wait_for(1).await;
            gates[1].wait_for(1).await;
            assert_eq!(cache.invalidate_all(stale(&cache)).await.unwrap(), 2);
            let second = call();
            gates[0].wait_for(2).await;
            gates[1].wait_for(2).await;
            gates.iter().for_each(|gate| gate.open());
            assert_eq!((first.await.unwrap(), second.await.unwrap()), ((8, 2), (9, 3)));
            assert_eq!(gated_entry(&cache, 7).get().await.unwrap(), Some(9));
            assert_eq!(grouped_entry(&cache, 1).get().await.unwrap(), Some(3));
            cache.invalidate_all(stale(&cache)).await.unwrap();
        }
    }
}

/// The entries that a transaction makes stale, collected with it.
struct Transaction<'a> {
    cache: &'a Cache,
    stale: Vec<Invalidation>,
}

impl Transaction<'_> {
    fn rename_user(&mut self, id: u64) {
        self.stale.push(user_entry(self.cache, 7, id).into());
    }

    fn clear_room(&mut self, room: u64) {
        self.stale.push(seat_group(self.cache, room).into());
    }

    async fn commit(self) -> Result<u64, redis_cached::Error> {
        self.cache.invalidate_all(self.stale).await
    }
}

#[tokio::test]
async fn a_transaction_invalidates_when_it_is_committed_and_nothing_when_it_is_rolled_back() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        fill(&cache, &runs).await;
        let begin = || {
            let mut transaction = Transaction { cache: &cache, stale: Vec::new() };
            transaction.rename_user(2);
            transaction.clear_room(1);
            transaction
        };
        let rolled_back = begin();
        assert_eq!(stored(&cache).await, [true; 8], "not before it is committed");
        drop(rolled_back);
        assert_eq!(stored(&cache).await, [true; 8]);
        assert_eq!(begin().commit().await.unwrap(), 2);
        assert_eq!(stored(&cache).await, [true, false, true, true, false, false, true, true]);
    }
}
