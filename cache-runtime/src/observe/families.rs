//! The families of samples: their names, kinds, units and help texts.

use super::snapshot::Histogram;

/// What a family of samples is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A family of samples: its name, and what all of its samples have in common.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// The name in OpenTelemetry, of which an exporter for Prometheus makes `name`: it appends the unit, and `_total` to
    /// counters.
    pub(crate) dotted: &'static str,
    pub(crate) kind: Kind,
    /// The unit as OpenTelemetry writes it: `s`, `By`, or what is counted, in braces.
    pub(crate) unit: &'static str,
    pub(crate) help: &'static str,
}

macro_rules! families {
    ($($id:ident: $kind:ident $name:literal, $dotted:literal in $unit:literal, $help:literal;)*) => {
        $(pub(super) static $id: Family =
            Family { name: $name, dotted: $dotted, kind: Kind::$kind, unit: $unit, help: $help };)*

        /// All families.
        #[cfg(feature = "opentelemetry")]
        pub(super) static ALL: &[&Family] = &[$(&$id),*];
    };
}

families! {
    CALLS: Counter "redis_cached_calls_total", "redis_cached.calls" in "{call}",
        "Calls of cached functions, each by its result.";
    SAVED: Counter "redis_cached_saved_seconds_total", "redis_cached.saved" in "s",
        "The time that bodies would have run for calls that got a stored value.";
    BODIES: Histogram "redis_cached_body_seconds", "redis_cached.body" in "s",
        "How long the bodies of cached functions ran.";
    WAITS: Histogram "redis_cached_wait_seconds", "redis_cached.wait" in "s",
        "How long calls waited for the computations of others.";
    FILLS: Counter "redis_cached_fills_total", "redis_cached.fills" in "{value}",
        "Values to be stored, each by what became of it; a body for many ids has one for each distinct id.";
    REFRESHES: Counter "redis_cached_refreshes_total", "redis_cached.refreshes" in "{refresh}",
        "Refreshes of values, each by what became of it.";
    SIZES: Histogram "redis_cached_value_bytes", "redis_cached.value" in "By",
        "The sizes of stored values, with their headers.";
    UNUSABLE: Counter "redis_cached_unusable_total", "redis_cached.unusable" in "{value}",
        "Values that were found and could not be used, by the reason.";
    INVALIDATIONS: Counter "redis_cached_invalidations_total", "redis_cached.invalidations" in "{invalidation}",
        "Invalidations, by what they were asked for and their results.";
    LOCAL_ENTRIES: Gauge "redis_cached_local_entries", "redis_cached.local.entries" in "{entry}",
        "Values that this process keeps.";
    LOCAL_BYTES: Gauge "redis_cached_local_bytes", "redis_cached.local.bytes" in "By",
        "The bytes that these values count as.";
    LOCAL_REMOVALS: Counter "redis_cached_local_removals_total", "redis_cached.local.removals" in "{entry}",
        "Values that this process keeps no more, or must confirm.";
    LOCAL_ADMISSIONS: Counter "redis_cached_local_admissions_total", "redis_cached.local.admissions" in "{value}",
        "Values that were offered to the local tier.";
    LOCAL_PROOF_AGE: Gauge "redis_cached_local_proof_age_seconds", "redis_cached.local.proof_age" in "s",
        "How long ago the server had told all changes of what the local tier keeps.";
    EXCHANGES: Histogram "db_client_operation_duration_seconds", "db.client.operation.duration" in "s",
        "How long exchanges with Redis took.";
    UNDELIVERED: Gauge "redis_cached_undelivered_invalidations", "redis_cached.undelivered_invalidations" in "{key}",
        "Keys that are still to be invalidated.";
    UP: Gauge "redis_cached_up", "redis_cached.up" in "{server}",
        "1 if the circuit breaker of the server is closed, or results stay in the memory of the process.";
    ACCEPTS_WRITES: Gauge "redis_cached_accepts_writes", "redis_cached.accepts_writes" in "{server}",
        "1 if the server refused no write a moment ago.";
    CONNECTIONS: Gauge "redis_cached_connections", "redis_cached.connections" in "{connection}",
        "Open connections, by what they are for.";
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

/// What takes the samples.
pub(crate) trait Output {
    /// Begins a family. All of its samples follow before the next one.
    fn family(&mut self, family: &'static Family);
    fn sample(&mut self, family: &'static Family, labels: &[Label<'_>], value: Value);
    fn histogram(&mut self, family: &'static Family, labels: &[Label<'_>], histogram: &Histogram);
}
