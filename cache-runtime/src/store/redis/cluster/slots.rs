//! The hash slots of keys, and the node that has each.

use std::sync::atomic::{
    AtomicBool, AtomicU16, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::key::Address;

/// The number of hash slots of a cluster.
pub(crate) const SLOTS: u16 = 16_384;

/// The hash slot of a slot of the store: a field of a hash is where the hash is.
pub(crate) fn slot_of(name: &str) -> u16 {
    let key = match Address::of(name) {
        Address::Key(key) => key,
        Address::Field { hash, .. } => hash,
    };
    crc16(tagged(key).as_bytes()) % SLOTS
}

/// The part of a key that is hashed: the text between the first `{` and the next `}`, if there is any.
fn tagged(key: &str) -> &str {
    let tag = key.split_once('{').and_then(|(_, tail)| tail.split_once('}'));
    tag.map(|(tag, _)| tag).filter(|tag| !tag.is_empty()).unwrap_or(key)
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| crc << 8 ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)])
}

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The number of no node.
const NOBODY: u16 = u16::MAX;

/// The node of each slot, by its number. A read of it is a load.
#[derive(Debug)]
pub(super) struct SlotMap {
    owners: Box<[AtomicU16]>,
    /// The number of changes.
    changes: AtomicU64,
    /// True once a whole topology was noted: until then, a slot without a node may have one.
    is_known: AtomicBool,
}

impl Default for SlotMap {
    fn default() -> SlotMap {
        SlotMap {
            owners: (0..SLOTS).map(|_| AtomicU16::new(NOBODY)).collect(),
            changes: AtomicU64::new(0),
            is_known: AtomicBool::new(false),
        }
    }
}

impl SlotMap {
    /// The node that has the slot; `None` if that is unknown.
    pub(super) fn owner(&self, slot: u16) -> Option<u16> {
        let owner = self.owners.get(usize::from(slot))?.load(Relaxed);
        (owner != NOBODY).then_some(owner)
    }

    /// Notes the node of a slot. Returns true if it was another one before.
    pub(super) fn set(&self, slot: u16, node: u16) -> bool {
        let Some(owner) = self.owners.get(usize::from(slot)) else { return false };
        let is_new = owner.swap(node, Relaxed) != node;
        if is_new {
            self.changes.fetch_add(1, Relaxed);
        }
        is_new
    }

    /// Notes that all slots of a topology were noted.
    pub(super) fn set_known(&self) {
        self.is_known.store(true, Release);
    }

    pub(super) fn is_known(&self) -> bool {
        self.is_known.load(Acquire)
    }

    /// The number of changes so far.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Relaxed)
    }

    /// The nodes that have slots, in ascending order.
    pub(super) fn nodes(&self) -> Vec<u16> {
        let mut nodes: Vec<u16> = self.owners.iter().map(|owner| owner.load(Relaxed)).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes.retain(|node| *node != NOBODY);
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyWriter;

    #[test]
    fn the_checksum_is_the_one_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(crc16(b""), 0);
    }

    #[test]
    fn the_hash_tag_decides() {
        for (name, hashed) in [
            ("{user1000}.following", "user1000"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("foo{bar", "foo{bar"),
            ("foo}bar", "foo}bar"),
        ] {
            assert_eq!(tagged(name), hashed, "{name}");
        }
        assert_eq!(slot_of("foo"), 12_182);
        assert_eq!(slot_of("{foo}:ahead:00"), slot_of("foo"));
        assert_eq!(slot_of("shop:#group:g user:1"), slot_of("shop:#group:g"));
    }

    #[test]
    fn text_from_outside_forms_no_hash_tag() {
        let mut writer = KeyWriter::new("{n}", "shop:user");
        let key = writer.arg("id", "{1}").finish().expect("a key");
        assert_eq!(tagged(key.as_str()), key.as_str());
        let mut tagged_key = KeyWriter::new("{n}", "shop:user");
        let key = tagged_key.arg("id", &1).tag().placeholder("tag", "{x}").finish().expect("a key");
        assert!(key.tags().iter().all(|tag| tagged(tag) == tag), "{:?}", key.tags());
    }

    #[test]
    fn owners_are_noted() {
        let map = SlotMap::default();
        assert_eq!((map.owner(0), map.owner(SLOTS), map.nodes()), (None, None, Vec::new()));
        assert!(map.set(0, 3) && map.set(16_383, 1) && !map.set(0, 3) && !map.set(SLOTS, 1));
        assert_eq!((map.owner(0), map.owner(16_383), map.changes()), (Some(3), Some(1), 2));
        assert_eq!(map.nodes(), [1, 3]);
    }
}
