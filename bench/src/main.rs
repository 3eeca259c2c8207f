//! Compares redis-cached with its alternatives, in one table.
//!
//! `scripts/bench [--pin same|split|free]` starts servers of its own, prints the tables, and writes them
//! to `bench/results/<pinning>.md`, with a chart in the same folder. With `--quick` (few rounds) or
//! `--only hits|tiers|stampede|faults|memory|stale|web|large` it only prints them.

mod chart;
mod data;
mod machine;
mod measure;
mod report;
mod subjects;
mod workloads;

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use machine::{Pinning, Server};
use report::Table;
use subjects::{
    BlockingSubject, ByHand, ByHandBlocking, ByHandManaged, Cached, CachedBlocking, CachedLocal, Hitbox, HitboxLocal,
    MultiTier, MultiTierLocal, Ours, OursBlocking, OursLocal, Result, Subject,
};
use workloads::{Bench, faults, hits, large, memory, stale, stampede, web};

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs `$child` for the subject with this name.
macro_rules! for_subject {
    ($name:expr, |$subject:ident| $child:expr) => {
        for_subject!($name, [ByHand, ByHandManaged, Ours, Cached, Hitbox, MultiTier], |$subject| $child)
    };
    ($name:expr, [$($one:ident),*], |$subject:ident| $child:expr) => {
        match $name {
            $(name if name == $one::NAME => {
                type $subject = $one;
                $child
            })*
            name => Err(format!("no subject is named {name}").into()),
        }
    };
}

fn run(arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["stampede-child", name, url, workers] => {
            let workers = workers.parse()?;
            for_subject!(name, |S| stampede::child::<S>(url, workers))
        }
        ["faults-child", name, fault, warm, pinning] => {
            let fault = faults::Fault::parse(fault).ok_or("no such fault")?;
            let pinning = Pinning::parse(pinning).ok_or("no such pinning")?;
            for_subject!(name, |S| faults::child::<S>(fault, warm == "warm", pinning))
        }
        ["faults-child-plain", name, fault, warm, pinning] => {
            let fault = faults::Fault::parse(fault).ok_or("no such fault")?;
            let pinning = Pinning::parse(pinning).ok_or("no such pinning")?;
            for_subject!(name, [ByHandBlocking, OursBlocking, CachedBlocking], |S| faults::child_plain::<S>(
                fault,
                warm == "warm",
                pinning
            ))
        }
        ["stale-reader", name, url] => {
            for_subject!(name, [ByHand, OursLocal, CachedLocal, HitboxLocal, MultiTierLocal], |S| stale::reader::<S>(
                url
            ))
        }
        ["stale-writer", name, url] => {
            for_subject!(name, [ByHand, OursLocal, CachedLocal, HitboxLocal, MultiTierLocal], |S| stale::writer::<S>(
                url
            ))
        }
        ["service", at, url] => web::service(at, url),
        _ => bench(&arguments),
    }
}

fn bench(arguments: &[&str]) -> Result<()> {
    const USAGE: &str = "usage: scripts/bench [--pin same|split|free] [--quick] \
        [--only hits|tiers|stampede|faults|memory|stale|web|large]";
    let (mut pinning, mut quick, mut only) = (Pinning::Same, false, None);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match *argument {
            "--pin" => pinning = arguments.next().and_then(|name| Pinning::parse(name)).ok_or(USAGE)?,
            "--quick" => quick = true,
            "--only" => only = Some(*arguments.next().ok_or(USAGE)?),
            _ => return Err(USAGE.into()),
        }
    }
    pinning.pin_client()?;
    let server = Server::start(pinning)?;
    let bench = Bench { server: &server, pinning, quick };
    let wants = |part: &str| only.is_none_or(|only| only == part);
    let mut tables = Vec::new();
    if wants("hits") {
        tables.extend(hits::tables(&bench)?);
        server.flush()?;
    }
    if wants("tiers") {
        tables.push(hits::of_tiers(&bench)?);
        server.flush()?;
    }
    if wants("stampede") {
        tables.extend(stampede::tables(&bench)?);
    }
    if wants("faults") {
        tables.extend(faults::tables(&bench)?);
    }
    if wants("stale") {
        tables.extend(stale::tables(&bench)?);
    }
    if wants("web") {
        tables.extend(web::tables(&bench)?);
    }
    if wants("large") {
        tables.extend(large::tables(&bench)?);
    }
    if wants("memory") {
        tables.extend(memory::tables(&bench)?);
    }

    let text = page(&server, pinning, &tables)?;
    println!("{text}");
    if !quick && only.is_none() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join(format!("{}.md", pinning.name())), text)?;
        let rows: Vec<_> = tables[0].rows.iter().collect();
        let caption = format!("Time per call, by hand = 1; shorter is better; {}.", pinning.words());
        let chart = chart::svg("Async functions on Redis", &caption, &rows, 6);
        std::fs::write(directory.join(format!("{}.svg", pinning.name())), chart)?;
    }
    Ok(())
}

fn page(server: &Server, pinning: Pinning, tables: &[Table]) -> Result<String> {
    let mut text = "# redis-cached and its alternatives\n\n".to_owned();
    let versions = [
        "redis",
        "cached",
        "hitbox",
        "hitbox-redis",
        "multi-tier-cache",
        "moka",
        "quick_cache",
        "axum",
        "axum-response-cache",
        "hitbox-tower",
        "tower-http-cache",
        "tokio",
    ];
    let versions = versions.map(|name| format!("{name} {}", machine::crate_version(name))).join(", ");
    let _ = writeln!(
        text,
        "{}; {}. redis-server {}, without persistence. {versions}.\n\n\
         Made by `scripts/bench --pin {}`. Subjects take turns, in another order in each round.\n",
        machine::processor(),
        pinning.words(),
        server.version()?,
        pinning.name()
    );
    for table in tables {
        text.push_str(&table.markdown());
        text.push('\n');
    }
    Ok(text)
}
