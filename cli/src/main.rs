//! `rcached`: what the caches of redis-cached hold, and the verbs of the protocol on it.
//!
//! | module | concern |
//! |---|---|
//! | `args` | the command line |
//! | `outcome` | exit codes, and errors |
//! | `output` | tables, numbers, times and payloads, as people and as scripts read them |
//! | `progress` | how far a long scan is, on a terminal |
//! | `redis` | commands, and the meaning of the replies |
//! | `scan` | all keys of a cache, in paced steps |
//! | `commands` | one module for each command |

#![cfg_attr(not(test), warn(clippy::too_many_lines))]

mod args;
mod commands;
mod outcome;
mod output;
mod progress;
mod redis;
mod scan;

use std::io::{Write, stderr};
use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    match commands::run(&args) {
        Ok(code) => code.into(),
        Err(failure) => {
            // Standard error may be closed, or full: the exit code says it, too.
            let _ = writeln!(stderr(), "rcached: {}", output::harmless(&failure.to_string()));
            failure.code().into()
        }
    }
}
