//! What clap makes of the command line: completions and manual pages.

use std::io::stdout;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::outcome::{Code, Outcome};

pub(super) fn completions(shell: Shell) -> Outcome {
    clap_complete::generate(shell, &mut Args::command(), "rcached", &mut stdout());
    Ok(Code::Done)
}

pub(super) fn man(directory: Option<&Path>) -> Outcome {
    match directory {
        Some(directory) => clap_mangen::generate_to(Args::command(), directory)?,
        None => clap_mangen::Man::new(Args::command()).render(&mut stdout())?,
    }
    Ok(Code::Done)
}
