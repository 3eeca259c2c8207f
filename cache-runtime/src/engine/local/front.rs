//! What a thread keeps between its hits: the buffer of the next key, and the last entry that was served.
//!
//! The last entry answers further calls for its key until the clock moves on, without the map: a look-up there writes to
//! memory that all threads share, and many threads with one key would wait for one another. The next tick of the clock goes
//! to the map, which notes that the entry is in use. An entry that has left its map says so itself, so this one is never
//! served longer than one that a call had found there.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Known;
use super::map::Entry;
use crate::key::KeyWriter;
use crate::poll::caught::caught;
use crate::poll::coarse::Coarse;

thread_local! {
    static FRONT: Cell<Option<Box<Front>>> = const { Cell::new(None) };
}

/// A thread that makes no more calls keeps no value of more bytes.
const LARGEST: usize = 64 << 10;

/// The number of a function in a tier, which no other one of this process has.
pub(super) fn number() -> u64 {
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    NUMBERS.fetch_add(1, Relaxed)
}

/// It is boxed: its parts are not moved.
pub(super) struct Front {
    pub(super) writer: KeyWriter,
    /// The key of the last entry. Its buffer outlives the entry.
    key: String,
    last: Option<Last>,
}

struct Last {
    entry: Arc<Entry>,
    /// The [`number`] of its function.
    function: u64,
    /// The tick in which the map had it.
    at: Coarse,
}

impl Front {
    /// That of this thread. Its writer has begun a key with this stem.
    #[inline]
    pub(super) fn take(stem: &str) -> Box<Front> {
        let mut front = match FRONT.try_with(Cell::take) {
            Ok(Some(front)) => front,
            _ => Front::new(),
        };
        front.writer.restart(stem);
        front
    }

    #[cold]
    fn new() -> Box<Front> {
        Box::new(Front { writer: KeyWriter::of_texts(), key: String::new(), last: None })
    }

    /// Leaves it to the next call of this thread.
    #[inline]
    pub(super) fn keep(mut self: Box<Self>) {
        if self.last.as_ref().is_some_and(|last| last.entry.bytes > LARGEST) {
            self.forget();
        }
        if self.writer.is_reusable() {
            // A thread that is ending keeps nothing. A call inside this one has left one, whose drop catches panics.
            let _ = FRONT.try_with(|front| front.set(Some(self)));
        }
    }

    /// The entry of the key that was written, if it may be served now.
    #[inline]
    pub(super) fn good(&mut self, known: &Known, now: Coarse) -> Option<&Entry> {
        let key = self.writer.whole()?;
        if let Some(last) = &self.last
            && last.function == known.number
            && last.at == now
            && self.key == key
            && last.entry.is_good(now)
        {
            // The call that is to refresh it is not answered.
            return if last.entry.is_to_refresh(now) { None } else { self.last.as_ref().map(|last| &*last.entry) };
        }
        self.find(known, now)
    }

    fn find(&mut self, known: &Known, now: Coarse) -> Option<&Entry> {
        let key = self.writer.whole()?;
        let Some(entry) = known.good(key, &[], now) else {
            self.forget();
            return None;
        };
        self.key.clear();
        self.key.push_str(key);
        if let Some(last) = self.last.replace(Last { entry, function: known.number, at: now }) {
            drop_entry(last.entry);
        }
        self.last.as_ref().map(|last| &*last.entry)
    }

    fn forget(&mut self) {
        if let Some(last) = self.last.take() {
            drop_entry(last.entry);
        }
    }
}

impl Drop for Front {
    /// Also at the end of the thread, where a panic would end the process.
    fn drop(&mut self) {
        self.forget();
    }
}

/// Drops an entry, and with it a value of the program if the map has it no more. A `Drop` that panics does that in no call,
/// least of all in one for another value.
#[inline]
fn drop_entry(entry: Arc<Entry>) {
    if let Some(entry) = Arc::into_inner(entry) {
        drop_value(entry);
    }
}

#[cold]
fn drop_value(entry: Entry) {
    let _ = caught(move || drop(entry));
}
