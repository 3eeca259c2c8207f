//! `prefix = …`: the first part of every key.

use redis_cached::redis_cached;

const SHOP: &str = "shop";

#[redis_cached(prefix = "literal")]
fn literal(id: u64) -> u64 {
    id
}

#[redis_cached(prefix = SHOP)]
fn constant(id: u64) -> u64 {
    id
}

#[redis_cached]
fn absent(id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "a b{c}")]
fn escaped(id: u64) -> u64 {
    id
}

struct Repo<const EU: bool>;

impl<const EU: bool> Repo<EU> {
    const PREFIX: &str = if EU { "eu" } else { "us" };

    #[redis_cached(prefix = Self::PREFIX, name = "user", key = "{id}")]
    fn associated(id: u64) -> u64 {
        id
    }
}

#[test]
fn it_comes_first() {
    assert_eq!(literal_entry(1).key().unwrap(), "literal:prefix.literal:1");
    assert_eq!(constant_entry(1).key().unwrap(), "shop:prefix.constant:1");
    assert_eq!(Repo::<true>::associated_entry(1).key().unwrap(), "eu:user<true>:1");
    assert_eq!(Repo::<false>::associated_entry(1).key().unwrap(), "us:user<false>:1");
}

#[test]
fn it_is_the_crate_s_name_unless_said_otherwise() {
    assert_eq!(absent_entry(1).key().unwrap(), "attribute:prefix.absent:1");
}

#[test]
fn it_cannot_write_a_hash_tag() {
    assert_eq!(escaped_entry(1).key().unwrap(), "a%20b%7Bc%7D:prefix.escaped:1");
}
