//! Reads that are asked for at the same moment travel together.
//!
//! Per request, redis-rs takes a place in a channel, makes another one for the reply, and wakes the
//! task that drives the connection: with many reads at once that is more work than the reads. So
//! where many are under way already, those that come next gather. The first of them starts a task,
//! which lets those that are ready run once, and sends what has gathered as one pipeline. None of
//! the callers does that: one that is not polled any more must not keep the others.
//!
//! A read is sent after its caller asked for it, as by itself.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

use crate::once::{step, yield_now};

/// With so many reads under way, the next ones gather. Among fewer, it costs more than it saves: a
/// task more, and a write to the socket for what would have gone with the others'.
const FEW: usize = 32;

/// So many reads gather at most: by then, what they share costs each of them little, and none waits
/// for more replies than these.
const MOST: usize = 32;

/// So many wake their callers at the same time. If all did, those would run, and ask anew, before
/// what the first of them ask for is sent; then they would all wait for the server, and it for them.
const WAKING: usize = 2;

/// The reads of one connection.
pub(super) struct Gather {
    /// Reads that were asked for and have no reply.
    under_way: AtomicUsize,
    /// What may still be joined.
    open: Mutex<Option<Arc<Party>>>,
    /// [`WAKING`].
    turns: Semaphore,
}

/// Reads that travel together.
struct Party(Mutex<Together>);

struct Together {
    /// `None` once it was sent.
    pipeline: Option<Pipeline>,
    /// Of those who wait, by place.
    wakers: Vec<Waker>,
    outcome: Option<Outcome>,
}

enum Outcome {
    /// By place.
    Replies(Vec<Value>),
    Failed(RedisError),
    /// Nobody knows: they took too long, or the runtime is ending.
    Lost,
}

impl Default for Gather {
    fn default() -> Self {
        Gather { under_way: AtomicUsize::new(0), open: Mutex::default(), turns: Semaphore::new(WAKING) }
    }
}

impl Gather {
    /// The reply to a command that only reads. `None`: it is to be sent once more, by itself.
    pub(super) async fn read(
        self: &Arc<Self>,
        connection: &mut MultiplexedConnection,
        command: Cmd,
        handle: &Handle,
        timeout: Duration,
    ) -> Option<RedisResult<Value>> {
        if self.under_way.fetch_add(1, Relaxed) < FEW {
            let _under_way = UnderWay { gather: self, reads: 1 };
            // Boxed: an allocation costs less than to move a large future through all the layers above.
            return Some(Box::pin(connection.send_packed_command(&command)).await);
        }
        let (mut command, mut joined) = (Some(command), None);
        poll_fn(|context| {
            if let Some(command) = command.take() {
                let (party, at) = self.join(command, context.waker());
                if at == 0 || at + 1 == MOST {
                    let (gather, connection) = (Arc::clone(self), connection.clone());
                    let company = Company { gather, party: Arc::clone(&party), connection, timeout };
                    company.start(handle, at + 1 == MOST);
                }
                joined = Some((party, at));
                return Poll::Pending;
            }
            joined.as_ref().map_or(Poll::Ready(None), |(party, at)| party.poll(*at, context.waker()))
        })
        .await
    }

    /// A place among those who gather.
    fn join(&self, command: Cmd, waker: &Waker) -> (Arc<Party>, usize) {
        let mut open = lock(&self.open);
        let party = Arc::clone(open.get_or_insert_with(|| {
            let (pipeline, wakers) = (Some(Pipeline::with_capacity(MOST)), Vec::with_capacity(MOST));
            Arc::new(Party(Mutex::new(Together { pipeline, wakers, outcome: None })))
        }));
        let at = lock(&party.0).add(command, waker);
        if at + 1 == MOST {
            *open = None;
        }
        (party, at)
    }
}

impl Together {
    /// Its place.
    fn add(&mut self, command: Cmd, waker: &Waker) -> usize {
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.add_command(command);
        }
        self.wakers.push(waker.clone());
        self.wakers.len() - 1
    }
}

impl Party {
    fn poll(&self, at: usize, waker: &Waker) -> Poll<Option<RedisResult<Value>>> {
        let mut together = lock(&self.0);
        match &mut together.outcome {
            None => {
                if let Some(known) = together.wakers.get_mut(at) {
                    known.clone_from(waker);
                }
                Poll::Pending
            }
            Some(Outcome::Replies(replies)) => Poll::Ready(replies.get_mut(at).map(|reply| Ok(std::mem::take(reply)))),
            Some(Outcome::Failed(error)) => Poll::Ready(Some(Err(error.clone()))),
            Some(Outcome::Lost) => Poll::Ready(None),
        }
    }

    /// Ends it, unless it has ended.
    fn end(&self, outcome: Outcome) {
        let mut together = lock(&self.0);
        if together.outcome.is_some() {
            return;
        }
        together.outcome = Some(outcome);
        let wakers = std::mem::take(&mut together.wakers);
        drop(together);
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Those who gathered, and what it takes to send for them.
struct Company {
    gather: Arc<Gather>,
    party: Arc<Party>,
    connection: MultiplexedConnection,
    timeout: Duration,
}

impl Company {
    fn start(self, handle: &Handle, is_full: bool) {
        if !is_full {
            // A runtime of many threads begins with what was woken last.
            let is_next = handle.runtime_flavor() != RuntimeFlavor::CurrentThread;
            handle.spawn(self.wait_and_send(is_next));
            return;
        }
        let mut sending = Box::pin(self.send());
        // A first step at once: it sends, while the others still run.
        if step(sending.as_mut()).is_pending() {
            handle.spawn(sending);
        }
    }

    /// Sends for all who have joined, once the tasks that are ready have run. `is_next`: it would run
    /// before those.
    async fn wait_and_send(self, is_next: bool) {
        if is_next {
            yield_now().await;
        }
        self.send().await;
    }

    /// Sends for all who have joined, unless that was done when they were as many as may be.
    async fn send(mut self) {
        let Some(pipeline) = self.close() else { return };
        let sending = Sending::new(&self.gather, &self.party, &pipeline);
        let sent = self.connection.send_packed_commands(&pipeline, 0, pipeline.len());
        // Each of them has a deadline of its own, which is not much later.
        let Ok(replies) = tokio::time::timeout(self.timeout, sent).await else { return };
        // The semaphore is never closed.
        let _turn = self.gather.turns.acquire().await;
        self.party.end(match replies {
            Ok(replies) => Outcome::Replies(replies),
            Err(error) => Outcome::Failed(error),
        });
        drop(sending);
        // They run now.
        yield_now().await;
    }

    /// Nobody joins any more. What is to be sent, unless it was before.
    fn close(&self) -> Option<Pipeline> {
        let mut open = lock(&self.gather.open);
        if open.as_ref().is_some_and(|open| Arc::ptr_eq(open, &self.party)) {
            *open = None;
        }
        drop(open);
        lock(&self.party.0).pipeline.take()
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        // The runtime is ending, and drops its tasks.
        if let Some(pipeline) = self.close() {
            drop(Sending::new(&self.gather, &self.party, &pipeline));
        }
    }
}

/// What was taken to be sent. In the end, those who have no reply send their own.
struct Sending<'a> {
    _under_way: UnderWay<'a>,
    party: &'a Party,
}

impl<'a> Sending<'a> {
    fn new(gather: &'a Gather, party: &'a Party, reads: &Pipeline) -> Self {
        Sending { _under_way: UnderWay { gather, reads: reads.len() }, party }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.party.end(Outcome::Lost);
    }
}

/// Reads that wait for their replies.
struct UnderWay<'a> {
    gather: &'a Gather,
    reads: usize,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.gather.under_way.fetch_sub(self.reads, Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while a lock is held leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
