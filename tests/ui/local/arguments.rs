use redis_cached::redis_cached;

#[redis_cached(local = 0)]
fn zero(id: u64) -> u64 {
    id
}

#[redis_cached(local = "10k")]
fn text(id: u64) -> u64 {
    id
}

#[redis_cached(local = 10u64)]
fn suffix(id: u64) -> u64 {
    id
}

#[redis_cached(local = -1)]
fn negative(id: u64) -> u64 {
    id
}

#[redis_cached(local)]
fn nothing(id: u64) -> u64 {
    id
}

#[redis_cached(local = 100, local = 200)]
fn twice(id: u64) -> u64 {
    id
}

#[redis_cached(local = 100, group = "row:{id}")]
fn grouped(id: u64, part: u64) -> u64 {
    id + part
}

#[redis_cached(capacity = 100)]
fn of_others(id: u64) -> u64 {
    id
}

const TEXT: &str = "100";

#[redis_cached(local = TEXT)]
fn of_another_type(id: u64) -> u64 {
    id
}

fn main() {}
