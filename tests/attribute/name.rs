//! `name = …`: the second part of the key, in place of the function's path.

use redis_cached::redis_cached;
use test_support::log;

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
    assert_eq!(users::given_entry(1).key().unwrap(), "attribute:user:1");
    assert_eq!(users::absent_entry(1).key().unwrap(), "attribute:name.users.absent:1");
}

#[test]
fn it_goes_with_the_type_parameters() {
    assert_eq!(users::generic_entry::<u8>(1).key().unwrap(), "attribute:typed<u8>:1");
    assert_eq!(users::generic_entry::<String>(1).key().unwrap(), "attribute:typed<alloc.string.String>:1");
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

mod shared {
    use super::redis_cached;
    use std::collections::BTreeMap;

    #[redis_cached(name = "one")]
    pub(super) async fn single(id: u64) -> Option<String> {
        Some(format!("single {id}"))
    }

    #[redis_cached(name = "one")]
    pub(super) fn plain(id: u64) -> Result<String, String> {
        Ok(format!("plain {id}"))
    }

    #[redis_cached(name = "one", key = "{id}", batch(id in ids))]
    pub(super) async fn many(ids: &[u64]) -> BTreeMap<u64, String> {
        ids.iter().map(|id| (*id, format!("many {id}"))).collect()
    }
}

#[tokio::test]
async fn single_functions_and_batches_share_it_async_and_plain() {
    assert_eq!(shared::single(1).await.unwrap(), "single 1");
    assert_eq!(shared::plain(2).unwrap(), "plain 2");
    let many = shared::many(&[1, 2, 3]).await;
    assert_eq!(many.into_values().collect::<Vec<_>>(), ["single 1", "plain 2", "many 3"]);
    assert_eq!((shared::plain(1).unwrap(), shared::single(2).await.unwrap()), ("single 1".into(), "plain 2".into()));
}

mod blocks {
    use super::redis_cached;
    use std::marker::PhantomData;

    pub(super) struct User;
    pub(super) struct Order;
    pub(super) struct Repo<E, const N: usize = 1>(PhantomData<E>);
    pub(super) struct Plain;

    pub(super) trait Kind {
        const TEXT: &'static str;
    }
    impl Kind for User {
        const TEXT: &'static str = "user";
    }
    impl Kind for Order {
        const TEXT: &'static str = "order";
    }

    impl<E: Kind, const N: usize> Repo<E, N> {
        pub(super) const NEW: Self = Repo(PhantomData);

        #[redis_cached(name = "find", skip(self))]
        pub(super) async fn find(&self, id: u64) -> String {
            format!("{}{N}:{id}", E::TEXT)
        }

        #[redis_cached(name = "of", key = "{id}")]
        pub(super) fn of<T: Default + ToString>(id: u64) -> String {
            format!("{}{N}:{id}{}", E::TEXT, T::default().to_string())
        }
    }

    impl Plain {
        #[redis_cached(name = "plain")]
        pub(super) fn method(id: u64) -> u64 {
            let _: Self = Plain;
            id
        }
    }

    #[redis_cached(name = "plain")]
    pub(super) fn free(id: u64) -> u64 {
        id + 1
    }

    pub(super) trait Find<K> {
        fn found(&self, id: u64) -> String;

        #[redis_cached(name = "provided", skip(self))]
        fn provided(&self, id: u64) -> String {
            self.found(id)
        }
    }

    impl<E: Kind> Find<u8> for Repo<E> {
        #[redis_cached(name = "found", siblings = off, skip(self))]
        fn found(&self, id: u64) -> String {
            format!("{} {id} by u8", E::TEXT)
        }
    }

    impl<E: Kind> Find<u16> for Repo<E> {
        #[redis_cached(name = "found", siblings = off, skip(self))]
        fn found(&self, id: u64) -> String {
            format!("{} {id} by u16", E::TEXT)
        }
    }

    impl Find<u8> for Plain {
        fn found(&self, id: u64) -> String {
            format!("plain {id}")
        }
    }
}

#[tokio::test]
async fn it_goes_with_the_parameters_of_the_impl_block() {
    use blocks::{Find, Order, Plain, Repo, User};

    assert_eq!(Repo::<User>::NEW.find(1).await, "user1:1");
    assert_eq!(Repo::<Order>::NEW.find(1).await, "order1:1");
    assert_eq!(Repo::<Order, 2>::NEW.find(1).await, "order2:1");
    assert_eq!(Repo::<User>::find_entry(1).key().unwrap(), "attribute:find<attribute.name.blocks.User>:1");
    assert_eq!(Repo::<User, 7>::find_entry(1).key().unwrap(), "attribute:find<attribute.name.blocks.User,7>:1");
    assert_eq!((Repo::<User>::of::<u8>(1), Repo::<Order>::of::<u8>(1)), ("user1:10".into(), "order1:10".into()));
    assert_eq!(Repo::<User>::of::<String>(1), "user1:1");
    assert_eq!(Repo::<User>::of_entry::<u8>(1).key().unwrap(), "attribute:of<attribute.name.blocks.User,u8>:1");

    assert_eq!((Plain::method(5), blocks::free(5)), (5, 5), "without parameters, one name is one name");

    let (user, order) = (Repo::<User>::NEW, Repo::<Order>::NEW);
    assert_eq!(
        (Find::<u8>::found(&user, 1), Find::<u8>::found(&order, 1)),
        ("user 1 by u8".into(), "order 1 by u8".into())
    );
    assert_eq!(Find::<u16>::found(&user, 1), "user 1 by u16");
    assert_eq!(Find::<u8>::provided(&user, 1), "user 1 by u8");
    assert_eq!(Find::<u8>::provided(&order, 1), "order 1 by u8");
    assert_eq!(Find::<u8>::provided(&Plain, 1), "plain 1");
}

mod told {
    use super::redis_cached;

    #[redis_cached(name = "told", key = "{id}")]
    pub(super) fn price(id: u64) -> u64 {
        id
    }

    #[redis_cached(name = "told", key = "{number}")]
    pub(super) fn stock(number: u64) -> String {
        number.to_string()
    }

    #[redis_cached(name = "told", key = "other:{number}")]
    pub(super) fn another_shape(number: u64) -> String {
        number.to_string()
    }

    #[redis_cached(name = "told", key = "{id}")]
    pub(super) async fn same_type(id: u64) -> Option<u64> {
        Some(id)
    }

    pub(super) trait Find {
        fn text(&self) -> &'static str;
    }

    /// Its macro hides the block from the attribute, so that only the log can tell.
    macro_rules! blanket {
        ($($tokens:tt)*) => { $($tokens)* };
    }

    pub(super) trait Found {
        fn found(&self) -> String;
    }
    blanket! {
        impl<T: Find> Found for T {
            #[redis_cached(name = "of_many_types", siblings = off, skip(self))]
            fn found(&self) -> String {
                self.text().to_owned()
            }
        }
    }
    impl Find for u8 {
        fn text(&self) -> &'static str {
            "u8"
        }
    }
    impl Find for u16 {
        fn text(&self) -> &'static str {
            "u16"
        }
    }
}

#[tokio::test]
async fn different_types_under_one_name_are_told_once() {
    log::listen();
    assert_eq!(told::price(1), 1);
    assert_eq!(told::same_type(1).await, Some(1));
    assert_eq!(told::another_shape(1), "1");
    assert!(log::lines_about("attribute:told").is_empty());
    for _ in 0..2 {
        assert_eq!(told::stock(1), "1");
        assert_eq!(told::stock_refresh(1), "1");
        let _ = (told::stock_entry(1), told::price_entry(1));
    }
    let lines = log::lines_about("attribute:told");
    // It disagrees with each of the two that store numbers.
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0].level, tracing::Level::WARN);
    for path in ["name::told::price", "name::told::stock"] {
        assert!(lines[0].text.contains(path), "{lines:?}");
    }
}

#[test]
fn a_name_that_many_types_share_is_told() {
    use told::Found;
    log::listen();
    let _ = (1_u8.found(), 1_u16.found());
    let lines = log::lines_about("attribute:of_many_types");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].text.contains("<u16 as attribute::name::told::Found>::found"), "{lines:?}");
}
