//! The transport of async callers: a multiplexed connection in each tokio runtime, and a second one once there is
//! something large to carry. Replies come in order, so small ones would wait for large ones.
//!
//! A connection is driven by the runtime that opened it, so each runtime has its own; runtimes
//! come and go, and may exist at the same time.

mod coalesce;
mod dial;
mod driver;
mod lane;
mod open;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Id};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::task::{AbortHandle, unconstrained};
use tokio::time::timeout_at;

use self::lane::{Connection, Lane, Line, Spare, in_runtime};
use self::open::{End, connect, ended, wait};
use crate::error::ErrorKind;
use crate::key::Key;
use crate::poll::block_on::step;
use crate::store::redis::ops::commands;
use crate::store::redis::request::{Load, Reply, Request};
use crate::store::redis::server::Server;
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::transport::{Build, Decode, FULL, Transport, patience};

/// Requests of more than this number of bytes take part in [`IN_FLIGHT`].
const SMALL: usize = 4 * 1024;

/// The bytes of large requests that one runtime may have in flight: a hung server must not collect them without a
/// bound.
const IN_FLIGHT: usize = 64 << 20;

/// Multiplexed connections in each runtime.
pub(crate) struct Tokio {
    server: Arc<Server>,
    links: Arc<Links>,
}

#[derive(Default)]
struct Links {
    all: RwLock<Vec<Arc<Link>>>,
    spare: Spare,
}

/// The connections of one runtime.
struct Link {
    runtime: Id,
    handle: Handle,
    /// The state of the connection of each [`Line`].
    states: [Mutex<LinkState>; 2],
    /// The room for large requests, in kilobytes.
    room: Semaphore,
    keeper: AbortHandle,
    /// The runtime has ended.
    over: Arc<AtomicBool>,
}

enum LinkState {
    Empty,
    /// A single task connects; every caller that needs the connection waits for it.
    Connecting {
        epoch: Epoch,
        outcome: Outcome,
        task: AbortHandle,
    },
    Ready(Arc<Connection>),
    /// The server had no room for the connection, and is not asked again until this time.
    Full(Instant, Fault),
}

type Outcome = watch::Receiver<Option<Result<Arc<Connection>, Fault>>>;

/// The start of an exchange.
enum Start {
    Lane(Lane),
    Link(Arc<Link>),
}

impl Tokio {
    pub(crate) fn new(server: &Arc<Server>) -> Tokio {
        Tokio { server: Arc::clone(server), links: Arc::default() }
    }

    /// Returns a lane if the current runtime has a connection, otherwise the state of its link.
    fn start(&self, line: Line, epoch: Epoch) -> Result<Start, Fault> {
        let handle = current()?;
        if let Some(lane) = self.links.spare.take(handle.id(), line, epoch) {
            return Ok(Start::Lane(lane));
        }
        let link = self.link(handle)?;
        let ready = link.ready(line, epoch);
        Ok(ready.map_or(Start::Link(link), |connection| Start::Lane(Lane::of(connection))))
    }

    fn link(&self, handle: Handle) -> Result<Arc<Link>, Fault> {
        let runtime = handle.id();
        let links = self.links.all.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.iter().find(|link| link.runtime == runtime) {
            return Ok(Arc::clone(link));
        }
        drop(links);
        // A panic here means that the runtime has no timers.
        std::panic::catch_unwind(AssertUnwindSafe(|| drop(tokio::time::sleep(Duration::ZERO))))
            .map_err(|_| unsupported("this tokio runtime has no timers: build it with `enable_all`"))?;
        let over = Arc::new(AtomicBool::new(false));
        let leave = Leave { links: Arc::downgrade(&self.links), over: Arc::clone(&over) };
        // This is not done under the lock, because a runtime that is ending drops the task at once.
        let keeper = handle.spawn(async move {
            let _leave = leave;
            std::future::pending::<()>().await;
        });
        let keeper = keeper.abort_handle();
        let mut links = self.links.all.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.iter().find(|link| link.runtime == runtime) {
            keeper.abort();
            return Ok(Arc::clone(link));
        }
        // `over` is set before the keeper's end takes the lock: either that finds the link, or this check sees
        // the end.
        if over.load(SeqCst) {
            return Err(unsupported("this tokio runtime is ending"));
        }
        let states = [LinkState::Empty, LinkState::Empty].map(Mutex::new);
        let room = Semaphore::new(IN_FLIGHT / 1024);
        let link = Arc::new(Link { runtime, handle, states, room, keeper, over });
        links.push(Arc::clone(&link));
        Ok(link)
    }

    /// Writes the requests that a runtime's connection has accepted.
    fn write_now(&self, runtime: Id) {
        let links = self.links.all.read().unwrap_or_else(PoisonError::into_inner);
        let link = links.iter().find(|link| link.runtime == runtime).map(Arc::clone);
        drop(links);
        let Some(link) = link else { return };
        let connection = match &*link.state(Line::Small) {
            LinkState::Ready(connection) => Arc::clone(connection),
            _ => return,
        };
        connection.write_now();
    }

    /// Returns a new lane in a connection made in `epoch`, and true if the connection was in use before.
    async fn lane(&self, link: &Arc<Link>, line: Line, epoch: Epoch) -> Result<(Lane, bool), Fault> {
        match self.lane_in(link, line, epoch).await {
            // The server may have no room for a second connection.
            Err(_) if line == Line::Large => self.lane_in(link, Line::Small, epoch).await,
            outcome => outcome,
        }
    }

    async fn lane_in(&self, link: &Arc<Link>, line: Line, epoch: Epoch) -> Result<(Lane, bool), Fault> {
        let mut outcome = {
            let mut state = link.state(line);
            match &*state {
                LinkState::Ready(connection) if connection.epoch == epoch => {
                    return Ok((Lane::of(Arc::clone(connection)), true));
                }
                LinkState::Connecting { epoch: same, outcome, .. } if *same == epoch => outcome.clone(),
                LinkState::Full(until, fault) if Instant::now() < *until => return Err(fault.clone()),
                _ => self.connect(link, line, &mut state, epoch),
            }
        };
        wait(&mut outcome).await.map(|connection| (Lane::of(connection), false))
    }

    /// Starts the task that connects, and replaces the state.
    fn connect(&self, link: &Arc<Link>, line: Line, state: &mut LinkState, epoch: Epoch) -> Outcome {
        match state {
            LinkState::Connecting { task, .. } => task.abort(),
            LinkState::Ready(old) => {
                old.spoil();
                self.links.spare.purge(|connection| std::ptr::eq(connection, &**old));
            }
            LinkState::Empty | LinkState::Full(..) => {}
        }
        let (sender, outcome) = watch::channel(None);
        let (server, at) = (Arc::clone(&self.server), Arc::downgrade(link));
        let own = outcome.clone();
        let end = End(sender);
        let task = link.handle.spawn(async move {
            let limit = patience(server.timeout);
            let connected = tokio::time::timeout(limit, connect(&server, line, epoch)).await;
            let connected = connected.unwrap_or_else(|_| Err(Fault::hung())).map_err(|fault| server.not_opened(fault));
            if let Some(link) = at.upgrade() {
                let mut state = link.state(line);
                // Another attempt may have replaced this one.
                if matches!(&*state, LinkState::Connecting { outcome, .. } if outcome.same_channel(&own)) {
                    *state = match &connected {
                        Ok(connection) => LinkState::Ready(Arc::clone(connection)),
                        Err(fault) if fault.blame == Blame::Wait => {
                            LinkState::Full(Instant::now() + FULL, fault.clone())
                        }
                        Err(_) => LinkState::Empty,
                    };
                }
            }
            end.0.send_replace(Some(connected));
        });
        *state = LinkState::Connecting { epoch, outcome: outcome.clone(), task: task.abort_handle() };
        outcome
    }

    /// An exchange without a lane, or with much to send. `was_closed` is true if the connection used first was closed.
    async fn exchange_at_length(
        &self,
        mut start: Start,
        mut was_closed: bool,
        (epoch, load): (Epoch, Load),
        build: Build<'_>,
        decode: Decode<'_>,
        by: Instant,
    ) -> Result<(), Fault> {
        loop {
            let (lane, is_used) = match start {
                Start::Lane(lane) => (lane, true),
                Start::Link(link) => {
                    let lane = self.lane(&link, Line::of(load), epoch);
                    let lane = in_runtime(&link.handle, || timeout_at(by.into(), lane)).await;
                    lane.unwrap_or_else(|_| Err(Fault::hung()))?
                }
            };
            // The room is taken before the bytes exist.
            let link;
            let room = match load.sent {
                0..=SMALL => None,
                size => {
                    link = self.link(lane.connection().runtime.clone())?;
                    let room = in_runtime(&link.handle, || timeout_at(by.into(), link.room(size)));
                    room.await.map_err(|_| no_room())?
                }
            };
            let outcome = self.attempt(lane, is_used, build, decode, by).await;
            drop(room);
            match outcome {
                Err((fault, Some(link))) if fault.blame == Blame::Closed && is_used && !was_closed => {
                    was_closed = true;
                    start = Start::Link(link);
                }
                outcome => return outcome.map_err(|(fault, _)| fault),
            }
        }
    }

    /// Makes one attempt. If the connection must not be used again, this also returns the runtime's link.
    async fn attempt(
        &self,
        mut lane: Lane,
        is_used: bool,
        build: Build<'_>,
        decode: Decode<'_>,
        by: Instant,
    ) -> Result<(), (Fault, Option<Arc<Link>>)> {
        let request = build(self.server.allowed(lane.connection().features));
        let reply = lane.carry(&request, by).await;
        let outcome = self.finished(lane, reply, decode);
        match outcome {
            Err((fault, link)) if fault.blame == Blame::Closed && is_used && !request.may_be_repeated() => {
                Err((Fault { blame: Blame::Dropped, ..fault }, link))
            }
            outcome => outcome,
        }
    }

    /// Applies the end of an exchange to its lane and its connection.
    fn finished(
        &self,
        lane: Lane,
        reply: Option<redis::RedisResult<Reply>>,
        decode: Decode<'_>,
    ) -> Result<(), (Fault, Option<Arc<Link>>)> {
        let Some(reply) = reply else {
            if lane.connection().timed_out() {
                self.links.discard(lane.connection());
            }
            return Err((Fault::hung(), None));
        };
        match reply.map_err(Fault::from).and_then(decode) {
            Err(fault) if fault.spoils_connection() => {
                let link = self.links.discard(lane.connection());
                // Without a link, the runtime has ended, and its connection with it.
                let is_over = link.as_ref().is_none_or(|link| link.over.load(SeqCst));
                Err((if is_over { ended() } else { fault }, link))
            }
            outcome => {
                lane.connection().answered();
                self.links.spare.give_back(lane);
                outcome.map_err(|fault| (fault, None))
            }
        }
    }
}

impl Transport for Tokio {
    const SHARES_READS: bool = true;

    async fn exchange(
        &self,
        epoch: Epoch,
        load: Load,
        build: Build<'_>,
        decode: Decode<'_>,
        by: Instant,
    ) -> Result<(), Fault> {
        let (start, was_closed) = match self.start(Line::of(load), epoch)? {
            Start::Lane(lane) if load.sent <= SMALL => match self.attempt(lane, true, build, decode, by).await {
                Err((fault, Some(link))) if fault.blame == Blame::Closed => (Start::Link(link), true),
                outcome => return outcome.map_err(|(fault, _)| fault),
            },
            start => (start, false),
        };
        // Rare paths are boxed, because each exchange carries its futures along.
        Box::pin(self.exchange_at_length(start, was_closed, (epoch, load), build, decode, by)).await
    }

    async fn read(&self, epoch: Epoch, load: Load, key: &Key, decode: Decode<'_>, by: Instant) -> Result<(), Fault> {
        let (start, was_closed) = match self.start(Line::of(load), epoch)? {
            Start::Lane(mut lane) => {
                let reply = lane.read(key, by, self.server.timeout).await;
                match self.finished(lane, reply.map(|reply| reply.map(Reply::One)), decode) {
                    Err((fault, Some(link))) if fault.blame == Blame::Closed => (Start::Link(link), true),
                    outcome => return outcome.map_err(|(fault, _)| fault),
                }
            }
            start => (start, false),
        };
        let build = |_| Request::One(commands::get(key));
        Box::pin(self.exchange_at_length(start, was_closed, (epoch, load), &build, decode, by)).await
    }

    async fn reconnect(&self, epoch: Epoch, by: Instant) -> Result<(), Fault> {
        let link = self.link(current()?)?;
        let mut outcome = {
            let mut state = link.state(Line::Small);
            self.connect(&link, Line::Small, &mut state, epoch)
        };
        let connected = timeout_at(by.into(), wait(&mut outcome)).await;
        connected.unwrap_or_else(|_| Err(Fault::hung())).map(drop)
    }

    fn background(&self, task: impl Future<Output = ()> + Send + 'static) {
        let handle = Handle::try_current().ok().or_else(|| {
            // The caller was dropped outside of its runtime: any remaining runtime will do.
            let links = self.links.all.read().unwrap_or_else(PoisonError::into_inner);
            links.first().map(|link| link.handle.clone())
        });
        if let Some(handle) = handle {
            handle.spawn(task);
        }
    }

    fn soon(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut task = Box::pin(task);
        if let Ok(runtime) = Handle::try_current() {
            // The first step runs at once: on an open connection it sends the command, before the caller's next
            // requests. It is also written at once, because the caller may be the last task in its runtime.
            if step(pin!(unconstrained(task.as_mut()))).is_ready() {
                return;
            }
            self.write_now(runtime.id());
        }
        self.background(task);
    }

    async fn pause(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn is_ending() -> bool {
        let Ok(runtime) = Handle::try_current() else { return false };
        // A runtime that ends drops a new task at once.
        let task = runtime.spawn(std::future::pending::<()>());
        let is_ending = task.is_finished();
        task.abort();
        is_ending
    }
}

impl Links {
    /// Ensures that the connection is not used again. Returns the runtime's link, unless the runtime ended.
    fn discard(&self, connection: &Arc<Connection>) -> Option<Arc<Link>> {
        connection.spoil();
        let runtime = connection.runtime.id();
        let links = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let link = links.iter().find(|link| link.runtime == runtime).map(Arc::clone);
        drop(links);
        if let Some(link) = &link {
            let mut state = link.state(connection.line);
            let is_there = matches!(&*state, LinkState::Ready(ready) if Arc::ptr_eq(ready, connection));
            let discarded = is_there.then(|| std::mem::replace(&mut *state, LinkState::Empty));
            drop(state);
            drop(discarded);
        }
        self.spare.purge(|other| std::ptr::eq(other, &**connection));
        link
    }
}

impl Link {
    fn state(&self, line: Line) -> MutexGuard<'_, LinkState> {
        self.states[line as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self, line: Line, epoch: Epoch) -> Option<Arc<Connection>> {
        match &*self.state(line) {
            LinkState::Ready(connection) if connection.epoch == epoch => Some(Arc::clone(connection)),
            _ => None,
        }
    }

    /// Waits until a large request has room.
    async fn room(&self, size: usize) -> Option<SemaphorePermit<'_>> {
        let kilobytes = (size.min(IN_FLIGHT) / 1024) as u32;
        // The semaphore is never closed.
        self.room.acquire_many(kilobytes).await.ok()
    }
}

impl Drop for Tokio {
    fn drop(&mut self) {
        for link in self.links.all.read().unwrap_or_else(PoisonError::into_inner).iter() {
            link.keeper.abort();
        }
    }
}

/// A guard in a task that lives as long as its runtime: it is dropped when the runtime ends.
struct Leave {
    links: Weak<Links>,
    over: Arc<AtomicBool>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        if let Some(links) = self.links.upgrade() {
            let mut all = links.all.write().unwrap_or_else(PoisonError::into_inner);
            let left = all.iter().position(|link| Arc::ptr_eq(&link.over, &self.over)).map(|at| all.swap_remove(at));
            drop(all);
            if let Some(link) = left {
                // Another thread of the runtime may be giving a lane back now.
                for state in [Line::Small, Line::Large].map(|line| link.state(line)) {
                    if let LinkState::Ready(connection) = &*state {
                        connection.spoil();
                    }
                }
                links.spare.purge(|connection| connection.runtime.id() == link.runtime);
            }
        }
    }
}

/// Runs what may block on a thread of the runtime that is there for it.
async fn on_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|error| match error.is_panic() {
        true => Fault::new(ErrorKind::Unreachable, Blame::Connection, "connecting panicked"),
        false => ended(),
    })
}

fn no_room() -> Fault {
    Fault::new(ErrorKind::Timeout, Blame::Wait, "too many large values are on their way")
}

fn current() -> Result<Handle, Fault> {
    Handle::try_current().map_err(|_| unsupported("called outside of a tokio runtime"))
}

fn unsupported(why: &str) -> Fault {
    Fault::new(ErrorKind::Unsupported, Blame::Caller, why)
}
