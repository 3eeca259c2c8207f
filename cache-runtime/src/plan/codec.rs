//! How the values of one function become bytes: its codecs, applied to one type, and what they and the type contribute to
//! the function's identity.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(feature = "axum")]
use crate::plan::wraps::Wraps;
use crate::stored::codec::{self, Codec, CodecError, Codecs, Rank, Root};
use crate::stored::fingerprint::{self, Fingerprint, Shape};
use crate::stored::sink::{Sink, Typed, Value};

/// The part of a function's identity that comes from its value's type and its codecs.
#[derive(Debug)]
pub(crate) struct TypeFormats {
    /// The codec and the fingerprint, by the codec's rank.
    pub(super) formats: [(u32, u64); 2],
    pub(super) codec_name: &'static str,
    /// The first codec cannot store the type, and the second can.
    pub(super) needs_second: bool,
    /// No codec can.
    pub(super) lacks_self_describing: bool,
    /// The type is too large for its shape to be found.
    pub(super) is_unfinished: bool,
    /// What a value is compared with before it is stored, by the codec's rank.
    pub(super) formats_read: [FormatRead; 2],
}

/// What a codec reads of a type.
#[derive(Debug)]
pub(crate) struct FormatRead {
    shape: Arc<Shape>,
    is_human_readable: bool,
    is_self_describing: bool,
}

impl FormatRead {
    fn new(shape: &Fingerprint, codec: CodecFacts) -> FormatRead {
        FormatRead {
            shape: Arc::clone(&shape.shape),
            is_human_readable: codec.is_human_readable,
            is_self_describing: codec.is_self_describing,
        }
    }

    /// Fails if the codec would read `value` back as another one.
    pub(crate) fn check(&self, value: &dyn Value) -> Result<(), CodecError> {
        self.shape.check(value, self.is_human_readable, !self.is_self_describing)
    }
}

/// What a codec contributes.
#[derive(Clone, Copy)]
struct CodecFacts {
    name: &'static str,
    is_human_readable: bool,
    is_self_describing: bool,
}

impl CodecFacts {
    const fn of<C: Codec>() -> CodecFacts {
        CodecFacts { name: C::NAME, is_human_readable: C::HUMAN_READABLE, is_self_describing: C::SELF_DESCRIBING }
    }
}

fn find<V: DeserializeOwned, C: Codecs>() -> TypeFormats {
    TypeFormats::new(fingerprint::of::<V>, const { [CodecFacts::of::<C::First>(), CodecFacts::of::<C::Second>()] })
}

impl TypeFormats {
    fn new(shape_of: fn(bool) -> Fingerprint, [first, second]: [CodecFacts; 2]) -> TypeFormats {
        let shape = shape_of(first.is_human_readable);
        // A type that does not ask whether the format is human-readable has one shape.
        let is_same = second.is_human_readable == first.is_human_readable || !shape.asks_readable;
        let second_shape = if is_same { shape.clone() } else { shape_of(second.is_human_readable) };
        // A change of a part that was not seen must not be read as if there were none.
        let needs_names = shape.needs_self_describing || !shape.shape.is_complete();
        let first_cannot = needs_names && !first.is_self_describing;
        TypeFormats {
            formats: [(codec::codec_id(first.name), shape.value), (codec::codec_id(second.name), second_shape.value)],
            codec_name: first.name,
            needs_second: first_cannot && second.is_self_describing,
            lacks_self_describing: first_cannot && !second.is_self_describing,
            is_unfinished: shape.is_unfinished || second_shape.is_unfinished,
            formats_read: [FormatRead::new(&shape, first), FormatRead::new(&second_shape, second)],
        }
    }
}

/// The codecs of a function, applied to one type.
pub struct CodecFns<V> {
    pub(super) encode: fn(&V, &mut Vec<u8>, Rank) -> Result<(), CodecError>,
    /// The second argument is all of the slot, of which a value may keep a part. The first is no part of it if the payload
    /// was compressed.
    pub(crate) decode: fn(&[u8], &Bytes, Rank) -> Result<V, CodecError>,
    pub(crate) root: fn(&V) -> Root,
    pub(super) write: fn(&V, &mut dyn Sink) -> Result<(), CodecError>,
    /// Tells values that are compressed already; `None` if the type has none.
    pub(super) is_dense: Option<fn(&V) -> bool>,
    pub(super) find: fn() -> TypeFormats,
}

impl<V> CodecFns<V> {
    /// The functions of codec `C`, or of both codecs of `Auto`.
    pub fn of<C: Codecs>() -> CodecFns<V>
    where
        V: Serialize + DeserializeOwned,
    {
        CodecFns {
            encode: codec::encode::<V, C>,
            decode: |bytes, _, rank| codec::decode::<V, C>(bytes, rank),
            root: codec::root_of::<V>,
            write: |value, sink| Typed(value).write(sink),
            is_dense: None,
            find: find::<V, C>,
        }
    }
}

impl<T> CodecFns<Option<T>> {
    /// This is [`of`](CodecFns::of) for a type whose `None` is never encoded. The bytes for `Some(x)` are those of a
    /// function that returns `x`, so that the two can share an entry.
    pub fn of_some<C: Codecs>() -> CodecFns<Option<T>>
    where
        T: Serialize + DeserializeOwned,
    {
        CodecFns {
            encode: |value, buffer, rank| match value {
                Some(value) => codec::encode::<T, C>(value, buffer, rank),
                None => Err(CodecError::new("`None` is no value")),
            },
            decode: |bytes, _, rank| codec::decode::<T, C>(bytes, rank).map(Some),
            root: |value| if value.is_some() { Root::Other } else { Root::None },
            write: |value, sink| value.as_ref().map_or(Ok(()), |value| Typed(value).write(sink)),
            is_dense: None,
            find: find::<T, C>,
        }
    }
}

#[cfg(feature = "axum")]
impl<W: Wraps> CodecFns<W> {
    /// This is [`of`](CodecFns::of) for a type that wraps the stored one, whose bytes these are.
    pub(super) fn of_inner<C: Codecs>() -> CodecFns<W>
    where
        W::Inner: Serialize + DeserializeOwned,
    {
        CodecFns {
            encode: |value, buffer, rank| codec::encode::<W::Inner, C>(value.inner(), buffer, rank),
            decode: |bytes, _, rank| codec::decode::<W::Inner, C>(bytes, rank).map(W::wrap),
            root: |value| codec::root_of(value.inner()),
            write: |value, sink| Typed(value.inner()).write(sink),
            is_dense: None,
            find: find::<W::Inner, C>,
        }
    }
}

#[cfg(feature = "axum")]
impl<W: Wraps> CodecFns<Option<W>> {
    /// This is [`of_some`](CodecFns::of_some) for such a type.
    pub(super) fn of_some_inner<C: Codecs>() -> CodecFns<Option<W>>
    where
        W::Inner: Serialize + DeserializeOwned,
    {
        CodecFns {
            encode: |value, buffer, rank| match value {
                Some(value) => codec::encode::<W::Inner, C>(value.inner(), buffer, rank),
                None => Err(CodecError::new("`None` is no value")),
            },
            decode: |bytes, _, rank| codec::decode::<W::Inner, C>(bytes, rank).map(W::wrap).map(Some),
            root: |value| if value.is_some() { Root::Other } else { Root::None },
            write: |value, sink| value.as_ref().map_or(Ok(()), |value| Typed(value.inner()).write(sink)),
            is_dense: None,
            find: find::<W::Inner, C>,
        }
    }
}

#[cfg(feature = "axum")]
impl<V> CodecFns<V> {
    /// The functions of a type that has a format of its own, under a name that tells it from all others.
    pub(crate) fn of_own_format(
        encode: fn(&V, &mut Vec<u8>, Rank) -> Result<(), CodecError>,
        decode: fn(&[u8], &Bytes, Rank) -> Result<V, CodecError>,
        root: fn(&V) -> Root,
        is_dense: fn(&V) -> bool,
        find: fn() -> TypeFormats,
    ) -> CodecFns<V> {
        let write = |_: &V, sink: &mut dyn Sink| Typed(&()).write(sink);
        CodecFns { encode, decode, root, write, is_dense: Some(is_dense), find }
    }
}

#[cfg(feature = "axum")]
impl TypeFormats {
    /// That of a type with a format of its own: its name says everything.
    pub(crate) fn of_own_format(name: &'static str) -> TypeFormats {
        let codec = CodecFacts { name, is_human_readable: false, is_self_describing: true };
        TypeFormats::new(fingerprint::of::<()>, [codec, codec])
    }
}

/// How `None` is recognized and made, for a type that has one.
pub struct Nones<V> {
    pub(crate) is_none: fn(&V) -> bool,
    pub(crate) none: fn() -> Option<V>,
}

impl<V> Nones<V> {
    /// The type is no `Option`.
    pub fn never() -> Nones<V> {
        Nones { is_none: |_| false, none: || None }
    }
}

impl<T> Nones<Option<T>> {
    /// The type is `Option<T>`.
    pub fn option() -> Nones<Option<T>> {
        Nones { is_none: Option::is_none, none: || Some(None) }
    }
}
