use std::borrow::Cow;
use std::collections::HashMap;

use redis_cached::redis_cached;

type Users = HashMap<u64, String>;

#[redis_cached(batch)]
fn no_names(ids: &[u64]) -> Users {
    load(ids)
}

#[redis_cached(batch = ids)]
fn another_form(ids: &[u64]) -> Users {
    load(ids)
}

#[redis_cached(batch(ids), batch(id of ids), ttl = 60)]
fn one_name(ids: &[u64]) -> Users {
    load(ids)
}

#[redis_cached(batch(id in req.ids))]
fn expression(req: &[u64]) -> Users {
    load(req)
}

#[redis_cached(batch(id in id))]
fn misspelled(ids: &[u64]) -> Users {
    load(ids)
}

#[redis_cached(batch(db in ids), skip(db))]
fn taken(db: &str, ids: &[u64]) -> Users {
    let _ = db;
    load(ids)
}

#[redis_cached(batch(id in ids), skip(ids))]
fn skipped(ids: &[u64]) -> Users {
    load(ids)
}

#[redis_cached(batch(id in ids), skip(id))]
fn one_skipped(ids: &[u64]) -> Users {
    load(ids)
}

struct Ids<T>(T);

#[redis_cached(batch(id in ids))]
fn pattern(Ids(ids): Ids<Vec<u64>>) -> Users {
    load(&ids)
}

#[redis_cached(batch(id in ids), key = "user:{ids.len()}", group = "{ids[0]}", tags = "{vec![ids]}")]
fn many_in_a_key(ids: &[u64]) -> Users {
    load(ids)
}

#[redis_cached(batch(id in ids), key = "user:{tenant}", tags = "{id}")]
fn one_key_for_all(tenant: u64, ids: &[u64]) -> Users {
    let _ = tenant;
    load(ids)
}

#[redis_cached(batch(id in ids), cache = cache_of(ids), ttl = |_| id, lease = ids)]
fn out_of_reach(ids: &[u64]) -> Users {
    load(ids)
}

#[redis_cached(batch(id in ids))]
fn array(ids: [u64; 3]) -> Users {
    load(&ids)
}

#[redis_cached(batch(id in ids))]
fn lent_array(ids: &[u64; 3]) -> Users {
    load(ids)
}

#[redis_cached(batch(id in ids))]
fn opaque(ids: impl IntoIterator<Item = u64>) -> Users {
    load(&ids.into_iter().collect::<Vec<_>>())
}

#[redis_cached(batch(id in ids))]
fn mutable(ids: &mut Vec<u64>) -> Users {
    load(ids)
}

#[redis_cached(batch(id in ids))]
fn eternal(ids: &'static [u64]) -> Users {
    load(ids)
}

#[redis_cached(batch(id in ids))]
fn cow(ids: Cow<'_, [u64]>) -> Users {
    load(&ids)
}

#[redis_cached(batch(id in ids))]
fn other_ids(ids: &[&str]) -> HashMap<String, u64> {
    ids.iter().map(|id| ((*id).to_owned(), 1)).collect()
}

#[redis_cached(batch(id in ids))]
fn borrowed(ids: &[u64]) -> HashMap<u64, &str> {
    ids.iter().map(|id| (*id, "")).collect()
}

#[redis_cached(batch(id in ids))]
fn results(ids: &[u64]) -> Vec<(u64, Result<String, String>)> {
    ids.iter().map(|id| (*id, Ok(String::new()))).collect()
}

#[redis_cached(
    batch(id in ids),
    refresh_ahead = 0.5,
    stale_while_revalidate = "1m",
    stale_if_error = "1m",
    share_errors = off
)]
fn of_one_value(ids: &[u64]) -> Result<Users, String> {
    Ok(load(ids))
}

#[redis_cached(batch(id in ids), returns = option)]
fn option(ids: &[u64]) -> Users {
    load(ids)
}

#[redis_cached(batch(id in ids), siblings = off)]
fn alone(ids: &[u64]) -> Users {
    load(ids)
}

#[redis_cached(batch(id in ids), skip(log, counters))]
fn mutable_others(log: &mut String, Ids(counters): Ids<&mut u64>, ids: &[u64]) -> Users {
    log.push('a');
    *counters += 1;
    load(ids)
}

trait Find {
    fn find(&self, ids: &[u64]) -> Users;
}

struct Repo;

impl Repo {
    #[redis_cached(batch(id in ids), skip(self))]
    fn mutable(&mut self, ids: &[u64]) -> Users {
        load(ids)
    }
}

impl Find for Repo {
    #[redis_cached(batch(id in ids), skip(self))]
    fn find(&self, ids: &[u64]) -> Users {
        load(ids)
    }
}

fn load(ids: &[u64]) -> Users {
    ids.iter().map(|id| (*id, String::new())).collect()
}

fn main() {}
