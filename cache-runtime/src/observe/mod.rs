//! What a cache has done: counters for each of its functions, and what is made of them.
//!
//! | module | concern |
//! |---|---|
//! | `tally` | a count and a sum that threads add to without getting in each other's way |
//! | `histogram` | fixed buckets |
//! | `counters` | the counters of one function, and those of a cache by function |
//! | `exchanges` | the exchanges with a server, and their spans |
//! | `guard` | what is counted when a call, a body, a wait or a refresh ends, however it ends |
//! | `snapshot` | the counters as a program reads them |
//! | `families` | the names, kinds, units and help texts of families of samples |
//! | `figures` | a snapshot as samples of families |
//! | `prometheus` | the samples as text |
//! | `facade` | the samples for the facade `metrics` |
//! | `otel` | the samples, and single observations, for OpenTelemetry |
//! | `listener` | what is told of single observations |
//!
//! Counting is always on. A hit adds to one number, in a cache line that few other threads write.

mod counters;
mod exchanges;
#[cfg(feature = "metrics")]
pub(crate) mod facade;
mod families;
pub(crate) mod figures;
mod guard;
mod histogram;
mod listener;
#[cfg(feature = "opentelemetry")]
pub(crate) mod otel;
pub(crate) mod prometheus;
pub(crate) mod snapshot;
mod tally;

pub(crate) use self::counters::{
    BodyResult, CallResult, Counters, FillResult, Functions, InvalidationKind, Invalidations, RefreshResult,
};
pub(crate) use self::exchanges::{Exchange, ExchangeStats, Exchanges, Failure, Operation};
pub(crate) use self::guard::{BatchTally, BodyTimer, RefreshTally, Undecided, WaitTimer};
pub(crate) use self::listener::Listener;
