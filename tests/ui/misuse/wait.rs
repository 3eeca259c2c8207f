use redis_cached::redis_cached;

#[redis_cached(wait = 0)]
fn none(id: u64) -> u64 {
    id
}

#[redis_cached(wait = "1h1ms")]
fn too_long(id: u64) -> u64 {
    id
}

#[redis_cached(wait = forever)]
fn forever(id: u64) -> u64 {
    id
}

#[redis_cached(wait = 1m)]
fn unit(id: u64) -> u64 {
    id
}

#[redis_cached(wait = |id| 10)]
fn closure(id: u64) -> u64 {
    id
}

#[redis_cached(wait = id)]
fn parameter(id: u64) -> u64 {
    id
}

#[redis_cached(wait = true)]
fn word(id: u64) -> u64 {
    id
}

#[redis_cached(wait = "1m", single_flight = off)]
fn nobody(id: u64) -> u64 {
    id
}

fn main() {}
