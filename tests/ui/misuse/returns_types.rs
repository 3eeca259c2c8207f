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

type Fetched = Result<u64, std::io::Error>;

#[redis_cached(stale_while_revalidate = 5)]
async fn hidden_result_with_such_an_error(id: u64) -> Fetched {
    Ok(id)
}

#[derive(serde::Serialize, serde::Deserialize)]
struct QueryResult<T>(T);

#[redis_cached]
async fn named_like_a_result(id: u64) -> QueryResult<u64> {
    QueryResult(id)
}

fn main() {}
