//! What is known of the commands that the server refuses: asked when a connection is made, noted when one is refused, and
//! asked again while calls need one of them.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use ::redis::Value;

use super::breaker::Epoch;
use super::fault::{Denied, Fault};
use super::transport::{Features, Load, Reply, Request, Transport, patience};
use super::{RedisStore, Shared, features};
use crate::error::Error;
use crate::key::{Address, Key};
use crate::stored::envelope::Place;

/// How often a server is asked again which commands it refuses, while calls need one of them.
const RIGHTS_ASKED: Duration = Duration::from_secs(2);

impl Shared {
    /// What the last server that was connected to can do.
    pub(super) fn known_features(&self) -> Features {
        Features::from_bits(self.features.load(Relaxed))
    }

    /// Whether the server refuses a command.
    pub(super) fn lacks_some(&self) -> bool {
        Features::ALL_COMMANDS.has(Features::from_bits(self.denied.load(Relaxed)))
    }

    /// Whether a connection that is made in `epoch` is to ask which commands are refused.
    pub(super) fn is_to_ask_rights(&self, epoch: Epoch) -> bool {
        self.rights_asked.load(Relaxed) != epoch.number() + 1
    }

    pub(super) fn note_features(&self, features: Features) {
        self.features.store(features.bits(), Relaxed);
    }

    /// The replies to the questions which commands are refused.
    pub(super) fn note_rights(&self, epoch: Epoch, replies: &[Value]) {
        let refused = features::refused(replies);
        // One that was not asked about is found out by its use.
        let _ = self
            .denied
            .fetch_update(Relaxed, Relaxed, |denied| Some(denied & !Features::ALL_COMMANDS.bits() | refused));
        self.rights_asked.store(epoch.number() + 1, Relaxed);
        self.rights_due.store(self.health.clock.ticks() + RIGHTS_ASKED.as_millis() as u64, Relaxed);
    }

    /// Whether to ask again which commands are refused.
    pub(super) fn claims_rights(&self) -> bool {
        let now = self.health.clock.ticks();
        let due = self.rights_due.load(Relaxed);
        let next = now + RIGHTS_ASKED.as_millis() as u64;
        now >= due && self.rights_due.compare_exchange(due, next, Relaxed, Relaxed).is_ok()
    }
}

impl<T: Transport> RedisStore<T> {
    /// A command was refused that was not known to be.
    pub(super) fn note_denied(&self, denied: Denied) {
        let shared = self.shared();
        match denied {
            Denied::Key => {}
            Denied::ManyKeys => self.deny(Features::MANY_KEYS),
            Denied::Command(command) => {
                if let Some(command) = command {
                    self.deny(command);
                    shared.rights_due.fetch_max(shared.health.clock.ticks() + 1, Relaxed);
                }
                self.ask_rights_if_due();
            }
        }
    }

    /// Asks again which commands are refused, in the background.
    pub(super) fn ask_rights_if_due(&self) {
        if !self.shared().claims_rights() {
            return;
        }
        let store = self.clone();
        self.core.transport.background(async move {
            let by = Instant::now() + patience(store.shared().timeout);
            let Some(epoch) = store.shared().health.admit() else { return };
            let ask = |_| Request::Many(features::questions());
            let mut note = |reply: Reply| {
                store.shared().note_rights(epoch, &reply.all());
                Ok(())
            };
            // No conclusions about the server's health are drawn: a refusal is an answer.
            let _ = store.core.transport.exchange(epoch, Load::default(), &ask, &mut note, by).await;
        });
    }

    pub(super) fn deny(&self, feature: Features) {
        self.shared().denied.fetch_or(feature.bits(), Relaxed);
    }

    /// Whether the user has the right to end a lease: without it, none is taken.
    pub(super) fn may_end(&self, key: &Key, place: Place) -> Result<(), Error> {
        let shared = self.shared();
        if !shared.lacks_some() {
            return Ok(());
        }
        let in_hash = matches!(key.address(), Address::Field { .. });
        let features = shared.allowed(shared.known_features());
        let missing = match place {
            Place::Slot => features.cannot_lease(in_hash),
            Place::Value => features.cannot_mark(in_hash),
        };
        match missing {
            Some(command) => {
                self.ask_rights_if_due();
                Err(Fault::lacking(command).error)
            }
            None => Ok(()),
        }
    }
}
