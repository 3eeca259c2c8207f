//! What a key that is used no more leaves to the next key of the thread, which then needs no allocation.

use std::cell::Cell;

#[cfg(feature = "local")]
use super::KeyWriter;

thread_local! {
    /// The buffer of a key.
    static SPARE: Cell<String> = const { Cell::new(String::new()) };
}

#[cfg(feature = "local")]
thread_local! {
    /// The writer of a key of which nothing but the text was needed. It is boxed: its parts are not moved.
    static WRITER: Cell<Option<Box<KeyWriter>>> = const { Cell::new(None) };
}

/// Larger buffers are not kept.
#[cfg(feature = "local")]
const LARGEST: usize = 1024;

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

/// A writer whose key begins with the stem.
#[cfg(feature = "local")]
#[inline]
pub(super) fn take_writer(stem: &str) -> Box<KeyWriter> {
    match WRITER.try_with(Cell::take) {
        Ok(Some(mut writer)) => {
            writer.text.push_str(stem);
            writer
        }
        _ => new_writer(stem),
    }
}

#[cfg(feature = "local")]
#[cold]
fn new_writer(stem: &str) -> Box<KeyWriter> {
    let mut text = String::with_capacity(stem.len() + 64);
    text.push_str(stem);
    Box::new(KeyWriter::of(text, 0))
}

/// Keeps a writer that wrote no tags, and did not fail.
#[cfg(feature = "local")]
#[inline]
pub(super) fn keep_writer(mut writer: Box<KeyWriter>) {
    if writer.text.capacity() <= LARGEST && writer.tags.is_none() && writer.failure.is_none() {
        writer.text.clear();
        writer.arguments_at = None;
        let _ = WRITER.try_with(|spare| spare.set(Some(writer)));
    }
}
