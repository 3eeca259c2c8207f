use redis_cached::redis_cached;
use serde::Serialize;

struct Neither;

#[derive(Serialize)]
struct OnlySerialize;

#[redis_cached]
async fn value(id: u64) -> Neither {
    let _ = id;
    Neither
}

#[redis_cached]
fn result(id: u64) -> Result<OnlySerialize, String> {
    let _ = id;
    Ok(OnlySerialize)
}

#[redis_cached]
fn generic<T: Default>(id: u64) -> T {
    let _ = id;
    T::default()
}

fn main() {}
