use std::time::Duration;

use redis_cached::redis_cached;

const NEGATIVE: i64 = -5;
const ZERO: Duration = Duration::ZERO;
const HOURS: u32 = 3 * 60 * 60;

#[redis_cached(ttl = NEGATIVE)]
fn negative(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = 60 * 0)]
async fn product(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = Duration::from_secs(0), none_ttl = ZERO)]
fn duration(id: u64) -> Option<u64> {
    Some(id)
}

#[redis_cached(stale_while_revalidate = NEGATIVE, stale_if_error = HOURS - HOURS)]
async fn stale<T: serde::Serialize + Clone + Send + 'static>(id: T) -> Result<u64, String> {
    let _ = id;
    Ok(1)
}

#[redis_cached(lease = HOURS, wait = HOURS, siblings = off)]
fn lease(id: u64) -> u64 {
    id
}

#[redis_cached(lease = 0 * HOURS)]
fn no_lease(id: u64) -> u64 {
    id
}

fn main() {}
