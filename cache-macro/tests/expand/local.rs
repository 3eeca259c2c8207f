#[redis_cached(local = 10_000, ttl = 600)]
async fn user(id: u64) -> Result<Arc<User>, Error> {
    load(id).await
}

#[redis_cached(local = MOST, refresh_ahead = 0.8)]
fn plain(id: u64) -> Arc<User> {
    load(id)
}

#[redis_cached(local = 10_000, batch(id in ids))]
async fn users(ids: &[u64]) -> HashMap<u64, Arc<User>> {
    load(ids).await
}
