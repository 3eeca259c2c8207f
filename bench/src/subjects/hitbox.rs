//! `hitbox` with bincode, its Redis backend (alone and with its moka backend as a first tier), and the
//! manager that lets one of several callers compute.

use std::time::Duration;

use hitbox::concurrency::BroadcastConcurrencyManager;
use hitbox::offload::OffloadManager;
use hitbox::policy::ConcurrencyLimit;
use hitbox_backend::CacheBackend;
use hitbox_backend::composition::{Compose, CompositionBackend};
use hitbox_backend::format::BincodeFormat;
use hitbox_fn::Cache;
use hitbox_fn::prelude::*;
use hitbox_moka::MokaBackend;
use hitbox_redis::{ConnectionMode, RedisBackend};

use super::{Coherent, Result, Subject};
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

#[cached]
async fn version(id: u64) -> u64 {
    data::version(id).await
}

type Of<V, B> = Cache<B, BroadcastConcurrencyManager<V>>;

/// The place of the values.
pub trait Tiers: Clone + Send + Sync + 'static {
    const NAME: &'static str;
    type Backend: CacheBackend + Clone + Send + Sync + 'static;

    fn backend(url: &str) -> Result<Self::Backend>;
}

#[derive(Clone)]
pub struct OnRedis;

impl Tiers for OnRedis {
    const NAME: &'static str = "hitbox";
    type Backend = RedisBackend;

    fn backend(url: &str) -> Result<RedisBackend> {
        Ok(RedisBackend::builder().connection(ConnectionMode::single(url)).build()?)
    }
}

/// Values in this process, and on Redis.
#[derive(Clone)]
pub struct InTwoTiers;

impl Tiers for InTwoTiers {
    const NAME: &'static str = "hitbox, moka and Redis";
    type Backend = CompositionBackend<MokaBackend<BincodeFormat>, RedisBackend, OffloadManager>;

    fn backend(url: &str) -> Result<Self::Backend> {
        let moka = MokaBackend::builder().max_entries(100_000).value_format(BincodeFormat).build();
        Ok(moka.compose(OnRedis::backend(url)?, OffloadManager::default()))
    }
}

#[derive(Clone)]
pub struct OnTiers<T: Tiers> {
    items: Of<Item, T::Backend>,
    users: Of<Users, T::Backend>,
    slow: Of<u64, T::Backend>,
}

pub type Hitbox = OnTiers<OnRedis>;
pub type HitboxLocal = OnTiers<InTwoTiers>;

fn cache<V, B>(backend: &B) -> Of<V, B>
where
    V: hitbox::CacheableResponse + Send + 'static,
    V::Cached: Send + Sync + Clone + 'static,
    B: CacheBackend + Clone,
{
    let one = PolicyConfig::builder().ttl(Duration::from_secs(3600)).concurrency(ConcurrencyLimit::MIN);
    Cache::builder()
        .backend(backend.clone())
        .policy(one.build())
        .concurrency_manager(BroadcastConcurrencyManager::new())
        .build()
}

impl<T: Tiers> Subject for OnTiers<T> {
    const NAME: &'static str = T::NAME;

    async fn connect(url: &str) -> Result<Self> {
        let backend = T::backend(url)?;
        Ok(OnTiers { items: cache(&backend), users: cache(&backend), slow: cache(&backend) })
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

impl Coherent for HitboxLocal {
    async fn version(&self, id: u64) -> Result<u64> {
        Ok(version(id).cache(&self.slow).await)
    }

    async fn invalidate(&self, _: u64) -> Result<()> {
        Ok(data::delete_stored().await?)
    }
}
