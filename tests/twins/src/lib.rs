//! The library of the package.

use redis_cached::redis_cached;

/// The binary has a function of the same name.
#[redis_cached]
pub fn rate(id: u64) -> u64 {
    id
}
