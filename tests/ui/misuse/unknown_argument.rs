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

#[redis_cached(time = 60, size = 100, sync_writes = true)]
fn of_cached(id: u64) -> u64 {
    id
}

#[redis_cached(key_prefix = "shop", convert = r#"{ id }"#, result = true, option = true)]
fn of_cached_too(id: u64) -> u64 {
    id
}

#[redis_cached(expire = 60, expiry = 60, condition = true, ignore(db))]
fn of_others(id: u64) -> u64 {
    id
}

#[redis_cached(60)]
fn a_number(id: u64) -> u64 {
    id
}

fn main() {}
