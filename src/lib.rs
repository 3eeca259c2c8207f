// Where the README's relative links lead here. The first definition of a link counts.
#![doc = include_str!("guide/links.txt")]
#![doc = ""]
#![doc = include_str!("../README.md")]
//!
//! ## In this documentation
//!
//! | item | what it is |
//! |---|---|
//! | [`#[redis_cached]`](macro@redis_cached) | the attribute, with the table of its arguments |
//! | [`Cache`], [`Builder`] | a configured store, and its verbs about many entries |
//! | [`Entry`] | the entry of one call's arguments, from `…_entry` |
//! | [`Group`] | the entries of one group, from `…_group` |
//! | [`Invalidation`] | an entry, a group or a tag, for [`Cache::invalidate_all`] |
//! | [`blocking`] | the same for plain functions |
//! | [`Error`], [`ErrorKind`] | why a verb failed; cached functions never return it |
//! | [`Credentials`] | a user and a password, from a provider |
//! | `Tls` | how connections to `rediss://` are secured, with a feature `tls-rustls…` |
//! | [`Stats`], [`FunctionStats`], [`ServerStats`], [`stats`] | what a cache and each function has done, and the state of its servers |
//! | [`Codec`] | a format for stored values |
//! | [`Compression`] | how stored values are compressed |
//! | `axum` | stored responses of handlers, with the feature `axum` |
//! | [`guide`] | the guide, one page for each subject |
#![cfg_attr(docsrs, feature(doc_cfg))]

/// The guide, one page for each subject.
///
#[doc = include_str!("guide/links.txt")]
#[doc = ""]
#[doc = include_str!("guide/README.md")]
#[cfg(any(doc, doctest))]
pub mod guide;

// The examples of the attribute are tests of this package.
#[cfg(doctest)]
#[doc = include_str!("../cache-macro/src/attribute.md")]
mod attribute {}

pub use redis_cached_macro::redis_cached;
#[doc(hidden)]
pub use redis_cached_runtime::__private;
#[cfg(feature = "bincode")]
pub use redis_cached_runtime::Bincode;
#[cfg(feature = "tokio")]
pub use redis_cached_runtime::Entry;
#[cfg(feature = "tokio")]
pub use redis_cached_runtime::Group;
#[cfg(feature = "json")]
pub use redis_cached_runtime::Json;
#[cfg(feature = "messagepack")]
pub use redis_cached_runtime::MessagePack;
#[cfg(any(feature = "tls-rustls", feature = "tls-rustls-aws-lc-rs"))]
pub use redis_cached_runtime::Tls;
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use redis_cached_runtime::axum;
#[cfg(feature = "blocking")]
pub use redis_cached_runtime::blocking;
pub use redis_cached_runtime::stats;
pub use redis_cached_runtime::{
    Builder, Cache, Codec, CodecError, Compression, Credentials, Error, ErrorKind, FunctionStats, Invalidation,
    PROMETHEUS_CONTENT_TYPE, ServerStats, Stats,
};
