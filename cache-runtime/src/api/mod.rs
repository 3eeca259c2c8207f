//! The types that a program calls by name: the cache, and the entries, groups and tags of its functions.

// First, because rustdoc shows the methods of `Cache` in the order of the modules: constructors before verbs.
pub(crate) mod cache;

#[cfg(feature = "blocking")]
pub mod blocking;
pub(crate) mod bulk;
pub(crate) mod clear;
pub(crate) mod default_cache;
pub(crate) mod entry;
pub(crate) mod group;
pub(crate) mod invalidation;
#[cfg(feature = "local")]
mod local;
mod observe;
#[cfg(feature = "blocking")]
mod publish;
