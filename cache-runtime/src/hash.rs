//! The hash of checksums, fingerprints and shards: [XXH3] with 64 bits. It detects damage and distinguishes types. It
//! does not resist an attacker that searches for collisions.
//!
//! [XXH3]: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md

use twox_hash::XxHash3_64;

/// Hashes contiguous bytes.
#[inline]
pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(seed, bytes)
}

/// Hashes parts in this order. The hash of the earlier parts is the seed of the next one, so that
/// nothing is copied and the boundaries between parts matter.
#[inline]
pub(crate) fn hash_parts<'a>(seed: u64, parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    parts.into_iter().fold(seed, hash)
}

/// Hashes contiguous bytes to 128 bits.
#[cfg(feature = "axum")]
pub(crate) fn hash_128(bytes: &[u8]) -> u128 {
    twox_hash::XxHash3_128::oneshot(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_specification_says() {
        // The specification's test vector for no bytes and no seed.
        assert_eq!(hash(0, b""), 0x2D06_8005_38D3_94C2);
    }

    #[test]
    fn where_a_part_ends_counts() {
        let parts: [&[&[u8]]; 5] = [&[b"ab", b"c"], &[b"a", b"bc"], &[b"abc"], &[b"abc", b""], &[b"", b"abc"]];
        let hashes = parts.map(|parts| hash_parts(1, parts.iter().copied()));
        for (at, one) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(one), "{at}");
        }
    }
}
