//! `codec = bincode`, and the first choice of the default.
//!
//! The bytes are those of bincode 2 with `config::standard()`, and four more behind them. Only the
//! primitives are read and written by the crate itself, though: its serde adapters trust the
//! lengths in the bytes (a `String` of 2^60 is allocated, a `Vec<()>` of 2^60 is counted through)
//! and let `skip_serializing_if` shift the fields of a struct, so the two walks are written anew.

mod read;
mod write;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, CodecError};

const CONFIG: bincode::config::Configuration = bincode::config::standard();

/// How many elements of sequences and maps may take no byte at all (`Vec<()>`), beside one for
/// each byte of the value. Encoding has the same bound.
const EMPTY_ELEMENTS: usize = 1 << 16;

/// Which fields, ends of structs and names of variants came one after the other, folded. Reader and writer may disagree,
/// without either knowing: a field that only `skip_serializing` leaves out is read from the bytes of the next one, and a
/// variant that is skipped has a number for `Serialize` alone.
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

    /// A variant of this name, of which the bytes hold the number alone.
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
/// It cannot tell what the bytes hold. Types with `#[serde(flatten)]`, `#[serde(untagged)]`,
/// `#[serde(tag = "…")]` or a `serde_json::Value` in them, and values with a field left out by
/// `#[serde(skip_serializing_if = "…")]` or with a variant that `Deserialize` does not list at the same place under the
/// same name (`skip` or `alias` on a variant in front of it), are not stored. The default, `codec = auto`, stores those in
/// MessagePack.
#[derive(Clone, Copy, Debug)]
pub struct Bincode;

impl Codec for Bincode {
    const NAME: &'static str = "bincode-3";
    const IS_BOUNDED: bool = true;

    fn encode<V: Serialize + ?Sized>(value: &V, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
        write::encode(value, buffer)
    }

    fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, CodecError> {
        read::decode(bytes)
    }
}
