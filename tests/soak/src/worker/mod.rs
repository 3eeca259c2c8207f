//! A process with callers: tasks and threads that read, and that write and tell the cache.

mod functions;
mod judge;
mod origin;
mod probe;
mod readers;
mod row;
mod writers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use redis_cached::Cache;
use tokio::runtime::Runtime;

pub(crate) use self::judge::{COLUMNS, Harm};
use self::judge::{HUNG, Judge};
use self::origin::{Origin, PlainOrigin};
use crate::measures::Measures;

/// The first argument of such a process.
pub(crate) const COMMAND: &str = "worker";

const TASKS: u64 = 12;
const THREADS: u64 = 3;

/// The things that callers of one kind of Redis share.
struct Scene {
    cache: Cache,
    judge: Arc<Judge>,
    /// The number of the kind, which tells its ids from those of other kinds.
    kind: u64,
    process: u64,
    processes: u64,
    over: AtomicBool,
}

impl Scene {
    fn goes_on(&self) -> bool {
        !self.over.load(Relaxed)
    }
}

/// A process, which does what it reads from its input.
struct Worker {
    process: u64,
    processes: u64,
    origin: String,
    runtime: Runtime,
    judge: Arc<Judge>,
    caches: BTreeMap<u64, Cache>,
    callers: Option<Callers>,
}

/// Running callers.
struct Callers {
    scene: Arc<Scene>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    threads: Vec<JoinHandle<()>>,
    /// The hits of the cache when they were last counted.
    hits: u64,
}

/// Runs until the input ends.
pub(crate) fn run(part: &[String]) {
    let [process, processes, origin] = part else { panic!("this command is for the program itself") };
    let judge = Arc::new(Judge::new());
    judge::watch(&judge);
    let mut worker = Worker {
        process: process.parse().expect("a number"),
        processes: processes.parse().expect("a number"),
        origin: origin.clone(),
        runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("it starts"),
        judge,
        caches: BTreeMap::new(),
        callers: None,
    };
    for order in std::io::stdin().lines() {
        println!("{}", worker.obey(&order.expect("orders are text")));
    }
    // Threads that hang do not keep the process.
    std::process::exit(0);
}

impl Worker {
    fn obey(&mut self, order: &str) -> String {
        let words: Vec<&str> = order.split(' ').collect();
        match *words {
            ["start", kind, url] => self.start(kind.parse().expect("a number"), url),
            ["open", harm] => self.judge.open(Harm::parse(harm)),
            ["healed"] => return self.await_hits(),
            ["close"] => self.judge.close(),
            ["count"] => return self.count(),
            ["stop"] => self.stop(),
            ["measure"] => return Measures::of_this_process().words(),
            _ => panic!("this order is not known: {order}"),
        }
        "done".to_owned()
    }

    fn start(&mut self, kind: u64, url: &str) {
        let (process, processes) = (self.process, self.processes);
        let cache = self.caches.entry(kind).or_insert_with(|| {
            let builder = Cache::builder(url).expect("the URL is right").client_name(format!("soak-{process}"));
            builder.build()
        });
        let cache = cache.clone();
        self.judge.watch_cache(&cache);
        let judge = Arc::clone(&self.judge);
        let hits = hits(&cache);
        let scene = Arc::new(Scene { cache, judge, kind, process, processes, over: AtomicBool::new(false) });
        let origin = Arc::new(self.runtime.block_on(Origin::connect(&self.origin, &scene)));
        let mut tasks = Vec::new();
        for _ in 0..TASKS {
            tasks.push(self.runtime.spawn(readers::reads(Arc::clone(&scene), Arc::clone(&origin))));
        }
        tasks.push(self.runtime.spawn(writers::writes(Arc::clone(&scene), Arc::clone(&origin))));
        let mut threads = Vec::new();
        for number in 0..=THREADS {
            let (scene, origin) = (Arc::clone(&scene), PlainOrigin::connect(&self.origin, &scene));
            threads.push(thread::spawn(move || match number {
                0 => writers::plain_writes(&scene, &origin),
                _ => readers::plain_reads(&scene, &origin),
            }));
        }
        self.callers = Some(Callers { scene, tasks, threads, hits });
    }

    fn callers(&mut self) -> &mut Callers {
        self.callers.as_mut().expect("callers run")
    }

    /// Waits until calls hit again, and returns after how many microseconds they did.
    fn await_hits(&mut self) -> String {
        let (cache, process, begun) = (self.callers().scene.cache.clone(), self.process, Instant::now());
        let by_thread = {
            let cache = cache.clone();
            thread::spawn(move || probe::await_hits_plain(&cache, process))
        };
        let by_task = self.runtime.block_on(probe::await_hits(&cache, process));
        match by_task && by_thread.join().unwrap_or(false) {
            true => begun.elapsed().as_micros().to_string(),
            false => "never".to_owned(),
        }
    }

    fn count(&mut self) -> String {
        let callers = self.callers();
        let now = hits(&callers.scene.cache);
        let new = now - std::mem::replace(&mut callers.hits, now);
        let counts = self.judge.take_counts(new);
        counts.map(|count| count.to_string()).join(" ")
    }

    fn stop(&mut self) {
        let Some(Callers { scene, tasks, threads, .. }) = self.callers.take() else { return };
        scene.over.store(true, Relaxed);
        let begun = Instant::now();
        let all_ended = || tasks.iter().all(|task| task.is_finished()) && threads.iter().all(JoinHandle::is_finished);
        // The judge counts those that do not end.
        while !all_ended() && begun.elapsed() < HUNG * 2 {
            thread::sleep(Duration::from_millis(5));
        }
        for task in tasks.into_iter().filter(|task| task.is_finished()) {
            if let Err(panic) = self.runtime.block_on(task) {
                self.judge.failed(&format!("a task ended: {panic}"));
            }
        }
        for thread in threads.into_iter().filter(JoinHandle::is_finished) {
            if thread.join().is_err() {
                self.judge.failed("a thread panicked");
            }
        }
    }
}

/// Old values among them.
fn hits(cache: &Cache) -> u64 {
    let stats = cache.stats();
    stats.hits + stats.stale
}

/// Below `end`; another sequence in each process.
fn random(end: u64) -> u64 {
    static STATE: AtomicU64 = AtomicU64::new(0);
    let step = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed).wrapping_add(u64::from(std::process::id()) << 32);
    let mixed = (step ^ step >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ mixed >> 31) % end
}

fn random_micros(end: u64) -> Duration {
    Duration::from_micros(random(end))
}
