//! `skip(…)`: parameters that are not part of the key.

use redis_cached::redis_cached;

/// Neither `Serialize` nor `Clone`.
struct Db;

#[redis_cached(skip(db))]
async fn one(db: &Db, id: u64) -> u64 {
    let _ = db;
    id
}

#[redis_cached(skip(db, trace,))]
fn some(id: u64, db: &mut Db, name: &str, trace: impl FnOnce() -> u64) -> String {
    let _ = db;
    format!("{name}{id}{}", trace())
}

#[redis_cached(skip(a))]
fn binding((a, b): (u64, u64)) -> u64 {
    a + b
}

#[redis_cached]
fn wildcard(_: &Db, id: u64) -> u64 {
    id
}

#[redis_cached(skip(r#type))]
fn raw(r#type: u64, id: u64) -> u64 {
    r#type + id
}

struct Repo(u64);

impl Repo {
    #[redis_cached(skip(self))]
    async fn method(&self, id: u64) -> u64 {
        self.0 + id
    }
}

#[tokio::test]
async fn they_are_in_neither_key_nor_entry() {
    assert_eq!(one(&Db, 1).await, 1);
    assert_eq!(one_entry(1).key().unwrap(), "attribute:skip.one:1");
    assert_eq!(some(1, &mut Db, "a", || 2), "a12");
    assert_eq!(some(1, &mut Db, "a", || 3), "a12");
    assert_eq!(some_entry(1, "a").key().unwrap(), "attribute:skip.some:1:a");
    assert_eq!(raw(1, 2), 3);
    assert_eq!(raw_entry(2).key().unwrap(), "attribute:skip.raw:2");
    assert_eq!(Repo(1).method(2).await, 3);
    assert_eq!(Repo(2).method(2).await, 3);
    assert_eq!(Repo::method_entry(2).key().unwrap(), "attribute:skip.Repo.method:2");
}

#[test]
fn one_name_of_a_pattern_can_be_meant() {
    assert_eq!(binding((1, 2)), 3);
    assert_eq!(binding((5, 2)), 3);
    assert_eq!(binding_entry((9, 2)).key().unwrap(), "attribute:skip.binding:2");
}

#[test]
fn what_no_name_binds_is_skipped_by_itself() {
    assert_eq!(wildcard(&Db, 1), 1);
    assert_eq!(wildcard_entry(1).key().unwrap(), "attribute:skip.wildcard:1");
}
