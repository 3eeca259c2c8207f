//! Signals to processes that this one has started.

use std::process::Child;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::eventually;

/// Freezes a process, and waits until none of its threads runs: a busy machine takes its time for that, and the other
/// threads go on until then.
#[track_caller]
pub fn freeze(process: &Child) {
    kill_process(pid_of(process), Signal::STOP).expect("the process runs");
    // The report is left, so that a process that is frozen already has one, too.
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let is_frozen = || waitid(WaitId::Pid(pid_of(process)), options).expect("the process runs").is_some();
    eventually("the process is frozen", is_frozen);
}

/// Lets a frozen process continue.
#[track_caller]
pub fn thaw(process: &Child) {
    kill_process(pid_of(process), Signal::CONT).expect("the process runs");
}

fn pid_of(process: &Child) -> Pid {
    Pid::from_child(process)
}
