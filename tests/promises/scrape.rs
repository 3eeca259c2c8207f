//! The text for Prometheus, read by a parser that takes nothing else than what the format says.

use std::collections::{BTreeMap, BTreeSet};

use redis_cached::{Cache, PROMETHEUS_CONTENT_TYPE, redis_cached};
use test_support::{PATIENCE, Server};

pub(crate) type Labels = BTreeMap<String, String>;

/// A family of samples.
#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) samples: Vec<(String, Labels, f64)>,
}

fn is_name(text: &str) -> bool {
    let is_letter = |char: char| char.is_ascii_alphabetic() || char == '_';
    text.starts_with(is_letter) && text.chars().all(|char| is_letter(char) || char.is_ascii_digit())
}

/// The families of a text. It panics at the first thing that the format does not allow.
pub(crate) fn parsed(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n') && !text.contains('\r'));
    let mut families = BTreeMap::<String, Family>::new();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect("a help text");
            assert!(is_name(name) && !words.is_empty(), "{line}");
            let kind =
                lines.next().and_then(|line| line.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' '));
            let kind = kind.unwrap_or_else(|| panic!("no type follows {line}")).to_owned();
            assert!(["counter", "gauge", "histogram"].contains(&kind.as_str()), "{kind}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
            let family = Family { kind, samples: Vec::new() };
            assert!(families.insert(name.to_owned(), family).is_none(), "{name} is there twice");
            current = name.to_owned();
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        let (name, labels) = match series.split_once('{') {
            Some((name, rest)) => (name, labels(rest.strip_suffix('}').expect("a brace"))),
            None => (series, Labels::new()),
        };
        assert!(is_name(name), "{line}");
        assert!(seen.insert(series.to_owned()), "{series} is there twice");
        let family = families.get_mut(&current).unwrap_or_else(|| panic!("no family for {line}"));
        let suffix = name.strip_prefix(current.as_str()).unwrap_or_else(|| panic!("{name} is in {current}"));
        match family.kind.as_str() {
            "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix), "{name}"),
            _ => assert_eq!(suffix, "", "{name}"),
        }
        assert!(value.is_finite() && value >= 0.0, "{line}");
        family.samples.push((suffix.to_owned(), labels, value));
    }
    assert!(families.values().all(|family| !family.samples.is_empty()), "a family without samples");
    families
}

fn labels(mut text: &str) -> Labels {
    let mut labels = Labels::new();
    loop {
        let (name, rest) = text.split_once("=\"").expect("a label");
        assert!(is_name(name), "{name}");
        let (mut value, mut chars) = (String::new(), rest.char_indices());
        let end = loop {
            match chars.next().expect("the label ends") {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next().expect("an escape").1 {
                    'n' => '\n',
                    char @ ('\\' | '"') => char,
                    other => panic!("\\{other} is no escape"),
                }),
                (_, char) => value.push(char),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none(), "{name} is there twice");
        match &rest[end + 1..] {
            "" => return labels,
            more => text = more.strip_prefix(',').expect("a comma"),
        }
    }
}

/// Buckets are cumulative, the last one is the count, and the sum fits.
fn is_consistent(name: &str, family: &Family) {
    let mut series = BTreeMap::<Labels, Vec<(f64, f64)>>::new();
    let (mut sums, mut counts) = (BTreeMap::new(), BTreeMap::new());
    for (suffix, labels, value) in &family.samples {
        let mut labels = labels.clone();
        match suffix.as_str() {
            "_bucket" => {
                let bound = labels.remove("le").expect("a bound");
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().expect("a bound") };
                series.entry(labels).or_default().push((bound, *value));
            }
            "_sum" => drop(sums.insert(labels, *value)),
            _ => drop(counts.insert(labels, *value)),
        }
    }
    assert!(!series.is_empty());
    for (labels, buckets) in series {
        assert!(buckets.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1), "{name}: {buckets:?}");
        let (bound, last) = buckets[buckets.len() - 1];
        assert!(bound.is_infinite());
        let (count, sum) = (counts.remove(&labels).expect("a count"), sums.remove(&labels).expect("a sum"));
        assert!((last - count).abs() < f64::EPSILON, "{name}: {last} of {count}");
        // Each observation is above the bound before its bucket's.
        let bounds = [0.0].into_iter().chain(buckets.iter().map(|(bound, _)| *bound));
        let before = [0.0].into_iter().chain(buckets.iter().map(|(_, count)| *count));
        let least: f64 =
            bounds.zip(before).zip(&buckets).map(|((bound, before), (_, count))| bound * (count - before)).sum();
        assert!(sum >= least - 1e-9, "{name}: {sum} is less than {least}");
    }
    assert!(sums.is_empty() && counts.is_empty());
}

#[redis_cached(prefix = "scrape", name = "user", cache = cache, skip(cache))]
async fn user(cache: &Cache, id: u64) -> Result<String, String> {
    if id == 13 { Err("no".to_owned()) } else { Ok("x".repeat(id as usize)) }
}

#[redis_cached(prefix = "scrape", name = "plain", tags = ["all"], cache = cache, skip(cache))]
fn plain(cache: &Cache, id: u64) -> Option<u64> {
    (id != 3).then_some(id)
}

pub(crate) async fn calls(cache: &Cache) {
    for id in [1, 2, 1000, 13, 1] {
        _ = user(cache, id).await;
        plain(cache, id);
        plain(cache, 3);
    }
    cache.invalidate_tag("all").await.unwrap();
    plain(cache, 1);
}

/// Reads something while the figures do not change: calls leave exchanges to the background. Returns the figures as text.
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
pub(crate) fn at_rest<T>(cache: &Cache, mut read: impl FnMut() -> T) -> (String, T) {
    let mut found = None;
    test_support::eventually("the figures do not change", || {
        let before = cache.prometheus();
        let read = read();
        let is_same = cache.prometheus() == before;
        found = Some((before, read));
        is_same
    });
    found.expect("it was read")
}

#[tokio::test]
async fn a_scrape_parses_and_agrees_with_the_figures() {
    let server = Server::start();
    let urls = ["memory://".to_owned(), server.url()];
    for (url, namespace) in urls.iter().flat_map(|url| [(url, ""), (url, "a \"quoted\" na\\me")]) {
        let cache = Cache::builder(url).unwrap().namespace(namespace).timeout(PATIENCE).build();
        calls(&cache).await;
        let (families, functions) = (parsed(&cache.prometheus()), cache.functions());
        for (name, family) in &families {
            if family.kind == "histogram" {
                is_consistent(name, family);
            }
            for (_, labels, _) in &family.samples {
                let found = labels.get("namespace").map_or("", String::as_str);
                assert_eq!(found, namespace, "{name}");
            }
        }
        for stats in &functions {
            let sum = |name: &str, suffix: &str| -> f64 {
                let of_it = |labels: &Labels| labels.get("function") == Some(&stats.function);
                let samples = families[name].samples.iter();
                samples.filter(|(is, labels, _)| is == suffix && of_it(labels)).map(|(_, _, value)| value).sum()
            };
            let close = |one: f64, other: f64| assert!((one - other).abs() < 1e-9, "{one} {other} {stats:?}");
            close(sum("redis_cached_calls_total", ""), stats.calls.all() as f64);
            close(sum("redis_cached_saved_seconds_total", ""), stats.saved_seconds);
            close(sum("redis_cached_fills_total", ""), (stats.fills.stored + stats.fills.not_cacheable) as f64);
            close(sum("redis_cached_unusable_total", ""), stats.unusable.tags as f64);
            close(sum("redis_cached_value_bytes", "_count"), stats.fills.stored as f64);
            let bodies = [&stats.bodies.ok, &stats.bodies.err, &stats.bodies.none].map(|bodies| bodies.count());
            close(sum("redis_cached_body_seconds", "_count"), bodies.iter().sum::<u64>() as f64);
        }
        assert_eq!(functions.len(), 2);
        let tags = families["redis_cached_invalidations_total"].samples.iter();
        let delivered: f64 = tags.filter(|(_, labels, _)| labels["kind"] == "tag").map(|(_, _, value)| value).sum();
        assert!((delivered - 1.0).abs() < f64::EPSILON);
        for name in ["redis_cached_connections", "db_client_operation_duration_seconds"] {
            assert_eq!(families.contains_key(name), url != "memory://", "{name}");
        }
    }
    assert!(PROMETHEUS_CONTENT_TYPE.starts_with("text/plain; version=0.0.4"));
}

#[test]
fn a_scrape_before_the_first_call_parses() {
    let cache = Cache::builder("memory://").unwrap().build();
    let families = parsed(&cache.prometheus());
    assert_eq!(
        families.keys().map(String::as_str).collect::<Vec<_>>(),
        ["redis_cached_invalidations_total", "redis_cached_undelivered_invalidations", "redis_cached_up"]
    );
}

#[test]
fn a_cache_without_a_server_tells_if_it_is_up() {
    for (url, name, up) in [("memory://", "memory", 1.0), ("off://", "off", 0.0)] {
        let families = parsed(&Cache::builder(url).unwrap().build().prometheus());
        let [(_, labels, value)] = &families["redis_cached_up"].samples[..] else { panic!("one sample") };
        assert_eq!((labels["server"].as_str(), *value), (name, up));
    }
}
