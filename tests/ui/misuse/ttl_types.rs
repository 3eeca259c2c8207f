use redis_cached::redis_cached;

const TEXT: &str = "10m";

#[redis_cached(ttl = TEXT)]
fn constant(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = |value| value.to_string())]
fn closure(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = |value: &String| value.len())]
fn another_value(id: u64) -> u64 {
    id
}

fn of_value(value: &u64) -> u64 {
    *value
}

#[redis_cached(ttl = of_value)]
fn a_function(id: u64) -> u64 {
    id
}

fn main() {}
