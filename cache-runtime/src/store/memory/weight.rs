//! The memory that the store takes, as an allocator sees it.
//!
//! An allocation takes more than its length: a header, and what is lost to rounding. A table takes the room that it grew
//! to, whatever is in it. The figures are those of the allocator of glibc, and hold roughly for others.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::mem::size_of;

use super::shard::Slot;

/// A map that knows how much memory its table takes, and gives room back.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    map: HashMap<K, V>,
    /// The capacity of the table when it was new. That of the map is less while places of removed entries are not used
    /// again.
    capacity: usize,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Table { map: HashMap::new(), capacity: 0 }
    }
}

impl<K, V> std::ops::Deref for Table<K, V> {
    type Target = HashMap<K, V>;

    fn deref(&self) -> &HashMap<K, V> {
        &self.map
    }
}

impl<K: Eq + Hash, V> Table<K, V> {
    /// The room of the table that it grew out of counts, too: small allocations are all over it by now.
    pub(super) fn weight(&self) -> usize {
        table(self.capacity, size_of::<(K, V)>()) / 2 * 3
    }

    pub(super) fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.map.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.map.insert(key, value);
        if self.map.capacity() <= self.capacity {
            return;
        }
        // A table that is full of places of removed entries grows to twice its size, although it has few entries.
        if self.map.len() <= self.capacity / 8 * 7 {
            self.map.shrink_to(self.capacity);
        }
        self.capacity = self.map.capacity();
    }

    pub(super) fn remove_entry<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
    {
        self.map.remove_entry(key)
    }

    /// Gives room back if most entries are gone; returns true if it did.
    pub(super) fn shrink(&mut self) -> bool {
        let is_sparse = self.map.len() < self.capacity / 4;
        if is_sparse {
            self.map.shrink_to(self.map.len() * 2);
            self.capacity = self.map.capacity();
        }
        is_sparse
    }
}

/// The memory of an allocation.
pub(super) fn allocation(bytes: usize) -> usize {
    /// Larger allocations are pages of their own.
    const PAGED: usize = 128 << 10;
    match bytes {
        0 => 0,
        1..PAGED => (bytes + 8).next_multiple_of(16).max(32),
        _ => (bytes + 16).next_multiple_of(4096),
    }
}

/// The memory of the table of a map or a set with this capacity: an entry has a byte of its own in addition, and an
/// eighth of the places stays free.
fn table(capacity: usize, entry: usize) -> usize {
    /// The bytes of a group, which are repeated at the end of a table.
    const GROUP: usize = 16;
    if capacity == 0 {
        return 0;
    }
    let places = if capacity < 8 { capacity + 1 } else { capacity / 7 * 8 };
    allocation(places * (entry + 1) + GROUP)
}

/// The memory of a key, which its map, its queue and its group share, and of a slot's bytes.
pub(super) fn entry(key: &str, slot: &Slot) -> usize {
    key_alone(key) + content(slot.bytes.len())
}

pub(super) fn key_alone(key: &str) -> usize {
    /// The two counts of an `Arc`.
    const COUNTS: usize = 2 * size_of::<usize>();
    allocation(COUNTS + key.len())
}

/// The memory of bytes, and of what counts their readers.
pub(super) fn content(bytes: usize) -> usize {
    const READERS: usize = 32;
    allocation(bytes) + READERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_takes_more_than_its_length() {
        let sizes = [0, 1, 24, 25, 100, 1_000, 200_000].map(allocation);
        assert_eq!(sizes, [0, 32, 32, 48, 112, 1_008, 200_704]);
    }

    #[test]
    fn a_table_has_places_for_more_than_it_holds() {
        // The capacities that maps have.
        assert_eq!([3, 7, 14, 28].map(|capacity| table(capacity, 63)), [4, 8, 16, 32].map(|n| allocation(n * 64 + 16)));
        assert_eq!(table(0, 63), 0);
    }
}
