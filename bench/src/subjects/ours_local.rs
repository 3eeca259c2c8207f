//! redis-cached with its local tier.

use std::sync::Arc;

use redis_cached::{Cache, redis_cached};

use super::{Coherent, Result, Subject};
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

#[redis_cached(ttl = "1h", local = 10_000, cache = cache, skip(cache))]
async fn shared_item_local(cache: &Cache, size: u32, id: u64) -> Arc<Item> {
    Arc::new(data::item(size, id))
}

#[redis_cached(ttl = "1h", local = 10_000, cache = cache, skip(cache))]
async fn shared_users_local(cache: &Cache, count: u64) -> Arc<Users> {
    Arc::new(data::users(count))
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

    async fn shared_item(&self, size: u32, id: u64) -> Result<Arc<Item>> {
        Ok(shared_item_local(&self.0, size, id).await)
    }

    async fn shared_users(&self, count: u64) -> Result<Arc<Users>> {
        Ok(shared_users_local(&self.0, count).await)
    }

    async fn slow(&self, id: u64) -> Result<u64> {
        Ok(data::slow(id).await)
    }
}

#[redis_cached(ttl = "1h", local = 10_000, cache = cache, skip(cache))]
async fn version(cache: &Cache, id: u64) -> u64 {
    data::version(id).await
}

impl Coherent for OursLocal {
    async fn version(&self, id: u64) -> Result<u64> {
        Ok(version(&self.0, id).await)
    }

    async fn invalidate(&self, id: u64) -> Result<()> {
        version_entry(&self.0, id).invalidate().await?;
        Ok(())
    }
}
