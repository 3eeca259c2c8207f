//! `cache_if = …`: which values are stored.

use redis_cached::redis_cached;

#[redis_cached(cache_if = |found: &Vec<u64>| !found.is_empty())]
fn closure(id: u64) -> Vec<u64> {
    if id == 0 { vec![] } else { vec![id] }
}

#[redis_cached(cache_if = |found| found.len() > 1)]
async fn inferred(id: u64) -> Result<Vec<u64>, String> {
    Ok(vec![id; id as usize])
}

fn is_even(value: &u64) -> bool {
    value.is_multiple_of(2)
}

#[redis_cached(cache_if = is_even)]
fn path(id: u64) -> u64 {
    id
}

#[redis_cached(cache_if = Option::is_some, none_ttl = 5)]
fn method_path(id: u64) -> Option<u64> {
    (id > 0).then_some(id)
}

#[tokio::test]
async fn others_are_computed_each_time() {
    for id in [0, 1] {
        closure(id);
        assert_eq!(closure_entry(id).get().unwrap().is_some(), id == 1);
        method_path(id);
        assert_eq!(method_path_entry(id).get().unwrap().is_some(), id == 1);
    }
    for id in [1, 2] {
        inferred(id).await.unwrap();
        assert_eq!(inferred_entry(id).get().await.unwrap().is_some(), id == 2);
        path(id);
        assert_eq!(path_entry(id).get().unwrap().is_some(), id == 2);
    }
}
