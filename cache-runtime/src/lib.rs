//! The runtime of `redis-cached`. Programs depend on the facade package `redis-cached`, whose
//! documentation covers everything that is public here.
//!
//! Modules depend one way, from the bottom of this list to the top:
//!
//! | modules | concern |
//! |---|---|
//! | `error`, `ttl` | what everything else speaks in |
//! | `key`, `codec`, `fingerprint`, `envelope` | text and bytes: pure functions |
//! | `policy` | what is fresh, what is stored and for how long: pure, takes the clock |
//! | `store` | one trait; `store::memory` and `store::redis` implement it |
//! | `once`, `outlined`, `renewer` | futures polled by hand, or in frames of their own; what blocking callers need in place of a runtime |
//! | `ids` | the ids and the map of a call for many |
//! | `sharing` | how an error reaches the calls that waited for it |
//! | `flight` | computations under way in this process, and who waits for them |
//! | `cache`, `function` | a configured store; one cached function |
//! | `engine` | the protocol of one call, over any store and timer, async and blocking |
//! | `invalidation`, `entry`, `group` | the verbs of entries and groups |
//! | `bulk`, `blocking` | the verbs of a cache about several entries |
//! | `own` | what a background refresh keeps of a call's arguments |
//! | `__private` | what generated code names |

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(any(feature = "tokio", feature = "blocking")),
    allow(dead_code, unused_imports, unused_variables, reason = "no face is left to use it")
)]
// What the outside can influence must not panic.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg(feature = "blocking")]
pub mod blocking;
mod bulk;
mod cache;
mod caught;
mod codec;
mod engine;
mod entry;
mod envelope;
mod error;
mod fingerprint;
mod flight;
mod function;
mod group;
mod hash;
mod ids;
mod invalidation;
mod key;
mod names;
mod once;
mod outlined;
mod own;
mod policy;
#[cfg(feature = "blocking")]
mod renewer;
mod sharing;
mod stack;
mod store;
mod ttl;
mod value;

#[cfg(test)]
#[path = "../../tests/support/mod.rs"]
mod test_support;

#[doc(hidden)]
pub mod __private;

pub use cache::{Builder, Cache, Stats};
#[cfg(feature = "bincode")]
pub use codec::Bincode;
#[cfg(feature = "json")]
pub use codec::Json;
#[cfg(feature = "messagepack")]
pub use codec::MessagePack;
pub use codec::{Codec, CodecError};
#[cfg(feature = "tokio")]
pub use entry::Entry;
pub use error::{Error, ErrorKind};
#[cfg(feature = "tokio")]
pub use group::Group;
pub use invalidation::Invalidation;
