//! `group = "…"`: entries that are fields of one Redis hash, each with a lifetime of its own, and
//! that go together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use redis_cached::{Cache, ErrorKind, redis_cached};
use test_support::{Gate, Mode, Monitor, PATIENCE, Server, eventually, expired, in_time};

#[redis_cached(prefix = "grp", name = "grade", group = "class:{class}", cache = cache, skip(cache, runs))]
async fn grade(cache: &Cache, runs: &AtomicUsize, class: u64, student: &str) -> u64 {
    class * 1_000 + student.len() as u64 * 100 + runs.fetch_add(1, SeqCst) as u64
}

#[redis_cached(prefix = "grp", name = "plain", group = "class:{class}", cache = cache, skip(cache, runs))]
fn plain(cache: &Cache, runs: &AtomicUsize, class: u64, student: &str) -> u64 {
    class * 1_000 + student.len() as u64 * 100 + runs.fetch_add(1, SeqCst) as u64
}

#[redis_cached(prefix = "grp", name = "gated", group = "class:{class}", cache = cache, skip(cache, gate))]
async fn gated(cache: &Cache, gate: Arc<Gate>, class: u64, id: u64) -> u64 {
    assert_eq!(class, 7);
    id + gate.pass().await as u64
}

#[redis_cached(prefix = "grp", name = "gated_plain", group = "class:{class}", cache = cache, skip(cache, gate))]
fn gated_plain(cache: &Cache, gate: &Gate, class: u64, id: u64) -> u64 {
    assert_eq!(class, 7);
    id + gate.pass_blocking() as u64
}

#[redis_cached(prefix = "grp", name = "old", group = "class:{class}", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, gate))]
async fn old(cache: &Cache, gate: Arc<Gate>, class: u64, id: u64) -> u64 {
    assert_eq!(class, 7);
    id + gate.pass().await as u64
}

#[redis_cached(prefix = "grp", name = "old_plain", group = "class:{class}", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, gate))]
fn old_plain(cache: &Cache, gate: Arc<Gate>, class: u64, id: u64) -> u64 {
    assert_eq!(class, 7);
    id + gate.pass_blocking() as u64
}

const HASH: &str = "grp:#group:class:7";

fn open() -> Arc<Gate> {
    let gate = Arc::new(Gate::closed());
    gate.open();
    gate
}

/// Two views of one server, as two processes have them, and one memory.
fn pairs(server: &Server) -> [[Cache; 2]; 2] {
    let memory = cache("memory://");
    [[memory.clone(), memory], [0, 1].map(|_| remote(server))]
}

/// With a time-out that a busy machine does not reach: what is stored is there.
fn cache(url: &str) -> Cache {
    Cache::builder(url).unwrap().timeout(PATIENCE).build()
}

fn remote(server: &Server) -> Cache {
    cache(&server.url())
}

/// One in memory and one on the server: what holds for both.
fn caches(server: &Server) -> [Cache; 2] {
    ["memory://", &server.url()].map(cache)
}

/// The commands that clients sent since the last call: those of connecting, the clock's and the check
/// that the server is a master left out.
fn asked(monitor: &mut Monitor) -> Vec<Vec<String>> {
    let beside = ["CLIENT", "HELLO", "INFO", "TIME", "ROLE", "SELECT", "AUTH"];
    let is_beside = |command: &[String]| command == ["EXISTS", "redis-cached"] || beside.contains(&&*command[0]);
    monitor.commands().into_iter().filter(|command| !is_beside(command)).collect()
}

fn names(commands: &[Vec<String>]) -> Vec<String> {
    commands.iter().map(|command| command[0].to_uppercase()).collect()
}

fn number(server: &Server, command: &[&str]) -> i64 {
    server.cli(command).parse().unwrap()
}

/// Of the hash.
fn expires_in(server: &Server) -> i64 {
    number(server, &["PTTL", HASH])
}

fn fields(server: &Server) -> Vec<String> {
    let mut fields: Vec<String> = server.cli(&["HKEYS", HASH]).lines().map(str::to_owned).collect();
    fields.retain(|field| !field.is_empty());
    fields.sort();
    fields
}

fn has_field_expiry(server: &Server) -> bool {
    server.cli(&["HPEXPIRE", "no such hash", "1", "FIELDS", "1", "f"]).starts_with("-2")
}

#[tokio::test]
async fn a_hit_is_one_hmget_and_a_miss_two_scripts_more() {
    // Nobody else's: what a miss sends depends on what the calls before it found.
    #[redis_cached(prefix = "grp", name = "grade", group = "class:{class}", cache = cache, skip(cache, runs))]
    async fn grade(cache: &Cache, runs: &AtomicUsize, class: u64, student: &str) -> u64 {
        class * 1_000 + student.len() as u64 * 100 + runs.fetch_add(1, SeqCst) as u64
    }
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    grade(&cache, &runs, 7, "Ada").await; // connects, and makes the script known

    let mut monitor = server.monitor();
    grade(&cache, &runs, 7, "Grace").await;
    let miss = asked(&mut monitor);
    assert_eq!(names(&miss), ["HMGET", "EVALSHA", "EVALSHA"], "{miss:?}");
    assert_eq!(miss[0], ["HMGET", HASH, "grade:7:Grace", "grade:7:Grace\0r"]);

    grade(&cache, &runs, 7, "Grace").await;
    assert_eq!(asked(&mut monitor), [["HMGET", HASH, "grade:7:Grace", "grade:7:Grace\0r"]]);
    assert_eq!(grade_entry(&cache, 7, "Grace").get().await.unwrap(), Some(7_501));
    assert_eq!(asked(&mut monitor), [["HMGET", HASH, "grade:7:Grace", "grade:7:Grace\0r"]]);
}

#[test]
fn the_same_of_plain_functions() {
    #[redis_cached(prefix = "grp", name = "plain", group = "class:{class}", cache = cache, skip(cache, runs))]
    fn plain(cache: &Cache, runs: &AtomicUsize, class: u64, student: &str) -> u64 {
        class * 1_000 + student.len() as u64 * 100 + runs.fetch_add(1, SeqCst) as u64
    }
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    plain(&cache, &runs, 7, "Ada");
    let mut monitor = server.monitor();
    plain(&cache, &runs, 7, "Grace");
    let miss = asked(&mut monitor);
    assert_eq!(names(&miss), ["HMGET", "EVALSHA", "EVALSHA"], "{miss:?}");
    plain(&cache, &runs, 7, "Grace");
    assert_eq!(asked(&mut monitor), [["HMGET", HASH, "plain:7:Grace", "plain:7:Grace\0r"]]);
}

#[tokio::test]
async fn invalidations_are_one_hdel_or_one_unlink() {
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    for student in ["Ada", "Grace", "Edsger"] {
        grade(&cache, &runs, 7, student).await;
    }
    let mut monitor = server.monitor();
    assert!(grade_entry(&cache, 7, "Ada").invalidate().await.unwrap());
    assert_eq!(asked(&mut monitor), [["HDEL", HASH, "grade:7:Ada", "grade:7:Ada\0r"]]);
    assert!(grade_group(&cache, 7).invalidate().await.unwrap());
    assert_eq!(asked(&mut monitor), [["UNLINK", HASH]]);
    assert!(!grade_group(&cache, 7).invalidate().await.unwrap(), "it is gone");
    assert_eq!(server.cli(&["DBSIZE"]), "0");
}

#[tokio::test]
async fn fields_are_readable_and_keys_told() {
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    grade(&cache, &runs, 7, "Ada Lovelace").await;
    plain(&cache, &runs, 7, "Ada");
    assert_eq!(fields(&server), ["grade:7:Ada%20Lovelace", "plain:7:Ada"]);
    assert_eq!(grade_entry(&cache, 7, "Ada Lovelace").key().unwrap(), "grp:#group:class:7 grade:7:Ada%20Lovelace");
    assert_eq!(grade_group(&cache, 7).key().unwrap(), HASH);
    assert_eq!(plain_group(&cache, 7).key().unwrap(), HASH);
}

#[tokio::test]
async fn the_verbs_of_one_entry_leave_the_others_alone() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        let (ada, grace) = (grade_entry(&cache, 7, "Ada"), grade_entry(&cache, 7, "Grace"));
        assert_eq!((ada.get().await.unwrap(), ada.ttl().await.unwrap()), (None, None));
        assert!(!ada.invalidate().await.unwrap(), "nothing was there");
        assert_eq!(grade(&cache, &runs, 7, "Ada").await, 7_300);
        assert_eq!(grade(&cache, &runs, 7, "Grace").await, 7_501);
        assert_eq!(grade(&cache, &runs, 8, "Ada").await, 8_302);
        assert_eq!(plain(&cache, &runs, 7, "Ada"), 7_303);
        let others = async || {
            assert_eq!(grace.get().await.unwrap(), Some(7_501));
            assert_eq!(grade_entry(&cache, 8, "Ada").get().await.unwrap(), Some(8_302));
            assert_eq!(plain_entry(&cache, 7, "Ada").get().unwrap(), Some(7_303));
        };

        assert_eq!(grade(&cache, &runs, 7, "Ada").await, 7_300, "a hit");
        let left = ada.ttl().await.unwrap().unwrap();
        assert!(left <= Duration::from_secs(600) && left > Duration::from_secs(500), "{left:?}");
        assert!(ada.put(&1).await.unwrap());
        assert_eq!(grade(&cache, &runs, 7, "Ada").await, 1);
        others().await;

        assert!(ada.invalidate().await.unwrap());
        assert_eq!(ada.get().await.unwrap(), None);
        others().await;

        let written = ada.write_through(&2, async || {
            assert_eq!(ada.get().await.unwrap(), None, "nothing is served while it is written");
            Ok::<_, ()>("written")
        });
        assert_eq!(written.await, Ok("written"));
        assert_eq!(ada.get().await.unwrap(), Some(2));
        others().await;
        assert_eq!(ada.write_through(&3, async || Err::<(), _>("deadlock")).await, Err("deadlock"));
        assert_eq!(ada.get().await.unwrap(), None, "the write may have been committed");
        others().await;

        assert_eq!(grade_refresh(&cache, &runs, 7, "Ada").await, 7_304);
        assert_eq!(grade_refresh(&cache, &runs, 7, "Ada").await, 7_305);
        assert_eq!(ada.get().await.unwrap(), Some(7_305));
        assert_eq!(grade_uncached(&cache, &runs, 7, "Ada").await, 7_306);
        assert_eq!(ada.get().await.unwrap(), Some(7_305));
        others().await;
    }
}

#[test]
fn the_verbs_of_plain_functions_too() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        let (ada, grace) = (plain_entry(&cache, 7, "Ada"), plain_entry(&cache, 7, "Grace"));
        let class = plain_group(&cache, 7);
        assert!(class.is_empty().unwrap());
        assert_eq!((plain(&cache, &runs, 7, "Ada"), plain(&cache, &runs, 7, "Grace")), (7_300, 7_501));
        assert_eq!((plain(&cache, &runs, 7, "Ada"), runs.load(SeqCst)), (7_300, 2));
        assert!(ada.ttl().unwrap().is_some());
        assert!(ada.put(&1).unwrap());
        assert_eq!((ada.get().unwrap(), grace.get().unwrap()), (Some(1), Some(7_501)));
        assert_eq!(ada.write_through(&2, || Ok::<_, ()>(9)), Ok(9));
        assert_eq!(plain(&cache, &runs, 7, "Ada"), 2);
        assert_eq!(plain_refresh(&cache, &runs, 7, "Ada"), 7_302);
        assert!(ada.invalidate().unwrap());
        assert_eq!((ada.get().unwrap(), grace.get().unwrap()), (None, Some(7_501)));
        assert_eq!(class.len().unwrap(), 1);
        assert!(class.invalidate().unwrap());
        assert!(!class.invalidate().unwrap());
        assert_eq!((grace.get().unwrap(), class.len().unwrap()), (None, 0));
    }
}

#[tokio::test]
async fn a_group_goes_with_the_entries_of_all_its_functions_and_no_others() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        for class in [7, 77, 8] {
            for student in 0..50 {
                grade(&cache, &runs, class, &student.to_string()).await;
                plain(&cache, &runs, class, &student.to_string());
            }
        }
        let class = grade_group(&cache, 7);
        assert_eq!((class.len().await.unwrap(), plain_group(&cache, 77).len().unwrap()), (100, 100));
        assert!(class.invalidate().await.unwrap());
        assert!(class.is_empty().await.unwrap());
        for student in 0..50 {
            let student = student.to_string();
            assert_eq!(grade_entry(&cache, 7, &student).get().await.unwrap(), None);
            assert_eq!(plain_entry(&cache, 7, &student).get().unwrap(), None);
            for class in [77, 8] {
                assert!(grade_entry(&cache, class, &student).get().await.unwrap().is_some());
                assert!(plain_entry(&cache, class, &student).get().unwrap().is_some());
            }
        }
        assert_eq!(grade_group(&cache, 8).len().await.unwrap(), 100);
    }
}

#[tokio::test]
async fn a_group_is_found_by_its_name_too() {
    let server = Server::start();
    for cache in [
        Cache::builder("memory://").unwrap().build(),
        remote(&server),
        Cache::builder(&server.url()).unwrap().namespace("staging").timeout(PATIENCE).build(),
    ] {
        let runs = AtomicUsize::new(0);
        grade(&cache, &runs, 7, "Ada").await;
        let group = cache.group("grp:class:7");
        assert_eq!(group.key().unwrap(), grade_group(&cache, 7).key().unwrap());
        assert_eq!(cache.group(HASH).key().unwrap(), group.key().unwrap());
        assert_eq!((group.len().await.unwrap(), cache.blocking().group("grp:class:7").len().unwrap()), (1, 1));
        assert!(group.invalidate().await.unwrap());
        assert_eq!(grade_entry(&cache, 7, "Ada").get().await.unwrap(), None);
        for name in ["", "a b", "a\nb", "a\0r", "class", "grp:", ":class", "#tag:a", "grp:#tag:a"] {
            assert_eq!(cache.group(name).key().unwrap_err().kind(), ErrorKind::Key, "{name:?}");
            assert_eq!(cache.group(name).invalidate().await.unwrap_err().kind(), ErrorKind::Key);
            assert_eq!(cache.blocking().group(name).len().unwrap_err().kind(), ErrorKind::Key);
        }
    }
}

#[tokio::test]
async fn a_group_and_a_function_of_the_same_name_share_no_key() {
    #[redis_cached(prefix = "grp", name = "class", cache = cache, skip(cache))]
    async fn class(cache: &Cache, id: u64) -> u64 {
        id
    }
    #[redis_cached(prefix = "grp", name = "class", cache = cache, skip(cache))]
    fn class_plain(cache: &Cache, id: u64) -> u64 {
        id
    }
    // The group's name is that of a tag's stamp in the namespace `grp`.
    #[redis_cached(prefix = "grp", name = "tagged", group = "tag:{id}", tags = ["{id}"], cache = cache, skip(cache))]
    async fn tagged(cache: &Cache, id: u64) -> u64 {
        id
    }
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        // Each side is stored first once, and both stay.
        for (id, plain_first) in [(7, true), (8, false)] {
            if plain_first {
                class(&cache, id).await;
            }
            grade(&cache, &runs, id, "Ada").await;
            class(&cache, id).await;
            let both = async || {
                let grade = grade_entry(&cache, id, "Ada").get().await.unwrap();
                (class_entry(&cache, id).get().await.unwrap(), grade.is_some())
            };
            assert_eq!(both().await, (Some(id), true));
            assert_eq!(class_plain_entry(&cache, id).get().unwrap(), Some(id));
            assert!(grade_group(&cache, id).invalidate().await.unwrap());
            assert_eq!(both().await, (Some(id), false), "the function's entry stays");
            grade(&cache, &runs, id, "Ada").await;
            assert!(class_entry(&cache, id).invalidate().await.unwrap());
            assert_eq!(both().await, (None, true), "the group stays");
        }
    }
    let [spaced, bare] = [
        Cache::builder(&server.url()).unwrap().namespace("grp").timeout(PATIENCE).build(),
        Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build(),
    ];
    tagged(&spaced, 7).await;
    tagged(&bare, 7).await;
    for cache in [&spaced, &bare] {
        assert_eq!(tagged_entry(cache, 7).get().await.unwrap(), Some(7));
    }
    assert!(tagged_group(&bare, 7).invalidate().await.unwrap());
    assert_eq!(tagged_entry(&spaced, 7).get().await.unwrap(), Some(7), "the tag's stamp stays");
}

#[tokio::test]
async fn namespaces_have_groups_of_their_own() {
    let server = Server::start();
    let [one, two] =
        ["one", "two"].map(|name| Cache::builder(&server.url()).unwrap().namespace(name).timeout(PATIENCE).build());
    let runs = AtomicUsize::new(0);
    assert_eq!(grade(&one, &runs, 7, "Ada").await, 7_300);
    assert_eq!(grade(&two, &runs, 7, "Ada").await, 7_301);
    assert_eq!(grade_group(&one, 7).key().unwrap(), "one:grp:#group:class:7");
    assert!(grade_group(&one, 7).invalidate().await.unwrap());
    assert_eq!(grade(&two, &runs, 7, "Ada").await, 7_301);
    assert_eq!(grade(&one, &runs, 7, "Ada").await, 7_302);
}

#[tokio::test]
async fn functions_with_one_group_and_one_name_share_an_entry() {
    #[redis_cached(prefix = "grp", group = "users:{org}", name = "user", key = "{id}", cache = cache, skip(cache))]
    async fn user(cache: &Cache, org: u64, id: u64) -> String {
        format!("{org} {id}")
    }
    #[redis_cached(prefix = "grp", group = "users:{org}", name = "user", key = "{id}", cache = cache, skip(cache))]
    fn user_plain(cache: &Cache, org: u64, id: u64) -> String {
        unreachable!("{org} {id}")
    }
    // In a place of its own beside it.
    #[redis_cached(prefix = "grp", group = "users:{org}", name = "photo", key = "{id}", cache = cache, skip(cache))]
    async fn photo(cache: &Cache, org: u64, id: u64) -> String {
        format!("photo {org} {id}")
    }
    let server = Server::start();
    for cache in caches(&server) {
        assert_eq!(user(&cache, 1, 2).await, "1 2");
        assert_eq!(user_plain(&cache, 1, 2), "1 2");
        assert_eq!(photo(&cache, 1, 2).await, "photo 1 2");
        assert_eq!(user_entry(&cache, 1, 2).key().unwrap(), user_plain_entry(&cache, 1, 2).key().unwrap());
        assert_eq!(user_entry(&cache, 1, 2).key().unwrap(), "grp:#group:users:1 user:2");
        assert_eq!(photo_entry(&cache, 1, 2).key().unwrap(), "grp:#group:users:1 photo:2");
        assert_eq!(user_group(&cache, 1).len().await.unwrap(), 2);
        assert!(user_plain_entry(&cache, 1, 2).invalidate().unwrap());
        assert_eq!(user_entry(&cache, 1, 2).get().await.unwrap(), None);
    }
    assert_eq!(server.cli(&["HKEYS", "grp:#group:users:1"]), "photo:2");
}

#[tokio::test]
async fn methods_name_their_group_by_self() {
    struct Repository {
        cache: Cache,
        tenant: String,
    }
    impl Repository {
        #[redis_cached(prefix = "grp", group = "tenant:{self.tenant}", name = "user", key = "{id}", cache = self.cache)]
        async fn user(&self, id: u64) -> String {
            format!("{} {id}", self.tenant)
        }
    }
    let server = Server::start();
    for cache in caches(&server) {
        let [one, two] = ["a:b", "a"].map(|tenant| Repository { cache: cache.clone(), tenant: tenant.to_owned() });
        assert_eq!((one.user(1).await, two.user(1).await), ("a:b 1".to_owned(), "a 1".to_owned()));
        assert_eq!(one.user_group().key().unwrap(), "grp:#group:tenant:a%3Ab");
        assert!(two.user_group().invalidate().await.unwrap());
        assert_eq!(one.user_entry(1).get().await.unwrap().as_deref(), Some("a:b 1"));
        assert_eq!(two.user_entry(1).get().await.unwrap(), None);
    }
}

/// Neither a class nor a student can forge another's place, or a group that is dropped.
#[tokio::test]
async fn hostile_arguments_stay_in_their_group_and_their_field() {
    #[redis_cached(prefix = "grp", name = "seat", group = "room:{room}", cache = cache, skip(cache))]
    async fn seat(cache: &Cache, room: &str, student: &str) -> (String, String) {
        (room.to_owned(), student.to_owned())
    }
    let (long, longer) = ("x".repeat(10_000), format!("{}y", "x".repeat(10_000)));
    let texts = [
        "", " ", ":", "a", "a:b", "a b", "a seat:a", "{a}", "a\0r", "\0r", "\n", "é", "%20", "*", "#", "#tag:a", "'",
        &long, &longer,
    ];
    let server = Server::start();
    for cache in caches(&server) {
        let mut keys = std::collections::HashSet::new();
        for room in texts {
            for student in texts {
                let key = seat_entry(&cache, room, student).key().unwrap().to_owned();
                assert!(key.len() < 500 && key.matches(' ').count() == 1, "{key:?}");
                assert!(keys.insert(key), "{room:?} {student:?}");
                assert_eq!(seat(&cache, room, student).await, (room.to_owned(), student.to_owned()));
            }
        }
        for room in texts {
            for student in texts {
                let got = seat_entry(&cache, room, student).get().await.unwrap();
                assert_eq!(got, Some((room.to_owned(), student.to_owned())));
            }
        }
        for (at, room) in texts.into_iter().enumerate() {
            assert!(seat_group(&cache, room).invalidate().await.unwrap(), "{room:?}");
            assert!(seat_group(&cache, room).is_empty().await.unwrap(), "{room:?}");
            for other in &texts[at + 1..] {
                assert_eq!(seat_group(&cache, other).len().await.unwrap(), texts.len() as u64, "{room:?} {other:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_group_counts_values_and_not_computations() {
    let server = Server::start();
    for cache in caches(&server) {
        let (runs, gate) = (AtomicUsize::new(0), Arc::new(Gate::closed()));
        let class = grade_group(&cache, 7);
        assert!(class.is_empty().await.unwrap() && class.len().await.unwrap() == 0);
        let leader = {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move { gated(&cache, gate, 7, 10).await })
        };
        gate.wait_for(1).await;
        assert!(class.is_empty().await.unwrap(), "a lease is no entry");
        grade(&cache, &runs, 7, "Ada").await;
        assert_eq!(class.len().await.unwrap(), 1);
        gate.open();
        leader.await.unwrap();
        assert_eq!(class.len().await.unwrap(), 2);
    }
}

#[tokio::test]
async fn lifetimes_in_one_group_are_exact_and_the_hash_lives_as_long_as_the_longest() {
    #[redis_cached(prefix = "grp", name = "millis", group = "class:{class}", ttl = |ms: &u64| Duration::from_millis(*ms), cache = cache, skip(cache))]
    async fn millis(cache: &Cache, class: u64, ms: u64) -> u64 {
        assert_eq!(class, 7);
        ms
    }
    #[redis_cached(prefix = "grp", name = "forever", group = "class:{class}", ttl = forever, cache = cache, skip(cache))]
    async fn forever(cache: &Cache, class: u64) -> u64 {
        class
    }
    const HOUR: u64 = 3_600_000;
    let server = Server::start();
    for cache in caches(&server) {
        let is_remote = format!("{cache:?}").contains("redis://");
        let left = async |ms| millis_entry(&cache, 7, ms).ttl().await.unwrap().map(|left| left.as_millis() as u64);
        // Alone, a short-lived one leaves nothing behind for longer than a lease.
        millis(&cache, 7, 30).await;
        if is_remote {
            let left = expires_in(&server);
            assert!((1..=10_000).contains(&left) || left == -2, "{left}");
        }
        expired(millis_entry(&cache, 7, 30)).await;

        for ms in [HOUR, 400, 999, 60_000] {
            millis(&cache, 7, ms).await;
            let left = left(ms).await.unwrap();
            assert!(left <= ms && left + 300 > ms, "{ms}: {left}");
            if is_remote {
                let hash = expires_in(&server);
                assert!((HOUR as i64 - 5_000..=HOUR as i64).contains(&hash), "{ms}: {hash}");
            }
        }
        millis(&cache, 7, 120).await;
        let begun = Instant::now();
        expired(millis_entry(&cache, 7, 120)).await;
        assert!(begun.elapsed() >= Duration::from_millis(90), "{:?}", begun.elapsed());
        assert!(left(HOUR).await.unwrap() > HOUR - 20_000, "its neighbour is as it was");

        // Zero: not stored.
        millis(&cache, 7, 0).await;
        assert_eq!(left(0).await, None);

        millis(&cache, 7, 2 * HOUR).await;
        millis(&cache, 7, 30 * 24 * HOUR).await;
        if is_remote {
            let hash = expires_in(&server);
            assert!((30 * 24 * HOUR as i64 - 5_000..=30 * 24 * HOUR as i64).contains(&hash), "it grows: {hash}");
        }
        forever(&cache, 7).await;
        assert_eq!(forever_entry(&cache, 7).ttl().await.unwrap(), Some(Duration::MAX));
        millis(&cache, 7, 50).await;
        if is_remote {
            assert_eq!(expires_in(&server), -1, "for ever, whatever comes after");
        }
        expired(millis_entry(&cache, 7, 50)).await;
        assert_eq!(forever_entry(&cache, 7).get().await.unwrap(), Some(7));
        assert!(left(HOUR).await.is_some());
        // A life that is refreshed starts again.
        millis_entry(&cache, 7, 400).put(&400).await.unwrap();
        assert!(left(400).await.unwrap() > 300);
        // A new group of the same name has an end again.
        grade_group(&cache, 7).invalidate().await.unwrap();
        millis(&cache, 7, HOUR).await;
        if is_remote {
            assert!((1..=HOUR as i64).contains(&expires_in(&server)));
        }
    }
}

#[tokio::test]
async fn a_none_in_a_group_has_its_own_lifetime() {
    #[redis_cached(prefix = "grp", name = "found", group = "class:{class}", ttl = "1h", none_ttl = "40ms", cache = cache, skip(cache, runs))]
    async fn found(cache: &Cache, runs: &AtomicUsize, class: u64, id: u64) -> Option<u64> {
        runs.fetch_add(1, SeqCst);
        (id > 0).then_some(class + id)
    }
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        assert_eq!(found(&cache, &runs, 7, 1).await, Some(8));
        assert_eq!(found(&cache, &runs, 7, 0).await, None);
        let begun = Instant::now();
        if found_entry(&cache, 7, 0).get().await.unwrap().is_none() {
            assert!(begun.elapsed() > Duration::from_millis(20), "a stored `None` is there");
        }
        expired(found_entry(&cache, 7, 0)).await;
        let before = runs.load(SeqCst);
        assert_eq!(found(&cache, &runs, 7, 0).await, None);
        assert_eq!(runs.load(SeqCst), before + 1);
        assert_eq!(found(&cache, &runs, 7, 1).await, Some(8));
        assert_eq!(runs.load(SeqCst), before + 1);
    }
}

/// Where fields cannot expire, each new computation looks at a few.
#[tokio::test]
async fn entries_that_have_expired_do_not_pile_up() {
    #[redis_cached(prefix = "grp", name = "brief", group = "class:{class}", ttl = "5ms", cache = cache, skip(cache))]
    async fn brief(cache: &Cache, class: u64, id: u64) -> Vec<u64> {
        vec![class; 10 + id as usize % 10]
    }
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    // With some that stay.
    for student in 0..50 {
        grade(&cache, &runs, 7, &student.to_string()).await;
    }
    let sweeps = !has_field_expiry(&server);
    for id in 0..3_000 {
        brief(&cache, 7, id).await;
        if sweeps && id % 100 == 99 {
            let fields = number(&server, &["HLEN", HASH]);
            assert!(fields < 500, "{fields} fields after {id} entries");
        }
    }
    // One after the other, the next computations find the rest of them.
    let mut id = 3_000;
    in_time("what has expired is gone", async || {
        brief(&cache, 7, id).await;
        id += 1;
        number(&server, &["HLEN", HASH]) < 100
    })
    .await;
    for student in 0..50 {
        assert!(grade_entry(&cache, 7, &student.to_string()).get().await.unwrap().is_some());
    }
    assert!(grade_group(&cache, 7).len().await.unwrap() < 100);
}

/// A way to void a computation in the group.
enum Void<'a> {
    Entry(&'a Cache),
    Group(&'a Cache),
    PlainGroup(&'a Cache),
    All(&'a Cache),
    /// In whatever language.
    Command(&'a Server, &'a [&'a str]),
}

impl Void<'_> {
    async fn run(&self) {
        match self {
            Void::Entry(cache) => drop(voided_entry(cache, 7).invalidate().await.unwrap()),
            Void::Group(cache) => drop(voided_group(cache, 7).invalidate().await.unwrap()),
            Void::PlainGroup(cache) => drop(plain_group(cache, 7).invalidate().unwrap()),
            Void::All(cache) => drop(cache.invalidate_all([voided_group(cache, 7)]).await.unwrap()),
            Void::Command(server, command) => drop(server.cli(command)),
        }
    }
}

#[redis_cached(prefix = "grp", name = "voided", group = "class:{class}", cache = cache, skip(cache, runs, void))]
async fn voided(cache: &Cache, runs: &AtomicUsize, void: Option<&Void<'_>>, class: u64) -> u64 {
    let run = runs.fetch_add(1, SeqCst) as u64;
    if let Some(void) = void {
        void.run().await;
    }
    class + run
}

#[tokio::test]
async fn whatever_empties_a_group_or_a_field_voids_the_computation() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let is_remote = format!("{cache:?}").contains("redis://");
        let by = |cache| [Void::Entry(cache), Void::Group(cache), Void::PlainGroup(cache), Void::All(cache)];
        let mut voids: Vec<Void<'_>> = by(&cache).into_iter().chain(by(&other)).collect();
        if is_remote {
            let commands: [&[&str]; 7] = [
                &["UNLINK", HASH],
                &["DEL", HASH],
                &["HDEL", HASH, "voided:7"],
                &["FLUSHALL"],
                &["PEXPIRE", HASH, "0"],
                &["HSET", HASH, "voided:7", "somebody's"],
                &["RENAME", HASH, "elsewhere"],
            ];
            voids.extend(commands.map(|command| Void::Command(&server, command)));
        }
        for void in &voids {
            let (runs, refused) = (AtomicUsize::new(0), cache.stats().refused);
            assert_eq!(voided(&cache, &runs, Some(void), 7).await, 7, "its own caller gets it");
            assert_eq!(voided_entry(&other, 7).get().await.unwrap(), None, "nobody else does");
            assert_eq!(cache.stats().refused, refused + 1);
            assert_eq!((voided(&cache, &runs, None, 7).await, voided(&other, &runs, None, 7).await), (8, 8));
            voided_group(&cache, 7).invalidate().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_call_after_the_invalidation_does_not_wait_for_the_body_before_it() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        for by in [&cache, &other] {
            let gate = Arc::new(Gate::closed());
            let call = |cache: &Cache| {
                let (cache, gate) = (cache.clone(), gate.clone());
                tokio::spawn(async move { gated(&cache, gate, 7, 10).await })
            };
            let first = call(&cache);
            gate.wait_for(1).await;
            let follower = call(&cache);
            assert!(gated_group(by, 7).invalidate().await.unwrap(), "a lease was there");
            let later = [call(&cache), call(&other), call(&cache)];
            gate.wait_for(2).await;
            gate.open();
            assert_eq!(first.await.unwrap(), 11);
            assert!((11..=12).contains(&follower.await.unwrap()));
            for call in later {
                assert_eq!(call.await.unwrap(), 12);
            }
            assert_eq!(gate.entered(), 2, "once for all that came after");
            assert_eq!(gated_entry(&other, 7, 10).get().await.unwrap(), Some(12));
            gated_group(&cache, 7).invalidate().await.unwrap();
        }
    }
}

#[tokio::test]
async fn one_body_runs_for_the_callers_of_two_processes() {
    let server = Server::start();
    for caches in pairs(&server) {
        let gate = Arc::new(Gate::closed());
        let calls = caches.iter().cycle().take(100).map(|cache| {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move { gated(&cache, gate, 7, 10).await })
        });
        let calls: Vec<_> = calls.collect();
        gate.wait_for(1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        gate.open();
        for call in calls {
            assert_eq!(call.await.unwrap(), 11);
        }
        assert_eq!(gate.entered(), 1);
    }
}

#[test]
fn one_plain_body_runs_for_the_callers_of_two_processes() {
    let server = Server::start();
    for caches in pairs(&server) {
        let gate = Gate::closed();
        std::thread::scope(|scope| {
            for cache in caches.iter().cycle().take(20) {
                scope.spawn(|| assert_eq!(gated_plain(cache, &gate, 7, 10), 11));
            }
            eventually("a body begins", || gate.entered() == 1);
            std::thread::sleep(Duration::from_millis(50));
            gate.open();
        });
        assert_eq!(gate.entered(), 1);
    }
}

#[redis_cached(prefix = "grp", name = "short", group = "class:{class}", lease = "300ms", wait = "3s", cache = cache, skip(cache, gate))]
async fn short(cache: &Cache, gate: Arc<Gate>, class: u64, id: u64) -> u64 {
    assert_eq!(class, 7);
    id + gate.pass().await as u64
}

fn field_of<V>(entry: &redis_cached::Entry<V>) -> String {
    entry.key().unwrap().split_once(' ').unwrap().1.to_owned()
}

#[tokio::test]
async fn a_body_slower_than_its_lease_keeps_it_and_runs_once() {
    let server = Server::start();
    for [leader, other] in pairs(&server) {
        let gate = Arc::new(Gate::closed());
        let call = |cache: &Cache| {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move { short(&cache, gate, 7, 10).await })
        };
        let first = call(&leader);
        gate.wait_for(1).await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        let second = call(&other);
        tokio::time::sleep(Duration::from_millis(50)).await;
        gate.open();
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (11, 11));
        assert_eq!(short_entry(&other, 7, 10).get().await.unwrap(), Some(11));
        assert_eq!(gate.entered(), 1);
    }
}

/// What a process leaves behind that was killed: in a field, with its end behind its token.
#[tokio::test]
async fn a_lease_that_nobody_renews_ends_and_the_next_call_takes_over() {
    let server = Server::start();
    let (cache, gate) = (remote(&server), open());
    let now = || {
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query(&mut server.connection()).unwrap();
        seconds * 1_000 + micros / 1_000
    };
    let leave = |id: u64, end: u64| {
        let lease = [&b"L\x01"[..], &[7; 16], format!("{end:016}").as_bytes()].concat();
        let field = field_of(&short_entry(&cache, 7, id));
        redis::cmd("HSET").arg(HASH).arg(field).arg(lease).exec(&mut server.connection()).unwrap();
    };
    for past in [1, 10_000] {
        leave(past, now() - past);
        let value = short(&cache, gate.clone(), 7, past).await;
        assert_eq!(short_entry(&cache, 7, past).get().await.unwrap(), Some(value), "it had the lease itself");
    }
    assert_eq!(gate.entered(), 2);
    for id in [20, 30] {
        leave(id, now() + 200);
        let begun = Instant::now();
        let value = short(&cache, gate.clone(), 7, id).await;
        assert!((Duration::from_millis(180)..Duration::from_secs(5)).contains(&begun.elapsed()));
        assert_eq!(short_entry(&cache, 7, id).get().await.unwrap(), Some(value), "it had the lease itself");
    }
    // Longer than a call's patience: it computes, and leaves the other's lease alone.
    leave(40, now() + 600_000);
    let value = short(&cache, gate.clone(), 7, 40).await;
    assert_eq!((value, short_entry(&cache, 7, 40).get().await.unwrap()), (45, None));
    assert!(short_entry(&cache, 7, 40).invalidate().await.unwrap());
    short(&cache, gate.clone(), 7, 40).await;
    assert_eq!(short_entry(&cache, 7, 40).get().await.unwrap(), Some(46));
}

/// A leader that slept past its lease: its time is up, and another one has computed.
#[tokio::test]
async fn a_leader_whose_lease_was_taken_over_stores_nothing() {
    let server = Server::start();
    let (leader, other) = (remote(&server), remote(&server));
    let gate = Arc::new(Gate::closed());
    let first = {
        let (cache, gate) = (leader.clone(), gate.clone());
        tokio::spawn(async move { gated(&cache, gate, 7, 10).await })
    };
    gate.wait_for(1).await;
    let field = field_of(&gated_entry(&leader, 7, 10));
    let mut connection = server.connection();
    let mut lease: Vec<u8> = redis::cmd("HGET").arg(HASH).arg(&field).query(&mut connection).unwrap();
    assert_eq!(lease.len(), 34);
    lease[18..34].copy_from_slice(b"0000000000000001");
    redis::cmd("HSET").arg(HASH).arg(&field).arg(lease).exec(&mut connection).unwrap();
    let computed = gated(&other, open(), 7, 10).await;
    assert_eq!(gated_entry(&other, 7, 10).get().await.unwrap(), Some(computed));
    gated_entry(&other, 7, 10).put(&99).await.unwrap();
    gate.open();
    assert_eq!(first.await.unwrap(), 11);
    assert_eq!(leader.stats().refused, 1);
    assert_eq!(gated_entry(&other, 7, 10).get().await.unwrap(), Some(99));
}

#[tokio::test]
async fn a_cancelled_or_panicking_call_leaves_no_lease() {
    #[redis_cached(prefix = "grp", name = "ends", group = "class:{class}", lease = "10m", cache = cache, skip(cache, gate, panics))]
    async fn ends(cache: &Cache, gate: Arc<Gate>, panics: bool, class: u64) -> u64 {
        let run = gate.pass().await as u64;
        assert!(!panics, "a panic that a test asked for");
        class + run
    }
    let server = Server::start();
    for cache in caches(&server) {
        for panics in [false, true] {
            let gate = Arc::new(Gate::closed());
            let call = {
                let (cache, gate) = (cache.clone(), gate.clone());
                tokio::spawn(async move { ends(&cache, gate, panics, 7).await })
            };
            gate.wait_for(1).await;
            if panics {
                gate.open();
            } else {
                call.abort();
            }
            call.await.unwrap_err();
            gate.open();
            in_time("a value is stored", async || {
                ends(&cache, gate.clone(), false, 7).await;
                ends_entry(&cache, 7).get().await.unwrap().is_some()
            })
            .await;
            ends_entry(&cache, 7).invalidate().await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_error_is_not_stored_and_leaves_no_lease() {
    #[redis_cached(prefix = "grp", name = "fails", group = "class:{class}", lease = "10m", cache = cache, skip(cache, runs))]
    async fn fails(cache: &Cache, runs: &AtomicUsize, class: u64) -> Result<u64, String> {
        match runs.fetch_add(1, SeqCst) {
            0..10 => Err("it fails".to_owned()),
            _ => Ok(class),
        }
    }
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        for run in 1..=10 {
            assert!(fails(&cache, &runs, 7).await.is_err());
            assert_eq!(runs.load(SeqCst), run);
        }
        in_time("a value is stored", async || {
            assert_eq!(fails(&cache, &runs, 7).await, Ok(7));
            fails_entry(&cache, 7).get().await.unwrap() == Some(7)
        })
        .await;
    }
}

#[tokio::test]
async fn an_old_value_is_served_at_once_and_refreshed_once_behind() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let is_remote = format!("{cache:?}").contains("redis://");
        let gate = open();
        assert_eq!(old(&cache, gate.clone(), 7, 10).await, 11);
        expired(old_entry(&cache, 7, 10)).await;
        gate.close();
        for _ in 0..50 {
            assert_eq!(old(&cache, gate.clone(), 7, 10).await, 11);
        }
        gate.wait_for(2).await;
        other.ping().await.unwrap(); // connects
        let mut monitor = server.monitor();
        for _ in 0..50 {
            assert_eq!(old(&other, gate.clone(), 7, 10).await, 11, "nobody waits");
        }
        let sent = asked(&mut monitor);
        if is_remote {
            // The companion says who refreshes.
            assert!(names(&sent).iter().all(|name| name == "HMGET"), "{sent:?}");
            let field = field_of(&old_entry(&cache, 7, 10));
            assert_eq!(fields(&server), [field.clone(), format!("{field}\0r")]);
        }
        assert_eq!(gate.entered(), 2, "one refresh at a time");
        gate.open();
        in_time("the new value is there", async || old(&other, gate.clone(), 7, 10).await == 12).await;
        grade_group(&cache, 7).invalidate().await.unwrap();
    }
}

#[test]
fn plain_functions_are_refreshed_on_a_thread_behind() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = open();
        assert_eq!(old_plain(&cache, gate.clone(), 7, 10), 11);
        eventually("it expires", || old_plain_entry(&cache, 7, 10).get().unwrap().is_none());
        gate.close();
        for _ in 0..50 {
            assert_eq!(old_plain(&cache, gate.clone(), 7, 10), 11);
        }
        eventually("a refresh begins", || gate.entered() == 2);
        gate.open();
        eventually("the new value is stored", || old_plain(&cache, gate.clone(), 7, 10) == 12);
    }
}

/// However the old value goes, the refresh does not bring back what it read before.
#[tokio::test]
async fn a_refresh_overtaken_by_an_invalidation_is_not_stored() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let is_remote = format!("{cache:?}").contains("redis://");
        let ways = if is_remote { 0..6 } else { 0..4 };
        for way in ways {
            let refused = cache.stats().refused;
            let gate = open();
            assert_eq!(old(&cache, gate.clone(), 7, 10).await, 11);
            expired(old_entry(&cache, 7, 10)).await;
            gate.close();
            assert_eq!(old(&cache, gate.clone(), 7, 10).await, 11);
            gate.wait_for(2).await;
            let mut stored = None;
            match way {
                0 => assert!(old_entry(&other, 7, 10).invalidate().await.unwrap()),
                1 => assert!(old_group(&other, 7).invalidate().await.unwrap()),
                2 => {
                    old_group(&other, 7).invalidate().await.unwrap();
                    assert_eq!(old(&other, open(), 7, 10).await, 11);
                    stored = Some(11);
                }
                3 => {
                    assert!(old_entry(&other, 7, 10).put(&99).await.unwrap());
                    stored = Some(99);
                }
                // In another language, which knows of no companion.
                4 => drop(server.cli(&["HDEL", HASH, &field_of(&old_entry(&cache, 7, 10))])),
                _ => drop(server.cli(&["UNLINK", HASH])),
            }
            gate.open();
            in_time("the refresh ends", async || cache.stats().refused == refused + 1).await;
            let got = old_entry(&other, 7, 10).get().await.unwrap();
            assert!(got == stored || got.is_none() && stored.is_some(), "way {way}: {got:?}");
            // What was put is old by now, too.
            let next = old(&other, gate.clone(), 7, 10).await;
            assert!(next >= 13 || Some(next) == stored, "way {way}: {next}");
            grade_group(&cache, 7).invalidate().await.unwrap();
        }
    }
}

/// A companion that was left alone, after its value went, stops nobody.
#[tokio::test]
async fn a_companion_without_its_value_is_of_no_consequence() {
    let server = Server::start();
    let (cache, gate) = (remote(&server), open());
    let field = field_of(&old_entry(&cache, 7, 10));
    let mark = [&[9; 16][..], b"9999999999999999"].concat();
    let mut connection = server.connection();
    redis::cmd("HSET").arg(HASH).arg(format!("{field}\0r")).arg(mark).exec(&mut connection).unwrap();
    assert_eq!(old_entry(&cache, 7, 10).get().await.unwrap(), None);
    assert!(old_group(&cache, 7).is_empty().await.unwrap());
    assert_eq!(old(&cache, gate.clone(), 7, 10).await, 11);
    assert_eq!(fields(&server), [field], "it went with the lease");
    expired(old_entry(&cache, 7, 10)).await;
    in_time("it is refreshed", async || old(&cache, gate.clone(), 7, 10).await > 11).await;
}

#[tokio::test]
async fn a_failed_refresh_pauses_and_leaves_the_old_value() {
    #[redis_cached(prefix = "grp", name = "flaky", group = "class:{class}", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, runs, fails))]
    async fn flaky(cache: &Cache, runs: &Arc<AtomicUsize>, fails: bool, class: u64) -> Result<u64, String> {
        let run = runs.fetch_add(1, SeqCst) as u64 + 1;
        if fails { Err(format!("run {run} fails")) } else { Ok(class + run) }
    }
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let runs = Arc::new(AtomicUsize::new(0));
        assert_eq!(flaky(&cache, &runs, false, 7).await, Ok(8));
        expired(flaky_entry(&cache, 7)).await;
        let begun = Instant::now();
        assert_eq!(flaky(&cache, &runs, true, 7).await, Ok(8));
        in_time("a refresh fails", async || runs.load(SeqCst) == 2).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        for cache in [&cache, &other].repeat(20) {
            assert_eq!(flaky(cache, &runs, true, 7).await, Ok(8));
        }
        if begun.elapsed() < Duration::from_millis(900) {
            assert_eq!(runs.load(SeqCst), 2, "not tried by every call, of any process");
        }
        in_time("it is tried again", async || flaky(&other, &runs, false, 7).await != Ok(8)).await;
        assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn refreshed_ahead_in_a_group() {
    #[redis_cached(prefix = "grp", name = "ahead", group = "class:{class}", ttl = "2s", refresh_ahead = 0.05, cache = cache, skip(cache, gate))]
    async fn ahead(cache: &Cache, gate: Arc<Gate>, class: u64) -> u64 {
        class + gate.pass().await as u64
    }
    let server = Server::start();
    for cache in caches(&server) {
        let gate = open();
        assert_eq!(ahead(&cache, gate.clone(), 7).await, 8);
        gate.close();
        in_time("it is refreshed", async || {
            assert_eq!(ahead(&cache, gate.clone(), 7).await, 8);
            gate.entered() == 2
        })
        .await;
        assert!(ahead_entry(&cache, 7).ttl().await.unwrap().is_some(), "it is still fresh");
        gate.open();
        in_time("it is stored", async || ahead_entry(&cache, 7).get().await.unwrap() == Some(9)).await;
    }
}

#[tokio::test]
async fn where_the_body_fails_the_old_value_is_served() {
    #[redis_cached(prefix = "grp", name = "kept", group = "class:{class}", ttl = "30ms", stale_if_error = "1h", cache = cache, skip(cache, runs, fails))]
    async fn kept(cache: &Cache, runs: &AtomicUsize, fails: bool, class: u64) -> Result<u64, String> {
        let run = runs.fetch_add(1, SeqCst) as u64 + 1;
        if fails { Err(format!("run {run} fails")) } else { Ok(class + run) }
    }
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        assert_eq!(kept(&cache, &runs, false, 7).await, Ok(8));
        expired(kept_entry(&cache, 7)).await;
        let begun = Instant::now();
        for _ in 0..50 {
            assert_eq!(kept(&cache, &runs, true, 7).await, Ok(8));
        }
        if begun.elapsed() < Duration::from_millis(900) {
            assert_eq!(runs.load(SeqCst), 2, "not tried by every call");
        }
        in_time("it is tried again", async || kept(&cache, &runs, false, 7).await != Ok(8)).await;
        expired(kept_entry(&cache, 7)).await;
        kept_group(&cache, 7).invalidate().await.unwrap();
        assert!(kept(&cache, &runs, true, 7).await.is_err(), "nothing old after an invalidation");
    }
}

#[tokio::test]
async fn large_values_in_a_group() {
    #[redis_cached(prefix = "grp", name = "text", group = "class:{class}", cache = cache, skip(cache, runs))]
    async fn text(cache: &Cache, runs: &AtomicUsize, class: u64, size: usize) -> String {
        runs.fetch_add(1, SeqCst);
        format!("{class:08}\r\n").repeat(size / 10)
    }
    #[redis_cached(prefix = "grp", name = "text", group = "class:{class}", cache = cache, skip(cache))]
    fn text_plain(cache: &Cache, class: u64, size: usize) -> String {
        unreachable!("{class} {size}")
    }
    let server = Server::start();
    for url in ["memory://", &server.url()] {
        let cache = Cache::builder(url).unwrap().timeout(PATIENCE).build();
        let runs = AtomicUsize::new(0);
        for size in [300_000, 5_000_000] {
            let value = text(&cache, &runs, 7, size).await;
            assert_eq!(value.len(), size);
            assert!(text(&cache, &runs, 7, size).await == value);
            assert!(text_plain(&cache, 7, size) == value);
            assert!(text_refresh(&cache, &runs, 7, size).await == value);
            assert!(text_entry(&cache, 7, size).get().await.unwrap() == Some(value));
        }
        assert_eq!(runs.load(SeqCst), 4);
        assert_eq!(text_group(&cache, 7).len().await.unwrap(), 2);
        assert!(text_group(&cache, 7).invalidate().await.unwrap());
        assert!(text_entry(&cache, 7, 300_000).get().await.unwrap().is_none());
    }
    assert_eq!(server.cli(&["DBSIZE"]), "0");
}

#[tokio::test]
async fn something_else_in_the_hashs_place_is_left_alone() {
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    grade(&cache, &runs, 8, "Ada").await;
    server.cli(&["SET", HASH, "somebody's"]);
    for run in 1..4 {
        assert_eq!(grade(&cache, &runs, 7, "Ada").await, 7_300 + run);
    }
    assert_eq!(plain(&cache, &runs, 7, "Ada"), 7_304);
    assert_eq!(grade_refresh(&cache, &runs, 7, "Ada").await, 7_305);
    let entry = grade_entry(&cache, 7, "Ada");
    assert_eq!(entry.get().await.unwrap_err().kind(), ErrorKind::WrongType);
    assert_eq!(entry.put(&1).await.unwrap_err().kind(), ErrorKind::WrongType);
    assert_eq!(grade_group(&cache, 7).len().await.unwrap_err().kind(), ErrorKind::WrongType);
    assert!(!entry.invalidate().await.unwrap(), "there is no such entry");
    assert_eq!(entry.write_through(&1, async || Ok::<_, ()>(2)).await, Ok(2));
    assert_eq!(server.cli(&["GET", HASH]), "somebody's");
    // Others are as ever.
    assert_eq!(grade(&cache, &runs, 8, "Ada").await, 8_300);
    server.cli(&["DEL", HASH]);
    assert_eq!(grade(&cache, &runs, 7, "Ada").await, 7_306);
    assert_eq!(grade(&cache, &runs, 7, "Ada").await, 7_306);
}

/// In every place of a value, and instead of it.
#[tokio::test]
async fn damaged_bytes_in_a_field_are_a_miss_that_the_next_value_replaces() {
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    let mut connection = server.connection();
    let entry = grade_entry(&cache, 7, "Ada");
    let field = field_of(&entry);
    let value = grade(&cache, &runs, 7, "Ada").await;
    let intact: Vec<u8> = redis::cmd("HGET").arg(HASH).arg(&field).query(&mut connection).unwrap();
    let texts = ["", "L", "Lost", "L\u{1}", "V", "Very", "somebody's", "Lorem ipsum dolor sit amet, consetetur"];
    let mut damaged: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    damaged.push([&b"L\x01"[..], &[7; 16]].concat());
    damaged.push([&b"L\x02"[..], &[7; 16], b"9999999999999999"].concat());
    damaged.push([&b"L\x01"[..], &[7; 16], b"9999999999999999", &[1; 40]].concat());
    damaged.push([b"V", &intact[2..]].concat());
    damaged.extend([17, 18, 34, 49, 50, 63, 64, 111, 112].map(|length| intact[..length].to_vec()));
    for at in (0..intact.len()).filter(|at| !(18..50).contains(at)) {
        let mut bytes = intact.clone();
        bytes[at] ^= 1 << (at % 8);
        damaged.push(bytes);
    }
    for bytes in damaged {
        redis::cmd("HSET").arg(HASH).arg(&field).arg(&bytes).exec(&mut connection).unwrap();
        let before = runs.load(SeqCst);
        assert_eq!(entry.get().await.unwrap(), None, "{bytes:?}");
        assert_ne!(grade(&cache, &runs, 7, "Ada").await, value, "{bytes:?}");
        assert_eq!(runs.load(SeqCst), before + 1);
        grade(&cache, &runs, 7, "Ada").await;
        assert_eq!(runs.load(SeqCst), before + 1, "the new value is stored in place of {bytes:?}");
    }
    // Bytes of another field, or of another hash.
    grade(&cache, &runs, 7, "Ada").await;
    let bytes: Vec<u8> = redis::cmd("HGET").arg(HASH).arg(&field).query(&mut connection).unwrap();
    for (class, student) in [(7, "Eva"), (8, "Ada")] {
        let entry = grade_entry(&cache, class, student);
        let hash = grade_group(&cache, class).key().unwrap().to_owned();
        redis::cmd("HSET").arg(hash).arg(field_of(&entry)).arg(&bytes).exec(&mut connection).unwrap();
        assert_eq!(entry.get().await.unwrap(), None);
    }
}

#[tokio::test]
async fn another_version_or_type_is_a_miss_and_replaced() {
    macro_rules! function {
        ($name:ident -> $type:ty, $value:expr, version = $version:literal) => {
            #[redis_cached(prefix = "grp", group = "class:{class}", name = "user", key = "{id}", version = $version, cache = cache, skip(cache))]
            async fn $name(cache: &Cache, class: u64, id: u64) -> $type {
                assert_eq!((class, id), (7, 1));
                $value
            }
        };
    }
    function!(first -> u64, 1, version = 0);
    function!(second -> u64, 2, version = 1);
    function!(third -> String, "3".to_owned(), version = 0);
    function!(fourth -> (u64,), (4,), version = 0);
    let server = Server::start();
    for cache in caches(&server) {
        for _ in 0..2 {
            assert_eq!(first(&cache, 7, 1).await, 1);
            assert_eq!(first(&cache, 7, 1).await, 1);
            assert_eq!(second_entry(&cache, 7, 1).get().await.unwrap(), None);
            assert_eq!(second(&cache, 7, 1).await, 2);
            assert_eq!(third(&cache, 7, 1).await, "3");
            assert_eq!(fourth(&cache, 7, 1).await, (4,));
            assert_eq!(first_entry(&cache, 7, 1).get().await.unwrap(), None);
            assert_eq!(fourth_entry(&cache, 7, 1).get().await.unwrap(), Some((4,)));
        }
        assert_eq!(cache.stats().misses, 8);
        assert_eq!(first_group(&cache, 7).len().await.unwrap(), 1);
        // An invalidation reaches all of them.
        assert!(first_entry(&cache, 7, 1).invalidate().await.unwrap());
        assert_eq!(fourth_entry(&cache, 7, 1).get().await.unwrap(), None);
    }
}

#[cfg(feature = "json")]
#[tokio::test]
async fn another_codec_is_a_miss() {
    #[redis_cached(prefix = "grp", group = "class:{class}", name = "user", key = "{id}", cache = cache, skip(cache))]
    async fn one(cache: &Cache, class: u64, id: u64) -> u64 {
        class + id
    }
    #[redis_cached(prefix = "grp", group = "class:{class}", name = "user", key = "{id}", codec = json, cache = cache, skip(cache))]
    async fn other(cache: &Cache, class: u64, id: u64) -> u64 {
        class + id + 1
    }
    let server = Server::start();
    for cache in caches(&server) {
        assert_eq!((one(&cache, 7, 1).await, other(&cache, 7, 1).await), (8, 9));
        assert_eq!(one_entry(&cache, 7, 1).get().await.unwrap(), None);
    }
}

#[redis_cached(prefix = "grp", name = "row", group = "class:{class}", cache = cache, skip(cache, source))]
async fn row(cache: &Cache, source: &AtomicU64, class: u64, id: u64) -> u64 {
    class * 100 + id * 10 + source.load(SeqCst)
}

#[redis_cached(prefix = "grp", name = "row", group = "class:{class}", cache = cache, skip(cache, source))]
fn row_plain(cache: &Cache, source: &AtomicU64, class: u64, id: u64) -> u64 {
    class * 100 + id * 10 + source.load(SeqCst)
}

/// By the group, of either face, or by a field; the server hears of nothing but what is read.
#[tokio::test]
async fn an_undelivered_invalidation_is_delivered_before_an_entry_is_read() {
    let server = Server::start();
    for way in 0..3 {
        let proxy = server.proxy();
        let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_millis(200)).build();
        let source = AtomicU64::new(1);
        for id in 1..4 {
            in_time("it is stored", async || {
                row(&cache, &source, 7, id).await;
                row_entry(&cache, 7, id).get().await.is_ok_and(|row| row.is_some())
            })
            .await;
        }
        proxy.set(Mode::Refuse);
        proxy.cut();
        source.store(2, SeqCst);
        match way {
            0 => drop(row_group(&cache, 7).invalidate().await.unwrap_err()),
            1 => drop(row_plain_group(&cache, 7).invalidate().unwrap_err()),
            _ => {
                for id in 1..4 {
                    drop(row_entry(&cache, 7, id).invalidate().await.unwrap_err());
                }
            }
        }
        assert_eq!(row(&cache, &source, 7, 1).await, 712, "away, the body runs");
        assert_eq!(number(&server, &["HLEN", HASH]), 3, "nothing has arrived");
        proxy.set(Mode::Pass);
        let hits = cache.stats().hits;
        in_time("a hit", async || {
            for id in 1..4 {
                assert_eq!(row(&cache, &source, 7, id).await, 702 + id * 10, "way {way}");
                assert_eq!(row_plain(&cache, &source, 7, id), 702 + id * 10, "way {way}");
            }
            cache.stats().hits > hits + 2
        })
        .await;
        row_group(&cache, 7).invalidate().await.unwrap();
    }
}

/// Nobody reads there, and yet it is to be stored again.
#[tokio::test]
async fn a_process_that_only_writes_stores_again_after_an_undelivered_invalidation_of_the_group() {
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_millis(100)).build();
    let entry = row_entry(&cache, 7, 1);
    in_time("it is stored", async || entry.put(&5).await.is_ok_and(|stored| stored)).await;
    proxy.set(Mode::Delay(Duration::from_millis(150)));
    row_group(&cache, 7).invalidate().await.expect_err("too slow");
    proxy.set(Mode::Pass);
    in_time("it is stored again", async || entry.put(&6).await.is_ok_and(|stored| stored)).await;
    assert_eq!(number(&server, &["HLEN", HASH]), 1);
}

/// The server would refuse that one invalidation for ever.
#[tokio::test]
async fn an_undelivered_invalidation_of_a_field_without_its_hash_holds_up_nothing() {
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(Duration::from_millis(200)).build();
    let source = AtomicU64::new(1);
    row(&cache, &source, 7, 1).await;
    proxy.set(Mode::Refuse);
    proxy.cut();
    row_entry(&cache, 7, 1).invalidate().await.unwrap_err();
    row_entry(&cache, 8, 1).invalidate().await.unwrap_err();
    for id in 0..10 {
        row(&cache, &source, 8, id).await; // opens the breaker
    }
    server.cli(&["DEL", HASH]);
    server.cli(&["SET", HASH, "somebody's"]);
    proxy.set(Mode::Pass);
    in_time("a hit", async || {
        row(&cache, &source, 8, 1).await;
        row_entry(&cache, 8, 1).get().await.is_ok_and(|row| row.is_some())
    })
    .await;
    server.cli(&["DEL", HASH]);
    in_time("a hit there, too", async || {
        row(&cache, &source, 7, 1).await;
        row_entry(&cache, 7, 1).get().await.is_ok_and(|row| row.is_some())
    })
    .await;
}

#[tokio::test]
async fn without_a_server_calls_return_and_verbs_tell() {
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    grade(&cache, &runs, 7, "Ada").await;
    server.kill();
    assert_eq!(grade(&cache, &runs, 7, "Ada").await, 7_301);
    assert_eq!(plain(&cache, &runs, 7, "Ada"), 7_302);
    let away = |error: redis_cached::Error| {
        assert!(matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::CircuitOpen), "{error}");
    };
    away(grade_entry(&cache, 7, "Ada").get().await.unwrap_err());
    away(grade_entry(&cache, 7, "Ada").put(&1).await.unwrap_err());
    away(grade_group(&cache, 7).len().await.unwrap_err());
    away(grade_group(&cache, 7).is_empty().await.unwrap_err());
    away(grade_group(&cache, 7).invalidate().await.unwrap_err());
    away(plain_group(&cache, 7).invalidate().unwrap_err());
    server.restart();
    in_time("a hit", async || {
        grade(&cache, &runs, 7, "Ada").await;
        grade_entry(&cache, 7, "Ada").get().await.is_ok_and(|grade| grade.is_some())
    })
    .await;
}

/// Calls share a running body then, but not with those from before an invalidation.
#[tokio::test]
async fn an_invalidation_without_a_server_parts_the_calls_before_it_from_those_after() {
    let server = Server::start();
    let cache = remote(&server);
    server.kill();
    in_time("the breaker is open", async || {
        gated_entry(&cache, 7, 1).get().await.unwrap_err().kind() == ErrorKind::CircuitOpen
    })
    .await;
    let gate = Arc::new(Gate::closed());
    let call = || {
        let (cache, gate) = (cache.clone(), gate.clone());
        tokio::spawn(async move { gated(&cache, gate, 7, 10).await })
    };
    let before = [call(), call()];
    gate.wait_for(1).await;
    gated_group(&cache, 7).invalidate().await.unwrap_err();
    let after = [call(), call()];
    gate.wait_for(2).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    gate.open();
    for (calls, value) in [(before, 11), (after, 12)] {
        for call in calls {
            assert_eq!(call.await.unwrap(), value);
        }
    }
    assert_eq!(gate.entered(), 2);
}

#[tokio::test]
async fn a_full_server_stores_nothing_and_hinders_nobody() {
    let server = Server::with(&["--maxmemory-policy", "noeviction"]);
    let (cache, source) = (remote(&server), AtomicU64::new(1));
    assert_eq!(row(&cache, &source, 7, 1).await, 711);
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    source.store(2, SeqCst);
    for id in 2..20 {
        assert_eq!(row(&cache, &source, 7, id).await, 702 + id * 10);
        assert_eq!(row_plain(&cache, &source, 7, id), 702 + id * 10);
    }
    assert_eq!(row(&cache, &source, 7, 1).await, 711, "a hit");
    assert!(row_group(&cache, 7).invalidate().await.unwrap());
    assert_eq!(row(&cache, &source, 7, 1).await, 712);
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    in_time("a hit", async || {
        row(&cache, &source, 7, 1).await;
        row_entry(&cache, 7, 1).get().await.unwrap() == Some(712)
    })
    .await;
}
