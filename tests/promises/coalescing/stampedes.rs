//! Many calls at once, in tasks, threads and processes.

use super::*;
use crate::processes::{Body, Calls, once};

/// The body's time where it matters how long a stampede takes on top.
const BODY: Duration = Duration::from_millis(100);

#[redis_cached(prefix = "once", name = "slow", cache = cache, skip(cache, runs))]
async fn slow(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    let run = runs.fetch_add(1, SeqCst) as u64;
    tokio::time::sleep(BODY).await;
    id * 1000 + run
}

#[redis_cached(prefix = "once", name = "slow_blocking", cache = cache, skip(cache, runs))]
fn slow_blocking(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    let run = runs.fetch_add(1, SeqCst) as u64;
    thread::sleep(BODY);
    id * 1000 + run
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_tasks_run_a_body_once() {
    let server = Server::start();
    for cache in caches(&server) {
        slow(&cache, &AtomicUsize::new(0), 1).await; // connects
        let runs = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        let mut calls = JoinSet::new();
        for _ in 0..500 {
            let (cache, runs) = (cache.clone(), Arc::clone(&runs));
            calls.spawn(async move { slow(&cache, &runs, 2).await });
        }
        assert!(calls.join_all().await.into_iter().all(|value| value == 2000));
        println!("500 tasks, {cache:?}: the body and {:?}, {:?}", begun.elapsed() - BODY, cache.stats());
        assert_eq!(runs.load(SeqCst), 1);
    }
}

#[test]
fn sixty_four_threads_run_a_plain_body_once() {
    let server = Server::start();
    for cache in caches(&server) {
        slow_blocking(&cache, &AtomicUsize::new(0), 1); // connects
        let runs = AtomicUsize::new(0);
        let begun = Instant::now();
        thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| assert_eq!(slow_blocking(&cache, &runs, 2), 2000));
            }
        });
        println!("64 threads, {cache:?}: the body and {:?}, {:?}", begun.elapsed() - BODY, cache.stats());
        assert_eq!(runs.load(SeqCst), 1);
    }
}

#[test]
fn ten_processes_of_a_thousand_calls_run_a_body_once() {
    let calls = Calls { processes: 10, tasks: 1_000, threads: 0, body: Body::After(BODY) };
    once(module_path!(), "ten_processes_of_a_thousand_calls_run_a_body_once", calls);
}

#[tokio::test]
async fn async_and_plain_functions_over_one_key_run_one_body() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Arc::new(Gate::closed());
        let tasks = (0..10).map(|_| {
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            tokio::spawn(async move { gated(&cache, &gate, 1).await })
        });
        let tasks: Vec<_> = tasks.collect();
        gate.wait_for(1).await;
        let threads = (0..10).map(|_| {
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            thread::spawn(move || gated_blocking(&cache, &gate, 1))
        });
        let threads: Vec<_> = threads.collect();
        settle(&cache).await;
        gate.open();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 1001);
        }
        let joined = tokio::task::spawn_blocking(|| threads.into_iter().map(|thread| thread.join().unwrap()).collect());
        let values: Vec<u64> = joined.await.unwrap();
        assert!(values.iter().all(|value| *value == 1001), "{values:?}");
        assert_eq!(gate.entered(), 1);
    }
}

#[test]
fn a_plain_function_leads_and_an_async_one_follows() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Arc::new(Gate::closed());
        let leader = {
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            thread::spawn(move || gated_blocking(&cache, &gate, 1))
        };
        eventually("the body begins", || gate.entered() == 1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let call = gated(&cache, &gate, 1);
            let opening = async {
                settle(&cache).await;
                gate.open();
            };
            assert_eq!(tokio::join!(call, opening).0, 1001);
        });
        assert_eq!(leader.join().unwrap(), 1001);
        assert_eq!(gate.entered(), 1);
    }
}

#[tokio::test]
async fn values_that_are_not_stored_are_shared_all_the_same() {
    #[redis_cached(prefix = "once", name = "absent", cache = cache, skip(cache, gate))]
    async fn absent(cache: &Cache, gate: &Gate, id: u64) -> Option<String> {
        gate.pass().await;
        (id == 0).then(String::new)
    }
    #[redis_cached(prefix = "once", name = "refused", cache = cache, skip(cache, gate), cache_if = |_| false)]
    async fn refused(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        gate.pass().await as u64 + id
    }
    let server = Server::start();
    for cache in caches(&server) {
        let (nones, some) = (Gate::closed(), Gate::closed());
        let calls = async {
            let nones = futures(20, || absent(&cache, &nones, 1));
            let some = futures(20, || refused(&cache, &some, 10));
            tokio::join!(nones, some)
        };
        let opening = async {
            nones.wait_for(1).await;
            some.wait_for(1).await;
            settle(&cache).await;
            nones.open();
            some.open();
        };
        let ((none, some_of), ()) = tokio::join!(calls, opening);
        assert!(none.iter().all(Option::is_none));
        assert_eq!(some_of, [11; 20]);
        assert_eq!((nones.entered(), some.entered()), (1, 1));
        assert_eq!(absent_entry(&cache, 1).get().await.unwrap(), None);
        assert_eq!(refused_entry(&cache, 10).get().await.unwrap(), None);
    }
}

/// The outputs of so many futures, all at once in this task.
async fn futures<F: Future>(count: usize, make: impl Fn() -> F) -> Vec<F::Output> {
    let mut futures: Vec<_> = (0..count).map(|_| (Box::pin(make()), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut futures {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if futures.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

/// Two functions, of other types, share a key by mistake or on purpose: none gets what is not its own.
#[tokio::test]
async fn functions_of_other_types_over_one_key_get_their_own() {
    #[redis_cached(prefix = "once", name = "gated", key = "{id}", cache = cache, skip(cache, runs))]
    async fn text(cache: &Cache, runs: &AtomicUsize, id: u64) -> String {
        runs.fetch_add(1, SeqCst);
        tokio::task::yield_now().await;
        format!("text {id}")
    }
    let server = Server::start();
    for cache in caches(&server) {
        let (gate, runs) = (Gate::closed(), AtomicUsize::new(0));
        let call = gated(&cache, &gate, 1);
        let other = async {
            gate.wait_for(1).await;
            let opening = async {
                settle(&cache).await;
                gate.open();
            };
            tokio::join!(futures(20, || text(&cache, &runs, 1)), opening).0
        };
        let (number, texts) = tokio::join!(call, other);
        assert_eq!(number, 1001);
        assert!(texts.iter().all(|text| text == "text 1"), "{texts:?}");
        assert_eq!(runs.load(SeqCst), 1, "one of those that waited in vain runs it for the others");
    }
}

#[tokio::test]
async fn an_invalidation_during_a_body_sends_later_calls_to_a_new_one() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Arc::new(Gate::closed());
        let early = waiting(&cache, &gate, 10).await;
        gated_entry(&cache, 1).invalidate().await.unwrap();
        let late = {
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            tokio::spawn(async move { gated(&cache, &gate, 1).await })
        };
        gate.wait_for(2).await;
        gate.open();
        for call in early {
            assert_eq!(call.await.unwrap(), 1001, "they began before");
        }
        assert_eq!(late.await.unwrap(), 1002);
        assert_eq!(gated_entry(&cache, 1).get().await.unwrap(), Some(1002));
    }
}
