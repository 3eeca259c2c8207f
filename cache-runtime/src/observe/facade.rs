//! The figures of a cache for the recorder of the facade `metrics`.
//!
//! A counter of the facade holds whole numbers, and a recorder decides about the buckets of its histograms, to which
//! nothing can be handed over but single observations. Therefore sums of seconds become gauges, and histograms become the
//! series that Prometheus has for them: a counter for each bucket, their count and their sum.

use metrics::{KeyName, Level, Metadata, Recorder, SharedString, Unit, with_recorder};

use super::families::{Family, Kind, Label, Output, Value};
use super::figures::Figures;
use super::snapshot::Histogram;

/// Hands the figures to the recorder of this thread, or to that of the process.
pub(crate) fn publish(namespace: &str, figures: &Figures) {
    with_recorder(|recorder| figures.write(&mut Facade { recorder, namespace }));
}

const METADATA: Metadata<'static> = Metadata::new("redis_cached", Level::INFO, Some(module_path!()));

struct Facade<'a> {
    recorder: &'a dyn Recorder,
    namespace: &'a str,
}

impl Facade<'_> {
    fn key(&self, name: impl Into<KeyName>, labels: &[Label<'_>]) -> metrics::Key {
        let namespace = (!self.namespace.is_empty()).then_some(("namespace", self.namespace));
        let all = namespace.iter().chain(labels);
        let all: Vec<_> = all.map(|(name, text)| metrics::Label::new(*name, (*text).to_owned())).collect();
        metrics::Key::from_parts(name, all)
    }

    fn counter(&self, name: impl Into<KeyName>, labels: &[Label<'_>], value: u64) {
        self.recorder.register_counter(&self.key(name, labels), &METADATA).absolute(value);
    }

    fn gauge(&self, name: impl Into<KeyName>, labels: &[Label<'_>], value: f64) {
        self.recorder.register_gauge(&self.key(name, labels), &METADATA).set(value);
    }
}

/// Each name is described each time, because the recorder may be a new one.
impl Output for Facade<'_> {
    fn family(&mut self, family: &'static Family) {
        let Family { name, kind, unit, help, .. } = *family;
        let unit = Some(match unit {
            "s" => Unit::Seconds,
            "By" => Unit::Bytes,
            _ => Unit::Count,
        });
        let help = SharedString::from(help);
        match kind {
            Kind::Counter if unit == Some(Unit::Seconds) => self.recorder.describe_gauge(name.into(), unit, help),
            Kind::Counter => self.recorder.describe_counter(name.into(), unit, help),
            Kind::Gauge => self.recorder.describe_gauge(name.into(), unit, help),
            Kind::Histogram => {
                for suffix in ["_bucket", "_count"] {
                    let name = format!("{name}{suffix}");
                    self.recorder.describe_counter(name.into(), Some(Unit::Count), help.clone());
                }
                self.recorder.describe_gauge(format!("{name}_sum").into(), unit, help);
            }
        }
    }

    fn sample(&mut self, family: &'static Family, labels: &[Label<'_>], value: Value) {
        match (value, family.kind) {
            (Value::Whole(value), Kind::Counter) => self.counter(family.name, labels, value),
            (Value::Whole(value), _) => self.gauge(family.name, labels, value as f64),
            (Value::Part(value), _) => self.gauge(family.name, labels, value),
        }
    }

    fn histogram(&mut self, family: &'static Family, labels: &[Label<'_>], histogram: &Histogram) {
        for (bound, count) in histogram.buckets() {
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.counter(format!("{}_bucket", family.name), &labels, count);
        }
        self.counter(format!("{}_count", family.name), labels, histogram.count());
        self.gauge(format!("{}_sum", family.name), labels, histogram.sum);
    }
}
