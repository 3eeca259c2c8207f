//! Errors are returned unchanged and never stored, and their type needs no bound.

use std::sync::atomic::{AtomicUsize, Ordering};

use redis_cached::{Cache, redis_cached};
use test_support::{Server, caches};

/// An error with no trait at all, and not `Send`.
struct Bare(std::rc::Rc<str>);

#[redis_cached(prefix = "errors", name = "flaky", cache = cache, skip(cache, runs))]
async fn flaky(cache: &Cache, runs: &AtomicUsize, id: u64) -> Result<u64, Bare> {
    tokio::task::yield_now().await;
    match runs.fetch_add(1, Ordering::SeqCst) {
        0 => Err(Bare("the first run fails".into())),
        run => Ok(id + run as u64),
    }
}

#[redis_cached(prefix = "errors", name = "flaky_blocking", cache = cache, skip(cache, runs))]
fn flaky_blocking(cache: &Cache, runs: &AtomicUsize, id: u64) -> Result<u64, Bare> {
    match runs.fetch_add(1, Ordering::SeqCst) {
        0 => Err(Bare("the first run fails".into())),
        run => Ok(id + run as u64),
    }
}

#[tokio::test]
async fn a_failure_is_not_stored_and_an_immediate_retry_is() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        assert_eq!(&*flaky(&cache, &runs, 10).await.err().unwrap().0, "the first run fails");
        assert_eq!(flaky(&cache, &runs, 10).await.ok(), Some(11));
        assert_eq!(flaky(&cache, &runs, 10).await.ok(), Some(11), "the retry's value is stored");
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn the_same_of_plain_functions() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        assert!(flaky_blocking(&cache, &runs, 10).is_err());
        assert_eq!(flaky_blocking(&cache, &runs, 10).ok(), Some(11));
        assert_eq!(flaky_blocking(&cache, &runs, 10).ok(), Some(11), "the retry's value is stored");
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn an_error_that_is_not_send_leaves_the_future_send() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let cache = Cache::builder("memory://").unwrap().build();
    let runs = AtomicUsize::new(0);
    drop(assert_send(flaky(&cache, &runs, 1)));
    drop(assert_send(flaky_refresh(&cache, &runs, 1)));
    let entry = flaky_entry(&cache, 1);
    drop(assert_send(entry.write_through(&3, async || Err::<(), Bare>(Bare("".into())))));
    drop(assert_send(entry.write_through_returning(async || Err::<u64, Bare>(Bare("".into())))));

    // A type that is returned by value need not be `Sync`.
    #[redis_cached(prefix = "errors", name = "cell", cache = cache, skip(cache))]
    async fn cell(cache: &Cache) -> std::cell::Cell<u64> {
        std::cell::Cell::new(1)
    }
    let entry = cell_entry(&cache);
    drop(assert_send(entry.write_through_returning(async || Ok::<_, ()>(std::cell::Cell::new(2)))));
}
