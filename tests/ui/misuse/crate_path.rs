use redis_cached::redis_cached;

#[redis_cached(crate = "renamed")]
fn text(id: u64) -> u64 {
    id
}

fn main() {}
