use redis_cached::redis_cached;

#[redis_cached(stale_if_error = "1h")]
fn without_an_error(id: u64) -> Option<u64> {
    Some(id)
}

#[redis_cached(stale_if_error = "1h", returns = value)]
fn stored_as_it_is(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[redis_cached(stale_if_error = "1 hour")]
fn text(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[redis_cached(stale_if_error = |error| 60)]
fn closure(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
