//! Caches plain functions on plain threads: the attribute needs no async runtime.
//!
//! ```sh
//! cargo run --example blocking
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --example blocking
//! ```
//!
//! Four threads compute one number each. Then four others ask for the same numbers, and then four ask
//! for one new number at the same time: one computes it, and three wait. Without `REDIS_URL`, the
//! threads share the numbers in the memory of this process. With it, Redis stores them for a minute,
//! and a second run computes none of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use redis_cached::redis_cached;

static RUNS: AtomicUsize = AtomicUsize::new(0);

#[redis_cached(ttl = "1m")]
fn primes_below(limit: u64) -> usize {
    RUNS.fetch_add(1, Ordering::Relaxed);
    let is_prime = |n: &u64| (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (2..limit).filter(is_prime).count()
}

fn count(limit: u64) {
    let start = Instant::now();
    let primes = primes_below(limit);
    println!("  {primes} primes below {limit}, known after {:.1?}", start.elapsed());
}

fn main() -> Result<(), redis_cached::Error> {
    for (round, limits) in [
        ("Four threads", [100_000, 200_000, 300_000, 400_000]),
        ("Four more threads", [100_000, 200_000, 300_000, 400_000]),
        ("Four threads with one new number", [500_000; 4]),
    ] {
        println!("{round}");
        let before = RUNS.load(Ordering::Relaxed);
        thread::scope(|scope| {
            for limit in limits {
                scope.spawn(move || count(limit));
            }
        });
        println!("  runs of the body: {}", RUNS.load(Ordering::Relaxed) - before);
    }

    // The entry of a plain function has blocking methods. Each argument has its own entry: this
    // invalidates one number of the four.
    let entry = primes_below_entry(400_000);
    if let Some(left) = entry.ttl()? {
        println!("{} would live for another {left:.0?}; now it is invalidated", entry.key()?);
    }
    entry.invalidate()?;
    count(400_000);
    count(300_000);
    Ok(())
}
