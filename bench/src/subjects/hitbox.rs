//! `hitbox` with its Redis backend, bincode, and the manager that lets one of several callers compute.

use std::time::Duration;

use hitbox::concurrency::BroadcastConcurrencyManager;
use hitbox::policy::ConcurrencyLimit;
use hitbox_fn::Cache;
use hitbox_fn::prelude::*;
use hitbox_redis::{ConnectionMode, RedisBackend};

use super::{Result, Subject};
use crate::data::{self, Item, Users};

#[cached]
async fn item(size: u32, id: u64) -> Item {
    data::item(size, id)
}

#[cached]
async fn users(count: u64) -> Users {
    data::users(count)
}

#[cached]
async fn slow(id: u64) -> u64 {
    data::slow(id).await
}

type Of<V> = Cache<RedisBackend, BroadcastConcurrencyManager<V>>;

#[derive(Clone)]
pub struct Hitbox {
    items: Of<Item>,
    users: Of<Users>,
    slow: Of<u64>,
}

fn cache<V>(backend: &RedisBackend) -> Of<V>
where
    V: hitbox::CacheableResponse + Send + 'static,
    V::Cached: Send + Sync + Clone + 'static,
{
    let one = PolicyConfig::builder().ttl(Duration::from_secs(3600)).concurrency(ConcurrencyLimit::MIN);
    Cache::builder()
        .backend(backend.clone())
        .policy(one.build())
        .concurrency_manager(BroadcastConcurrencyManager::new())
        .build()
}

impl Subject for Hitbox {
    const NAME: &'static str = "hitbox";

    async fn connect(url: &str) -> Result<Self> {
        let backend = RedisBackend::builder().connection(ConnectionMode::single(url)).build()?;
        Ok(Hitbox { items: cache(&backend), users: cache(&backend), slow: cache(&backend) })
    }

    async fn item(&self, size: u32, id: u64) -> Result<Item> {
        Ok(item(size, id).cache(&self.items).await)
    }

    async fn users(&self, count: u64) -> Result<Users> {
        Ok(users(count).cache(&self.users).await)
    }

    async fn slow(&self, id: u64) -> Result<u64> {
        Ok(slow(id).cache(&self.slow).await)
    }
}
