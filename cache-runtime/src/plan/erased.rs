//! A value without its type. Code that takes one is compiled once, and not for each function.

use crate::plan::function::Plan;
use crate::plan::ttl::Ttl;
use crate::stored::codec::{CodecError, Rank, Root};
use crate::stored::sink::{Sink, Value};

/// A value, and what its function says about it. Each of these methods runs code of the user.
pub(crate) trait StoredValue: Value {
    fn is_none(&self) -> bool;
    fn root(&self) -> Root;
    /// Returns true if `cache_if` admits it.
    fn is_admitted(&self) -> bool;
    /// The lifetime, if it is not `None`.
    fn ttl(&self) -> Ttl;
    fn own_tags(&self) -> Vec<String>;
    /// Returns true if it is compressed already, and its bytes are to be stored as they are.
    fn is_dense(&self) -> bool;
    fn encode(&self, buffer: &mut Vec<u8>, rank: Rank) -> Result<(), CodecError>;
}

/// A value of a function.
pub(crate) struct ValueOf<'v, V> {
    pub(crate) plan: &'v Plan<V>,
    pub(crate) value: &'v V,
}

impl<V> Value for ValueOf<'_, V> {
    fn write(&self, sink: &mut dyn Sink) -> Result<(), CodecError> {
        (self.plan.codec.write)(self.value, sink)
    }
}

impl<V> StoredValue for ValueOf<'_, V> {
    fn is_none(&self) -> bool {
        (self.plan.nones.is_none)(self.value)
    }

    fn root(&self) -> Root {
        (self.plan.codec.root)(self.value)
    }

    fn is_admitted(&self) -> bool {
        (self.plan.cache_if)(self.value)
    }

    fn ttl(&self) -> Ttl {
        (self.plan.ttl)(self.value)
    }

    fn own_tags(&self) -> Vec<String> {
        self.plan.tags.map_or_else(Vec::new, |tags| tags(self.value))
    }

    fn is_dense(&self) -> bool {
        self.plan.codec.is_dense.is_some_and(|is_dense| is_dense(self.value))
    }

    fn encode(&self, buffer: &mut Vec<u8>, rank: Rank) -> Result<(), CodecError> {
        (self.plan.codec.encode)(self.value, buffer, rank)
    }
}
