//! Emptying a whole cache, or all entries of one function.

#[cfg(feature = "tokio")]
use std::future::Future;

#[cfg(feature = "tokio")]
use crate::api::cache::Cache;
#[cfg(feature = "tokio")]
use crate::api::default_cache::installed;
use crate::engine::Engine;
use crate::engine::context::Context;
use crate::error::{Error, ErrorKind};
use crate::key::Extent;
use crate::plan::function::Function;
#[cfg(feature = "blocking")]
use crate::poll::block_on::block_on;

#[cfg(feature = "tokio")]
impl Cache {
    /// Empties the cache: entries, groups and tags of all functions, running computations included. Returns how many keys
    /// it removed.
    ///
    /// ```
    /// use redis_cached::{Cache, redis_cached};
    ///
    /// #[redis_cached(cache = cache, skip(cache))]
    /// async fn name(cache: &Cache, id: u64) -> String {
    ///     format!("user {id}")
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), redis_cached::Error> {
    /// # let cache = &Cache::builder("memory://")?.build();
    /// name(cache, 1).await;
    /// name(cache, 2).await;
    /// assert_eq!(cache.clear().await?, 2);
    /// assert_eq!(name_entry(cache, 1).get().await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It is an invalidation of everything that was stored, or was being computed, when it began: no call that starts
    /// after it has returned gets a value that was computed from data read before it began. Values that are computed
    /// and stored while it runs may stay.
    ///
    /// # Which keys it removes
    ///
    /// On Redis, it removes every key that begins with the cache's [namespace](crate::Builder::namespace) and a `:`,
    /// whichever program wrote it. A namespace therefore belongs to this library alone. Without a namespace nothing in
    /// a key tells that it is this library's, and a guess could delete keys of others: `clear` then refuses to run.
    /// Clear single functions by their `…_clear`, or set a namespace. In memory nothing else is stored, and `clear`
    /// empties all of it.
    ///
    /// # Cost
    ///
    /// `SCAN` goes through all keys of the database, including those of other programs, a thousand in each round trip,
    /// and `UNLINK` removes those that match. Each round trip may take the cache's time-out; the whole has no bound.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] without a namespace on Redis. Otherwise the first round trip that failed, or was refused
    /// (`SCAN` needs a permission of its own). The keys that it had not reached stay, and are not kept for later as an
    /// invalidation is: call it again. The same holds for a future that is dropped half-way, and for a server that was
    /// replaced by another one meanwhile.
    pub async fn clear(&self) -> Result<u64, Error> {
        Engine::tokio(&self.0).clear(&extent_of(&self.0)?).await
    }
}

/// The extent that is cleared of a cache.
pub(crate) fn extent_of(cache: &Context) -> Result<Extent, Error> {
    let extent = Extent::of_cache(cache.namespace());
    if extent == Extent::Everything && cache.may_hold_foreign_keys() {
        let detail = "without a namespace `clear` cannot tell its keys from others; set one with `Builder::namespace`, or \
                      clear single functions by their `…_clear`";
        return Err(Error::new(ErrorKind::Config, detail));
    }
    Ok(extent)
}

fn extent_of_function(cache: &Context, function: &Function, in_group: bool) -> Extent {
    Extent::of_function(cache.namespace(), function.prefix(), function.name(), in_group)
}

/// The function is called by the `…_clear` of an async function.
#[cfg(feature = "tokio")]
pub fn clear<'a>(
    cache: &'a Context,
    function: &Function,
    in_group: bool,
) -> impl Future<Output = Result<u64, Error>> + Send + use<'a> {
    let extent = extent_of_function(cache, function, in_group);
    async move { Engine::tokio(cache).clear(&extent).await }
}

/// The function is called by the `…_clear` of an async function without `cache = …`.
#[cfg(feature = "tokio")]
#[expect(clippy::manual_async_fn, reason = "only a declared bound spares the compiler the search for it, per function")]
pub fn clear_installed(function: &'static Function, in_group: bool) -> impl Future<Output = Result<u64, Error>> + Send {
    async move { clear(&installed(), function, in_group).await }
}

/// The function is called by the `…_clear` of a plain function.
#[cfg(feature = "blocking")]
pub fn clear_blocking(cache: &Context, function: &Function, in_group: bool) -> Result<u64, Error> {
    block_on(Engine::blocking(cache).clear(&extent_of_function(cache, function, in_group)))
}
