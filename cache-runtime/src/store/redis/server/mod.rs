//! The state of one server, shared by all caches, faces and runtimes.
//!
//! Everything here belongs to the server alone. In a cluster each node has a [`Server`] of its own, so that an
//! unreachable shard opens its own breaker only, and its clock, features and rights are not mixed with those of the
//! others. The state of the cache (undelivered invalidations, abandoned leases, sizes of values) is in `client`.

pub(crate) mod breaker;
pub(crate) mod clock;
pub(crate) mod endpoint;
pub(crate) mod fault;
pub(crate) mod features;
pub(crate) mod greeting;
pub(crate) mod health;
#[cfg(feature = "tokio")]
pub(crate) mod locator;
pub(crate) mod rights;
pub(crate) mod sanitize;
mod state;

pub(crate) use self::state::{Open, Purpose, Server};
