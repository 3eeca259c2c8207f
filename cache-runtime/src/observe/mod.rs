//! What a cache has done: counters for each of its functions, and what is made of them.
//!
//! | module | concern |
//! |---|---|
//! | `tally` | a count and a sum that threads add to without getting in each other's way |
//! | `histogram` | fixed buckets |
//! | `counters` | the counters of one function, and those of a cache by function |
//! | `guard` | what is counted when a call, a body, a wait or a refresh ends, however it ends |
//! | `snapshot` | the counters as a program reads them |
//! | `families` | a snapshot as samples with names and labels |
//! | `prometheus` | the samples as text |
//!
//! Counting is always on. A hit adds to one number, in a cache line that few other threads write.

mod counters;
pub(crate) mod families;
mod guard;
mod histogram;
pub(crate) mod prometheus;
pub(crate) mod snapshot;
mod tally;

pub(crate) use self::counters::{
    BodyResult, CallResult, Counters, FillResult, Functions, InvalidationKind, Invalidations, RefreshResult,
};
pub(crate) use self::guard::{BatchTally, BodyTimer, RefreshTally, Undecided, WaitTimer};
