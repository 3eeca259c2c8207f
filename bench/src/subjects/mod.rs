//! The libraries, each with its strongest settings, and hand-written code.

mod by_hand;
mod cached;
mod hitbox;
mod in_memory;
mod multi_tier;
mod ours;
mod ours_local;
pub mod services;

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

pub use self::by_hand::{ByHand, ByHandBlocking, ByHandManaged};
pub use self::cached::{Cached, CachedBlocking, CachedLocal};
pub use self::hitbox::{Hitbox, HitboxLocal};
pub use self::in_memory::{CachedInMemory, Moka, QuickCache};
pub use self::multi_tier::{MultiTier, MultiTierLocal};
pub use self::ours::{Ours, OursBlocking, item_entry};
pub use self::ours_local::OursLocal;
use crate::data::{self, Item, Users};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Caches `async` functions on one server. Clones share connections.
pub trait Subject: Clone + Send + Sync + 'static {
    const NAME: &'static str;

    fn connect(url: &str) -> impl Future<Output = Result<Self>> + Send;
    fn item(&self, size: u32, id: u64) -> impl Future<Output = Result<Item>> + Send;
    fn users(&self, count: u64) -> impl Future<Output = Result<Users>> + Send;
    /// An item in an `Arc`. A library that keeps values encoded makes a new one for each hit.
    fn shared_item(&self, size: u32, id: u64) -> impl Future<Output = Result<Arc<Item>>> + Send {
        async move { self.item(size, id).await.map(Arc::new) }
    }
    /// Users in an `Arc`.
    fn shared_users(&self, count: u64) -> impl Future<Output = Result<Arc<Users>>> + Send {
        async move { self.users(count).await.map(Arc::new) }
    }
    /// An item of 5 MB.
    fn large(&self, id: u64) -> impl Future<Output = Result<Item>> + Send {
        self.item(data::LARGE, id)
    }
    /// A value that takes [`BODY`](crate::data::BODY) to compute.
    fn slow(&self, id: u64) -> impl Future<Output = Result<u64>> + Send;

    /// Many of these items, requested in the way that is usual for the subject.
    fn items(&self, size: u32, ids: &[u64]) -> impl Future<Output = Result<Vec<Item>>> + Send {
        futures_util::future::try_join_all(ids.iter().map(|id| self.item(size, *id)))
    }
}

/// Reads rows that another process changes.
pub trait Coherent: Subject {
    /// The version of a row.
    fn version(&self, id: u64) -> impl Future<Output = Result<u64>> + Send;
    /// Invalidates a row that has changed, for all processes, in the way that the subject has for it.
    fn invalidate(&self, id: u64) -> impl Future<Output = Result<()>> + Send;
}

/// Caches plain functions.
pub trait BlockingSubject: Clone + Send + Sync + 'static {
    const NAME: &'static str;

    fn connect(url: &str) -> Result<Self>;
    fn item(&self, size: u32, id: u64) -> Result<Item>;
    fn users(&self, count: u64) -> Result<Users>;
    fn slow(&self, id: u64) -> Result<u64>;
}
