//! redis-cached with its local tier.

use redis_cached::{Cache, redis_cached};

use super::{Result, Subject};
use crate::data::{self, Item, Users};

#[derive(Clone)]
pub struct OursLocal(Cache);

#[redis_cached(ttl = "1h", local = 10_000, cache = cache, skip(cache))]
async fn item_local(cache: &Cache, size: u32, id: u64) -> Item {
    data::item(size, id)
}

#[redis_cached(ttl = "1h", local = 10_000, cache = cache, skip(cache))]
async fn users_local(cache: &Cache, count: u64) -> Users {
    data::users(count)
}

impl Subject for OursLocal {
    const NAME: &'static str = "redis-cached, local";

    async fn connect(url: &str) -> Result<Self> {
        Ok(OursLocal(Cache::builder(url)?.local_max_bytes(256 << 20).build()))
    }

    async fn item(&self, size: u32, id: u64) -> Result<Item> {
        Ok(item_local(&self.0, size, id).await)
    }

    async fn users(&self, count: u64) -> Result<Users> {
        Ok(users_local(&self.0, count).await)
    }

    async fn slow(&self, id: u64) -> Result<u64> {
        Ok(data::slow(id).await)
    }
}
