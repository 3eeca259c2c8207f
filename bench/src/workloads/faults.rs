//! A hundred calls while Redis refuses connections, and while it hangs.
//!
//! Each subject has a process and a server of its own, so that a subject that hangs does not delay the others.

use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use super::Bench;
use crate::machine::{Pinning, Server};
use crate::measure::{Cell, Row};
use crate::report::{Table, time};
use crate::subjects::{
    BlockingSubject, ByHand, ByHandBlocking, ByHandManaged, Cached, CachedBlocking, Hitbox, MultiTier, Ours,
    OursBlocking, Result, Subject,
};

const CALLS: usize = 100;
/// The time after which a call counts as unanswered.
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

pub fn tables(bench: &Bench<'_>) -> Result<Vec<Table>> {
    let of_async = Table {
        title: "Faults",
        about: "100 calls at once of a function that returns at once: how many got no value (an error, a panic, or nothing for 30 s), \
            and the slowest answer. By hand, only redis-rs' own time limits apply, and the caller gets errors.",
        rows: rows(
            bench,
            "faults-child",
            [ByHand::NAME, ByHandManaged::NAME, Ours::NAME, Cached::NAME, Hitbox::NAME, MultiTier::NAME],
        )?,
    };
    let of_plain = Table {
        title: "Faults, of plain functions",
        about: "Like the table above, in 100 threads. By hand, they share one connection, which has no time limit.",
        rows: rows(bench, "faults-child-plain", [ByHandBlocking::NAME, OursBlocking::NAME, CachedBlocking::NAME])?,
    };
    Ok(vec![of_async, of_plain])
}

/// The output of `child` for each of these subjects.
fn rows<const N: usize>(bench: &Bench<'_>, child: &str, names: [&'static str; N]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for fault in [Fault::Refuses, Fault::Hangs] {
        for (when, warm) in [("after a first call", "warm"), ("before any", "cold")] {
            let workload = format!("Redis {}, {when}", fault.name());
            let cells = names.map(|name| {
                eprintln!("{workload}: {name}");
                let said = Command::new(std::env::current_exe()?)
                    .args([child, name, fault.name(), warm, bench.pinning.name()])
                    .output()?;
                let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
                let text = if text.is_empty() { "the process dies".to_owned() } else { text };
                Ok((name, Cell::Text(text)))
            });
            rows.push(Row { workload, cells: cells.into_iter().collect::<Result<_>>()? });
        }
    }
    Ok(rows)
}

impl Fault {
    fn strike(self, server: &mut Server) -> Result<()> {
        match self {
            Fault::Refuses => server.kill(),
            Fault::Hangs => server.hang(),
        }
    }
}

/// Prints the result of a child process.
fn say(failed: usize, slowest: Duration) {
    let slowest = if slowest >= LIMIT { "over 30 s".to_owned() } else { time(slowest.as_secs_f64()) };
    println!("{failed} without a value, slowest {slowest}");
}

/// Runs in a child process.
pub fn child<S: Subject>(fault: Fault, is_warm: bool, pinning: Pinning) -> Result<()> {
    // Panics are counted, and need not be printed.
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
    fault.strike(&mut server)?;
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
    say(failed, slowest);
    runtime.shutdown_background();
    Ok(())
}

/// Runs in a child process, for a plain function. Threads that still wait end with the process.
pub fn child_plain<S: BlockingSubject>(fault: Fault, is_warm: bool, pinning: Pinning) -> Result<()> {
    std::panic::set_hook(Box::new(|_| {}));
    let mut server = Server::start(pinning)?;
    let subject = S::connect(&server.url())?;
    if is_warm {
        subject.item(100, 1)?;
    }
    fault.strike(&mut server)?;
    let (sender, answers) = mpsc::channel();
    for id in 0..CALLS {
        let (subject, sender) = (subject.clone(), sender.clone());
        thread::spawn(move || {
            let begun = Instant::now();
            let answer = subject.item(100, 1_000 + id as u64);
            // Answers after the limit are dropped, and a thread that panics sends none.
            let _ = sender.send((answer.is_ok(), begun.elapsed()));
        });
    }
    drop(sender);
    let limit = Instant::now() + LIMIT;
    let (mut answered, mut slowest) = (0, Duration::ZERO);
    loop {
        match answers.recv_timeout(limit.saturating_duration_since(Instant::now())) {
            Ok((is_value, took)) => {
                answered += usize::from(is_value);
                slowest = slowest.max(took);
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                slowest = LIMIT;
                break;
            }
        }
    }
    say(CALLS - answered, slowest);
    Ok(())
}
