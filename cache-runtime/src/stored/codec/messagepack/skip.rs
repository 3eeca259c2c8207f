//! Steps over values, and so checks them.

use rmp::Marker;

use crate::stored::codec::DEPTH;

const SHORT: &str = "the bytes end too early";

/// The bytes after the first value of `bytes`. It is an error if this value is not complete, is nested too deeply, or
/// claims more elements than there are bytes.
pub(super) fn skip(bytes: &[u8]) -> Result<&[u8], &'static str> {
    let mut rest = bytes;
    // The number of values that are still missing on each level.
    let mut levels = [0_u64; 2 * DEPTH];
    let mut level = 0;
    levels[0] = 1;
    loop {
        while levels[level] == 0 {
            if level == 0 {
                return Ok(rest);
            }
            level -= 1;
        }
        levels[level] -= 1;
        let (&marker, after) = rest.split_first().ok_or(SHORT)?;
        let (width, data, values) = extent(Marker::from_u8(marker), after)?;
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

/// The bytes of the length after a marker, the bytes of data, and the number of values inside.
fn extent(marker: Marker, after: &[u8]) -> Result<(usize, u64, u64), &'static str> {
    let length = |width: usize| {
        let digits = after.get(..width).ok_or(SHORT)?;
        Ok::<u64, &str>(digits.iter().fold(0, |sum, &digit| sum << 8 | u64::from(digit)))
    };
    Ok(match marker {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::False | Marker::True => (0, 0, 0),
        Marker::FixMap(len) => (0, 0, 2 * u64::from(len)),
        Marker::FixArray(len) => (0, 0, u64::from(len)),
        Marker::FixStr(len) => (0, u64::from(len), 0),
        Marker::Reserved => return Err("the marker 0xc1 has no meaning"),
        Marker::Bin8 | Marker::Str8 => (1, length(1)?, 0),
        Marker::Bin16 | Marker::Str16 => (2, length(2)?, 0),
        Marker::Bin32 | Marker::Str32 => (4, length(4)?, 0),
        Marker::Ext8 => (1, 1 + length(1)?, 0),
        Marker::Ext16 => (2, 1 + length(2)?, 0),
        Marker::Ext32 => (4, 1 + length(4)?, 0),
        Marker::U8 | Marker::I8 => (0, 1, 0),
        Marker::U16 | Marker::I16 => (0, 2, 0),
        Marker::U32 | Marker::I32 | Marker::F32 => (0, 4, 0),
        Marker::U64 | Marker::I64 | Marker::F64 => (0, 8, 0),
        Marker::FixExt1 => (0, 1 + 1, 0),
        Marker::FixExt2 => (0, 1 + 2, 0),
        Marker::FixExt4 => (0, 1 + 4, 0),
        Marker::FixExt8 => (0, 1 + 8, 0),
        Marker::FixExt16 => (0, 1 + 16, 0),
        Marker::Array16 => (2, 0, length(2)?),
        Marker::Array32 => (4, 0, length(4)?),
        Marker::Map16 => (2, 0, 2 * length(2)?),
        Marker::Map32 => (4, 0, 2 * length(4)?),
    })
}
