//! Many calls for one missing key. Measures how often the body runs, and how much longer than the
//! body all calls take together.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use super::{Async, Bench, Plain, each_async, each_plain};
use crate::data::{BODY, RUNS};
use crate::measure::{Cell, Row, spread};
use crate::report::{Table, time};
use crate::subjects::{BlockingSubject, Result, Subject};

const TASKS: u64 = 500;
const THREADS: u64 = 64;
const PROCESSES: usize = 4;
const TASKS_EACH: u64 = 100;

/// The result of one stampede.
struct Figure {
    runs: usize,
    took: Duration,
}

fn cell(figures: &Result<Vec<Figure>>) -> Cell {
    Cell::Text(match figures {
        Ok(figures) => {
            let over = spread(figures.iter().map(|figure| figure.took.saturating_sub(BODY).as_secs_f64()));
            let runs = figures.iter().map(|figure| figure.runs);
            let runs = match (runs.clone().min().unwrap_or(0), runs.max().unwrap_or(0)) {
                (1, 1) => "1 run".to_owned(),
                (least, most) if least == most => format!("{most} runs"),
                (least, most) => format!("{least} to {most} runs"),
            };
            format!("{runs}, + {}", time(over.map_or(0.0, |spread| spread.median)))
        }
        Err(error) => error.to_string(),
    })
}

pub fn tables(bench: &Bench<'_>) -> Result<Vec<Table>> {
    Ok(vec![of_async(bench)?, of_plain(bench)?])
}

fn of_plain(bench: &Bench<'_>) -> Result<Table> {
    let all = Plain::connect(&bench.server.url())?;
    let mut threads = Vec::new();
    for (name, figures) in each_plain!(all, |subject| in_threads(subject, bench.rounds(9) as u64)) {
        eprintln!("{THREADS} threads: {name}");
        threads.push((name, cell(&figures)));
    }
    Ok(Table {
        title: "Stampedes of plain functions",
        about: "Like the table above. By hand, the threads share one connection.",
        rows: vec![Row { workload: format!("{THREADS} threads"), cells: threads }],
    })
}

fn in_threads<S: BlockingSubject>(subject: S, rounds: u64) -> (&'static str, Result<Vec<Figure>>) {
    let figures = (0..rounds).map(|round| {
        let runs = RUNS.load(SeqCst);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| subject.slow(300 + round))).collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(called) => called.map(drop),
                Err(_) => Err("a panic".into()),
            })
        })?;
        Ok(Figure { took: begun.elapsed(), runs: RUNS.load(SeqCst) - runs })
    });
    (S::NAME, figures.collect())
}

fn of_async(bench: &Bench<'_>) -> Result<Table> {
    let rounds = bench.rounds(9) as u64;
    let runtime = Builder::new_multi_thread().worker_threads(bench.pinning.workers()).enable_all().build()?;
    let all = runtime.block_on(Async::connect(&bench.server.url()))?;
    let mut tasks = Vec::new();
    for (name, figures) in each_async!(all, |subject| in_process(&runtime, subject, rounds)) {
        eprintln!("500 tasks: {name}");
        tasks.push((name, cell(&figures)));
    }
    let mut processes = Vec::new();
    for (name, figures) in each_async!(all, |subject| across(&subject, bench, rounds)) {
        eprintln!("4 processes: {name}");
        processes.push((name, cell(&figures)));
    }
    Ok(Table {
        title: "Stampedes",
        about: "Calls of a function that takes 50 ms, all for one new key: how often it ran, and how much longer than 50 ms \
            it took until all calls had the result (median of the rounds).",
        rows: vec![
            Row { workload: format!("{TASKS} tasks"), cells: tasks },
            Row { workload: format!("{PROCESSES} processes of {TASKS_EACH} tasks"), cells: processes },
        ],
    })
}

async fn stampede<S: Subject>(subject: &S, tasks: u64, id: u64) -> Result<()> {
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let subject = subject.clone();
            tokio::spawn(async move { subject.slow(id).await })
        })
        .collect();
    for task in tasks {
        if task.await?? != id {
            return Err("a wrong value".into());
        }
    }
    Ok(())
}

fn in_process<S: Subject>(
    runtime: &tokio::runtime::Runtime,
    subject: S,
    rounds: u64,
) -> (&'static str, Result<Vec<Figure>>) {
    let figures = (0..rounds).map(|round| {
        let runs = RUNS.load(SeqCst);
        let begun = Instant::now();
        runtime.block_on(stampede(&subject, TASKS, 100 + round))?;
        Ok(Figure { took: begun.elapsed(), runs: RUNS.load(SeqCst) - runs })
    });
    (S::NAME, figures.collect())
}

/// Runs stampedes in child processes. They begin a round when they receive its key.
fn across<S: Subject>(_: &S, bench: &Bench<'_>, rounds: u64) -> (&'static str, Result<Vec<Figure>>) {
    (S::NAME, across_rounds(S::NAME, &bench.server.url(), bench.pinning.workers(), rounds))
}

fn across_rounds(name: &str, url: &str, workers: usize, rounds: u64) -> Result<Vec<Figure>> {
    let mut children = (0..PROCESSES)
        .map(|_| {
            let mut child = Command::new(std::env::current_exe()?)
                .args(["stampede-child", name, url, &workers.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let (input, output) = (child.stdin.take(), child.stdout.take());
            Ok(Started { child, input: input.ok_or("a pipe")?, output: BufReader::new(output.ok_or("a pipe")?) })
        })
        .collect::<Result<Vec<_>>>()?;
    said(&mut children)?; // All children are connected.
    let mut figures = Vec::new();
    for round in 0..rounds {
        let begun = Instant::now();
        for Started { input, .. } in &mut children {
            writeln!(input, "{}", 200 + round)?;
        }
        let said = said(&mut children)?;
        let took = begun.elapsed();
        let runs = said.iter().map(|line| line.parse::<usize>().map_err(|_| line.clone()));
        figures.push(Figure { took, runs: runs.sum::<std::result::Result<_, _>>()? });
    }
    for Started { mut child, input, .. } in children {
        drop(input);
        child.wait()?;
    }
    Ok(figures)
}

struct Started {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Reads a line from each child.
fn said(children: &mut [Started]) -> Result<Vec<String>> {
    let lines = children.iter_mut().map(|child| {
        let mut line = String::new();
        child.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    });
    lines.collect()
}

/// Runs in a child process.
pub fn child<S: Subject>(url: &str, workers: usize) -> Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    let subject = runtime.block_on(async {
        let subject = S::connect(url).await?;
        subject.item(100, 1).await?;
        Result::Ok(subject)
    })?;
    println!("ready");
    for line in std::io::stdin().lines() {
        let id = line?.trim().parse()?;
        let runs = RUNS.load(SeqCst);
        match runtime.block_on(stampede(&subject, TASKS_EACH, id)) {
            Ok(()) => println!("{}", RUNS.load(SeqCst) - runs),
            Err(error) => println!("{error}"),
        }
    }
    Ok(())
}
