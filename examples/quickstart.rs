//! Makes a slow function fast with one attribute. No call site changes.
//!
//! ```sh
//! cargo run --example quickstart
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --example quickstart
//! ```
//!
//! Without `REDIS_URL`, the results are stored in the memory of this process. With it, they are in
//! Redis: run the second line twice, and the first call of the second run is already a hit.

use std::time::{Duration, Instant};

use redis_cached::redis_cached;
use serde::{Deserialize, Serialize};

/// Every type that serde can write and read back can be cached.
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

    // The attribute also generated `report_entry`, which returns the cache entry of the same
    // arguments. Invalidate it when the data changes.
    let entry = report_entry(2026);
    println!("invalidate {}: {}", entry.key()?, if entry.invalidate().await? { "done" } else { "nothing was there" });
    call("third call").await;

    if std::env::var("REDIS_URL").is_ok_and(|url| !url.is_empty()) {
        println!("The report stays in Redis for five minutes: run this again, and the first call is a hit.");
    } else {
        println!("Set REDIS_URL=redis://127.0.0.1:6379 to share results with other processes and later runs.");
    }
    Ok(())
}
