//! Processes are killed between commit and delivery, and nothing stale remains.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use test_support::Server;

fn command(server: &Server, database: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outbox"));
    command.env("REDIS_URL", server.url()).arg(database).args(arguments);
    command
}

fn run(server: &Server, database: &Path, arguments: &[&str]) -> String {
    let output = command(server, database, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A process that runs until it is killed.
struct Victim {
    process: Child,
    /// Its output stays open, so that nothing but the signal ends it.
    output: BufReader<ChildStdout>,
}

impl Victim {
    /// Starts a process, and waits until it has printed this line.
    fn started(server: &Server, database: &Path, arguments: &[&str], until: &str) -> Victim {
        let mut process = command(server, database, arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        while line.trim() != until {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "{arguments:?} did not print {until}");
        }
        Victim { process, output }
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        assert_eq!(self.process.wait().unwrap().signal(), Some(9), "it was killed");
        drop(self.output);
    }
}

#[test]
fn another_process_delivers() {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let database = directory.path().join("users.sqlite");
    assert_eq!(run(&server, &database, &["show", "1"]), "Ada");

    Victim::started(&server, &database, &["commit", "1", "Augusta"], "committed").kill();
    assert_eq!(run(&server, &database, &["show", "1"]), "Ada", "the cache was not told");
    assert_eq!(run(&server, &database, &["deliver"]), "1 delivered");
    assert_eq!(run(&server, &database, &["show", "1"]), "Augusta");
    assert_eq!(run(&server, &database, &["deliver"]), "0 delivered");
}

/// The process is killed anywhere: in a transaction, in a delivery, or between the two.
#[test]
fn nothing_stale_remains_after_any_death() {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let database = directory.path().join("users.sqlite");
    run(&server, &database, &["deliver"]);
    for attempt in 0..12 {
        let worker = Victim::started(&server, &database, &["work"], "round 0");
        std::thread::sleep(Duration::from_micros(700 * attempt));
        for id in ["1", "3", "5"] {
            run(&server, &database, &["show", id]);
        }
        worker.kill();
        run(&server, &database, &["deliver"]);
        let connection = rusqlite::Connection::open(&database).unwrap();
        for id in 1..=5 {
            let name: String =
                connection.query_row("SELECT name FROM users WHERE id = ?", [id], |row| row.get(0)).unwrap();
            assert_eq!(run(&server, &database, &["show", &id.to_string()]), name, "user {id}");
        }
    }
}

#[test]
fn the_story_is_told() {
    let server = Server::start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_outbox"));
    let output = command.env("REDIS_URL", server.url()).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("The cache still says Ada."), "{told}");
    assert!(told.ends_with("1 delivered.\nThe cache says Augusta.\n"), "{told}");
}
