use redis_cached::redis_cached;

#[redis_cached(codec = jsn)]
fn misspelled(id: u64) -> u64 {
    id
}

#[redis_cached(codec = "json")]
fn text(id: u64) -> u64 {
    id
}

#[redis_cached(codec = Json)]
fn a_type(id: u64) -> u64 {
    id
}

#[redis_cached(codec = msgpack)]
fn another_name(id: u64) -> u64 {
    id
}

fn main() {}
