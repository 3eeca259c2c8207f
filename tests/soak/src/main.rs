//! Callers in several processes, while their Redis fails in every way: each call is judged.
//!
//! `cargo run --release --package redis-cached-soak -- --minutes 10` starts servers of its own, and prints what each fault
//! did to the calls. docs/TESTING.md says what the columns mean.

mod driver;
mod faults;
mod measures;
mod options;
mod place;
mod processes;
mod report;
mod worker;

use std::process::ExitCode;

use options::{Action, Options};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(part) = arguments.strip_prefix(&[worker::COMMAND.to_owned()]) {
        worker::run(part);
        return ExitCode::SUCCESS;
    }
    match Options::parse(&arguments) {
        Ok(Action::Run(options)) => driver::run(&options),
        Ok(Action::Say(text)) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(sentence) => {
            eprintln!("redis-cached-soak: {sentence}");
            ExitCode::from(2)
        }
    }
}
