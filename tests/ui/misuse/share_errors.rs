use redis_cached::redis_cached;

#[redis_cached(share_errors = off)]
fn without_an_error(id: u64) -> u64 {
    id
}

#[redis_cached(share_errors = on, returns = value)]
fn stored_as_it_is(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[redis_cached(share_errors = no)]
fn unknown_word(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
