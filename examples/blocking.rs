//! Plain functions and plain threads: the attribute needs no async runtime.
//!
//! ```sh
//! cargo run --example blocking
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --example blocking
//! ```
//!
//! Eight threads ask for the same number at once. One of them computes it, the others wait for
//! that one. With `REDIS_URL`, and two terminals, the threads of both processes wait for one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use redis_cached::redis_cached;

static RUNS: AtomicUsize = AtomicUsize::new(0);

#[redis_cached(ttl = "1m")]
fn primes_below(limit: u64) -> usize {
    RUNS.fetch_add(1, Ordering::Relaxed);
    let is_prime = |n: &u64| (2..).take_while(|d| d * d <= *n).all(|d| n % d != 0);
    (2..limit).filter(is_prime).count()
}

const LIMIT: u64 = 500_000;

fn main() -> Result<(), redis_cached::Error> {
    // Whatever an earlier run left in Redis would make the race below end before it starts.
    primes_below_entry(LIMIT).invalidate()?;

    let start = Instant::now();
    thread::scope(|scope| {
        for number in 1..=8 {
            scope.spawn(move || {
                let primes = primes_below(LIMIT);
                println!("thread {number}: {primes} primes below {LIMIT}, known after {:.1?}", start.elapsed());
            });
        }
    });
    println!("8 threads asked, the body ran {} time(s)", RUNS.load(Ordering::Relaxed));

    let start = Instant::now();
    let primes = primes_below(LIMIT);
    println!("one more call: {primes} primes, known after {:.1?}", start.elapsed());

    // The body itself is there too, for whoever must not be told an old number.
    let start = Instant::now();
    let primes = primes_below_uncached(LIMIT);
    println!("without the cache: {primes} primes, known after {:.1?}", start.elapsed());
    Ok(())
}
