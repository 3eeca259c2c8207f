//! A field is served only if its bytes are intact and of this function.

use super::*;

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

/// The damage is in every place of a value, or replaces it.
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
