//! The links of all runtimes: each has up to two connections, which are opened when they are needed.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Id};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout_at;

use super::lane::{Connection, Lane, Line, Spare, in_runtime};
use super::open::{Attempt, End, Outcome, connect, ended, wait};
use super::{current, unsupported};
use crate::store::redis::server::Server;
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::transport::{FULL, patience};

/// The bytes of large requests that one runtime may have in flight: a hung server must not collect them without a
/// bound.
const IN_FLIGHT: usize = 64 << 20;

pub(super) struct Links {
    server: Arc<Server>,
    all: RwLock<Vec<Arc<Link>>>,
    pub(super) spare: Spare,
}

/// The connections of one runtime.
pub(super) struct Link {
    runtime: Id,
    pub(super) handle: Handle,
    /// The state of the connection of each [`Line`].
    states: [Mutex<LinkState>; 2],
    /// The room for large requests, in kilobytes.
    room: Semaphore,
    watcher: AbortHandle,
    /// The runtime has ended.
    over: Arc<AtomicBool>,
}

/// The way to the server.
pub(super) enum Route {
    /// A connection is open.
    Lane(Lane),
    /// A connection of this runtime may have to be opened.
    Link(Arc<Link>),
}

enum LinkState {
    Empty,
    /// A single task connects; every caller that needs the connection waits for it.
    Connecting {
        epoch: Epoch,
        outcome: Attempt,
        task: AbortHandle,
    },
    Ready(Arc<Connection>),
    /// The server had no room for the connection, and is not asked again until this time.
    Full(Instant, Fault),
}

impl Links {
    pub(super) fn new(server: &Arc<Server>) -> Links {
        Links { server: Arc::clone(server), all: RwLock::default(), spare: Spare::default() }
    }

    /// The way from the current runtime to the server.
    pub(super) fn route(self: &Arc<Self>, line: Line, epoch: Epoch) -> Result<Route, Fault> {
        let handle = current()?;
        if let Some(lane) = self.spare.take(handle.id(), line, epoch) {
            return Ok(Route::Lane(lane));
        }
        let link = self.of_runtime(handle)?;
        let ready = link.ready(line, epoch);
        Ok(ready.map_or(Route::Link(link), |connection| Route::Lane(Lane::of(connection))))
    }

    /// A new lane in a connection of the current epoch, which is opened if there is none. Also returns true if the
    /// connection was in use before.
    ///
    /// An operation may have begun in an earlier epoch. It must not replace the connections of the current one, and a
    /// connection of its own epoch may lead to another server.
    pub(super) async fn lane(&self, link: &Arc<Link>, line: Line, by: Instant) -> Result<(Lane, bool), Fault> {
        let lane = async {
            match self.lane_of(link, line).await {
                // The server may have no room for a second connection.
                Err(_) if line == Line::Large => self.lane_of(link, Line::Small).await,
                outcome => outcome,
            }
        };
        let lane = in_runtime(&link.handle, || timeout_at(by.into(), lane)).await;
        lane.unwrap_or_else(|_| Err(Fault::hung()))
    }

    async fn lane_of(&self, link: &Arc<Link>, line: Line) -> Result<(Lane, bool), Fault> {
        loop {
            let mut attempt = {
                let mut state = link.state(line);
                let current = self.server.health.epoch();
                match &*state {
                    LinkState::Ready(connection) if connection.epoch == current => {
                        return Ok((Lane::of(Arc::clone(connection)), true));
                    }
                    LinkState::Connecting { epoch, outcome, .. } if *epoch == current => outcome.clone(),
                    LinkState::Full(until, fault) if Instant::now() < *until => return Err(fault.clone()),
                    _ => self.connect(link, line, &mut state, current),
                }
            };
            match wait(&mut attempt).await {
                Some(connected) => return connected.map(|connection| (Lane::of(connection), false)),
                None if link.is_replaced(line, &attempt) => {}
                None => return Err(ended()),
            }
        }
    }

    /// Connects the current runtime anew, even if a connection is open.
    pub(super) async fn reconnect(self: &Arc<Self>, epoch: Epoch, by: Instant) -> Result<(), Fault> {
        let link = self.of_runtime(current()?)?;
        let mut attempt = {
            let mut state = link.state(Line::Small);
            self.connect(&link, Line::Small, &mut state, epoch)
        };
        let connected = async {
            match wait(&mut attempt).await {
                Some(connected) => connected.map(drop),
                None => self.lane_of(&link, Line::Small).await.map(drop),
            }
        };
        timeout_at(by.into(), connected).await.unwrap_or_else(|_| Err(Fault::hung()))
    }

    /// Starts the task that connects, and replaces the state.
    fn connect(&self, link: &Arc<Link>, line: Line, state: &mut LinkState, epoch: Epoch) -> Attempt {
        match state {
            LinkState::Connecting { task, .. } => task.abort(),
            LinkState::Ready(old) => {
                old.spoil();
                self.spare.purge(|connection| std::ptr::eq(connection, &**old));
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
            end.0.send_replace(Some(Outcome::Finished(connected)));
        });
        *state = LinkState::Connecting { epoch, outcome: outcome.clone(), task: task.abort_handle() };
        outcome
    }

    pub(super) fn of_runtime(self: &Arc<Self>, handle: Handle) -> Result<Arc<Link>, Fault> {
        let runtime = handle.id();
        let links = self.all.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.iter().find(|link| link.runtime == runtime) {
            return Ok(Arc::clone(link));
        }
        drop(links);
        // A panic here means that the runtime has no timers.
        std::panic::catch_unwind(AssertUnwindSafe(|| drop(tokio::time::sleep(Duration::ZERO))))
            .map_err(|_| unsupported("this tokio runtime has no timers: build it with `enable_all`"))?;
        let over = Arc::new(AtomicBool::new(false));
        let leave = Leave { links: Arc::downgrade(self), over: Arc::clone(&over) };
        // This is not done under the lock, because a runtime that is ending drops the task at once.
        let watcher = handle.spawn(async move {
            let _leave = leave;
            std::future::pending::<()>().await;
        });
        let watcher = watcher.abort_handle();
        let mut links = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.iter().find(|link| link.runtime == runtime) {
            watcher.abort();
            return Ok(Arc::clone(link));
        }
        // `over` is set before the watcher's end takes the lock: either that finds the link, or this check sees
        // the end.
        if over.load(SeqCst) {
            return Err(unsupported("this tokio runtime is ending"));
        }
        let states = [LinkState::Empty, LinkState::Empty].map(Mutex::new);
        let room = Semaphore::new(IN_FLIGHT / 1024);
        let link = Arc::new(Link { runtime, handle, states, room, watcher, over });
        links.push(Arc::clone(&link));
        Ok(link)
    }

    /// Any runtime that remains.
    pub(super) fn any_runtime(&self) -> Option<Handle> {
        let links = self.all.read().unwrap_or_else(PoisonError::into_inner);
        links.first().map(|link| link.handle.clone())
    }

    /// Writes the requests that a runtime's connection has accepted.
    pub(super) fn write_now(&self, runtime: Id) {
        let links = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let link = links.iter().find(|link| link.runtime == runtime).map(Arc::clone);
        drop(links);
        let Some(link) = link else { return };
        let connection = match &*link.state(Line::Small) {
            LinkState::Ready(connection) => Arc::clone(connection),
            _ => return,
        };
        connection.write_now();
    }

    /// Ensures that the connection is not used again. Returns the runtime's link, unless the runtime ended.
    pub(super) fn discard(&self, connection: &Arc<Connection>) -> Option<Arc<Link>> {
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

impl Drop for Links {
    fn drop(&mut self) {
        for link in self.all.get_mut().unwrap_or_else(PoisonError::into_inner) {
            link.watcher.abort();
        }
    }
}

impl Link {
    /// Returns true if the runtime has ended.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    fn state(&self, line: Line) -> MutexGuard<'_, LinkState> {
        self.states[line as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self, line: Line, epoch: Epoch) -> Option<Arc<Connection>> {
        match &*self.state(line) {
            LinkState::Ready(connection) if connection.epoch == epoch => Some(Arc::clone(connection)),
            _ => None,
        }
    }

    /// Returns true if another attempt to connect has taken the place of this one.
    fn is_replaced(&self, line: Line, attempt: &Attempt) -> bool {
        !matches!(&*self.state(line), LinkState::Connecting { outcome, .. } if outcome.same_channel(attempt))
    }

    /// Waits until a large request has room.
    pub(super) async fn room(&self, size: usize) -> Option<SemaphorePermit<'_>> {
        let kilobytes = (size.min(IN_FLIGHT) / 1024) as u32;
        // The semaphore is never closed.
        self.room.acquire_many(kilobytes).await.ok()
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
