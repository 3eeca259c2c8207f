//! The attribute and its arguments, one module for each argument or behaviour.

// Only a whole crate can deny these: they are a part of `generated_code_is_clean`.
#![deny(future_incompatible)]

mod batch;
mod cache;
mod cache_if;
#[cfg(feature = "bincode")]
mod codec;
mod codec_auto;
#[cfg(all(feature = "lz4", feature = "zstd", feature = "json"))]
mod compress;
mod crate_path;
mod entry;
mod errors;
mod functions;
mod generated_code_is_clean;
mod group;
mod in_background;
mod instrument;
mod jitter;
mod key;
mod key_text;
mod lease;
#[cfg(feature = "local")]
mod local;
mod name;
mod namesakes;
mod none_ttl;
mod off;
mod parameters;
mod prefix;
mod refresh_ahead;
mod returns;
mod scope;
mod share_errors;
mod siblings;
mod single_flight;
mod skip;
mod stale_if_error;
mod stale_while_revalidate;
mod tags;
mod tags_of_the_value;
mod ttl;
mod unstored;
mod version;
mod wait;
