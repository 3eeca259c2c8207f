// Where the README's relative links do not lead. The first definition of a link counts.
//! [chart]: https://github.com/redis-cached/redis-cached/raw/main/bench/results/same.svg
//! [same core]: https://github.com/redis-cached/redis-cached/blob/main/bench/results/same.md
//! [split cores]: https://github.com/redis-cached/redis-cached/blob/main/bench/results/split.md
//! [build]: https://github.com/redis-cached/redis-cached/blob/main/bench/results/build.md
#![doc = ""]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

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
