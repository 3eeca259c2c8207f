//! `batch(id in ids)`: each id has an entry of its own, and the body runs for those that are missing.

mod entries;
mod failures;
mod groups_and_tags;
mod invalidation;
mod leases;
mod outages;
mod sharing;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize, Serializer};
use test_support::{Gate, Mode, PATIENCE, Server, child, eventually, free_port, in_time};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};

type Rows = HashMap<u64, String>;

/// The origin that the bodies read, and the ids that they were asked for.
struct Source {
    gate: Gate,
    asked: Mutex<Vec<Vec<u64>>>,
    version: AtomicU64,
}

impl Source {
    /// Bodies go on when the test says so.
    fn closed() -> Arc<Source> {
        Arc::new(Source { gate: Gate::closed(), asked: Mutex::default(), version: AtomicU64::new(0) })
    }

    fn open() -> Arc<Source> {
        let source = Source::closed();
        source.gate.open();
        source
    }

    fn row(&self, id: u64) -> String {
        format!("row {id} of version {}", self.version.load(SeqCst))
    }

    fn rows(&self, ids: &[u64]) -> Rows {
        ids.iter().map(|id| (*id, self.row(*id))).collect()
    }

    async fn load(&self, ids: &[u64]) -> Rows {
        let rows = self.rows(ids);
        self.asked.lock().unwrap().push(ids.to_vec());
        self.gate.pass().await;
        rows
    }

    fn load_blocking(&self, ids: &[u64]) -> Rows {
        let rows = self.rows(ids);
        self.asked.lock().unwrap().push(ids.to_vec());
        self.gate.pass_blocking();
        rows
    }

    /// The ids of each body since the last time.
    fn asked(&self) -> Vec<Vec<u64>> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

// A lease that is not given back lasts longer than a test waits. One key for all of these.
#[redis_cached(prefix = "batch", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, source))]
async fn rows(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
    source.load(ids).await
}

#[redis_cached(prefix = "batch", name = "row", key = "{id}", batch(id in ids), lease = "10m", cache = cache, skip(cache, source))]
fn rows_blocking(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
    source.load_blocking(ids)
}

#[redis_cached(prefix = "batch", name = "row", key = "{id}", lease = "10m", cache = cache, skip(cache, source))]
async fn row(cache: &Cache, source: &Source, id: u64) -> String {
    source.load(&[id]).await.remove(&id).unwrap()
}

#[redis_cached(prefix = "batch", name = "row", key = "{id}", lease = "10m", cache = cache, skip(cache, source))]
fn row_blocking(cache: &Cache, source: &Source, id: u64) -> String {
    source.load_blocking(&[id]).remove(&id).unwrap()
}

#[derive(Clone, Copy, Debug)]
enum Face {
    Async,
    Plain,
}

const FACES: [Face; 2] = [Face::Async, Face::Plain];

/// A call of `rows`, in a task or thread of its own.
fn spawn(face: Face, cache: &Cache, source: &Arc<Source>, ids: impl Into<Vec<u64>>) -> JoinHandle<Rows> {
    let (cache, source, ids) = (cache.clone(), Arc::clone(source), ids.into());
    match face {
        Face::Async => tokio::spawn(async move { rows(&cache, &source, &ids).await }),
        Face::Plain => spawn_blocking(move || rows_blocking(&cache, &source, &ids)),
    }
}

async fn call(face: Face, cache: &Cache, source: &Arc<Source>, ids: impl Into<Vec<u64>>) -> Rows {
    finished(spawn(face, cache, source, ids)).await
}

/// A call of `row`.
fn spawn_one(face: Face, cache: &Cache, source: &Arc<Source>, id: u64) -> JoinHandle<String> {
    let (cache, source) = (cache.clone(), Arc::clone(source));
    match face {
        Face::Async => tokio::spawn(async move { row(&cache, &source, id).await }),
        Face::Plain => spawn_blocking(move || row_blocking(&cache, &source, id)),
    }
}

/// The output of a call; the test fails if the call hangs.
async fn finished<T>(call: JoinHandle<T>) -> T {
    tokio::time::timeout(PATIENCE, call).await.expect("a call hangs").unwrap()
}

/// Lets the tasks of this thread come as far as they can.
async fn settle(cache: &Cache) {
    test_support::settle(rows_entry(cache, u64::MAX).get()).await.unwrap();
}

/// A cache in memory and one on the server, for what holds for both. Where no outage is tested, a
/// busy machine may be slow.
fn caches(server: &Server) -> [Cache; 2] {
    [Cache::builder("memory://").unwrap().build(), other(server)]
}

/// The cache of another process.
fn other(server: &Server) -> Cache {
    Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build()
}

fn sorted<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort();
    values
}

// The names of the commands on the wire.

/// The names of the commands, without those of connecting.
fn names(commands: &[Vec<String>]) -> Vec<String> {
    let names = commands.iter().map(|command| command[0].to_uppercase());
    names.filter(|name| !matches!(name.as_str(), "CLIENT" | "HELLO" | "INFO" | "ROLE" | "SELECT")).collect()
}

// Calls at the same time.

/// Until so many bodies have begun.
async fn entered(source: &Source, bodies: usize) {
    source.gate.wait_for(bodies).await;
}

/// True if the server's slot of a row holds a lease. In memory, leases are given back at once.
fn is_leased(cache: &Cache, server: &Server, id: u64) -> bool {
    !format!("{cache:?}").contains("memory") && server.cli(&["EXISTS", &format!("batch:row:{id}")]) == "1"
}
