//! The task that delivers the invalidations that could not be delivered at once.
//!
//! Async and plain functions share it, on the keeper: a runtime may end, or sleep, while the process lives. It starts
//! with the first invalidation that fails, and ends when all are delivered or the cache is dropped.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::store::redis::client::deliverer::{Running, SHORTEST};
use crate::store::redis::client::{Client, RedisStore};
use crate::store::redis::keeper::Lone;
use crate::store::redis::ops::delivery::LONGEST;

/// With the time that an attempt takes, this is the longest delay of the delivery after the server's return.
pub(crate) const LONG: Duration = Duration::from_millis(800);
/// The pause when the server is well and refuses the rest.
pub(crate) const REFUSED: Duration = Duration::from_secs(30);

/// Wakes the task for something that an attempt failed to deliver.
pub(crate) fn wake(client: &Arc<Client>) {
    wake_if(client, false);
}

/// Wakes the task for something that must be sent at once.
pub(crate) fn wake_at_once(client: &Arc<Client>) {
    wake_if(client, true);
}

fn wake_if(client: &Arc<Client>, is_urgent: bool) {
    if client.membership.is_some() {
        return client.cluster().map_or((), |cluster| cluster.wake(is_urgent));
    }
    if let Some(running) = client.backlog.deliverer.wake(is_urgent) {
        // If it cannot be started, the next read of a key delivers it, and the next failure tries again.
        client.keeper.spawn(run(running, Arc::downgrade(client)));
    }
}

async fn run(mut running: Running, client: Weak<Client>) {
    let mut pause = SHORTEST;
    while let Some(has_more) = running.pause(pause).await {
        let Some(client) = client.upgrade() else { return };
        let store = RedisStore::new(&client, Lone::new(&client.server));
        store.release_orphans().await;
        let delivered = store.deliver(client.server.health.epoch(), Instant::now() + LONGEST).await;
        // This comes before the drop of the last reference to the client, because its end takes the same lock.
        match running.unless(|| !client.backlog.pending.any() && !client.backlog.abandoned.has_orphans()) {
            Some(goes_on) => running = goes_on,
            None => return,
        }
        let longest = match delivered {
            Ok(Some(refused)) if refused.is_denied() => REFUSED,
            _ => LONG,
        };
        pause = if has_more { SHORTEST } else { pause }.saturating_mul(2).min(longest);
    }
}
