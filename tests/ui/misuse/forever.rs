use redis_cached::redis_cached;

#[redis_cached(ttl = forever, jitter = 0.1, refresh_ahead = 0.5)]
fn never_refreshed(id: u64) -> u64 {
    id
}

#[redis_cached(stale_while_revalidate = 5, stale_if_error = "1h", ttl = "forever")]
fn never_stale(id: u64) -> Result<u64, String> {
    Ok(id)
}

// A `None` expires.
#[redis_cached(ttl = forever, none_ttl = "30s", jitter = 0.1)]
fn of_none(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
