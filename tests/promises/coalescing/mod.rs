//! Computed once: one call runs the body, and all that came meanwhile get what it returns; whatever
//! becomes of that call, no other one hangs.

mod cancellation;
mod counts;
mod nested_calls;
mod outages;
mod stampedes;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, ErrorKind, redis_cached};
use test_support::{Gate, Mode, PATIENCE, Server, caches, eventually, in_time, polled};
use tokio::task::JoinSet;

// A lease that is not given back lasts longer than a test waits.
#[redis_cached(prefix = "once", name = "gated", key = "{id}", lease = "10m", cache = cache, skip(cache, gate))]
async fn gated(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id * 1000 + gate.pass().await as u64
}

#[redis_cached(prefix = "once", name = "gated", key = "{id}", lease = "10m", cache = cache, skip(cache, gate))]
fn gated_blocking(cache: &Cache, gate: &Gate, id: u64) -> u64 {
    id * 1000 + gate.pass_blocking() as u64
}

/// Lets every call that was spawned before come as far as it can.
async fn settle(cache: &Cache) {
    test_support::settle(gated_entry(cache, u64::MAX).get()).await.unwrap();
}

/// Calls that wait for a body, in tasks of their own.
async fn waiting(cache: &Cache, gate: &Arc<Gate>, count: usize) -> Vec<tokio::task::JoinHandle<u64>> {
    let call = || {
        let (cache, gate) = (cache.clone(), Arc::clone(gate));
        tokio::spawn(async move { gated(&cache, &gate, 1).await })
    };
    let leader = call();
    gate.wait_for(1).await;
    let calls = std::iter::once(leader).chain((1..count).map(|_| call())).collect();
    settle(cache).await;
    calls
}

/// The bytes of the slot, if they are a lease.
fn lease(server: &Server, key: &str) -> Option<Vec<u8>> {
    let slot: Option<Vec<u8>> = redis::cmd("GET").arg(key).query(&mut server.connection()).unwrap();
    slot.filter(|slot| slot.starts_with(b"L"))
}
