//! The tracked connection to a server: slots that a program keeps in its own memory are confirmed over it, and the server
//! tells their changes over it.
//!
//! Nothing but confirmations and heartbeats travels on it, so that `CLIENT TRACKING ON` concerns the keys alone that are
//! confirmed. Pushes are handled in the order of the wire, before any later reply; replies reach this task later, which
//! the tickets of confirmations allow for.
//!
//! It lives on the keeper, because a caller's runtime may stop to read from its connections. It starts with the first
//! inquiry, and rests while nothing is kept.

mod session;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::client::Client;
use super::keeper::Signal;
use crate::poll::coarse::Coarse;
use crate::store::tracking::{Inquiry, Proof, Watcher};

/// The most inquiries that wait. More are dropped: the calls that follow offer their values again.
const MOST_WAITING: usize = 4096;

/// The same while there is no connection: each of them holds a value.
const MOST_UNCONNECTED: usize = 64;

/// The tracked connection to one server.
pub(crate) struct Link {
    pub(crate) proof: Arc<Proof>,
    watcher: Weak<dyn Watcher>,
    bound: Duration,
    state: Mutex<LinkState>,
    /// Something is to be asked.
    asked: Signal,
}

#[derive(Default)]
struct LinkState {
    waiting: VecDeque<Inquiry>,
    is_connected: bool,
    /// The last connection failed, and the next one is not due.
    is_pausing: bool,
    /// The process in which the task runs; a child of it has none.
    running_in: Option<u32>,
}

impl Link {
    pub(crate) fn new(watcher: Weak<dyn Watcher>, bound: Duration) -> Arc<Link> {
        Arc::new(Link {
            proof: Arc::new(Proof::new(bound)),
            watcher,
            bound,
            state: Mutex::default(),
            asked: Signal::default(),
        })
    }

    /// Asks the server. The inquiry may be dropped.
    pub(crate) fn ask(self: &Arc<Self>, client: &Arc<Client>, inquiry: Inquiry) {
        let mut state = self.lock();
        let most = if state.is_connected { MOST_WAITING } else { MOST_UNCONNECTED };
        let process = std::process::id();
        let is_pausing = state.is_pausing && state.running_in == Some(process);
        if is_pausing || state.waiting.len() >= most {
            // It may hold a large value, and is dropped without the lock.
            drop(state);
            drop(inquiry);
            return;
        }
        state.waiting.push_back(inquiry);
        if state.running_in == Some(process) {
            drop(state);
            self.asked.notify();
            return;
        }
        let was_forked = state.running_in.replace(process).is_some();
        drop(state);
        if was_forked {
            // What the parent confirmed is told to the parent alone.
            self.lose();
        }
        let ended = Ended(Arc::clone(self));
        if !client.keeper.spawn(session::follow(ended, Arc::downgrade(client))) {
            self.drop_waiting();
        }
    }

    /// The age of the proof, while something is kept that needs one.
    pub(crate) fn proof_age(&self) -> Option<Duration> {
        let watcher = self.watcher.upgrade().filter(|watcher| !watcher.keeps_nothing());
        watcher.and_then(|_| self.proof.age(Coarse::now()))
    }

    fn take(&self, most: usize) -> Vec<Inquiry> {
        let mut state = self.lock();
        let count = state.waiting.len().min(most);
        state.waiting.drain(..count).collect()
    }

    /// Drops what waits, without the lock: inquiries hold values.
    fn drop_waiting(&self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        drop(waiting);
    }

    /// Notes that there is a connection, or none. Returns true if there was one before.
    fn connected(&self, is_connected: bool) -> bool {
        std::mem::replace(&mut self.lock().is_connected, is_connected)
    }

    /// Notes that the next connection is not due, or is.
    fn pauses(&self, is_pausing: bool) {
        self.lock().is_pausing = is_pausing;
    }

    fn lock(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes may have been missed from here on.
    pub(crate) fn lose(&self) {
        self.proof.end();
        if let Some(watcher) = self.watcher.upgrade() {
            watcher.all_changed(&self.proof);
        }
    }
}

/// The task of a link. When it is dropped, the link is lost, and the next inquiry starts another task.
struct Ended(Arc<Link>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        (state.running_in, state.is_connected, state.is_pausing) = (None, false, false);
        drop(state);
        self.0.lose();
    }
}
