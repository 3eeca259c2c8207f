//! A table that only grows, so that what is in it can be borrowed as long as the table.

use std::sync::OnceLock;

/// The number of entries that are allocated together.
const CHUNK: usize = 64;

/// The number of chunks.
const CHUNKS: usize = 256;

/// The most entries.
pub(super) const MOST: usize = CHUNK * CHUNKS;

/// Entries by their numbers. A read takes no lock.
#[derive(Debug)]
pub(super) struct Table<T>(Box<[OnceLock<Chunk<T>>]>);

type Chunk<T> = Box<[OnceLock<T>]>;

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table((0..CHUNKS).map(|_| OnceLock::new()).collect())
    }
}

impl<T> Table<T> {
    pub(super) fn get(&self, number: u16) -> Option<&T> {
        let number = usize::from(number);
        self.0.get(number / CHUNK)?.get()?.get(number % CHUNK)?.get()
    }

    /// The entry, which `make` makes if it is not there. `None` if the number is too large, or if nothing is made.
    pub(super) fn get_or_make(&self, number: u16, make: impl FnOnce() -> Option<T>) -> Option<&T> {
        let number = usize::from(number);
        let chunk = self.0.get(number / CHUNK)?.get_or_init(|| (0..CHUNK).map(|_| OnceLock::new()).collect());
        let entry = chunk.get(number % CHUNK)?;
        if let Some(known) = entry.get() {
            return Some(known);
        }
        let made = make()?;
        Some(entry.get_or_init(|| made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_made_once() {
        let table = Table::default();
        assert_eq!(table.get(70), None);
        assert_eq!(table.get_or_make(70, || None), None);
        assert_eq!(table.get_or_make(70, || Some("a")), Some(&"a"));
        assert_eq!(table.get_or_make(70, || Some("b")), Some(&"a"));
        assert_eq!((table.get(70), table.get(0)), (Some(&"a"), None));
        assert_eq!(table.get_or_make(u16::MAX, || Some("c")), None);
    }
}
