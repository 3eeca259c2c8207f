//! Hits that are out of date, while another process changes what is cached.
//!
//! A writer process changes rows and invalidates them in the way that each library offers to another process. When that
//! is done, it notes the row's version. A reader process looks at that note before each call: a call that then returns an
//! older version is stale. Each subject has a server of its own.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tokio::runtime::{Builder, Runtime};

use super::Bench;
use crate::data;
use crate::machine::{Pinning, Server};
use crate::measure::{Cell, Row};
use crate::report::{Table, time};
use crate::subjects::{ByHand, CachedLocal, Coherent, HitboxLocal, MultiTierLocal, OursLocal, Result, Subject};

const ROWS: u64 = 10;
const WRITER_PAUSE: Duration = Duration::from_millis(2);
/// The reader goes on when the writer has ended, so that a value that stays stale is seen.
const READER: Duration = Duration::from_secs(6);
const WRITER: Duration = Duration::from_secs(4);

pub fn tables(bench: &Bench<'_>) -> Result<Vec<Table>> {
    let names = [ByHand::NAME, OursLocal::NAME, CachedLocal::NAME, HitboxLocal::NAME, MultiTierLocal::NAME];
    let cells = names.map(|name| {
        eprintln!("stale: {name}");
        Result::Ok((name, Cell::Text(of_subject(name, bench.pinning)?)))
    });
    let workload = format!("{ROWS} rows, one changed every {} ms", WRITER_PAUSE.as_millis());
    Ok(vec![Table {
        title: "Stale hits with a tier in this process",
        about: "One process reads, and another one changes rows and invalidates them: the calls that returned a value which \
            had been invalidated before they began, and the longest time after an invalidation that this happened. By \
            hand, there is no tier: what is stale was read from the origin before the invalidation, and stored after it.",
        rows: vec![Row { workload, cells: cells.into_iter().collect::<Result<_>>()? }],
    }])
}

fn of_subject(name: &str, pinning: Pinning) -> Result<String> {
    let server = Server::start(pinning)?;
    let start = |part: &str| {
        let mut command = Command::new(std::env::current_exe()?);
        Result::Ok(command.args([part, name, &server.url()]).stdout(Stdio::piped()).spawn()?)
    };
    let reader = start("stale-reader")?;
    let mut writer = start("stale-writer")?;
    let said = reader.wait_with_output()?;
    writer.wait()?;
    let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    Ok(if text.is_empty() { "the process dies".to_owned() } else { text })
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

async fn connection(url: &str) -> Result<MultiplexedConnection> {
    Ok(redis::Client::open(url)?.get_multiplexed_async_connection().await?)
}

/// Changes rows, in a process of its own.
pub fn writer<S: Coherent>(url: &str) -> Result<()> {
    runtime()?.block_on(async {
        data::connect(url).await?;
        let (subject, mut notes) = (S::connect(url).await?, connection(url).await?);
        let begun = Instant::now();
        for round in 0.. {
            if begun.elapsed() > WRITER {
                break;
            }
            let id = round % ROWS;
            let version = data::change(id).await?;
            subject.invalidate(id).await?;
            let () = notes.hset(data::note("times", id), version, now()).await?;
            let () = notes.set(data::note("version", id), version).await?;
            tokio::time::sleep(WRITER_PAUSE).await;
        }
        Ok(())
    })
}

/// Reads rows, in a process of its own, and prints how many were stale.
pub fn reader<S: Coherent>(url: &str) -> Result<()> {
    runtime()?.block_on(async {
        data::connect(url).await?;
        let (subject, mut notes) = (S::connect(url).await?, connection(url).await?);
        let begun = Instant::now();
        let (mut calls, mut stale, mut latest) = (0_u64, 0_u64, Duration::ZERO);
        for round in 0.. {
            if begun.elapsed() > READER {
                break;
            }
            let id = round % ROWS;
            let noted: Option<u64> = notes.get(data::note("version", id)).await?;
            let at = now();
            let version = subject.version(id).await?;
            calls += 1;
            if noted.is_some_and(|noted| version < noted) {
                stale += 1;
                let times: HashMap<u64, u64> = notes.hgetall(data::note("times", id)).await?;
                let first = times.iter().filter(|(known, _)| **known > version).map(|(_, time)| *time).min();
                latest = latest.max(Duration::from_micros(at.saturating_sub(first.unwrap_or(at))));
            }
        }
        let latest = if stale == 0 { String::new() } else { format!(", up to {} late", time(latest.as_secs_f64())) };
        println!("{stale} of {calls} stale ({:.2} %){latest}", stale as f64 / calls as f64 * 100.0);
        Ok(())
    })
}
