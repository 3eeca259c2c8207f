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
//! | `cache`, `function` | a configured store; one cached function |
//! | `engine` | the protocol of one call, over any store, async and blocking |
//! | `entry` | the verbs beside a function |
//! | `__private` | what generated code names |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod cache;
mod codec;
mod engine;
mod entry;
mod envelope;
mod error;
mod fingerprint;
mod function;
mod key;
mod policy;
mod store;
mod ttl;

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
#[cfg(feature = "blocking")]
pub use entry::blocking;
#[cfg(feature = "tokio")]
pub use entry::Entry;
pub use error::{Error, ErrorKind};
