//! Waits until calls hit again.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};

use super::judge::HUNG;

/// Enough for each node of a cluster to have some.
const IDS: u64 = 24;
const PAUSE: Duration = Duration::from_millis(5);

#[redis_cached(prefix = "soak", name = "probe", key = "{process}:{id}", cache = cache, skip(cache, runs))]
async fn probe(cache: &Cache, runs: &AtomicU64, process: u64, id: u64) -> u64 {
    runs.fetch_add(1, SeqCst);
    id
}

#[redis_cached(prefix = "soak", name = "plain_probe", key = "{process}:{id}", cache = cache, skip(cache, runs))]
fn plain_probe(cache: &Cache, runs: &AtomicU64, process: u64, id: u64) -> u64 {
    runs.fetch_add(1, SeqCst);
    id
}

/// False if that does not happen.
pub(super) async fn await_hits(cache: &Cache, process: u64) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < HUNG {
        let runs = AtomicU64::new(0);
        for id in 0..IDS {
            probe(cache, &runs, process, id).await;
        }
        if runs.load(SeqCst) == 0 {
            return true;
        }
        tokio::time::sleep(PAUSE).await;
    }
    false
}

/// The same for plain functions.
pub(super) fn await_hits_plain(cache: &Cache, process: u64) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < HUNG {
        let runs = AtomicU64::new(0);
        for id in 0..IDS {
            plain_probe(cache, &runs, process, id);
        }
        if runs.load(SeqCst) == 0 {
            return true;
        }
        thread::sleep(PAUSE);
    }
    false
}
