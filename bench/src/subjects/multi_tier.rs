//! `multi-tier-cache` with its bincode serializer: with Redis as its only tier, so that each hit reaches
//! Redis, and with its tier in this process as well.

use std::sync::Arc;
use std::time::Duration;

use multi_tier_cache::serialization::BincodeSerializer;
use multi_tier_cache::{
    CacheManager, CacheSerializer, CacheStrategy, CacheTier, InvalidationConfig, L1Cache, L2Cache, MokaCacheConfig,
};

use super::{Coherent, Result, Subject};
use crate::data::{self, Item, Users};

#[derive(Clone)]
pub struct OnTiers<const IS_LOCAL: bool>(Arc<CacheManager>);

pub type MultiTier = OnTiers<false>;
pub type MultiTierLocal = OnTiers<true>;

const TTL: CacheStrategy = CacheStrategy::Custom(Duration::from_secs(3600));

impl<const IS_LOCAL: bool> Subject for OnTiers<IS_LOCAL> {
    const NAME: &'static str = if IS_LOCAL { "multi-tier-cache, two tiers" } else { "multi-tier-cache" };

    async fn connect(url: &str) -> Result<Self> {
        let redis = Arc::new(L2Cache::with_url(url).await?);
        let mut manager = if IS_LOCAL {
            let local = Arc::new(L1Cache::new(MokaCacheConfig::default())?);
            CacheManager::new_with_invalidation(local, redis, url, InvalidationConfig::default()).await?
        } else {
            CacheManager::new_with_tiers(vec![CacheTier::new(redis, 1, false, 1, 1.0)], None)?
        };
        manager.set_serializer(CacheSerializer::Bincode(BincodeSerializer));
        Ok(OnTiers(Arc::new(manager)))
    }

    async fn item(&self, size: u32, id: u64) -> Result<Item> {
        let body = || async move { Ok(data::item(size, id)) };
        Ok(self.0.get_or_compute_typed(&format!("mtc:item:{size}:{id}"), TTL, body).await?)
    }

    async fn users(&self, count: u64) -> Result<Users> {
        let body = || async move { Ok(data::users(count)) };
        Ok(self.0.get_or_compute_typed(&format!("mtc:users:{count}"), TTL, body).await?)
    }

    async fn slow(&self, id: u64) -> Result<u64> {
        Ok(self
            .0
            .get_or_compute_typed(&format!("mtc:slow:{id}"), TTL, || async move { Ok(data::slow(id).await) })
            .await?)
    }
}

impl Coherent for MultiTierLocal {
    async fn version(&self, id: u64) -> Result<u64> {
        let body = || async move { Ok(data::version(id).await) };
        Ok(self.0.get_or_compute_typed(&format!("mtc:version:{id}"), TTL, body).await?)
    }

    async fn invalidate(&self, id: u64) -> Result<()> {
        Ok(self.0.invalidate(&format!("mtc:version:{id}")).await?)
    }
}
