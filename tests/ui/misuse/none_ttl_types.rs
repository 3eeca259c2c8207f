use redis_cached::redis_cached;

#[redis_cached(none_ttl = 5)]
fn never_none(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
