//! A part of the memory store, under one lock: its slots, and the order in which they are evicted.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::Arc;

use bytes::Bytes;

use super::weight::{self, Table};
use crate::key::Address;
use crate::plan::ttl::Ttl;
use crate::store::Release;
use crate::stored::envelope::{self, Head, Lease, LeasePlace, Token};

#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) slots: Table<Arc<str>, Slot>,
    /// Every key of `slots` once, and keys that are gone.
    pub(super) queue: VecDeque<Arc<str>>,
    /// The keys of `slots` that are in a group, by its name.
    pub(super) groups: Table<Box<str>, Members>,
    /// The memory of the entries, of the keys that are gone, and of the names and tables of groups.
    content: usize,
}

/// The keys of a group that is not empty.
pub(super) type Members = Table<Arc<str>, ()>;

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
    /// The memory that all of it takes.
    pub(super) fn weight(&self) -> usize {
        self.content
            + self.slots.weight()
            + weight::allocation(self.queue.capacity() * size_of::<Arc<str>>())
            + self.groups.weight()
    }

    pub(super) fn put(&mut self, key: &str, slot: Slot) {
        if let Some(old) = self.slots.get_mut(key) {
            self.content -= weight::content(old.bytes.len());
            self.content += weight::content(slot.bytes.len());
            *old = slot;
            return;
        }
        let key: Arc<str> = key.into();
        self.content += weight::entry(&key, &slot);
        self.slots.insert(Arc::clone(&key), slot);
        if let Address::Field { hash, .. } = Address::of(&key) {
            self.join(hash, &key);
        }
        self.queue.push_back(key);
        // Keys that are gone leave the queue here at the latest, so that its length stays proportional.
        if self.queue.len() > self.slots.len() + self.slots.len() / 4 + 16 {
            self.compact();
        }
    }

    /// Adds a key to its group.
    fn join(&mut self, hash: &str, key: &Arc<str>) {
        if !self.groups.contains_key(hash) {
            self.content += weight::allocation(hash.len());
            self.groups.insert(hash.into(), Members::default());
        }
        let Some(members) = self.groups.get_mut(hash) else { return };
        let before = members.weight();
        members.insert(Arc::clone(key), ());
        self.content = self.content + members.weight() - before;
    }

    /// Removes a key from its group.
    fn leave(&mut self, hash: &str, key: &str) {
        let Some(members) = self.groups.get_mut(hash) else { return };
        let before = members.weight();
        members.remove_entry(key);
        members.shrink();
        let is_empty = members.is_empty();
        self.content = self.content + members.weight() - before;
        if is_empty {
            self.take_group(hash);
        }
    }

    /// Takes the members of a group, which are still to be removed.
    pub(super) fn take_group(&mut self, hash: &str) -> Members {
        let Some((_, members)) = self.groups.remove_entry(hash) else { return Members::default() };
        self.content -= members.weight() + weight::allocation(hash.len());
        self.groups.shrink();
        members
    }

    pub(super) fn remove(&mut self, key: &str) {
        let Some((key, slot)) = self.slots.remove_entry(key) else { return };
        // The queue has the key until it meets it.
        self.content -= weight::content(slot.bytes.len());
        if let Address::Field { hash, .. } = Address::of(&key) {
            self.leave(hash, &key);
        }
        if self.slots.shrink() {
            self.compact();
            self.queue.shrink_to(self.queue.len() * 2);
        }
    }

    /// Drops dead keys from the queue, and duplicates of a key.
    fn compact(&mut self) {
        let (slots, content) = (&self.slots, &mut self.content);
        // A key that came back has an allocation of its own.
        self.queue.retain(|key| {
            let lives = slots.get_key_value(key).is_some_and(|(living, _)| Arc::ptr_eq(living, key));
            if !lives {
                *content -= weight::key_alone(key);
            }
            lives
        });
    }

    /// Returns false if nothing was evicted: nothing is here, or all of it was read lately.
    pub(super) fn evict_one(&mut self, now: u64) -> bool {
        for _ in 0..self.queue.len() {
            let Some(key) = self.queue.pop_front() else { break };
            match self.slots.get_key_value(&key) {
                Some((living, _)) if Arc::ptr_eq(living, &key) => {}
                _ => {
                    self.content -= weight::key_alone(&key);
                    continue;
                }
            }
            match self.slots.get_mut(&key) {
                Some(slot) if slot.read && slot.expires_at > now => {
                    slot.read = false;
                    self.queue.push_back(key);
                }
                _ => {
                    self.remove(&key);
                    self.content -= weight::key_alone(&key);
                    return true;
                }
            }
        }
        false
    }
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
