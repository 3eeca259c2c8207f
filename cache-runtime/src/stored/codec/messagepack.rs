//! `codec = messagepack`, and the default for values that bincode cannot read back.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::bounded::Bounded;
use super::strict::{Format, Strict};
use super::{Codec, CodecError, DEPTH};

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
        let mut serializer = rmp_serde::Serializer::new(buffer).with_struct_map().with_human_readable();
        value.serialize(Strict::new(&mut serializer, Format::MessagePack)).map_err(CodecError::new)
    }

    fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, CodecError> {
        check(bytes).map_err(CodecError::new)?;
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
        Bounded::deserialize(&mut deserializer).map(|Bounded(value)| value).map_err(CodecError::new)
    }
}

/// Checks that the bytes are exactly one complete value, not nested too deeply, with no more elements than bytes.
/// rmp-serde trusts the lengths, ignores bytes that are left over, and does not count the depth of variants.
fn check(bytes: &[u8]) -> Result<(), &'static str> {
    const SHORT: &str = "the bytes end too early";
    let mut rest = bytes;
    // The number of values that are still missing on each level.
    let mut levels = [0_u64; 2 * DEPTH];
    let mut level = 0;
    levels[0] = 1;
    loop {
        while levels[level] == 0 {
            if level == 0 {
                return if rest.is_empty() { Ok(()) } else { Err("bytes are left over") };
            }
            level -= 1;
        }
        levels[level] -= 1;
        let (&marker, after) = rest.split_first().ok_or(SHORT)?;
        let length = |width: usize| {
            let digits = after.get(..width).ok_or(SHORT)?;
            Ok::<u64, &str>(digits.iter().fold(0, |sum, &digit| sum << 8 | u64::from(digit)))
        };
        // The bytes of the length, the bytes of data, and the number of values inside.
        let (width, data, values) = match marker {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => (0, 0, 0),
            0x80..=0x8f => (0, 0, 2 * u64::from(marker & 15)),
            0x90..=0x9f => (0, 0, u64::from(marker & 15)),
            0xa0..=0xbf => (0, u64::from(marker & 31), 0),
            0xc1 => return Err("the marker 0xc1 has no meaning"),
            0xc4 | 0xd9 => (1, length(1)?, 0),
            0xc5 | 0xda => (2, length(2)?, 0),
            0xc6 | 0xdb => (4, length(4)?, 0),
            0xc7 => (1, 1 + length(1)?, 0),
            0xc8 => (2, 1 + length(2)?, 0),
            0xc9 => (4, 1 + length(4)?, 0),
            0xca | 0xce | 0xd2 => (0, 4, 0),
            0xcb | 0xcf | 0xd3 => (0, 8, 0),
            0xcc | 0xd0 => (0, 1, 0),
            0xcd | 0xd1 => (0, 2, 0),
            0xd4..=0xd8 => (0, 1 + (1 << (marker - 0xd4)), 0),
            0xdc => (2, 0, length(2)?),
            0xdd => (4, 0, length(4)?),
            0xde => (2, 0, 2 * length(2)?),
            0xdf => (4, 0, 2 * length(4)?),
        };
        let skipped = usize::try_from(data).ok().and_then(|data| data.checked_add(width));
        rest = skipped.and_then(|skipped| after.get(skipped..)).ok_or(SHORT)?;
        if values > 0 {
            if values > rest.len() as u64 {
                return Err(SHORT);
            }
            level += 1;
            *levels.get_mut(level).ok_or("nested too deeply")? = values;
        }
    }
}
