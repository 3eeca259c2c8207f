//! Recursion: how much of the stack deep values take, and room for bodies that call cached functions.
//!
//! How much a level of a value takes depends on the type: in a build without optimizations, that of a struct with many fields takes
//! 25 KB. A number of levels is no bound, therefore.

use std::cell::Cell;

/// How much of the stack a walk over a value may take: less than half of what a thread has in Rust, and a worker of tokio, unless
/// somebody says otherwise.
const BYTES: usize = 768 * 1024;

/// Where on the stack something began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack(usize);

impl Stack {
    /// Here.
    #[inline]
    pub(crate) fn here() -> Stack {
        let place = 0_u8;
        Stack(std::ptr::from_ref(std::hint::black_box(&place)).addr())
    }

    /// Whether it has come too far since.
    #[inline]
    pub(crate) fn is_spent(self) -> bool {
        Stack::here().0.abs_diff(self.0) > BYTES
    }
}

/// What a body finds on the stack at least: enough for what a call does below it, decoding a deep value included.
const ROOM: usize = 1 << 20;

/// What the stack grows by, where there is less. Pages that nobody touches take no memory.
const GROWTH: usize = 4 << 20;

/// So many bodies inside of each other are given room. A recursion without an end overflows the stack after that, as
/// it does without a cache, instead of taking all memory.
const MOST: usize = 100_000;

/// Past so many bodies inside of each other a call that misses runs its body directly.
const DEEP: usize = 10_000;

thread_local! {
    /// How many bodies are on this thread's stack.
    static BODIES: Cell<usize> = const { Cell::new(0) };
}

/// Whether calls that miss here are to run their bodies directly.
pub(crate) fn is_deep() -> bool {
    BODIES.try_with(Cell::get).unwrap_or_default() >= DEEP
}

/// Runs a body, or polls it, with [`ROOM`] on the stack: what is left of the thread's own, or a new part.
pub(crate) fn with_room<R>(body: impl FnOnce() -> R) -> R {
    struct Nested(usize);
    impl Drop for Nested {
        fn drop(&mut self) {
            let _ = BODIES.try_with(|bodies| bodies.set(self.0));
        }
    }
    // A thread that is ending has no such count.
    let outer = BODIES.try_with(|bodies| bodies.replace(bodies.get() + 1)).unwrap_or_default();
    let _nested = Nested(outer);
    if outer < MOST { stacker::maybe_grow(ROOM, GROWTH, body) } else { body() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_spent_before_a_thread_overflows() {
        fn level(root: Stack, levels: usize) -> usize {
            let room = std::hint::black_box([0_u8; 4096]);
            if root.is_spent() { levels + usize::from(room[0]) } else { level(root, levels + 1) }
        }
        let walk = || level(Stack::here(), 0);
        let levels = std::thread::Builder::new().stack_size(1 << 20).spawn(walk).expect("a thread").join();
        assert!((50..200).contains(&levels.expect("no overflow")));
    }
}
