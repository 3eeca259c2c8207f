//! Functions of several kinds, and what calls of them leave.

use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};
use test_support::{Gate, PATIENCE};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct User {
    name: String,
    age: u8,
    tags: Vec<String>,
}

#[redis_cached(prefix = "shop", name = "user", codec = json, ttl = "1h", tags = "org:{org}", cache = cache, skip(cache))]
pub(crate) fn user(cache: &Cache, org: u64, id: u64) -> User {
    User { name: format!("user {id}"), age: 30, tags: vec![format!("org {org}")] }
}

#[redis_cached(prefix = "shop", name = "price", codec = bincode, ttl = forever, cache = cache, skip(cache))]
pub(crate) fn price(cache: &Cache, id: u64) -> u64 {
    id * 100
}

#[redis_cached(prefix = "shop", name = "report", codec = messagepack, ttl = "10m", version = 3,
    tags = |report: &Vec<String>| report.iter().map(|team| format!("team:{team}")).collect::<Vec<_>>(),
    cache = cache, skip(cache))]
pub(crate) fn report(cache: &Cache, teams: &str) -> Vec<String> {
    teams.split(',').map(str::to_owned).collect()
}

#[redis_cached(prefix = "shop", name = "seat", group = "class:{class}", codec = json, ttl = "1h", cache = cache, skip(cache))]
pub(crate) fn seat(cache: &Cache, class: u64, id: u64) -> u64 {
    class + id
}

#[redis_cached(prefix = "shop", name = "nick", none_ttl = "5m", cache = cache, skip(cache))]
pub(crate) fn nick(cache: &Cache, id: u64) -> Option<String> {
    id.is_multiple_of(2).then(|| format!("nick {id}"))
}

#[redis_cached(prefix = "shop", name = "slow", lease = "30s", cache = cache, skip(cache, gate))]
pub(crate) async fn slow(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    gate.pass().await;
    id
}

#[redis_cached(prefix = "shop", name = "slow_seat", lease = "30s", group = "class:{class}", cache = cache, skip(cache, gate))]
pub(crate) async fn slow_seat(cache: &Cache, gate: &Gate, class: u64) -> u64 {
    gate.pass().await;
    class
}

#[redis_cached(prefix = "shop", name = "brief", ttl = "50ms", stale_if_error = "1h", cache = cache, skip(cache))]
pub(crate) fn brief(cache: &Cache, id: u64) -> Result<u64, String> {
    Ok(id)
}

/// Compressed, with a body that makes that worth it.
#[redis_cached(prefix = "shop", name = "terms", codec = json, compress = lz4, cache = cache, skip(cache))]
pub(crate) fn terms(cache: &Cache, id: u64) -> Vec<String> {
    vec![format!("term {id}"); 200]
}

pub(crate) fn cache(url: &str, namespace: &str) -> Cache {
    Cache::builder(url).unwrap().namespace(namespace).timeout(PATIENCE).build()
}

/// Users, prices, a report, seats in two classes, and nicks.
pub(crate) fn fill(cache: &Cache) {
    for id in 1..=3 {
        user(cache, 7, id);
        price(cache, id);
        nick(cache, id);
    }
    report(cache, "red,blue");
    seat(cache, 1, 1);
    seat(cache, 1, 2);
    seat(cache, 2, 1);
}
