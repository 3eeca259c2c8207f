#[redis_cached(
    group = "class:{class_id}",
    tags = ["org:{org.id}", "all", |user: &User| user.teams.clone()],
    skip(db)
)]
async fn user<E: Executor>(db: E, class_id: u64, org: &Org, id: u64) -> Result<User, Error> {
    db.find(class_id, org, id).await
}

impl Repo {
    #[redis_cached(group = "{self.tenant}", key = "total:{kind}", tags = "totals", prefix = SHOP, cache = state.cache, skip(state))]
    fn total<'a, T, K: Kind>(&'a self, state: &'a State<T>, kind: K) -> u64 {
        self.sum(state, kind)
    }
}
