//! A hundred calls while Redis refuses connections, and while it hangs.
//!
//! Each subject has a process and a server of its own: one that hangs must not keep the others.

use std::process::Command;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use super::Bench;
use crate::machine::{Pinning, Server};
use crate::measure::{Cell, Row};
use crate::report::{Table, time};
use crate::subjects::{ByHand, ByHandManaged, Cached, Hitbox, MultiTier, Ours, Result, Subject};

const CALLS: usize = 100;
/// Who has not answered by then has not answered.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
pub enum Fault {
    Refuses,
    Hangs,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Fault::Refuses => "refuses",
            Fault::Hangs => "hangs",
        }
    }

    pub fn parse(text: &str) -> Option<Fault> {
        [Fault::Refuses, Fault::Hangs].into_iter().find(|fault| fault.name() == text)
    }
}

pub fn table(bench: &Bench<'_>) -> Result<Table> {
    let names = [ByHand::NAME, ByHandManaged::NAME, Ours::NAME, Cached::NAME, Hitbox::NAME, MultiTier::NAME];
    let mut rows = Vec::new();
    for fault in [Fault::Refuses, Fault::Hangs] {
        for (when, warm) in [("after a first call", "warm"), ("before any", "cold")] {
            let workload = format!("Redis {}, {when}", fault.name());
            let cells = names.map(|name| {
                eprintln!("{workload}: {name}");
                let said = Command::new(std::env::current_exe()?)
                    .args(["faults-child", name, fault.name(), warm, bench.pinning.name()])
                    .output()?;
                let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
                let text = if text.is_empty() { "the process dies".to_owned() } else { text };
                Ok((name, Cell::Text(text)))
            });
            rows.push(Row { workload, cells: cells.into_iter().collect::<Result<_>>()? });
        }
    }
    Ok(Table {
        title: "Faults",
        about: "100 calls at once of a function that returns at once: how many got no value (an error, a panic, or nothing for 30 s), \
            and the slowest answer. By hand there is no time limit but redis-rs' own, and an error is the caller's.",
        rows,
    })
}

/// In a process of its own.
pub fn child<S: Subject>(fault: Fault, is_warm: bool, pinning: Pinning) -> Result<()> {
    // Panics are counted.
    std::panic::set_hook(Box::new(|_| {}));
    let mut server = Server::start(pinning)?;
    let runtime = Builder::new_multi_thread().worker_threads(pinning.workers()).enable_all().build()?;
    let url = server.url();
    let subject = runtime.block_on(async {
        let subject = S::connect(&url).await?;
        if is_warm {
            subject.item(100, 1).await?;
        }
        Result::Ok(subject)
    })?;
    match fault {
        Fault::Refuses => server.kill()?,
        Fault::Hangs => server.hang()?,
    }
    let (failed, slowest) = runtime.block_on(async {
        let calls: Vec<_> = (0..CALLS)
            .map(|id| {
                let subject = subject.clone();
                tokio::spawn(async move {
                    let begun = Instant::now();
                    let answer = tokio::time::timeout(LIMIT, subject.item(100, 1_000 + id as u64)).await;
                    (matches!(answer, Ok(Ok(_))), begun.elapsed())
                })
            })
            .collect();
        let (mut failed, mut slowest) = (0, Duration::ZERO);
        for call in calls {
            match call.await {
                Ok((answered, took)) => {
                    failed += usize::from(!answered);
                    slowest = slowest.max(took);
                }
                Err(_) => failed += 1,
            }
        }
        (failed, slowest)
    });
    let slowest = if slowest >= LIMIT { "over 30 s".to_owned() } else { time(slowest.as_secs_f64()) };
    println!("{failed} without a value, slowest {slowest}");
    runtime.shutdown_background();
    Ok(())
}
