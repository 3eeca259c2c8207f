//! Values that are offered, until the store has confirmed them.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};

use super::Tier;
use super::cell::Cell;
use super::map::{Entry, EntryState, Map};
use crate::plan::function::Function;
use crate::plan::local::Decoded;
use crate::poll::coarse::Coarse;
use crate::store::tracking::Vouched;
use crate::stored::envelope::{self, Head, Seal, Token};

/// The values that are being confirmed, by key. A change of the slot removes its ticket, so that an answer from before it
/// counts no more.
#[derive(Default)]
pub(super) struct Tickets(HashMap<Arc<str>, Ticket>);

impl Tickets {
    pub(super) fn remove(&mut self, key: &str) -> Option<Ticket> {
        self.0.remove(key)
    }

    /// Returns true if a ticket is for another value than this one.
    pub(super) fn is_for_other(&self, key: &str, id: Option<Token>) -> bool {
        self.0.get(key).is_some_and(|ticket| Some(ticket.id) != id)
    }

    /// Returns true if a ticket is for this value.
    pub(super) fn is_for(&self, key: &str, id: Token) -> bool {
        self.0.get(key).is_some_and(|ticket| ticket.id == id)
    }

    fn take(&mut self, key: &str, number: u64) -> Option<Ticket> {
        if self.0.get(key)?.number == number { self.0.remove(key) } else { None }
    }
}

/// Tags, and the seal that their stamps have to make.
pub(super) struct Tags {
    pub(super) cells: Vec<(String, Arc<Cell>)>,
    pub(super) seal: Seal,
}

/// A value that is being confirmed.
pub(super) struct Ticket {
    pub(super) number: u64,
    pub(super) map: Arc<Map>,
    pub(super) value: Decoded,
    pub(super) id: Token,
    pub(super) function: &'static Function,
    /// The tags that follow from the arguments, and the value's own.
    pub(super) tags: [Tags; 2],
    pub(super) until: Coarse,
    pub(super) due: Coarse,
    pub(super) has_own_tags: bool,
    pub(super) bytes: usize,
    pub(super) weight: u64,
    /// How long its body ran.
    pub(super) body_micros: u32,
}

impl Ticket {
    /// The entry, if its stamps are those that it was computed under.
    fn entry(self, vouched: Vouched, now: Coarse) -> Option<Arc<Entry>> {
        let mut stamps = Vec::new();
        for Tags { cells, seal } in &self.tags {
            let mut known = Vec::with_capacity(cells.len());
            for (tag, cell) in cells {
                let (stamp, stamped) = cell.stamped()?;
                known.push((tag, stamp));
                stamps.push(stamped);
            }
            if Seal::of(known.iter().map(|(tag, stamp)| (tag.as_str(), &**stamp))) != *seal {
                return None;
            }
        }
        if !stamps.iter().all(|stamped| stamped.holds(now)) {
            return None;
        }
        let tags = self.tags[0].cells.iter().map(|(tag, _)| tag.clone()).collect();
        let entry = Entry {
            value: self.value,
            id: self.id,
            function: self.function,
            vouched,
            stamps: stamps.into(),
            state: EntryState::live(),
            until: self.until,
            due: self.due.0.into(),
            has_own_tags: self.has_own_tags,
            tags,
            bytes: self.bytes,
            weight: self.weight,
            body_micros: self.body_micros,
        };
        Some(Arc::new(entry))
    }
}

/// The right to conclude a ticket. Dropped, it removes the ticket.
pub(super) struct Pending {
    tier: Weak<Tier>,
    pub(super) key: Arc<str>,
    pub(super) number: u64,
}

impl Tier {
    /// Adds a ticket, in place of an older one, if this process has written nothing since there were `voids`.
    pub(super) fn pending(&self, key: &str, ticket: Ticket, voids: u64) -> Option<Pending> {
        let (key, number) = (Arc::<str>::from(key), ticket.number);
        let mut tickets = self.tickets(&key);
        // Under the lock: a write that voids the key from here on finds the ticket.
        if self.voids() != voids {
            return None;
        }
        let replaced = tickets.0.insert(Arc::clone(&key), ticket);
        drop(tickets);
        drop(replaced);
        Some(Pending { tier: Weak::clone(&self.me), key, number })
    }
}

impl Pending {
    /// Inserts the value if the slot held it, and nothing changed since it was asked for. `is_closed` tells whether
    /// invalidations are undelivered.
    pub(super) fn conclude(self, head: Option<&[u8]>, vouched: Vouched, is_closed: impl FnOnce() -> bool) {
        let Some(tier) = self.tier.upgrade() else { return };
        // The entry is inserted under the lock that a change of the slot takes: there is no moment between the last
        // look and the insertion.
        let mut tickets = tier.tickets(&self.key);
        let Some(ticket) = tickets.take(&self.key, self.number) else { return };
        let is_held = matches!(head.map(envelope::head), Some(Head::Value(mark)) if mark.id == ticket.id);
        let map = Arc::clone(&ticket.map);
        let kept = if is_held && !is_closed() { ticket.entry(vouched, Coarse::now()) } else { None };
        let local = map.counters.local();
        if let Some(entry) = kept {
            local.admitted.fetch_add(1, Relaxed);
            map.insert((*self.key).into(), entry);
        } else {
            local.refused.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(tier) = self.tier.upgrade() {
            drop(tier.tickets(&self.key).take(&self.key, self.number));
        }
    }
}
