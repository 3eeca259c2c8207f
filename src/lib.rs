// Where the README's relative links lead here. The first definition of a link counts.
#![doc = include_str!("guide/links.txt")]
#![doc = ""]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

/// The guide, one page for each subject.
///
#[doc = include_str!("guide/links.txt")]
#[doc = ""]
#[doc = include_str!("guide/README.md")]
#[cfg(any(doc, doctest))]
pub mod guide;

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
#[cfg(feature = "blocking")]
pub use redis_cached_runtime::blocking;
pub use redis_cached_runtime::{Builder, Cache, Codec, CodecError, Error, ErrorKind, Invalidation, Stats};
