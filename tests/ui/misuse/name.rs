use redis_cached::redis_cached;

#[redis_cached(name = "")]
fn empty(id: u64) -> u64 {
    id
}

#[redis_cached(name = "users:user")]
fn separator(id: u64) -> u64 {
    id
}

#[redis_cached(name = user)]
fn no_literal(id: u64) -> u64 {
    id
}

fn main() {}
