//! The figures of a cache as samples of families, with their labels.

use super::exchanges::ExchangeStats;
use super::families::{
    ACCEPTS_WRITES, BODIES, CALLS, CONNECTIONS, EXCHANGES, FILLS, Family, INVALIDATIONS, LOCAL_ADMISSIONS, LOCAL_BYTES,
    LOCAL_ENTRIES, LOCAL_PROOF_AGE, LOCAL_REMOVALS, Label, Output, REFRESHES, SAVED, SIZES, UNDELIVERED, UNUSABLE, UP,
    Value, WAITS,
};
use super::snapshot::{Bodies, Connections, FunctionStats, Histogram, InvalidationStats, ServerStats};

/// All figures of a cache.
pub(crate) struct Figures {
    pub(crate) functions: Vec<FunctionStats>,
    pub(crate) invalidations: InvalidationStats,
    pub(crate) server: ServerStats,
    pub(crate) exchanges: Vec<ExchangeStats>,
    /// What the cache has in place of a server.
    pub(crate) without_server: Option<&'static str>,
}

impl Figures {
    pub(crate) fn write(&self, output: &mut dyn Output) {
        let mut samples = Samples { output };
        samples.calls(&self.functions);
        samples.bodies(&self.functions);
        samples.values(&self.functions);
        samples.invalidations(&self.invalidations);
        if cfg!(feature = "local") {
            samples.local(&self.functions);
        }
        samples.server(&self.server, self.without_server);
        samples.exchanges(&self.exchanges);
    }
}

struct Samples<'a> {
    output: &'a mut dyn Output,
}

impl Samples<'_> {
    fn sample(&mut self, family: &'static Family, labels: &[Label<'_>], value: impl Into<Value>) {
        self.output.sample(family, labels, value.into());
    }

    /// A family with a label in addition to the function: one sample for each function and part.
    fn by_function<const N: usize>(
        &mut self,
        family: &'static Family,
        label: &'static str,
        functions: &[FunctionStats],
        parts: impl Fn(&FunctionStats) -> [(&'static str, u64); N],
    ) {
        if functions.is_empty() {
            return;
        }
        self.output.family(family);
        for stats in functions {
            for (part, count) in parts(stats) {
                self.sample(family, &[("function", &stats.function), (label, part)], count);
            }
        }
    }

    /// Histograms, of which those without an observation are left out.
    fn histograms<'h, L: AsRef<[Label<'h>]>>(
        &mut self,
        family: &'static Family,
        histograms: impl Iterator<Item = (L, &'h Histogram)>,
    ) {
        let mut histograms = histograms.filter(|(_, histogram)| histogram.count() > 0).peekable();
        if histograms.peek().is_none() {
            return;
        }
        self.output.family(family);
        for (labels, histogram) in histograms {
            self.output.histogram(family, labels.as_ref(), histogram);
        }
    }

    fn calls(&mut self, functions: &[FunctionStats]) {
        self.by_function(&CALLS, "result", functions, |stats| {
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
            self.output.family(&SAVED);
            for stats in functions {
                self.sample(&SAVED, &[("function", &stats.function)], Value::Part(stats.saved_seconds));
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
        self.histograms(&BODIES, bodies);
        let waits = functions.iter().map(|stats| ([("function", stats.function.as_str())], &stats.waits));
        self.histograms(&WAITS, waits);
    }

    fn values(&mut self, functions: &[FunctionStats]) {
        self.by_function(&FILLS, "result", functions, |stats| {
            let fills = &stats.fills;
            [
                ("stored", fills.stored),
                ("refused", fills.refused),
                ("failed", fills.failed),
                ("not_cacheable", fills.not_cacheable),
                ("too_large", fills.too_large),
            ]
        });
        self.by_function(&REFRESHES, "result", functions, |stats| {
            let refreshes = &stats.refreshes;
            [
                ("stored", refreshes.stored),
                ("unstored", refreshes.unstored),
                ("failed", refreshes.failed),
                ("skipped", refreshes.skipped),
            ]
        });
        let sizes = functions.iter().map(|stats| ([("function", stats.function.as_str())], &stats.value_bytes));
        self.histograms(&SIZES, sizes);
        self.by_function(&UNUSABLE, "why", functions, |stats| {
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
        self.output.family(&INVALIDATIONS);
        for (kind, of_kind) in [("entry", entry), ("group", group), ("tag", tag)] {
            self.sample(&INVALIDATIONS, &[("kind", kind), ("result", "delivered")], of_kind.delivered);
            self.sample(&INVALIDATIONS, &[("kind", kind), ("result", "failed")], of_kind.failed);
        }
    }

    /// Functions that keep nothing, and have kept nothing, are left out.
    fn local(&mut self, functions: &[FunctionStats]) {
        let kept: Vec<_> = functions.iter().filter(|stats| stats.local != Default::default()).cloned().collect();
        if kept.is_empty() {
            return;
        }
        for (family, of) in [
            (&LOCAL_ENTRIES, (|stats| stats.local.entries) as fn(&FunctionStats) -> u64),
            (&LOCAL_BYTES, |stats| stats.local.bytes),
        ] {
            self.output.family(family);
            for stats in &kept {
                self.sample(family, &[("function", &stats.function)], of(stats));
            }
        }
        self.by_function(&LOCAL_REMOVALS, "reason", &kept, |stats| {
            let local = &stats.local;
            [
                ("size", local.evicted),
                ("push", local.pushed),
                ("void", local.voided),
                ("expired", local.expired),
                ("generation", local.generation),
            ]
        });
        self.by_function(&LOCAL_ADMISSIONS, "result", &kept, |stats| {
            [("admitted", stats.local.admitted), ("refused", stats.local.refused)]
        });
    }

    fn exchanges(&mut self, exchanges: &[ExchangeStats]) {
        let exchanges = exchanges.iter().map(|stats| {
            let mut labels = vec![
                ("db_system_name", "redis"),
                ("db_operation_name", stats.operation),
                ("server_address", stats.address.as_str()),
            ];
            labels.extend(stats.port.as_deref().map(|port| ("server_port", port)));
            labels.extend(stats.failure.map(|failure| ("error_type", failure)));
            (labels, &stats.seconds)
        });
        self.histograms(&EXCHANGES, exchanges);
    }

    fn server(&mut self, stats: &ServerStats, without_server: Option<&'static str>) {
        self.output.family(&UNDELIVERED);
        self.sample(&UNDELIVERED, &[], stats.undelivered);
        self.output.family(&UP);
        if let Some(name) = without_server {
            return self.sample(&UP, &[("server", name)], u64::from(stats.up));
        }
        for server in &stats.servers {
            self.sample(&UP, &[("server", &server.server)], u64::from(server.up));
        }
        self.output.family(&ACCEPTS_WRITES);
        for server in &stats.servers {
            self.sample(&ACCEPTS_WRITES, &[("server", &server.server)], u64::from(server.accepts_writes));
        }
        self.output.family(&CONNECTIONS);
        for server in &stats.servers {
            let Connections { small, large, blocking } = server.connections;
            for (lane, count) in [("small", small), ("large", large), ("blocking", blocking)] {
                self.sample(&CONNECTIONS, &[("server", &server.server), ("lane", lane)], count);
            }
        }
        let ages = stats.servers.iter().filter_map(|server| Some((server, server.local_proof_age_ms?)));
        let mut ages = ages.peekable();
        if ages.peek().is_some() {
            self.output.family(&LOCAL_PROOF_AGE);
        }
        for (server, millis) in ages {
            self.sample(&LOCAL_PROOF_AGE, &[("server", &server.server)], Value::Part(millis as f64 / 1e3));
        }
    }
}
