//! Entries of plain functions: the same verbs as the async [`Entry`](crate::Entry)'s, blocking.

use std::fmt;
use std::time::Duration;

use super::base::Base;
use crate::api::invalidation::Invalidation;
use crate::engine::Engine;
use crate::engine::context::Context;
use crate::error::Error;
use crate::key::Key;
use crate::plan::function::Plan;
use crate::poll::block_on::block_on;

/// The entry that a call of a plain `fn` with the same arguments reads and fills.
///
/// ```
/// use redis_cached::redis_cached;
///
/// #[redis_cached(ttl = "10m", cache = CACHE)]
/// fn name(id: u64) -> String {
///     format!("user {id}")
/// }
/// # use std::sync::LazyLock;
/// # use redis_cached::Cache;
/// # static CACHE: LazyLock<Cache> = LazyLock::new(|| Cache::builder("memory://").unwrap().build());
///
/// # fn main() -> Result<(), redis_cached::Error> {
/// name(42);
/// let entry = name_entry(42);
/// assert_eq!(entry.get()?.as_deref(), Some("user 42"));
/// assert!(entry.invalidate()?);
/// assert_eq!(entry.get()?, None);
/// # Ok(())
/// # }
/// ```
///
/// These verbs ask the cache itself, so failures are reported: every verb returns the crate's own [`Error`], which is
/// [`ErrorKind::Key`](crate::ErrorKind::Key) if the arguments cannot be made into a key. Each verb takes at most one
/// time-out of its cache, `put` and `write_through` two. None runs the body.
///
/// An entry holds its key and a handle to its cache; making one sends nothing.
pub struct Entry<V>(Base<V>);

impl<V> Entry<V> {
    /// The key, as `redis-cli` shows it.
    ///
    /// ```
    /// use redis_cached::{Cache, redis_cached};
    ///
    /// #[redis_cached(prefix = "shop", name = "name", cache = cache, skip(cache))]
    /// fn name(cache: &Cache, id: u64) -> String {
    ///     format!("user {id}")
    /// }
    ///
    /// # let cache = &Cache::builder("memory://")?.build();
    /// assert_eq!(name_entry(cache, 42).key()?, "shop:name:42");
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn key(&self) -> Result<&str, Error> {
        Ok(self.0.key()?.as_str())
    }

    /// The value, if one is stored and fresh. Never runs the body, never waits for one that runs.
    pub fn get(&self) -> Result<Option<V>, Error> {
        block_on(Engine::blocking(&self.0.cache).get(&self.0.plan, self.0.key()?))
    }

    /// Stores `value` with the lifetime that the function's attribute gives it. Returns false if it was not stored: the
    /// attribute excludes this value (`cache_if`, a `None` without `none_ttl`, a `ttl` of zero), or the entry was
    /// invalidated on the way. The value that was there before is gone in either case.
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
    /// assert!(name_entry(cache, 42).put(&"Ada".to_owned())?);
    /// assert_eq!(name(cache, 42), "Ada"); // the body does not run
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    ///
    /// This asserts that `value` is current. After a write to the origin, prefer
    /// [`write_through`](Self::write_through) or [`invalidate`](Self::invalidate).
    pub fn put(&self, value: &V) -> Result<bool, Error> {
        block_on(Engine::blocking(&self.0.cache).put(&self.0.plan, self.0.key()?, value))
    }

    /// Forgets the value; true if something was there. Also voids computations in flight: their callers get their
    /// result, no other call does, and it is not stored.
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
    /// name(cache, 42);
    /// // … UPDATE users SET name = …
    /// assert!(name_entry(cache, 42).invalidate()?);
    /// assert!(!name_entry(cache, 42).invalidate()?); // nothing is there any more
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    ///
    /// Where this fails, the entry is kept: it is invalidated in the background once the server takes it
    /// ([`Cache::flush`](crate::api::blocking::Cache::flush) waits for that), and before this process reads it again.
    pub fn invalidate(&self) -> Result<bool, Error> {
        block_on(Engine::blocking(&self.0.cache).invalidate(self.0.key()?))
    }

    /// Does [`invalidate`](Self::invalidate), and returns once no process serves the old value from its
    /// local tier: after the reply of the server, this waits for the cache's
    /// [`local_bound`](crate::Builder::local_bound), which must be the same in all processes. On `memory://` there is no
    /// other process, and nothing is waited for.
    ///
    /// ```
    /// use redis_cached::{Cache, redis_cached};
    ///
    /// #[redis_cached(local = 100, cache = cache, skip(cache))]
    /// fn may_enter(cache: &Cache, user: u64) -> bool {
    ///     user != 13
    /// }
    ///
    /// # fn main() {}
    /// # fn revoke(cache: &Cache) -> Result<(), redis_cached::Error> {
    /// // … UPDATE rights …
    /// may_enter_entry(cache, 7).invalidate_everywhere()?;
    /// // … from here on, no process lets the user in …
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Dropped half-way, it has invalidated the entry, or not, and has not waited. If the invalidation fails, this returns
    /// its error at once; the entry is kept, as by [`invalidate`](Self::invalidate).
    #[cfg(feature = "local")]
    pub fn invalidate_everywhere(&self) -> Result<bool, Error> {
        let was_there = self.invalidate()?;
        std::thread::sleep(self.0.cache.bound_of_others());
        Ok(was_there)
    }

    /// The rest of the value's fresh lifetime: `None` if there is no value, [`Duration::MAX`] if it lives for ever.
    ///
    /// ```
    /// use std::time::Duration;
    /// use redis_cached::{Cache, redis_cached};
    ///
    /// #[redis_cached(ttl = "10m", cache = cache, skip(cache))]
    /// fn name(cache: &Cache, id: u64) -> String {
    ///     format!("user {id}")
    /// }
    ///
    /// # let cache = &Cache::builder("memory://")?.build();
    /// assert_eq!(name_entry(cache, 42).ttl()?, None);
    /// name(cache, 42);
    /// assert!(name_entry(cache, 42).ttl()?.is_some_and(|left| left <= Duration::from_secs(600)));
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn ttl(&self) -> Result<Option<Duration>, Error> {
        block_on(Engine::blocking(&self.0.cache).ttl(&self.0.plan, self.0.key()?))
    }

    /// Runs `write`, which makes `value` current at the origin, and stores `value`. Returns what
    /// `write` returns: a cache that cannot be asked is logged, and its entry invalidated as soon
    /// as it can.
    ///
    /// ```
    /// use redis_cached::{Cache, Error, redis_cached};
    ///
    /// #[redis_cached(cache = cache, skip(cache))]
    /// fn name(cache: &Cache, id: u64) -> String {
    ///     format!("user {id}")
    /// }
    ///
    /// # let cache = &Cache::builder("memory://")?.build();
    /// let ada = "Ada".to_owned();
    /// let update = || Ok::<_, Error>(1); // UPDATE users SET name = 'Ada' …, which changed one row
    /// assert_eq!(name_entry(cache, 42).write_through(&ada, update)?, 1);
    /// assert_eq!(name(cache, 42), "Ada"); // from the cache
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    ///
    /// From before the write until after it no call stores anything else here. If the write
    /// fails, the entry is left empty, for the write may have been committed all the same.
    pub fn write_through<T, E, F>(&self, value: &V, write: F) -> Result<T, E>
    where
        F: FnOnce() -> Result<T, E>,
    {
        let write = async || write().map(|output| (output, value));
        let written = block_on(Engine::blocking(&self.0.cache).write_through(&self.0.plan, self.0.key(), write));
        written.map(|(output, _)| output)
    }

    /// [`write_through`](Self::write_through), for a write that returns the value: `INSERT … RETURNING`, or an update that
    /// fills in columns. Stores what `write` returns, and returns it.
    ///
    /// ```
    /// use redis_cached::redis_cached;
    /// # use std::sync::LazyLock;
    /// # use redis_cached::Cache;
    /// # static CACHE: LazyLock<Cache> = LazyLock::new(|| Cache::builder("memory://").unwrap().build());
    ///
    /// #[redis_cached(cache = CACHE)]
    /// fn balance(account: u64) -> Result<i64, String> {
    ///     // SELECT balance FROM accounts WHERE id = $1
    /// #   Ok(account as i64)
    /// }
    ///
    /// fn pay(account: u64, amount: i64) -> Result<i64, String> {
    ///     balance_entry(account).write_through_returning(|| {
    ///         // UPDATE accounts SET balance = balance + $2 WHERE id = $1 RETURNING balance
    /// #       balance_uncached(account).map(|balance| balance + amount)
    ///     })
    /// }
    ///
    /// assert_eq!(pay(100, 5), Ok(105));
    /// assert_eq!(balance(100), Ok(105)); // from the cache
    /// ```
    ///
    /// Two writes to one entry at the same time leave it empty, because nothing tells in which order the origin took them.
    pub fn write_through_returning<E, F>(&self, write: F) -> Result<V, E>
    where
        F: FnOnce() -> Result<V, E>,
    {
        let write = async || write().map(|value| ((), value));
        let written = block_on(Engine::blocking(&self.0.cache).write_through(&self.0.plan, self.0.key(), write));
        written.map(|((), value)| value)
    }
}

impl<V> Entry<V> {
    pub(crate) fn parts(&self) -> Result<(&Context, &Plan<V>, &Key), Error> {
        self.0.parts()
    }
}

impl<V> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Entry(self.0.clone())
    }
}

impl<V> fmt::Debug for Entry<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug(f)
    }
}

impl<V> From<Entry<V>> for Invalidation {
    fn from(entry: Entry<V>) -> Invalidation {
        entry.0.invalidation()
    }
}

impl<V> From<&Entry<V>> for Invalidation {
    fn from(entry: &Entry<V>) -> Invalidation {
        entry.0.invalidation()
    }
}

/// For generated code.
#[doc(hidden)]
pub fn entry<V>(cache: &Context, plan: Plan<V>, key: Result<Key, Error>) -> Entry<V> {
    Entry(Base::new(cache, plan, key))
}
