use redis_cached::redis_cached;

#[redis_cached(cache_if = |value| value + 1)]
fn no_answer(id: u64) -> u64 {
    id
}

#[redis_cached(cache_if = Option::is_some)]
fn of_another_type(id: u64) -> u64 {
    id
}

fn by_value(value: u64) -> bool {
    value > 1
}

#[redis_cached(cache_if = by_value)]
fn of_a_function(id: u64) -> u64 {
    id
}

fn main() {}
