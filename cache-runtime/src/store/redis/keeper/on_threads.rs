//! The keeper of a build for plain functions alone.

use std::future::Future;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::poll::block_on::block_on;
use crate::store::redis::request::Load;
use crate::store::redis::server::Server;
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::Fault;
use crate::store::redis::transport::wire::Wire;
use crate::store::redis::transport::{Build, Decode, Transport, patience};

/// The keeper of one cache.
#[derive(Clone, Default)]
pub(crate) struct Keeper(());

impl Keeper {
    /// Runs a task on a thread of its own. Returns false, and drops the task, if none can be started.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        let thread = thread::Builder::new().name("redis-cached keeper".to_owned());
        thread.spawn(move || block_on(task)).is_ok()
    }

    /// A task that finds its cache gone ends by itself.
    pub(crate) fn end(&self) {}
}

/// Wakes one task.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    /// Ends the current wait, or the next one.
    pub(crate) fn notify(&self) {
        *self.is_set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Waits for a notification, and no longer than this. It blocks.
    pub(crate) async fn wait(&self, longest: Duration) {
        let is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(is_set, longest, |is_set| !*is_set);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

/// The transport of a task of the keeper, with a connection of its own.
pub(crate) struct Lone {
    server: Arc<Server>,
    /// The connection, and the epoch in which it was made.
    wire: Mutex<Option<(Epoch, Wire)>>,
}

impl Lone {
    pub(crate) fn new(server: &Arc<Server>) -> Lone {
        Lone { server: Arc::clone(server), wire: Mutex::new(None) }
    }
}

impl Transport for Lone {
    async fn exchange(
        &self,
        epoch: Epoch,
        _load: Load,
        build: Build<'_>,
        decode: Decode<'_>,
        by: Instant,
    ) -> Result<(), Fault> {
        let mut held = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wire = match held.take() {
            Some((of, wire)) if of == epoch => wire,
            _ => Wire::open(&self.server, epoch, by.min(Instant::now() + patience(self.server.timeout)))?,
        };
        let request = build(self.server.allowed(wire.features));
        let outcome = wire.send(&request, by).and_then(decode);
        if !outcome.as_ref().is_err_and(Fault::spoils_connection) {
            *held = Some((epoch, wire));
        }
        outcome
    }

    async fn reconnect(&self, _epoch: Epoch, _by: Instant) -> Result<(), Fault> {
        Ok(())
    }

    /// The other faces start their own background tasks.
    fn background(&self, _task: impl Future<Output = ()> + Send + 'static) {}

    async fn pause(duration: Duration) {
        thread::sleep(duration);
    }
}
