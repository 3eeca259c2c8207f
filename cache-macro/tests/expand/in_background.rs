#[redis_cached(
    refresh_ahead = 0.8,
    stale_while_revalidate = "30s",
    stale_if_error = forever,
    single_flight = process,
    lease = "5s",
    wait = "30s",
    skip(db)
)]
async fn user<K: Key>(db: &Db, slug: Option<&str>, name: Cow<'_, str>, Path(id): Path<K>) -> Result<User, Error> {
    db.find(id, slug, &name).await
}

impl Repo {
    #[redis_cached(stale_while_revalidate = "30s", skip(self))]
    fn user(&self, id: u64) -> io::Result<User> {
        self.load(id)
    }

    #[redis_cached(refresh_ahead = 0.5, share_errors = off, skip(self))]
    async fn total(self: Arc<Self>) -> Result<u64, Error> {
        self.sum().await
    }
}
