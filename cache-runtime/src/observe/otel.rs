//! The figures of a cache for OpenTelemetry.
//!
//! Counters and gauges are observed when a reader collects: their callbacks read the counters that are there anyway.
//! OpenTelemetry has no histogram that is observed, so that observations are recorded when they happen. A hit has none but
//! that of its exchange with the server, whose attributes are made once.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Histogram, Meter};

use super::exchanges::{self, Exchanges, Failure, OfOperation, Operation};
use super::families::{self, ALL, Family, Kind, Label, Output, Value};
use super::figures::Figures;
use super::histogram::{BYTES, SECONDS};
use super::snapshot;

/// The histograms, which take each observation.
#[derive(Debug)]
pub(crate) struct Instruments {
    namespace: Option<KeyValue>,
    bodies: Histogram<f64>,
    waits: Histogram<f64>,
    sizes: Histogram<u64>,
    exchanges: Histogram<f64>,
}

impl Instruments {
    pub(crate) fn new(meter: &Meter, namespace: &str) -> Instruments {
        let seconds = |Family { dotted, unit, help, .. }: &'static Family, bounds: &[f64]| {
            let histogram = meter.f64_histogram(*dotted).with_unit(*unit).with_description(*help);
            histogram.with_boundaries(bounds.to_vec()).build()
        };
        let sizes = &families::SIZES;
        let sizes = meter.u64_histogram(sizes.dotted).with_unit(sizes.unit).with_description(sizes.help);
        Instruments {
            namespace: attribute_of(namespace),
            bodies: seconds(&families::BODIES, SECONDS),
            waits: seconds(&families::WAITS, SECONDS),
            sizes: sizes.with_boundaries(BYTES.to_vec()).build(),
            exchanges: seconds(&families::EXCHANGES, exchanges::SECONDS),
        }
    }

    fn attributes<const N: usize>(&self, labels: [Label<'_>; N]) -> Vec<KeyValue> {
        self.namespace.iter().cloned().chain(attributes(&labels)).collect()
    }

    pub(super) fn body(&self, function: &str, outcome: &str, micros: u64) {
        self.bodies.record(seconds(micros), &self.attributes([("function", function), ("outcome", outcome)]));
    }

    pub(super) fn waited(&self, function: &str, micros: u64) {
        self.waits.record(seconds(micros), &self.attributes([("function", function)]));
    }

    pub(super) fn stored(&self, function: &str, bytes: u64) {
        self.sizes.record(bytes, &self.attributes([("function", function)]));
    }

    pub(super) fn exchanged(
        &self,
        exchanges: &Exchanges,
        of_operation: &OfOperation,
        (operation, failure): (Operation, Option<Failure>),
        micros: u64,
    ) {
        let attributes = of_operation.attributes.get_or_init(|| {
            let mut attributes = vec![
                KeyValue::new("db.system.name", "redis"),
                KeyValue::new("db.operation.name", operation.name()),
                KeyValue::new("server.address", exchanges.address.clone()),
            ];
            attributes.extend(exchanges.port.map(|port| KeyValue::new("server.port", i64::from(port))));
            attributes.extend(self.namespace.clone());
            attributes
        });
        let seconds = seconds(micros);
        match failure {
            None => self.exchanges.record(seconds, attributes),
            Some(failure) => {
                let failed = KeyValue::new("error.type", failure.name());
                let attributes: Vec<_> = attributes.iter().cloned().chain([failed]).collect();
                self.exchanges.record(seconds, &attributes);
            }
        }
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn attribute_of(namespace: &str) -> Option<KeyValue> {
    (!namespace.is_empty()).then(|| KeyValue::new("namespace", namespace.to_owned()))
}

fn attributes(labels: &[Label<'_>]) -> impl Iterator<Item = KeyValue> {
    labels.iter().map(|(name, text)| KeyValue::new(*name, (*text).to_owned()))
}

/// Makes the counters and gauges. `figures` returns `None` once the cache is gone.
pub(crate) fn observe(
    meter: &Meter,
    namespace: &str,
    figures: impl Fn() -> Option<Figures> + Clone + Send + Sync + 'static,
) {
    let namespace = attribute_of(namespace);
    /// An instrument of one type, with its callback.
    macro_rules! instrument {
        ($method:ident, $number:ident, $family:ident) => {{
            let (figures, namespace) = (figures.clone(), namespace.clone());
            let callback = move |observer: &dyn AsyncInstrument<_>| {
                if let Some(figures) = figures() {
                    figures.write(&mut Observed {
                        family: $family,
                        namespace: &namespace,
                        observer: Observer::$number(observer),
                    });
                }
            };
            let instrument = meter.$method($family.dotted).with_unit($family.unit).with_description($family.help);
            // Its callback stays with the meter.
            let _ = instrument.with_callback(callback).build();
        }};
    }
    for family in ALL {
        match (family.kind, family.unit) {
            (Kind::Counter, "s") => instrument!(f64_observable_counter, Part, family),
            (Kind::Counter, _) => instrument!(u64_observable_counter, Whole, family),
            (Kind::Gauge, "s") => instrument!(f64_observable_gauge, Part, family),
            (Kind::Gauge, _) => instrument!(u64_observable_gauge, Whole, family),
            (Kind::Histogram, _) => {}
        }
    }
}

#[derive(Clone, Copy)]
enum Observer<'a> {
    Whole(&'a dyn AsyncInstrument<u64>),
    Part(&'a dyn AsyncInstrument<f64>),
}

/// Takes the samples of one family, and leaves out all others.
struct Observed<'a> {
    family: &'static Family,
    namespace: &'a Option<KeyValue>,
    observer: Observer<'a>,
}

impl Output for Observed<'_> {
    fn family(&mut self, _: &'static Family) {}

    fn sample(&mut self, family: &'static Family, labels: &[Label<'_>], value: Value) {
        if family != self.family {
            return;
        }
        let attributes: Vec<_> = self.namespace.iter().cloned().chain(attributes(labels)).collect();
        match (self.observer, value) {
            (Observer::Whole(observer), Value::Whole(value)) => observer.observe(value, &attributes),
            (Observer::Part(observer), Value::Part(value)) => observer.observe(value, &attributes),
            (Observer::Part(observer), Value::Whole(value)) => observer.observe(value as f64, &attributes),
            (Observer::Whole(observer), Value::Part(value)) => observer.observe(value as u64, &attributes),
        }
    }

    fn histogram(&mut self, _: &'static Family, _: &[Label<'_>], _: &snapshot::Histogram) {}
}
