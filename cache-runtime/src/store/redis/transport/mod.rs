//! The traits and limits of the connections that carry requests to a server and replies back.

mod arrivals;
#[cfg(feature = "blocking")]
pub(crate) mod blocking;
mod connect;
#[cfg(any(feature = "blocking", not(feature = "tokio")))]
mod stream;
#[cfg(any(feature = "blocking", not(feature = "tokio")))]
mod timed;
#[cfg(feature = "tokio")]
pub(crate) mod tokio;
#[cfg(any(feature = "blocking", not(feature = "tokio")))]
pub(super) mod wire;

use std::future::Future;
use std::time::{Duration, Instant};

use crate::key::Key;
#[cfg(feature = "tokio")]
use crate::poll::block_on::block_until;
use crate::store::redis::ops::commands;
use crate::store::redis::request::{Load, Reply, Request};
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::Fault;
use crate::store::redis::server::features::Features;

/// The time for connecting, and for a probe's exchange, when no caller waits for it.
pub(crate) fn patience(timeout: Duration) -> Duration {
    timeout.max(Duration::from_secs(1))
}

/// After this number of consecutive time-outs, the other end of a connection is assumed to be gone.
const HALF_OPEN: u32 = 3;

/// The time for which a server that had no room for one more connection is not asked again.
const FULL: Duration = Duration::from_secs(2);

/// Makes the request, for a server with these features. It is called once for each attempt.
pub(crate) type Build<'a> = &'a (dyn Fn(Features) -> Request + Send + Sync);

/// Takes the replies of the attempt that was answered, or returns their fault, which decides if the connection is used
/// again.
///
/// This is a trait object because a transport is most of an operation's code: generic over the reader of a reply, all of
/// it would be compiled once for each operation, and again in each crate with cached functions.
pub(crate) type Decode<'a> = &'a mut (dyn FnMut(Reply) -> Result<(), Fault> + Send);

/// Carries requests, for callers of one kind.
pub(crate) trait Transport: Send + Sync + Sized + 'static {
    /// True if the futures block their thread, and are ready at their first poll.
    #[cfg(feature = "tokio")]
    const BLOCKS: bool = false;
    /// True if simultaneous [reads](Transport::read) are coalesced.
    const SHARES_READS: bool = false;

    /// Sends the request of `build` and decodes the replies, over a connection made in `epoch` or later. If a connection
    /// in use turns out to be closed, it sends a second time over a new one, unless the request
    /// [may not be repeated](Request::may_be_repeated): every other operation of a store may be applied twice.
    fn exchange(
        &self,
        epoch: Epoch,
        load: Load,
        build: Build<'_>,
        decode: Decode<'_>,
        by: Instant,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Does an exchange that reads a slot, perhaps together with other reads. The reply is that to one command.
    fn read(
        &self,
        epoch: Epoch,
        load: Load,
        key: &Key,
        decode: Decode<'_>,
        by: Instant,
    ) -> impl Future<Output = Result<(), Fault>> + Send {
        async move { self.exchange(epoch, load, &|_| Request::One(commands::get(key)), decode, by).await }
    }

    /// Connects anew, even if a connection is open.
    fn reconnect(&self, epoch: Epoch, by: Instant) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Runs a task that no caller waits for. Drops it where that is impossible.
    fn background(&self, task: impl Future<Output = ()> + Send + 'static);

    /// Runs a short task that no caller waits for, perhaps at once.
    fn soon(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.background(task);
    }

    /// Waits for something that is not a reply. `None` means that it did not happen in time.
    #[cfg(feature = "tokio")]
    fn wait<F: Future + Send>(
        &self,
        event: F,
        by: Instant,
    ) -> impl Future<Output = Result<Option<F::Output>, Fault>> + Send {
        async move { Ok(block_until(event, by)) }
    }

    /// Waits, inside a [`Transport::background`] task.
    fn pause(duration: Duration) -> impl Future<Output = ()> + Send;

    /// Returns true if the caller's runtime is ending, and drops its tasks.
    fn is_ending() -> bool {
        false
    }
}
