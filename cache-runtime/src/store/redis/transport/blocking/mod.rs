//! For blocking callers: a small pool of connections.
//!
//! Opening a connection resolves a name, and may shake hands over TLS: things that take no
//! deadline. A short-lived thread does it, and callers wait no longer than theirs.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::ErrorKind;
use crate::poll::once::once;
use crate::store::redis::request::Load;
use crate::store::redis::server::Server;
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::transport::wire::Wire;
use crate::store::redis::transport::{Build, Decode, FULL, HALF_OPEN, Transport, patience};

/// So many connections at most.
const MOST: usize = 16;

/// A connection that nobody needed for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// A pool of connections, the last one used first.
pub(crate) struct Blocking {
    server: Arc<Server>,
    pool: Arc<Pool>,
}

#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    changed: Condvar,
    /// In a row.
    timeouts: AtomicU32,
}

#[derive(Default)]
struct State {
    idle: Vec<Pooled>,
    /// Idle, lent, and being opened.
    open: usize,
    opening: usize,
    /// Since when at least one is.
    opening_since: Option<Instant>,
    waiting: usize,
    /// Connections of an earlier one are dropped: they were open when another one was found
    /// closed.
    generation: u64,
    /// How many openings failed, and why the last one did.
    failures: u64,
    failure: Option<Fault>,
    /// Until then, the server is not asked for more than the connections that are open, or elsewhere in this process.
    full_until: Option<Instant>,
}

struct Pooled {
    /// Boxed, because it moves from hand to hand.
    wire: Box<Wire>,
    epoch: Epoch,
    generation: u64,
    used: bool,
    /// The deadline of its last exchange: as good as the time of its return.
    since: Instant,
}

impl Blocking {
    pub(crate) fn new(server: &Arc<Server>) -> Blocking {
        Blocking { server: Arc::clone(server), pool: Arc::default() }
    }

    fn exchange_now(&self, epoch: Epoch, build: Build<'_>, decode: Decode<'_>, by: Instant) -> Result<(), Fault> {
        let mut retried = false;
        loop {
            let mut lent = self.checkout(epoch, by)?;
            let Some(pooled) = lent.pooled.as_mut() else { return Err(Fault::hung()) };
            let request = build(self.server.allowed(pooled.wire.features));
            let outcome = pooled.wire.send(&request, by).and_then(&mut *decode);
            match outcome {
                Err(fault) if fault.error.kind() == ErrorKind::Timeout && self.is_late(&pooled.wire, by) => {
                    // The connection is lost: its reply may come yet.
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

    /// Whether the last exchange began when most of the caller's time was over: it had waited for a connection, now or
    /// before.
    fn is_late(&self, wire: &Wire, by: Instant) -> bool {
        wire.began().is_some_and(|began| by.saturating_duration_since(began) < self.server.timeout / 2)
    }

    fn checkout(&self, epoch: Epoch, by: Instant) -> Result<Lent<'_>, Fault> {
        let pool = &*self.pool;
        let mut state = pool.lock();
        let failures = state.failures;
        loop {
            while let Some(pooled) = state.idle.pop() {
                if pooled.epoch == epoch {
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
                // Others of this process are open, to async callers; or those that were open are not any more.
                match &state.failure {
                    Some(fault) if fault.blame == Blame::Wait => return Err(fault.clone()),
                    _ => is_full = false,
                }
            }
            if !is_full && state.opening <= state.waiting && state.open < MOST {
                self.open(&mut state, epoch)?;
            }
            let left = by.saturating_duration_since(now);
            if left.is_zero() {
                // Whether the server is well, those that are in use tell, or one that has been opened for as long.
                let since = state.opening_since.filter(|_| state.open == state.opening);
                let is_hung = since.is_some_and(|since| now - since >= self.server.timeout * 3 / 4);
                return Err(match is_hung {
                    true => Fault::hung(),
                    false => Fault::new(ErrorKind::Timeout, Blame::Wait, "all connections are busy"),
                });
            }
            state.waiting += 1;
            state = pool.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
    }

    /// Starts a thread that opens a connection.
    fn open(&self, state: &mut State, epoch: Epoch) -> Result<(), Fault> {
        let (server, pool, generation) = (Arc::clone(&self.server), Arc::clone(&self.pool), state.generation);
        let thread = thread::Builder::new().name("redis-cached connect".to_owned());
        let started = thread.spawn(move || {
            // Made here: a thread that cannot be had drops this closure under the pool's lock.
            let mut opening = Opening { server: Arc::clone(&server), pool, outcome: None };
            let by = Instant::now() + patience(server.timeout);
            opening.outcome = Some(connect(&server, epoch, generation, by));
        });
        match started {
            Ok(_) => {
                state.open += 1;
                state.opening += 1;
                state.opening_since.get_or_insert_with(Instant::now);
                Ok(())
            }
            Err(error) => Err(Fault::new(ErrorKind::Unreachable, Blame::Caller, error.to_string())),
        }
    }
}

impl Transport for Blocking {
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
        let thread = thread::Builder::new().name("redis-cached".to_owned());
        // Where no thread can be had, the task is dropped.
        let _ = thread.spawn(move || once(task));
    }

    fn aside(&self, task: impl Future<Output = ()> + Send + 'static) {
        let at_hand = !self.pool.lock().idle.is_empty();
        if at_hand {
            once(task);
        } else {
            self.background(task);
        }
    }

    async fn pause(duration: Duration) {
        thread::sleep(duration);
    }
}

fn connect(server: &Arc<Server>, epoch: Epoch, generation: u64, by: Instant) -> Result<Pooled, Fault> {
    let wire = Box::new(Wire::open(server, by)?);
    Ok(Pooled { wire, epoch, generation, used: false, since: by })
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops a connection, and with it those that will have suffered the same.
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
        drop(state);
        self.changed.notify_one();
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
        let waiting = state.waiting > 0;
        drop(state);
        if waiting {
            self.pool.changed.notify_one();
        }
    }
}

impl Drop for Lent<'_> {
    /// The caller unwinds.
    fn drop(&mut self) {
        if self.pooled.take().is_some() {
            self.pool.lock().open -= 1;
            self.pool.changed.notify_one();
        }
    }
}

/// A connection being opened: its end is told whatever happens to the thread.
struct Opening {
    server: Arc<Server>,
    pool: Arc<Pool>,
    outcome: Option<Result<Pooled, Fault>>,
}

impl Drop for Opening {
    fn drop(&mut self) {
        // `None`: the thread panicked.
        let outcome = self.outcome.take().unwrap_or_else(|| {
            Err(Fault::new(ErrorKind::Unreachable, Blame::Connection, "the thread that connects ended"))
        });
        let mut state = self.pool.lock();
        state.opening -= 1;
        if state.opening == 0 {
            state.opening_since = None;
        }
        match outcome {
            Ok(pooled) if pooled.generation == state.generation => {
                state.idle.push(pooled);
                drop(state);
                self.pool.changed.notify_one();
            }
            outcome => {
                state.open -= 1;
                if let Err(fault) = outcome {
                    // One more than the server has room for, and maybe than those that are being opened.
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
                drop(state);
                self.pool.changed.notify_all();
            }
        }
    }
}
