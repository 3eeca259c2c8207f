use super::*;

#[redis_cached(cache = CACHE)]
#[tracing_attributes::instrument(skip(db), ret)]
#[must_use]
#[expect(unused_mut, reason = "goes with the body")]
async fn instrumented_below(#[allow(unused_variables)] db: &str, mut id: u64) -> u64 {
    id
}

#[tracing_attributes::instrument(skip(db), ret)]
#[redis_cached(cache = CACHE)]
async fn instrumented_above(db: &str, id: u64) -> u64 {
    let _ = db;
    id
}

#[redis_cached(cache = CACHE)]
#[cfg(any())]
fn conditional(id: NoSuchType) -> NoSuchType {
    id
}

/// The lints of a parameter have levels of their own.
#[redis_cached(cache = CACHE, skip(unread, unloved))]
fn with_lints(
    #[allow(unused)] unread: u64,
    #[allow(dead_code, warnings)] unloved: u64,
    #[warn(unused)] id: u64,
) -> u64 {
    id
}

#[redis_cached(cache = CACHE)]
#[deprecated = "use another one"]
#[inline]
fn old(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn stay() {
    assert_eq!(instrumented_below("a", 1).await, 1);
    assert_eq!(instrumented_above("a", 1).await, 1);
    assert_eq!((with_lints(1, 2, 3), with_lints_refresh(4, 5, 3)), (3, 3));
    assert_eq!(with_lints_entry(3).get().unwrap(), Some(3));
    #[expect(deprecated, reason = "that is the test")]
    let old = (old(1), old_refresh(1));
    assert_eq!(old, (1, 1));
}
