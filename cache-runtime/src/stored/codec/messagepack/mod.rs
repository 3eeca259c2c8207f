//! `codec = messagepack`, and the default for values that bincode cannot read back.

mod read;
mod skip;
mod write;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, CodecError};
use crate::stored::sink::Typed;

/// The name of a newtype struct that is an extension type: a tuple of an `i8` and bytes. rmp-serde chose it.
const EXTENSION: &str = "_ExtStruct";

/// MessagePack with field names: as general as JSON, and about half its size. Types that have a human-readable form
/// and a binary one, such as UUIDs, are written in the former.
///
/// It refuses values that MessagePack would read back as another value: `Some(None)` and `Some(())`.
///
/// ```
/// use redis_cached::redis_cached;
///
/// #[redis_cached(codec = messagepack)]
/// async fn names(group: u64) -> Vec<String> {
///     vec![format!("of group {group}")]
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MessagePack;

impl Codec for MessagePack {
    const NAME: &'static str = "messagepack-2";
    // Inside of `untagged`, `flatten` and `tag`, serde reads every format as a human-readable one, and could not read
    // an address in its binary form there.
    const HUMAN_READABLE: bool = true;
    const SELF_DESCRIBING: bool = true;
    const IS_BOUNDED: bool = true;

    fn encode<V: Serialize + ?Sized>(value: &V, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
        write::encode(buffer, &Typed(value))
    }

    fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, CodecError> {
        read::decode(bytes)
    }
}

#[cfg(all(test, feature = "bincode"))]
mod tests;
