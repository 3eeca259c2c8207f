use redis_cached::redis_cached;

struct Db;

#[redis_cached]
async fn free(db: &Db, id: u64) -> u64 {
    let _ = db;
    id
}

#[redis_cached]
fn within_a_vec(dbs: Vec<Db>, id: u64) -> u64 {
    dbs.len() as u64 + id
}

#[redis_cached]
fn generic<T: ToString>(value: T) -> String {
    value.to_string()
}

#[redis_cached]
fn opaque(value: impl ToString) -> String {
    value.to_string()
}

struct Path<T>(T);

#[redis_cached]
fn pattern(Path(db): Path<Db>) -> u64 {
    let _ = db;
    1
}

impl Db {
    #[redis_cached]
    async fn method(&self, id: u64) -> u64 {
        id
    }

    #[redis_cached(siblings = off)]
    fn alone(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
