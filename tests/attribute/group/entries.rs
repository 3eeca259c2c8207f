//! Entries of a group: their keys, their verbs, and the commands of a hit.

use super::*;

#[tokio::test]
async fn a_hit_is_one_hmget_and_a_miss_two_scripts_more() {
    // This server is not shared: a miss sends other commands after calls that found something else.
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
    // Its entries have fields of their own.
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
