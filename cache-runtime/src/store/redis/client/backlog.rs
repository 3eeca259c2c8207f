//! What a cache still owes to its servers, whichever of them it is to be sent to.

use std::sync::Arc;

use super::abandoned::AbandonedLeases;
use super::deliverer::Deliverer;
use super::pending::Pending;

/// Undelivered invalidations and abandoned leases. The nodes of a cluster share it, because keys move between them.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    pub(crate) pending: Pending,
    pub(crate) abandoned: AbandonedLeases,
    pub(crate) deliverer: Arc<Deliverer>,
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.deliverer.end();
    }
}
