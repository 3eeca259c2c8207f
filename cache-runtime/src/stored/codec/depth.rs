//! Bounds on the nesting of values.

use std::cell::Cell;

use crate::poll::stack::Stack;

/// The number of levels that may ask what the bytes hold. serde buffers them for `untagged`, `tag` and `flatten`, and
/// the reads from its buffer cannot be counted here.
pub(super) const ANY_LEVELS: usize = 64;

/// Tells whether a step below this level checks the bounds. Each fourth level does, so that options and sequences of a
/// shallow value cost one comparison only. All bounds are multiples of four.
#[inline]
pub(super) fn is_looked_at(level: usize) -> bool {
    level.is_multiple_of(4) && level > 0
}

/// Tells whether a walk that began at `root` is too deep. Kept out of line, because few values are so deep.
#[cold]
#[inline(never)]
pub(super) fn is_too_deep(level: usize, most: usize, root: Stack) -> bool {
    level >= most || root.is_spent()
}

/// Values with more levels, or whose encoding takes more of the stack, are decoded once before they are stored.
const CERTAIN: usize = 16;
const CERTAIN_BYTES: usize = 8 * 1024;

thread_local! {
    static DEEPEST: Cell<usize> = const { Cell::new(0) };
}

/// Notes that the value which this thread encodes, from `root` on, has reached this level.
#[inline]
pub(super) fn note(level: usize, root: Stack) {
    let level = if root.used() > CERTAIN_BYTES { usize::MAX } else { level };
    DEEPEST.with(|deepest| deepest.set(deepest.get().max(level)));
}

/// Tells whether an option is too deep to be written. Its levels are not counted, because the format does not have them.
#[inline]
pub(super) fn is_option_too_deep(root: Stack) -> bool {
    note(0, root);
    root.is_spent()
}

/// Begins a value, and returns the level of the value around it: a `Serialize` may encode another value.
pub(super) fn begin() -> usize {
    DEEPEST.replace(0)
}

/// Ends the value, and tells whether it is so deep that decoding may refuse it.
pub(super) fn is_deep(outer: usize) -> bool {
    DEEPEST.replace(outer) > CERTAIN
}
