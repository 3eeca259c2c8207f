//! Code that is spelled as no formatter would leave it.

/// A spelling that a formatter would indent.
mod not_formatted {
    use std::sync::Arc;

    use redis_cached::redis_cached;

    pub(super) struct Repo;

    #[rustfmt::skip]
impl Repo {
#[redis_cached]
pub(super) fn associated(id: u64) -> u64 {
    id
}
#[redis_cached]
pub(super) async fn later(id: u64) -> u64 { id }
    // `self` by the name of its type.
    #[redis_cached(skip(self))] pub(super) fn by_name(self: Repo, id: u64) -> u64 { id }
}

    #[derive(serde::Serialize)]
    pub(super) struct Tenant {
        pub(super) number: u64,
    }

    impl Tenant {
        #[redis_cached]
        pub(super) fn by_value(self: Tenant, id: u64) -> u64 {
            self.number + id
        }

        #[redis_cached]
        pub(super) fn by_reference(self: &Tenant, id: u64) -> u64 {
            self.number + id
        }

        #[redis_cached]
        pub(super) fn by_pointer(self: Arc<Tenant>, id: u64) -> u64 {
            self.number + id
        }
    }

    macro_rules! function {
        ($name:ident $body:block) => {
            #[redis_cached]
            pub(super) fn $name(_id: u64) -> u64 $body

            pub(super) mod $name {
                #[redis_cached::redis_cached(siblings = off)]
                pub(in super::super) async fn later(_id: u64) -> u64 $body
            }
        };
    }

    function!(of_a_block { 9005 });

    #[redis_cached(skip(type))]
    pub(super) fn raw(r#type: &str, r#id: u64) -> u64 {
        let _ = r#type;
        id
    }
}

#[tokio::test]
async fn other_spellings_are_the_same() {
    use not_formatted::{Repo, Tenant, of_a_block, raw};
    assert_eq!(Repo::associated(9002), 9002);
    assert!(Repo::associated_entry(9002).key().unwrap().ends_with("Repo.associated:9002"));
    assert_eq!(Repo::later(9003).await, 9003);
    assert_eq!(Repo.by_name(9004), 9004);
    let keys = [
        Tenant { number: 1 }.by_value_entry(2).key().unwrap().to_owned(),
        Tenant { number: 1 }.by_reference_entry(2).key().unwrap().to_owned(),
        std::sync::Arc::new(Tenant { number: 1 }).by_pointer_entry(2).key().unwrap().to_owned(),
    ];
    assert!(keys.iter().all(|key| key.ends_with(":(number=1):2")), "{keys:?}");
    assert_eq!(Tenant { number: 1 }.by_value(2) + Tenant { number: 1 }.by_reference(2), 6);
    assert_eq!(std::sync::Arc::new(Tenant { number: 1 }).by_pointer(2), 3);
    assert_eq!((of_a_block(1), of_a_block::later(1).await), (9005, 9005));
    assert_eq!(raw("a", 9006), 9006);
    assert!(not_formatted::raw_entry(9006).key().unwrap().ends_with("raw:9006"));
}
