//! The whole story, with processes of this program.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Outcome;

pub(crate) fn play() -> Outcome {
    let directory = tempfile::tempdir()?;
    let database = directory.path().join("users.sqlite");

    // An earlier run of this example has left a name in the cache.
    run(&database, &["rename", "1", "Ada"])?;
    println!("The name of user 1 is {}, and is in the cache.", run(&database, &["show", "1"])?);

    kill_after_commit(&database, "1", "Augusta")?;
    println!("A process has renamed the user to Augusta, and was killed between its commit and the delivery.");
    println!("The cache still says {}.", run(&database, &["show", "1"])?);

    println!("Another process looks into the outbox: {}.", run(&database, &["deliver"])?);
    println!("The cache says {}.", run(&database, &["show", "1"])?);
    Ok(())
}

/// Runs a command in a process of its own, and returns what it printed.
fn run(database: &Path, arguments: &[&str]) -> Result<String, Box<dyn std::error::Error>> {
    let output =
        Command::new(std::env::current_exe()?).arg(database).args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{arguments:?} failed").into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn kill_after_commit(database: &Path, id: &str, name: &str) -> Outcome {
    let mut process = Command::new(std::env::current_exe()?)
        .arg(database)
        .args(["commit", id, name])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    if let Some(output) = process.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    process.kill()?;
    process.wait()?;
    if line.trim() == "committed" { Ok(()) } else { Err("the process did not commit".into()) }
}
