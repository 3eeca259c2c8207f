//! Bodies that call cached functions.

use super::*;

#[tokio::test]
async fn a_body_that_calls_itself_with_its_own_arguments_computes() {
    #[redis_cached(prefix = "once", name = "recursive", cache = cache, skip(cache, depth))]
    fn recursive<'a>(
        cache: &'a Cache,
        depth: &'a AtomicUsize,
        id: u64,
    ) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send + 'a>> {
        Box::pin(async move {
            if depth.fetch_add(1, SeqCst) == 2 {
                return id;
            }
            recursive(cache, depth, id).await + 1
        })
    }
    #[redis_cached(prefix = "once", name = "recursive_blocking", cache = cache, skip(cache, depth))]
    fn recursive_blocking(cache: &Cache, depth: &AtomicUsize, id: u64) -> u64 {
        if depth.fetch_add(1, SeqCst) == 2 { id } else { recursive_blocking(cache, depth, id) + 1 }
    }
    let server = Server::start();
    for cache in caches(&server) {
        let begun = Instant::now();
        assert_eq!(recursive(&cache, &AtomicUsize::new(0), 10).await, 12);
        assert_eq!(recursive_blocking(&cache, &AtomicUsize::new(0), 10), 12);
        assert!(begun.elapsed() < Duration::from_secs(5), "it waited for itself");
    }
}

/// Two functions whose bodies call each other's entries: each would wait for the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_functions_that_call_each_other_do_not_wait_for_each_other() {
    #[redis_cached(prefix = "once", name = "ping", cache = cache, skip(cache, both, deep))]
    async fn ping(cache: &Cache, both: &tokio::sync::Barrier, deep: bool, id: u64) -> u64 {
        if !deep {
            both.wait().await;
            Box::pin(pong(cache, both, true, id)).await + 1
        } else {
            id
        }
    }
    #[redis_cached(prefix = "once", name = "pong", cache = cache, skip(cache, both, deep))]
    fn pong<'a>(
        cache: &'a Cache,
        both: &'a tokio::sync::Barrier,
        deep: bool,
        id: u64,
    ) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send + 'a>> {
        Box::pin(async move {
            if !deep {
                both.wait().await;
                ping(cache, both, true, id).await + 1
            } else {
                id
            }
        })
    }
    let server = Server::start();
    for cache in caches(&server) {
        for id in 0..20 {
            let begun = Instant::now();
            let both = tokio::sync::Barrier::new(2);
            let (first, second) = tokio::join!(ping(&cache, &both, false, id), pong(&cache, &both, false, id));
            assert!(first > id && second > id);
            assert!(begun.elapsed() < Duration::from_secs(5), "they waited for each other");
        }
    }
}

#[tokio::test]
async fn nested_calls_of_other_functions_share_and_finish() {
    #[redis_cached(prefix = "once", name = "outer", cache = cache, skip(cache, gate))]
    async fn outer(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        gated(cache, gate, 1).await + id
    }
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Gate::closed();
        let calls = async { tokio::join!(outer(&cache, &gate, 1), outer(&cache, &gate, 2), gated(&cache, &gate, 1)) };
        let opening = async {
            gate.wait_for(1).await;
            settle(&cache).await;
            gate.open();
        };
        assert_eq!(tokio::join!(calls, opening).0, (1002, 1003, 1001));
        assert_eq!(gate.entered(), 1);
    }
}

#[test]
fn nested_calls_of_other_plain_functions_share_and_finish() {
    #[redis_cached(prefix = "once", name = "outer_blocking", cache = cache, skip(cache, gate))]
    fn outer(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        gated_blocking(cache, gate, 1) + id
    }
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Gate::closed();
        thread::scope(|scope| {
            let outers = [1, 2].map(|id| {
                (
                    id,
                    scope.spawn({
                        let (cache, gate) = (&cache, &gate);
                        move || outer(cache, gate, id)
                    }),
                )
            });
            let inner = scope.spawn(|| gated_blocking(&cache, &gate, 1));
            eventually("a body begins", || gate.entered() == 1);
            gate.open();
            for (id, outer) in outers {
                assert_eq!(outer.join().unwrap(), 1001 + id);
            }
            assert_eq!(inner.join().unwrap(), 1001);
        });
        assert_eq!(gate.entered(), 1);
    }
}

#[tokio::test]
async fn nested_calls_across_caches_share_and_finish() {
    #[redis_cached(prefix = "once", name = "outer_elsewhere", cache = outer, skip(outer, inner, gate))]
    async fn elsewhere(outer: &Cache, inner: &Cache, gate: &Gate, id: u64) -> u64 {
        gated(inner, gate, 1).await + id
    }
    let server = Server::start();
    let ([memory, one], [_, other]) = (caches(&server), caches(&server));
    for [outer, inner] in [[&memory, &one], [&one, &memory], [&one, &other]] {
        gated_entry(inner, 1).invalidate().await.unwrap();
        for id in [1, 2] {
            elsewhere_entry(outer, id).invalidate().await.unwrap();
        }
        let gate = Gate::closed();
        let calls = async {
            tokio::join!(elsewhere(outer, inner, &gate, 1), elsewhere(outer, inner, &gate, 2), gated(inner, &gate, 1))
        };
        let opening = async {
            gate.wait_for(1).await;
            settle(inner).await;
            gate.open();
        };
        assert_eq!(tokio::join!(calls, opening).0, (1002, 1003, 1001));
        assert_eq!(gate.entered(), 1);
    }
}

/// Each of the two has a cache of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_functions_of_two_caches_that_call_each_other_do_not_wait_for_each_other() {
    type Both = (Cache, Cache, tokio::sync::Barrier);

    #[redis_cached(prefix = "once", name = "here", cache = with.0, skip(with, deep))]
    async fn here(with: &Both, deep: bool, id: u64) -> u64 {
        if deep {
            return id;
        }
        with.2.wait().await;
        Box::pin(there(with, true, id)).await + 1
    }
    #[redis_cached(prefix = "once", name = "there", cache = with.1, skip(with, deep))]
    fn there<'a>(with: &'a Both, deep: bool, id: u64) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send + 'a>> {
        Box::pin(async move {
            if deep {
                return id;
            }
            with.2.wait().await;
            here(with, true, id).await + 1
        })
    }
    let server = Server::start();
    let ([memory, one], [_, other]) = (caches(&server), caches(&server));
    for (from, [left, right]) in [(0, [&memory, &one]), (100, [&one, &other])] {
        for id in from..from + 20 {
            let begun = Instant::now();
            let with = (left.clone(), right.clone(), tokio::sync::Barrier::new(2));
            let (first, second) = tokio::join!(here(&with, false, id), there(&with, false, id));
            assert!(first > id && second > id);
            assert!(begun.elapsed() < Duration::from_secs(5), "they waited for each other");
        }
    }
}

#[test]
fn two_plain_functions_that_call_each_other_do_not_wait_for_each_other() {
    #[redis_cached(prefix = "once", name = "ping_blocking", cache = cache, skip(cache, both, deep))]
    fn ping(cache: &Cache, both: &std::sync::Barrier, deep: bool, id: u64) -> u64 {
        if deep {
            return id;
        }
        both.wait();
        pong(cache, both, true, id) + 1
    }
    #[redis_cached(prefix = "once", name = "pong_blocking", cache = cache, skip(cache, both, deep))]
    fn pong(cache: &Cache, both: &std::sync::Barrier, deep: bool, id: u64) -> u64 {
        if deep {
            return id;
        }
        both.wait();
        ping(cache, both, true, id) + 1
    }
    let server = Server::start();
    for cache in caches(&server) {
        for id in 0..20 {
            let begun = Instant::now();
            let both = std::sync::Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| assert!(ping(&cache, &both, false, id) > id));
                assert!(pong(&cache, &both, false, id) > id);
            });
            assert!(begun.elapsed() < Duration::from_secs(5), "they waited for each other");
        }
    }
}

/// The time that calls of each other may take whose nesting is not detected: the wait ends after half
/// a second, and the machine is busy.
const UNSEEN: std::ops::Range<Duration> = Duration::from_millis(450)..Duration::from_millis(2500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_that_call_each_other_in_tasks_of_their_own_wait_no_longer_than_one_does() {
    #[redis_cached(prefix = "once", name = "left", wait = "500ms", cache = cache, skip(cache, both, deep))]
    async fn left(cache: &Cache, both: &Arc<tokio::sync::Barrier>, deep: bool, id: u64) -> u64 {
        if deep {
            return id;
        }
        both.wait().await;
        let (cache, both) = (cache.clone(), Arc::clone(both));
        tokio::spawn(async move { right(&cache, &both, true, id).await + 1 }).await.unwrap()
    }
    #[redis_cached(prefix = "once", name = "right", wait = "500ms", cache = cache, skip(cache, both, deep))]
    fn right<'a>(
        cache: &'a Cache,
        both: &'a Arc<tokio::sync::Barrier>,
        deep: bool,
        id: u64,
    ) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send + 'a>> {
        Box::pin(async move {
            if deep {
                return id;
            }
            both.wait().await;
            let (cache, both) = (cache.clone(), Arc::clone(both));
            tokio::spawn(async move { left(&cache, &both, true, id).await + 1 }).await.unwrap()
        })
    }
    let server = Server::start();
    for cache in caches(&server) {
        let begun = Instant::now();
        let both = Arc::new(tokio::sync::Barrier::new(2));
        let (first, second) = tokio::join!(left(&cache, &both, false, 10), right(&cache, &both, false, 10));
        assert!((11..=12).contains(&first) && (11..=12).contains(&second), "{first}, {second}");
        assert!(UNSEEN.contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}

#[test]
fn plain_functions_that_call_each_other_on_threads_of_their_own_wait_no_longer_than_one_does() {
    #[redis_cached(prefix = "once", name = "left_blocking", wait = "500ms", cache = cache, skip(cache, both, deep))]
    fn left(cache: &Cache, both: &std::sync::Barrier, deep: bool, id: u64) -> u64 {
        if deep {
            return id;
        }
        both.wait();
        thread::scope(|scope| scope.spawn(|| right(cache, both, true, id) + 1).join().unwrap())
    }
    #[redis_cached(prefix = "once", name = "right_blocking", wait = "500ms", cache = cache, skip(cache, both, deep))]
    fn right(cache: &Cache, both: &std::sync::Barrier, deep: bool, id: u64) -> u64 {
        if deep {
            return id;
        }
        both.wait();
        thread::scope(|scope| scope.spawn(|| left(cache, both, true, id) + 1).join().unwrap())
    }
    let server = Server::start();
    for cache in caches(&server) {
        let begun = Instant::now();
        let both = std::sync::Barrier::new(2);
        let (first, second) = thread::scope(|scope| {
            let first = scope.spawn(|| left(&cache, &both, false, 10));
            (right(&cache, &both, false, 10), first.join().unwrap())
        });
        assert!((11..=12).contains(&first) && (11..=12).contains(&second), "{first}, {second}");
        assert!(UNSEEN.contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}
