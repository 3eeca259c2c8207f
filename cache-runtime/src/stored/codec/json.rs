//! `codec = json`.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bounded::Bounded;
use super::strict::{Format, Strict};
use super::{Codec, CodecError};

/// JSON, for values that other programs read, or types that need a self-describing format.
///
/// It refuses values that JSON would read back as another value: a float that is not finite,
/// `Some(None)` and `Some(())`.
///
/// ```
/// use redis_cached::redis_cached;
///
/// #[redis_cached(codec = json)]
/// async fn names(group: u64) -> Vec<String> {
///     vec![format!("of group {group}")]
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Json;

impl Codec for Json {
    const NAME: &'static str = "json";
    const HUMAN_READABLE: bool = true;
    const SELF_DESCRIBING: bool = true;
    const IS_BOUNDED: bool = true;

    fn encode<V: Serialize + ?Sized>(value: &V, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
        let mut serializer = serde_json::Serializer::new(buffer);
        value.serialize(Strict::new(&mut serializer, Format::Json)).map_err(CodecError::new)
    }

    fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, CodecError> {
        // serde_json allocates only for elements that it has read.
        serde_json::from_slice(bytes).map(|Bounded(value)| value).map_err(CodecError::new)
    }
}
