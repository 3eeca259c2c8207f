//! The siblings of a function, and `siblings = off`, which emits the function alone.

#![deny(warnings)]

use std::sync::atomic::{AtomicUsize, Ordering};

use redis_cached::redis_cached;

static RUNS: AtomicUsize = AtomicUsize::new(0);

mod shop {
    use super::{AtomicUsize, Ordering, RUNS, redis_cached};

    #[redis_cached]
    pub(crate) async fn user(id: u64) -> Result<String, String> {
        RUNS.fetch_add(1, Ordering::SeqCst);
        if id == 0 { Err("zero".into()) } else { Ok(format!("user {id}")) }
    }

    pub(crate) static PLAIN_RUNS: AtomicUsize = AtomicUsize::new(0);

    #[redis_cached]
    pub(super) fn plain(id: u64) -> u64 {
        PLAIN_RUNS.fetch_add(1, Ordering::SeqCst) as u64 + id
    }

    #[redis_cached(siblings = off)]
    pub(super) fn alone(id: u64) -> u64 {
        PLAIN_RUNS.fetch_add(1, Ordering::SeqCst) as u64 + id
    }

    // No sibling of this name is made for `alone`.
    #[expect(dead_code, reason = "it only has to compile")]
    pub(super) fn alone_entry() {}

    #[redis_cached(siblings = on)]
    pub(super) fn not_alone(id: u64) -> u64 {
        id
    }
}

#[tokio::test]
async fn they_are_as_visible_as_the_function() {
    assert_eq!(shop::user(1).await.unwrap(), "user 1");
    assert_eq!(shop::user_entry(1).get().await.unwrap().as_deref(), Some("user 1"));
    assert_eq!(shop::user_uncached(1).await.unwrap(), "user 1");
    assert_eq!(RUNS.load(Ordering::SeqCst), 2);
    assert_eq!(shop::user_refresh(1).await.unwrap(), "user 1");
    assert!(shop::user_refresh(0).await.is_err());
    assert_eq!(RUNS.load(Ordering::SeqCst), 4);
    assert!(shop::user_entry(1).invalidate().await.unwrap());
    assert_eq!(shop::not_alone_entry(1).get().unwrap(), None);
    assert_eq!(shop::not_alone(1), 1);
}

#[test]
fn refresh_stores_what_the_next_call_gets() {
    let first = shop::plain(100);
    let refreshed = shop::plain_refresh(100);
    assert_ne!(first, refreshed);
    assert_eq!(shop::plain(100), refreshed);
    assert_ne!(shop::plain_uncached(100), refreshed);
    assert_eq!(shop::plain(100), refreshed);
}

#[test]
fn alone_is_cached_too() {
    assert_eq!(shop::alone(200), shop::alone(200));
}

/// Methods of one line: the compiler has nothing to say of their braces.
mod in_one_line {
    use async_trait::async_trait;

    use super::redis_cached;

    pub(crate) struct Repo;

    pub(crate) trait Find {
        fn find(&self, id: u64) -> u64;
        fn find_later(&self, id: u64) -> impl Future<Output = u64> + Send;
    }

    #[rustfmt::skip]
    impl Find for Repo {
        #[redis_cached(siblings = off, skip(self))]
        fn find(&self, id: u64) -> u64 { id + 1 }

        #[redis_cached(siblings = off, skip(self))]
        async fn find_later(&self, id: u64) -> u64 { id + 2 }
    }

    #[async_trait]
    pub(crate) trait FindBoxed {
        async fn find_boxed(&self, id: u64) -> u64;
    }

    #[rustfmt::skip]
    #[async_trait]
    impl FindBoxed for Repo {
        #[redis_cached(siblings = off, skip(self))]
        async fn find_boxed(&self, id: u64) -> u64 { id + 3 }
    }
}

#[tokio::test]
async fn a_body_of_one_line_makes_no_warning() {
    use in_one_line::{Find, FindBoxed, Repo};
    assert_eq!(Repo.find(300), 301);
    assert_eq!(Repo.find_later(300).await, 302);
    assert_eq!(Repo.find_boxed(300).await, 303);
}

/// Lints that are expected are those of the function, of which there is one.
mod expectations {
    use super::redis_cached;

    #[redis_cached]
    #[expect(dead_code, reason = "nothing calls it")]
    pub(crate) fn unused(id: u64) -> u64 {
        id
    }

    #[expect(dead_code, unused_variables, reason = "nothing calls it")]
    #[redis_cached]
    pub(crate) async fn unused_twice(id: u64) -> u64 {
        let unused = id;
        id
    }

    #[redis_cached(siblings = off)]
    #[expect(unused, reason = "nothing calls it")]
    fn alone(id: u64) -> u64 {
        id
    }

    #[redis_cached]
    #[expect(unused, reason = "nothing calls it")]
    fn anything(id: u64) -> u64 {
        id
    }
}
