//! `version = …`: abandons what another version stored.

use std::sync::LazyLock;

use redis_cached::{Cache, redis_cached};

static CACHE: LazyLock<Cache> = LazyLock::new(|| Cache::builder("memory://").unwrap().build());

mod before {
    #[redis_cached::redis_cached(name = "price", key = "{id}", version = 1, cache = super::CACHE)]
    pub(super) fn price(id: u64) -> u64 {
        id
    }
}

mod after {
    #[redis_cached::redis_cached(name = "price", key = "{id}", version = 2, cache = super::CACHE)]
    pub(super) fn price(id: u64) -> u64 {
        id * 100
    }
}

#[redis_cached(name = "price", key = "{id}", cache = CACHE)]
fn without(id: u64) -> u64 {
    id * 1000
}

#[test]
fn another_version_is_a_miss() {
    assert_eq!(before::price(7), 7);
    assert_eq!(after::price(7), 700);
    assert_eq!(after::price_entry(7).get().unwrap(), Some(700));
    assert_eq!(before::price_entry(7).get().unwrap(), None);
    assert_eq!(without(7), 7000);
}

#[test]
fn an_invalidation_reaches_all_versions() {
    assert_eq!(after::price(8), 800);
    assert_eq!(before::price_entry(8).key().unwrap(), after::price_entry(8).key().unwrap());
    before::price_entry(8).invalidate().unwrap();
    assert_eq!(after::price_entry(8).get().unwrap(), None);
}
