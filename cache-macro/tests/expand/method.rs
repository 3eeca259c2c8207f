impl Repo {
    #[redis_cached(key = "user:{self.tenant}:{id}", cache = self.cache, skip(executor), crate = ::renamed, returns = option)]
    async fn user<E>(self: Arc<Self>, id: u64, executor: E) -> Found
    where
        E: Executor,
    {
        self.find(executor, id).await
    }
}
