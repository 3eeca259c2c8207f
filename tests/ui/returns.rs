use redis_cached::redis_cached;

#[redis_cached(returns = reslt)]
fn misspelled(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
