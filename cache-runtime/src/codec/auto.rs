//! `codec = auto`, the default: two codecs, the second for what the first cannot read back.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, CodecError};

/// The codecs of a function: one, or two of which the second stores what the first cannot.
///
/// Only generated code names it. Every [`Codec`] is one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no codec",
    label = "does not implement `Codec`",
    note = "`codec = …` takes `auto`, `bincode`, `json`, `messagepack`, or a type that implements `Codec`"
)]
pub trait Codecs {
    /// The one that is tried first.
    type First: Codec;
    /// The other one; the same where there is none.
    type Second: Codec;
}

impl<C: Codec> Codecs for C {
    type First = C;
    type Second = C;
}

/// bincode, and MessagePack with field names for types and values that bincode cannot read back.
#[cfg(all(feature = "bincode", feature = "messagepack"))]
#[derive(Clone, Copy, Debug)]
pub struct Auto;

#[cfg(all(feature = "bincode", feature = "messagepack"))]
impl Codecs for Auto {
    type First = super::Bincode;
    type Second = super::MessagePack;
}

/// bincode alone: the feature `messagepack` is off.
#[cfg(all(feature = "bincode", not(feature = "messagepack")))]
pub type Auto = super::Bincode;

/// MessagePack alone: the feature `bincode` is off.
#[cfg(all(not(feature = "bincode"), feature = "messagepack"))]
pub type Auto = super::MessagePack;

/// Which of a function's codecs wrote a value; the first where they are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    /// The first.
    First,
    /// The second.
    Second,
}

/// Appends `value` in the codec of this rank.
pub(crate) fn encode<V: Serialize, C: Codecs>(value: &V, buffer: &mut Vec<u8>, rank: Rank) -> Result<(), CodecError> {
    match rank {
        Rank::First => C::First::encode(value, buffer),
        Rank::Second => C::Second::encode(value, buffer),
    }
}

/// Reads what [`encode`] appended.
pub(crate) fn decode<V: DeserializeOwned, C: Codecs>(bytes: &[u8], rank: Rank) -> Result<V, CodecError> {
    match rank {
        Rank::First => C::First::decode(bytes),
        Rank::Second => C::Second::decode(bytes),
    }
}
