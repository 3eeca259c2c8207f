use redis_cached::redis_cached;

#[redis_cached(ttl = 0, prefix = "a:b", skip(nobody), jitter = 2, codec = xml)]
unsafe extern "C" fn everything(id: u64) -> u64 {
    id
}

fn main() {
    let _: u64 = unsafe { everything(1) };
}
