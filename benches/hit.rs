//! What a hit costs beside a `GET` and a decode written by hand, on the same kind of connection.
//!
//! `cargo bench --bench hit` starts a server of its own. Subjects take turns, round by round; the
//! figure is the median of the rounds' ratios, for absolute times drift with the machine.

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use redis::AsyncCommands as _;
use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};
use support::Server;

const ROUNDS: usize = 41;

#[derive(Serialize, Deserialize, Clone, Debug)]
struct User {
    id: u64,
    name: String,
    email: String,
}

fn make(id: u64) -> User {
    User { id, name: "Ada Lovelace".to_owned(), email: "ada@example.org".to_owned() }
}

#[redis_cached(prefix = "bench", name = "user", ttl = "1h", cache = cache, skip(cache))]
async fn user(cache: &Cache, id: u64) -> User {
    make(id)
}

#[redis_cached(prefix = "bench", name = "user_blocking", ttl = "1h", cache = cache, skip(cache))]
fn user_blocking(cache: &Cache, id: u64) -> User {
    make(id)
}

#[redis_cached(prefix = "bench", name = "table", ttl = "1h", cache = cache, skip(cache))]
async fn table(cache: &Cache, rows: i64) -> Vec<(i64, String, String)> {
    (0..rows).map(|id| (id, format!("user {id}"), format!("user{id}@example.org"))).collect()
}

fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, bincode::config::standard()).expect("it encodes")
}

fn decoded<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> T {
    bincode::serde::decode_from_slice(bytes, bincode::config::standard()).expect("it decodes").0
}

/// The key, as one would write it.
fn user_key(id: u64) -> String {
    format!("by_hand:{}", black_box(id))
}

/// Runs the two subjects in turn, first one then the other first, and prints the figures.
struct Paired {
    name: &'static str,
    by_hand: Vec<Duration>,
    cached: Vec<Duration>,
}

impl Paired {
    fn new(name: &'static str) -> Paired {
        Paired { name, by_hand: Vec::new(), cached: Vec::new() }
    }

    fn print(self, operations: u32) {
        let median = |mut figures: Vec<f64>| {
            figures.sort_by(f64::total_cmp);
            let quarter = figures.len() / 4;
            (figures[quarter], figures[figures.len() / 2], figures[figures.len() - 1 - quarter])
        };
        let micros = |times: &[Duration]| {
            median(times.iter().map(|time| time.as_secs_f64() * 1e6 / f64::from(operations)).collect()).1
        };
        let ratios = self.by_hand.iter().zip(&self.cached).map(|(by_hand, cached)| cached.div_duration_f64(*by_hand));
        let (low, middle, high) = median(ratios.collect());
        println!(
            "{:28} by hand {:9.2} µs   cached {:9.2} µs   ratio {middle:.3} (middle half {low:.3} to {high:.3})",
            self.name,
            micros(&self.by_hand),
            micros(&self.cached),
        );
    }
}

macro_rules! paired {
    ($name:expr, $operations:expr, $by_hand:expr, $cached:expr) => {{
        let mut paired = Paired::new($name);
        for round in 0..ROUNDS {
            for turn in 0..2 {
                let started = Instant::now();
                if (round + turn) % 2 == 0 {
                    for _ in 0..$operations {
                        black_box($by_hand);
                    }
                    paired.by_hand.push(started.elapsed());
                } else {
                    for _ in 0..$operations {
                        black_box($cached);
                    }
                    paired.cached.push(started.elapsed());
                }
            }
        }
        paired.print($operations);
    }};
}

/// All of `tasks` at once, each `rounds` times.
async fn at_once<F: Future<Output = ()> + Send + 'static>(tasks: u32, make: impl Fn() -> F) {
    let tasks: Vec<_> = (0..tasks).map(|_| tokio::spawn(make())).collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

fn main() {
    // `cargo test --benches` builds and runs this too, without wanting figures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).expect("a URL").build();
    let client = redis::Client::open(server.url()).expect("a URL");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut connection = client.get_multiplexed_async_connection().await.expect("the server answers");
        let () = connection.set("by_hand:1", encoded(&make(1))).await.expect("stored");
        user(&cache, 1).await;
        paired!(
            "async, one after another",
            2_000,
            {
                let bytes: Vec<u8> = connection.get(user_key(1)).await.expect("there");
                decoded::<User>(&bytes)
            },
            user(&cache, 1).await
        );

        let rows = table(&cache, 100_000).await;
        let () = connection.set("by_hand:table", encoded(&rows)).await.expect("stored");
        paired!(
            "async, 100,000 rows",
            5,
            {
                let bytes: Vec<u8> = connection.get("by_hand:table").await.expect("there");
                decoded::<Vec<(i64, String, String)>>(&bytes)
            },
            table(&cache, 100_000).await
        );
    });

    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for tasks in [64, 256] {
        runtime.block_on(async {
            let connection = client.get_multiplexed_async_connection().await.expect("the server answers");
            let by_hand = || {
                let mut connection = connection.clone();
                async move {
                    for _ in 0..50 {
                        let bytes: Vec<u8> = connection.get(user_key(1)).await.expect("there");
                        black_box(decoded::<User>(&bytes));
                    }
                }
            };
            let cached = || {
                let cache = cache.clone();
                async move {
                    for _ in 0..50 {
                        black_box(user(&cache, 1).await);
                    }
                }
            };
            let name = if tasks == 64 { "async, 64 at once (× 50)" } else { "async, 256 at once (× 50)" };
            paired!(name, 2, at_once(tasks, by_hand).await, at_once(tasks, cached).await);
        });
    }

    let mut connection = client.get_connection().expect("the server answers");
    user_blocking(&cache, 1);
    paired!(
        "plain fn",
        2_000,
        {
            let bytes: Vec<u8> = redis::cmd("GET").arg(user_key(1)).query(&mut connection).expect("there");
            decoded::<User>(&bytes)
        },
        user_blocking(&cache, 1)
    );
    let stats = cache.stats();
    assert_eq!((stats.bypasses, stats.misses), (0, 3), "all others were hits: {stats:?}");
}
