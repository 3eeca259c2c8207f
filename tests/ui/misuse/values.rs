use std::collections::HashMap;
use std::sync::Arc;

use redis_cached::redis_cached;
use serde::{Deserialize, Serialize};

#[derive(Clone)]
struct Neither;

#[derive(Serialize)]
struct OnlySerialize;

#[derive(Serialize, Deserialize)]
struct Page<T>(T);

struct Json<T>(T);

type Users = Vec<Neither>;

#[redis_cached]
async fn value(id: u64) -> Neither {
    let _ = id;
    Neither
}

#[redis_cached(codec = bincode, stale_if_error = "1h")]
fn result(id: u64) -> Result<OnlySerialize, String> {
    let _ = id;
    Ok(OnlySerialize)
}

#[redis_cached(siblings = off, none_ttl = 5)]
async fn option(id: u64) -> Option<Neither> {
    let _ = id;
    None
}

#[redis_cached(ttl = |_: &HashMap<u64, Vec<Neither>>| 5, cache_if = |map: &HashMap<_, _>| !map.is_empty(), tags = "all")]
async fn nested(id: u64) -> HashMap<u64, Vec<Neither>> {
    let _ = id;
    HashMap::new()
}

#[redis_cached(refresh_ahead = 0.5)]
async fn in_a_type_of_its_own(id: u64) -> Page<Neither> {
    let _ = id;
    Page(Neither)
}

#[redis_cached]
fn behind_an_alias(id: u64) -> Users {
    let _ = id;
    Vec::new()
}

#[redis_cached]
fn generic<T: Default>(id: u64) -> T {
    let _ = id;
    T::default()
}

#[redis_cached]
async fn shared(id: u64) -> Result<Arc<str>, String> {
    let _ = id;
    Err(String::new())
}

#[redis_cached]
async fn response(id: u64) -> Json<String> {
    let _ = id;
    Json(String::new())
}

#[redis_cached(batch(id in ids))]
async fn batch(ids: &[u64]) -> Result<Vec<(u64, Neither)>, String> {
    let _ = ids;
    Ok(Vec::new())
}

#[redis_cached(returns = value)]
fn a_result_as_a_value(id: u64) -> Result<u64, std::io::Error> {
    Ok(id)
}

#[redis_cached]
async fn argument(ids: Vec<Neither>, shared: Arc<str>) -> u64 {
    let _ = (ids, shared);
    1
}

struct Repo;

impl Repo {
    #[redis_cached(skip(self))]
    async fn method(&self, id: u64) -> Result<Option<Neither>, String> {
        let _ = id;
        Ok(None)
    }
}

fn main() {}
