//! The values and functions that all subjects cache.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A value whose size is that of its text.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, hitbox_fn::CacheableResponse)]
pub struct Item {
    pub id: u64,
    pub text: String,
}

pub fn item(size: u32, id: u64) -> Item {
    Item { id, text: "x".repeat(size as usize) }
}

/// The size of a value that delays other replies on its connection.
pub const LARGE: u32 = 5_000_000;

/// Rows as a query returns them.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, hitbox_fn::CacheableResponse)]
pub struct Users {
    pub rows: Vec<(i64, String, String)>,
}

pub fn users(count: u64) -> Users {
    Users { rows: (0..count as i64).map(|id| (id, format!("user {id}"), format!("user{id}@example.org"))).collect() }
}

/// The time that the slow body takes.
pub const BODY: Duration = Duration::from_millis(50);

/// The number of runs of the slow body in this process.
pub static RUNS: AtomicUsize = AtomicUsize::new(0);

/// The slow body.
pub async fn slow(id: u64) -> u64 {
    RUNS.fetch_add(1, SeqCst);
    tokio::time::sleep(BODY).await;
    id
}

/// The slow body of a plain function.
pub fn slow_blocking(id: u64) -> u64 {
    RUNS.fetch_add(1, SeqCst);
    std::thread::sleep(BODY);
    id
}
