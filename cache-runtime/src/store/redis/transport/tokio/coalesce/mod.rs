//! Request coalescing: reads that start at the same moment are sent as one command.
//!
//! For each request, redis-rs takes a place in a channel, makes another channel for the reply, and wakes the task that
//! drives the connection, and the server looks up a command: for many simultaneous reads that is more work than the
//! reads are. Therefore a read that starts while some are under way joins a batch. The first read of a batch starts a
//! task, which lets the tasks that are ready run once, and sends the batch as one `MGET`. No caller sends it, because a
//! caller that is not polled any more must not keep the others waiting.
//!
//! Reads of the same entry share one read of it, and each gets a copy of the reply.
//!
//! A read is sent after its call started, as it would be alone. `MGET` cannot tell an empty slot from a key of another
//! type; the call that finds an empty slot asks for the lease, and gets the error then.

mod requests;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult, Value};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::time::error::Elapsed;

use self::requests::{Replies, Requests};
use crate::key::Key;
use crate::observe::{Exchange, Exchanges, Failure};
use crate::poll::block_on::{step, yield_now};
use crate::store::redis::server::fault::Fault;
use crate::store::redis::server::features::Features;

/// With this number of reads under way, the next ones join a batch, and so do all that follow until they are few.
const FEW: usize = 4;

/// For at most this number of reads, a batch costs more than it saves, because it takes a task.
const TOO_FEW: usize = 2;

/// The most reads in a batch: the shared costs are small for each of them by then, and no read waits for more replies
/// than these.
const MOST: usize = 64;

/// The number of batches that wake their callers at the same time. If all did, the callers would all run and read again
/// before the first of their reads is sent; then they would all wait for the server, and the server for them.
const WAKING: usize = 2;

/// The reads of one connection.
pub(super) struct Coalescer {
    /// The number of reads that have no reply yet.
    under_way: AtomicUsize,
    /// True if the next read joins a batch. The number under way does not decide alone: if the first reads were sent
    /// alone each time, the others would always be a second wave.
    is_on: AtomicBool,
    /// The batch that reads may still join.
    open: Mutex<Option<Arc<Batch>>>,
    /// [`WAKING`] permits.
    turns: Semaphore,
    /// The server refused an `MGET`: a user's permissions, or a cluster's slots.
    is_refused: AtomicBool,
    /// A batch is one exchange.
    exchanges: Arc<Exchanges>,
}

/// Reads that are sent together.
struct Batch(Mutex<BatchState>);

struct BatchState {
    /// `None` once it was sent.
    requests: Option<Requests>,
    /// The wakers of the reads that wait, by ticket.
    wakers: Vec<Waker>,
    outcome: Option<BatchOutcome>,
}

/// The place of one read in its batch, and the entry that it reads.
#[derive(Clone, Copy)]
struct Ticket {
    at: usize,
    entry: usize,
}

enum BatchOutcome {
    Replies(Replies),
    Failed(RedisError),
    /// The reply is unknown: the batch took too long, or the runtime is ending.
    Lost,
}

impl Coalescer {
    /// Where one command cannot read many keys, a batch is a pipeline of commands.
    pub(super) fn new(features: Features, exchanges: Arc<Exchanges>) -> Arc<Coalescer> {
        Arc::new(Coalescer {
            under_way: AtomicUsize::new(0),
            is_on: AtomicBool::new(false),
            open: Mutex::default(),
            turns: Semaphore::new(WAKING),
            is_refused: AtomicBool::new(!features.has(Features::MANY_KEYS)),
            exchanges,
        })
    }

    /// Counts one more read. `None` means that it must be sent [`together`](Self::together) with others.
    pub(super) fn enter(&self) -> Option<UnderWay<'_>> {
        let under_way = self.under_way.fetch_add(1, Relaxed);
        if self.is_on.load(Relaxed) {
            return None;
        }
        if under_way >= FEW {
            self.is_on.store(true, Relaxed);
            return None;
        }
        Some(UnderWay { coalescer: self, reads: 1 })
    }

    /// Notes that a batch of this number of reads is about to be sent.
    fn met(&self, reads: usize) {
        if reads <= TOO_FEW && self.under_way.load(Relaxed) <= reads {
            self.is_on.store(false, Relaxed);
        }
    }

    /// Returns the reply to a read that has [entered](Self::enter). `None` means that it must be sent once more, by
    /// itself.
    pub(super) fn together<'a>(
        self: &'a Arc<Self>,
        key: &'a Key,
        connection: &'a MultiplexedConnection,
        runtime: &'a Handle,
        patience: Duration,
    ) -> CoalescedRead<'a> {
        CoalescedRead { coalescer: self, key, connection, runtime, patience, ticket: None }
    }

    /// Takes a place in the open batch.
    fn join(&self, key: &Key, waker: &Waker) -> (Arc<Batch>, Ticket) {
        let mut open = lock(&self.open);
        let batch = Arc::clone(open.get_or_insert_with(|| {
            let (requests, wakers) = (Some(Requests::default()), Vec::with_capacity(MOST));
            Arc::new(Batch(Mutex::new(BatchState { requests, wakers, outcome: None })))
        }));
        let ticket = lock(&batch.0).add(key, self.is_refused.load(Relaxed), waker);
        if ticket.at + 1 == MOST {
            *open = None;
        }
        (batch, ticket)
    }
}

/// A read that is sent in a batch.
pub(super) struct CoalescedRead<'a> {
    coalescer: &'a Arc<Coalescer>,
    key: &'a Key,
    connection: &'a MultiplexedConnection,
    runtime: &'a Handle,
    patience: Duration,
    ticket: Option<(Arc<Batch>, Ticket)>,
}

impl Future for CoalescedRead<'_> {
    type Output = Option<RedisResult<Value>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let read = self.get_mut();
        if let Some((batch, ticket)) = &read.ticket {
            return batch.poll(*ticket, context.waker());
        }
        let (batch, ticket) = read.coalescer.join(read.key, context.waker());
        let is_full = ticket.at + 1 == MOST;
        if ticket.at == 0 || is_full {
            let (coalescer, connection) = (Arc::clone(read.coalescer), read.connection.clone());
            let sender = Sender { coalescer, batch: Arc::clone(&batch), connection, patience: read.patience };
            sender.start(read.runtime, is_full);
        }
        read.ticket = Some((batch, ticket));
        Poll::Pending
    }
}

impl BatchState {
    fn add(&mut self, key: &Key, is_refused: bool, waker: &Waker) -> Ticket {
        self.wakers.push(waker.clone());
        // An open batch has its requests: it is closed before they are taken.
        let entry = self.requests.get_or_insert_default().add(key, is_refused);
        Ticket { at: self.wakers.len() - 1, entry }
    }
}

impl Batch {
    fn poll(&self, ticket: Ticket, waker: &Waker) -> Poll<Option<RedisResult<Value>>> {
        let mut together = lock(&self.0);
        match &mut together.outcome {
            None => {
                if let Some(known) = together.wakers.get_mut(ticket.at) {
                    known.clone_from(waker);
                }
                Poll::Pending
            }
            Some(BatchOutcome::Replies(replies)) => Poll::Ready(replies.take(ticket.entry).map(Ok)),
            Some(BatchOutcome::Failed(error)) => Poll::Ready(Some(Err(error.clone()))),
            Some(BatchOutcome::Lost) => Poll::Ready(None),
        }
    }

    /// Ends the batch, unless it has ended.
    fn end(&self, outcome: BatchOutcome) {
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

/// A batch, and the parts that send it.
struct Sender {
    coalescer: Arc<Coalescer>,
    batch: Arc<Batch>,
    connection: MultiplexedConnection,
    patience: Duration,
}

impl Sender {
    fn start(self, runtime: &Handle, is_full: bool) {
        if !is_full {
            // A multi-threaded runtime runs the task that was woken last first.
            let is_next = runtime.runtime_flavor() != RuntimeFlavor::CurrentThread;
            runtime.spawn(self.wait_and_send(is_next));
            return;
        }
        let mut sending = Box::pin(self.send());
        // The first step is taken at once: it sends while the other tasks still run.
        if step(sending.as_mut()).is_pending() {
            runtime.spawn(sending);
        }
    }

    /// Sends the batch once the tasks that are ready have run. `is_next`: this task would run before those.
    async fn wait_and_send(self, is_next: bool) {
        if is_next {
            yield_now().await;
        }
        self.send().await;
    }

    /// Sends the batch, unless it was sent when it became full.
    async fn send(mut self) {
        let Some(requests) = self.close() else { return };
        self.coalescer.met(requests.readers());
        let sending = Sending::new(&self.coalescer, &self.batch, &requests);
        let Coalescer { is_refused, exchanges, .. } = &*self.coalescer;
        let (operation, commands) = requests.operation();
        let (exchange, began) = (Exchange::begin(exchanges, operation, commands), Instant::now());
        let sent = requests.send(&mut self.connection, is_refused);
        // Each read has a deadline of its own, which is not much later.
        let sent = tokio::time::timeout(self.patience, sent).await;
        exchange.ended(exchanges, began, failure(&sent));
        let Ok(sent) = sent else { return };
        // The semaphore is never closed.
        let _turn = self.coalescer.turns.acquire().await;
        self.batch.end(sent.map_or_else(BatchOutcome::Failed, BatchOutcome::Replies));
        drop(sending);
        // The callers run now.
        yield_now().await;
    }

    /// Closes the batch. `None` means that it was sent before.
    fn close(&self) -> Option<Requests> {
        let mut open = lock(&self.coalescer.open);
        if open.as_ref().is_some_and(|open| Arc::ptr_eq(open, &self.batch)) {
            *open = None;
        }
        drop(open);
        lock(&self.batch.0).requests.take()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // The runtime is ending, and drops its tasks.
        if let Some(requests) = self.close() {
            drop(Sending::new(&self.coalescer, &self.batch, &requests));
        }
    }
}

/// The failure of a batch.
fn failure<T>(sent: &Result<RedisResult<T>, Elapsed>) -> Option<Failure> {
    match sent {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(Fault::from(error.clone()).failure()),
        Err(_) => Some(Failure::Timeout),
    }
}

/// Ends a batch that was sent: reads without a reply are sent alone then.
struct Sending<'a> {
    _under_way: UnderWay<'a>,
    batch: &'a Batch,
}

impl<'a> Sending<'a> {
    fn new(coalescer: &'a Coalescer, batch: &'a Batch, requests: &Requests) -> Self {
        Sending { _under_way: UnderWay { coalescer, reads: requests.readers() }, batch }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.batch.end(BatchOutcome::Lost);
    }
}

/// Reads that wait for their replies.
pub(super) struct UnderWay<'a> {
    coalescer: &'a Coalescer,
    reads: usize,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.coalescer.under_way.fetch_sub(self.reads, Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while a lock is held leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
