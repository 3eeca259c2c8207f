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
    #[expect(deprecated, reason = "that is the test")]
    let old = (old(1), old_refresh(1));
    assert_eq!(old, (1, 1));
}
