//! Entries that live and go together, as the fields of one Redis hash.

#[cfg(feature = "blocking")]
pub(crate) mod blocking;
#[cfg(feature = "tokio")]
mod tokio;

use std::fmt;

#[cfg(feature = "tokio")]
pub use self::tokio::{Group, group};
use crate::api::invalidation::Invalidation;
use crate::engine::context::Context;
use crate::error::Error;
use crate::key::Key;

/// The part of a group that both faces share.
#[derive(Clone)]
struct Base {
    cache: Context,
    key: Result<Key, Error>,
}

impl Base {
    fn new(cache: &Context, key: Result<Key, Error>) -> Base {
        Base { cache: cache.clone(), key }
    }

    fn key(&self) -> Result<&Key, Error> {
        self.key.as_ref().map_err(Error::clone)
    }

    fn invalidation(&self) -> Invalidation {
        Invalidation::new(&self.cache, self.key.clone())
    }

    /// For the `Debug` of both faces.
    fn debug(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("key", &self.key.as_ref().map(Key::as_str)).finish_non_exhaustive()
    }
}
