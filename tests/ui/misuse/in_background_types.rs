use std::rc::Rc;

use redis_cached::redis_cached;

struct Db;

#[redis_cached(stale_while_revalidate = "30s", skip(db))]
async fn not_clone(db: Db, id: u64) -> u64 {
    let _ = db;
    id
}

#[redis_cached(stale_while_revalidate = "30s", skip(db))]
async fn not_clone_behind_a_reference(db: &Db, id: u64) -> u64 {
    let _ = db;
    id
}

#[redis_cached(stale_while_revalidate = "30s", skip(db))]
fn not_clone_behind_an_option(db: Option<&Db>, id: u64) -> u64 {
    let _ = db;
    id
}

#[redis_cached(refresh_ahead = 0.8, skip(text))]
fn not_send(text: Rc<str>, id: u64) -> u64 {
    let _ = text;
    id
}

#[redis_cached(refresh_ahead = 0.8)]
fn parameter_without_a_bound(text: impl Into<String> + serde::Serialize + 'static) -> String {
    text.into()
}

#[redis_cached(refresh_ahead = 0.8)]
async fn not_static<K: serde::Serialize + Clone + Send>(key: K) -> u64 {
    let _ = key;
    1
}

#[redis_cached(refresh_ahead = 0.8, stale_while_revalidate = "30s")]
async fn body_not_send(id: u64) -> u64 {
    let count = Rc::new(id);
    std::future::ready(()).await;
    *count
}

#[derive(Clone)]
struct Page<'a>(&'a str);

impl Page<'_> {
    #[redis_cached(stale_while_revalidate = "30s", skip(self))]
    fn not_static(&self, id: u64) -> u64 {
        id + self.0.len() as u64
    }
}

impl Db {
    #[redis_cached(stale_while_revalidate = "30s", skip(self))]
    async fn by_ref(&self, id: u64) -> u64 {
        id
    }

    #[redis_cached(stale_while_revalidate = "30s", skip(self))]
    fn by_value(self, id: u64) -> u64 {
        id
    }
}

fn main() {}
