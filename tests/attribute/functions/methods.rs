use super::*;

struct Repo {
    tenant: &'static str,
    db: Db,
}

impl Repo {
    const TTL: u64 = 60;

    fn new(tenant: &'static str) -> Repo {
        Repo { tenant, db: Db::new() }
    }

    #[redis_cached(name = "by_ref", key = "{self.tenant}:{id}", cache = self.db.cache, ttl = Self::TTL)]
    async fn by_ref(&self, id: u64) -> String {
        self.db.runs.count();
        format!("{}{id}", self.tenant)
    }

    #[redis_cached(skip(self), cache = self.db.cache)]
    async fn by_mut(&mut self, id: u64) -> String {
        self.db.runs.count();
        self.tenant = "other";
        format!("{id}")
    }

    #[redis_cached(skip(self), cache = self.db.cache)]
    async fn by_value(self, id: u64) -> String {
        self.db.runs.count();
        format!("{id}")
    }

    #[redis_cached(skip(self), cache = self.db.cache)]
    fn by_mut_value(mut self, id: u64) -> String {
        self.tenant = "other";
        format!("{}{id}", self.tenant)
    }

    #[redis_cached(name = "arc", key = "{self.tenant}", cache = self.db.cache)]
    async fn by_arc(self: Arc<Self>) -> String {
        self.db.runs.count();
        self.tenant.to_owned()
    }

    #[redis_cached(name = "arc_ref", key = "{self.tenant}", cache = self.db.cache)]
    async fn by_arc_ref(self: &Arc<Self>) -> String {
        self.db.runs.count();
        self.tenant.to_owned()
    }

    #[redis_cached(skip(self), cache = self.db.cache)]
    #[expect(clippy::boxed_local, reason = "that is the test")]
    fn by_box(self: Box<Self>, id: u64) -> u64 {
        id
    }

    #[redis_cached(skip(self), cache = self.db.cache)]
    fn by_rc(self: Rc<Self>, id: u64) -> u64 {
        id
    }

    /// Nothing in it says that it stands in an `impl` block.
    #[redis_cached(cache = CACHE)]
    async fn associated(id: u64) -> u64 {
        id + 1
    }

    #[redis_cached(cache = CACHE)]
    fn associated_on_one_line(id: u64) -> u64 {
        id + 2
    }

    /// A function in a method's body is none.
    fn outer(id: u64) -> u64 {
        #[redis_cached(cache = CACHE)]
        fn inner(id: u64) -> u64 {
            id + 3
        }
        inner(id)
    }
}

#[tokio::test]
async fn receivers() {
    let mut repo = Repo::new("acme");
    assert_eq!(is_send(repo.by_ref(1)).await, "acme1");
    assert_eq!(repo.by_ref(1).await, "acme1");
    assert_eq!(repo.db.runs.so_far(), 1);
    assert_eq!(repo.by_ref_entry(1).key().unwrap(), "attribute:by_ref:acme:1");
    assert_eq!(repo.by_ref_uncached(1).await, "acme1");

    assert_eq!(is_send(repo.by_mut(1)).await, "1");
    assert_eq!(repo.by_mut(1).await, "1");
    assert_eq!((repo.db.runs.so_far(), repo.tenant), (3, "other"));
    assert_eq!(repo.by_mut_entry(1).key().unwrap(), "attribute:functions.methods.Repo.by_mut:1");

    assert_eq!(is_send(repo.by_value(1)).await, "1");
    assert_eq!(Repo::new("a").by_mut_value(1), "other1");
    assert_eq!(Box::new(Repo::new("a")).by_box(1), 1);
    assert_eq!(Rc::new(Repo::new("a")).by_rc(1), 1);

    let repo = Arc::new(Repo::new("arc"));
    assert_eq!(is_send(repo.by_arc_ref()).await, "arc");
    assert_eq!(repo.by_arc_ref_entry().key().unwrap(), "attribute:arc_ref:arc");
    assert_eq!(is_send(Arc::clone(&repo).by_arc()).await, "arc");
    assert_eq!(repo.clone().by_arc().await, "arc");
    assert_eq!(repo.db.runs.so_far(), 2);
}

#[tokio::test]
async fn without_a_receiver() {
    assert_eq!(Repo::associated(1).await, 2);
    assert_eq!(Repo::associated_entry(1).key().unwrap(), "attribute:functions.methods.Repo.associated:1");
    assert_eq!(Repo::associated_on_one_line(1), 3);
    assert_eq!(Repo::outer(1), 4);
}
