use redis_cached::redis_cached;

#[redis_cached(lease = "99ms")]
fn too_short(id: u64) -> u64 {
    id
}

#[redis_cached(lease = 0)]
fn none(id: u64) -> u64 {
    id
}

#[redis_cached(lease = "10m1ms")]
fn too_long(id: u64) -> u64 {
    id
}

#[redis_cached(lease = forever)]
fn forever(id: u64) -> u64 {
    id
}

#[redis_cached(lease = 10s)]
fn unit(id: u64) -> u64 {
    id
}

#[redis_cached(lease = |id| 10)]
fn closure(id: u64) -> u64 {
    id
}

#[redis_cached(lease = id)]
fn parameter(id: u64) -> u64 {
    id
}

#[redis_cached(lease = true)]
fn word(id: u64) -> u64 {
    id
}

fn main() {}
