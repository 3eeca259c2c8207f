use redis_cached::redis_cached;

#[redis_cached(returns = reslt)]
fn misspelled(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[redis_cached]
fn within_an_option(id: u64) -> Option<Result<u64, String>> {
    Some(Ok(id))
}

#[redis_cached]
async fn within_a_vec(id: u64) -> Vec<std::io::Result<u64>> {
    vec![Ok(id)]
}

#[redis_cached]
fn within_a_tuple(id: u64) -> (u64, Result<u64, String>) {
    (id, Ok(id))
}

#[redis_cached]
fn deep_within(id: u64) -> Result<Vec<(u64, Option<Result<u64, String>>)>, String> {
    Ok(vec![(id, None)])
}

#[redis_cached]
fn within_a_result(id: u64) -> Result<Result<u64, String>, u64> {
    Ok(Ok(id))
}

#[redis_cached(batch(id in ids))]
fn within_a_batch(ids: &[u64]) -> Vec<(u64, Option<Result<u64, String>>)> {
    ids.iter().map(|id| (*id, None)).collect()
}

#[redis_cached]
fn effects(id: u64) -> Result<(), String> {
    Err(id.to_string())
}

#[redis_cached]
async fn more_effects(id: u64) -> std::io::Result<()> {
    let _ = id;
    Ok(())
}

fn main() {}
