//! The load: customers that look at products, some of them far more often than others, and an editor that changes some.

use std::time::Duration;

use redis_cached::Cache;
use tokio::time::sleep;

use crate::shop;

const CUSTOMERS: usize = 12;

/// Starts it, in tasks that run as long as the program.
pub(crate) fn start(cache: &Cache) {
    for _ in 0..CUSTOMERS {
        tokio::spawn(visits(cache.clone()));
    }
    tokio::spawn(edits(cache.clone()));
}

/// A number below `count`; small ones are frequent.
fn skewed(count: u64) -> u64 {
    (fastrand::f64().powi(4) * count as f64) as u64
}

/// What a customer asks for.
async fn visits(cache: Cache) {
    const CURRENCIES: [&str; 3] = ["EUR", "JPY", "NOK"];
    loop {
        let id = skewed(2_000);
        match fastrand::u8(0..20) {
            0 => drop(shop::stocks(&cache, &[id, id + 1, id + 2, id + 3]).await),
            1 => drop(shop::customer(&cache, &format!("customer{}@example.org", skewed(300))).await),
            2 => drop(shop::customer(&cache, &format!("nobody{}@example.org", skewed(30))).await),
            // The checkout tells the customer if there is no rate; the load does not mind.
            3 => drop(shop::rate(&cache, CURRENCIES[fastrand::usize(..CURRENCIES.len())]).await),
            4 => drop(shop::report(&cache, fastrand::u32(1..4)).await),
            5..=9 => drop(shop::price(&cache, skewed(200)).await),
            _ => drop(shop::product(&cache, id).await),
        }
        sleep(Duration::from_millis(fastrand::u64(1..20))).await;
    }
}

/// What an editor changes. An invalidation that cannot be delivered is kept by the cache, and delivered later.
async fn edits(cache: Cache) {
    for round in 1_u64.. {
        sleep(Duration::from_millis(250)).await;
        let _ = shop::product_entry(&cache, skewed(2_000)).invalidate().await;
        if round % 60 == 0 {
            let _ = cache.invalidate_tag("products").await;
        }
    }
}
