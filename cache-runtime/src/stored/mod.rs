//! The bytes of a value: its envelope, its encoding, its compression, and the fingerprint of its type. Pure functions.

pub(crate) mod codec;
pub(crate) mod compress;
pub(crate) mod envelope;
pub(crate) mod fingerprint;
pub(crate) mod sink;
mod source;
