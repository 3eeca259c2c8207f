use redis_cached::redis_cached;

#[redis_cached(cache_if = true)]
fn no_function(id: u64) -> u64 {
    id
}

#[redis_cached(cache_if = |value| *value > id)]
fn of_a_parameter(id: u64) -> u64 {
    id
}

#[redis_cached(cache_if = |value: u64| value > 1)]
fn by_value(id: u64) -> u64 {
    id
}

#[redis_cached(cache_if = || true)]
fn no_value(id: u64) -> u64 {
    id
}

fn main() {}
