//! The operations of a store, as commands to one server.
//!
//! `commands`, `stamps` and `scripts` know what is sent and what replies mean, and `read_plan` is pure.
//! The others carry an operation out, over any transport.

mod abandoned;
mod clear;
pub(crate) mod commands;
mod deliverer;
pub(crate) mod delivery;
mod each;
mod fill;
mod lease;
mod probe;
mod read;
mod read_plan;
mod rights_check;
pub(crate) mod scripts;
mod stamps;
mod store;
