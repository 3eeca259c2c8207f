//! Values that a program with access to the server could write.

use twox_hash::XxHash3_64;

/// The bytes of a value, with the checksum that fits them and this key, which has no namespace.
///
/// # Panics
///
/// If the bytes are shorter than a header.
pub fn resealed(key: &str, mut value: Vec<u8>) -> Vec<u8> {
    let parts = [key.as_bytes(), &value[..18], &value[50..104], &value[112..]];
    let checksum = parts.into_iter().fold(0, XxHash3_64::oneshot_with_seed);
    value[104..112].copy_from_slice(&checksum.to_le_bytes());
    value
}
