//! The values and functions that all subjects cache.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
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

/// The origin of rows that change: keys that no library uses, on the same server.
static ORIGIN: OnceLock<MultiplexedConnection> = OnceLock::new();

const NOTES: &str = "note:";

pub fn note(name: &str, id: u64) -> String {
    format!("{NOTES}{name}:{id}")
}

/// Connects to the origin of rows.
pub async fn connect(url: &str) -> redis::RedisResult<()> {
    let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    ORIGIN.get_or_init(|| connection);
    Ok(())
}

fn origin() -> MultiplexedConnection {
    ORIGIN.get().expect("connected").clone()
}

/// The version of a row, which a cached function reads.
pub async fn version(id: u64) -> u64 {
    let version: Option<u64> = origin().get(note("origin", id)).await.expect("the origin answers");
    version.unwrap_or(0)
}

/// Changes a row, and returns its new version.
pub async fn change(id: u64) -> redis::RedisResult<u64> {
    origin().incr(note("origin", id), 1).await
}

/// Deletes what a library has stored on the server: its own verb for that in another process is not more.
pub async fn delete_stored() -> redis::RedisResult<()> {
    let mut connection = origin();
    let keys: Vec<String> = connection.keys("*").await?;
    let stored: Vec<String> = keys.into_iter().filter(|key| !key.starts_with(NOTES)).collect();
    if stored.is_empty() { Ok(()) } else { connection.del(stored).await }
}
