//! The bytes of a value: its envelope, its encoding, and the fingerprint of its type. Pure functions.

pub(crate) mod codec;
pub(crate) mod envelope;
pub(crate) mod fingerprint;
pub(crate) mod sink;
mod source;
