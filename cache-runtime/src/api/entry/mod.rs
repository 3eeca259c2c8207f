//! The entry of one call's arguments, which generated `…_entry` functions return.

#[cfg(any(feature = "tokio", feature = "blocking"))]
mod base;
#[cfg(feature = "blocking")]
pub(crate) mod blocking;
#[cfg(feature = "tokio")]
mod tokio;

#[cfg(feature = "tokio")]
pub use self::tokio::{Entry, entry};
