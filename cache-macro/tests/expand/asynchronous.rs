/// Looks it up.
#[redis_cached(ttl = 600, skip(db))]
#[tracing::instrument(skip(db))]
pub async fn user(db: &Db, id: u64, Path(slug): Path<String>) -> Result<User, Error> {
    db.find(id, &slug).await
}
