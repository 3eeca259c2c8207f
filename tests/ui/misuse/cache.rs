use redis_cached::redis_cached;

#[redis_cached(cache = find(id).await)]
async fn awaited(id: u64) -> u64 {
    id
}

fn main() {}
