//! What clap makes of the command line: completions and manual pages.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::outcome::{Code, Outcome};
use crate::output;

pub(super) fn completions(shell: Shell) -> Outcome {
    // A generator panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "rcached", &mut script);
    output::print_bytes(&script)?;
    Ok(Code::Done)
}

pub(super) fn man(directory: Option<&Path>) -> Outcome {
    match directory {
        Some(directory) => clap_mangen::generate_to(Args::command(), directory)?,
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Args::command()).render(&mut page)?;
            output::print_bytes(&page)?;
        }
    }
    Ok(Code::Done)
}
