use redis_cached::redis_cached;

#[redis_cached(version = "2")]
fn text(id: u64) -> u64 {
    id
}

#[redis_cached(version = -1)]
fn negative(id: u64) -> u64 {
    id
}

#[redis_cached(version = 4294967296)]
fn too_large(id: u64) -> u64 {
    id
}

fn main() {}
