use redis_cached::redis_cached;

const NUMBER: u64 = 5;

#[redis_cached(prefix = NUMBER)]
fn number(id: u64) -> u64 {
    id
}

fn main() {}
