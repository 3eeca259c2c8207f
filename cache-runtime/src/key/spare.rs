//! What a key that is used no more leaves to the next key of the thread, which then needs no allocation.

use std::cell::Cell;

thread_local! {
    /// The buffer of a key.
    static SPARE: Cell<String> = const { Cell::new(String::new()) };
}

/// Larger buffers are not kept.
#[cfg(feature = "local")]
pub(super) const LARGEST: usize = 1024;

/// An empty buffer with room for this many bytes.
#[inline]
pub(super) fn take(room: usize) -> String {
    let mut buffer = SPARE.try_with(Cell::take).unwrap_or_default();
    if buffer.capacity() < room {
        buffer.reserve(room);
    }
    buffer
}

/// Keeps the buffer.
#[cfg(feature = "local")]
#[inline]
pub(super) fn keep(mut buffer: String) {
    if buffer.capacity() <= LARGEST {
        buffer.clear();
        // A thread that is ending keeps nothing.
        let _ = SPARE.try_with(|spare| spare.set(buffer));
    }
}
