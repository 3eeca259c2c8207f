use redis_cached::redis_cached;

struct NoCodec;

#[redis_cached(codec = NoCodec)]
fn no_codec(id: u64) -> u64 {
    id
}

fn main() {}
