//! The runtime of `redis-cached`. Programs depend on the facade package `redis-cached`, whose
//! documentation covers everything that is public here.
//!
//! Modules depend one way: each uses only modules of its own row and of the rows above it. `scripts/modules` checks it.
//!
//! | modules | concern |
//! |---|---|
//! | `error`, `fork`, `hash`, `lock`, `poll` | errors, forked processes, hashes, locks, and futures that are run by hand: nothing of the cache |
//! | `key` | the text of keys |
//! | `stored` | the bytes of values: envelope, codecs, compression, fingerprints of types |
//! | `plan` | one cached function: its settings, and the pure policy that they make (what is fresh, what is stored) |
//! | `observe` | the counters of functions, and their figures for Prometheus, `metrics` and OpenTelemetry |
//! | `store` | one trait; `store::memory` and `store::redis` implement it |
//! | `engine` | the protocol of one call, over any store and timer, async and blocking |
//! | `web` | handlers of axum: wrappers and responses as values, and how responses are served |
//! | `api` | what a program calls by name: caches, entries, groups, tags |
//! | `inspect` | what the command line reads: keys, slots and servers |
//! | `expansion` | what generated code names |

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(any(feature = "tokio", feature = "blocking")),
    allow(dead_code, unused_imports, unused_variables, reason = "no face is left to use it")
)]
#![cfg_attr(not(test), warn(clippy::too_many_lines))]
// Input from outside must not cause a panic.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod api;
mod engine;
mod error;
mod expansion;
mod fork;
mod hash;
#[cfg(feature = "inspect")]
#[doc(hidden)]
pub mod inspect;
mod key;
mod lock;
mod observe;
mod plan;
mod poll;
mod store;
mod stored;
#[cfg(feature = "axum")]
mod web;

/// Handlers of [axum](https://docs.rs/axum), with the feature `axum`.
#[cfg(feature = "axum")]
pub mod axum {
    pub use crate::web::{Page, conditional};
}

/// The figures of a cache: the parts of [`FunctionStats`], [`Stats`] and [`ServerStats`].
pub mod stats {
    pub use crate::observe::snapshot::{
        Bodies, Calls, Connections, Fills, Histogram, InvalidationStats, InvalidationsOfKind, LocalStats, Refreshes,
        ServerState, Unusable,
    };
}

/// The names of `expansion`, under a path that says that it is no interface for people.
#[doc(hidden)]
pub mod __private {
    pub use crate::expansion::*;
}

#[cfg(feature = "blocking")]
pub use api::blocking;
pub use api::cache::{Builder, Cache};
#[cfg(feature = "tokio")]
pub use api::entry::Entry;
#[cfg(feature = "tokio")]
pub use api::group::Group;
pub use api::invalidation::Invalidation;
pub use error::{Error, ErrorKind};
pub use observe::prometheus::PROMETHEUS_CONTENT_TYPE;
pub use observe::snapshot::{FunctionStats, ServerStats, Stats};
pub use store::redis::settings::Credentials;
#[cfg(feature = "_rustls")]
pub use store::tls::Tls;
#[cfg(feature = "bincode")]
pub use stored::codec::Bincode;
#[cfg(feature = "json")]
pub use stored::codec::Json;
#[cfg(feature = "messagepack")]
pub use stored::codec::MessagePack;
pub use stored::codec::{Codec, CodecError};
pub use stored::compress::Compression;
