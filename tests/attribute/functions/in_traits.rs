use super::*;

trait Find {
    async fn find(&self, id: u64) -> Result<String, String>;
    fn count(self, id: u64) -> u64;
    fn make(id: u64) -> u64;
}

#[derive(Serialize, Clone, Copy)]
struct Repo(u64);

impl Find for Repo {
    #[redis_cached(siblings = off, cache = CACHE)]
    async fn find(&self, id: u64) -> Result<String, String> {
        if id == 0 {
            return Err("zero".into());
        }
        let id: u64 = id.to_string().parse().map_err(|_| "no number".to_owned())?;
        Ok(format!("{}{id}", self.0))
    }

    #[redis_cached(siblings = off, cache = CACHE)]
    fn count(mut self, mut id: u64) -> u64 {
        self.0 += 1;
        id += 1;
        if id > 100 {
            return 0;
        }
        self.0 + id
    }

    #[redis_cached(siblings = off, cache = CACHE)]
    fn make(id: u64) -> u64 {
        id
    }
}

trait Provided: Serialize {
    fn base(&self) -> u64;

    #[redis_cached(siblings = off, cache = CACHE)]
    fn doubled(&self) -> u64 {
        self.base() * 2
    }
}

impl Provided for Repo {
    fn base(&self) -> u64 {
        self.0
    }
}

#[tokio::test]
async fn alone() {
    for _ in 0..2 {
        assert_eq!(Repo(1).find(2).await, Ok("12".into()));
        assert_eq!(Repo(1).find(0).await, Err("zero".into()));
        assert_eq!(Repo(1).count(2), 5);
        assert_eq!(Repo::make(1), 1);
        assert_eq!(Repo(2).doubled(), 4);
    }
}

#[async_trait::async_trait]
trait FindBoxed: Sync {
    async fn find(&self, id: u64, name: &str, (a, b): (u8, u8)) -> Result<String, String>;
    async fn shared<T: Serialize + Send + Sync>(&self, what: T) -> String;
}

#[async_trait::async_trait]
impl FindBoxed for Db {
    #[redis_cached(siblings = off, skip(self), cache = self.cache, ttl = 60)]
    async fn find(&self, id: u64, name: &str, (a, b): (u8, u8)) -> Result<String, String> {
        self.runs.count();
        if id == 0 {
            return Err("zero".into());
        }
        Ok(format!("{id}{name}{a}{b}"))
    }

    #[redis_cached(siblings = off, skip(self), cache = self.cache)]
    async fn shared<T: Serialize + Send + Sync>(&self, what: T) -> String {
        self.runs.count();
        serde_json::to_string(&what).unwrap()
    }
}

#[tokio::test]
async fn under_async_trait() {
    let db = Db::new();
    for _ in 0..2 {
        assert_eq!(is_send(FindBoxed::find(&db, 1, "a", (2, 3))).await, Ok("1a23".into()));
        assert_eq!(db.shared(true).await, "true");
    }
    assert_eq!(db.runs.so_far(), 2);
    assert!(FindBoxed::find(&db, 0, "a", (2, 3)).await.is_err());
    assert!(FindBoxed::find(&db, 0, "a", (2, 3)).await.is_err());
    assert_eq!(db.runs.so_far(), 4);
}
