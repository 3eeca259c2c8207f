use redis_cached::redis_cached;

#[redis_cached(tll = 600, capacity = 5, ttl = 60, prefx = "shop")]
fn misspelled(id: u64) -> u64 {
    id
}

#[redis_cached(600)]
fn no_name(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = 600 prefix = "shop")]
fn no_comma(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = 600, name = "a", ttl = 60)]
fn twice(id: u64) -> u64 {
    id
}

fn main() {}
