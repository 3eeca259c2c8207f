//! Encodes values as bytes, and decodes them.

mod auto;
#[cfg(feature = "bincode")]
mod bincode;
mod bounded;
mod depth;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "messagepack")]
mod messagepack;
#[cfg(any(feature = "axum", feature = "inspect"))]
pub(crate) mod page;
mod root;
mod strict;

use std::fmt;

use serde::de::{self, DeserializeOwned};
use serde::ser::{self, Serialize};

use crate::hash::hash;

#[cfg(any(feature = "bincode", feature = "messagepack"))]
pub use self::auto::Auto;
pub use self::auto::Codecs;
pub(crate) use self::auto::Rank;
pub(crate) use self::auto::{decode, encode};
#[cfg(feature = "bincode")]
pub use self::bincode::Bincode;
#[cfg(feature = "json")]
pub use self::json::Json;
#[cfg(feature = "messagepack")]
pub use self::messagepack::MessagePack;
pub(crate) use self::root::{Root, root_of};

/// The number of levels of options, sequences, maps and variants that a stored value may have. The
/// [stack](crate::poll::stack) may set a lower bound, because a few kilobytes of damaged bytes of a
/// recursive type could overflow it. Encoding has the bounds of decoding, so that every stored value
/// can be read back.
const DEPTH: usize = 128;

/// The advice in errors about a codec that would have to be self-describing.
pub(crate) const SELF_DESCRIBING_ADVICE: &str = if cfg!(feature = "messagepack") {
    "write `codec = json` or `codec = messagepack`"
} else {
    "enable the feature `messagepack` of `redis-cached` and leave `codec` out, or write `codec = json`"
};

/// A format for stored values.
///
/// ```
/// # use redis_cached_runtime as redis_cached;
/// use redis_cached::{Codec, CodecError};
/// use serde::{Serialize, de::DeserializeOwned};
///
/// /// JSON with line breaks, for people who read the cache in a terminal.
/// struct Pretty;
///
/// impl Codec for Pretty {
///     const NAME: &'static str = "pretty-json-1";
///     const HUMAN_READABLE: bool = true;
///     const SELF_DESCRIBING: bool = true;
///
///     fn encode<V: Serialize + ?Sized>(value: &V, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
///         serde_json::to_writer_pretty(buffer, value).map_err(CodecError::new)
///     }
///
///     fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, CodecError> {
///         serde_json::from_slice(bytes).map_err(CodecError::new)
///     }
/// }
/// # let mut buffer = b"in front".to_vec();
/// # Pretty::encode(&vec![1, 2], &mut buffer).unwrap();
/// # assert_eq!(Pretty::decode::<Vec<u8>>(&buffer[8..]).unwrap(), [1, 2]);
/// ```
///
/// `#[redis_cached(codec = crate::Pretty)]` uses it.
///
/// A codec need not distinguish types or versions. A stored value carries the codec's [`NAME`], a
/// fingerprint of its type and a checksum, and only bytes that match all three are passed to
/// [`decode`](Codec::decode). An error of either function is a miss, and never reaches the caller of a
/// cached function.
///
/// [`NAME`]: Codec::NAME
pub trait Codec {
    /// Identifies the format in each stored value. Change it when the meaning of the bytes changes.
    const NAME: &'static str;

    /// The format's answer to `is_human_readable`. A type may choose its form by it.
    const HUMAN_READABLE: bool = false;

    /// Tells whether the format is self-describing (`deserialize_any` works). Types with
    /// `#[serde(flatten)]` or `#[serde(untagged)]` are stored only in such a format.
    const SELF_DESCRIBING: bool = false;

    /// Tells whether the codec itself limits the nesting of values. The codecs of this library do; other codecs are
    /// wrapped.
    #[doc(hidden)]
    const IS_BOUNDED: bool = false;

    /// Appends `value` to `buffer`, which already contains other bytes.
    fn encode<V: Serialize + ?Sized>(value: &V, buffer: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads what [`encode`](Codec::encode) appended.
    ///
    /// Bytes that are left over are an error. Allocations must be in proportion to the length of
    /// `bytes`, not to the lengths that `bytes` claim.
    fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, CodecError>;
}

/// The reason why a value could not be encoded or decoded. Serializers and deserializers can have it as their error.
///
/// ```
/// use redis_cached::CodecError;
///
/// let bytes = [0xff];
/// let error = std::str::from_utf8(&bytes).map_err(CodecError::new).unwrap_err();
/// assert!(error.to_string().starts_with("invalid utf-8"));
/// ```
#[derive(Debug, Clone)]
pub struct CodecError(Option<Box<Reason>>);

/// A thin pointer to it is moved by less code than the text itself, in each function of each type.
#[derive(Debug, Clone)]
struct Reason(Box<str>);

impl CodecError {
    /// An error that says `reason`.
    pub fn new(reason: impl fmt::Display) -> CodecError {
        let reason = reason.to_string();
        // A probe that stops a `Serialize` gives no reason, and allocates nothing.
        CodecError((!reason.is_empty()).then(|| Box::new(Reason(reason.into()))))
    }
}

impl CodecError {
    fn reason(&self) -> &str {
        self.0.as_ref().map_or("", |reason| &reason.0)
    }

    /// Joins the errors of two codecs that fail for one value.
    pub(crate) fn or(self, second: CodecError) -> CodecError {
        if self.reason() == second.reason() {
            self
        } else {
            CodecError::new(format_args!("{self}; and in the other codec: {second}"))
        }
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for CodecError {}

impl de::Error for CodecError {
    #[cold]
    fn custom<T: fmt::Display>(reason: T) -> CodecError {
        CodecError::new(reason)
    }
}

impl ser::Error for CodecError {
    #[cold]
    fn custom<T: fmt::Display>(reason: T) -> CodecError {
        CodecError::new(reason)
    }
}

/// The number that stands for a codec's name in the header of a value.
pub(crate) fn codec_id(name: &str) -> u32 {
    // The hash is truncated on purpose.
    hash(0, name.as_bytes()) as u32
}

#[cfg(all(test, feature = "bincode", feature = "messagepack"))]
mod pinned;
#[cfg(test)]
mod tests;
