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
    Duration::from_millis(u32::from_le_bytes(value[98..102].try_into().unwrap()).into())
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
