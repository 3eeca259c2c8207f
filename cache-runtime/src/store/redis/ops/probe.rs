//! The probe that detects that an unreachable server is back.

use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::store::redis::client::{Core, RedisStore};
use crate::store::redis::ops::delivery::LONGEST;
use crate::store::redis::server::health::Prober;
use crate::store::redis::transport::{Transport, patience};

impl<T: Transport> RedisStore<T> {
    /// Starts a prober if one is due.
    pub(crate) fn probe(&self, at_once: bool) {
        if let Some(prober) = self.server().health.claim_probe(at_once) {
            self.core.transport.background(probe(Arc::downgrade(&self.core), prober));
        }
    }
}

/// Asks an unreachable server until it is back or no operation needs it.
async fn probe<T: Transport>(core: Weak<Core<T>>, mut prober: Prober) {
    loop {
        T::pause(prober.pause).await;
        let Some(core) = core.upgrade() else { return };
        let store = RedisStore::of(core);
        let patience = patience(store.server().timeout);
        if !prober.proceeds(patience) {
            return;
        }
        let epoch = store.server().health.epoch();
        let connected = store.core.transport.reconnect(epoch, Instant::now() + patience).await;
        let recovered = match connected {
            // Invalidations that the server refuses stay undelivered; nothing else does.
            Ok(()) => store.deliver(epoch, Instant::now() + LONGEST).await.map(drop),
            Err(fault) => Err(fault),
        };
        match recovered {
            Ok(()) => return prober.succeeded(epoch),
            Err(fault) => match prober.failed(&fault, store.client().backlog.pending.any()) {
                Some(pause) => prober.pause = pause,
                None => return,
            },
        }
    }
}
