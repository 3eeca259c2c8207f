impl Find for Repo {
    #[redis_cached(siblings = off, skip(self))]
    async fn find(&self, (mut a, b): (u64, u64)) -> io::Result<User> {
        a += b;
        self.load(a).await
    }

    #[redis_cached(siblings = off)]
    fn find_boxed<'life0, 'async_trait>(
        &'life0 self,
        id: u64,
    ) -> ::core::pin::Pin<Box<dyn ::core::future::Future<Output = User> + ::core::marker::Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move { self.load(id).await })
    }

    #[redis_cached(siblings = off, returns = value)]
    fn find_plain(mut self, id: u64) -> Result<User, Error> {
        self.load(id)
    }
}
