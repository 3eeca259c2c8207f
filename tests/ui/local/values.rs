use std::collections::HashMap;
use std::rc::Rc;

use redis_cached::redis_cached;

#[derive(serde::Serialize, serde::Deserialize)]
struct NoClone(u64);

#[redis_cached(local = 100)]
async fn no_clone(id: u64) -> NoClone {
    NoClone(id)
}

#[redis_cached(local = 100)]
fn no_clone_in_result(id: u64) -> Result<NoClone, String> {
    Ok(NoClone(id))
}

#[redis_cached(local = 100, batch(id in ids))]
fn no_clone_in_batch(ids: &[u64]) -> HashMap<u64, NoClone> {
    ids.iter().map(|id| (*id, NoClone(*id))).collect()
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
#[serde(from = "u64", into = "u64")]
struct NoSend(Rc<u64>);

impl From<u64> for NoSend {
    fn from(value: u64) -> NoSend {
        NoSend(Rc::new(value))
    }
}

impl From<NoSend> for u64 {
    fn from(value: NoSend) -> u64 {
        *value.0
    }
}

#[redis_cached(local = 100)]
fn no_send(id: u64) -> NoSend {
    NoSend(Rc::new(id))
}

fn main() {}
