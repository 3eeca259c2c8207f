//! `name = …`: the second part of the key, in place of the function's path.

use redis_cached::redis_cached;

mod users {
    use super::redis_cached;

    #[redis_cached(name = "user")]
    pub(super) fn given(id: u64) -> u64 {
        id
    }

    #[redis_cached]
    pub(super) fn absent(id: u64) -> u64 {
        id
    }

    #[redis_cached(name = "typed")]
    pub(super) fn generic<T>(id: u64) -> Vec<T>
    where
        T: serde::Serialize + serde::de::DeserializeOwned,
    {
        let _ = id;
        Vec::new()
    }
}

#[test]
fn it_replaces_the_path() {
    assert_eq!(users::given_entry(1).key().unwrap(), "name:user:1");
    assert_eq!(users::absent_entry(1).key().unwrap(), "name:users.absent:1");
}

#[test]
fn it_goes_with_the_type_parameters() {
    assert_eq!(users::generic_entry::<u8>(1).key().unwrap(), "name:typed<u8>:1");
    assert_eq!(users::generic_entry::<String>(1).key().unwrap(), "name:typed<alloc.string.String>:1");
}

#[test]
fn two_functions_can_share_it() {
    #[redis_cached(name = "shared")]
    fn one(id: u64) -> u64 {
        id
    }
    #[redis_cached(name = "shared")]
    fn other(id: u32) -> u64 {
        u64::from(id) + 1
    }
    assert_eq!(one(5), 5);
    assert_eq!(other(5), 5, "the same entry, and the same type of value");
}
