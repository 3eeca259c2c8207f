//! Promises that hold for every cached function, whatever its arguments: computed once, nothing stale, no wrong value, no panic.

mod at_once;
mod batch_property;
mod clear;
mod coalescing;
mod depth;
mod exchanges;
mod figures;
mod invalidate_all;
mod invalidation_text;
mod leases_end;
mod leases_without_end;
mod nesting;
#[cfg(feature = "opentelemetry")]
mod observed;
mod old_values;
mod panics;
mod paused_clock;
mod processes;
#[cfg(feature = "metrics")]
mod published;
mod runtimes;
mod scrape;
#[cfg(all(feature = "json", feature = "messagepack"))]
mod shapes;
mod traced;
#[cfg(all(feature = "json", feature = "messagepack"))]
mod values;

use test_support::ProxiedServers;

/// Starts a server.
fn started() -> ProxiedServers {
    ProxiedServers::one()
}
