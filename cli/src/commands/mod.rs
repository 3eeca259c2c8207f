//! One module for each command.

mod clear;
mod doctor;
mod generated;
mod invalidate;
mod leases;
mod ls;
mod removal;
mod show;
mod top;

use redis_cached_runtime::Cache;
use redis_cached_runtime::inspect::Servers;

use crate::args::{Args, Command};
use crate::outcome::Outcome;

pub(crate) fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::Ls { prefix } => ls::run(args, prefix),
        Command::Show { key, tags, full } => show::run(args, &key.join(" "), tags, *full),
        Command::Leases { prefix } => leases::run(args, prefix),
        Command::Invalidate { keys, groups, tags, pattern, yes } => {
            let asked = invalidate::Asked { keys, groups, tags, pattern: pattern.as_deref(), yes: *yes };
            invalidate::run(args, &asked)
        }
        Command::Clear { of, yes, .. } => clear::run(args, of.as_deref(), *yes),
        Command::Top { once, interval } => top::run(args, *once, *interval),
        Command::Doctor => doctor::run(args),
        Command::Completions { shell } => generated::completions(*shell),
        Command::Man { directory } => generated::man(directory.as_deref()),
    }
}

/// The cache, and its servers. Nothing is sent.
fn open(args: &Args) -> Outcome<(Cache, Servers)> {
    let cache =
        Cache::builder(&args.url)?.namespace(&args.namespace).timeout(args.timeout).client_name("rcached").build();
    let servers = Servers::of(&cache)?;
    Ok((cache, servers))
}
