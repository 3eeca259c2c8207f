//! The ids that one call computes, and the leases under which it does.

use std::sync::Arc;
use std::thread;

use crate::engine::flight::{Flight, Leader};
use crate::engine::lease::{Leased, PAUSE_MILLIS};
use crate::store::{Precondition, Release, Store};

/// The calls for which this call computes an id, which is identified by its position.
pub(super) enum Assignment<'a, S: Store> {
    /// The id is computed for all calls: its value may be stored.
    Leased(usize, Leased<'a, S>),
    /// The id is computed for the calls of this process.
    Process(usize, Leader),
    /// The id is computed for this call alone.
    Alone(usize),
}

impl<S: Store> Assignment<'_, S> {
    pub(super) fn flight(&self) -> Option<&Arc<Flight>> {
        match self {
            Assignment::Leased(_, leased) => Some(leased.flight()),
            Assignment::Process(_, leader) => Some(leader.flight()),
            Assignment::Alone(_) => None,
        }
    }

    pub(super) fn at(&self) -> usize {
        let (Assignment::Leased(at, _) | Assignment::Process(at, _) | Assignment::Alone(at)) = self;
        *at
    }
}

/// A type that may hold a lease.
pub(super) trait HoldsLease<'a, S: Store> {
    fn leased(&mut self) -> Option<&mut Leased<'a, S>>;
}

impl<'a, S: Store> HoldsLease<'a, S> for Assignment<'a, S> {
    fn leased(&mut self) -> Option<&mut Leased<'a, S>> {
        match self {
            Assignment::Leased(_, leased) => Some(leased),
            Assignment::Process(..) | Assignment::Alone(_) => None,
        }
    }
}

/// A slot whose lease is requested.
pub(super) struct LeaseRequest<'a, S: Store> {
    pub(super) at: usize,
    pub(super) precondition: Precondition,
    pub(super) leased: Leased<'a, S>,
}

impl<'a, S: Store> HoldsLease<'a, S> for LeaseRequest<'a, S> {
    fn leased(&mut self) -> Option<&mut Leased<'a, S>> {
        Some(&mut self.leased)
    }
}

/// The leases of one call. Those that stand when this is dropped, by cancellation or a panic, are given back together.
pub(super) struct LeaseSet<'a, S: Store, L: HoldsLease<'a, S>> {
    pub(super) store: &'a S,
    pub(super) all: Vec<L>,
}

impl<'a, S: Store, L: HoldsLease<'a, S>> LeaseSet<'a, S, L> {
    pub(super) fn give_back(&mut self, release: Release) {
        let mut leases = Vec::new();
        for leased in self.all.iter_mut().filter_map(L::leased) {
            if leased.stands(false) {
                leases.push((leased.key().clone(), *leased.lease(), release));
            }
        }
        if !leases.is_empty() {
            self.store.abandon(leases);
        }
    }
}

impl<'a, S: Store, L: HoldsLease<'a, S>> Drop for LeaseSet<'a, S, L> {
    fn drop(&mut self) {
        // The leases are given back before the followers are told, because they look at the slots then.
        self.give_back(Release::Pause(if thread::panicking() { PAUSE_MILLIS } else { 0 }));
    }
}
