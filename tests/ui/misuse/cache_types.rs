use redis_cached::redis_cached;

static NOT_A_CACHE: u64 = 1;

#[redis_cached(cache = NOT_A_CACHE)]
fn another_type(id: u64) -> u64 {
    id
}

struct Repo;

impl Repo {
    #[redis_cached(cache = self.cache, skip(self))]
    fn no_such_field(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
