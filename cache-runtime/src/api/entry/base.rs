//! The part of an entry that both faces share.

use std::fmt;

use crate::api::invalidation::Invalidation;
use crate::engine::context::Context;
use crate::error::Error;
use crate::key::Key;
use crate::plan::function::Plan;

pub(super) struct Base<V> {
    pub(super) cache: Context,
    pub(super) plan: Plan<V>,
    key: Result<Key, Error>,
}

impl<V> Base<V> {
    pub(super) fn new(cache: &Context, plan: Plan<V>, key: Result<Key, Error>) -> Base<V> {
        Base { cache: cache.clone(), plan, key }
    }

    pub(super) fn key(&self) -> Result<&Key, Error> {
        self.key.as_ref().map_err(Error::clone)
    }

    /// The parts that are needed to read the entry among others.
    pub(super) fn parts(&self) -> Result<(&Context, &Plan<V>, &Key), Error> {
        Ok((&self.cache, &self.plan, self.key()?))
    }

    pub(super) fn invalidation(&self) -> Invalidation {
        Invalidation::new(&self.cache, self.key.clone())
    }

    /// For the `Debug` of both faces.
    pub(super) fn debug(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("key", &self.key.as_ref().map(Key::as_str)).finish_non_exhaustive()
    }
}

// A derive would ask for `V: Clone`.
impl<V> Clone for Base<V> {
    fn clone(&self) -> Self {
        Base { cache: self.cache.clone(), plan: self.plan, key: self.key.clone() }
    }
}
