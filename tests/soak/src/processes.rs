//! The processes with callers, and what they are told and asked.

use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::worker;

/// The processes. They end when this is dropped, and with this process.
pub(crate) struct Processes(Vec<Process>);

struct Process {
    child: Child,
    orders: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
}

impl Processes {
    pub(crate) fn start(number: u64, origin: &str) -> Processes {
        let program = std::env::current_exe().expect("this program has a path");
        let start = |process: u64| {
            let mut child = Command::new(&program)
                .args([worker::COMMAND, &process.to_string(), &number.to_string(), origin])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                // Ctrl-C is for the first process alone, which ends the others.
                .process_group(0)
                .spawn()
                .expect("this program can be run again");
            let (orders, replies) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
            Process { child, orders, replies: BufReader::new(replies).lines() }
        };
        Processes((0..number).map(start).collect())
    }

    /// Gives an order to all, and returns their replies.
    pub(crate) fn ask(&mut self, order: &str) -> Vec<String> {
        for process in &mut self.0 {
            writeln!(process.orders, "{order}").expect("a process with callers runs");
        }
        let reply = |process: &mut Process| {
            let line = process.replies.next().unwrap_or_else(|| panic!("a process with callers ended at `{order}`"));
            line.expect("a process with callers replies")
        };
        self.0.iter_mut().map(reply).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
