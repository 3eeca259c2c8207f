//! Many calls at once, in tasks, threads and processes.

use super::*;

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
    // This test needs no outage, and a machine that is busy with all of them may be slow.
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
