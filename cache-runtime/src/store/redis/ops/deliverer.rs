//! The thread that delivers the invalidations that could not be delivered at once.
//!
//! Async and plain functions share it: a runtime may end, or sleep, while the process lives. It starts with the first
//! invalidation that fails, and ends when all are delivered or the cache is dropped.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::poll::block_on::block_on;
use crate::store::redis::client::deliverer::{Deliverer, SHORTEST};
use crate::store::redis::client::{Client, RedisStore};
use crate::store::redis::ops::delivery::LONGEST;
use crate::store::redis::transport::Lone;

/// With the time that an attempt takes, this is the longest delay of the delivery after the server's return.
const LONG: Duration = Duration::from_millis(800);
/// The pause when the server is well and refuses the rest.
const REFUSED: Duration = Duration::from_secs(30);

/// Wakes the thread for something that an attempt failed to deliver.
pub(crate) fn wake(client: &Arc<Client>) {
    wake_if(client, false);
}

/// Wakes the thread for something that must be sent at once.
pub(crate) fn wake_at_once(client: &Arc<Client>) {
    wake_if(client, true);
}

fn wake_if(client: &Arc<Client>, is_urgent: bool) {
    client.deliverer.wake(is_urgent, || {
        let (deliverer, client) = (Arc::clone(&client.deliverer), Arc::downgrade(client));
        let thread = thread::Builder::new().name("redis-cached deliver".to_owned());
        // If no thread can be started, the next read of a key delivers it, and the next failure tries again.
        thread.spawn(move || run(&deliverer, &client)).is_ok()
    });
}

fn run(deliverer: &Deliverer, client: &Weak<Client>) {
    let mut pause = SHORTEST;
    while let Some(has_more) = deliverer.pause(pause) {
        let Some(client) = client.upgrade() else { break };
        let store = RedisStore::new(&client, Lone::new(&client.server));
        block_on(store.release_orphans());
        let delivered = block_on(store.deliver(client.server.health.epoch(), Instant::now() + LONGEST));
        // This comes before the drop of the last reference to the client, because its end takes the same lock.
        let is_done = deliverer.ends_if(|| !client.pending.any() && !client.abandoned.has_orphans());
        drop(store);
        if is_done {
            return;
        }
        let longest = match delivered {
            Ok(Some(refused)) if refused.is_denied() => REFUSED,
            _ => LONG,
        };
        pause = if has_more { SHORTEST } else { pause }.saturating_mul(2).min(longest);
    }
    deliverer.stopped();
}
