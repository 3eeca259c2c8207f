//! The operations of a store, as commands to one server.
//!
//! `commands`, `stamps`, `extension` and `scripts` know what is sent and what replies mean, and `read_plan` is pure.
//! The others carry an operation out, over any transport.

mod abandoned;
pub(crate) mod clear;
pub(crate) mod commands;
pub(crate) mod deliverer;
pub(crate) mod delivery;
mod each;
pub(crate) mod extension;
mod fields;
mod fill;
mod lease;
#[cfg(feature = "tokio")]
pub(crate) mod node;
#[cfg(feature = "blocking")]
mod note;
mod probe;
mod read;
pub(crate) mod read_plan;
mod rights_check;
pub(crate) mod scripts;
pub(crate) mod stamps;
mod store;
