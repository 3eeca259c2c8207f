//! The thread that starts other threads.
//!
//! To start a thread takes locks of the whole process. If the machine is busy and the process starts and ends many
//! threads, that was measured to take a third of a second, which no deadline of a call can bound. Therefore a call only
//! hands over what is to run.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use crate::fork::Process;
use crate::lock::briefly;

/// A thread without work ends after this time.
const IDLE: Duration = Duration::from_secs(60);

/// Work for a thread of its own. It is dropped if no thread can be started.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Starts threads. Its own one starts with the first of them.
#[derive(Default)]
pub(super) struct Starter {
    jobs: Arc<Mutex<Option<Sender<Job>>>>,
    process: Process,
}

impl Starter {
    /// Runs the job in a thread of its own, soon.
    pub(super) fn start(&self, job: Job) {
        let mut sender = briefly(&self.jobs);
        if self.process.is_forked() {
            // The thread is in another process.
            std::mem::forget(sender.take());
        }
        let job = match &*sender {
            Some(known) => match known.send(job) {
                Ok(()) => return,
                Err(mpsc::SendError(job)) => job,
            },
            None => job,
        };
        let (new, jobs) = mpsc::channel();
        // The channel has its receiver.
        let _ = new.send(job);
        *sender = Some(new);
        drop(sender);
        let starter = Arc::downgrade(&self.jobs);
        // If no thread can be started, the jobs are dropped, and the next one is tried again.
        let _ = thread::Builder::new().name("redis-cached start".to_owned()).spawn(move || run(&jobs, &starter));
    }
}

/// Runs until the starter is gone, or there was no job for long.
fn run(jobs: &Receiver<Job>, starter: &Weak<Mutex<Option<Sender<Job>>>>) {
    loop {
        match jobs.recv_timeout(IDLE) {
            Ok(job) => start(job),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let Some(starter) = starter.upgrade() else { return };
                // Jobs are sent under this lock.
                let mut sender = briefly(&starter);
                match jobs.try_recv() {
                    Ok(job) => {
                        drop(sender);
                        start(job);
                    }
                    Err(_) => {
                        *sender = None;
                        return;
                    }
                }
            }
        }
    }
}

fn start(job: Job) {
    let _ = thread::Builder::new().name("redis-cached".to_owned()).spawn(job);
}
