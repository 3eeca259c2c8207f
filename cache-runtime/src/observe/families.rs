//! The figures of a cache as families of samples: their names, labels and help texts.

use super::snapshot::{Bodies, Connections, FunctionStats, Histogram, InvalidationStats, ServerStats};

/// What a family of samples is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The value of a sample.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    Whole(u64),
    Part(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Whole(value)
    }
}

pub(crate) type Label<'a> = (&'static str, &'a str);

/// What takes the samples. All samples of a family follow it, before the next one.
pub(crate) trait Output {
    fn family(&mut self, name: &'static str, kind: Kind, help: &'static str);
    fn sample(&mut self, name: &'static str, kind: Kind, labels: &[Label<'_>], value: Value);
    fn histogram(&mut self, name: &'static str, labels: &[Label<'_>], histogram: &Histogram);
}

/// All figures of a cache.
pub(crate) struct Figures<'a> {
    pub(crate) functions: &'a [FunctionStats],
    pub(crate) invalidations: &'a InvalidationStats,
    pub(crate) server: &'a ServerStats,
}

impl Figures<'_> {
    pub(crate) fn write(&self, output: &mut dyn Output) {
        let mut families = Families { output };
        families.calls(self.functions);
        families.bodies(self.functions);
        families.values(self.functions);
        families.invalidations(self.invalidations);
        if cfg!(feature = "local") {
            families.local(self.functions);
        }
        families.server(self.server);
    }
}

struct Families<'a> {
    output: &'a mut dyn Output,
}

impl Families<'_> {
    fn counter(&mut self, name: &'static str, labels: &[Label<'_>], value: impl Into<Value>) {
        self.output.sample(name, Kind::Counter, labels, value.into());
    }

    fn gauge(&mut self, name: &'static str, labels: &[Label<'_>], value: impl Into<Value>) {
        self.output.sample(name, Kind::Gauge, labels, value.into());
    }

    /// A counter with a label in addition to the function: one sample for each function and part.
    fn by_function<const N: usize>(
        &mut self,
        (name, help): (&'static str, &'static str),
        label: &'static str,
        functions: &[FunctionStats],
        parts: impl Fn(&FunctionStats) -> [(&'static str, u64); N],
    ) {
        if functions.is_empty() {
            return;
        }
        self.output.family(name, Kind::Counter, help);
        for stats in functions {
            for (part, count) in parts(stats) {
                self.counter(name, &[("function", &stats.function), (label, part)], count);
            }
        }
    }

    /// Histograms, of which those without an observation are left out.
    fn histograms<'h, const N: usize>(
        &mut self,
        (name, help): (&'static str, &'static str),
        histograms: impl Iterator<Item = ([Label<'h>; N], &'h Histogram)>,
    ) {
        let mut histograms = histograms.filter(|(_, histogram)| histogram.count() > 0).peekable();
        if histograms.peek().is_none() {
            return;
        }
        self.output.family(name, Kind::Histogram, help);
        for (labels, histogram) in histograms {
            self.output.histogram(name, &labels, histogram);
        }
    }

    fn calls(&mut self, functions: &[FunctionStats]) {
        let calls = ("redis_cached_calls_total", "Calls of cached functions, each by its result.");
        self.by_function(calls, "result", functions, |stats| {
            let calls = &stats.calls;
            [
                ("local", calls.local),
                ("hit", calls.hit),
                ("stale", calls.stale),
                ("shared", calls.shared),
                ("miss", calls.miss),
                ("bypass", calls.bypass),
                ("cancelled", calls.cancelled),
            ]
        });
        if !functions.is_empty() {
            let name = "redis_cached_saved_seconds_total";
            let help = "The time that bodies would have run for calls that got a stored value.";
            self.output.family(name, Kind::Counter, help);
            for stats in functions {
                self.counter(name, &[("function", &stats.function)], Value::Part(stats.saved_seconds));
            }
        }
    }

    fn bodies(&mut self, functions: &[FunctionStats]) {
        let bodies = functions.iter().flat_map(|stats| {
            let Bodies { ok, err, none, panic, cancelled } = &stats.bodies;
            let outcomes = [("ok", ok), ("err", err), ("none", none), ("panic", panic), ("cancelled", cancelled)];
            outcomes
                .map(|(outcome, histogram)| ([("function", stats.function.as_str()), ("outcome", outcome)], histogram))
        });
        self.histograms(("redis_cached_body_seconds", "How long the bodies of cached functions ran."), bodies);
        let waits = functions.iter().map(|stats| ([("function", stats.function.as_str())], &stats.waits));
        self.histograms(("redis_cached_wait_seconds", "How long calls waited for the computations of others."), waits);
    }

    fn values(&mut self, functions: &[FunctionStats]) {
        let fills = ("redis_cached_fills_total", "Values that bodies returned, each by what became of it.");
        self.by_function(fills, "result", functions, |stats| {
            let fills = &stats.fills;
            [
                ("stored", fills.stored),
                ("refused", fills.refused),
                ("failed", fills.failed),
                ("not_cacheable", fills.not_cacheable),
                ("too_large", fills.too_large),
            ]
        });
        let refreshes = ("redis_cached_refreshes_total", "Refreshes of values, each by what became of it.");
        self.by_function(refreshes, "result", functions, |stats| {
            let refreshes = &stats.refreshes;
            [
                ("stored", refreshes.stored),
                ("unstored", refreshes.unstored),
                ("failed", refreshes.failed),
                ("skipped", refreshes.skipped),
            ]
        });
        let sizes = functions.iter().map(|stats| ([("function", stats.function.as_str())], &stats.value_bytes));
        self.histograms(("redis_cached_value_bytes", "The sizes of stored values, with their headers."), sizes);
        let unusable = ("redis_cached_unusable_total", "Values that were found and could not be used, by the reason.");
        self.by_function(unusable, "why", functions, |stats| {
            let unusable = &stats.unusable;
            [
                ("format", unusable.format),
                ("version", unusable.version),
                ("codec", unusable.codec),
                ("type", unusable.r#type),
                ("checksum", unusable.checksum),
                ("tags", unusable.tags),
                ("decode", unusable.decode),
            ]
        });
    }

    fn invalidations(&mut self, InvalidationStats { entry, group, tag }: &InvalidationStats) {
        let name = "redis_cached_invalidations_total";
        self.output.family(name, Kind::Counter, "Invalidations, by what they were asked for and their results.");
        for (kind, of_kind) in [("entry", entry), ("group", group), ("tag", tag)] {
            self.counter(name, &[("kind", kind), ("result", "delivered")], of_kind.delivered);
            self.counter(name, &[("kind", kind), ("result", "failed")], of_kind.failed);
        }
    }

    /// Functions that keep nothing, and have kept nothing, are left out.
    fn local(&mut self, functions: &[FunctionStats]) {
        let kept: Vec<_> = functions.iter().filter(|stats| stats.local != Default::default()).cloned().collect();
        if kept.is_empty() {
            return;
        }
        for (name, help, of) in [
            (
                "redis_cached_local_entries",
                "Values that this process keeps.",
                (|stats| stats.local.entries) as fn(&FunctionStats) -> u64,
            ),
            ("redis_cached_local_bytes", "The bytes that these values count as.", |stats| stats.local.bytes),
        ] {
            self.output.family(name, Kind::Gauge, help);
            for stats in &kept {
                self.gauge(name, &[("function", &stats.function)], of(stats));
            }
        }
        let removals =
            ("redis_cached_local_removals_total", "Values that this process keeps no more, or must confirm.");
        self.by_function(removals, "reason", &kept, |stats| {
            [("size", stats.local.evicted), ("push", stats.local.pushed), ("void", stats.local.voided)]
        });
        let admissions = ("redis_cached_local_admissions_total", "Values that were offered to the local tier.");
        self.by_function(admissions, "result", &kept, |stats| {
            [("admitted", stats.local.admitted), ("refused", stats.local.refused)]
        });
    }

    fn server(&mut self, stats: &ServerStats) {
        let name = "redis_cached_undelivered_invalidations";
        self.output.family(name, Kind::Gauge, "Keys that are still to be invalidated.");
        self.gauge(name, &[], stats.undelivered);
        if stats.servers.is_empty() {
            return;
        }
        let (up, accepts) = ("redis_cached_up", "redis_cached_accepts_writes");
        self.output.family(up, Kind::Gauge, "1 if the circuit breaker of the server is closed.");
        for server in &stats.servers {
            self.gauge(up, &[("server", &server.server)], u64::from(server.up));
        }
        self.output.family(accepts, Kind::Gauge, "1 if the server refused no write a moment ago.");
        for server in &stats.servers {
            self.gauge(accepts, &[("server", &server.server)], u64::from(server.accepts_writes));
        }
        let name = "redis_cached_connections";
        self.output.family(name, Kind::Gauge, "Open connections, by what they are for.");
        for server in &stats.servers {
            let Connections { small, large, blocking } = server.connections;
            for (lane, count) in [("small", small), ("large", large), ("blocking", blocking)] {
                self.gauge(name, &[("server", &server.server), ("lane", lane)], count);
            }
        }
    }
}
