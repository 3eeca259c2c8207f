//! The figures of a cache for OpenTelemetry: the same as in the text for Prometheus.

use std::collections::BTreeMap;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use redis_cached::Cache;
use test_support::{PATIENCE, Server};

use crate::scrape::{Labels, at_rest, calls, parsed};

/// The series of one collection, with their names and suffixes as an exporter for Prometheus makes them.
#[derive(Debug, Default)]
struct Collected(BTreeMap<(String, Labels), f64>);

fn labels<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> Labels {
    attributes.map(|pair| (pair.key.as_str().replace('.', "_"), pair.value.as_str().into_owned())).collect()
}

/// The name of a metric as the specification translates it for Prometheus.
fn translated(metric: &Metric, is_counter: bool) -> String {
    let mut name = metric.name().replace('.', "_");
    let unit = match metric.unit() {
        "s" => "seconds",
        "By" => "bytes",
        other => {
            assert!(other.starts_with('{') && other.ends_with('}'), "{name} is in {other}");
            ""
        }
    };
    if !unit.is_empty() && !name.ends_with(unit) {
        name = format!("{name}_{unit}");
    }
    if is_counter { name + "_total" } else { name }
}

impl Collected {
    fn add(&mut self, name: String, labels: Labels, value: f64) {
        assert!(self.0.insert((name.clone(), labels.clone()), value).is_none(), "{name}{labels:?} is there twice");
    }

    fn add_metric<T: Copy>(&mut self, metric: &Metric, data: &MetricData<T>, number: impl Fn(T) -> f64) {
        assert!(!metric.description().is_empty());
        match data {
            MetricData::Sum(sum) => {
                assert!(sum.is_monotonic());
                for point in sum.data_points() {
                    self.add(translated(metric, true), labels(point.attributes()), number(point.value()));
                }
            }
            MetricData::Gauge(gauge) => {
                for point in gauge.data_points() {
                    self.add(translated(metric, false), labels(point.attributes()), number(point.value()));
                }
            }
            MetricData::Histogram(histogram) => {
                let name = translated(metric, false);
                for point in histogram.data_points() {
                    let labels = labels(point.attributes());
                    self.add(format!("{name}_count"), labels.clone(), point.count() as f64);
                    self.add(format!("{name}_sum"), labels.clone(), number(point.sum()));
                    let bounds = point.bounds().map(|bound| bound.to_string()).chain(["+Inf".to_owned()]);
                    let mut sum = 0;
                    for (bound, count) in bounds.zip(point.bucket_counts()) {
                        sum += count;
                        let mut labels = labels.clone();
                        labels.insert("le".to_owned(), bound);
                        self.add(format!("{name}_bucket"), labels, sum as f64);
                    }
                }
            }
            MetricData::ExponentialHistogram(_) => panic!("{} has bounds", metric.name()),
        }
    }
}

/// A provider of meters, and what it collects.
struct Sdk {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

impl Sdk {
    fn new() -> Sdk {
        let exporter = InMemoryMetricExporter::default();
        let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
        Sdk { provider, exporter }
    }

    fn collect(&self) -> Collected {
        self.exporter.reset();
        self.provider.force_flush().unwrap();
        let mut collected = Collected::default();
        for resource in self.exporter.get_finished_metrics().unwrap() {
            for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
                match metric.data() {
                    AggregatedMetrics::U64(data) => collected.add_metric(metric, data, |value| value as f64),
                    AggregatedMetrics::F64(data) => collected.add_metric(metric, data, |value| value),
                    AggregatedMetrics::I64(_) => panic!("{} is never negative", metric.name()),
                }
            }
        }
        collected
    }
}

#[tokio::test]
async fn opentelemetry_gets_what_a_scrape_has() {
    let server = Server::start();
    for (url, namespace) in [("memory://", ""), (&server.url(), "a \"quoted\" name")] {
        let cache = Cache::builder(url).unwrap().namespace(namespace).timeout(PATIENCE).build();
        let sdk = Sdk::new();
        cache.publish_opentelemetry(&sdk.provider.meter("test"));
        // Only the first call counts, or everything would be there twice.
        cache.publish_opentelemetry(&sdk.provider.meter("again"));
        for _ in 0..2 {
            calls(&cache).await;
            let (text, Collected(mut found)) = at_rest(&cache, || sdk.collect());
            for (name, family) in parsed(&text) {
                for (suffix, labels, value) in family.samples {
                    let series = (format!("{name}{suffix}"), labels);
                    let collected = found.remove(&series).unwrap_or_else(|| panic!("{series:?} is not collected"));
                    assert!((collected - value).abs() < 1e-9, "{series:?}: {collected}, not {value}");
                }
            }
            assert!(found.is_empty(), "{found:?} is not in a scrape");
        }
        // The meter does not keep the cache alive.
        drop(cache);
        let Collected(left) = sdk.collect();
        assert!(
            left.keys().all(|(name, _)| ["_bucket", "_count", "_sum"].iter().any(|end| name.ends_with(end))),
            "{left:?}"
        );
    }
}

#[tokio::test]
async fn counters_of_a_late_meter_count_from_the_beginning() {
    let cache = Cache::builder("memory://").unwrap().build();
    calls(&cache).await;
    let sdk = Sdk::new();
    cache.publish_opentelemetry(&sdk.provider.meter("test"));
    let Collected(found) = sdk.collect();
    let calls: f64 =
        found.iter().filter(|((name, _), _)| name == "redis_cached_calls_total").map(|(_, value)| value).sum();
    let expected: u64 = cache.functions().iter().map(|stats| stats.calls.all()).sum();
    assert!((calls - expected as f64).abs() < f64::EPSILON, "{calls} of {expected}");
    assert!(!found.keys().any(|(name, _)| name.starts_with("redis_cached_body")), "histograms begin with the meter");
}
