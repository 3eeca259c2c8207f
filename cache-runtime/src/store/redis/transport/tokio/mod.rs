//! The transport of async callers: a multiplexed connection in each tokio runtime, and a second one once there is
//! something large to carry. Replies come in order, so small ones would wait for large ones.
//!
//! A connection is driven by the runtime that opened it, so each runtime has its own; runtimes
//! come and go, and may exist at the same time.
//!
//! An exchange takes a lane of an open connection and makes an attempt. If there is none, or the connection turns out to
//! be closed, or the request is large, the rest is one loop, `carry`: get a lane, make an attempt, and once more after a
//! closed connection.

mod coalesce;
mod dial;
mod driver;
mod lane;
mod links;
mod open;
mod pushes;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::unconstrained;
use tokio::time::timeout_at;

use self::lane::{Lane, Line, in_runtime};
use self::links::{Link, Links, Route};
use self::open::ended;
pub(crate) use self::pushes::Pushes;
use crate::error::ErrorKind;
use crate::key::Key;
use crate::poll::block_on::step;
use crate::store::redis::ops::commands;
use crate::store::redis::request::{Load, Reply, Request};
use crate::store::redis::server::Server;
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::transport::{Build, Decode, Transport};

/// Requests of more than this number of bytes wait until their runtime has room for them.
const SMALL: usize = 4 * 1024;

/// Multiplexed connections in each runtime.
pub(crate) struct Tokio {
    server: Arc<Server>,
    links: Arc<Links>,
}

/// The fault of an attempt.
struct Failed {
    fault: Fault,
    /// The runtime of a connection that must not be used again, unless it has ended.
    link: Option<Arc<Link>>,
}

impl Failed {
    /// The way on which the exchange may be made once more, because the connection turned out to be closed.
    fn again(self) -> Result<Route, Fault> {
        match self {
            Failed { fault, link: Some(link) } if fault.blame == Blame::Closed => Ok(Route::Link(link)),
            Failed { fault, .. } => Err(fault),
        }
    }
}

impl Tokio {
    pub(crate) fn new(server: &Arc<Server>) -> Tokio {
        Tokio { server: Arc::clone(server), links: Arc::new(Links::new(server)) }
    }

    /// Makes an exchange that may have to open a connection, or to wait for room. `was_closed` is true if a connection
    /// turned out to be closed before.
    async fn carry(
        &self,
        mut route: Route,
        mut was_closed: bool,
        load: Load,
        build: Build<'_>,
        decode: Decode<'_>,
        by: Instant,
    ) -> Result<(), Fault> {
        loop {
            let (lane, is_used) = match route {
                Route::Lane(lane) => (lane, true),
                Route::Link(link) => self.links.lane(&link, Line::of(load), by).await?,
            };
            // The room is taken before the bytes exist.
            let link;
            let room = match load.sent {
                0..=SMALL => None,
                size => {
                    link = self.links.of_runtime(lane.connection().runtime.clone())?;
                    let room = in_runtime(&link.handle, || timeout_at(by.into(), link.room(size)));
                    room.await.map_err(|_| no_room())?
                }
            };
            let outcome = self.attempt(lane, is_used, build, decode, by).await;
            drop(room);
            match outcome {
                Err(failed) if is_used && !was_closed => route = failed.again()?,
                outcome => return outcome.map_err(|failed| failed.fault),
            }
            was_closed = true;
        }
    }

    /// Makes one attempt.
    async fn attempt(
        &self,
        mut lane: Lane,
        is_used: bool,
        build: Build<'_>,
        decode: Decode<'_>,
        by: Instant,
    ) -> Result<(), Failed> {
        let request = build(self.server.allowed(lane.connection().features));
        let reply = lane.carry(&request, by).await;
        let outcome = self.finished(lane, reply, decode);
        match outcome {
            Err(Failed { fault, link }) if fault.blame == Blame::Closed && is_used && !request.may_be_repeated() => {
                Err(Failed { fault: Fault { blame: Blame::Dropped, ..fault }, link })
            }
            outcome => outcome,
        }
    }

    /// Applies the end of an attempt to its lane and its connection.
    fn finished(
        &self,
        mut lane: Lane,
        reply: Option<redis::RedisResult<Reply>>,
        decode: Decode<'_>,
    ) -> Result<(), Failed> {
        let Some(reply) = reply else {
            let large = lane.large();
            let fault = large.map_or_else(Fault::hung, Fault::large);
            lane.ended(Err(&fault));
            // The rest of a large reply would keep other calls waiting; their requests are sent again over another
            // connection.
            if large.is_some() || lane.connection().timed_out() {
                self.links.discard(lane.connection());
            }
            return Err(Failed { fault, link: None });
        };
        let outcome = reply.map_err(Fault::from).and_then(decode);
        lane.ended(outcome.as_ref().copied());
        match outcome {
            Err(fault) if fault.spoils_connection() => {
                // Without a link, the runtime has ended, and its connection with it.
                let link = self.links.discard(lane.connection());
                let is_over = link.as_ref().is_none_or(|link| link.is_over());
                Err(Failed { fault: if is_over { ended() } else { fault }, link })
            }
            outcome => {
                lane.connection().answered();
                self.links.spare.give_back(lane);
                outcome.map_err(|fault| Failed { fault, link: None })
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
        let (route, was_closed) = match self.links.route(Line::of(load), epoch)? {
            Route::Lane(lane) if load.sent <= SMALL => match self.attempt(lane, true, build, decode, by).await {
                Ok(()) => return Ok(()),
                Err(failed) => (failed.again()?, true),
            },
            route => (route, false),
        };
        // Rare paths are boxed, because each exchange carries its futures along.
        Box::pin(self.carry(route, was_closed, load, build, decode, by)).await
    }

    async fn read(&self, epoch: Epoch, load: Load, key: &Key, decode: Decode<'_>, by: Instant) -> Result<(), Fault> {
        let (route, was_closed) = match self.links.route(Line::of(load), epoch)? {
            Route::Lane(mut lane) => {
                let reply = lane.read(key, by, self.server.timeout).await;
                match self.finished(lane, reply.map(|reply| reply.map(Reply::One)), decode) {
                    Ok(()) => return Ok(()),
                    Err(failed) => (failed.again()?, true),
                }
            }
            route => (route, false),
        };
        let build = |_| Request::One(commands::get(key));
        Box::pin(self.carry(route, was_closed, load, &build, decode, by)).await
    }

    async fn reconnect(&self, epoch: Epoch, by: Instant) -> Result<(), Fault> {
        self.links.reconnect(epoch, by).await
    }

    fn background(&self, task: impl Future<Output = ()> + Send + 'static) {
        // The caller may have been dropped outside of its runtime: any remaining runtime will do.
        let handle = Handle::try_current().ok().or_else(|| self.links.any_runtime());
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
            self.links.write_now(runtime.id());
        }
        self.background(task);
    }

    async fn wait<F: Future + Send>(&self, event: F, by: Instant) -> Result<Option<F::Output>, Fault> {
        // This also checks that the runtime has timers.
        let link = self.links.of_runtime(current()?)?;
        Ok(in_runtime(&link.handle, || timeout_at(by.into(), event)).await.ok())
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

/// Runs what may block on a thread of the runtime that is there for it.
#[cfg(feature = "_rustls")]
async fn on_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|error| match error.is_panic() {
        true => Fault::new(ErrorKind::Unreachable, Blame::Connection, "connecting panicked"),
        false => ended(),
    })
}

fn no_room() -> Fault {
    Fault::new(ErrorKind::Timeout, Blame::Wait, "too many large values are being sent at once")
}

fn current() -> Result<Handle, Fault> {
    Handle::try_current().map_err(|_| unsupported("called outside of a tokio runtime"))
}

fn unsupported(why: &str) -> Fault {
    Fault::new(ErrorKind::Unsupported, Blame::Caller, why)
}
