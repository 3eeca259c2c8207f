//! redis-cached, used as its README describes.

use redis_cached::{Cache, redis_cached};

use super::{BlockingSubject, Result, Subject};
use crate::data::{self, Item, Users};

#[derive(Clone)]
pub struct Ours(pub Cache);

#[redis_cached(ttl = "1h", cache = cache, skip(cache))]
pub async fn item(cache: &Cache, size: u32, id: u64) -> Item {
    data::item(size, id)
}

#[redis_cached(ttl = "1h", cache = cache, skip(cache))]
async fn large(cache: &Cache, id: u64) -> Item {
    data::item(data::LARGE, id)
}

#[redis_cached(ttl = "1h", cache = cache, skip(cache), batch(id in ids))]
async fn items(cache: &Cache, size: u32, ids: &[u64]) -> Vec<(u64, Item)> {
    ids.iter().map(|id| (*id, data::item(size, *id))).collect()
}

#[redis_cached(ttl = "1h", cache = cache, skip(cache))]
async fn users(cache: &Cache, count: u64) -> Users {
    data::users(count)
}

#[redis_cached(ttl = "1h", cache = cache, skip(cache))]
async fn slow(cache: &Cache, id: u64) -> u64 {
    data::slow(id).await
}

impl Subject for Ours {
    const NAME: &'static str = "redis-cached";

    async fn connect(url: &str) -> Result<Self> {
        Ok(Ours(Cache::builder(url)?.build()))
    }

    async fn item(&self, size: u32, id: u64) -> Result<Item> {
        Ok(item(&self.0, size, id).await)
    }

    async fn users(&self, count: u64) -> Result<Users> {
        Ok(users(&self.0, count).await)
    }

    /// Large values have a function of their own.
    async fn large(&self, id: u64) -> Result<Item> {
        Ok(large(&self.0, id).await)
    }

    async fn slow(&self, id: u64) -> Result<u64> {
        Ok(slow(&self.0, id).await)
    }

    async fn items(&self, size: u32, ids: &[u64]) -> Result<Vec<Item>> {
        Ok(items(&self.0, size, ids).await.into_iter().map(|(_, item)| item).collect())
    }
}

#[derive(Clone)]
pub struct OursBlocking(Cache);

#[redis_cached(ttl = "1h", cache = cache, skip(cache))]
fn item_blocking(cache: &Cache, size: u32, id: u64) -> Item {
    data::item(size, id)
}

#[redis_cached(ttl = "1h", cache = cache, skip(cache))]
fn users_blocking(cache: &Cache, count: u64) -> Users {
    data::users(count)
}

#[redis_cached(ttl = "1h", cache = cache, skip(cache))]
fn slow_blocking(cache: &Cache, id: u64) -> u64 {
    data::slow_blocking(id)
}

impl BlockingSubject for OursBlocking {
    const NAME: &'static str = "redis-cached";

    fn connect(url: &str) -> Result<Self> {
        Ok(OursBlocking(Cache::builder(url)?.build()))
    }

    fn item(&self, size: u32, id: u64) -> Result<Item> {
        Ok(item_blocking(&self.0, size, id))
    }

    fn users(&self, count: u64) -> Result<Users> {
        Ok(users_blocking(&self.0, count))
    }

    fn slow(&self, id: u64) -> Result<u64> {
        Ok(slow_blocking(&self.0, id))
    }
}
