use std::collections::HashMap;

use redis_cached::redis_cached;

type Users = HashMap<u64, String>;
type Found = Result<Users, String>;

struct Db;

#[redis_cached(batch(id in ids))]
fn no_map(ids: &[u64]) -> Vec<u64> {
    ids.to_vec()
}

#[redis_cached(batch(id in ids))]
fn hidden_result(ids: &[u64]) -> Found {
    Ok(load(ids))
}

#[redis_cached(batch(id in ids), skip(db))]
fn not_clone(db: Db, ids: &[u64]) -> Users {
    let _ = db;
    load(ids)
}

#[redis_cached(batch(id in ids), skip(db))]
async fn generic<D>(db: D, ids: &[u64]) -> Users {
    let _ = db;
    load(ids)
}

#[redis_cached(batch(id in ids))]
fn other_ids(ids: &[u32]) -> Users {
    ids.iter().map(|id| (u64::from(*id), String::new())).collect()
}

#[redis_cached(batch(id in ids))]
fn no_collection(ids: &Db) -> Users {
    let _ = ids;
    load(&[])
}

#[redis_cached(batch(id in ids))]
fn not_in_a_key(ids: Vec<Db>) -> Vec<(Db, String)> {
    ids.into_iter().map(|id| (id, String::new())).collect()
}

fn load(ids: &[u64]) -> Users {
    ids.iter().map(|id| (*id, String::new())).collect()
}

fn main() {}
