//! What a cache has done, and the state of its servers.

use crate::api::cache::Cache;
use crate::observe::families::Figures;
use crate::observe::prometheus;
use crate::observe::snapshot::{FunctionStats, InvalidationStats, ServerStats, Stats};

impl Cache {
    /// The counts of this cache in this process since it was built: the sums over all functions. This costs some loads for
    /// each function.
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
    /// let cache = Cache::builder("memory://")?.build();
    /// name(&cache, 42).await;
    /// name(&cache, 42).await;
    /// let stats = cache.stats();
    /// assert_eq!((stats.misses, stats.stored, stats.hits), (1, 1, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self) -> Stats {
        Stats::of(&self.0.functions().read(), self.0.invalidations().read())
    }

    /// What each function has done in this cache and this process, in the order of their names. Functions that were not
    /// called are not among them.
    ///
    /// ```
    /// use redis_cached::{Cache, redis_cached};
    ///
    /// #[redis_cached(prefix = "shop", name = "user", cache = cache, skip(cache))]
    /// fn name(cache: &Cache, id: u64) -> String {
    ///     format!("user {id}")
    /// }
    ///
    /// let cache = Cache::builder("memory://")?.build();
    /// name(&cache, 42);
    /// for stats in cache.functions() {
    ///     let ratio = stats.calls.ratio().unwrap_or_default();
    ///     println!("{}: {} calls, {ratio:.2} answered", stats.function, stats.calls.all());
    /// }
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn functions(&self) -> Vec<FunctionStats> {
        #[cfg_attr(not(feature = "local"), expect(unused_mut, reason = "there is no tier"))]
        let mut functions = self.0.functions().read();
        #[cfg(feature = "local")]
        if let Some(tier) = self.0.tier().get() {
            for stats in &mut functions {
                (stats.local.entries, stats.local.bytes) = tier.held(&stats.function);
            }
        }
        functions
    }

    /// The state of the server or servers, as this process knows it. Nothing is sent: [`Cache::ping`] asks.
    ///
    /// ```
    /// # let cache = redis_cached::Cache::builder("memory://")?.build();
    /// let stats = cache.server_stats();
    /// if !stats.up {
    ///     println!("functions run uncached, and {} keys are still to be invalidated", stats.undelivered);
    /// }
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn server_stats(&self) -> ServerStats {
        self.0.server_stats()
    }

    /// The figures of [`functions`](Self::functions), [`stats`](Self::stats) and [`server_stats`](Self::server_stats) in the
    /// text format of Prometheus, for a route that it scrapes.
    /// [`PROMETHEUS_CONTENT_TYPE`](crate::PROMETHEUS_CONTENT_TYPE) is its content type.
    ///
    /// ```
    /// use redis_cached::{Cache, redis_cached};
    ///
    /// #[redis_cached(prefix = "shop", name = "user", cache = cache, skip(cache))]
    /// fn name(cache: &Cache, id: u64) -> String {
    ///     format!("user {id}")
    /// }
    ///
    /// let cache = Cache::builder("memory://")?.build();
    /// name(&cache, 42);
    /// let text = cache.prometheus();
    /// assert!(text.contains(r#"redis_cached_calls_total{function="shop:user",result="miss"} 1"#));
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    ///
    /// The label `function` is what the keys of the function begin with, and `namespace` that of the cache, if it has one. No
    /// label has a key or a tag. The guide has the table of all names.
    pub fn prometheus(&self) -> String {
        let (functions, invalidations, server) = self.figures();
        let figures = Figures { functions: &functions, invalidations: &invalidations, server: &server };
        prometheus::text(self.0.namespace(), &figures)
    }

    fn figures(&self) -> (Vec<FunctionStats>, InvalidationStats, ServerStats) {
        (self.functions(), self.0.invalidations().read(), self.server_stats())
    }
}
