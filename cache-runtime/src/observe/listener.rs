//! What is told of single observations, in addition to the counters.

#[cfg(feature = "opentelemetry")]
use std::sync::{Arc, OnceLock};

use super::exchanges::{Exchanges, Failure, OfOperation, Operation};
#[cfg(feature = "opentelemetry")]
use super::otel::Instruments;

/// The histograms of OpenTelemetry, once the cache has them. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listener {
    #[cfg(feature = "opentelemetry")]
    instruments: Arc<OnceLock<Instruments>>,
}

#[cfg(feature = "opentelemetry")]
impl Listener {
    /// Sets the histograms. Returns false if there are some.
    pub(crate) fn set(&self, instruments: impl FnOnce() -> Instruments) -> bool {
        let mut is_new = false;
        self.instruments.get_or_init(|| {
            is_new = true;
            instruments()
        });
        is_new
    }

    pub(super) fn body(&self, function: &str, outcome: &str, micros: u64) {
        if let Some(instruments) = self.instruments.get() {
            instruments.body(function, outcome, micros);
        }
    }

    pub(super) fn waited(&self, function: &str, micros: u64) {
        if let Some(instruments) = self.instruments.get() {
            instruments.waited(function, micros);
        }
    }

    pub(super) fn stored(&self, function: &str, bytes: u64) {
        if let Some(instruments) = self.instruments.get() {
            instruments.stored(function, bytes);
        }
    }

    pub(super) fn exchanged(
        &self,
        exchanges: &Exchanges,
        of_operation: &OfOperation,
        (operation, failure): (Operation, Option<Failure>),
        micros: u64,
    ) {
        if let Some(instruments) = self.instruments.get() {
            instruments.exchanged(exchanges, of_operation, (operation, failure), micros);
        }
    }
}

#[cfg(not(feature = "opentelemetry"))]
impl Listener {
    pub(super) fn body(&self, _function: &str, _outcome: &str, _micros: u64) {}

    pub(super) fn waited(&self, _function: &str, _micros: u64) {}

    pub(super) fn stored(&self, _function: &str, _bytes: u64) {}

    pub(super) fn exchanged(&self, _: &Exchanges, _: &OfOperation, _: (Operation, Option<Failure>), _micros: u64) {}
}
