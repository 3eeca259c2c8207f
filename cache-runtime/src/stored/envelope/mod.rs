//! The bytes in a slot: a lease, or a value after a fixed header.
//!
//! `layout` has the places of all parts, by name: code and scripts take their numbers from there.
//!
//! ```text
//! lease   0 'L'   1 format   2..18 token   18..26 seal u64, if there are tags
//! value   0 'V'   1 format   2..18 value id
//!        18..34 refresh token (0: none)    34..50 until, 16 decimal digits   — mutable in place
//!        50 version u32   54 codec u32   58 fingerprint u64   66 seal u64 (0: no tags)
//!        74 leased at u64   82 filled at u64   90 fresh until u64   (server milliseconds)
//!        98 body duration u32 (microseconds)   102 flags u8   103 zero
//!       104 checksum u64   112 own tags, if a flag says that it was asked for them   then the payload
//! own tags    number u16, then for each a length u8 and its name, then their seal u64
//! payload     the encoded value; if a flag says that it is compressed: algorithm u8, raw length u32, block
//! ```
//!
//! Integers are little-endian. The checksum covers the header without 18..50 and without itself,
//! the payload and the key, so that bytes copied to another key are a miss.
//!
//! A *seal* is a hash over tags and their stamps. Equal seals mean that the tags are the same and that none of them was
//! invalidated in between. The tags that follow from the arguments need not be in the value; the value's own tags must.
//!
//! A value that stays readable during its refresh carries the refresh lease in its own mutable bytes. The lease goes
//! with the value when the slot is emptied or overwritten.

mod header;
pub(crate) mod layout;
mod lease;
#[cfg(feature = "inspect")]
mod opened;
mod tags;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use self::header::{HEAD_LEN, Head, Header, Identity, head, mark, seal};
#[cfg(test)]
pub(crate) use self::header::{HEADER_LEN, Mark};
pub(crate) use self::lease::{Lease, LeasePlace, Token, value_front};
#[cfg(feature = "inspect")]
pub(crate) use self::opened::{Opened, OpenedValue, is_intact, opened, opened_field};
pub(crate) use self::tags::{OwnTags, Seal, buffer, has_own_tags, own_seal, own_tags};
#[cfg(feature = "local")]
pub(crate) use self::value::raw_len;
#[cfg(any(feature = "axum", feature = "local"))]
pub(crate) use self::value::times;
pub(crate) use self::value::{Content, Value, Why, from_field, is_sealed, parse};
