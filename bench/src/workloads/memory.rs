//! Workloads without a server: the memory store, compared with in-memory caches, and keys.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use tokio::runtime::Builder;

use super::Bench;
use crate::data::{self, Item};
use crate::measure::{Row, Turn, rounds};
use crate::report::Table;
use crate::subjects::{BlockingSubject as _, Subject as _};
use crate::subjects::{Ours, OursBlocking, Result, item_entry};

const COUNT: u32 = 20_000;
const ITEMS: u64 = 1_000;

fn plain<'a>(name: &'static str, mut call: impl FnMut(u64) -> Result<Item> + 'a) -> Turn<'a> {
    let turn = move || {
        let begun = Instant::now();
        for hit in 0..COUNT {
            black_box(call(black_box(u64::from(hit) % ITEMS))?);
        }
        Ok(begun.elapsed() / COUNT)
    };
    (name, Box::new(turn))
}

pub fn tables(bench: &Bench<'_>) -> Result<Vec<Table>> {
    Ok(vec![encoded(bench)?, kept(bench)?, keys(bench)?])
}

fn encoded(bench: &Bench<'_>) -> Result<Table> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let quick = quick_cache::sync::Cache::<u64, Item>::new(10_000);
    let moka =
        moka::sync::Cache::<u64, Item>::builder().max_capacity(10_000).time_to_live(Duration::from_secs(3600)).build();
    let moka_future = moka::future::Cache::<u64, Item>::builder()
        .max_capacity(10_000)
        .time_to_live(Duration::from_secs(3600))
        .build();
    let ours = Ours(Cache::builder("memory://")?.build());
    let ours_blocking = OursBlocking::connect("memory://")?;
    let (ours, runtime, moka_future) = (&ours, &runtime, &moka_future);
    let asynchronous = move || {
        runtime.block_on(async {
            let begun = Instant::now();
            for hit in 0..COUNT {
                black_box(ours.item(100, black_box(u64::from(hit) % ITEMS)).await?);
            }
            Ok(begun.elapsed() / COUNT)
        })
    };
    let future = move || {
        runtime.block_on(async {
            let begun = Instant::now();
            for hit in 0..COUNT {
                let id = black_box(u64::from(hit) % ITEMS);
                black_box(moka_future.get_with(id, async { data::item(100, id) }).await);
            }
            Ok(begun.elapsed() / COUNT)
        })
    };
    let turns: Vec<Turn<'_>> = vec![
        plain("quick_cache", |id| quick.get_or_insert_with(&id, || Ok(data::item(100, id)))),
        plain("moka, sync", |id| Ok(moka.get_with(id, || data::item(100, id)))),
        ("moka, future", Box::new(future)),
        plain("redis-cached, memory://, plain", move |id| ours_blocking.item(100, id)),
        ("redis-cached, memory://, async", Box::new(asynchronous)),
    ];
    Ok(Table {
        title: "In memory",
        about: "Hits on 1,000 values of 100 B. The other caches clone them, and redis-cached decodes them: `memory://` stores entries \
            encoded, so that it behaves like Redis. quick_cache has no lifetimes.",
        rows: vec![rounds("hit, 100 B", bench.rounds(21), turns)],
    })
}

#[redis_cached(prefix = "kept", ttl = "1h", local = 10_000, cache = cache, skip(cache))]
async fn shared_item(cache: &Cache, id: u64) -> Arc<Item> {
    Arc::new(data::item(100, id))
}

#[redis_cached(prefix = "kept", ttl = "1h", local = 10_000, cache = cache, skip(cache))]
fn shared_item_plain(cache: &Cache, id: u64) -> Arc<Item> {
    Arc::new(data::item(100, id))
}

#[cached::macros::concurrent_cached(max_size = 10_000, ttl_secs = 3600)]
fn shared_item_cached(id: u64) -> Arc<Item> {
    Arc::new(data::item(100, id))
}

/// Hits on shared values: what is left is the look-up.
fn kept(bench: &Bench<'_>) -> Result<Table> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let quick = quick_cache::sync::Cache::<Box<str>, Arc<Item>>::new(10_000);
    let texts: Vec<String> = (0..ITEMS).map(|id| format!("kept:item:{id}")).collect();
    for (id, text) in (0..).zip(&texts) {
        quick.insert(text.as_str().into(), Arc::new(data::item(100, id)));
    }
    let moka = moka::sync::Cache::<u64, Arc<Item>>::builder()
        .max_capacity(10_000)
        .time_to_live(Duration::from_secs(3600))
        .build();
    let (cache, cache_plain) = (Cache::builder("memory://")?.build(), Cache::builder("memory://")?.build());
    // A value is kept when a call has read it, and the store has confirmed it.
    while cache.stats().local_hits < ITEMS || cache_plain.stats().local_hits < ITEMS {
        for id in 0..ITEMS {
            runtime.block_on(shared_item(&cache, id));
            shared_item_plain(&cache_plain, id);
        }
    }
    let mut rows = Vec::new();
    for (name, items) in [("hit of an `Arc`, one key", 1), ("hit of an `Arc`, 1,000 keys in turn", ITEMS)] {
        let timed = move |call: &mut dyn FnMut(u64)| {
            let begun = Instant::now();
            for hit in 0..u64::from(COUNT) {
                call(black_box(hit % items));
            }
            Ok(begun.elapsed() / COUNT)
        };
        let asynchronous = || {
            runtime.block_on(async {
                let begun = Instant::now();
                for hit in 0..u64::from(COUNT) {
                    black_box(shared_item(&cache, black_box(hit % items)).await);
                }
                Ok(begun.elapsed() / COUNT)
            })
        };
        let turns: Vec<Turn<'_>> = vec![
            (
                "quick_cache, by the text of a key",
                Box::new(|| timed(&mut |id| drop(black_box(quick.get(texts[id as usize].as_str()))))),
            ),
            (
                "quick_cache, with `format!`",
                Box::new(|| timed(&mut |id| drop(black_box(quick.get(format!("kept:item:{id}").as_str()))))),
            ),
            (
                "moka, sync",
                Box::new(|| timed(&mut |id| drop(black_box(moka.get_with(id, || Arc::new(data::item(100, id))))))),
            ),
            ("`cached`, plain", Box::new(|| timed(&mut |id| drop(black_box(shared_item_cached(id)))))),
            (
                "redis-cached, local, plain",
                Box::new(|| timed(&mut |id| drop(black_box(shared_item_plain(&cache_plain, id))))),
            ),
            ("redis-cached, local, async", Box::new(asynchronous)),
        ];
        rows.push(rounds(name, bench.rounds(21), turns));
    }
    Ok(Table {
        title: "An `Arc` in this process",
        about: "Hits on values of 100 B in an `Arc`. The first subject has the text of each key ready; the functions make their \
            keys. `cached` and moka have no other process to agree with.",
        rows,
    })
}

fn keys(bench: &Bench<'_>) -> Result<Table> {
    let cache = Cache::builder("memory://")?.build();
    let timed = |call: &mut dyn FnMut(u64) -> Result<()>| {
        let begun = Instant::now();
        for id in 0..COUNT {
            call(black_box(u64::from(id)))?;
        }
        Ok(begun.elapsed() / COUNT)
    };
    let turns: Vec<Turn<'_>> = vec![
        (
            "by hand, format!",
            Box::new(move || {
                timed(&mut |id| {
                    black_box(format!("by_hand:item:{}:{id}", black_box(100)));
                    Ok(())
                })
            }),
        ),
        (
            "redis-cached",
            Box::new(move || {
                timed(&mut |id| {
                    black_box(item_entry(&cache, black_box(100), id).key()?);
                    Ok(())
                })
            }),
        ),
    ];
    let row: Row = rounds("key of two numbers", bench.rounds(21), turns);
    Ok(Table {
        title: "Keys",
        about: "The key alone: `item_entry(…).key()`. The other libraries make keys only as a part of a call.",
        rows: vec![row],
    })
}
