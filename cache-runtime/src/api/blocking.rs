//! The types of plain functions: the verbs of their async namesakes, blocking.

use std::time::Duration;

use crate::api::bulk::by_cache;
use crate::api::clear::extent_of;
pub use crate::api::entry::blocking::Entry;
pub use crate::api::group::blocking::Group;
use crate::api::group::blocking::group;
use crate::api::invalidation::{self, Invalidation};
use crate::engine::Engine;
use crate::engine::context::Context;
use crate::engine::scope::within;
use crate::error::Error;
use crate::key::Key;
use crate::poll::block_on::block_on;

/// The blocking verbs of a [`Cache`](crate::Cache), from [`Cache::blocking`](crate::Cache::blocking).
///
/// ```
/// use redis_cached::Cache;
///
/// let cache = Cache::builder("memory://")?.build();
/// cache.blocking().ping()?;
/// cache.blocking().invalidate_tag("org:7")?;
/// # Ok::<(), redis_cached::Error>(())
/// ```
///
/// It is another handle of the same cache. Its verbs have the names, results and errors of the async ones; they block
/// the thread for at most as long as those take, so async code uses the async ones.
#[derive(Clone, Debug)]
pub struct Cache(Context);

impl crate::api::cache::Cache {
    /// The blocking verbs of this cache, for code that is not async. Costs an increment of a reference count.
    ///
    /// ```
    /// # let cache = redis_cached::Cache::builder("memory://")?.build();
    /// cache.blocking().ping()?;
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn blocking(&self) -> Cache {
        Cache(self.0.clone())
    }
}

impl Cache {
    /// [`Cache::ping`](crate::Cache::ping), blocking.
    ///
    /// ```
    /// # let cache = redis_cached::Cache::builder("memory://")?.build();
    /// cache.blocking().ping()?;
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn ping(&self) -> Result<(), Error> {
        block_on(Engine::blocking(&self.0).ping())
    }

    /// [`Cache::clear`](crate::Cache::clear), blocking.
    ///
    /// ```
    /// # let cache = redis_cached::Cache::builder("memory://")?.build();
    /// cache.blocking().clear()?;
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn clear(&self) -> Result<u64, Error> {
        block_on(Engine::blocking(&self.0).clear(&extent_of(&self.0)?))
    }

    /// Runs `closure` with this as the cache of all functions without `cache = …` that are called inside:
    /// [`Cache::scope`](crate::Cache::scope), which says what it reaches, for a closure in place of a future.
    ///
    /// ```
    /// use redis_cached::{Cache, redis_cached};
    ///
    /// #[redis_cached]
    /// fn name(id: u64) -> String {
    ///     format!("user {id}")
    /// }
    ///
    /// let cache = Cache::builder("memory://")?.build();
    /// cache.blocking().scope(|| {
    ///     assert_eq!(name(42), "user 42");
    ///     assert_eq!(name_entry(42).get()?.as_deref(), Some("user 42"));
    ///     Ok::<(), redis_cached::Error>(())
    /// })?;
    /// assert_eq!(cache.stats().misses, 1);
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn scope<R>(&self, closure: impl FnOnce() -> R) -> R {
        within(&self.0, closure)
    }

    /// [`Cache::flush`](crate::Cache::flush), blocking.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let cache = redis_cached::Cache::builder("memory://")?.build();
    /// cache.blocking().flush(Duration::from_secs(5))?;
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn flush(&self, deadline: Duration) -> Result<(), Error> {
        self.0.flush_blocking(deadline)
    }

    /// [`Cache::invalidate_tag`](crate::Cache::invalidate_tag), blocking.
    ///
    /// ```
    /// # let cache = redis_cached::Cache::builder("memory://")?.build();
    /// let was_in_use = cache.blocking().invalidate_tag("org:7")?;
    /// # assert!(!was_in_use);
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn invalidate_tag(&self, tag: &str) -> Result<bool, Error> {
        Ok(block_on(Engine::blocking(&self.0).invalidate_all(&[Key::of_tag(self.0.namespace(), tag)]))? > 0)
    }

    /// [`Cache::invalidate_all`](crate::Cache::invalidate_all), blocking.
    ///
    /// ```
    /// use redis_cached::{Cache, Invalidation};
    ///
    /// # let cache = Cache::builder("memory://")?.build();
    /// cache.blocking().invalidate_all(["org:7", "org:9"].map(Invalidation::tag))?;
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn invalidate_all(
        &self,
        invalidations: impl IntoIterator<Item = impl Into<Invalidation>>,
    ) -> Result<u64, Error> {
        let (caches, mut outcome) = invalidation::by_cache(&self.0, invalidations);
        let mut sum = 0;
        for (cache, keys) in caches {
            match block_on(Engine::blocking(&cache).invalidate_all(&keys)) {
                Ok(count) => sum += count,
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome.map(|()| sum)
    }

    /// [`Cache::get_all`](crate::Cache::get_all), of entries of plain functions.
    ///
    /// ```
    /// use redis_cached::{Cache, redis_cached};
    ///
    /// #[redis_cached(cache = cache, skip(cache))]
    /// fn name(cache: &Cache, id: u64) -> String {
    ///     format!("user {id}")
    /// }
    ///
    /// # let cache = &Cache::builder("memory://")?.build();
    /// name(cache, 2);
    /// let names = cache.blocking().get_all(&[name_entry(cache, 1), name_entry(cache, 2)])?;
    /// assert_eq!(names, [None, Some("user 2".to_owned())]);
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn get_all<V>(&self, entries: &[Entry<V>]) -> Result<Vec<Option<V>>, Error> {
        let (mut found, parts) = by_cache(&self.0, entries.iter().map(Entry::parts))?;
        for (cache, places, entries) in parts {
            let values = block_on(Engine::blocking(cache).get_all(&entries))?;
            places.into_iter().zip(values).for_each(|(place, value)| found[place] = value);
        }
        Ok(found)
    }

    /// [`Cache::group`](crate::Cache::group), with blocking verbs.
    ///
    /// ```
    /// # let cache = redis_cached::Cache::builder("memory://")?.build();
    /// assert_eq!(cache.blocking().group("shop:class:7").key()?, "shop:#group:class:7");
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn group(&self, name: &str) -> Group {
        group(&self.0, Key::of_group(self.0.namespace(), name))
    }
}
