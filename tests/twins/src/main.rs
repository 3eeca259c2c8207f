//! The binary of the package, which has the same crate name as its library.

use redis_cached::redis_cached;

#[redis_cached]
fn rate(id: u64) -> u64 {
    id + 100
}

fn main() {
    println!("{} {}", twins::rate(1), rate(1));
}
