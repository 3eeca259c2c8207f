//! `codec = bincode`, and the first choice of the default.
//!
//! The bytes are those of bincode 2 with `config::standard()`, followed by four more. The crate itself
//! reads and writes only the primitives. Its serde adapters are replaced here, because they trust the
//! lengths in the bytes (they allocate a `String` of 2^60 bytes, and iterate over a `Vec<()>` of 2^60
//! elements) and let `skip_serializing_if` shift the fields of a struct.

mod read;
mod write;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, CodecError};
use crate::stored::sink::Typed;

const CONFIG: bincode::config::Configuration = bincode::config::standard();

/// The number of elements of sequences and maps that may take no byte (`Vec<()>`), in addition to one
/// for each byte of the value. Encoding has the same bound.
const EMPTY_ELEMENTS: usize = 1 << 16;

/// A hash over the order of fields, ends of structs and names of variants. It finds values that reader and writer
/// understand differently: a field that only `skip_serializing` leaves out is read from the bytes of the next one, and
/// a variant that is skipped has a number in `Serialize` alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts(u32);

impl Counts {
    const LEN: usize = 4;

    #[inline]
    fn field(&mut self) {
        self.0 = self.0.wrapping_add(1);
    }

    #[inline]
    fn end(&mut self) {
        self.0 = self.0.wrapping_add(0x10001).wrapping_mul(0x9e37_79b1).rotate_left(15);
    }

    /// Adds the name of a variant, because the bytes contain only its number.
    #[inline]
    fn variant(&mut self, name: &str) {
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(FACTOR).rotate_left(29);
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        let mut chunks = name.as_bytes().chunks_exact(8);
        let hash = chunks.by_ref().fold(name.len() as u64, |hash, chunk| mix(hash, word(chunk)));
        let hash = mix(hash, word(chunks.remainder())).wrapping_mul(FACTOR);
        // The upper half depends on every byte; truncated on purpose.
        self.0 = (self.0 ^ (hash >> 32) as u32).wrapping_mul(0x9e37_79b1).rotate_left(15);
    }

    fn to_bytes(self) -> [u8; Self::LEN] {
        self.0.to_le_bytes()
    }
}

/// The smallest and fastest format, for values that only Rust reads.
///
/// The format is not self-describing, so some types and values are not stored:
///
/// - types that contain `#[serde(flatten)]`, `#[serde(untagged)]`, `#[serde(tag = "…")]` or a `serde_json::Value`;
/// - types of which a part cannot be seen, such as the rest of a tuple after an element that accepts no dummy value;
/// - values with a field left out by `#[serde(skip_serializing_if = "…")]`;
/// - values with a variant that `Deserialize` does not list at the same position under the same name (because of `skip`
///   or `alias` on an earlier variant);
/// - values whose `Serialize` writes another kind of value, or fields in another order, than their `Deserialize` reads.
///
/// The default, `codec = auto`, stores those in MessagePack.
///
/// ```
/// use redis_cached::redis_cached;
///
/// #[redis_cached(codec = bincode)]
/// async fn names(group: u64) -> Vec<String> {
///     vec![format!("of group {group}")]
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Bincode;

impl Codec for Bincode {
    const NAME: &'static str = "bincode-3";
    const IS_BOUNDED: bool = true;

    fn encode<V: Serialize + ?Sized>(value: &V, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
        write::encode(buffer, &Typed(value))
    }

    fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, CodecError> {
        read::decode(bytes)
    }
}
