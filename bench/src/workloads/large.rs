//! Values of megabytes: how long a hit and a miss take, and what they do to small ones beside them.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, Client};
use redis_cached::{Cache, redis_cached};
use tokio::runtime::{Builder, Runtime};

use super::Bench;
use crate::data;
use crate::measure::{Cell, Row, Turn, rounds};
use crate::report::{Table, time};
use crate::subjects::Result;

/// Far more than any of it takes: the time is what is measured.
const TIMEOUT: Duration = Duration::from_secs(20);

const MEGABYTES: [u32; 3] = [1, 16, 64];

/// The number of small hits beside large ones.
const SMALL: usize = 300;

#[redis_cached(prefix = "large", ttl = "1h", cache = cache, skip(cache))]
async fn text(cache: &Cache, megabytes: u32, id: u64) -> String {
    made(megabytes, id)
}

#[redis_cached(prefix = "large", ttl = "1h", cache = cache, skip(cache))]
fn text_plain(cache: &Cache, megabytes: u32, id: u64) -> String {
    made(megabytes, id)
}

#[redis_cached(prefix = "large", ttl = "1h", cache = cache, skip(cache))]
async fn small(cache: &Cache, id: u64) -> String {
    data::item(100, id).text
}

fn made(megabytes: u32, id: u64) -> String {
    data::item(megabytes << 20, id).text
}

#[derive(Clone)]
struct ByHand(MultiplexedConnection);

impl ByHand {
    async fn text(&self, bytes: u32, id: u64) -> Result<String> {
        let (mut connection, key) = (self.0.clone(), format!("large:by_hand:{bytes}:{id}"));
        let config = bincode::config::standard();
        let found: Option<Vec<u8>> = connection.get(&key).await?;
        if let Some(found) = found {
            return Ok(bincode::serde::decode_from_slice(&found, config)?.0);
        }
        let text = data::item(bytes, id).text;
        let () = connection.set_ex(&key, bincode::serde::encode_to_vec(&text, config)?, 3600).await?;
        Ok(text)
    }
}

pub fn tables(bench: &Bench<'_>) -> Result<Vec<Table>> {
    let one = Builder::new_current_thread().enable_all().build()?;
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let client = Client::open(bench.server.url())?;
    let connect = || client.get_multiplexed_async_connection_with_config(&config);
    let (by_hand, cache) = (ByHand(one.block_on(connect())?), self::cache(bench)?);
    let mut rows = Vec::new();
    let unused = AtomicU64::new(0);
    for megabytes in MEGABYTES {
        for (name, is_hit) in [("miss", false), ("hit", true)] {
            let id = || if is_hit { 0 } else { unused.fetch_add(1, Relaxed) + 1 };
            let turns: Vec<Turn<'_>> = vec![
                ("by hand", timed(&one, async || by_hand.text(megabytes << 20, id()).await.map(drop))),
                (
                    "redis-cached",
                    timed(&one, async || {
                        black_box(text(&cache, megabytes, id()).await);
                        Ok(())
                    }),
                ),
                (
                    "redis-cached, plain `fn`",
                    timed(&one, async || {
                        black_box(text_plain(&cache, megabytes, id()));
                        Ok(())
                    }),
                ),
            ];
            rows.push(rounds(&format!("{name}, {megabytes} MB"), bench.rounds(9), turns));
            bench.server.flush()?;
        }
    }
    let stats = cache.stats();
    if stats.bypasses + stats.refused > 0 {
        return Err(format!("not all values were stored: {stats:?}").into());
    }
    drop(cache);
    let beside = |megabytes| beside(bench, &client, megabytes);
    let besides = Table {
        title: "Small hits beside large ones",
        about: "Hits of 100 B one after the other, while another task reads a value of so many megabytes without a pause, on two \
            threads: the median, and the slowest of 300.",
        rows: MEGABYTES.into_iter().map(beside).collect::<Result<_>>()?,
    };
    let large = Table {
        title: "Large values",
        about: "A text. By hand: `GET` and decode, and on a miss `SET … EX`, on one connection without a time-out. For the others: \
            the median of the rounds' ratios to that, with the middle half.",
        rows,
    };
    Ok(vec![large, besides])
}

fn cache(bench: &Bench<'_>) -> Result<Cache> {
    Ok(Cache::builder(&bench.server.url())?.timeout(TIMEOUT).build())
}

fn timed<'a>(
    runtime: &'a Runtime,
    call: impl AsyncFn() -> Result<()> + 'a,
) -> Box<dyn FnMut() -> Result<Duration> + 'a> {
    Box::new(move || {
        runtime.block_on(async {
            let begun = Instant::now();
            call().await?;
            Ok(begun.elapsed())
        })
    })
}

fn beside(bench: &Bench<'_>, client: &Client, megabytes: u32) -> Result<Row> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let cells = runtime.block_on(async {
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let by_hand = ByHand(client.get_multiplexed_async_connection_with_config(&config).await?);
        let cache = cache(bench)?;
        let (other, own) = (by_hand.clone(), cache.clone());
        let times = [
            small_ones(
                async || by_hand.text(100, 1).await.map(drop),
                move || {
                    let other = other.clone();
                    async move { other.text(megabytes << 20, 0).await.map(drop) }
                },
            )
            .await?,
            small_ones(
                async || {
                    black_box(small(&cache, 1).await);
                    Ok(())
                },
                move || {
                    let own = own.clone();
                    async move {
                        black_box(text(&own, megabytes, 0).await);
                        Ok(())
                    }
                },
            )
            .await?,
        ];
        Result::Ok(["by hand", "redis-cached"].into_iter().zip(times.map(Cell::Text)).collect())
    })?;
    bench.server.flush()?;
    Ok(Row { workload: format!("{megabytes} MB"), cells })
}

async fn small_ones<F>(small: impl AsyncFn() -> Result<()>, large: impl Fn() -> F + Send + 'static) -> Result<String>
where
    F: Future<Output = Result<()>> + Send,
{
    for _ in 0..2 {
        large().await?;
    }
    small().await?;
    let is_over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_over);
    let reader = tokio::spawn(async move {
        while !told.load(Relaxed) {
            large().await?;
        }
        Result::Ok(())
    });
    let mut times = Vec::new();
    for _ in 0..SMALL {
        let begun = Instant::now();
        small().await?;
        times.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    is_over.store(true, Relaxed);
    reader.await??;
    times.sort();
    let [median, slowest] = [times[SMALL / 2], times[SMALL - 1]].map(|took| time(took.as_secs_f64()));
    Ok(format!("{median}, {slowest}"))
}
