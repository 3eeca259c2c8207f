//! The transport of blocking callers: a small pool of connections.
//!
//! Opening a connection resolves a name, and may do a TLS handshake: neither takes a deadline. A short-lived thread
//! does it, and callers wait no longer than their deadlines.

mod starter;

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use self::starter::Starter;
use crate::error::ErrorKind;
use crate::fork::Process;
use crate::lock::briefly;
use crate::poll::block_on::block_on;
use crate::store::redis::request::Load;
use crate::store::redis::server::Server;
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::transport::wire::Wire;
use crate::store::redis::transport::{Build, Decode, FULL, HALF_OPEN, Transport, patience};

/// A connection that was idle for this time is closed.
const IDLE: Duration = Duration::from_secs(60);

/// A pool of connections, the last one used first.
pub(crate) struct Blocking {
    server: Arc<Server>,
    pool: Arc<Pool>,
    /// The most connections in the pool.
    most: usize,
    starter: Starter,
}

#[derive(Default)]
struct Pool {
    state: Mutex<PoolState>,
    /// The number of consecutive time-outs.
    timeouts: AtomicU32,
    process: Process,
}

#[derive(Default)]
struct PoolState {
    idle: Vec<Pooled>,
    /// The number of connections that are idle, lent, or being opened.
    open: usize,
    opening: usize,
    /// The time since when at least one is being opened.
    opening_since: Option<Instant>,
    /// The threads that wait for a connection. A condition variable would make each of them take the lock, too, one
    /// after the other.
    waiting: VecDeque<Thread>,
    /// Connections of an earlier generation are dropped: they were open when another one was found closed.
    generation: u64,
    /// The number of failed openings, and the reason of the last failure.
    failures: u64,
    failure: Option<Fault>,
    /// Until this time, the server is not asked for more than the connections that are open, here or elsewhere in this
    /// process.
    full_until: Option<Instant>,
}

struct Pooled {
    /// This is boxed, because it is moved often.
    wire: Box<Wire>,
    epoch: Epoch,
    generation: u64,
    used: bool,
    /// The deadline of its last exchange, which serves as the time of its return.
    since: Instant,
}

impl Blocking {
    pub(crate) fn new(server: &Arc<Server>, most: usize) -> Blocking {
        Blocking { server: Arc::clone(server), pool: Arc::default(), most, starter: Starter::default() }
    }

    fn exchange_now(&self, epoch: Epoch, build: Build<'_>, decode: Decode<'_>, by: Instant) -> Result<(), Fault> {
        let mut retried = false;
        loop {
            let mut lent = self.checkout(epoch, by)?;
            let Some(pooled) = lent.pooled.as_mut() else { return Err(Fault::hung()) };
            let request = build(self.server.allowed(pooled.wire.features));
            let exchange = request.begin(&pooled.wire.exchanges);
            let outcome = pooled.wire.send(&request, by).and_then(&mut *decode);
            exchange.ended(&pooled.wire.exchanges, pooled.wire.began(), outcome.as_ref().err().map(Fault::failure));
            match outcome {
                // The connection is lost: the rest of its reply is still to come.
                Err(fault @ Fault { blame: Blame::Large(_), .. }) => {
                    drop(lent);
                    return Err(fault);
                }
                Err(fault) if fault.error.kind() == ErrorKind::Timeout && self.is_late(&pooled.wire, by) => {
                    // The connection is lost: its reply may still come.
                    drop(lent);
                    return Err(Fault { blame: Blame::Late, ..fault });
                }
                Err(fault) if fault.spoils_connection() => {
                    let used = pooled.used;
                    self.pool.spoilt(lent, &fault);
                    if fault.blame != Blame::Closed || !used || retried {
                        return Err(fault);
                    }
                    if !request.may_be_repeated() {
                        return Err(Fault { blame: Blame::Dropped, ..fault });
                    }
                    retried = true;
                }
                outcome => {
                    pooled.used = true;
                    pooled.since = by;
                    lent.give_back();
                    return outcome;
                }
            }
        }
    }

    /// Returns true if the last exchange began when most of the caller's time was over: it had waited for a connection,
    /// now or before.
    fn is_late(&self, wire: &Wire, by: Instant) -> bool {
        by.saturating_duration_since(wire.began()) < self.server.timeout / 2
    }

    fn checkout(&self, epoch: Epoch, by: Instant) -> Result<Lent<'_>, Fault> {
        let pool = &*self.pool;
        let mut state = pool.lock();
        if pool.process.is_forked() {
            state.forked();
        }
        let failures = state.failures;
        let mut has_opened = false;
        loop {
            while let Some(pooled) = state.idle.pop() {
                // An operation of an earlier epoch must not close the connections of the current one.
                if pooled.epoch == epoch || self.server.health.is_current(pooled.epoch) {
                    return Ok(Lent { pool, pooled: Some(pooled) });
                }
                state.open -= 1;
            }
            if state.failures != failures {
                return Err(state.failure.clone().unwrap_or_else(Fault::hung));
            }
            let now = Instant::now();
            let mut is_full = state.full_until.is_some_and(|until| now < until);
            if is_full && state.open == 0 {
                // Other connections of this process are open, to async callers; or the open ones are closed by now.
                match &state.failure {
                    Some(fault) if fault.blame == Blame::Wait => return Err(fault.clone()),
                    _ => is_full = false,
                }
            }
            if !has_opened && !is_full && state.opening <= state.waiting.len() && state.open < self.most {
                has_opened = true;
                self.open(state, epoch);
                state = pool.lock();
                continue;
            }
            let left = by.saturating_duration_since(now);
            if left.is_zero() {
                // Connections in use show if the server is well, and so does one that has been opening for long.
                let since = state.opening_since.filter(|_| state.open == state.opening);
                let is_hung = since.is_some_and(|since| now - since >= self.server.timeout * 3 / 4);
                return Err(match is_hung {
                    true => Fault::hung(),
                    false => Fault::new(
                        ErrorKind::Timeout,
                        Blame::Wait,
                        "all connections are busy; `Builder::blocking_connections` allows more",
                    ),
                });
            }
            state = pool.wait(state, left);
            has_opened = false;
        }
    }

    /// Has a connection opened by a thread of its own.
    fn open(&self, mut state: MutexGuard<'_, PoolState>, asked: Epoch) {
        state.open += 1;
        state.opening += 1;
        state.opening_since.get_or_insert_with(Instant::now);
        let (server, pool, generation) = (Arc::clone(&self.server), Arc::clone(&self.pool), state.generation);
        drop(state);
        let opening = Opening { server, pool, outcome: Some(Err(unstarted())) };
        self.starter.start(Box::new(move || opening.run(asked, generation)));
    }
}

/// A thread that cannot be started says nothing of the server.
fn unstarted() -> Fault {
    Fault::new(ErrorKind::Unreachable, Blame::Caller, "no thread can be started")
}

impl Transport for Blocking {
    #[cfg(feature = "tokio")]
    const BLOCKS: bool = true;

    async fn exchange(
        &self,
        epoch: Epoch,
        _load: Load,
        build: Build<'_>,
        decode: Decode<'_>,
        by: Instant,
    ) -> Result<(), Fault> {
        self.exchange_now(epoch, build, decode, by)
    }

    async fn reconnect(&self, epoch: Epoch, by: Instant) -> Result<(), Fault> {
        let generation = self.pool.lock().generation;
        let pooled = connect(&self.server, epoch, generation, by)?;
        self.pool.lock().open += 1;
        Lent { pool: &self.pool, pooled: Some(pooled) }.give_back();
        Ok(())
    }

    fn background(&self, task: impl Future<Output = ()> + Send + 'static) {
        // If no thread can be started, the task is dropped.
        self.starter.start(Box::new(move || block_on(task)));
    }

    fn soon(&self, task: impl Future<Output = ()> + Send + 'static) {
        // A caller that has just lost its time to the server loses no more.
        let answers = self.pool.timeouts.load(Relaxed) == 0;
        let has_connection = !self.pool.lock().idle.is_empty();
        if answers && has_connection {
            block_on(task);
        } else {
            self.background(task);
        }
    }

    async fn pause(duration: Duration) {
        thread::sleep(duration);
    }
}

fn connect(server: &Arc<Server>, epoch: Epoch, generation: u64, by: Instant) -> Result<Pooled, Fault> {
    let wire = Box::new(Wire::open(server, epoch, by)?);
    Ok(Pooled { wire, epoch, generation, used: false, since: by })
}

impl PoolState {
    /// Notes that an attempt to open a connection has ended.
    fn opened_one(&mut self) {
        self.opening -= 1;
        if self.opening == 0 {
            self.opening_since = None;
        }
    }

    /// This process is a fork of the one that opened the connections, which goes on using them. Threads that open some or
    /// wait for one are in the other process.
    fn forked(&mut self) {
        self.idle.clear();
        self.waiting.clear();
        (self.open, self.opening, self.opening_since) = (0, 0, None);
        self.generation += 1;
    }

    fn wake_one(&mut self) {
        if let Some(thread) = self.waiting.pop_front() {
            thread.unpark();
        }
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        briefly(&self.state)
    }

    /// Waits until a connection may be free, for so long at most.
    fn wait<'a>(&'a self, mut state: MutexGuard<'a, PoolState>, left: Duration) -> MutexGuard<'a, PoolState> {
        let thread = thread::current();
        let id = thread.id();
        state.waiting.push_back(thread);
        drop(state);
        thread::park_timeout(left);
        let mut state = self.lock();
        state.waiting.retain(|waiting| waiting.id() != id);
        state
    }

    /// Drops a connection, and with it those that probably have the same fault.
    fn spoilt(&self, mut lent: Lent<'_>, fault: &Fault) {
        let generation = lent.pooled.take().map(|pooled| pooled.generation);
        let timed_out = fault.error.kind() == ErrorKind::Timeout;
        let half_open = timed_out && self.timeouts.fetch_add(1, Relaxed) + 1 >= HALF_OPEN;
        let mut state = self.lock();
        state.open -= 1;
        if (half_open || !timed_out) && generation == Some(state.generation) {
            self.timeouts.store(0, Relaxed);
            state.generation += 1;
            state.open -= state.idle.len();
            state.idle.clear();
        }
        state.wake_one();
    }
}

/// A connection in use.
struct Lent<'a> {
    pool: &'a Pool,
    /// `None` once it was given back, or spoilt.
    pooled: Option<Pooled>,
}

impl Lent<'_> {
    fn give_back(mut self) {
        let Some(pooled) = self.pooled.take() else { return };
        if self.pool.timeouts.load(Relaxed) != 0 {
            self.pool.timeouts.store(0, Relaxed);
        }
        let mut state = self.pool.lock();
        let mut unneeded = None;
        if pooled.generation != state.generation {
            unneeded = Some(pooled);
        } else {
            let now = pooled.since;
            state.idle.push(pooled);
            if now.saturating_duration_since(state.idle[0].since) > IDLE {
                unneeded = Some(state.idle.remove(0));
            }
        }
        if unneeded.is_some() {
            state.open -= 1;
        }
        let next = state.waiting.pop_front();
        drop(state);
        if let Some(next) = next {
            next.unpark();
        }
    }
}

impl Drop for Lent<'_> {
    /// The caller panicked.
    fn drop(&mut self) {
        if self.pooled.take().is_some() {
            let mut state = self.pool.lock();
            state.open -= 1;
            state.wake_one();
        }
    }
}

/// A connection being opened. Its end is reported even if the thread panics.
struct Opening {
    server: Arc<Server>,
    pool: Arc<Pool>,
    outcome: Option<Result<Pooled, Fault>>,
}

impl Opening {
    fn run(mut self, asked: Epoch, generation: u64) {
        // Until there is one, the thread may panic.
        self.outcome = None;
        let server = &self.server;
        // On a busy machine, the breaker may have opened before this thread runs.
        self.outcome = Some(match server.health.has_opened_since(asked) {
            false => connect(server, server.health.epoch(), generation, Instant::now() + patience(server.timeout)),
            true => Err(self.pool.lock().failure.clone().unwrap_or_else(Fault::hung)),
        });
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        // `None` means that the thread panicked.
        let outcome = self.outcome.take().unwrap_or_else(|| {
            Err(Fault::new(ErrorKind::Unreachable, Blame::Connection, "the thread that connects ended"))
        });
        let mut state = self.pool.lock();
        state.opened_one();
        match outcome {
            Ok(pooled) if pooled.generation == state.generation => {
                state.idle.push(pooled);
                state.wake_one();
            }
            outcome => {
                state.open -= 1;
                if let Err(fault) = outcome {
                    // For a full server, connections that are being opened count as others, too.
                    let has_others = match fault.blame {
                        Blame::Full => state.open > 0,
                        _ => state.open > state.opening,
                    };
                    let fault = if has_others { fault } else { self.server.not_opened(fault) };
                    let is_one_too_many = has_others || fault.blame == Blame::Wait;
                    state.full_until = is_one_too_many.then(|| Instant::now() + FULL);
                    if !is_one_too_many {
                        state.failures += 1;
                    } else if fault.blame == Blame::Full {
                        self.server.health.tell_full(&fault.error);
                    }
                    state.failure = Some(fault);
                }
                let waiting = std::mem::take(&mut state.waiting);
                drop(state);
                waiting.iter().for_each(Thread::unpark);
            }
        }
    }
}
