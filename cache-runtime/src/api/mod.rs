//! What a program calls by name: the cache, and the entries, groups and tags of its functions.

#[cfg(feature = "blocking")]
pub mod blocking;
pub(crate) mod bulk;
pub(crate) mod cache;
pub(crate) mod clear;
pub(crate) mod entry;
pub(crate) mod group;
pub(crate) mod invalidation;
pub(crate) mod scope;
