//! Which commands and how many bytes go over the wire.

mod commands;
#[cfg(feature = "lz4")]
mod compressed;
mod first_look;
mod greeting;
mod header;
mod invalidations;
mod large_values;
#[cfg(feature = "local")]
mod local;
mod stamps;
