//! The workloads, and the subjects of each.

pub mod faults;
pub mod hits;
pub mod large;
pub mod memory;
pub mod stale;
pub mod stampede;
pub mod web;

use crate::machine::{Pinning, Server};
use crate::subjects::{
    BlockingSubject as _, ByHand, ByHandBlocking, ByHandManaged, Cached, CachedBlocking, CachedInMemory, CachedLocal,
    Hitbox, HitboxLocal, Moka, MultiTier, MultiTierLocal, Ours, OursBlocking, OursLocal, QuickCache, Result,
    Subject as _,
};

/// All subjects that cache `async` functions, connected.
pub struct Async {
    pub by_hand: ByHand,
    pub managed: ByHandManaged,
    pub ours: Ours,
    pub cached: Cached,
    pub hitbox: Hitbox,
    pub multi_tier: MultiTier,
}

impl Async {
    pub async fn connect(url: &str) -> Result<Async> {
        Ok(Async {
            by_hand: ByHand::connect(url).await?,
            managed: ByHandManaged::connect(url).await?,
            ours: Ours::connect(url).await?,
            cached: Cached::connect(url).await?,
            hitbox: Hitbox::connect(url).await?,
            multi_tier: MultiTier::connect(url).await?,
        })
    }
}

/// The subjects that also keep values in this process, two that ask Redis each time, and three that have no server.
pub struct Local {
    pub by_hand: ByHand,
    pub ours: Ours,
    pub ours_local: OursLocal,
    pub cached: CachedLocal,
    pub hitbox: HitboxLocal,
    pub multi_tier: MultiTierLocal,
    pub quick_cache: QuickCache,
    pub moka: Moka,
    pub in_memory: CachedInMemory,
}

impl Local {
    pub async fn connect(url: &str) -> Result<Local> {
        Ok(Local {
            by_hand: ByHand::connect(url).await?,
            ours: Ours::connect(url).await?,
            ours_local: OursLocal::connect(url).await?,
            cached: CachedLocal::connect(url).await?,
            hitbox: HitboxLocal::connect(url).await?,
            multi_tier: MultiTierLocal::connect(url).await?,
            quick_cache: QuickCache::connect(url).await?,
            moka: Moka::connect(url).await?,
            in_memory: CachedInMemory::connect(url).await?,
        })
    }
}

/// All subjects that cache plain functions.
pub struct Plain {
    pub by_hand: ByHandBlocking,
    pub ours: OursBlocking,
    pub cached: CachedBlocking,
}

impl Plain {
    pub fn connect(url: &str) -> Result<Plain> {
        Ok(Plain {
            by_hand: ByHandBlocking::connect(url)?,
            ours: OursBlocking::connect(url)?,
            cached: CachedBlocking::connect(url)?,
        })
    }
}

/// The server and settings of all workloads.
pub struct Bench<'a> {
    pub server: &'a Server,
    pub pinning: Pinning,
    /// Runs fewer rounds.
    pub quick: bool,
}

impl Bench<'_> {
    pub fn rounds(&self, full: usize) -> usize {
        if self.quick { 3 } else { full }
    }
}

/// Makes a turn for each subject of [`Async`].
macro_rules! each_async {
    ($all:expr, |$subject:ident| $turn:expr) => {
        each_async!($all, [by_hand, managed, ours, cached, hitbox, multi_tier], |$subject| $turn)
    };
    ($all:expr, [$($field:ident),*], |$subject:ident| $turn:expr) => {
        vec![$({
            let $subject = $all.$field.clone();
            $turn
        }),*]
    };
}

/// Makes a turn for each subject of [`Local`].
macro_rules! each_local {
    ($all:expr, |$subject:ident| $turn:expr) => {
        each_async!(
            $all,
            [by_hand, ours, ours_local, cached, hitbox, multi_tier, quick_cache, moka, in_memory],
            |$subject| $turn
        )
    };
}

/// Makes a turn for each subject of [`Plain`].
macro_rules! each_plain {
    ($all:expr, |$subject:ident| $turn:expr) => {
        each_async!($all, [by_hand, ours, cached], |$subject| $turn)
    };
}

pub(crate) use {each_async, each_local, each_plain};
