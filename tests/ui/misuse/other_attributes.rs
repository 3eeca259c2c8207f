use redis_cached::redis_cached;
use redis_cached::redis_cached as memoized;

#[redis_cached]
#[redis_cached]
fn twice(id: u64) -> u64 {
    id
}

#[redis_cached]
#[redis_cached::redis_cached(ttl = 60)]
async fn twice_by_path(id: u64) -> u64 {
    id
}

#[redis_cached]
#[memoized]
fn twice_by_another_name(id: u64) -> u64 {
    id
}

#[memoized(siblings = off)]
#[memoized(siblings = off)]
fn twice_alone(id: u64) -> u64 {
    id
}

#[redis_cached]
#[unsafe(no_mangle)]
fn exported(id: u64) -> u64 {
    id
}

#[redis_cached]
#[unsafe(export_name = "another_name")]
fn exported_by_another_name(id: u64) -> u64 {
    id
}

#[cfg_attr(all(), track_caller)]
#[redis_cached]
fn tracked(id: u64) -> u64 {
    id
}

#[redis_cached]
#[tokio::test]
async fn test() -> Result<u64, String> {
    Ok(1)
}

#[redis_cached]
#[test]
fn plain_test() -> Result<u64, String> {
    Ok(1)
}

mod started {
    #[redis_cached::redis_cached]
    #[tokio::main]
    async fn start() -> Result<u64, String> {
        Ok(1)
    }
}

#[redis_cached]
fn main() -> Result<(), String> {
    Ok(())
}
