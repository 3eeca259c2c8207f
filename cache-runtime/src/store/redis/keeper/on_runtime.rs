//! The keeper with a runtime.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::store::redis::request::Load;
use crate::store::redis::server::Server;
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::Fault;
use crate::store::redis::transport::tokio::Tokio;
use crate::store::redis::transport::{Build, Decode, Transport};

/// The time after which a thread that resolved a name, or read a file, ends.
const IDLE: Duration = Duration::from_secs(1);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A handle of the keeper of one cache. Clones are the same keeper.
#[derive(Clone, Default)]
pub(crate) struct Keeper(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    thread: Option<Running>,
    is_over: bool,
}

/// The thread, while there is one.
struct Running {
    /// Dropping it ends the thread.
    tasks: UnboundedSender<Task>,
    process: u32,
}

impl Keeper {
    /// Runs a task on the keeper's thread, which is started if it is not running. Returns false, and drops the task, if
    /// the cache is gone or no thread can be started.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        let task = Box::pin(task);
        let mut state = self.lock();
        if state.is_over {
            return false;
        }
        let process = std::process::id();
        if let Some(running) = state.thread.take_if(|running| running.process != process) {
            // The thread is in another process, with which its waker shares a file.
            std::mem::forget(running);
        }
        if state.thread.is_none() {
            let (tasks, spawned) = unbounded_channel();
            let keeper = self.clone();
            let thread = thread::Builder::new().name("redis-cached keeper".to_owned());
            if thread.spawn(move || keeper.run(spawned)).is_err() {
                return false;
            }
            state.thread = Some(Running { tasks, process });
        }
        state.thread.as_ref().is_some_and(|running| running.tasks.send(task).is_ok())
    }

    /// Ends the thread, and drops its tasks. No more are started.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.is_over = true;
        let thread = state.thread.take();
        drop(state);
        drop(thread);
    }

    /// The thread.
    fn run(&self, spawned: UnboundedReceiver<Task>) {
        let runtime = match Builder::new_current_thread().enable_all().thread_keep_alive(IDLE).build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::warn!(%error, "the background thread of the cache has no runtime, and ends");
                self.lock().thread = None;
                return;
            }
        };
        let (mut spawned, mut running) = (spawned, JoinSet::new());
        runtime.block_on(poll_fn(|context| self.poll(&mut spawned, &mut running, context)));
        drop(running);
        // A name that is being resolved, for example, is not waited for.
        runtime.shutdown_background();
        // The tasks that are left are dropped without the lock, which they may take.
        drop(spawned);
    }

    /// Starts tasks and collects those that have ended. This is ready at the end of the thread.
    fn poll(
        &self,
        spawned: &mut UnboundedReceiver<Task>,
        running: &mut JoinSet<()>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        while let Poll::Ready(task) = spawned.poll_recv(context) {
            match task {
                Some(task) => drop(running.spawn(task)),
                None => return Poll::Ready(()),
            }
        }
        while let Poll::Ready(Some(ended)) = running.poll_join_next(context) {
            if ended.is_err_and(|error| error.is_panic()) {
                tracing::error!("a background task of the cache panicked, and ended");
            }
        }
        if !running.is_empty() {
            return Poll::Pending;
        }
        let mut state = self.lock();
        // A task may have been spawned meanwhile. Under the lock, none can be.
        if !spawned.is_empty() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        state.thread = None;
        Poll::Ready(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes one task.
#[derive(Debug, Default)]
pub(crate) struct Signal(Notify);

impl Signal {
    /// Ends the current wait, or the next one.
    pub(crate) fn notify(&self) {
        self.0.notify_one();
    }

    /// Waits for a notification, and no longer than this.
    pub(crate) async fn wait(&self, longest: Duration) {
        let _ = tokio::time::timeout(longest, self.0.notified()).await;
    }
}

/// The transport of a task of the keeper, with a connection of its own.
pub(crate) struct Lone(Tokio);

impl Lone {
    pub(crate) fn new(server: &Arc<Server>) -> Lone {
        Lone(Tokio::new(server))
    }
}

impl Transport for Lone {
    async fn exchange(
        &self,
        epoch: Epoch,
        load: Load,
        build: Build<'_>,
        decode: Decode<'_>,
        by: Instant,
    ) -> Result<(), Fault> {
        self.0.exchange(epoch, load, build, decode, by).await
    }

    async fn reconnect(&self, epoch: Epoch, by: Instant) -> Result<(), Fault> {
        self.0.reconnect(epoch, by).await
    }

    /// The other faces start their own background tasks: this transport does not live as long as one.
    fn background(&self, _task: impl Future<Output = ()> + Send + 'static) {}

    async fn wait<F: Future + Send>(&self, event: F, by: Instant) -> Result<Option<F::Output>, Fault> {
        self.0.wait(event, by).await
    }

    async fn pause(duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use test_support::{PATIENCE, eventually};

    use super::*;

    /// Says on which thread it runs.
    fn asked(keeper: &Keeper) -> thread::ThreadId {
        let (answer, answered) = channel();
        assert!(keeper.spawn(async move { answer.send(thread::current().id()).expect("asked") }));
        answered.recv_timeout(PATIENCE).expect("the task runs")
    }

    /// Runs until it is dropped, which the receiver then notices.
    fn endless(keeper: &Keeper) -> Receiver<()> {
        let (alive, dropped) = channel::<()>();
        assert!(keeper.spawn(async move {
            std::future::pending::<()>().await;
            drop(alive);
        }));
        dropped
    }

    fn is_idle(keeper: &Keeper) -> bool {
        keeper.lock().thread.is_none()
    }

    #[test]
    fn tasks_share_a_thread_that_ends_with_the_last_one() {
        let keeper = Keeper::default();
        assert!(is_idle(&keeper));
        let dropped = endless(&keeper);
        let first = asked(&keeper);
        assert_eq!(asked(&keeper), first);
        assert!(!is_idle(&keeper));
        keeper.end();
        assert!(dropped.recv_timeout(PATIENCE).is_err(), "it is dropped");
        assert!(!keeper.spawn(async {}), "the cache is gone");
        let keeper = Keeper::default();
        let first = asked(&keeper);
        eventually("the thread ends", || is_idle(&keeper));
        assert_ne!(asked(&keeper), first, "another one");
    }

    #[test]
    fn a_panic_ends_its_task_alone() {
        let keeper = Keeper::default();
        let dropped = endless(&keeper);
        let first = asked(&keeper);
        let (begun, begins) = channel();
        assert!(keeper.spawn(async move {
            begun.send(()).expect("waited for");
            panic!("this is expected");
        }));
        begins.recv_timeout(PATIENCE).expect("it runs");
        assert_eq!(asked(&keeper), first);
        assert!(dropped.try_recv().is_err_and(|error| error == std::sync::mpsc::TryRecvError::Empty));
        keeper.end();
    }

    #[test]
    fn a_forked_child_starts_its_own_thread() {
        let keeper = Keeper::default();
        let dropped = endless(&keeper);
        let first = asked(&keeper);
        // The child has the state, and not the thread.
        keeper.lock().thread.as_mut().expect("a thread").process ^= 1;
        assert_ne!(asked(&keeper), first);
        assert!(dropped.try_recv().is_err_and(|error| error == std::sync::mpsc::TryRecvError::Empty), "left alone");
    }

    #[test]
    fn a_notification_is_not_lost() {
        let (keeper, signal) = (Keeper::default(), Arc::new(Signal::default()));
        signal.notify();
        let (woken, wakes) = channel();
        let waits = Arc::clone(&signal);
        assert!(keeper.spawn(async move {
            for _ in 0..2 {
                waits.wait(PATIENCE * 2).await;
                woken.send(()).expect("waited for");
            }
        }));
        wakes.recv_timeout(PATIENCE).expect("of before");
        signal.notify();
        wakes.recv_timeout(PATIENCE).expect("of now");
    }
}
