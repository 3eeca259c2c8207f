//! The operations of a store, as commands to one server.
//!
//! `commands` and `scripts` know what is sent and what replies mean, and `pending`, `sizes` and `read_plan` are pure.
//! The others carry an operation out, over any transport.

pub(crate) mod abandoned;
mod clear;
pub(crate) mod commands;
pub(crate) mod deliverer;
pub(crate) mod delivery;
mod many;
mod one;
pub(crate) mod pending;
mod probe;
mod read_plan;
mod rights_check;
pub(crate) mod scripts;
pub(crate) mod sizes;
