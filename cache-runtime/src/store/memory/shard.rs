//! A part of the memory store, under one lock: its slots, and the order in which they are evicted.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::key::Address;
use crate::plan::ttl::Ttl;
use crate::store::Release;
use crate::stored::envelope::{self, Head, Lease, LeasePlace, Token};

/// The cost of an entry in addition to its key and bytes: map and queue slots, reference counts.
pub(super) const OVERHEAD: usize = 160;

#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) slots: HashMap<Arc<str>, Slot>,
    /// Every key of `slots` once, and keys that are gone.
    pub(super) queue: VecDeque<Arc<str>>,
    /// The keys of `slots` that are in a group, by its name.
    pub(super) groups: HashMap<Box<str>, HashSet<Arc<str>>>,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) bytes: Bytes,
    /// A time of the store's clock; `u64::MAX` means never.
    pub(super) expires_at: u64,
    pub(super) read: bool,
}

pub(super) enum Update {
    Keep,
    Remove,
    /// The flag is true if the value counts as read already.
    Put(Bytes, Ttl, bool),
}

impl Shard {
    pub(super) fn put(&mut self, key: &str, slot: Slot) -> i64 {
        let key: Arc<str> = key.into();
        let new = cost(&key, &slot);
        match self.slots.entry(Arc::clone(&key)) {
            Entry::Occupied(mut old) => {
                let freed = cost(&key, old.get());
                old.insert(slot);
                new - freed
            }
            Entry::Vacant(place) => {
                place.insert(slot);
                if let Address::Field { hash, .. } = Address::of(&key) {
                    match self.groups.get_mut(hash) {
                        Some(members) => drop(members.insert(Arc::clone(&key))),
                        None => drop(self.groups.insert(hash.into(), HashSet::from([Arc::clone(&key)]))),
                    }
                }
                self.queue.push_back(key);
                // Keys that are gone leave the queue here at the latest, so that its length stays proportional.
                if self.queue.len() > 2 * self.slots.len() + 16 {
                    self.compact();
                }
                new
            }
        }
    }

    pub(super) fn remove(&mut self, key: &str) -> i64 {
        let Some((key, slot)) = self.slots.remove_entry(key) else { return 0 };
        if let Address::Field { hash, .. } = Address::of(&key)
            && let Some(members) = self.groups.get_mut(hash)
        {
            members.remove(&key);
            if members.is_empty() {
                self.groups.remove(hash);
            }
        }
        cost(&key, &slot)
    }

    /// Drops dead keys from the queue, and duplicates of a key.
    fn compact(&mut self) {
        let mut kept = HashSet::with_capacity(self.slots.len());
        let slots = &self.slots;
        self.queue.retain(|key| slots.contains_key(key) && kept.insert(Arc::clone(key)));
    }

    /// Returns the number of freed bytes; 0 if nothing is here, or all of it was read lately.
    pub(super) fn evict_one(&mut self, now: u64) -> i64 {
        for _ in 0..self.queue.len() {
            let Some(key) = self.queue.pop_front() else { break };
            match self.slots.get_mut(&key) {
                Some(slot) if slot.read && slot.expires_at > now => {
                    slot.read = false;
                    self.queue.push_back(key);
                }
                Some(_) => return self.remove(&key),
                None => {}
            }
        }
        0
    }
}

fn cost(key: &str, slot: &Slot) -> i64 {
    i64::try_from(key.len() + slot.bytes.len() + OVERHEAD).unwrap_or(i64::MAX)
}

impl Slot {
    pub(super) fn holds(&self, lease: &Lease) -> bool {
        match (lease.place(), envelope::head(&self.bytes)) {
            (LeasePlace::Slot, _) => self.bytes == lease.bytes(),
            (LeasePlace::Value, Head::Value(mark)) => mark.token == Some(lease.token()),
            (LeasePlace::Value, _) => false,
        }
    }

    /// Marks a copy of the value, because readers may still have the bytes. Its length stays.
    pub(super) fn mark(&mut self, token: Option<Token>, until: u64) {
        let mut bytes = self.bytes.to_vec();
        envelope::mark(&mut bytes, token, until);
        self.bytes = bytes.into();
    }

    /// Marks the value as leased from now on, and keeps it for as long.
    pub(super) fn lease(&mut self, lease: &Lease, now: u64) {
        let until = now.saturating_add(lease.millis);
        self.mark(Some(lease.token()), until);
        self.expires_at = self.expires_at.max(until);
    }

    /// Ends the lease that the slot holds; returns the update of the slot.
    pub(super) fn release(&mut self, lease: &Lease, release: Release, now: u64) -> Update {
        match (lease.place(), release) {
            (LeasePlace::Slot, _) | (LeasePlace::Value, Release::Remove) => Update::Remove,
            (LeasePlace::Value, Release::Pause(millis)) => {
                self.mark(None, now.saturating_add(millis));
                Update::Keep
            }
        }
    }
}

pub(super) fn lease_update(lease: &Lease) -> Update {
    Update::Put(Bytes::copy_from_slice(lease.bytes()), Ttl::Millis(lease.millis), false)
}
