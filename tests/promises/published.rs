//! The figures of a cache for the facade `metrics`: the same as in the text for Prometheus.

use std::collections::BTreeMap;

use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use redis_cached::Cache;
use test_support::{PATIENCE, Server};

use crate::scrape::{Labels, at_rest, calls, parsed};

/// The series of a recorder: their kinds, units and values. Reading them sets them to zero.
fn recorded(snapshotter: &Snapshotter) -> BTreeMap<(String, Labels), (MetricKind, metrics::Unit, f64)> {
    let series = snapshotter.snapshot().into_vec().into_iter().map(|(key, unit, description, value)| {
        let (kind, key) = key.into_parts();
        let name = key.name().to_owned();
        assert!(description.is_some_and(|text| !text.is_empty()), "{name} is not described");
        let value = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(_) => panic!("{name} is a histogram"),
        };
        let labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
        ((name, labels), (kind, unit.expect("a unit"), value))
    });
    series.collect()
}

#[tokio::test]
async fn the_facade_gets_what_a_scrape_has() {
    let server = Server::start();
    for (url, namespace) in [("memory://", ""), (&server.url(), "a \"quoted\" name")] {
        let cache = Cache::builder(url).unwrap().namespace(namespace).timeout(PATIENCE).build();
        calls(&cache).await;
        // A recorder that is installed after the calls.
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let (text, ()) = at_rest(&cache, || metrics::with_local_recorder(&recorder, || cache.publish_metrics()));
        let mut found = recorded(&snapshotter);
        for (name, family) in parsed(&text) {
            for (suffix, labels, value) in family.samples {
                let series = format!("{name}{suffix}");
                let (kind, unit, recorded) =
                    found.remove(&(series.clone(), labels)).unwrap_or_else(|| panic!("{series} is not recorded"));
                assert!((recorded - value).abs() < 1e-9, "{series}: {recorded}, not {value}");
                let is_counter = matches!(suffix.as_str(), "_bucket" | "_count")
                    || (family.kind == "counter" && name != "redis_cached_saved_seconds_total");
                assert_eq!(kind == MetricKind::Counter, is_counter, "{series}");
                let expected = match suffix.as_str() {
                    "_bucket" | "_count" => metrics::Unit::Count,
                    _ if name.contains("_seconds") => metrics::Unit::Seconds,
                    _ if name.contains("_bytes") => metrics::Unit::Bytes,
                    _ => metrics::Unit::Count,
                };
                assert_eq!(unit, expected, "{series}");
            }
        }
        assert!(found.is_empty(), "{found:?} is not in a scrape");
        // Counts are set, and not added a second time.
        for _ in 0..2 {
            metrics::with_local_recorder(&recorder, || cache.publish_metrics());
        }
        let calls: f64 = recorded(&snapshotter)
            .iter()
            .filter(|((name, _), _)| name == "redis_cached_calls_total")
            .map(|(_, (.., value))| value)
            .sum();
        let expected: u64 = cache.functions().iter().map(|stats| stats.calls.all()).sum();
        assert!((calls - expected as f64).abs() < f64::EPSILON, "{calls} of {expected}");
    }
}

#[test]
fn nothing_happens_without_a_recorder() {
    let cache = Cache::builder("memory://").unwrap().build();
    cache.publish_metrics();
}
