use redis_cached::redis_cached;

#[redis_cached(prefix = "")]
fn empty(id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "a:b")]
fn separator(id: u64) -> u64 {
    id
}

#[redis_cached(prefix = 5)]
fn number(id: u64) -> u64 {
    id
}

fn main() {}
