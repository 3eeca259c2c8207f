//! Types that wrap the value that is stored, such as axum's `Json<T>`. Their entries are those of functions that return
//! the value itself.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::plan::codec::CodecFns;
use crate::plan::value::{AnyVerdict, Blame, FoundOption, FoundValue, Storable, Unstorable, Verdict};
use crate::stored::codec::Codecs;

/// A type that wraps the value that is stored.
pub trait Wraps: Sized {
    /// The type that is stored.
    type Inner;
    /// The value.
    fn inner(&self) -> &Self::Inner;
    /// The inverse of `inner`.
    fn wrap(inner: Self::Inner) -> Self;
}

/// The verdict on a type that wraps one that can be stored.
#[derive(Debug)]
pub struct Wrapped;

impl<W: Wraps<Inner: Serialize + DeserializeOwned>> AnyVerdict<W> for FoundValue<W> {
    type Verdict = Wrapped;
    fn rc_verdict(self) -> Wrapped {
        Wrapped
    }
}

impl<W: Wraps<Inner: Serialize + DeserializeOwned>> AnyVerdict<W> for FoundOption<W> {
    type Verdict = Wrapped;
    fn rc_verdict(self) -> Wrapped {
        Wrapped
    }
}

impl<P> Blame<P> for Wrapped {
    type Verdict = Wrapped;
    fn blame(self, _: P) -> Wrapped {
        self
    }
}

impl<T> Blame<Wrapped> for Unstorable<T> {
    type Verdict = Unstorable<T>;
    fn blame(self, _: Wrapped) -> Unstorable<T> {
        self
    }
}

impl<W: Wraps<Inner: Serialize + DeserializeOwned>> Verdict<W> for (FoundValue<W>, Wrapped) {
    type Type = Storable;
    fn codec<C: Codecs>(self) -> CodecFns<W> {
        CodecFns::<W>::of_inner::<C>()
    }
}

impl<W: Wraps<Inner: Serialize + DeserializeOwned>> Verdict<Option<W>> for (FoundOption<W>, Wrapped) {
    type Type = Storable;
    fn codec<C: Codecs>(self) -> CodecFns<Option<W>> {
        CodecFns::<Option<W>>::of_some_inner::<C>()
    }
}
