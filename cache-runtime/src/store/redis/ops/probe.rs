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

    /// Causes a refresh of a cluster's topology, because only other nodes can tell which one has the slots of a node that is
    /// away. Returns true if this node has none any more, as far as is known: no operation needs it.
    fn has_moved_away(&self) -> bool {
        let client = self.client();
        let (Some(member), Some(cluster)) = (&client.membership, client.cluster()) else { return false };
        cluster.suspects();
        let serves = cluster.serves(member.node);
        if !serves {
            tracing::info!(server = self.server().health.server, "other nodes of the Redis cluster have taken over");
        }
        !serves
    }
}

/// Asks an unreachable server until it is back or no operation needs it.
async fn probe<T: Transport>(core: Weak<Core<T>>, mut prober: Prober) {
    loop {
        T::pause(prober.pause).await;
        let Some(core) = core.upgrade() else { return };
        let store = RedisStore::of(core);
        if store.has_moved_away() {
            return;
        }
        let patience = patience(store.server().timeout);
        if !prober.proceeds(patience) {
            return;
        }
        let epoch = store.server().health.epoch();
        let connected = store.core.transport.reconnect(epoch, Instant::now() + patience).await;
        let recovered = match connected {
            // Invalidations that the server refuses stay undelivered; nothing else does.
            Ok(()) => match store.deliver(epoch, Instant::now() + LONGEST).await {
                // The node is well, and some of the keys are elsewhere.
                Err(fault) if store.is_node() && fault.is_redirection() => Ok(()),
                delivered => delivered.map(drop),
            },
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
