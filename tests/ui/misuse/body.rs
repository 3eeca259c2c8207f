//! Errors in a body are the compiler's own.

use redis_cached::redis_cached;

#[redis_cached]
async fn mismatched(id: u64) -> String {
    id
}

#[redis_cached(siblings = off)]
async fn mismatched_alone(id: u64) -> String {
    id
}

#[redis_cached(siblings = off)]
fn mismatched_plain(id: u64) -> String {
    id
}

#[redis_cached]
fn unfinished(id: u64) -> String {
    id.
}

fn main() {}
