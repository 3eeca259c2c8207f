//! `codec = auto`, the default: two codecs, the second for values that the first cannot read back.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bounded::Bounded;
use super::strict::bounded;
use super::{Codec, CodecError, depth};

/// The codecs of a function: one, or two, and then the second stores the values that the first cannot.
///
/// Only generated code names this trait. Every [`Codec`] implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a codec",
    label = "does not implement `Codec`",
    note = "`codec = …` takes `auto`, `bincode`, `json`, `messagepack`, or a type that implements `Codec`"
)]
pub trait Codecs {
    /// The codec that is tried first.
    type First: Codec;
    /// The other codec, or the same one if there is no other.
    type Second: Codec;
}

impl<C: Codec> Codecs for C {
    type First = C;
    type Second = C;
}

/// bincode, and for types and values that bincode cannot read back, MessagePack with field names.
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

/// The rank of the codec that wrote a value among its function's codecs: the first if both are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    First,
    Second,
}

/// Appends `value` in the codec of this rank, if this codec can read it back.
pub(crate) fn encode<V: Serialize + DeserializeOwned, C: Codecs>(
    value: &V,
    buffer: &mut Vec<u8>,
    rank: Rank,
) -> Result<(), CodecError> {
    let start = buffer.len();
    let outer = depth::begin();
    let encoded = match rank {
        Rank::First => encode_in::<V, C::First>(value, buffer),
        Rank::Second => encode_in::<V, C::Second>(value, buffer),
    };
    finish(encoded, depth::is_deep(outer), (buffer, start), rank, decode_only::<V, C>)
}

/// Decodes a deep value before it is stored: decoding uses more of the stack than encoding, by a factor that depends on
/// the type.
fn finish(
    encoded: Result<(), CodecError>,
    is_deep: bool,
    (buffer, start): (&[u8], usize),
    rank: Rank,
    decode: fn(&[u8], Rank) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    if is_deep && encoded.is_ok() { decode(&buffer[start..], rank) } else { encoded }
}

fn decode_only<V: DeserializeOwned, C: Codecs>(bytes: &[u8], rank: Rank) -> Result<(), CodecError> {
    match decode::<V, C>(bytes, rank) {
        Ok(_dropped) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Reads what [`encode`] appended.
pub(crate) fn decode<V: DeserializeOwned, C: Codecs>(bytes: &[u8], rank: Rank) -> Result<V, CodecError> {
    match rank {
        Rank::First => decode_in::<V, C::First>(bytes),
        Rank::Second => decode_in::<V, C::Second>(bytes),
    }
}

fn encode_in<V: Serialize, C: Codec>(value: &V, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
    if C::IS_BOUNDED { C::encode(value, buffer) } else { C::encode(&bounded(value), buffer) }
}

fn decode_in<V: DeserializeOwned, C: Codec>(bytes: &[u8]) -> Result<V, CodecError> {
    if C::IS_BOUNDED { C::decode(bytes) } else { C::decode(bytes).map(|Bounded(value)| value) }
}
