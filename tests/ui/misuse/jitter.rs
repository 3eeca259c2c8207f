use redis_cached::redis_cached;

#[redis_cached(jitter = 1.5)]
fn too_large(id: u64) -> u64 {
    id
}

#[redis_cached(jitter = "10%")]
fn text(id: u64) -> u64 {
    id
}

#[redis_cached(jitter = -0.1)]
fn negative(id: u64) -> u64 {
    id
}

fn main() {}
