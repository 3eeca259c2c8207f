//! `rcached` on real servers, seeded through the library: what it prints, and its exit codes.

mod clear;
mod cluster;
mod codes;
mod doctor;
mod generated;
mod invalidate;
mod leases;
mod ls;
mod namespaces;
mod normal;
mod refused;
mod secured;
mod seed;
mod show;
mod terminal;
mod top;

use std::process::{Command, Output};

use self::normal::normal;

/// The program, for a cache with this URL.
fn rcached(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rcached"));
    command.env("REDIS_URL", url).env("NO_COLOR", "1").args(arguments);
    command
}

/// Runs it; its output, and its exit code.
fn run(url: &str, arguments: &[&str]) -> (String, i32) {
    let Output { status, stdout, stderr } = rcached(url, arguments).output().unwrap();
    let text = String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap();
    (text, status.code().expect("it ends by itself"))
}

/// Runs it, and compares what it prints, with times and random bytes replaced.
#[track_caller]
fn prints(url: &str, arguments: &[&str], code: i32, expected: &str) {
    let (printed, ended) = run(url, arguments);
    println!("$ rcached {}\n{printed}", arguments.join(" "));
    assert_eq!(normal(&printed), expected, "{arguments:?} printed\n{printed}");
    assert_eq!(ended, code, "{arguments:?}");
}

/// Runs it with `--json`.
#[track_caller]
fn json(url: &str, arguments: &[&str]) -> serde_json::Value {
    let (printed, code) = run(url, &[arguments, &["--json"]].concat());
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{arguments:?} ({code}): {error}\n{printed}"))
}
