//! One cold key, and many calls of several processes, in tasks and in threads: one body runs for all of them. If its process
//! is killed, exactly one other body takes its place.
//!
//! The same holds for each kind of Redis: a server (in the binary `promises`), one that speaks TLS (`tls`), one that
//! sentinels know (`sentinel`), and a cluster (`cluster`).

use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use test_support::{PATIENCE, Server, child, eventually};
use tokio::task::JoinSet;

use crate::started;

const LEASE: Duration = Duration::from_secs(2);
/// More than the time that a lease lasts by itself.
const LONGER: Duration = Duration::from_millis(2_500);

/// How long the body took, in the process where it ran in a task.
static BODY: OnceLock<Duration> = OnceLock::new();

/// The id of the cold entry.
pub(crate) const ID: u64 = 7;

/// An origin that counts bodies and notes their processes.
struct Origin {
    url: String,
    body: Body,
}

/// When a body ends.
#[derive(Clone, Copy)]
pub(crate) enum Body {
    /// After this time.
    After(Duration),
    /// When the parent says so.
    WhenTold,
}

impl Origin {
    fn connection(&self) -> redis::Connection {
        redis::Client::open(&*self.url).unwrap().get_connection().unwrap()
    }

    /// The number of a body that begins.
    fn begin(&self) -> u64 {
        let mut command = redis::pipe();
        command.cmd("RPUSH").arg("bodies").arg(std::process::id());
        let (number,): (u64,) = command.query(&mut self.connection()).unwrap();
        number
    }

    fn has_told(&self) -> bool {
        redis::cmd("EXISTS").arg("told").query(&mut self.connection()).unwrap()
    }
}

#[redis_cached(
    prefix = "stampede", name = "number", key = "{id}", lease = LEASE, wait = "2m", cache = cache, skip(cache, origin)
)]
async fn number(cache: &Cache, origin: &Origin, id: u64) -> u64 {
    let begun = Instant::now();
    let number = origin.begin();
    match origin.body {
        Body::After(time) => tokio::time::sleep(time).await,
        Body::WhenTold => {
            while !origin.has_told() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    let _ = BODY.set(begun.elapsed());
    id * 1_000 + number
}

#[redis_cached(
    prefix = "stampede", name = "number", key = "{id}", lease = LEASE, wait = "2m", cache = cache, skip(cache, origin)
)]
fn number_plain(cache: &Cache, origin: &Origin, id: u64) -> u64 {
    let number = origin.begin();
    match origin.body {
        Body::After(time) => thread::sleep(time),
        Body::WhenTold => eventually("the body may end", || {
            thread::sleep(Duration::from_millis(5));
            origin.has_told()
        }),
    }
    id * 1_000 + number
}

/// Makes the connections and the scripts known, which the first call of all takes longer for.
#[redis_cached(prefix = "stampede", name = "warm", cache = cache, skip(cache))]
async fn warm(cache: &Cache, process: u32) -> u32 {
    process
}

/// The key of the cold entry.
#[allow(dead_code, reason = "a cluster has it at one of its nodes")]
pub(crate) fn key(cache: &Cache) -> String {
    number_entry(cache, ID).key().unwrap().to_owned()
}

/// The calls of each process.
#[derive(Clone, Copy)]
pub(crate) struct Calls {
    pub(crate) processes: usize,
    /// In each process.
    pub(crate) tasks: usize,
    /// In each process.
    pub(crate) threads: usize,
    pub(crate) body: Body,
}

pub(crate) const CALLS: Calls = Calls { processes: 4, tasks: 100, threads: 8, body: Body::WhenTold };

/// In a child: its part.
const CHILD: &str = "REDIS_CACHED_TEST_CHILD";

/// Takes part in a stampede, if this process was started for it.
pub(crate) fn took_part() -> bool {
    let Ok(part) = std::env::var(CHILD) else { return false };
    let words: Vec<&str> = part.split(' ').collect();
    let [url, origin, tasks, threads, body] = words[..] else { panic!("{part}") };
    let [tasks, threads] = [tasks, threads].map(|count| count.parse::<usize>().unwrap());
    let body = body.parse().map_or(Body::WhenTold, |millis| Body::After(Duration::from_millis(millis)));
    let origin = || Origin { url: origin.to_owned(), body };
    // These tests need no outage, and a machine that is busy with all of them may be slow.
    let cache = Cache::builder(url).unwrap().timeout(PATIENCE).build();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    assert_eq!(runtime.block_on(warm(&cache, std::process::id())), std::process::id());
    number_plain_entry(&cache, 0).get().unwrap();
    let mut connection = origin().connection();
    redis::cmd("INCR").arg("ready").exec(&mut connection).unwrap();
    eventually("the start", || redis::cmd("EXISTS").arg("go").query(&mut connection) == Ok(1));
    let begun = Instant::now();
    let mut values = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| number_plain(&cache, &origin(), ID))).collect();
        let mut calls = JoinSet::new();
        for _ in 0..tasks {
            let (cache, origin) = (cache.clone(), origin());
            calls.spawn_on(async move { number(&cache, &origin, ID).await }, runtime.handle());
        }
        let mut values = runtime.block_on(calls.join_all());
        values.extend(threads.into_iter().map(|thread| thread.join().unwrap()));
        values
    });
    let elapsed = begun.elapsed();
    assert_eq!(values.len(), tasks + threads);
    values.dedup();
    // The end of this process does not take the processors from those that still measure.
    thread::sleep(Duration::from_millis(100));
    println!("said: {values:?} after {elapsed:?}, body {:?}, {:?}", BODY.get(), cache.stats());
    true
}

/// Processes that call for one cold key at once.
pub(crate) struct Stampede {
    origin: Server,
    children: Vec<Child>,
}

impl Stampede {
    /// Runs `test`, which has to begin with [`took_part`], in processes of its own, and waits until a body runs.
    pub(crate) fn start(module: &str, test: &str, url: &str, calls: Calls) -> Stampede {
        let origin = Server::start();
        let Calls { processes, tasks, threads, body } = calls;
        let body = match body {
            Body::After(time) => time.as_millis().to_string(),
            Body::WhenTold => "when-told".to_owned(),
        };
        let part = format!("{url} {} {tasks} {threads} {body}", origin.url());
        let start = |_| {
            let mut command = child(module, test);
            command.env(CHILD, &part).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        let stampede = Stampede { children: (0..processes).map(start).collect(), origin };
        eventually("the processes are ready", || stampede.origin.cli(&["GET", "ready"]) == processes.to_string());
        stampede.origin.cli(&["SET", "go", "1"]);
        eventually("a body runs", || stampede.bodies() > 0);
        stampede
    }

    /// How many bodies have begun.
    pub(crate) fn bodies(&self) -> usize {
        self.processes().len()
    }

    /// The process of each body.
    fn processes(&self) -> Vec<u32> {
        redis::cmd("LRANGE").arg("bodies").arg(0).arg(-1).query(&mut self.origin.connection()).unwrap()
    }

    /// Kills the process of the last body.
    fn kill_leader(&mut self) {
        let leader = *self.processes().last().expect("a body runs");
        let at = self.children.iter().position(|child| child.id() == leader).expect("one of these");
        let mut child = self.children.swap_remove(at);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Lets the body end, and checks that it is the one of this number, that it is the last, and that all calls of all
    /// processes got its value.
    pub(crate) fn ends_with(mut self, number: usize) {
        self.origin.cli(&["SET", "told", "1"]);
        for child in std::mem::take(&mut self.children) {
            let output = child.wait_with_output().unwrap();
            let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{text}\n{errors}");
            let said = text.lines().find_map(|line| Some(line.split_once("said: ")?.1));
            let said = said.unwrap_or_else(|| panic!("{text}\n{errors}"));
            println!("{said}");
            assert!(said.starts_with(&format!("[{}]", ID * 1_000 + number as u64)), "{said}");
        }
        assert_eq!(self.bodies(), number);
    }
}

impl Drop for Stampede {
    /// The test failed.
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs one body for so many calls.
pub(crate) fn once(module: &str, test: &str, calls: Calls) {
    if took_part() {
        return;
    }
    let place = started();
    Stampede::start(module, test, place.url(), calls).ends_with(1);
}

#[test]
fn four_processes_of_a_hundred_tasks_run_a_body_once() {
    let calls = Calls { threads: 0, body: Body::After(Duration::from_millis(100)), ..CALLS };
    once(module_path!(), "four_processes_of_a_hundred_tasks_run_a_body_once", calls);
}

#[test]
fn four_processes_of_tasks_and_threads_run_a_body_once() {
    let calls = Calls { body: Body::After(Duration::from_millis(100)), ..CALLS };
    once(module_path!(), "four_processes_of_tasks_and_threads_run_a_body_once", calls);
}

/// A body that takes six seconds, or as many as `REDIS_CACHED_BODY_SECONDS` says.
fn of_many_leases() -> Body {
    let seconds = std::env::var("REDIS_CACHED_BODY_SECONDS").map_or(6, |seconds| seconds.parse().unwrap());
    Body::After(Duration::from_secs(seconds))
}

#[test]
fn four_processes_of_a_hundred_tasks_run_a_body_of_many_leases_once() {
    let calls = Calls { threads: 0, body: of_many_leases(), ..CALLS };
    once(module_path!(), "four_processes_of_a_hundred_tasks_run_a_body_of_many_leases_once", calls);
}

#[test]
fn four_processes_of_tasks_and_threads_run_a_body_of_many_leases_once() {
    let calls = Calls { body: of_many_leases(), ..CALLS };
    once(module_path!(), "four_processes_of_tasks_and_threads_run_a_body_of_many_leases_once", calls);
}

/// The process that runs the body is killed while all others wait for it.
fn killed(test: &str, calls: Calls) {
    if took_part() {
        return;
    }
    let place = started();
    let mut stampede = Stampede::start(module_path!(), test, place.url(), calls);
    // It lives longer than its first lease.
    thread::sleep(LONGER);
    assert_eq!(stampede.bodies(), 1, "it is waited for");
    stampede.kill_leader();
    eventually("another body runs", || stampede.bodies() > 1);
    // The next one renews its lease, too.
    thread::sleep(LONGER);
    stampede.ends_with(2);
}

#[test]
fn a_killed_process_of_tasks_is_replaced_by_one_body() {
    killed("a_killed_process_of_tasks_is_replaced_by_one_body", Calls { threads: 0, ..CALLS });
}

#[test]
fn a_killed_process_of_threads_is_replaced_by_one_body() {
    killed("a_killed_process_of_threads_is_replaced_by_one_body", Calls { tasks: 0, threads: 50, ..CALLS });
}
