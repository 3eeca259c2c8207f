//! A cached function: the words of its attribute, and the facts that are found out once per instantiation.

pub(crate) mod codec;
pub(crate) mod erased;
pub(crate) mod function;
pub(crate) mod local;
pub(crate) mod names;
pub(crate) mod policy;
pub(crate) mod result;
pub(crate) mod ttl;
pub(crate) mod value;
#[cfg(feature = "axum")]
pub(crate) mod wraps;
