use redis_cached::redis_cached;
use serde::{Deserialize, Serialize};

type Outcome = Result<u64, String>;

#[redis_cached]
fn hidden_result(id: u64) -> Outcome {
    Ok(id)
}

#[derive(Serialize, Deserialize)]
struct SearchResult<T>(T);

#[redis_cached]
fn spelled_like_a_result(id: u64) -> SearchResult<u64> {
    SearchResult(id)
}

#[redis_cached(returns = option)]
fn no_option(id: u64) -> u64 {
    id
}

#[redis_cached(returns = result)]
async fn no_result(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
