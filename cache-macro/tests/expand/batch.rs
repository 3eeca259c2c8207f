#[redis_cached(batch(id in ids), skip(db), none_ttl = "30s")]
async fn users(db: &Db, tenant: String, ids: &[u64]) -> Result<HashMap<u64, User>, Error> {
    db.find_all(&tenant, ids).await
}

impl Repo {
    #[redis_cached(batch(id in ids), group = "shard:{id.shard}", key = "{id.number}", skip(self, a, b))]
    fn names<T: Kind>(&self, (a, b): (u8, T), mut ids: Ids) -> BTreeMap<Id, String> {
        self.load(a, b, ids)
    }
}
