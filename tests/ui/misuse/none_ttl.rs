use redis_cached::redis_cached;

#[redis_cached(none_ttl = |none| 5)]
fn closure(id: u64) -> Option<u64> {
    Some(id)
}

#[redis_cached(none_ttl = "5 minutes")]
fn text(id: u64) -> Option<u64> {
    Some(id)
}

#[redis_cached(none_ttl = 5, returns = value)]
fn stored_as_it_is(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
