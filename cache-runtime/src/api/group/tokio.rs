//! The group of async functions.

use std::fmt;

use super::Base;
use crate::api::invalidation::Invalidation;
use crate::engine::Engine;
use crate::engine::context::Context;
use crate::error::Error;
use crate::key::Key;

/// All entries of a `group = "…"`, of whatever function: the fields of one Redis hash.
///
/// ```
/// use redis_cached::redis_cached;
///
/// #[redis_cached(group = "class:{class_id}", cache = CACHE)]
/// async fn grade(class_id: u64, student: &str) -> u64 {
///     class_id + student.len() as u64
/// }
/// # use std::sync::LazyLock;
/// # use redis_cached::Cache;
/// # static CACHE: LazyLock<Cache> = LazyLock::new(|| Cache::builder("memory://").unwrap().build());
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), redis_cached::Error> {
/// grade(7, "Ada").await;
/// grade(7, "Grace").await;
/// let class = grade_group(7);
/// assert!(class.key()?.ends_with(":#group:class:7"));
/// assert_eq!(class.len().await?, 2);
/// assert!(class.invalidate().await?); // one command, however many they are
/// assert!(class.is_empty().await?);
/// assert_eq!(grade_entry(7, "Ada").get().await?, None);
/// # Ok(())
/// # }
/// ```
///
/// Made by the `…_group` function of a cached function, or by [`Cache::group`](crate::Cache::group). Making one sends nothing.
/// Every verb takes at most one time-out of its cache, except for [`len`](Self::len) and [`is_empty`](Self::is_empty).
#[derive(Clone)]
pub struct Group(Base);

impl Group {
    /// The key of the hash, as `redis-cli` shows it: `HKEYS` lists its entries there.
    pub fn key(&self) -> Result<&str, Error> {
        Ok(self.0.key()?.as_str())
    }

    /// Forgets all entries of the group; true if something was there. Also voids the computations in flight: their
    /// callers get their result, no other call does, and it is not stored.
    ///
    /// This is a single command, at the same cost for the server's other clients whatever the number of entries. Where
    /// it fails, the group is kept in mind and invalidated before this process reads any entry of it again.
    pub async fn invalidate(&self) -> Result<bool, Error> {
        let keys = std::slice::from_ref(self.0.key()?);
        Ok(Engine::tokio(&self.0.cache).invalidate_all(keys).await? > 0)
    }

    /// How many values the group holds. One that has expired counts until its field is removed: at
    /// once where the server lets fields expire (Redis 7.4, Valkey 9), else at some later
    /// computation in the group.
    ///
    /// The server looks at each field, in steps of at most about 500 fields, so that its other clients need not wait:
    /// a million fields take some 2,000 round trips, each of which may take a time-out. A value that is stored or
    /// removed meanwhile may be counted or not, and one may be counted twice if the server resizes the hash meanwhile.
    pub async fn len(&self) -> Result<u64, Error> {
        Engine::tokio(&self.0.cache).count(self.0.key()?, u64::MAX).await
    }

    /// Returns true if the group holds no value, counted like [`len`](Self::len), but no further than to the first
    /// value.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        Ok(Engine::tokio(&self.0.cache).count(self.0.key()?, 1).await? == 0)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug(f)
    }
}

impl From<Group> for Invalidation {
    fn from(group: Group) -> Invalidation {
        group.0.invalidation()
    }
}

impl From<&Group> for Invalidation {
    fn from(group: &Group) -> Invalidation {
        group.0.invalidation()
    }
}

/// For generated code.
#[doc(hidden)]
pub fn group(cache: &Context, key: Result<Key, Error>) -> Group {
    Group(Base::new(cache, key))
}
