//! Which entries this process refreshes in the background, or leaves alone for a while.
//!
//! The mark in the value tells all processes; this spares the hits of one process from asking.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::Span;

use crate::fork::Process;
use crate::key::Key;
use crate::stored::envelope::{Seal, Token};

/// If there are fewer entries than this, those whose pause is over are not looked for.
const FEW: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Refreshing {
    all: Mutex<All>,
    process: Process,
}

#[derive(Debug, Default)]
struct All {
    entries: HashMap<Key, RefreshState>,
    /// The number of entries at which to look for those whose pause is over: twice as many as were left.
    sweep_at: usize,
}

#[derive(Debug)]
enum RefreshState {
    Running,
    /// This value is left alone until then; another one need not be.
    Pausing(Token, Instant),
}

impl RefreshState {
    fn is_over(&self, now: Instant) -> bool {
        matches!(self, RefreshState::Pausing(_, until) if *until <= now)
    }

    fn is_about(&self, id: Token) -> bool {
        match self {
            RefreshState::Running => true,
            RefreshState::Pausing(paused, _) => *paused == id,
        }
    }
}

impl Refreshing {
    /// The turn to refresh this value, unless another call has it, or the value is to be left alone.
    pub(crate) fn claim(self: &Arc<Self>, key: Key, id: Token, seal: Seal) -> Option<Ticket> {
        let now = Instant::now();
        let mut all = self.lock();
        if all.entries.get(&key).is_some_and(|state| !state.is_over(now) && state.is_about(id)) {
            return None;
        }
        if all.entries.len() >= all.sweep_at.max(FEW) {
            all.entries.retain(|_, state| !state.is_over(now));
            all.sweep_at = all.entries.len() * 2;
        }
        all.entries.insert(key.clone(), RefreshState::Running);
        Some(Ticket { all: Arc::clone(self), key, id, seal, pause: Duration::ZERO, span: Span::none() })
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if self.process.is_forked() {
            // What runs, runs in another process.
            all.entries.retain(|_, state| !matches!(state, RefreshState::Running));
        }
        all
    }
}

/// The turn to refresh one entry, until dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    all: Arc<Refreshing>,
    key: Key,
    id: Token,
    /// The seal of the value, which is that of its successor unless a tag is invalidated meanwhile.
    seal: Seal,
    pause: Duration,
    span: Span,
}

impl Ticket {
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn seal(&self) -> Seal {
        self.seal
    }

    /// The refresh runs in this span.
    pub(crate) fn in_span(mut self, span: Span) -> Ticket {
        self.span = span;
        self
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Sets for how long this process does not ask again.
    pub(crate) fn pause(&mut self, pause: Duration) {
        self.pause = pause;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        match Instant::now().checked_add(self.pause) {
            Some(until) if !self.pause.is_zero() => {
                all.entries.insert(self.key.clone(), RefreshState::Pausing(self.id, until))
            }
            _ => all.entries.remove(&self.key),
        };
    }
}
