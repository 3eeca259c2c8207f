//! One cached function: what its attribute said, and what is found out once per instantiation.

pub(crate) mod codec;
pub(crate) mod function;
pub(crate) mod names;
pub(crate) mod policy;
pub(crate) mod result;
pub(crate) mod ttl;
pub(crate) mod value;
