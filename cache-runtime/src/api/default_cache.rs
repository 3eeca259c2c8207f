//! The cache of functions without `cache = …`: the installed one, or that of the scope around the call.

#[cfg(feature = "tokio")]
use std::future::Future;
use std::ops::Deref;
use std::sync::OnceLock;

use crate::api::cache::Cache;
use crate::engine::context::Context;
#[cfg(feature = "tokio")]
use crate::engine::scope::in_scope;
use crate::engine::scope::scoped;
use crate::error::{Error, ErrorKind};

static INSTALLED: OnceLock<Context> = OnceLock::new();

/// The default cache at one moment. A call holds it: with a scope's cache as an owned handle, which may be the last one.
#[derive(Debug)]
pub enum DefaultCache {
    /// The cache of the whole process.
    Installed(&'static Context),
    /// The cache of a scope.
    Scoped(Context),
}

impl Deref for DefaultCache {
    type Target = Context;

    #[inline]
    fn deref(&self) -> &Context {
        match self {
            DefaultCache::Installed(cache) => cache,
            DefaultCache::Scoped(cache) => cache,
        }
    }
}

/// The cache of functions that name none. Without a scope and an installed cache, the first caller decides.
#[inline]
pub fn installed() -> DefaultCache {
    match scoped() {
        Some(cache) => DefaultCache::Scoped(cache),
        None => DefaultCache::Installed(INSTALLED.get_or_init(|| Cache::from_env_or_unusable().0)),
    }
}

impl Cache {
    /// The cache that functions without `cache = …` use here and now: that of the [scope](Cache::scope) around this call,
    /// else the [installed](Cache::install) one.
    ///
    /// ```
    /// use redis_cached::Cache;
    ///
    /// # Cache::builder("memory://")?.build().install()?;
    /// println!("{:?}", Cache::installed().stats());
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    ///
    /// If there is neither, this decides on the cache of [`Cache::from_env`], as the first call of such a function would.
    pub fn installed() -> Cache {
        match installed() {
            DefaultCache::Installed(context) => Cache(context.clone()),
            DefaultCache::Scoped(context) => Cache(context),
        }
    }

    /// Makes this the cache of all functions without `cache = …`, for the rest of the process.
    ///
    /// ```
    /// use redis_cached::Cache;
    ///
    /// Cache::builder("memory://")?.build().install()?;
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    ///
    /// For a part of the process, see [`scope`](Cache::scope).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Installed`] if there is one: by an earlier `install`, or because such a function ran before (it then
    /// chose the cache of [`Cache::from_env`]).
    pub fn install(&self) -> Result<(), Error> {
        INSTALLED.set(self.0.clone()).map_err(|_| {
            let detail = "install one cache, before the first call of a cached function";
            Error::new(ErrorKind::Installed, detail)
        })
    }

    /// Runs `future` with this as the cache of all functions without `cache = …` that are called inside.
    ///
    /// Each test has a cache of its own this way, although all tests of a binary share a process:
    ///
    /// ```
    /// use redis_cached::{Cache, redis_cached};
    ///
    /// #[redis_cached]
    /// async fn name(id: u64) -> String {
    ///     format!("user {id}")
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), redis_cached::Error> {
    /// // #[tokio::test]
    /// // async fn names_are_cached() {
    /// let cache = Cache::builder("memory://")?.build(); // or a Redis, with a namespace for this test
    /// cache
    ///     .scope(async {
    ///         assert_eq!(name(42).await, "user 42");
    ///         assert_eq!(name_entry(42).get().await?.as_deref(), Some("user 42"));
    ///         Ok::<(), redis_cached::Error>(())
    ///     })
    ///     .await?;
    /// assert_eq!(cache.stats().misses, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Reach
    ///
    /// - Calls, and the functions that come with them (`…_entry`, `…_refresh`, `…_group`, `…_clear`), while the future
    ///   is polled or dropped, on any thread. A future that is made inside and polled outside belongs to the outside;
    ///   an entry that is made inside keeps its cache.
    /// - Bodies that such a call runs, and refreshes that it starts in the background.
    /// - Not tasks and threads that you spawn inside: pass the scope on, `tokio::spawn(cache.scope(…))`, for which
    ///   [`Cache::installed`] finds the cache. (Tasks on a runtime that is driven inside of a *blocking* scope, by the
    ///   `block_on` of a `current_thread` runtime, are polled on its thread, and so inside.)
    /// - Not functions with `cache = …`, which say themselves which cache they use.
    ///
    /// Scopes nest: the innermost counts. A scope ends with its future, whether that is done, dropped half-way or panics.
    ///
    /// # Cost
    ///
    /// A scope costs one allocation, for the future, and two writes to a thread-local variable for each poll. Calls
    /// inside count one more reference to the cache; calls without a scope read the variable.
    #[cfg(feature = "tokio")]
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        in_scope(self.0.clone(), future)
    }
}
