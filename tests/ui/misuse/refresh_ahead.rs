use redis_cached::redis_cached;

#[redis_cached(refresh_ahead = 1)]
fn too_late(id: u64) -> u64 {
    id
}

#[redis_cached(refresh_ahead = 0.0)]
fn too_early(id: u64) -> u64 {
    id
}

#[redis_cached(refresh_ahead = "80%")]
fn text(id: u64) -> u64 {
    id
}

#[redis_cached(refresh_ahead = 0.8, siblings = off)]
fn alone(id: u64) -> u64 {
    id
}

fn main() {}
