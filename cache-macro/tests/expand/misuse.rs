#[redis_cached(ttl = 0)]
async fn user<T>(id: u64, kind: T) -> User {
    load(id, kind).await
}
