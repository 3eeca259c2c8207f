//! Which entries this process refreshes in the background, or leaves alone for a while.
//!
//! The mark in the value tells all processes; this spares the hits of one process from asking.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::key::Key;

/// Past so many, those whose pause is over are looked for.
const MANY: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Refreshing(Mutex<HashMap<Key, State>>);

#[derive(Debug)]
enum State {
    Running,
    Pausing(Instant),
}

impl State {
    fn is_over(&self, now: Instant) -> bool {
        matches!(self, State::Pausing(until) if *until <= now)
    }
}

impl Refreshing {
    /// The turn to refresh this entry, unless somebody has it, or it is to be left alone.
    pub(crate) fn claim(self: &Arc<Self>, key: Key) -> Option<Ticket> {
        let now = Instant::now();
        let mut all = self.lock();
        if all.get(&key).is_some_and(|state| !state.is_over(now)) {
            return None;
        }
        if all.len() >= MANY {
            all.retain(|_, state| !state.is_over(now));
        }
        all.insert(key.clone(), State::Running);
        Some(Ticket { all: Arc::clone(self), key, pause: Duration::ZERO })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn to refresh one entry, until dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    all: Arc<Refreshing>,
    key: Key,
    pause: Duration,
}

impl Ticket {
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// For how long nobody of this process is to ask again.
    pub(crate) fn pause(&mut self, pause: Duration) {
        self.pause = pause;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        match Instant::now().checked_add(self.pause) {
            Some(until) if !self.pause.is_zero() => all.insert(self.key.clone(), State::Pausing(until)),
            _ => all.remove(&self.key),
        };
    }
}
