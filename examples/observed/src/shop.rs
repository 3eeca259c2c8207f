//! The cached functions of a shop. What they read is slow, and sometimes fails.

use std::collections::BTreeMap;
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use tokio::time::sleep;

/// A database that takes a few milliseconds.
async fn query(millis: u64) {
    sleep(Duration::from_millis(millis + fastrand::u64(0..=millis))).await;
}

/// The service of a payment provider, which fails now and then.
#[derive(Clone, Debug)]
pub(crate) struct Unavailable;

/// A product, which is read all the time and rarely changes: hits come from this process.
#[redis_cached(ttl = "1m", local = 1_000, tags = ["products"], cache = cache, skip(cache))]
pub(crate) async fn product(cache: &Cache, id: u64) -> String {
    query(8).await;
    format!("product {id}")
}

/// The products of a page, each of which has an entry of its own.
#[redis_cached(ttl = "30s", batch(id in ids), cache = cache, skip(cache))]
pub(crate) async fn stocks(cache: &Cache, ids: &[u64]) -> BTreeMap<u64, u64> {
    query(15).await;
    // A product that is not known has no stock.
    ids.iter().filter(|id| *id % 17 != 0).map(|id| (*id, id % 40)).collect()
}

/// A price that may be a moment old: it is refreshed in the background.
#[redis_cached(ttl = "2s", stale_while_revalidate = "30s", cache = cache, skip(cache))]
pub(crate) async fn price(cache: &Cache, id: u64) -> u64 {
    query(25).await;
    100 + id * 3 % 500
}

/// A customer, or none.
#[redis_cached(ttl = "20s", none_ttl = "5s", cache = cache, skip(cache))]
pub(crate) async fn customer(cache: &Cache, mail: &str) -> Option<String> {
    query(10).await;
    (!mail.starts_with("nobody")).then(|| mail.to_uppercase())
}

/// The rate of a currency, of which an old one is better than none.
#[redis_cached(ttl = "1s", stale_if_error = "1h", cache = cache, skip(cache))]
pub(crate) async fn rate(cache: &Cache, currency: &str) -> Result<f64, Unavailable> {
    query(60).await;
    if fastrand::u8(..) < 50 { Err(Unavailable) } else { Ok(currency.len() as f64 * 0.37) }
}

/// A report that takes long, and that many ask for at once: one of them computes it.
#[redis_cached(ttl = "5s", cache = cache, skip(cache))]
pub(crate) async fn report(cache: &Cache, month: u32) -> Vec<u64> {
    query(400).await;
    (0..u64::from(month) * 200).collect()
}
