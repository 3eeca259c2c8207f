use redis_cached::redis_cached;

#[redis_cached(stale_while_revalidate = 0)]
fn none(id: u64) -> u64 {
    id
}

#[redis_cached(stale_while_revalidate = "30 s")]
fn text(id: u64) -> u64 {
    id
}

#[redis_cached(stale_while_revalidate = |value| 30)]
fn closure(id: u64) -> u64 {
    id
}

#[redis_cached(stale_while_revalidate = 99999999999999999999)]
fn too_large(id: u64) -> u64 {
    id
}

#[redis_cached(stale_while_revalidate = "30s", refresh_ahead = 0.8, siblings = off)]
fn alone(id: u64) -> u64 {
    id
}

fn main() {}
