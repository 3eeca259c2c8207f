//! Checks what the server permits before an operation that could not be ended without it, and asks again for what was
//! refused. What is known about the server is in `server::rights`.

use std::time::Instant;

use crate::error::Error;
use crate::key::{Address, Key};
use crate::store::redis::client::RedisStore;
use crate::store::redis::request::{Load, Reply, Request};
use crate::store::redis::server::fault::{Denied, Fault};
use crate::store::redis::server::features::Features;
use crate::store::redis::server::rights;
use crate::store::redis::transport::{Transport, patience};
use crate::stored::envelope::LeasePlace;

impl<T: Transport> RedisStore<T> {
    /// Notes that a command was refused unexpectedly.
    pub(crate) fn note_denied(&self, denied: Denied) {
        let server = self.server();
        match denied {
            Denied::Key => {}
            Denied::ManyKeys => self.deny(Features::MANY_KEYS),
            Denied::Command(command) => {
                if let Some(command) = command {
                    self.deny(command);
                    server.ask_rights_soon();
                }
                self.ask_rights_if_due();
            }
        }
    }

    /// Asks again for the refused commands, in the background.
    pub(crate) fn ask_rights_if_due(&self) {
        if !self.server().claims_rights() {
            return;
        }
        let store = self.clone();
        self.core.transport.background(async move {
            let by = Instant::now() + patience(store.server().timeout);
            let Some(epoch) = store.server().health.admit() else { return };
            let ask = |_| Request::Many(rights::questions());
            let mut note = |reply: Reply| {
                store.server().note_rights(epoch, &reply.all());
                Ok(())
            };
            // This says nothing about the server's health: a refusal is an answer.
            let _ = store.core.transport.exchange(epoch, Load::default(), &ask, &mut note, by).await;
        });
    }

    pub(crate) fn deny(&self, feature: Features) {
        self.server().deny(feature);
    }

    /// Checks that the user has the right to end a lease: without it, none is taken.
    pub(crate) fn may_end(&self, key: &Key, place: LeasePlace) -> Result<(), Error> {
        self.may_lease(place, || matches!(key.address(), Address::Field { .. }))
    }

    /// Checks that the user has the commands to store an entry outside of a group.
    pub(crate) fn may_store(&self) -> Result<(), Error> {
        self.may_lease(LeasePlace::Slot, || false)
    }

    fn may_lease(&self, place: LeasePlace, in_hash: impl FnOnce() -> bool) -> Result<(), Error> {
        let server = self.server();
        if !server.lacks_some() {
            return Ok(());
        }
        let in_hash = in_hash();
        let features = server.allowed(server.known_features());
        let missing = match place {
            LeasePlace::Slot => features.cannot_lease(in_hash),
            LeasePlace::Value => features.cannot_mark(in_hash),
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
