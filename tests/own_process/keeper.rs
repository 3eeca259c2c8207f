//! The background thread of a cache that follows sentinels: it starts with the first use, and ends with the cache.

use redis_cached::{Cache, redis_cached};
use test_support::{PATIENCE, Sentinels, eventually};

#[redis_cached(prefix = "keeper", name = "double", cache = cache, skip(cache))]
fn double(cache: &Cache, n: u64) -> u64 {
    n * 2
}

#[test]
fn sentinels_are_followed_from_the_first_use_to_the_end_of_the_cache() {
    let _alone = crate::alone();
    let sentinels = Sentinels::start();
    let caches: Vec<_> = (0..4).map(|_| Cache::builder(&sentinels.url()).unwrap().timeout(PATIENCE).build()).collect();
    assert_eq!(crate::keepers(), 0, "building a cache starts nothing");
    // Sentinels have connections of their own to each other.
    let connections = || {
        let clients = sentinels.sentinels()[0].cli(&["CLIENT", "LIST"]);
        clients.lines().filter(|client| !client.contains("name=sentinel-")).count()
    };
    let before = connections();
    for (number, cache) in caches.iter().enumerate() {
        assert_eq!(double(cache, 21), 42);
        eventually("each has one thread", || crate::keepers() == number + 1);
    }
    drop(caches);
    eventually("the threads end", || crate::keepers() == 0);
    eventually("their connections are closed", || connections() <= before);
}
