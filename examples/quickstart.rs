//! A slow function becomes a fast one: one attribute, and no call site changes.
//!
//! ```sh
//! cargo run --example quickstart
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --example quickstart
//! ```
//!
//! Without `REDIS_URL` the results are kept in the memory of this process. With it they are in
//! Redis: run the second line twice, and already the first call of the second run is a hit.

use std::time::{Duration, Instant};

use redis_cached::redis_cached;
use serde::{Deserialize, Serialize};

/// Whatever serde can write and read back can be cached.
#[derive(Serialize, Deserialize)]
struct Report {
    year: u32,
    orders: u64,
}

#[redis_cached(ttl = "5m")]
async fn report(year: u32) -> Report {
    println!("    … running the body, which takes a second …");
    tokio::time::sleep(Duration::from_secs(1)).await;
    Report { year, orders: u64::from(year) * 1_000 + 42 }
}

async fn call(title: &str) {
    let start = Instant::now();
    let Report { year, orders } = report(2026).await;
    println!("{title}: {orders} orders in {year}, known after {:.1?}", start.elapsed());
}

#[tokio::main]
async fn main() -> Result<(), redis_cached::Error> {
    call("first call").await;
    call("second call").await;

    // Beside `report`, the attribute made `report_entry`: what the cache holds for the same
    // arguments. Ask it to forget when the data changes.
    let entry = report_entry(2026);
    println!("forget {}: {}", entry.key()?, if entry.invalidate().await? { "done" } else { "nothing was there" });
    call("third call").await;

    if std::env::var("REDIS_URL").is_ok_and(|url| !url.is_empty()) {
        println!("The report stays in Redis for five minutes: run this again, and the first call is a hit.");
    } else {
        println!("Set REDIS_URL=redis://127.0.0.1:6379 to share results with other processes and later runs.");
    }
    Ok(())
}
