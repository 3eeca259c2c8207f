//! `cache.scope(…)`, `cache.blocking().scope(…)` and `Cache::installed()`: the cache of functions without `cache = …`.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use test_support::{PATIENCE, Server, eventually, in_time};

/// The origin of the functions below; a scope of another cache must not see its values.
type Origin = Arc<AtomicUsize>;

#[redis_cached(prefix = "scope", name = "row", skip(origin))]
async fn row(origin: &Origin, id: u64) -> (u64, usize) {
    tokio::task::yield_now().await;
    (id, origin.load(SeqCst))
}

#[redis_cached(prefix = "scope", name = "plain", skip(origin))]
fn plain(origin: &Origin, id: u64) -> (u64, usize) {
    (id, origin.load(SeqCst))
}

#[redis_cached(prefix = "scope", name = "many", batch(id in ids), skip(origin))]
async fn many(origin: &Origin, ids: &[u64]) -> Vec<(u64, usize)> {
    tokio::task::yield_now().await;
    ids.iter().map(|id| (*id, origin.load(SeqCst))).collect()
}

#[redis_cached(prefix = "scope", name = "seat", group = "class:{class}", skip(origin))]
async fn seat(origin: &Origin, class: u64, id: u64) -> (u64, usize) {
    let _ = class;
    (id, origin.load(SeqCst))
}

/// A call of another function in the body.
#[redis_cached(prefix = "scope", name = "outer", skip(origin))]
async fn outer(origin: &Origin, id: u64) -> (u64, usize) {
    row(origin, id).await
}

#[redis_cached(prefix = "scope", name = "own", cache = cache, skip(cache))]
async fn own(cache: &Cache, id: u64) -> u64 {
    id
}

/// A cache in memory or on the server. Tests tell caches apart by the namespace.
fn cache(url: &str, namespace: &str) -> Cache {
    Cache::builder(url).unwrap().namespace(namespace).timeout(PATIENCE).build()
}

/// The namespace of the cache that functions use here.
fn here() -> String {
    let shown = format!("{:?}", Cache::installed());
    let (_, rest) = shown.split_once("namespace: \"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

fn memory(namespace: &str) -> Cache {
    cache("memory://", namespace)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_scopes_see_only_their_own_values() {
    let server = Server::start();
    for url in ["memory://", &server.url()] {
        let tests: Vec<_> = (0..16_usize)
            .map(|number| {
                let cache = cache(url, &format!("test{number}"));
                let test = cache.clone().scope(async move {
                    let origin = Arc::new(AtomicUsize::new(number));
                    for id in 0..20 {
                        assert_eq!(row(&origin, id).await, (id, number));
                        assert_eq!(outer(&origin, id).await, (id, number));
                        assert_eq!(seat(&origin, 1, id).await, (id, number));
                        assert_eq!(many(&origin, &[id, id + 1]).await, [(id, number), (id + 1, number)]);
                        assert_eq!(row_entry(id).get().await.unwrap(), Some((id, number)));
                        tokio::task::yield_now().await;
                    }
                    origin.store(number + 100, SeqCst);
                    assert_eq!(row(&origin, 1).await, (1, number), "it is cached");
                    assert!(row_entry(1).invalidate().await.unwrap());
                    assert_eq!(row(&origin, 1).await, (1, number + 100));
                    assert_eq!(row_refresh(&origin, 2).await, (2, number + 100));
                    assert_eq!(seat_group(1).len().await.unwrap(), 20);
                    assert!(seat_group(1).invalidate().await.unwrap());
                });
                (cache, tokio::spawn(test))
            })
            .collect();
        for (cache, test) in tests {
            test.await.unwrap();
            assert_eq!(cache.stats().bypasses, 0);
            assert!(cache.stats().stored >= 81, "{:?}", cache.stats());
        }
    }
}

#[test]
fn concurrent_blocking_scopes_see_only_their_own_values() {
    let server = Server::start();
    for url in ["memory://", &server.url()] {
        thread::scope(|threads| {
            for number in 0..8_usize {
                threads.spawn(move || {
                    let cache = cache(url, &format!("test{number}"));
                    let origin = Arc::new(AtomicUsize::new(number));
                    cache.blocking().scope(|| {
                        for id in 0..20 {
                            assert_eq!(plain(&origin, id), (id, number));
                            assert_eq!(plain_entry(id).get().unwrap(), Some((id, number)));
                        }
                    });
                    assert_eq!(cache.stats().stored, 20);
                });
            }
        });
    }
}

#[tokio::test]
async fn scopes_nest_and_end() {
    let outside = here();
    let (one, two) = (memory("one"), memory("two"));
    assert_eq!(one.scope(async { here() }).await, "one");
    let inside = async {
        let inner = two.scope(async { (here(), one.blocking().scope(here), here()) }).await;
        (inner, here())
    };
    assert_eq!(one.scope(inside).await, (("two".to_owned(), "one".to_owned(), "two".to_owned()), "one".to_owned()));
    assert_eq!(here(), outside);
    // A panic inside, in either face, in a body or around it.
    let failing = async {
        let panic = catch_unwind(|| two.blocking().scope(|| panic!("inside")));
        assert!(panic.is_err());
        here()
    };
    assert_eq!(one.scope(failing).await, "one");
    let task = tokio::spawn(one.scope(async { panic!("inside") }));
    assert!(task.await.unwrap_err().is_panic());
    let mut panics = Box::pin(one.scope(async { panic!("inside") }));
    let poll = || panics.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(catch_unwind(AssertUnwindSafe(poll)).is_err());
    assert_eq!(here(), outside);
}

#[tokio::test]
async fn a_scope_that_is_dropped_half_way_ends_inside_of_itself() {
    struct Tells(Arc<Mutex<String>>);
    impl Drop for Tells {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = here();
        }
    }
    let outside = here();
    let seen = Arc::new(Mutex::new(String::new()));
    let (cache, tells) = (memory("dropped"), Tells(seen.clone()));
    let mut scope = Box::pin(cache.scope(async move {
        let _tells = tells;
        pending::<()>().await;
    }));
    assert!(scope.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(here(), outside, "between two polls");
    drop(scope);
    assert_eq!(*seen.lock().unwrap(), "dropped");
    assert_eq!(here(), outside);
}

#[test]
fn a_scope_may_be_polled_on_several_threads() {
    fn poll<F: Future>(mut future: Pin<Box<F>>) -> Result<F::Output, Pin<Box<F>>> {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => Err(future),
        }
    }
    let cache = memory("moved");
    let scope = Box::pin(cache.scope(async {
        let mut seen = vec![here()];
        for _ in 0..2 {
            let mut is_first = true;
            poll_fn(|_| if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }).await;
            seen.push(here());
        }
        seen
    }));
    let outside = here();
    let scope = poll(scope).expect_err("pending");
    let scope = thread::spawn(|| poll(scope)).join().unwrap().expect_err("pending");
    let seen = thread::spawn(|| poll(scope)).join().unwrap().unwrap_or_default();
    assert_eq!(seen, ["moved"; 3]);
    assert_eq!(here(), outside);
}

#[tokio::test]
async fn tasks_that_the_caller_spawns_are_outside_unless_they_are_given_the_scope() {
    let outside = here();
    let cache = memory("spawned");
    let seen = cache
        .scope(async {
            let alone = tokio::spawn(async { here() }).await.unwrap();
            let given = tokio::spawn(Cache::installed().scope(async { here() })).await.unwrap();
            let thread = thread::spawn(here).join().unwrap();
            (alone, given, thread)
        })
        .await;
    assert_eq!(seen, (outside.clone(), "spawned".to_owned(), outside));
}

#[tokio::test]
async fn functions_that_name_their_cache_use_it() {
    let (named, scoped) = (memory("named"), memory("scoped"));
    scoped.scope(own(&named, 1)).await;
    assert_eq!((named.stats().stored, scoped.stats().stored), (1, 0));
}

#[tokio::test]
async fn what_is_made_inside_keeps_its_cache_and_a_call_belongs_to_where_it_is_polled() {
    let (one, two) = (memory("one"), memory("two"));
    let origin = Arc::new(AtomicUsize::new(7));
    let (entry, call) = one
        .scope(async {
            row(&origin, 1).await;
            (row_entry(1), row(&origin, 2))
        })
        .await;
    assert_eq!(two.scope(entry.get()).await.unwrap(), Some((1, 7)));
    two.scope(call).await;
    assert_eq!((one.stats().stored, two.stats().stored), (1, 1));
    // A call that has begun goes on with its cache wherever it is polled.
    let mut call = pin!(row(&origin, 3));
    let began = one.scope(poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending()))).await;
    assert!(began);
    two.scope(call).await;
    assert_eq!((one.stats().stored, two.stats().stored), (2, 1));
}

#[redis_cached(prefix = "scope", name = "old", ttl = "20ms", stale_while_revalidate = "1h", skip(seen))]
async fn old(seen: Arc<Mutex<Vec<String>>>) -> usize {
    seen.lock().unwrap().push(here());
    let origin = Arc::new(AtomicUsize::new(1));
    tokio::task::yield_now().await;
    row(&origin, 1000).await.1
}

#[redis_cached(prefix = "scope", name = "old_plain", ttl = "20ms", stale_while_revalidate = "1h", skip(seen))]
fn old_plain(seen: Arc<Mutex<Vec<String>>>) -> usize {
    seen.lock().unwrap().push(here());
    plain(&Arc::new(AtomicUsize::new(1)), 1000).1
}

#[tokio::test]
async fn it_reaches_refreshes_in_the_background() {
    let server = Server::start();
    for url in ["memory://", &server.url()] {
        let cache = cache(url, "background");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let in_scope = async {
            old(seen.clone()).await;
            in_time("a refresh runs", async || {
                old(seen.clone()).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
                seen.lock().unwrap().len() >= 2
            })
            .await;
            old_plain(seen.clone());
            eventually("a refresh runs", || {
                old_plain(seen.clone());
                seen.lock().unwrap().len() >= 4
            });
        };
        cache.scope(in_scope).await;
        let seen = seen.lock().unwrap();
        assert!(seen.iter().all(|seen| seen == "background"), "{seen:?}");
        assert!(cache.stats().refreshes >= 2, "{:?}", cache.stats());
    }
}

/// A task of the runtime that a blocking scope drives, for a call that was made outside of that scope.
#[test]
fn a_refresh_of_a_call_outside_stays_outside() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outside = here();
    let seen = Arc::new(Mutex::new(Vec::new()));
    runtime.block_on(async {
        old(seen.clone()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        old(seen.clone()).await;
    });
    memory("driven").blocking().scope(|| {
        runtime.block_on(in_time("the refresh runs", async || seen.lock().unwrap().len() == 2));
    });
    assert_eq!(*seen.lock().unwrap(), [outside.clone(), outside]);
}
