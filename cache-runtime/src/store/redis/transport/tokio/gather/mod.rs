//! Reads that are asked for at the same moment travel together.
//!
//! Per request, redis-rs takes a place in a channel, makes another one for the reply, and wakes the
//! task that drives the connection, and the server looks up a command: with many reads at once that is
//! more work than the reads. So where some are under way already, those that come next gather. The first of
//! them starts a task, which lets those that are ready run once, and sends what has gathered as one `MGET`.
//! None of the callers does that: one that is not polled any more must not keep the others.
//!
//! Those who ask for the same entry share one read of it, and each gets a copy of its reply.
//!
//! A read is sent after its caller asked for it, as by itself. What `MGET` cannot tell is an empty slot
//! from a key of another type; who finds the one asks for the lease, and is told then.

mod asked;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult, Value};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

use self::asked::{Asked, Replies};
use crate::key::Key;
use crate::poll::once::{step, yield_now};

/// With so many reads under way, the next ones gather, and all that come after them, until they are few.
const FEW: usize = 4;

/// Among so few, gathering costs more than it saves: a task more.
const TOO_FEW: usize = 2;

/// So many reads gather at most: by then, what they share costs each of them little, and none waits
/// for more replies than these.
const MOST: usize = 64;

/// So many wake their callers at the same time. If all did, those would run, and ask anew, before
/// what the first of them ask for is sent; then they would all wait for the server, and it for them.
const WAKING: usize = 2;

/// The reads of one connection.
pub(super) struct Gather {
    /// Reads that were asked for and have no reply.
    under_way: AtomicUsize,
    /// Whether the next one gathers. Not what is under way alone decides: if each time the first ones went
    /// by themselves, the others would be a second wave behind them.
    is_on: AtomicBool,
    /// What may still be joined.
    open: Mutex<Option<Arc<Party>>>,
    /// [`WAKING`].
    turns: Semaphore,
    /// The server refused an `MGET`: a user's permissions, or a cluster's slots.
    is_refused: AtomicBool,
}

/// Reads that travel together.
struct Party(Mutex<Together>);

struct Together {
    /// `None` once it was sent.
    asked: Option<Asked>,
    /// Of those who wait, by seat.
    wakers: Vec<Waker>,
    outcome: Option<Outcome>,
}

/// One caller's among those who wait, and what it asks for.
#[derive(Clone, Copy)]
struct Seat {
    at: usize,
    entry: usize,
}

enum Outcome {
    Replies(Replies),
    Failed(RedisError),
    /// Nobody knows: they took too long, or the runtime is ending.
    Lost,
}

impl Default for Gather {
    fn default() -> Self {
        Gather {
            under_way: AtomicUsize::new(0),
            is_on: AtomicBool::new(false),
            open: Mutex::default(),
            turns: Semaphore::new(WAKING),
            is_refused: AtomicBool::new(false),
        }
    }
}

impl Gather {
    /// One read more. `None`: it is to travel [`together`](Self::together) with others.
    pub(super) fn enter(&self) -> Option<UnderWay<'_>> {
        let under_way = self.under_way.fetch_add(1, Relaxed);
        if self.is_on.load(Relaxed) {
            return None;
        }
        if under_way >= FEW {
            self.is_on.store(true, Relaxed);
            return None;
        }
        Some(UnderWay { gather: self, reads: 1 })
    }

    /// So many met.
    fn met(&self, reads: usize) {
        if reads <= TOO_FEW && self.under_way.load(Relaxed) <= reads {
            self.is_on.store(false, Relaxed);
        }
    }

    /// The reply to a read that has [entered](Self::enter). `None`: it is to be sent once more, by itself.
    pub(super) fn together<'a>(
        self: &'a Arc<Self>,
        key: &'a Key,
        connection: &'a MultiplexedConnection,
        runtime: &'a Handle,
        patience: Duration,
    ) -> Gathered<'a> {
        Gathered { gather: self, key, connection, runtime, patience, seat: None }
    }

    /// A seat among those who gather.
    fn join(&self, key: &Key, waker: &Waker) -> (Arc<Party>, Seat) {
        let mut open = lock(&self.open);
        let party = Arc::clone(open.get_or_insert_with(|| {
            let (asked, wakers) = (Some(Asked::default()), Vec::with_capacity(MOST));
            Arc::new(Party(Mutex::new(Together { asked, wakers, outcome: None })))
        }));
        let seat = lock(&party.0).add(key, self.is_refused.load(Relaxed), waker);
        if seat.at + 1 == MOST {
            *open = None;
        }
        (party, seat)
    }
}

/// A read that travels with others'.
pub(super) struct Gathered<'a> {
    gather: &'a Arc<Gather>,
    key: &'a Key,
    connection: &'a MultiplexedConnection,
    runtime: &'a Handle,
    patience: Duration,
    seat: Option<(Arc<Party>, Seat)>,
}

impl Future for Gathered<'_> {
    type Output = Option<RedisResult<Value>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let read = self.get_mut();
        if let Some((party, seat)) = &read.seat {
            return party.poll(*seat, context.waker());
        }
        let (party, seat) = read.gather.join(read.key, context.waker());
        let is_full = seat.at + 1 == MOST;
        if seat.at == 0 || is_full {
            let (gather, connection) = (Arc::clone(read.gather), read.connection.clone());
            let company = Company { gather, party: Arc::clone(&party), connection, patience: read.patience };
            company.start(read.runtime, is_full);
        }
        read.seat = Some((party, seat));
        Poll::Pending
    }
}

impl Together {
    fn add(&mut self, key: &Key, is_refused: bool, waker: &Waker) -> Seat {
        self.wakers.push(waker.clone());
        // Who finds a party open finds what it asks for: it is closed before that is taken.
        let entry = self.asked.get_or_insert_default().add(key, is_refused);
        Seat { at: self.wakers.len() - 1, entry }
    }
}

impl Party {
    fn poll(&self, seat: Seat, waker: &Waker) -> Poll<Option<RedisResult<Value>>> {
        let mut together = lock(&self.0);
        match &mut together.outcome {
            None => {
                if let Some(known) = together.wakers.get_mut(seat.at) {
                    known.clone_from(waker);
                }
                Poll::Pending
            }
            Some(Outcome::Replies(replies)) => Poll::Ready(replies.take(seat.entry).map(Ok)),
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
    patience: Duration,
}

impl Company {
    fn start(self, runtime: &Handle, is_full: bool) {
        if !is_full {
            // A runtime of many threads begins with what was woken last.
            let is_next = runtime.runtime_flavor() != RuntimeFlavor::CurrentThread;
            runtime.spawn(self.wait_and_send(is_next));
            return;
        }
        let mut sending = Box::pin(self.send());
        // A first step at once: it sends, while the others still run.
        if step(sending.as_mut()).is_pending() {
            runtime.spawn(sending);
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
        let Some(asked) = self.close() else { return };
        self.gather.met(asked.askers());
        let sending = Sending::new(&self.gather, &self.party, &asked);
        let sent = asked.send(&mut self.connection, &self.gather.is_refused);
        // Each of them has a deadline of its own, which is not much later.
        let Ok(sent) = tokio::time::timeout(self.patience, sent).await else { return };
        // The semaphore is never closed.
        let _turn = self.gather.turns.acquire().await;
        self.party.end(sent.map_or_else(Outcome::Failed, Outcome::Replies));
        drop(sending);
        // They run now.
        yield_now().await;
    }

    /// Nobody joins any more. What is to be sent, unless it was before.
    fn close(&self) -> Option<Asked> {
        let mut open = lock(&self.gather.open);
        if open.as_ref().is_some_and(|open| Arc::ptr_eq(open, &self.party)) {
            *open = None;
        }
        drop(open);
        lock(&self.party.0).asked.take()
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        // The runtime is ending, and drops its tasks.
        if let Some(asked) = self.close() {
            drop(Sending::new(&self.gather, &self.party, &asked));
        }
    }
}

/// What was taken to be sent. In the end, those who have no reply send their own.
struct Sending<'a> {
    _under_way: UnderWay<'a>,
    party: &'a Party,
}

impl<'a> Sending<'a> {
    fn new(gather: &'a Gather, party: &'a Party, asked: &Asked) -> Self {
        Sending { _under_way: UnderWay { gather, reads: asked.askers() }, party }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.party.end(Outcome::Lost);
    }
}

/// Reads that wait for their replies.
pub(super) struct UnderWay<'a> {
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
