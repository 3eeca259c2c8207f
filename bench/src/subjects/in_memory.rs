//! Caches in this process alone: they have no server to ask, and no other process to agree with.

use std::sync::Arc;
use std::time::Duration;

use cached::macros::concurrent_cached;

use super::{Result, Subject};
use crate::data::{self, Item, Users};

const ENTRIES: usize = 10_000;
const TTL: Duration = Duration::from_secs(3600);

/// quick_cache, which has no lifetimes: its look-up is a part of each hit of redis-cached's local tier.
#[derive(Clone)]
pub struct QuickCache(Arc<QuickCaches>);

struct QuickCaches {
    items: quick_cache::sync::Cache<(u32, u64), Item>,
    shared_items: quick_cache::sync::Cache<(u32, u64), Arc<Item>>,
    users: quick_cache::sync::Cache<u64, Users>,
    shared_users: quick_cache::sync::Cache<u64, Arc<Users>>,
}

impl Subject for QuickCache {
    const NAME: &'static str = "quick_cache";

    async fn connect(_: &str) -> Result<Self> {
        Ok(QuickCache(Arc::new(QuickCaches {
            items: quick_cache::sync::Cache::new(ENTRIES),
            shared_items: quick_cache::sync::Cache::new(ENTRIES),
            users: quick_cache::sync::Cache::new(ENTRIES),
            shared_users: quick_cache::sync::Cache::new(ENTRIES),
        })))
    }

    async fn item(&self, size: u32, id: u64) -> Result<Item> {
        self.0.items.get_or_insert_with(&(size, id), || Ok(data::item(size, id)))
    }

    async fn shared_item(&self, size: u32, id: u64) -> Result<Arc<Item>> {
        self.0.shared_items.get_or_insert_with(&(size, id), || Ok(Arc::new(data::item(size, id))))
    }

    async fn users(&self, count: u64) -> Result<Users> {
        self.0.users.get_or_insert_with(&count, || Ok(data::users(count)))
    }

    async fn shared_users(&self, count: u64) -> Result<Arc<Users>> {
        self.0.shared_users.get_or_insert_with(&count, || Ok(Arc::new(data::users(count))))
    }

    async fn slow(&self, id: u64) -> Result<u64> {
        Ok(data::slow(id).await)
    }
}

#[derive(Clone)]
pub struct Moka {
    items: moka::future::Cache<(u32, u64), Item>,
    shared_items: moka::future::Cache<(u32, u64), Arc<Item>>,
    users: moka::future::Cache<u64, Users>,
    shared_users: moka::future::Cache<u64, Arc<Users>>,
}

fn moka<K, V>() -> moka::future::Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    moka::future::Cache::builder().max_capacity(ENTRIES as u64).time_to_live(TTL).build()
}

impl Subject for Moka {
    const NAME: &'static str = "moka";

    async fn connect(_: &str) -> Result<Self> {
        Ok(Moka { items: moka(), shared_items: moka(), users: moka(), shared_users: moka() })
    }

    async fn item(&self, size: u32, id: u64) -> Result<Item> {
        Ok(self.items.get_with((size, id), async { data::item(size, id) }).await)
    }

    async fn shared_item(&self, size: u32, id: u64) -> Result<Arc<Item>> {
        Ok(self.shared_items.get_with((size, id), async { Arc::new(data::item(size, id)) }).await)
    }

    async fn users(&self, count: u64) -> Result<Users> {
        Ok(self.users.get_with(count, async { data::users(count) }).await)
    }

    async fn shared_users(&self, count: u64) -> Result<Arc<Users>> {
        Ok(self.shared_users.get_with(count, async { Arc::new(data::users(count)) }).await)
    }

    async fn slow(&self, id: u64) -> Result<u64> {
        Ok(data::slow(id).await)
    }
}

/// `cached` with its stores in memory, of which the macro for concurrent functions has the faster ones.
#[derive(Clone)]
pub struct CachedInMemory;

#[concurrent_cached(max_size = 10_000, ttl_secs = 3600)]
async fn item(size: u32, id: u64) -> Item {
    data::item(size, id)
}

#[concurrent_cached(max_size = 10_000, ttl_secs = 3600)]
async fn shared_item(size: u32, id: u64) -> Arc<Item> {
    Arc::new(data::item(size, id))
}

#[concurrent_cached(max_size = 10_000, ttl_secs = 3600)]
async fn users(count: u64) -> Users {
    data::users(count)
}

#[concurrent_cached(max_size = 10_000, ttl_secs = 3600)]
async fn shared_users(count: u64) -> Arc<Users> {
    Arc::new(data::users(count))
}

impl Subject for CachedInMemory {
    const NAME: &'static str = "cached, in memory";

    async fn connect(_: &str) -> Result<Self> {
        Ok(CachedInMemory)
    }

    async fn item(&self, size: u32, id: u64) -> Result<Item> {
        Ok(item(size, id).await)
    }

    async fn shared_item(&self, size: u32, id: u64) -> Result<Arc<Item>> {
        Ok(shared_item(size, id).await)
    }

    async fn users(&self, count: u64) -> Result<Users> {
        Ok(users(count).await)
    }

    async fn shared_users(&self, count: u64) -> Result<Arc<Users>> {
        Ok(shared_users(count).await)
    }

    async fn slow(&self, id: u64) -> Result<u64> {
        Ok(data::slow(id).await)
    }
}
