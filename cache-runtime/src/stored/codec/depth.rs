//! How deep values may be nested.

use std::cell::Cell;

use crate::poll::stack::Stack;

/// How many levels may ask what the bytes hold. serde buffers those for `untagged`, `tag` and `flatten`, and what reads
/// the buffer afterwards is out of sight here.
pub(super) const ANY_LEVELS: usize = 64;

/// Whether the bounds are looked at on the way below this level: on each fourth, so that options and sequences of a shallow
/// value cost no more than a comparison. Multiples of it are bounds.
#[inline]
pub(super) fn is_looked_at(level: usize) -> bool {
    level.is_multiple_of(4) && level > 0
}

/// Whether a walk that began there has come too deep. Out of line, as few values are so deep.
#[cold]
#[inline(never)]
pub(super) fn is_too_deep(level: usize, most: usize, root: Stack) -> bool {
    level >= most || root.is_spent()
}

/// Values of more levels are read back before they are stored.
const CERTAIN: usize = 16;

thread_local! {
    static DEEPEST: Cell<usize> = const { Cell::new(0) };
}

/// A value that is encoded in this thread has come to this level.
#[inline]
pub(super) fn note(level: usize) {
    DEEPEST.with(|deepest| deepest.set(deepest.get().max(level)));
}

/// Encodes a value; whether it is so deep that it may be too deep to be read back.
pub(super) fn is_deep<T>(encode: impl FnOnce() -> T) -> (T, bool) {
    let before = DEEPEST.replace(0);
    let output = encode();
    // A `Serialize` may encode another value on the way.
    (output, DEEPEST.replace(before) > CERTAIN)
}
