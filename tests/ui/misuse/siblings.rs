use redis_cached::redis_cached;

#[redis_cached(siblings = none)]
fn unknown_word(id: u64) -> u64 {
    id
}

trait Find {
    fn find(&self, id: u64) -> u64;
    async fn make(id: u64) -> u64;
}

#[derive(serde::Serialize)]
struct Repo;

impl Find for Repo {
    #[redis_cached]
    fn find(&self, id: u64) -> u64 {
        id
    }

    #[redis_cached]
    async fn make(id: u64) -> u64 {
        id
    }
}

fn main() {}
