//! Computed once: one call runs the body, and all that came meanwhile get what it returns; whatever
//! becomes of that call, nobody hangs.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, ErrorKind, redis_cached};
use test_support::{Gate, Mode, PATIENCE, Server, caches, child, eventually, in_time, polled};
use tokio::task::JoinSet;

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

// A lease that is left behind does not end before a test's patience.
#[redis_cached(prefix = "once", name = "gated", key = "{id}", lease = "10m", cache = cache, skip(cache, gate))]
async fn gated(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id * 1000 + gate.pass().await as u64
}

#[redis_cached(prefix = "once", name = "gated", key = "{id}", lease = "10m", cache = cache, skip(cache, gate))]
fn gated_blocking(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id * 1000 + gate.pass_blocking() as u64
}

/// Lets every call that was spawned before come as far as it can.
async fn settle(cache: &Cache) {
    test_support::settle(gated_entry(cache, u64::MAX).get()).await.unwrap();
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

/// A body of many leases, of so many seconds: three, unless the environment says otherwise.
#[redis_cached(prefix = "once", name = "very_slow", lease = "1s", wait = "1m", cache = cache, skip(cache, runs))]
async fn very_slow(cache: &Cache, runs: &AtomicUsize, id: u64) -> u64 {
    let run = runs.fetch_add(1, SeqCst) as u64;
    tokio::time::sleep(very_long()).await;
    id * 1000 + run
}

fn very_long() -> Duration {
    let seconds = std::env::var("REDIS_CACHED_BODY_SECONDS").map_or(3, |seconds| seconds.parse().unwrap());
    Duration::from_secs(seconds)
}

const CHILD: &str = "REDIS_CACHED_TEST_CHILD";

/// Runs `test` in processes of its own, which all begin when each is ready; what each of them says.
fn processes(test: &str, count: usize, server: &Server) -> (Duration, Vec<String>) {
    let children = (0..count).map(|_| {
        let mut command = child(module_path!(), test);
        command.env(CHILD, server.url()).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
    });
    let children: Vec<_> = children.collect();
    eventually("the processes are ready", || server.cli(&["GET", "ready"]) == count.to_string());
    let begun = Instant::now();
    server.cli(&["SET", "go", "1"]);
    let said = children.into_iter().map(|child| {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        let said = text.lines().find_map(|line| Some(line.split_once("said: ")?.1.to_owned()));
        said.unwrap_or_else(|| panic!("{text}"))
    });
    let said = said.collect();
    (begun.elapsed(), said)
}

/// In such a process: makes so many calls at once, and says what they got and how often a body ran.
async fn be_a_process(url: &str, calls: usize, is_long: bool) {
    // What is tested is no outage: a machine that is busy with all of them may be slow.
    let cache = Cache::builder(url).unwrap().timeout(PATIENCE).build();
    slow(&cache, &AtomicUsize::new(0), u64::from(std::process::id())).await; // connects
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_connection().unwrap();
    redis::cmd("INCR").arg("ready").exec(&mut connection).unwrap();
    eventually("the start", || redis::cmd("EXISTS").arg("go").query(&mut connection) == Ok(1));
    let runs = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..calls {
        let (cache, runs) = (cache.clone(), Arc::clone(&runs));
        tasks.spawn(
            async move { if is_long { very_slow(&cache, &runs, 2).await } else { slow(&cache, &runs, 2).await } },
        );
    }
    let mut values = tasks.join_all().await;
    let elapsed = begun.elapsed();
    values.dedup();
    let body = if is_long { very_long() } else { BODY };
    println!("said: {values:?} after {} runs, the body and {:?}", runs.load(SeqCst), elapsed.saturating_sub(body));
}

fn assert_once(said: &[String]) {
    let ran = |runs: usize| said.iter().filter(|said| said.contains(&format!("[2000] after {runs} runs"))).count();
    assert_eq!((ran(1), ran(0)), (1, said.len() - 1), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_processes_of_a_hundred_tasks_run_a_body_once() {
    match std::env::var(CHILD) {
        Ok(url) => be_a_process(&url, 100, false).await,
        Err(_) => {
            let server = Server::start();
            let (_, said) = processes("four_processes_of_a_hundred_tasks_run_a_body_once", 4, &server);
            println!("{said:#?}");
            assert_once(&said);
        }
    }
}

/// `REDIS_CACHED_BODY_SECONDS=15` makes it take that long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_processes_of_a_hundred_tasks_run_a_body_of_many_leases_once() {
    match std::env::var(CHILD) {
        Ok(url) => be_a_process(&url, 100, true).await,
        Err(_) => {
            let server = Server::start();
            let test = "four_processes_of_a_hundred_tasks_run_a_body_of_many_leases_once";
            let (_, said) = processes(test, 4, &server);
            println!("{said:#?}");
            assert_once(&said);
        }
    }
}

#[tokio::test]
async fn ten_processes_of_a_thousand_calls_run_a_body_once() {
    match std::env::var(CHILD) {
        Ok(url) => be_a_process(&url, 1000, false).await,
        Err(_) => {
            let server = Server::start();
            let (_, said) = processes("ten_processes_of_a_thousand_calls_run_a_body_once", 10, &server);
            assert_once(&said);
        }
    }
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

/// Calls that wait for a body, in tasks of their own.
async fn waiting(cache: &Cache, gate: &Arc<Gate>, count: usize) -> Vec<tokio::task::JoinHandle<u64>> {
    let call = || {
        let (cache, gate) = (cache.clone(), Arc::clone(gate));
        tokio::spawn(async move { gated(&cache, &gate, 1).await })
    };
    let leader = call();
    gate.wait_for(1).await;
    let calls = std::iter::once(leader).chain((1..count).map(|_| call())).collect();
    settle(cache).await;
    calls
}

#[tokio::test]
async fn a_cancelled_leader_hands_over() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Arc::new(Gate::closed());
        let mut calls = waiting(&cache, &gate, 50).await;
        for leaders in 1..=20 {
            gate.wait_for(leaders).await;
            let leading = calls.iter().position(|call| Some(call.id()) == gate.task());
            let leader = calls.swap_remove(leading.expect("one of the calls runs the body"));
            leader.abort();
            assert!(leader.await.unwrap_err().is_cancelled());
        }
        gate.wait_for(21).await;
        gate.open();
        for call in calls {
            assert_eq!(call.await.unwrap(), 1021);
        }
        assert_eq!(gate.entered(), 21);
        assert_eq!(gated_entry(&cache, 1).get().await.unwrap(), Some(1021));
    }
}

#[tokio::test]
async fn most_waiters_cancelled_the_rest_get_the_value() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Arc::new(Gate::closed());
        let mut calls = waiting(&cache, &gate, 100).await;
        for call in calls.drain(10..) {
            call.abort();
            let _ = call.await;
        }
        gate.open();
        for call in calls {
            assert_eq!(call.await.unwrap(), 1001);
        }
        assert_eq!(gate.entered(), 1);
    }
}

#[tokio::test]
async fn all_cancelled_the_body_is_dropped_and_nothing_stays() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Arc::new(Gate::closed());
        for call in waiting(&cache, &gate, 100).await {
            call.abort();
            let _ = call.await;
        }
        assert_eq!(Arc::strong_count(&gate), 1, "a call or a body still holds on to it");
        if format!("{cache:?}").contains("redis://") {
            eventually("no lease is left", || server.cli(&["EXISTS", "once:gated:1"]) == "0");
        }
        gate.open();
        assert!(gated(&cache, &gate, 1).await > 1000, "the next call computes at once");
    }
}

#[tokio::test]
async fn a_call_cancelled_while_it_stores_leaves_no_lease_behind() {
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().build();
    let gate = Gate::closed();
    gate.open();
    gated(&cache, &gate, 7).await; // connects
    gate.close();
    {
        let mut call = std::pin::pin!(gated(&cache, &gate, 1));
        tokio::select! {
            _ = &mut call => unreachable!("the gate is closed"),
            () = gate.wait_for(2) => {}
        }
        // The fill is sent and not answered.
        server.stop();
        gate.open();
        let begun = tokio::time::timeout(Duration::from_millis(50), &mut call).await;
        assert!(begun.is_err(), "{begun:?}");
    }
    server.cont();
    eventually("no lease is left", || {
        let slot: Option<Vec<u8>> = redis::cmd("GET").arg("once:gated:1").query(&mut server.connection()).unwrap();
        !slot.is_some_and(|slot| slot.starts_with(b"L"))
    });
}

/// What the slot holds, if it is a lease.
fn lease(server: &Server, key: &str) -> Option<Vec<u8>> {
    let slot: Option<Vec<u8>> = redis::cmd("GET").arg(key).query(&mut server.connection()).unwrap();
    slot.filter(|slot| slot.starts_with(b"L"))
}

/// Wherever it is: while it reads, leases, runs its body, stores.
#[tokio::test]
async fn a_call_cancelled_at_any_point_leaves_no_lease_behind() {
    #[redis_cached(prefix = "once", name = "stepwise", lease = "10m", cache = cache, skip(cache))]
    async fn stepwise(cache: &Cache, id: u64) -> u64 {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        id
    }
    let server = Server::start();
    let proxy = server.proxy();
    for cache in ["memory://", &proxy.url()].map(|url| Cache::builder(url).unwrap().timeout(PATIENCE).build()) {
        stepwise(&cache, 0).await; // connects
        // Each reply takes a while, so that each is waited for.
        proxy.set(Mode::Delay(Duration::from_millis(2)));
        let is_remote = format!("{cache:?}").contains("redis://");
        let mut polls = 1;
        while polled(polls, stepwise(&cache, 1)).await.is_none() {
            polls += 1;
            let begun = Instant::now();
            if is_remote && polls % 2 == 0 {
                in_time("no lease is left", async || lease(&server, "once:stepwise:1").is_none()).await;
            }
            in_time("a value is stored", async || {
                assert_eq!(stepwise(&cache, 1).await, 1);
                stepwise_entry(&cache, 1).get().await.unwrap() == Some(1)
            })
            .await;
            assert!(begun.elapsed() < PATIENCE / 2, "after {polls} polls: {:?}", begun.elapsed());
            stepwise_entry(&cache, 1).invalidate().await.unwrap();
        }
        // Reading, leasing and storing, and the body's three.
        assert!(polls >= if is_remote { 6 } else { 4 }, "{polls} polls");
        proxy.set(Mode::Pass);
    }
}

#[tokio::test]
async fn a_waiting_call_cancelled_at_any_point_harms_nobody() {
    let server = Server::start();
    let memory = Cache::builder("memory://").unwrap().build();
    let [one, other] = [0; 2].map(|_| Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build());
    // In the leader's process and in another one.
    for [leader, other] in [[memory.clone(), memory], [one.clone(), one.clone()], [one, other]] {
        gated_entry(&leader, 1).invalidate().await.unwrap();
        let gate = Arc::new(Gate::closed());
        let call = |cache: &Cache| {
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            tokio::spawn(async move { gated(&cache, &gate, 1).await })
        };
        let first = call(&leader);
        gate.wait_for(1).await;
        let early = call(&other);
        for polls in 1..20 {
            let cancelled = tokio::time::timeout(Duration::from_millis(20), polled(polls, gated(&other, &gate, 1)));
            assert_ne!(cancelled.await.ok().flatten(), Some(1001), "the gate is closed");
        }
        let late = call(&other);
        settle(&other).await;
        gate.open();
        for call in [first, early, late] {
            assert_eq!(call.await.unwrap(), 1001);
        }
        assert_eq!(gate.entered(), 1);
    }
}

#[test]
fn a_panicking_plain_leader_makes_nobody_hang_and_leaves_no_lease() {
    #[redis_cached(prefix = "once", name = "fragile_blocking", lease = "10m", cache = cache, skip(cache, gate))]
    fn fragile_blocking(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        let run = gate.pass_blocking();
        assert!(run > 1, "the first run panics");
        id
    }
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Gate::closed();
        let begun = Instant::now();
        let panics: usize = thread::scope(|scope| {
            let calls: Vec<_> = (0..20).map(|_| scope.spawn(|| fragile_blocking(&cache, &gate, 1))).collect();
            eventually("a body begins", || gate.entered() >= 1);
            gate.open();
            calls.into_iter().map(|call| usize::from(call.join().is_err())).sum()
        });
        assert_eq!((panics, gate.entered()), (1, 2), "one of the others runs it for all");
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
        eventually("somebody stores", || {
            assert_eq!(fragile_blocking(&cache, &gate, 1), 1);
            fragile_blocking_entry(&cache, 1).get().unwrap() == Some(1)
        });
    }
}

#[tokio::test]
async fn a_panicking_leader_makes_nobody_hang() {
    #[redis_cached(prefix = "once", name = "fragile", cache = cache, skip(cache, gate))]
    async fn fragile(cache: &Cache, gate: &Gate, id: u64) -> u64 {
        let run = gate.pass().await;
        assert!(run > 1, "the first run panics");
        id
    }
    let server = Server::start();
    for cache in caches(&server) {
        let gate = Arc::new(Gate::closed());
        let calls = (0..50).map(|_| {
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            tokio::spawn(async move { fragile(&cache, &gate, 1).await })
        });
        let calls: Vec<_> = calls.collect();
        gate.wait_for(1).await;
        settle(&cache).await;
        gate.open();
        let mut panics = 0;
        for call in calls {
            match call.await {
                Ok(value) => assert_eq!(value, 1),
                Err(error) => panics += usize::from(error.is_panic()),
            }
        }
        assert_eq!((panics, gate.entered()), (1, 2), "one of the others runs it for all");
        assert_eq!(fragile_entry(&cache, 1).get().await.unwrap(), Some(1), "one of the others stored it");
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

/// How long calls of each other may take whose nesting nobody sees: the wait ends after half a second,
/// and the machine is busy.
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

#[tokio::test]
async fn a_burst_that_redis_does_not_answer_runs_one_body() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let gate = Arc::new(Gate::closed());
    gate.open();
    gated(&cache, &gate, 9).await;
    gate.close();
    server.stop();
    // The breaker is closed when they come, and each of them times out.
    let calls = (0..50).map(|_| {
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        tokio::spawn(async move { gated(&cache, &gate, 1).await })
    });
    let calls: Vec<_> = calls.collect();
    gate.wait_for(2).await;
    in_time("all of them were refused", async || cache.stats().bypasses >= 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap(), 1002);
    }
    assert_eq!(gate.entered(), 2);
    server.cont();
}

#[tokio::test]
async fn while_redis_is_away_calls_of_one_process_share_a_body() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let gate = Arc::new(Gate::closed());
    gate.open();
    gated(&cache, &gate, 9).await;
    gate.close();
    server.kill();
    in_time("the breaker opens", async || {
        let refused = gated_entry(&cache, 2).get().await.expect_err("nobody is there");
        refused.kind() == ErrorKind::CircuitOpen
    })
    .await;
    let call = || {
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        tokio::spawn(async move { gated(&cache, &gate, 1).await })
    };
    let leader = call();
    gate.wait_for(2).await;
    let followers: Vec<_> = (0..50).map(|_| call()).collect();
    test_support::let_run().await;
    assert!(gated_entry(&cache, 1).invalidate().await.is_err(), "nobody to tell");
    // Its body may have read what is out of date now.
    let late = call();
    gate.wait_for(3).await;
    gate.open();
    assert_eq!(leader.await.unwrap(), 1002);
    for call in followers {
        assert_eq!(call.await.unwrap(), 1002);
    }
    assert_eq!(late.await.unwrap(), 1003);
}

/// A value whose encoding takes as long as a gate is closed.
struct Heavy(u64, Option<Arc<Gate>>);

impl serde::Serialize for Heavy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.1.iter().for_each(|gate| _ = gate.pass_blocking());
        serializer.serialize_u64(self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Heavy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::Deserialize::deserialize(deserializer).map(|value| Heavy(value, None))
    }
}

/// A body that has returned is none to share any more: what it read may be out of date for longer than it ran.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_redis_is_away_nobody_shares_a_body_that_has_returned() {
    #[redis_cached(prefix = "once", name = "heavy", cache = cache, skip(cache, gate, encoding))]
    async fn heavy(cache: &Cache, gate: &Gate, encoding: &Arc<Gate>, id: u64) -> Heavy {
        Heavy(id * 1000 + gate.pass().await as u64, Some(Arc::clone(encoding)))
    }
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().build();
    cache.ping().await.unwrap();
    proxy.set(Mode::Refuse);
    proxy.cut();
    let is_away = |error: redis_cached::Error| error.kind() == ErrorKind::CircuitOpen;
    in_time("the breaker opens", async || heavy_entry(&cache, 2).get().await.is_err_and(is_away)).await;
    let (gate, encoding) = (Arc::new(Gate::closed()), Arc::new(Gate::closed()));
    let call = || {
        let (cache, gate, encoding) = (cache.clone(), Arc::clone(&gate), Arc::clone(&encoding));
        tokio::spawn(async move { heavy(&cache, &gate, &encoding, 1).await.0 })
    };
    let leader = call();
    gate.wait_for(1).await;
    let early = call();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(gate.entered(), 1, "it waits for the first one's body");
    gate.open();
    encoding.wait_for(1).await;
    let late = call();
    gate.wait_for(2).await;
    encoding.open();
    assert_eq!((leader.await.unwrap(), early.await.unwrap(), late.await.unwrap()), (1001, 1001, 1002));
}

/// A call gets what the flight that it saw computes, and no other one of its key.
#[tokio::test]
async fn a_call_waits_for_the_lease_that_it_saw_and_no_other() {
    let server = Server::start();
    let [here, there] = [0, 1].map(|_| Cache::builder(&server.url()).unwrap().build());
    let (old, new) = (Arc::new(Gate::closed()), Arc::new(Gate::closed()));
    let spawn = |cache: &Cache, gate: &Arc<Gate>| {
        let (cache, gate) = (cache.clone(), Arc::clone(gate));
        tokio::spawn(async move { gated(&cache, &gate, 1).await })
    };
    let overtaken = spawn(&here, &old);
    old.wait_for(1).await;
    // By another process, which says so, and computes anew.
    assert!(gated_entry(&there, 1).invalidate().await.unwrap());
    let current = spawn(&there, &new);
    new.wait_for(1).await;
    let waiting: Vec<_> = (0..10).map(|_| spawn(&here, &new)).collect();
    settle(&here).await;
    old.open();
    assert_eq!(overtaken.await.unwrap(), 1001, "it began before");
    settle(&here).await;
    assert!(waiting.iter().all(|call| !call.is_finished()), "what they saw is still computed");
    new.open();
    assert_eq!(current.await.unwrap(), 1001);
    for call in waiting {
        assert_eq!(call.await.unwrap(), 1001);
    }
    assert_eq!((old.entered(), new.entered()), (1, 1));
}

/// The one that asks the store for all may be a future that nobody polls any more.
#[tokio::test]
async fn whoever_asks_for_all_and_falls_silent_is_replaced() {
    let server = Server::start();
    let [there, here] = [0, 1].map(|_| Cache::builder(&server.url()).unwrap().build());
    let gate = Arc::new(Gate::closed());
    let leader = {
        let (cache, gate) = (there.clone(), Arc::clone(&gate));
        tokio::spawn(async move { gated(&cache, &gate, 1).await })
    };
    gate.wait_for(1).await;
    let mut silent = Box::pin(gated(&here, &gate, 1));
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut silent).await.is_err());
    let second = {
        let (cache, gate) = (here.clone(), Arc::clone(&gate));
        tokio::spawn(async move { gated(&cache, &gate, 1).await })
    };
    settle(&here).await;
    gate.open();
    leader.await.unwrap();
    let begun = Instant::now();
    assert_eq!(second.await.unwrap(), 1001);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}, a lease is ten seconds", begun.elapsed());
    assert_eq!(gate.entered(), 1);
    assert_eq!(silent.await, 1001);
}

#[tokio::test]
async fn a_lease_that_an_outage_kept_from_being_given_back_makes_nobody_wait() {
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().build();
    let gate = Arc::new(Gate::closed());
    let leader = {
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        tokio::spawn(async move { gated(&cache, &gate, 1).await })
    };
    gate.wait_for(1).await;
    proxy.set(Mode::Refuse);
    proxy.cut();
    let is_away = |error: redis_cached::Error| error.kind() == ErrorKind::CircuitOpen;
    in_time("the breaker opens", async || cache.ping().await.is_err_and(is_away)).await;
    gate.open();
    assert_eq!(leader.await.unwrap(), 1001);
    proxy.set(Mode::Pass);
    in_time("it is back", async || cache.ping().await.is_ok()).await;
    let begun = Instant::now();
    assert_eq!(gated(&cache, &gate, 1).await, 1002);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}, a lease is ten seconds", begun.elapsed());
}

#[tokio::test]
async fn while_redis_is_away_a_write_sends_later_calls_to_a_new_body() {
    #[redis_cached(prefix = "once", name = "row", cache = cache, skip(cache, row, gate))]
    async fn read(cache: &Cache, row: &AtomicUsize, gate: &Gate, id: u64) -> usize {
        let value = row.load(SeqCst) * id as usize;
        gate.pass().await;
        value
    }
    let cache = Cache::builder("redis://127.0.0.1:1").unwrap().build();
    let is_away = |error: redis_cached::Error| error.kind() == ErrorKind::CircuitOpen;
    in_time("the breaker opens", async || cache.ping().await.is_err_and(is_away)).await;
    let row = Arc::new(AtomicUsize::new(1));
    let (reading, writing) = (Arc::new(Gate::closed()), Arc::new(Gate::closed()));
    let write = {
        let (cache, row, writing) = (cache.clone(), Arc::clone(&row), Arc::clone(&writing));
        tokio::spawn(async move {
            let write = async || {
                writing.pass().await;
                row.store(2, SeqCst);
                Err::<(), _>("its reply was lost")
            };
            read_entry(&cache, 1).write_through(&2, write).await
        })
    };
    writing.wait_for(1).await;
    let call = || {
        let (cache, row, reading) = (cache.clone(), Arc::clone(&row), Arc::clone(&reading));
        tokio::spawn(async move { read(&cache, &row, &reading, 1).await })
    };
    let early = call();
    reading.wait_for(1).await;
    writing.open();
    assert!(write.await.unwrap().is_err());
    let late = call();
    reading.wait_for(2).await;
    reading.open();
    assert_eq!((early.await.unwrap(), late.await.unwrap()), (1, 2));
}
