//! The places of the parts in the bytes of a slot. The scripts of `store::redis::ops` get their numbers from here, too.

use std::ops::Range;

pub(super) const LEASE: u8 = b'L';
pub(super) const VALUE: u8 = b'V';
pub(crate) const LEASE_FORMAT: u8 = 1;
/// Format 1 had the duration of the body in milliseconds.
pub(crate) const VALUE_FORMAT: u8 = 2;

/// The kind, the format, and the token of a lease or the id of a value.
pub(crate) const FRONT: Range<usize> = 0..18;
pub(super) const ID: Range<usize> = 2..18;

/// A lease without tags is its front alone.
pub(super) const LEASE_LEN: usize = FRONT.end;
pub(super) const LEASE_SEAL: Range<usize> = 18..26;
pub(super) const SEALED_LEASE_LEN: usize = LEASE_SEAL.end;

/// The end of a lease that is in a field of a hash: the rest of the lease follows it.
pub(crate) const LEASE_END: Range<usize> = 18..34;

/// The bytes of a value that the checksum does not cover: its mark, which is the two ranges below.
pub(crate) const MARK: Range<usize> = 18..50;
/// The refresh token; zeroes if there is none.
pub(crate) const MARK_TOKEN: Range<usize> = 18..34;
/// The time until which no other caller may refresh the value: decimal digits, which scripts read and write.
pub(crate) const MARK_UNTIL: Range<usize> = 34..50;

/// The bytes of a slot that show its holder: all that [`head`](super::head) reads.
pub(crate) const HEAD: Range<usize> = 0..MARK.end;

pub(super) const VERSION: Range<usize> = 50..54;
pub(super) const CODEC: Range<usize> = 54..58;
pub(super) const FINGERPRINT: Range<usize> = 58..66;
/// The seal of the tags that follow from the arguments; 0 if there are none.
pub(super) const SEAL: Range<usize> = 66..74;
pub(super) const LEASED_AT: Range<usize> = 74..82;
pub(super) const FILLED_AT: Range<usize> = 82..90;
pub(super) const FRESH_UNTIL: Range<usize> = 90..98;
pub(super) const BODY_MICROS: Range<usize> = 98..102;
pub(super) const FLAGS: usize = 102;
/// Zero.
pub(super) const RESERVED: usize = 103;
pub(super) const CHECKSUM: Range<usize> = 104..112;

/// All bytes before the payload of a value without tags of its own.
pub(crate) const HEADER: Range<usize> = 0..CHECKSUM.end;

/// The bytes of a slot that are compared before a miss is displaced.
pub(crate) const COMPARED: Range<usize> = 0..64;

/// The flag of a stored `None`, whose payload is empty.
pub(super) const NEGATIVE: u8 = 1;
/// The flag of a value that was asked for tags of its own.
pub(super) const OWN_TAGS: u8 = 2;
/// The flag of a compressed payload.
pub(super) const COMPRESSED: u8 = 4;
/// The flags that this version knows.
pub(super) const KNOWN: u8 = NEGATIVE | OWN_TAGS | COMPRESSED;

/// The last time that the digits of an end can hold.
pub(crate) const LATEST: u64 = 9_999_999_999_999_999;

/// Parses decimal digits, no more than fit into a `u64`.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

#[inline]
pub(super) fn u32_in(bytes: &[u8], place: Range<usize>) -> u32 {
    u32::from_le_bytes(array_in(bytes, place))
}

#[inline]
pub(super) fn u64_in(bytes: &[u8], place: Range<usize>) -> u64 {
    u64::from_le_bytes(array_in(bytes, place))
}

/// Returns zeroes where the bytes end too early, which callers have ruled out.
#[inline]
pub(super) fn array_in<const N: usize>(bytes: &[u8], place: Range<usize>) -> [u8; N] {
    bytes.get(place).and_then(|part| part.first_chunk()).copied().unwrap_or([0; N])
}
