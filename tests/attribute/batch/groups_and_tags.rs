//! Batches whose entries are in groups, or have tags.

use super::*;

// Groups and tags.

#[tokio::test]
async fn ids_in_groups_are_one_hmget_for_each_hash() {
    #[redis_cached(prefix = "classes", group = "class:{class}", batch(id in ids), cache = cache, skip(cache, source))]
    async fn grades(cache: &Cache, source: &Source, class: u64, ids: &[u64]) -> Rows {
        source.load(ids).await
    }
    #[redis_cached(prefix = "classes", group = "room:{id / 10}", batch(id in ids), cache = cache, skip(cache, source))]
    fn seats(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load_blocking(ids)
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        for _ in 0..2 {
            assert_eq!(grades(&cache, &source, 1, &[1, 2, 3]).await, source.rows(&[1, 2, 3]));
            assert_eq!(seats(&cache, &source, &[11, 12, 23]), source.rows(&[11, 12, 23]));
        }
        assert_eq!(source.asked(), [[1, 2, 3], [11, 12, 23]]);
        assert!(grades_entry(&cache, 1, 2).invalidate().await.unwrap());
        grades(&cache, &source, 1, &[1, 2, 3]).await;
        grades(&cache, &source, 2, &[1]).await;
        assert_eq!(source.asked(), [[2], [1]]);
        assert!(grades_group(&cache, 1).invalidate().await.unwrap());
        assert!(seats_group(&cache, 11).invalidate().unwrap());
        grades(&cache, &source, 1, &[1, 2, 3]).await;
        grades(&cache, &source, 2, &[1]).await;
        seats(&cache, &source, &[11, 12, 23]);
        assert_eq!(source.asked(), [vec![1, 2, 3], vec![11, 12]]);
    }
    let cache = other(&server);
    let source = Source::open();
    seats(&cache, &source, &[99]); // connects
    let mut monitor = server.monitor();
    seats(&cache, &source, &[11, 23, 12]);
    let commands = monitor.commands();
    assert!(commands.iter().all(|command| matches!(command[0].as_str(), "HMGET" | "ROLE" | "TIME")), "{commands:?}");
    let hashes = commands.iter().filter(|command| command[0] == "HMGET").map(|command| command[1].as_str());
    assert_eq!(sorted(hashes.collect()), ["classes:#group:room:1", "classes:#group:room:2"]);
}

#[tokio::test]
async fn tags_are_those_of_each_id() {
    #[redis_cached(
        prefix = "tagged", batch(id in ids), cache = cache, skip(cache, source),
        tags = ["all", "id:{id}", |row: &String| (row.contains("row 2")).then_some("second")],
    )]
    async fn tagged(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load(ids).await
    }
    #[redis_cached(prefix = "tagged", tags = "id:{id}", batch(id in ids), cache = cache, skip(cache, source))]
    fn plain(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load_blocking(ids)
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        for _ in 0..2 {
            assert_eq!(tagged(&cache, &source, &[1, 2, 3]).await, source.rows(&[1, 2, 3]));
            assert_eq!(plain(&cache, &source, &[1, 2, 3]), source.rows(&[1, 2, 3]));
        }
        assert_eq!(source.asked(), [[1, 2, 3], [1, 2, 3]]);
        for (tag, missing) in [("id:1", vec![1]), ("second", vec![2]), ("all", vec![1, 2, 3])] {
            cache.invalidate_tag(tag).await.unwrap();
            for _ in 0..2 {
                tagged(&cache, &source, &[1, 2, 3]).await;
            }
            assert_eq!(source.asked(), [missing], "{tag}");
        }
        plain(&cache, &source, &[1, 2, 3]);
        assert_eq!(source.asked(), [[1]], "of the two functions");
    }
}

#[tokio::test]
async fn a_tag_that_is_invalidated_during_the_body_voids_its_ids() {
    #[redis_cached(prefix = "tagged", name = "during", tags = "odd:{id % 2}", batch(id in ids), cache = cache, skip(cache, source))]
    async fn during(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load(ids).await
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::closed();
        let batch = {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            tokio::spawn(async move { during(&cache, &source, &[1, 2, 3]).await })
        };
        source.gate.wait_for(1).await;
        cache.invalidate_tag("odd:1").await.unwrap();
        source.gate.open();
        assert_eq!(finished(batch).await, source.rows(&[1, 2, 3]));
        source.asked();
        during(&cache, &source, &[1, 2, 3]).await;
        assert_eq!(source.asked(), [[1, 3]]);
    }
}
