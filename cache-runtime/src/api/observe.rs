//! What a cache has done, and the state of its servers.

use crate::api::cache::Cache;
#[cfg(feature = "metrics")]
use crate::observe::facade;
use crate::observe::figures::Figures;
#[cfg(feature = "opentelemetry")]
use crate::observe::otel;
use crate::observe::prometheus;
use crate::observe::snapshot::{FunctionStats, ServerStats, Stats};

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
        prometheus::text(self.0.namespace(), &self.figures())
    }

    /// Hands the same figures to the recorder of the [`metrics`](https://docs.rs/metrics) facade: to that of this thread, or
    /// else to that of the process. Call it before the recorder's figures are read, or at an interval.
    ///
    /// ```
    /// use metrics_exporter_prometheus::PrometheusBuilder;
    /// use redis_cached::{Cache, redis_cached};
    ///
    /// #[redis_cached(prefix = "shop", name = "user", cache = cache, skip(cache))]
    /// fn name(cache: &Cache, id: u64) -> String {
    ///     format!("user {id}")
    /// }
    ///
    /// let cache = Cache::builder("memory://")?.build();
    /// name(&cache, 42);
    /// let handle = PrometheusBuilder::new().install_recorder().expect("the first recorder");
    /// cache.publish_metrics();
    /// assert!(handle.render().contains(r#"redis_cached_calls_total{function="shop:user",result="miss"} 1"#));
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    ///
    /// Names and labels are those of [`prometheus`](Self::prometheus), with their units and descriptions. Counters are set to
    /// the counts since the cache was built, so that a recorder that is installed late misses nothing. Two things differ,
    /// because of what the facade has:
    ///
    /// - A histogram is the counters `…_bucket`, with the label `le`, and `…_count`, and the gauge `…_sum`: a recorder chooses
    ///   buckets of its own, and cannot take over observations that are already counted. Prometheus reads them as its own.
    /// - `redis_cached_saved_seconds_total` is a gauge, because counters are whole numbers.
    ///
    /// Without a recorder this does nothing. It costs some loads for each function, and a look-up in the recorder for each
    /// number. A hit costs no more than without the feature.
    #[cfg(feature = "metrics")]
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn publish_metrics(&self) {
        facade::publish(self.0.namespace(), &self.figures());
    }

    /// Makes instruments of OpenTelemetry in `meter`, which tell the same figures from now on. Call it once for a cache: of
    /// further calls only the first counts.
    ///
    /// ```
    /// use opentelemetry::metrics::MeterProvider;
    /// use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
    /// use redis_cached::{Cache, redis_cached};
    ///
    /// #[redis_cached(prefix = "shop", name = "user", cache = cache, skip(cache))]
    /// fn name(cache: &Cache, id: u64) -> String {
    ///     format!("user {id}")
    /// }
    ///
    /// let exporter = InMemoryMetricExporter::default(); // in a program, one of opentelemetry-otlp
    /// let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
    ///
    /// let cache = Cache::builder("memory://")?.build();
    /// cache.publish_opentelemetry(&provider.meter("shop"));
    /// name(&cache, 42);
    /// provider.force_flush().expect("nothing fails");
    /// let collected = exporter.get_finished_metrics().expect("nothing fails");
    /// let mut names = collected[0].scope_metrics().flat_map(|scope| scope.metrics()).map(|metric| metric.name());
    /// assert!(names.any(|name| name == "redis_cached.calls"));
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    ///
    /// The guide has the names. An exporter makes those of [`prometheus`](Self::prometheus) of them, where it translates
    /// names for Prometheus. Counters and gauges are read when they are collected, and count from the time that the cache was
    /// built; each instrument reads all counters for that, which takes microseconds for each function. Histograms have the
    /// bodies, waits, sizes and exchanges from this call on, and are recorded when they happen. A hit records its exchange
    /// with Redis, and a hit in the local tier nothing.
    ///
    /// The meter does not keep the cache alive. The instruments of a cache that is gone observe nothing.
    #[cfg(feature = "opentelemetry")]
    #[cfg_attr(docsrs, doc(cfg(feature = "opentelemetry")))]
    pub fn publish_opentelemetry(&self, meter: &opentelemetry::metrics::Meter) {
        if self.0.listener().set(|| otel::Instruments::new(meter, self.0.namespace())) {
            let cache = self.0.downgrade();
            otel::observe(meter, self.0.namespace(), move || cache.upgrade().map(|cache| Cache(cache).figures()));
        }
    }

    fn figures(&self) -> Figures {
        Figures {
            functions: self.functions(),
            invalidations: self.0.invalidations().read(),
            server: self.server_stats(),
            exchanges: self.0.exchanges(),
            without_server: self.0.without_server(),
        }
    }
}
