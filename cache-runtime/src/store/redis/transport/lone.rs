//! The transport of the thread that delivers: one connection.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::wire::Wire;
use super::{Build, Decode, Transport, patience};
use crate::store::redis::request::Load;
use crate::store::redis::server::Server;
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::Fault;

/// A connection for one thread.
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
