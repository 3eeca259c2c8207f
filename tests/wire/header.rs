//! The header of a stored value, as `docs/PROTOCOL.md` has it.

use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use test_support::{PATIENCE, Server};

const BODY: Duration = Duration::from_millis(30);

#[redis_cached(ttl = "1h", prefix = "t", name = "slow", cache = cache, skip(cache))]
async fn slow(cache: &Cache) -> u8 {
    tokio::time::sleep(BODY).await;
    1
}

#[redis_cached(ttl = "1h", prefix = "t", name = "plain", cache = cache, skip(cache))]
fn plain(cache: &Cache) -> u8 {
    std::thread::sleep(BODY);
    1
}

#[redis_cached(ttl = "1h", prefix = "t", name = "many", batch(id in ids), cache = cache, skip(cache))]
async fn many(cache: &Cache, ids: &[u8]) -> std::collections::HashMap<u8, u8> {
    tokio::time::sleep(BODY).await;
    ids.iter().map(|id| (*id, *id)).collect()
}

/// The duration of the body that computed the value.
fn body_duration(server: &Server, key: &str) -> Duration {
    let value: Vec<u8> = redis::cmd("GET").arg(key).query(&mut server.connection()).unwrap();
    Duration::from_micros(u32::from_le_bytes(value[98..102].try_into().unwrap()).into())
}

#[tokio::test]
async fn the_header_has_the_duration_of_the_body() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    let began = Instant::now();
    slow(&cache).await;
    plain(&cache);
    many(&cache, &[1, 2]).await;
    let longest = began.elapsed();
    for key in ["t:slow", "t:plain", "t:many:1", "t:many:2"] {
        let duration = body_duration(&server, key);
        assert!((BODY..=longest).contains(&duration), "{key}: {duration:?} of {longest:?}");
    }
}

/// A body of less than a millisecond saves time, too; a value that no body computed saves none.
#[tokio::test]
async fn the_duration_of_the_body_is_in_microseconds() {
    #[redis_cached(ttl = "1h", prefix = "t", name = "quick", cache = cache, skip(cache))]
    fn quick(cache: &Cache, id: u8) -> u8 {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_micros(100) {}
        id
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    quick_entry(&cache, 2).put(&2).unwrap();
    quick_entry(&cache, 3).write_through(&3, || Ok::<_, ()>(())).unwrap();
    assert_eq!(["t:quick:2", "t:quick:3"].map(|key| body_duration(&server, key)), [Duration::ZERO; 2]);
    let shortest = (10..30).map(|id| {
        quick(&cache, id);
        body_duration(&server, &format!("t:quick:{id}"))
    });
    let shortest = shortest.min().unwrap();
    assert!((Duration::from_micros(100)..Duration::from_millis(1)).contains(&shortest), "{shortest:?}");
}

/// Format 1 had milliseconds in the same place.
#[tokio::test]
async fn a_value_of_an_earlier_format_is_a_miss_that_is_displaced() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    slow(&cache).await;
    let mut connection = server.connection();
    let mut read = || -> Vec<u8> { redis::cmd("GET").arg("t:slow").query(&mut connection).unwrap() };
    let stored = read();
    assert_eq!(stored[..2], *b"V\x02");
    let earlier = [b"V\x01", &stored[2..]].concat();
    redis::cmd("SET").arg("t:slow").arg(&earlier).exec(&mut server.connection()).unwrap();
    assert_eq!(slow_entry(&cache).get().await.unwrap(), None);
    assert_eq!(slow(&cache).await, 1);
    assert_eq!(cache.stats().misses, 2);
    assert_eq!(read()[..2], *b"V\x02");
}
