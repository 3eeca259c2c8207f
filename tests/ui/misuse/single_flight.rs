use redis_cached::redis_cached;

#[redis_cached(single_flight = on)]
fn unknown_word(id: u64) -> u64 {
    id
}

#[redis_cached(single_flight = "process")]
fn text(id: u64) -> u64 {
    id
}

fn main() {}
